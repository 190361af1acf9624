"""Audio frames, and the bounded buffer that passes them from the receiving thread to the program."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from operator import call, itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import define, field

from ..errors import UnsupportedCodec, WaitTimeout
from ..threads.batch_sleep import get_up, lie_down
from ..threads.outcome import at_once
from ..threads.process import forked_error, generation
from ..threads.timeouts import TimeLeft
from ..threads.wake_chain import WakeChain
from .pcm_codecs import why_raw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..constants import Direction

# Arrival number, data, timestamp, sequence number, and offset of the data in the track in bytes.
_Waiting: TypeAlias = tuple[int, bytes, float, int | None, int]

# A reader that waits: its track, or None for any; the bytes that it wants; the function that wakes it.
_Call: TypeAlias = tuple[str | None, int, Callable[[], object]]

__all__ = ["AudioFrame", "FrameBuffer"]


@define(eq=False)
class _Form:
    """The fields that all frames of a track share."""

    track: str
    sample_rate: int
    encoding: str | None


class AudioFrame:
    """One frame of audio from one track. Frames are immutable.

    :param data: PCM (16-bit signed little-endian mono), or the raw payload if ``encoding`` is set.
    :param track: ``inbound`` for the remote party's audio, ``outbound`` for the audio that this party hears.
    :param timestamp: time since the start of the stream in seconds, according to the platform's clock.
    :param sample_rate: sample rate in Hz.
    :param sequence: the platform's message sequence number, or ``None`` if the message had none.
    :param encoding: ``None`` if the audio was decoded, otherwise the platform's name for the codec.
    """

    # A frame consists of the buffer's entry and of its track's form, so that a field costs nothing until it is read.
    __slots__ = ("_entry", "_form")
    _entry: _Waiting
    _form: _Form

    def __init__(
        self,
        *,
        data: bytes,
        track: Direction | str,
        timestamp: float,
        sample_rate: int,
        sequence: int | None = None,
        encoding: str | None = None,
    ) -> None:
        self._entry = (0, data, timestamp, sequence, 0)
        self._form = _Form(track, sample_rate, encoding)

    def _fields(self) -> tuple[Any, ...]:
        form = self._form
        return self.data, form.track, self.timestamp, form.sample_rate, self.sequence, form.encoding

    def __eq__(self, other: object) -> bool:
        return self._fields() == other._fields() if isinstance(other, AudioFrame) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        _, *fields = self._fields()
        names = ("track", "timestamp", "sample_rate", "sequence", "encoding")
        return f"AudioFrame({', '.join(f'{name}={value!r}' for name, value in zip(names, fields, strict=True))})"

    @property
    def data(self) -> bytes:
        """PCM (16-bit signed little-endian mono), or the raw payload if ``encoding`` is set."""
        return self._entry[1]

    @property
    def track(self) -> Direction | str:
        """Track: ``inbound`` (audio from the party on this call) or ``outbound`` (audio played to that party)."""
        return self._form.track

    @property
    def timestamp(self) -> float:
        """Time since the start of the stream in seconds, by the platform's clock."""
        return self._entry[2]

    @property
    def sample_rate(self) -> int:
        """Sample rate in Hz."""
        return self._form.sample_rate

    @property
    def sequence(self) -> int | None:
        """Sequence number of the platform's message, or ``None`` if the message had none."""
        return self._entry[3]

    @property
    def encoding(self) -> str | None:
        """Encoding of ``data``: ``None`` if the audio was decoded, otherwise the platform's name for the codec."""
        return self._form.encoding

    @property
    def pcm(self) -> bytes:
        """The samples as 16-bit signed little-endian PCM.

        :raises UnsupportedCodec: the audio was not decoded. ``data`` contains the raw payload.
        """
        encoding = self._form.encoding
        if encoding is not None:
            raise UnsupportedCodec(f"{why_raw(encoding)}; frame.data contains the raw payload")
        return self._entry[1]

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


class _Reader:
    """A thread that waits until ``wanted`` bytes of a track are buffered. If no track is given, it waits for any frame.

    It is created once for all of the frames that a loop reads. Before the thread sleeps, it wakes the next one; see
    :mod:`relay_sync.threads.wake_chain`. From its first sleep to the end of the loop, it does not preempt the receiving thread;
    see :mod:`relay_sync.threads.batch_sleep`.

    :ivar call: the entry of the buffer's list while the thread waits.
    :ivar waits: whether the entry has been added to the list.
    :ivar calm: what ``get_up()`` needs when the loop ends.
    """

    __slots__ = ("_ear", "_longest", "_slept", "_wake_next", "call", "calm", "generation", "waits")

    def __init__(self, buffer: FrameBuffer, track: str | None, wanted: int = 1) -> None:
        if buffer.generation != generation():
            raise forked_error()
        self.generation, self._wake_next = buffer.generation, buffer.wake_next
        self.waits = self._slept = False
        self.calm: int | None = None
        self._longest = at_once(None)
        self.renew(track, wanted)

    def renew(self, track: str | None, wanted: int) -> None:
        """Replace the lock on which the thread sleeps."""
        self._ear: Any = threading.Lock()  # looked up at run time because gevent may patch threading after this import
        self._ear.acquire()
        # A new object, so that a thread that takes it from the list can only end the wait for which it was added.
        self.call: _Call = (track, wanted, self._ear.release)

    def sleep(self, left: TimeLeft | None) -> None:
        """Sleep until the function in :attr:`call` is called.

        :raises WaitTimeout: the timeout has expired.
        :raises Forked: a signal handler has forked the process.
        """
        try:
            self._wake_next()
        except IndexError:  # no other thread is to be woken
            pass
        if not self._slept:
            self._slept, self.calm = True, lie_down()
        longest = self._longest  # the main thread wakes up now and then, so that Ctrl-C is handled
        while True:
            if left is not None:
                seconds = left()
                if seconds is not None and seconds <= 0:
                    raise WaitTimeout(f"no audio within {left.timeout:g} s; the stream continues")
                longest = at_once(seconds)
            if self._ear.acquire(True, longest):
                self.waits = False
                return
            if self.generation != generation():
                raise forked_error()
            if left is not None:
                left.waited(longest)


@define(eq=False)
class _Track:
    """One track's buffered frames.

    :ivar returned: frames that a reader took but did not use. They are delivered first and never dropped.
    :ivar total: total number of bytes added so far.
    :ivar read: whether a reader has taken a frame of this track.
    :ivar fed: number of the last frame that a feed was given which has been removed.
    """

    form: _Form
    frames: deque[_Waiting] = field(factory=deque)
    returned: deque[_Waiting] = field(factory=deque)
    total: int = 0
    read: bool = False
    fed: int = 0

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
        return (tuple(self.returned) or self.frames)[0]  # a copy, because another reader may take what was returned

    def pop(self) -> _Waiting:
        """Remove and return the oldest frame.

        :raises IndexError: no frame is buffered.
        """
        if self.returned:
            with suppress(IndexError):  # another reader may take it
                return self.returned.popleft()
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
    :param wakes: wakes the readers. By default, each is woken at once.
    :param on_outran: called once, when a frame is dropped from a track that has already been read.
    :param track: the only track, if all frames are of one.
    :ivar dropped: number of dropped frames.
    :ivar generation: the process in which the buffer was created; see :func:`relay_sync.threads.process.generation`.
    :ivar wake_next: wakes the next reader. Raises ``IndexError`` if there is none.
    """

    def __init__(
        self,
        max_bytes: int,
        *,
        sample_rate: int,
        encoding: str | None = None,
        max_frames: int = 16384,
        wakes: WakeChain | None = None,
        on_outran: Callable[[], object] = bool,
        track: str | None = None,
    ) -> None:
        self._sample_rate = sample_rate
        self._encoding = encoding
        self._max_bytes = max_bytes
        self._max_frames = max_frames
        self._wake: Callable[[Callable[[], object]], object] = call if wakes is None else wakes.add
        self.wake_next: Callable[[], object] = bool if wakes is None else wakes.wake_one
        self._on_outran = on_outran
        self._outran = False
        only = None if track is None else _Track(_Form(track, sample_rate, encoding))
        self._only: _Track | None = only  # the track, if there is one only
        # Replaced instead of modified, so readers need no lock.
        self._tracks: dict[str, _Track] = {} if only is None else {only.form.track: only}
        self._arrivals = 0
        self._sleepers: list[_Call] = []
        self._in_one_piece = threading.RLock()  # held while taking several frames, to keep them consecutive
        self._ended = False
        self._feeds: tuple[tuple[str, FrameBuffer], ...] = ()  # replaced instead of modified, so put() needs no lock
        self.generation: int = generation()
        self.dropped: int = 0

    @property
    def tracks(self) -> tuple[str, ...]:
        """Names of the tracks that have received frames."""
        return tuple(self._tracks)

    # -- for the writing thread ----------------------------------------------------------------------------------------

    def put(self, track: str, data: bytes, timestamp: float, sequence: int | None) -> None:
        """Add a frame. Never blocks."""
        try:
            queue = self._tracks[track]
        except KeyError:
            queue = _Track(_Form(track, self._sample_rate, self._encoding))
            self._tracks = {**self._tracks, track: queue}
            self._only = None if len(self._tracks) > 1 else queue
        self._arrivals += 1
        frames, before = queue.frames, queue.total
        behind = bool(frames)
        frames.append((self._arrivals, data, timestamp, sequence, before))
        queue.total = total = before + len(data)
        if self._feeds:  # read after the frame was added; see add_feed()
            for name, feed in self._feeds:
                if name == track:
                    feed._arrivals = self._arrivals - 1  # the frame has the same number there
                    feed.put(track, data, timestamp, sequence)
        try:
            while behind and len(frames) > 1:
                if total - frames[0][4] <= self._max_bytes and len(frames) <= self._max_frames:
                    break
                frames.popleft()
                self.dropped += 1
                if queue.read and not self._outran:
                    self._outran = True
                    self._on_outran()
        except IndexError:  # readers have taken all frames
            pass
        for waiting in tuple(self._sleepers):
            if waiting[0] in (None, track) and (waiting[1] <= 1 or self._is_enough(track, waiting[1])):
                try:
                    self._sleepers.remove(waiting)
                except ValueError:  # the reader no longer waits
                    continue
                self._wake(waiting[2])

    def rouse_feeds(self) -> None:
        """Add an empty frame to each feed, for a reader that acts on more than audio. Never blocks."""
        for name, feed in self._feeds:
            feed._arrivals = self._arrivals - 1  # it takes no number from the next frame
            feed.put(name, b"", 0.0, None)

    def end(self) -> None:
        """Mark the end of the stream. Readers receive the remaining frames and no longer wait."""
        self._ended = True
        for _, feed in self._feeds:
            feed.end()
        self._rouse_all()

    def _rouse_all(self) -> None:
        # All steps run in C, because Ctrl-C between taking a reader from the list and waking it would leave it asleep.
        with suppress(IndexError):  # the list is empty
            deque(map(call, map(itemgetter(2), iter(self._sleepers.pop, None))), 0)

    # -- for further readers -------------------------------------------------------------------------------------------

    def new_feed(self, track: str, on_outran: Callable[[], object]) -> FrameBuffer:
        """Return a buffer for copies of a track's frames, which is read by :meth:`copies`. It is empty until :meth:`add_feed`.

        :param track: name of the track.
        :param on_outran: called once, when a frame is dropped from a feed that has already been read.
        """
        return FrameBuffer(
            self._max_bytes,
            sample_rate=self._sample_rate,
            encoding=self._encoding,
            max_frames=self._max_frames,
            on_outran=on_outran,
            track=track,
        )

    def add_feed(self, feed: FrameBuffer) -> bool:
        """Give a feed the frames of its track that are buffered now, and each later one.

        Frames that an earlier feed was given are left out. Each track has at most one feed. If Ctrl-C interrupts this method,
        :meth:`remove_feed` has to be called.

        :param feed: the buffer.
        :return: whether it was added; ``False`` if the track has a feed.
        """
        copies = feed._only
        assert copies is not None  # the feed has a track
        track = copies.form.track
        with self._in_one_piece:
            if any(name == track for name, _ in self._feeds):
                return False
            self._feeds = (*self._feeds, (track, feed))
            queue = self._tracks.get(track)
        if queue is not None:
            # The receiving thread adds a frame to this buffer before it looks for feeds, so each frame is in the following
            # copy, or is put into the feed, or both. copies() leaves out the second one. Frames that readers return while
            # the second tuple is made were in the first one.
            waiting = {
                entry[0]: entry for entry in (*tuple(queue.frames), *tuple(queue.returned)) if entry[0] > queue.fed
            }
            copies.returned.extend(waiting[number] for number in sorted(waiting))
            copies.fed = max((queue.fed, *waiting))
        if self._ended:
            feed.end()
        return True

    def remove_feed(self, feed: FrameBuffer) -> None:
        """Stop adding frames to a feed. Idempotent."""
        with self._in_one_piece:
            removed = [track for track, each in self._feeds if each is feed]
            self._feeds = tuple(each for each in self._feeds if each[1] is not feed)
            for track in removed:
                queue = self._tracks.get(track)
                if queue is not None and feed._only is not None:
                    queue.fed = max(queue.fed, feed._only.fed, feed._arrivals)

    @property
    def catching_up(self) -> bool:
        """Whether a feed has frames that were buffered before it was added."""
        return self._only is not None and bool(self._only.returned)

    def copies(self) -> Generator[AudioFrame, None, None]:
        """Iterate over the frames of a feed until the stream has ended, including those of :meth:`rouse_feeds`."""
        last = 0
        for frame in self.frames(None):
            number = frame._entry[0]
            if not frame._entry[1]:
                yield frame
            elif number > last:
                last = number
                yield frame

    # -- for the readers -----------------------------------------------------------------------------------------------

    def take(self, track: str | None, timeout: float | None) -> AudioFrame | None:
        """Return the oldest frame, or ``None`` if the stream has ended and no frames remain.

        :param track: track to read; ``None`` reads all tracks.
        :param timeout: maximum time to wait, in seconds; ``None`` waits indefinitely.
        :raises WaitTimeout: no frame arrived in time.
        :raises Forked: the stream belongs to the parent process.
        """
        frames = self.frames(track, None if timeout is None else TimeLeft(timeout))
        try:
            return next(frames, None)
        finally:
            frames.close()  # otherwise Ctrl-C in the generator's end would be lost

    def frames(self, track: str | None, left: TimeLeft | None = None) -> Generator[AudioFrame, None, None]:
        """Iterate over the frames until the stream has ended.

        :param track: track to read; ``None`` reads all tracks.
        :param left: time left to wait; ``None`` waits indefinitely.
        :raises WaitTimeout: no frame arrived in time.
        :raises Forked: the stream belongs to the parent process.
        """
        reader = _Reader(self, track)
        try:
            while True:
                ended = self._ended  # read first: frames added before the end are then visible
                queue = self._only if track is None else self._tracks.get(track)
                if queue is None and track is None:
                    queue = _oldest(self._tracks)
                if queue is not None and (queue.frames or queue.returned):
                    try:
                        # Frames are rarely returned to a track, so the usual case skips queue.pop().
                        entry = queue.pop() if queue.returned else queue.frames.popleft()
                    except IndexError:  # another reader took the frame
                        continue
                    queue.read = True
                    if reader.waits:
                        self._forget(reader)
                    frame = object.__new__(AudioFrame)
                    frame._entry, frame._form = entry, queue.form
                    yield frame
                    if reader.generation != generation():
                        raise forked_error()
                elif ended:
                    return
                elif reader.waits:
                    reader.sleep(left)
                else:  # then look again, because a frame may have been added before this
                    reader.waits = True
                    self._sleepers.append(reader.call)
        finally:
            self._done(reader)

    def read(self, track: str, wanted: int, timeout: float | None) -> bytes:
        """Return exactly ``wanted`` bytes from one track, or the remaining bytes if the stream has ended.

        If only part of the last frame is needed, the rest is kept for the next reader.

        :param track: track to read.
        :param wanted: number of bytes.
        :param timeout: maximum time to wait, in seconds; ``None`` waits indefinitely.
        :raises WaitTimeout: the data did not arrive in time. No data was taken.
        :raises Forked: the stream belongs to the parent process.
        """
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
            self._rouse_all()

    def _take_many(self, track: str, wanted: int, left: TimeLeft, taken: list[_Waiting]) -> None:
        """Append whole frames to ``taken``, at least ``wanted`` bytes in total, or all if the stream has ended.

        The thread is woken once, when all of them are there. If ``wanted`` is too much for the buffer, fewer are enough.
        """
        wanted = max(1, min(wanted, self._max_bytes // 2))
        reader, before = _Reader(self, track, wanted), len(taken)
        try:
            while True:
                ended = self._ended
                with self._in_one_piece:
                    if self._is_enough(track, wanted):
                        self._pop_bytes(track, wanted, taken)
                if len(taken) > before or ended:
                    return
                if reader.waits:
                    reader.sleep(left)  # another reader may take the frames first
                else:
                    reader.waits = True
                    self._sleepers.append(reader.call)
        finally:
            self._done(reader)

    def _pop_bytes(self, track: str, wanted: int, taken: list[_Waiting]) -> None:
        queue = self._tracks.get(track)
        try:
            while queue is not None and wanted > 0:
                taken.append(queue.pop())
                wanted -= len(taken[-1][1])
                queue.read = True
        except IndexError:
            pass

    def _is_enough(self, track: str, wanted: int) -> bool:
        if self._ended:
            return True
        queue = self._tracks.get(track)
        if queue is None or not (queue.frames or queue.returned):
            return False
        return wanted <= 1 or queue.held >= wanted or 2 * len(queue.frames) >= self._max_frames

    def _done(self, reader: _Reader) -> None:
        if reader.waits:
            self._forget(reader)
        get_up(reader.calm)

    def _forget(self, reader: _Reader) -> None:
        reader.waits = False
        try:
            self._sleepers.remove(reader.call)
        except ValueError:  # another thread wakes the reader, which no longer sleeps
            reader.renew(*reader.call[:2])


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
