"""Track how much audio was sent on a two-way stream, and how much of it the remote party heard."""

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
AHEAD = 1.0  # seconds of audio to read from an iterable before they are sent


@frozen(kw_only=True)
class PlaybackResult:
    """The result of a playback: how much audio the remote party heard.

    The numbers are exact if the platform confirmed that all audio was played. Otherwise, they are calculated from the last
    returned mark and the time elapsed since. If the platform returns no marks, they are estimated from elapsed time alone.

    :ivar samples: number of samples heard.
    :ivar sample_rate: sample rate in Hz.
    :ivar ended_by: ``played``: all audio was played. ``cleared``: ``clear()`` was called. ``ended``: the stream ended.
    :ivar estimated: whether the numbers are estimated because marks did not return.
    """

    samples: int
    sample_rate: int
    ended_by: EndedBy
    estimated: bool = False

    @property
    def seconds(self) -> float:
        """Seconds of audio heard."""
        return self.samples / self.sample_rate

    @property
    def complete(self) -> bool:
        """Whether all audio was played."""
        return self.ended_by == "played"


class Piece:
    """A piece of audio to play, and its progress.

    One thread adds payloads, the loop thread sends them, and any thread may wait for the result.
    """

    def __init__(self, sample_rate: int, *, paced: bool) -> None:
        self.sample_rate = sample_rate
        self.paced = paced
        self._generation = generation()
        self._done = Flag()
        self._room = Bell()
        self._outcome: PlaybackResult | BaseException | None = None
        self._length = 0  # samples fed so far, without padding from the encoder
        # Used by the speaker on the loop thread. The feeding thread changes `waiting`, `fed`, `bytes` and `closed`.
        self.waiting: deque[tuple[bytes, int]] = deque()  # payloads to send, with their numbers of samples
        self.fed: int = 0  # total samples added to `waiting`
        self.bytes: int = 0  # total bytes added to `waiting`
        self.closed = False  # whether all payloads were added
        self.hungry = False  # whether the speaker waits for payloads
        self.offset: int = 0  # samples of waiting[0] that were sent
        self.sent: int = 0  # total samples sent
        # A time and the sample heard at that time. Playback continues from there in real time. None until audio is sent.
        self.clock: tuple[float, int] | None = None
        self.anchor: float = 0.0  # for pacing: sample n is due at anchor + n / rate
        self.checked = 0  # position of the last mark, in samples
        self.held = 0  # bytes counted toward the limit of the speaker's queue
        self.time: Callable[[], float] = time.monotonic  # the clock of all times above; the speaker sets the loop's
        # For a conversation: `on_sound` is called on the loop thread when the audio starts to be heard, and again after each
        # gap, with the sample and the seconds until then. `on_done` is called by the thread that finishes the playback.
        self.on_sound: Callable[[int, float], object] | None = None
        self.on_done: Callable[[], object] | None = None

    @property
    def done(self) -> bool:
        """Whether the playback has finished, was cleared, or failed."""
        return self._done.is_set()

    @property
    def length(self) -> int:
        """Number of samples fed so far, without padding from the encoder."""
        return self._length

    @property
    def confirmed(self) -> int:
        """Number of samples that were certainly heard."""
        clock = self.clock
        return 0 if clock is None else min(clock[1], self._length)

    @property
    def error(self) -> BaseException | None:
        """The error that ended the playback; ``None`` if there was none."""
        return self._outcome if isinstance(self._outcome, BaseException) else None

    @property
    def heard(self) -> PlaybackResult | None:
        """The result; ``None`` if the playback is still active or failed."""
        return self._outcome if isinstance(self._outcome, PlaybackResult) else None

    @property
    def starved_since(self) -> float | None:
        """Time at which all audio so far was heard, if more is awaited from the source; otherwise ``None``."""
        if self.closed or self.waiting or self.clock is None:
            return None
        since, position = self.clock
        silent = self.time() - since - (self.sent - position) / self.sample_rate
        return time.monotonic() - silent if silent > 0 else None

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
        assert outcome is not None  # set before _done
        raise outcome.fresh() if isinstance(outcome, RelayError) else outcome

    def _check_process(self) -> None:
        if self._generation != generation():
            raise forked_error()

    # -- for the feeding thread ----------------------------------------------------------------------------------------

    def feed(self, pieces: list[tuple[bytes, int]], samples: int) -> None:
        """Add payloads.

        :param pieces: payloads, each with its number of samples.
        :param samples: number of samples in the source audio, not counting the encoder's padding.
        """
        self._length += samples
        for piece in pieces:
            self.fed += piece[1]
            self.bytes += len(piece[0])
            self.waiting.append(piece)

    def wait_for_room(self, deadline: Deadline) -> None:
        """Wait until at most a second of audio remains to be sent, or the playback has finished.

        :raises WaitTimeout: the deadline has passed.
        """
        limit = AHEAD * self.sample_rate
        left = deadline.remaining(time.monotonic())
        if not wait_until(lambda: self.done or self.fed - self.sent <= limit, self._room, left):
            raise WaitTimeout("still playing; audio not yet read from the iterable is skipped")

    # -- for the speaker, on the loop thread ---------------------------------------------------------------------------

    def take(self, samples: int | None) -> tuple[bytes, int]:
        """Remove the next payload from the queue.

        :param samples: maximum number of samples to take from the payload; ``None`` takes all of it.
        :return: the payload and its number of samples.
        """
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
        """Record that the audio up to ``position`` has just been heard."""
        self.clock = (now, position)

    def estimate(self, now: float, limit: int) -> int:
        """Estimate how many samples have been heard.

        :param now: the current time.
        :param limit: upper bound in samples: the position of the next mark, which has not returned.
        """
        if self.clock is None:
            return 0
        since, position = self.clock
        return min(position + int(max(0.0, now - since) * self.sample_rate), limit, self.sent, self._length)

    def finish(self, by: EndedBy, samples: int | None = None, *, estimated: bool = False) -> None:
        """Finish the playback.

        :param by: why it finished.
        :param samples: number of samples heard; ``None`` if all were heard.
        :param estimated: whether the number is an estimate.
        """
        heard = self._length if samples is None else samples
        self._settle(PlaybackResult(samples=heard, sample_rate=self.sample_rate, ended_by=by, estimated=estimated))

    def fail(self, error: BaseException) -> None:
        """Finish the playback with an error, which :meth:`wait` raises."""
        self._settle(error)

    def _settle(self, outcome: PlaybackResult | BaseException) -> None:
        if self._outcome is None:
            self._outcome = outcome
            self._done.set()
            self._room.ring()
            if self.on_done is not None:
                self.on_done()


class Playback:
    """A background playback, as returned by ``play(..., wait=False)``. Safe to use from any thread.

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
        """The result; ``None`` if the playback is still active or failed."""
        return self._piece.heard

    @property
    def seconds(self) -> float:
        """Seconds of audio heard so far. This may be an estimate; see :class:`PlaybackResult`."""
        piece = self._piece
        known = piece.heard
        return known.seconds if known else piece.estimate(piece.time(), piece.sent) / piece.sample_rate

    def wait(self, timeout: float | None = None) -> PlaybackResult:
        """Wait until the audio has been heard or cleared, or the stream has ended.

        An exception raised by the audio iterable is re-raised here.

        :param timeout: maximum time to wait, in seconds; ``None`` waits indefinitely.
        :return: how much was heard.
        :raises WaitTimeout: the playback is still active, and continues.
        :raises StreamFailed: the remote end is not reading data.
        :raises Forked: the playback belongs to the parent process.
        """
        timeout = values.timeout(timeout)
        return self._piece.wait(timeout)


@define(eq=False)
class SentMark:
    """A mark, either set by the user or sent internally to measure the progress of a piece.

    :ivar piece: the piece that an internal mark measures; ``None`` for a mark set by the user.
    :ivar position: position of an internal mark in its piece, in samples.
    :ivar last: whether the mark is at the end of its piece.
    :ivar due: time at which all audio before the mark should have been played.
    :ivar flushed: whether the audio before the mark was cleared after the mark was sent.
    :ivar heard: whether the audio before the mark was heard; ``None`` until this is known.
    :ivar settled: set when ``heard`` is known.
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
        """Record the outcome. Only the first call has an effect."""
        if self.heard is None:
            self.heard = heard
            self.settled.set()


for _public in (PlaybackResult, Playback):
    _public.__module__ = "relay_sync.audio"
