"""The inner side of a stream: what its receiver writes, and what the server does with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from attrs import define, field, frozen

from ..threads.flag import Flag
from ..threads.item_log import ItemLog
from .frames import FrameBuffer
from .messages import Dtmf
from .speaker import Speaker
from .stats import Counts

__all__ = ["DtmfEvent", "EndReason", "StreamCore"]

EndReason = Literal["stopped", "closed", "dropped", "never started", "timed out"]


@frozen
class DtmfEvent:
    """A key pressed by the caller.

    :ivar digit: ``0`` to ``9``, ``*``, ``#``, ``A`` to ``D``.
    :ivar at: seconds of audio received before the key.
    :ivar duration: duration as sent by the carrier, documented as milliseconds; may be unreliable.
    """

    digit: str
    at: float
    duration: int | None = None


@define(eq=False)
class StreamCore:
    """The part of an :class:`~relay_sync.audio.AudioStream` that receiver, gate and server work with.

    The stream holds its core, and the core does not know the stream: no circle of references keeps either alive.

    :param hang_up: closes the socket; aborts it where its argument is ``True``. Any thread may call it.
    :ivar buffer: frames on their way to the reader.
    :ivar counts: written by the receiving thread only.
    :ivar speaker: sends what is played; ``None`` where the stream is one-way.
    :ivar realtime: whether the carrier is known to play with as little delay as possible.
    """

    buffer: FrameBuffer
    counts: Counts
    hang_up: Callable[[bool], object]
    speaker: Speaker | None = None
    realtime: bool = False
    dtmf: ItemLog[DtmfEvent] = field(init=False, factory=lambda: ItemLog("key"))
    marks: ItemLog[str] = field(init=False, factory=lambda: ItemLog("mark"))
    ended: Flag = field(init=False, factory=Flag)
    end_reason: EndReason | None = field(init=False, default=None)

    def on_key(self, dtmf: Dtmf) -> None:
        """A key was pressed. On the loop thread, as all that follows."""
        self.dtmf.put(DtmfEvent(dtmf.digit, self.counts.seconds, dtmf.duration))

    def on_mark(self, name: str) -> None:
        """A mark came back."""
        speaker = self.speaker
        if speaker is None or not speaker.made_up(name):
            self.marks.put(name)  # first: a thread that waits for it finds it there
        if speaker is not None:
            speaker.echoed(name)

    def end(self, reason: EndReason) -> None:
        """Nothing more will come: end every reader and everything that is being played. The first reason stays."""
        if self.ended.is_set():
            return
        self.end_reason = reason
        self.hang_up = _nothing  # the receiver is not kept alive by its stream
        self.ended.set()
        self.buffer.end()
        if self.speaker is not None:
            self.speaker.end()
        self.dtmf.end()
        self.marks.end()


def _nothing(_abort: bool) -> None:
    pass


DtmfEvent.__module__ = "relay_sync.audio"
