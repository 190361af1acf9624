"""Record a stream to a WAV file that is valid at any time.

The receiving thread only copies samples into memory. Twice a second, a :class:`Disk` thread appends them to the file
and then updates the sizes in the header. If the process is killed, the file is still playable, and less than a second of audio
is lost. Long silence is not written; most file systems store it as a hole. Saving uses a separate file descriptor, so a slow
copy does not delay the recording.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol

from ..threads import logs
from ..threads.flag import Bell
from ..threads.growing_files import Growing
from ..threads.outcome import wait_until
from .recording_files import create_recording, spool_file
from .snapshot import Snapshot, read_range
from .user_files import part_beside, replaced
from .wav import HEADER_SIZE, MAX_DATA, interleave, wav_header

__all__ = ["Recorder", "RecorderThread"]

_log = logs.get("relay_sync.audio").later
EAGER = 2**18  # buffered bytes that are written immediately, without waiting for the next interval
FULL = 2**22  # buffered bytes at which the receiver stops reading from the connection
_COPY = 2**20
_pwrite: Callable[[int, memoryview, int], int] | None = getattr(os, "pwrite", None)
_RENAMES_OPEN_FILES = os.name != "nt"


class RecorderThread(Protocol):
    """The part of :class:`Disk` that a recorder needs."""

    @property
    def is_this_thread(self) -> bool:
        """Whether the current thread is the disk thread."""

    def hurry(self, recorder: Recorder) -> bool:
        """Ask the disk thread to write a recorder as soon as possible.

        :return: whether the disk thread will write it. ``False`` if the recording is already finished.
        """

    def close_file(self, file: BinaryIO) -> None:
        """Close a file on the disk thread. Acquires no lock."""


class Recorder:
    """One stream's recording.

    :param file: an empty, unbuffered binary file, open for reading and writing, which the recorder closes; or a function that
        creates such a file, called by the first :meth:`flush`. If the function fails, only the recording is lost.
    :param sample_rate: sample rate in Hz.
    :param channels: 1 or 2.
    :param on_room: called on the disk thread after a write, if :meth:`add` reported a full buffer before.
    :param tell: logs a failure to create the file, such as ``RateLimitedLog.warning``; ``None`` logs directly.
    :param owner: description of the call, for log messages.
    """

    def __init__(
        self,
        file: BinaryIO | Callable[[], BinaryIO],
        sample_rate: int,
        channels: int,
        on_room: Callable[[], object] | None = None,
        tell: Callable[[str, str, object], object] | None = None,
        *,
        owner: str = "",
    ) -> None:
        self.sample_rate = sample_rate
        self.channels: int = channels
        self.error: OSError | None = None
        self._untold: OSError | None = None
        self._limit: OSError | None = None  # set by stop(); becomes the error once all audio is written
        self.owner = owner
        self.path: str | None = None  # None for a temporary file, and until the file is created
        self.disk: RecorderThread | None = None  # the disk thread, if any; otherwise settle() writes
        self._on_room = on_room
        self._tell = tell
        self._width = 2 * channels
        self._lock = threading.RLock()  # guards the buffered samples; never held while writing
        self._start = 0  # position of the first sample in _tail
        self._tail = bytearray()
        self._pieces: list[tuple[int, bytes]] = []  # earlier audio, separated by silence: position, interleaved samples
        self._patches: list[tuple[int, int, bytes]] = []  # late samples: position, channel, PCM
        self._waiting = 0  # bytes in pieces and patches
        self._full = False  # whether add() reported a full buffer
        self._relieved = False  # whether the full buffer was emptied and on_room is due
        self._old_channel = 0  # channel of the former mono recording in the stereo file
        self._started = self._done = 0  # numbers of started and finished flushes
        self._bell = Bell()  # rings after each flush
        self._file_lock = threading.RLock()  # held while writing; always acquired before the other locks
        self._swap_lock = threading.RLock()  # held while the file is replaced
        self._file: BinaryIO
        self._make: Callable[[], BinaryIO] | None = file if callable(file) else None
        self._file_channels = channels
        self._size = 0  # bytes of audio in the file
        self._finalizer: weakref.finalize[..., Recorder] | None = None
        if not callable(file):
            self._begin(file)

    def add(self, channel: int, position: int, pcm: bytes) -> bool:
        """Buffer audio of one channel. Performs no disk I/O.

        :param channel: index of the channel.
        :param position: position of the audio in samples.
        :param pcm: 16-bit little-endian mono PCM.
        :return: whether the buffer is full, so that the caller should stop reading from the connection.
        """
        if self.stopped:
            return False
        if (position * 2 + len(pcm)) * self.channels > MAX_DATA:
            self.stop("a WAV file holds at most 4 GiB")
            return False
        with self._lock:
            early = 2 * (self._start - position)
            if early > 0:  # the audio after this position was already written
                self._patches.append((position, channel, pcm[:early]))
                self._waiting += min(early, len(pcm))
                position, pcm = self._start, pcm[early:]
            if pcm:
                self._place(channel, position, pcm)
            waiting = len(self._tail) + self._waiting
            self._full = self._full or waiting > FULL
            return waiting > FULL

    def widen(self, channel: int) -> None:
        """Convert a mono recording to stereo. The file is converted by the next write.

        :param channel: channel of the audio recorded so far. The other channel is filled with silence.
        """
        if self.channels != 1:
            return
        with self._lock:
            self.channels, self._width = 2, 4
            self._tail = bytearray(_stereo(bytes(self._tail), channel))
            self._pieces = [(position, _stereo(samples, channel)) for position, samples in self._pieces]
            self._patches = [(position, channel, pcm) for position, _, pcm in self._patches]
            self._waiting *= 2
            self._old_channel = channel

    def stop(self, why: str) -> None:
        """Stop recording and log the reason. Audio recorded so far is kept.

        :param why: the reason.
        """
        self._limit = self._untold = OSError(why)
        if self.disk is not None:
            self.disk.hurry(self)
        self._tell_failure()

    @property
    def stopped(self) -> bool:
        """Whether recording has ended, because of an error or of :meth:`stop`."""
        return self.error is not None or self._limit is not None

    @property
    def full(self) -> bool:
        """Whether :meth:`add` reported a full buffer and no write has started since. The next write calls ``on_room``."""
        return self._full and self.error is None

    @property
    def eager(self) -> bool:
        """Whether the buffered audio should be written immediately."""
        return len(self._tail) + self._waiting > EAGER

    def _place(self, channel: int, position: int, pcm: bytes) -> None:
        tail, width = self._tail, self._width
        held = len(tail) // width
        if position > self._start + held + self.sample_rate:  # do not store more than a second of silence
            if held:
                self._pieces.append((self._start, bytes(tail)))
                self._waiting += len(tail)
                tail.clear()
            self._start, held = position, 0
        first = position - self._start
        count = len(pcm) // 2
        if first + count > held:
            tail.extend(bytes((first + count - held) * width))
        if self.channels == 1:
            tail[2 * first : 2 * (first + count)] = pcm
            return
        begin, end = first * width + 2 * channel, (first + count) * width
        tail[begin:end:width] = pcm[0::2]
        tail[begin + 1 : end : width] = pcm[1::2]

    # -- for saving, on any thread -------------------------------------------------------------------------------------

    def made(self, timeout: float) -> bool:
        """Wait until the file has been created.

        :param timeout: maximum time to wait, in seconds.
        :return: whether the file exists.
        """
        if self.disk is not None:
            wait_until(lambda: not self.unmade, self._bell, timeout)
        return self._finalizer is not None

    def settle(self, timeout: float | None) -> bool:
        """Write the audio buffered so far, and wait until it is written.

        :param timeout: maximum time to wait, in seconds; ``None`` waits indefinitely.
        :return: whether it was written.
        """
        with self._lock:
            waits = bool(self._tail or self._pieces or self._patches or self.unmade or self._limit)
            awaited = self._started + waits
        if self._done >= awaited:
            return True
        if self.disk is None or self.disk.is_this_thread or not self.disk.hurry(self):
            self.flush()
        return wait_until(
            lambda: self._done >= awaited or (self.error is not None and self._done == self._started),
            self._bell,
            timeout,
        )

    def snapshot(self) -> Snapshot | None:
        """Return a snapshot of the file, or ``None`` if there is no file.

        :raises OSError: the process has run out of file descriptors.
        """
        with self._swap_lock:
            if self._finalizer is None:
                return None
            return Snapshot(
                os.dup(self._file.fileno()), self.sample_rate, self._file_channels, self._size, self._file_lock
            )

    def copy_to(self, path: str | os.PathLike[str]) -> None:
        """Copy the audio recorded so far to a WAV file. An existing file is replaced once the copy is complete.

        :param path: the file to write.
        :raises InvalidParameter: another recording is being written to ``path``.
        :raises OSError: the file cannot be written, or the recording failed earlier, for example because the disk was full. In
            the latter case, ``path`` contains the audio recorded until then, and the message states its duration.
        """
        self.settle(None)
        snapshot = self.snapshot()
        if snapshot is None:
            raise OSError(
                f"no audio of this stream was kept, because its file could not be created: {self.error}"
            ) from self.error
        with snapshot:
            error = self.error
            if error is not None and not snapshot.samples:
                raise OSError(f"the recording is incomplete, no audio was written: {error}") from error
            with replaced(path) as out:
                snapshot.copy(out)
            if error is not None:
                seconds = snapshot.samples / self.sample_rate
                raise OSError(
                    f"the recording is incomplete: {os.fspath(path)!r} contains its first {seconds:.2f} s: {error}"
                ) from error

    # -- for the disk thread -------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write the buffered audio. An error ends the recording, and is stored in ``error`` and logged once."""
        with self._file_lock:
            with self._lock:
                self._started = number = self._started + 1
                limit = self._limit  # read before the write: a stop() during the write leaves audio for the next one
            try:
                if self._make is not None:
                    self._begin(self._make())
                    self._make = None  # as in _stop_at()
                self._write_waiting()
                if limit is not None:
                    self.error, self._limit = self.error or limit, None
            except BaseException as error:  # the disk thread must continue with other recordings
                self._stop_at(error)
            finally:
                self._done = number
        self._bell.ring()
        if self._relieved and self._on_room is not None:
            self._relieved = False
            self._on_room()
        self._tell_failure()

    def give_up(self, error: BaseException) -> None:
        """Stop recording because of an error. Audio recorded so far is kept."""
        self._stop_at(error)
        self._bell.ring()
        self._tell_failure()

    def _stop_at(self, error: BaseException) -> None:
        self._make = None
        self._fail(error if isinstance(error, OSError) else OSError(f"{type(error).__name__}: {error}"))
        if self._finalizer is not None:
            self._seal()

    @property
    def unmade(self) -> bool:
        """Whether the file has not been created yet."""
        return self._make is not None

    def end(self) -> None:
        """Mark the recording as complete, so that its file may be replaced."""
        if self._finalizer is not None:
            self._growing.end()

    def close(self) -> None:
        """Write the buffered audio and close the file."""
        self.flush()
        with self._file_lock:
            if self._finalizer is not None:
                self._finalizer()

    def _begin(self, file: BinaryIO) -> None:
        channels = self.channels
        with _growing(file) as growing:
            self._write_at(0, wav_header(self.sample_rate, channels, 0), file)
        self.path = _name_of(file)
        self._adopt(file, growing, channels, 0)

    def _adopt(self, file: BinaryIO, growing: Growing, channels: int, size: int) -> None:
        """Make ``file`` the recording's file, and close the previous file."""
        before = self._finalizer
        with self._swap_lock:
            self._file, self._file_channels, self._size, self._growing = file, channels, size, growing
            self._finalizer = weakref.finalize(self, _let_go, file, growing, self.disk)
            self._finalizer.atexit = False  # at exit, the server writes the remaining audio first
        if before is not None:
            before()

    def _write_waiting(self) -> None:
        with self._lock:
            channels, old_channel = self.channels, self._old_channel
            pieces, patches = self._pieces, self._patches
            if self._tail and self.error is None:
                pieces = [*pieces, (self._start, bytes(self._tail))]
            self._start += len(self._tail) // self._width
            self._tail.clear()
            self._pieces, self._patches, self._waiting = [], [], 0
            self._relieved, self._full = self._relieved or self._full, False
        if (pieces or patches) and self.error is None:
            if channels != self._file_channels:
                self._spread(old_channel)
            self._write(pieces, patches)

    def _write(self, pieces: list[tuple[int, bytes]], patches: list[tuple[int, int, bytes]]) -> None:
        channels = self._file_channels
        width = 2 * channels
        for position, samples in pieces:
            try:
                self._write_at(HEADER_SIZE + position * width, samples)
            except OSError:
                self._keep_part(position * width, len(samples), width)
                raise
            self._size = max(self._size, position * width + len(samples))
        for position, channel, pcm in patches:
            offset, length = HEADER_SIZE + position * width, len(pcm) * channels
            there = bytearray(self._read(offset, length).ljust(length, b"\0"))
            there[2 * channel :: width] = pcm[0::2]
            there[2 * channel + 1 :: width] = pcm[1::2]
            self._write_at(offset, there)
            self._size = max(self._size, position * width + length)
        # Update the header last, so that its sizes never exceed the audio in the file.
        self._write_at(0, wav_header(self.sample_rate, channels, self._size))

    def _keep_part(self, offset: int, length: int, width: int) -> None:
        """Count the part of a piece that was written before the disk filled up."""
        there = min(os.fstat(self._file.fileno()).st_size - HEADER_SIZE, offset + length)
        if there > offset:
            self._size = max(self._size, there // width * width)

    def _seal(self) -> None:
        """Update the header after a failure, so that it covers all written audio. This needs no additional disk space."""
        try:
            self._write_at(0, wav_header(self.sample_rate, self._file_channels, self._size))
        except (OSError, ValueError):
            pass  # the existing header still covers the audio of earlier writes

    def _spread(self, channel: int) -> None:
        """Convert the mono file to stereo.

        The stereo file is written under a temporary name and replaces the mono file when it is complete. If that fails, for
        example because the disk is full, the mono file is kept.

        :param channel: channel of the audio recorded so far.
        """
        path = self.path
        file = spool_file() if path is None else open(part_beside(path), "x+b", buffering=0)  # noqa: SIM115 - stays open
        with _growing(file) as growing:
            for offset in range(0, self._size, _COPY):
                samples = self._read(HEADER_SIZE + offset, min(_COPY, self._size - offset))
                if samples.count(0) < len(samples):  # do not write silence, so that it remains a hole
                    self._write_at(HEADER_SIZE + 2 * offset, _stereo(samples, channel), file)
            file.truncate(HEADER_SIZE + 2 * self._size)
            self._write_at(0, wav_header(self.sample_rate, 2, 2 * self._size), file)
            if path is not None:
                file = self._put_in_place(file, path)
        self._adopt(file, growing, 2, 2 * self._size)

    def _put_in_place(self, file: BinaryIO, path: str) -> BinaryIO:
        part = file.name
        if not self._growing.is_at(path):  # the recording was moved or removed, so the path may be another file's
            with create_recording(path) as another:
                path = another.name
        if _RENAMES_OPEN_FILES:
            os.replace(part, path)
        else:
            file.close()
            self._file.close()
            try:
                os.replace(part, path)
            except OSError:
                self._file = open(self.path or "", "r+b", buffering=0)  # noqa: SIM115 - stays open
                raise
            file = open(path, "r+b", buffering=0)  # noqa: SIM115 - stays open
        self.path = path
        return file

    def _write_at(self, offset: int, data: bytes | bytearray, file: BinaryIO | None = None) -> None:
        file = self._file if file is None else file
        rest = memoryview(data)
        if _pwrite is not None:  # saves the seek
            handle = file.fileno()
            while rest:
                written = _pwrite(handle, rest, offset)
                offset, rest = offset + written, rest[written:]
            return
        file.seek(offset)
        while rest:
            rest = rest[file.write(rest) :]

    def _read(self, offset: int, length: int) -> bytes:
        return read_range(self._file.fileno(), offset, length)

    def _fail(self, error: OSError) -> None:
        if self.error is None:
            # Frames of the traceback refer to this recorder. Without them, the file is closed as soon as the stream is dropped.
            error.__traceback__ = error.__cause__ = error.__context__ = None
            self.error = self._untold = error

    def _tell_failure(self) -> None:
        """Log the failure once. No lock is held, because a logging handler may call ``save()``."""
        error, self._untold = self._untold, None
        if error is None:
            return
        if self._finalizer is not None:
            where = ", ".join(filter(None, (self.owner, self.path)))
            _log.warning("recording stopped; the stream continues%s: %s", where and f" ({where})", error)
        elif self._tell is not None:
            self._tell("recording", "the audio is not recorded: %s", error)
        else:
            _log.warning("the audio is not recorded: %s", error)


def _stereo(pcm: bytes, channel: int) -> bytes:
    silence = bytes(len(pcm))
    return interleave([pcm, silence] if channel == 0 else [silence, pcm])


def _name_of(file: BinaryIO) -> str | None:
    """Return a file's name, or ``None`` for a temporary file, which has a name on Windows too."""
    name = getattr(file, "name", None)
    return name if isinstance(name, str) and not hasattr(file, "delete") else None


@contextmanager
def _growing(file: BinaryIO) -> Iterator[Growing]:
    """Register a new file as a recording in progress. Remove the file if the block raises an exception."""
    growing = Growing(file)
    try:
        yield growing
    except BaseException:
        growing.end()
        _discard(file)
        raise


def _discard(file: BinaryIO) -> None:
    name = _name_of(file)
    try:
        file.close()
        if name is not None:
            os.unlink(name)
    except OSError:
        pass


def _let_go(file: BinaryIO, growing: Growing, disk: RecorderThread | None) -> None:
    growing.end()
    if disk is None:
        file.close()
    else:
        disk.close_file(file)
