"""Decoded frames on their way from the receiving thread to the program, in a bounded buffer that never blocks its writer."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from operator import methodcaller
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from attrs import define, field, frozen

from ..errors import UnsupportedCodec, WaitTimeout
from ..threads.batch_sleep import get_up, lie_down
from ..threads.outcome import at_once
from ..threads.process import forked_error, generation
from ..threads.timeouts import TimeLeft
from .pcm_codecs import why_raw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Number of arrival, data, timestamp, sequence, and the track's bytes before it.
_Waiting: TypeAlias = tuple[int, bytes, float, int | None, int]

__all__ = ["AudioFrame", "FrameBuffer"]


_SLOW = 0.001  # seconds of work on a frame that are too long for others to wait for
_TRUST = 100  # fast frames in a row that are needed after a slow one


class Alarm(Protocol):
    """Wakes threads. Each thread sleeps on its own lock, its ear: the lock is held, and released to wake the thread."""

    @property
    def patient(self) -> bool:
        """Whether a woken thread should let the waking thread finish first, see :mod:`relay_sync.threads.batch_sleep`."""

    def add(self, ear: Any) -> None:
        """Wake the thread that sleeps on this ear, at once or soon."""

    def next(self) -> None:
        """Called by a woken thread when another may be woken."""


class _AtOnce:
    patient = False

    def add(self, ear: Any) -> None:
        ear.release()

    def next(self) -> None:
        pass


@frozen(kw_only=True)
class AudioFrame:
    """A piece of the audio of one track, as received.

    :ivar data: PCM (16-bit signed little-endian mono), or the raw payload if ``encoding`` is set.
    :ivar track: ``inbound`` (what the party on this call says) or ``outbound`` (what that party hears).
    :ivar timestamp: seconds since the start of the stream, by the carrier's clock.
    :ivar sample_rate: sample rate in Hz.
    :ivar sequence: the carrier's message number, or ``None`` if not sent.
    :ivar encoding: ``None``, or the carrier's name for a codec that cannot be decoded.
    """

    data: bytes = field(repr=False)
    track: str
    timestamp: float
    sample_rate: int
    sequence: int | None = None
    encoding: str | None = None

    @property
    def pcm(self) -> bytes:
        """The samples, 16-bit signed little-endian.

        :raises UnsupportedCodec: the codec cannot be decoded; ``data`` contains the raw payload.
        """
        if self.encoding is not None:
            raise UnsupportedCodec(f"{why_raw(self.encoding)}; frame.data contains the raw payload")
        return self.data

    @property
    def array(self) -> NDArray[np.int16]:
        """The samples as a read-only numpy array of 16-bit integers that shares the frame's memory.

        :raises UnsupportedCodec: as for :attr:`pcm`.
        :raises ImportError: the extra ``dsp`` is not installed.
        """
        from .dsp import as_int16

        return as_int16(self.pcm)

    def float32(self) -> NDArray[np.float32]:
        """Return the samples as a new numpy array of floats in [-1.0, 1.0).

        :raises UnsupportedCodec: as for :attr:`pcm`.
        :raises ImportError: the extra ``dsp`` is not installed.
        """
        from .dsp import as_float32

        return as_float32(self.pcm)

    @property
    def samples(self) -> int:
        """Number of samples; 0 if the codec cannot be decoded."""
        return 0 if self.encoding is not None else len(self.data) // 2

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return self.samples / self.sample_rate


@define(eq=False)
class _Sleeper:
    """A thread that waits for *wanted* bytes of a track, or for any frame (``None``)."""

    track: str | None
    wanted: int
    ear: Any


@define(eq=False)
class _Track:
    """The frames of one track.

    :ivar returned: what a reader took and did not need: it comes before all others, and is never dropped.
    :ivar total: bytes ever put.
    :ivar read: whether a frame was ever taken.
    """

    name: str
    frames: deque[_Waiting] = field(factory=deque)
    returned: deque[_Waiting] = field(factory=deque)
    total: int = 0
    read: bool = False

    @property
    def held(self) -> int:
        """Bytes that wait."""
        returned = sum(len(each[1]) for each in tuple(self.returned)) if self.returned else 0
        try:
            return returned + self.total - self.frames[0][4]
        except IndexError:
            return returned

    def first(self) -> _Waiting:
        """The oldest frame.

        :raises IndexError: there is none.
        """
        if self.returned:
            try:
                return self.returned[0]
            except IndexError:  # another reader was quicker
                pass
        return self.frames[0]

    def pop(self) -> _Waiting:
        """Take the oldest frame.

        :raises IndexError: there is none.
        """
        if self.returned:
            try:
                return self.returned.popleft()
            except IndexError:  # another reader was quicker
                pass
        return self.frames.popleft()


class FrameBuffer:
    """Frames by track, delivered in the order of arrival.

    Each track holds at most *max_bytes* of data in *max_frames* frames; beyond that its oldest frame is dropped. One thread
    puts frames, any number of threads take them, and each frame is delivered once.

    Putting frames and taking single frames needs no lock: all shared state is in deques and lists, changed by one call each.
    Frames wait as tuples and become :class:`AudioFrame` in the reading thread, which saves work in the receiving thread and
    thousands of objects in the garbage collector. A reader is woken only when enough data is available.

    :param sample_rate: of all frames, in Hz.
    :param encoding: of all frames, see :class:`AudioFrame`.
    :param alarm: wakes waiting readers; without it they are woken as soon as enough data is available.
    """

    def __init__(
        self,
        max_bytes: int,
        *,
        sample_rate: int,
        encoding: str | None = None,
        max_frames: int = 16384,
        alarm: Alarm | None = None,
    ) -> None:
        self._sample_rate = sample_rate
        self._encoding = encoding
        self._max_bytes = max_bytes
        self._max_frames = max_frames
        self._alarm: Alarm = _AtOnce() if alarm is None else alarm
        self._awake = self._passed = False  # of the reader, see _is_awake
        self._woken, self._distrust = 0.0, 0
        self._tracks: dict[str, _Track] = {}  # never changed, but replaced
        self._arrivals = 0
        self._sleepers: list[_Sleeper] = []
        self._in_one_piece = threading.RLock()  # held while taking several frames, so that they are consecutive
        self._ended = False
        self._generation = generation()
        self.dropped: int = 0
        self.outran: bool = False  # whether frames of a track with a reader were dropped

    @property
    def tracks(self) -> tuple[str, ...]:
        """The tracks of which frames have arrived."""
        return tuple(self._tracks)

    # -- for the thread that puts --------------------------------------------------------------------------------------

    def put(self, track: str, data: bytes, timestamp: float, sequence: int | None) -> None:
        """Add a frame; never blocks."""
        queue = self._tracks.get(track)
        if queue is None:
            queue = _Track(track)
            self._tracks = {**self._tracks, track: queue}
        self._arrivals += 1
        frames, before = queue.frames, queue.total
        frames.append((self._arrivals, data, timestamp, sequence, before))
        queue.total = total = before + len(data)
        try:
            while len(frames) > 1 and (total - frames[0][4] > self._max_bytes or len(frames) > self._max_frames):
                frames.popleft()
                self.dropped += 1
                self.outran = self.outran or queue.read
        except IndexError:  # a reader took them all
            pass
        if self._sleepers:
            self._rouse(self._alarm.add)

    def end(self) -> None:
        """Mark the end of the stream: waiting readers return once the remaining frames are taken."""
        self._ended = True
        self._rouse(self._alarm.add)

    def _rouse(self, wake: Callable[[Any], object]) -> None:
        for sleeper in tuple(self._sleepers):
            if sleeper.track is None or self._is_enough(sleeper.track, sleeper.wanted):
                try:
                    self._sleepers.remove(sleeper)
                except ValueError:  # it has left
                    continue
                wake(sleeper.ear)

    # -- for the readers -----------------------------------------------------------------------------------------------

    def take(self, track: str | None, timeout: float | None) -> AudioFrame | None:
        """Return the oldest frame (of *track*, if given), or ``None`` when the stream has ended.

        :raises WaitTimeout: no frame arrived within *timeout* seconds.
        :raises Forked: the stream belongs to the parent process.
        """
        self._check_process()
        left = TimeLeft(timeout)
        waited = False
        while True:
            ended = self._ended  # first: what came before the end is seen then
            frame = self._pop(track)
            if frame is not None or ended:
                if self._awake and (frame is None or not waited):
                    self._is_done()
                return frame
            self._wait(track, 1, left)
            waited = True

    def take_bytes(self, track: str, wanted: int, timeout: float | None) -> list[bytes]:
        """Return frames of *track* with at least *wanted* bytes in all; fewer if the buffer is too small for that, and none when
        the stream has ended. Waits for all of them, so that the thread is woken once.

        :raises WaitTimeout: they did not arrive within *timeout* seconds, and nothing was taken.
        :raises Forked: the stream belongs to the parent process.
        """
        taken: list[_Waiting] = []
        self._take_many(track, wanted, TimeLeft(timeout), taken)
        return [data for _, data, _, _, _ in taken]

    def read(self, track: str, wanted: int, timeout: float | None) -> bytes:
        """Return exactly *wanted* bytes of *track*, or the rest when the stream has ended.

        The unused part of a frame is kept for the next reader.

        :raises WaitTimeout: they did not arrive within *timeout* seconds, and nothing was taken.
        :raises Forked: the stream belongs to the parent process.
        """
        self._check_process()
        left = TimeLeft(timeout)
        taken: list[_Waiting] = []
        size = 0
        try:
            while size < wanted:
                self._take_many(track, wanted - size, left, taken)
                before, size = size, sum([len(each[1]) for each in taken])
                if size == before:
                    break
        except BaseException:  # Ctrl-C, too
            self._give_back(track, taken)
            raise
        if size > wanted:
            last = taken[-1]
            needed = len(last[1]) - (size - wanted)
            taken[-1] = (*last[:1], last[1][:needed], *last[2:])
            self._give_back(track, [self._without(last, needed)])
        return b"".join([each[1] for each in taken])

    def _without(self, frame: _Waiting, taken: int) -> _Waiting:
        """What is left of a frame when so many of its bytes were taken."""
        arrival, data, timestamp, sequence, before = frame
        return arrival, data[taken:], timestamp + taken / 2 / self._sample_rate, sequence, before + taken

    def _give_back(self, track: str, frames: list[_Waiting]) -> None:
        if frames:
            self._tracks[track].returned.extendleft(reversed(frames))
            self._rouse(methodcaller("release"))  # another reader, from a thread that is not the alarm's

    def _take_many(self, track: str, wanted: int, left: TimeLeft, taken: list[_Waiting]) -> None:
        """Add frames to *taken*, as :meth:`take_bytes` says."""
        self._check_process()
        wanted = max(1, min(wanted, self._max_bytes // 2))
        waited, before = False, len(taken)
        while True:  # another reader may be quicker
            ended = self._ended
            with self._in_one_piece:
                if self._is_enough(track, wanted):
                    self._pop_bytes(track, wanted, taken)
            done = len(taken) > before
            if done or ended:
                if self._awake and (not done or not waited):
                    self._is_done()
                return
            self._wait(track, wanted, left)
            waited = True

    def _pop(self, track: str | None) -> AudioFrame | None:
        tracks = self._tracks
        if track is not None:
            queue = tracks.get(track)
        elif len(tracks) == 1:
            (queue,) = tracks.values()
        else:
            queue = _oldest(tracks)
        if queue is None:
            return None
        try:
            # Nearly always nothing was returned to the track: that saves two calls.
            _, data, timestamp, sequence, _ = queue.pop() if queue.returned else queue.frames.popleft()
        except IndexError:
            # Another reader was quicker; where any track will do, another track may have more.
            return self._pop(None) if track is None and len(tracks) > 1 else None
        queue.read = True
        return AudioFrame(
            data=data,
            track=queue.name,
            timestamp=timestamp,
            sample_rate=self._sample_rate,
            sequence=sequence,
            encoding=self._encoding,
        )

    def _pop_bytes(self, track: str, wanted: int, taken: list[_Waiting]) -> None:
        queue = self._tracks.get(track)
        try:
            while queue is not None and wanted > 0:
                taken.append(queue.pop())
                wanted -= len(taken[-1][1])
                queue.read = True
        except IndexError:
            pass

    def _is_enough(self, track: str | None, wanted: int) -> bool:
        if self._ended:
            return True
        if track is None:
            return _oldest(self._tracks) is not None
        queue = self._tracks.get(track)
        if queue is None or not (queue.frames or queue.returned):
            return False
        return queue.held >= wanted or 2 * len(queue.frames) >= self._max_frames

    def _wait(self, track: str | None, wanted: int, left: TimeLeft) -> None:
        """Sleep until there is enough, or for a while: the caller looks again."""
        seconds = left()
        if seconds is not None and seconds <= 0:
            raise WaitTimeout(f"no audio within {left.timeout:g} s; the stream continues")
        ear = threading.Lock()
        ear.acquire()
        sleeper = _Sleeper(track, wanted, ear)
        # Before the look: what comes after it is heard.
        self._sleepers.append(sleeper)
        dozing = self._alarm.patient and lie_down()
        try:
            if self._awake:
                self._is_done()
            if not self._is_enough(track, wanted):
                # Ctrl-C needs a chance in between.
                longest = at_once(seconds)
                if not ear.acquire(True, longest):
                    left.waited(longest)
        finally:
            if dozing:
                get_up()
            try:
                self._sleepers.remove(sleeper)
            except ValueError:
                self._is_awake()

    # A woken thread wakes the next one: when its own work is done, or before that if the work may take long.

    def _is_awake(self) -> None:
        self._awake, self._woken, self._passed = True, time.monotonic(), self._distrust > 0
        if self._passed:
            self._alarm.next()

    def _is_done(self) -> None:
        self._awake = False
        if time.monotonic() - self._woken > _SLOW:
            self._distrust = _TRUST
        elif self._distrust:
            self._distrust -= 1
        if not self._passed:
            self._alarm.next()

    def _check_process(self) -> None:
        if self._generation != generation():
            raise forked_error()


def _oldest(tracks: dict[str, _Track]) -> _Track | None:
    """The track whose next frame came first."""
    best: tuple[int, _Track] | None = None
    for queue in tracks.values():
        try:
            arrival = queue.first()[0]
        except IndexError:
            continue
        if best is None or arrival < best[0]:
            best = arrival, queue
    return None if best is None else best[1]


AudioFrame.__module__ = "relay_sync.audio"
