"""A stream's internal state, shared by the receiver, the server and the public class."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Literal

from attrs import define, field, frozen

from ..threads.flag import Bell, Flag
from ..threads.item_log import ItemLog
from .frames import FrameBuffer
from .messages import Dtmf
from .speaker import Speaker
from .stats import Counts

__all__ = ["DtmfEvent", "EndReason", "StreamCore"]

#: Utterances that a picture of the stream marks.
_MOST_SPOKEN: Final = 10_000
EndReason = Literal["stopped", "closed", "dropped", "timed out"]


@frozen
class DtmfEvent:
    """A key pressed by the caller.

    :ivar digit: ``0`` to ``9``, ``*``, ``#``, ``A`` to ``D``.
    :ivar at: position in the stream at which the key was pressed, in seconds of received audio.
    :ivar duration: duration as sent by the carrier, documented as milliseconds; it may be unreliable.
    """

    digit: str
    at: float
    duration: int | None = None


@define(eq=False)
class StreamCore:
    """Internal part of an :class:`AudioStream`, used by the receiver, the gate and the server.

    The stream refers to its core, but the core does not refer to the stream, which avoids a reference cycle.

    :param hang_up: closes the connection, or aborts it if the argument is ``True``. Safe to call from any thread.
    :ivar buffer: frames that have not been read yet.
    :ivar counts: statistics. Only the receiving thread changes them.
    :ivar speaker: sends audio; ``None`` if the stream is one-way.
    :ivar realtime: whether the carrier was asked to play audio with minimal delay.
    :ivar spoken: track, start and end in seconds of the last utterances that were found.
    :ivar bell: rings when a key was pressed and when the stream ends; ``None`` if no thread waits for both.
    """

    buffer: FrameBuffer
    counts: Counts
    hang_up: Callable[[bool], object]
    speaker: Speaker | None = None
    realtime: bool = False
    bell: Bell | None = field(init=False, default=None)
    spoken: deque[tuple[str, float, float]] = field(init=False, factory=lambda: deque(maxlen=_MOST_SPOKEN), repr=False)
    dtmf: ItemLog[DtmfEvent] = field(init=False, factory=lambda: ItemLog("key"))
    marks: ItemLog[str] = field(init=False, factory=lambda: ItemLog("mark"))
    ended: Flag = field(init=False, factory=Flag)
    end_reason: EndReason | None = field(init=False, default=None)

    def on_key(self, dtmf: Dtmf) -> None:
        """Process a key press. Call this and the following methods on the loop thread."""
        self.dtmf.put(DtmfEvent(dtmf.digit, self.counts.seconds, dtmf.duration))
        self.buffer.rouse_feeds()  # a key interrupts a conversation, even while no audio arrives
        self._ring()

    def on_mark(self, name: str) -> None:
        """Process a returned mark."""
        speaker = self.speaker
        if speaker is None or not speaker.is_internal(name):
            self.marks.put(name)  # before echoed() wakes threads that wait for the mark
        if speaker is not None:
            speaker.echoed(name)

    def end(self, reason: EndReason) -> None:
        """End the stream: wake all readers and finish all playbacks. Only the first call has an effect."""
        if self.ended.is_set():
            return
        self.end_reason = reason
        self.hang_up = _nothing  # release the reference to the receiver
        self.ended.set()
        self.buffer.end()
        if self.speaker is not None:
            self.speaker.end()
        self.dtmf.end()
        self.marks.end()
        self._ring()

    def _ring(self) -> None:
        if self.bell is not None:
            self.bell.ring()


def _nothing(_abort: bool) -> None:
    pass


DtmfEvent.__module__ = "relay_sync.audio"
