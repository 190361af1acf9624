"""Decoded frames on their way from the receiving thread to the program: bounded, and it never hangs."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import define, field, frozen

from ..errors import UnsupportedCodec, WaitTimeout
from ..protocol.deadline import Deadline
from ..runtime.process import forked_error, generation
from ..runtime.waiter import at_once
from .codecs import why_raw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_Waiting: TypeAlias = tuple[int, bytes, float, int | None]  # number of arrival, data, timestamp, sequence

__all__ = ["AudioFrame", "FrameBuffer"]


@frozen(kw_only=True)
class AudioFrame:
    """A piece of one track's audio, as it came.

    :ivar data: PCM, 16-bit signed little-endian mono; or the payload as it came where ``encoding`` is set.
    :ivar track: ``inbound`` (what the party on this call says) or ``outbound`` (what that party hears).
    :ivar timestamp: seconds since the stream began, by the carrier's clock.
    :ivar sample_rate: Hz.
    :ivar sequence: the carrier's message number, ``None`` where it gives none.
    :ivar encoding: ``None``; the carrier's name for the codec where that cannot be decoded here.
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

        :raises UnsupportedCodec: the codec cannot be decoded here; ``data`` holds the raw payload.
        """
        if self.encoding is not None:
            raise UnsupportedCodec(f"{why_raw(self.encoding)}; frame.data holds it as it came")
        return self.data

    @property
    def array(self) -> NDArray[np.int16]:
        """The samples as a numpy array of 16-bit integers that shares the frame's bytes and cannot be written to.

        :raises UnsupportedCodec: as :attr:`pcm`. :raises ImportError: the extra ``dsp`` is not installed.
        """
        from .dsp import as_int16

        return as_int16(self.pcm)

    def float32(self) -> NDArray[np.float32]:
        """The samples as a new numpy array of floats, from -1.0 to just below 1.0.

        :raises UnsupportedCodec: as :attr:`pcm`. :raises ImportError: the extra ``dsp`` is not installed.
        """
        from .dsp import as_float32

        return as_float32(self.pcm)

    @property
    def samples(self) -> int:
        """How many samples; 0 where the codec cannot be decoded."""
        return 0 if self.encoding is not None else len(self.data) // 2

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.samples / self.sample_rate


@define(eq=False)
class _Sleeper:
    """A thread that waits for so many bytes of a track, or for any frame (``None``)."""

    track: str | None
    wanted: int
    ear: Any  # a lock that is taken, and released to wake the thread


class FrameBuffer:
    """Frames by track, handed out in the order they came.

    Each track holds at most *max_bytes* of data in *max_frames* frames; then its oldest frame makes room. One thread
    puts, any number take, and each frame is handed out once.

    Frames wait here as tuples and become :class:`AudioFrame` for whoever takes them: that spares the receiving thread
    work, and the garbage collector thousands of objects to look at. Nobody is woken before there is enough for him, and
    only by :meth:`ring`, so that the receiving thread can first do all it has to do.

    :param sample_rate: of all frames. :param encoding: of all frames, see :class:`AudioFrame`.
    """

    def __init__(
        self, max_bytes: int, *, sample_rate: int, encoding: str | None = None, max_frames: int = 16384
    ) -> None:
        self._sample_rate = sample_rate
        self._encoding = encoding
        self._max_bytes = max_bytes
        self._max_frames = max_frames
        self._lock = threading.Lock()  # never held for long, and never while waiting
        self._tracks: dict[str, deque[_Waiting]] = {}
        self._held: dict[str, int] = {}
        self._arrivals = 0
        self._sleepers: list[_Sleeper] = []
        self._due: list[_Sleeper] = []  # to be woken by ring()
        self._ended = False
        self._generation = generation()
        self.dropped = 0
        self.outran = False  # whether frames were dropped of a track that somebody reads
        self._read: set[str] = set()  # tracks of which a frame was ever taken

    def put(self, track: str, data: bytes, timestamp: float, sequence: int | None) -> bool:
        """Add a frame; never blocks.

        :returns: whether somebody should be woken by :meth:`ring`.
        """
        with self._lock:
            frames = self._tracks.get(track)
            if frames is None:
                frames = self._tracks[track] = deque()
                self._held[track] = 0
            self._arrivals += 1
            frames.append((self._arrivals, data, timestamp, sequence))
            held = self._held[track] + len(data)
            while len(frames) > 1 and (held > self._max_bytes or len(frames) > self._max_frames):
                held -= len(frames.popleft()[1])
                self.dropped += 1
                self.outran = self.outran or track in self._read
            self._held[track] = held
            if not self._sleepers:
                return False
            waiting = self._sleepers
            self._sleepers = []
            for sleeper in waiting:
                enough = sleeper.track is None or self._has_enough(sleeper.track, sleeper.wanted)
                (self._due if enough else self._sleepers).append(sleeper)
            return bool(self._due)

    def ring(self) -> None:
        """Wake those for whom there is enough."""
        with self._lock:
            due, self._due = self._due, []
        for sleeper in due:
            sleeper.ear.release()

    def end(self) -> None:
        """Nothing more will come: whoever waits is told once the rest is taken."""
        with self._lock:
            self._ended = True
            self._due += self._sleepers
            self._sleepers.clear()
        self.ring()

    def take(self, track: str | None, timeout: float | None) -> AudioFrame | None:
        """The oldest frame (of *track*, if given), or ``None`` when there will be no more.

        :raises WaitTimeout: none came within *timeout* seconds.
        :raises Forked: the stream belongs to the parent process.
        """
        self._check_process()
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            # One look under the lock finds the frame or goes to sleep: this is done for each frame of each stream.
            with self._lock:
                frame = self._pop(track)
                if frame is not None or self._ended:
                    return frame
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    raise WaitTimeout(f"no audio within {timeout:g} s; the stream goes on")
                sleeper = self._lie_down(track, 1)
            self._sleep(sleeper, left)

    def take_bytes(self, track: str, wanted: int, timeout: float | None) -> list[bytes]:
        """Frames of *track* with *wanted* bytes in all, or a little more; fewer where the buffer is too small for that,
        none when there will be no more. Waits for all of them, so that the thread is woken once.

        :raises WaitTimeout: they did not come within *timeout* seconds, and nothing was taken.
        :raises Forked: the stream belongs to the parent process.
        """
        wanted = max(1, min(wanted, self._max_bytes // 2))
        deadline = Deadline.after(time.monotonic(), timeout)
        while True:  # another reader may be quicker
            self._wait_for(track, wanted, deadline, timeout)
            taken: list[bytes] = []
            with self._lock:
                frames = self._tracks.get(track) or deque()
                while frames and wanted > 0:
                    data = frames.popleft()[1]
                    self._held[track] -= len(data)
                    wanted -= len(data)
                    taken.append(data)
                if taken:
                    self._read.add(track)
                if taken or self._ended:
                    return taken

    def _wait_for(self, track: str | None, wanted: int, deadline: Deadline, timeout: float | None) -> None:
        self._check_process()
        while True:
            with self._lock:
                if self._ended or self._has_enough(track, wanted):
                    return
                left = deadline.remaining(time.monotonic())
                if left is not None and left <= 0:
                    raise WaitTimeout(f"no audio within {timeout:g} s; the stream goes on")
                sleeper = self._lie_down(track, wanted)
            self._sleep(sleeper, left)

    def _lie_down(self, track: str | None, wanted: int) -> _Sleeper:
        """Be known as one who waits; under the lock."""
        ear = threading.Lock()
        ear.acquire()
        sleeper = _Sleeper(track, wanted, ear)
        self._sleepers.append(sleeper)
        return sleeper

    def _sleep(self, sleeper: _Sleeper, left: float | None) -> None:
        woken = False
        try:
            # Ctrl-C needs a chance in between.
            woken = sleeper.ear.acquire(True, at_once(left))
        finally:
            if not woken:
                with self._lock:
                    if sleeper in self._sleepers:
                        self._sleepers.remove(sleeper)

    def _has_enough(self, track: str | None, wanted: int) -> bool:
        if track is None:
            return any(self._tracks.values())
        frames = self._tracks.get(track)
        if not frames:
            return False
        return self._held[track] >= wanted or 2 * len(frames) >= self._max_frames

    def _check_process(self) -> None:
        if self._generation != generation():  # before the lock: in a child it may be held for ever
            raise forked_error()

    def _pop(self, track: str | None) -> AudioFrame | None:
        if track is None and len(self._tracks) == 1:
            (track,) = self._tracks
        elif track is None:
            queues = [(frames[0][0], name) for name, frames in self._tracks.items() if frames]
            if not queues:
                return None
            track = min(queues)[1]
        frames = self._tracks.get(track)
        if not frames:
            return None
        self._read.add(track)
        _, data, timestamp, sequence = frames.popleft()
        self._held[track] -= len(data)
        return AudioFrame(
            data=data,
            track=track,
            timestamp=timestamp,
            sample_rate=self._sample_rate,
            sequence=sequence,
            encoding=self._encoding,
        )


AudioFrame.__module__ = "relay_sync.audio"
