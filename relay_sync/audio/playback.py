"""The progress of one piece of audio: how much has been sent, and how much the remote party has heard."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from attrs import define, field, frozen

from ..deadline import Deadline
from ..errors import RelayError, WaitTimeout
from ..params import values
from ..threads.flag import Bell, Flag
from ..threads.outcome import wait_for_event, wait_until
from ..threads.process import check_thread, forked_error, generation

__all__ = ["EndedBy", "Piece", "Playback", "PlaybackResult", "SentMark"]

EndedBy = Literal["played", "cleared", "ended"]
AHEAD = 1.0  # seconds of audio that is only being made are taken before they are needed


@frozen(kw_only=True)
class PlaybackResult:
    """How much of a playback the remote party heard.

    The figures are exact if all of it was played. Otherwise they are derived from the marks that returned and, after the last of
    them, from the clock. If marks that were due did not return, they come from the clock alone: ``estimated`` is true, and
    nothing confirms that the audio was heard.

    :ivar samples: samples heard.
    :ivar sample_rate: sample rate in Hz.
    :ivar ended_by: ``played`` to its end, ``cleared`` by ``clear()``, or ``ended`` with the stream.
    :ivar estimated: whether the figures come from the clock alone.
    """

    samples: int
    sample_rate: int
    ended_by: EndedBy
    estimated: bool = False

    @property
    def seconds(self) -> float:
        """Seconds heard."""
        return self.samples / self.sample_rate

    @property
    def complete(self) -> bool:
        """Whether the audio was played to its end."""
        return self.ended_by == "played"


class Piece:
    """One piece of audio: the part that has not been sent yet, and the part that was heard. One thread feeds it, the loop's
    thread sends it, and any thread may wait for it.
    """

    def __init__(self, sample_rate: int, *, paced: bool) -> None:
        self.sample_rate = sample_rate
        self.paced = paced
        self._generation = generation()
        self._done = Flag()
        self._room = Bell()
        self._outcome: PlaybackResult | BaseException | None = None
        self._length = 0  # samples given so far, without what an encoder adds
        # For the speaker, on the loop thread; the feeding thread also sets `waiting` and `closed`.
        self.waiting: deque[tuple[bytes, int]] = deque()
        self.fed: int = 0  # samples in all that was ever in `waiting`
        self.bytes: int = 0  # the same in bytes
        self.closed = False
        self.hungry = False  # whether the speaker waits for more
        self.offset: int = 0  # samples of waiting[0] that are sent
        self.sent: int = 0
        # When which sample is heard, as far as is known, and from there on without a break; None before anything is sent.
        self.clock: tuple[float, int] | None = None
        self.anchor: float = 0.0  # the pace: sample n is due n / rate after this
        self.checked = 0  # samples before the last mark
        self.held = 0  # bytes that count as waiting
        self.time: Callable[[], float] = time.monotonic  # the clock of all these; the speaker gives its own

    @property
    def done(self) -> bool:
        """Whether the piece has been played, was cleared or has failed."""
        return self._done.is_set()

    @property
    def heard(self) -> PlaybackResult | None:
        """How much was heard; ``None`` while it is being played, or if it failed."""
        return self._outcome if isinstance(self._outcome, PlaybackResult) else None

    def wait(self, timeout: float | None = None) -> PlaybackResult:
        """See :meth:`Playback.wait`."""
        if not self._done.is_set():
            self._check_process()
            check_thread()
            if not wait_for_event(self._done, timeout):
                raise WaitTimeout(f"still playing after {timeout:g} s; call wait() again or clear()")
        outcome = self._outcome
        if isinstance(outcome, PlaybackResult):
            return outcome
        assert outcome is not None  # set before the flag
        raise outcome.fresh() if isinstance(outcome, RelayError) else outcome

    def _check_process(self) -> None:
        if self._generation != generation():
            raise forked_error()

    # -- for the feeding thread ----------------------------------------------------------------------------------------

    def feed(self, pieces: list[tuple[bytes, int]], samples: int) -> None:
        """Add payloads that contain *samples* samples in all."""
        self._length += samples
        for piece in pieces:
            self.fed += piece[1]
            self.bytes += len(piece[0])
            self.waiting.append(piece)

    def wait_for_room(self, deadline: Deadline) -> None:
        """Wait until little is left to send, or the piece is done.

        :raises WaitTimeout: the timeout expired.
        """
        limit = AHEAD * self.sample_rate
        left = deadline.remaining(time.monotonic())
        if not wait_until(lambda: self.done or self.fed - self.sent <= limit, self._room, left):
            raise WaitTimeout("still playing; audio not yet read from the iterable is skipped")

    # -- for the speaker, on the loop thread ---------------------------------------------------------------------------

    def take(self, samples: int | None) -> tuple[bytes, int]:
        """Return the next payload: a whole one, or *samples* samples if the codec can be cut anywhere."""
        payload, count = self.waiting[0]
        if samples is not None and (self.offset or samples < count):
            width = len(payload) // count
            taken = min(samples, count - self.offset)
            part = payload[self.offset * width : (self.offset + taken) * width]
            self.offset += taken
            if self.offset == count:
                self.offset = 0
                self.waiting.popleft()
        else:
            part, taken = payload, count
            self.waiting.popleft()
        self.sent += taken
        self._room.ring()
        return part, taken

    def confirm(self, position: int, now: float) -> None:
        """Record that everything up to *position* has just been heard."""
        self.clock = (now, position)

    def estimate(self, now: float, limit: int) -> int:
        """Estimate the number of samples heard by *now*, up to *limit*: beyond it, the next mark would have returned."""
        if self.clock is None:
            return 0
        since, position = self.clock
        return min(position + int(max(0.0, now - since) * self.sample_rate), limit, self.sent, self._length)

    def finish(self, by: EndedBy, samples: int | None = None, *, estimated: bool = False) -> None:
        """End the playback: *samples* samples were heard, or all of them."""
        heard = self._length if samples is None else samples
        self._settle(PlaybackResult(samples=heard, sample_rate=self.sample_rate, ended_by=by, estimated=estimated))

    def fail(self, error: BaseException) -> None:
        """End the playback with an error, which :meth:`wait` raises."""
        self._settle(error)

    def _settle(self, outcome: PlaybackResult | BaseException) -> None:
        if self._outcome is None:
            self._outcome = outcome
            self._done.set()
            self._room.ring()


class Playback:
    """Audio that is queued or being played; the result of ``play(..., wait=False)``. Usable from any thread.

    :param piece: the queued audio.
    """

    def __init__(self, piece: Piece) -> None:
        self._piece = piece

    def __repr__(self) -> str:
        return f"<Playback {'done' if self.done else 'under way'}, {self.seconds:.1f} s heard>"

    @property
    def done(self) -> bool:
        """Whether the playback has finished."""
        return self._piece.done

    @property
    def heard(self) -> PlaybackResult | None:
        """How much was heard; ``None`` while it is being played, or if it failed."""
        return self._piece.heard

    @property
    def seconds(self) -> float:
        """Seconds heard so far, as far as known; see :class:`PlaybackResult`."""
        piece = self._piece
        known = piece.heard
        return known.seconds if known else piece.estimate(piece.time(), piece.sent) / piece.sample_rate

    def wait(self, timeout: float | None = None) -> PlaybackResult:
        """Wait until the audio has been heard or cleared, or the stream has ended. An exception raised by the iterable that
        supplies the audio is raised here.

        :param timeout: seconds to wait; ``None`` waits until the playback finishes.
        :return: how much was heard.
        :raises WaitTimeout: the audio is still being played, and continues.
        :raises StreamFailed: the remote end does not read.
        :raises Forked: the playback belongs to the parent process.
        """
        timeout = values.timeout(timeout)
        return self._piece.wait(timeout)


@define(eq=False)
class SentMark:
    """A mark, set by the user or for a piece, from when it is sent until it returns.

    :ivar piece: the piece whose progress it reports, with ``position`` in samples; ``None`` for a mark set by the user.
    :ivar last: whether the mark is at the end of the piece.
    :ivar due: when everything before it will have been played.
    """

    name: str
    piece: Piece | None = None
    position: int = 0
    last: bool = False
    due: float = 0.0
    flushed: bool = False
    heard: bool | None = None
    settled: threading.Event = field(factory=Flag)

    def settle(self, heard: bool) -> None:
        """Record the outcome; only the first call counts."""
        if self.heard is None:
            self.heard = heard
            self.settled.set()


for _public in (PlaybackResult, Playback):
    _public.__module__ = "relay_sync.audio"
