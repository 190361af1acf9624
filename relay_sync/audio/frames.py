"""Audio frames, and the bounded buffer that passes them from the receiving thread to the program."""

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

    from ..constants import Direction

# Arrival number, data, timestamp, sequence number, and offset of the data in the track in bytes.
_Waiting: TypeAlias = tuple[int, bytes, float, int | None, int]

__all__ = ["AudioFrame", "FrameBuffer"]


_SLOW = 0.001  # a reader that works longer than this on a frame is slow, in seconds
_TRUST = 100  # number of fast frames in a row after which readers are no longer considered slow


class Alarm(Protocol):
    """Protocol for waking reading threads. Each thread sleeps on its own lock, which is released to wake the thread."""

    @property
    def patient(self) -> bool:
        """Whether a woken thread should let the waking thread finish first. See :mod:`relay_sync.threads.batch_sleep`."""

    def add(self, ear: Any) -> None:
        """Wake the thread that sleeps on a lock, immediately or soon."""

    def next(self) -> None:
        """Wake the next thread, if any. Called by a thread that was woken."""


class _AtOnce:
    patient = False

    def add(self, ear: Any) -> None:
        ear.release()

    def next(self) -> None:
        pass


@frozen(kw_only=True)
class AudioFrame:
    """One frame of audio from one track.

    :ivar data: PCM (16-bit signed little-endian mono), or the raw payload if ``encoding`` is set.
    :ivar track: ``inbound`` for the remote party's audio, ``outbound`` for the audio that this party hears.
    :ivar timestamp: time since the start of the stream in seconds, according to the platform's clock.
    :ivar sample_rate: sample rate in Hz.
    :ivar sequence: the platform's message sequence number, or ``None`` if the message had none.
    :ivar encoding: ``None`` if the audio was decoded, otherwise the platform's name for the codec.
    """

    data: bytes = field(repr=False)
    """PCM (16-bit signed little-endian mono), or the raw payload if ``encoding`` is set."""
    track: Direction | str
    """Track: ``inbound`` (audio from the party on this call) or ``outbound`` (audio played to that party)."""
    timestamp: float
    """Time since the start of the stream in seconds, by the platform's clock."""
    sample_rate: int
    """Sample rate in Hz."""
    sequence: int | None = None
    """Sequence number of the platform's message, or ``None`` if the message had none."""
    encoding: str | None = None
    """Encoding of ``data``: ``None`` if the audio was decoded, otherwise the platform's name for the codec."""

    @property
    def pcm(self) -> bytes:
        """The samples as 16-bit signed little-endian PCM.

        :raises UnsupportedCodec: the audio was not decoded. ``data`` contains the raw payload.
        """
        if self.encoding is not None:
            raise UnsupportedCodec(f"{why_raw(self.encoding)}; frame.data contains the raw payload")
        return self.data

    @property
    def array(self) -> NDArray[np.int16]:
        """The samples as a read-only numpy array of 16-bit integers that shares the frame's memory.

        :raises UnsupportedCodec: as for :attr:`pcm`.
        :raises ImportError: the ``dsp`` extra is not installed.
        """
        from .dsp import as_int16

        return as_int16(self.pcm)

    def float32(self) -> NDArray[np.float32]:
        """Return the samples as a new numpy array of floats in [-1.0, 1.0).

        :raises UnsupportedCodec: as for :attr:`pcm`.
        :raises ImportError: the ``dsp`` extra is not installed.
        """
        from .dsp import as_float32

        return as_float32(self.pcm)

    @property
    def samples(self) -> int:
        """Number of samples; 0 if the audio was not decoded."""
        return 0 if self.encoding is not None else len(self.data) // 2

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return self.samples / self.sample_rate


@define(eq=False)
class _Sleeper:
    """A thread that waits until ``wanted`` bytes of a track are buffered. If no track is given, it waits for any frame."""

    track: str | None
    wanted: int
    ear: Any


@define(eq=False)
class _Track:
    """One track's buffered frames.

    :ivar returned: frames that a reader took but did not use. They are delivered first and never dropped.
    :ivar total: total number of bytes added so far.
    :ivar read: whether a reader has taken a frame of this track.
    """

    name: str
    frames: deque[_Waiting] = field(factory=deque)
    returned: deque[_Waiting] = field(factory=deque)
    total: int = 0
    read: bool = False

    @property
    def held(self) -> int:
        """Number of buffered bytes."""
        returned = sum(len(each[1]) for each in tuple(self.returned)) if self.returned else 0
        try:
            return returned + self.total - self.frames[0][4]
        except IndexError:
            return returned

    def first(self) -> _Waiting:
        """Return the oldest frame.

        :raises IndexError: no frame is buffered.
        """
        if self.returned:
            try:
                return self.returned[0]
            except IndexError:  # another reader took it
                pass
        return self.frames[0]

    def pop(self) -> _Waiting:
        """Remove and return the oldest frame.

        :raises IndexError: no frame is buffered.
        """
        if self.returned:
            try:
                return self.returned.popleft()
            except IndexError:  # another reader took it
                pass
        return self.frames.popleft()


class FrameBuffer:
    """Bounded buffer for frames from all of a stream's tracks. Frames are delivered in order of arrival.

    One thread adds frames and is never blocked. Any number of threads can take frames, and each frame is delivered once. When a
    track exceeds its limits, its oldest frames are dropped.

    Adding frames and taking single frames requires no lock, because each change to a shared deque or list is a single atomic
    call. Frames are stored as tuples, and the reading thread converts them to :class:`AudioFrame`. This saves time on the
    receiving thread and keeps thousands of objects out of the garbage collector. A reader is woken only when enough data is
    available.

    :param max_bytes: maximum number of bytes per track.
    :param sample_rate: sample rate of all frames in Hz.
    :param encoding: ``encoding`` for all frames; see :class:`AudioFrame`.
    :param max_frames: maximum number of frames per track.
    :param alarm: wakes waiting readers; ``None`` wakes them as soon as enough data is available.
    :ivar dropped: number of dropped frames.
    :ivar outran: whether frames were dropped from a track that had already been read.
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
        self._awake = self._passed = False  # state of the woken reader; see _is_awake()
        self._woken, self._distrust = 0.0, 0
        self._tracks: dict[str, _Track] = {}  # replaced instead of modified, so readers need no lock
        self._arrivals = 0
        self._sleepers: list[_Sleeper] = []
        self._in_one_piece = threading.RLock()  # held while taking several frames, to keep them consecutive
        self._ended = False
        self._generation = generation()
        self.dropped: int = 0
        self.outran: bool = False

    @property
    def tracks(self) -> tuple[str, ...]:
        """Names of the tracks that have received frames."""
        return tuple(self._tracks)

    # -- for the writing thread ----------------------------------------------------------------------------------------

    def put(self, track: str, data: bytes, timestamp: float, sequence: int | None) -> None:
        """Add a frame. Never blocks."""
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
        except IndexError:  # readers have taken all frames
            pass
        if self._sleepers:
            self._rouse(self._alarm.add)

    def end(self) -> None:
        """Mark the end of the stream. Readers receive the remaining frames and no longer wait."""
        self._ended = True
        self._rouse(self._alarm.add)

    def _rouse(self, wake: Callable[[Any], object]) -> None:
        for sleeper in tuple(self._sleepers):
            if sleeper.track is None or self._is_enough(sleeper.track, sleeper.wanted):
                try:
                    self._sleepers.remove(sleeper)
                except ValueError:  # the reader no longer waits
                    continue
                wake(sleeper.ear)

    # -- for the readers -----------------------------------------------------------------------------------------------

    def take(self, track: str | None, timeout: float | None) -> AudioFrame | None:
        """Return the oldest frame, or ``None`` if the stream has ended and no frames remain.

        :param track: track to read; ``None`` reads all tracks.
        :param timeout: maximum time to wait, in seconds; ``None`` waits indefinitely.
        :raises WaitTimeout: no frame arrived in time.
        :raises Forked: the stream belongs to the parent process.
        """
        self._check_process()
        left = TimeLeft(timeout)
        waited = False
        while True:
            ended = self._ended  # read first: frames added before the end are then visible
            frame = self._pop(track)
            if frame is not None or ended:
                if self._awake and (frame is None or not waited):
                    self._is_done()
                return frame
            self._wait(track, 1, left)
            waited = True

    def take_bytes(self, track: str, wanted: int, timeout: float | None) -> list[bytes]:
        """Return data from whole frames of one track, at least ``wanted`` bytes in total.

        The thread is woken only once, when all the frames are available. Fewer bytes are returned if the buffer is too small for
        ``wanted``. At the end of the stream, the remaining frames are returned, and then an empty list.

        :param track: track to read.
        :param wanted: minimum number of bytes.
        :param timeout: maximum time to wait, in seconds; ``None`` waits indefinitely.
        :raises WaitTimeout: the frames did not arrive in time. No frames were taken.
        :raises Forked: the stream belongs to the parent process.
        """
        taken: list[_Waiting] = []
        self._take_many(track, wanted, TimeLeft(timeout), taken)
        return [data for _, data, _, _, _ in taken]

    def read(self, track: str, wanted: int, timeout: float | None) -> bytes:
        """Return exactly ``wanted`` bytes from one track, or the remaining bytes if the stream has ended.

        If only part of the last frame is needed, the rest is kept for the next reader.

        :param track: track to read.
        :param wanted: number of bytes.
        :param timeout: maximum time to wait, in seconds; ``None`` waits indefinitely.
        :raises WaitTimeout: the data did not arrive in time. No data was taken.
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
        except BaseException:  # including KeyboardInterrupt
            self._give_back(track, taken)
            raise
        if size > wanted:
            last = taken[-1]
            needed = len(last[1]) - (size - wanted)
            taken[-1] = (*last[:1], last[1][:needed], *last[2:])
            self._give_back(track, [self._without(last, needed)])
        return b"".join([each[1] for each in taken])

    def _without(self, frame: _Waiting, taken: int) -> _Waiting:
        """Return a frame without its first ``taken`` bytes."""
        arrival, data, timestamp, sequence, before = frame
        return arrival, data[taken:], timestamp + taken / 2 / self._sample_rate, sequence, before + taken

    def _give_back(self, track: str, frames: list[_Waiting]) -> None:
        if frames:
            self._tracks[track].returned.extendleft(reversed(frames))
            self._rouse(methodcaller("release"))  # wake directly, because only the receiving thread may use the alarm

    def _take_many(self, track: str, wanted: int, left: TimeLeft, taken: list[_Waiting]) -> None:
        """Append frames to ``taken``. See :meth:`take_bytes` for the details."""
        self._check_process()
        wanted = max(1, min(wanted, self._max_bytes // 2))
        waited, before = False, len(taken)
        while True:  # another reader may take the frames first
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
            # Frames are rarely returned to a track, so the usual case skips queue.pop().
            _, data, timestamp, sequence, _ = queue.pop() if queue.returned else queue.frames.popleft()
        except IndexError:
            # Another reader took the frame. If any track is acceptable, try the others.
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
        """Sleep until enough data may be available. The caller must check the buffer again.

        :raises WaitTimeout: the timeout has expired.
        """
        seconds = left()
        if seconds is not None and seconds <= 0:
            raise WaitTimeout(f"no audio within {left.timeout:g} s; the stream continues")
        ear = threading.Lock()
        ear.acquire()
        sleeper = _Sleeper(track, wanted, ear)
        # Register before checking the buffer, so that data added after the check wakes this thread.
        self._sleepers.append(sleeper)
        dozing = self._alarm.patient and lie_down()
        try:
            if self._awake:
                self._is_done()
            if not self._is_enough(track, wanted):
                # Limit the wait, so that Ctrl-C is handled.
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

    # A woken reader wakes the next one after processing its own frame, or before that if readers were slow recently.

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
    """Return the track with the oldest frame, or ``None`` if all tracks are empty."""
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
