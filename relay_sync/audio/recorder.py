"""A WAV file that grows with the stream and is valid at every moment. The thread of a ``Disk`` creates and writes it.

The receiving thread only copies samples into memory. Twice a second the disk thread writes them and then the sizes in the
header, so that a killed process leaves a playable file that lacks less than a second. Silence is skipped instead of
written: file systems keep it as a hole. Saving reads through a separate file handle and holds no lock while reading.
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
from .snapshot import Snapshot, read_whole
from .user_files import part_beside, replaced
from .wav import HEADER_SIZE, MAX_DATA, PathLike, interleave, wav_header

__all__ = ["Recorder", "RecorderThread"]

_log = logs.get("relay_sync.audio").later
EAGER = 2**18  # bytes of one recorder in memory that are written at once
FULL = 2**22  # bytes at which the sender has to wait for the disk
_COPY = 2**20
_pwrite: Callable[[int, memoryview, int], int] | None = getattr(os, "pwrite", None)
_RENAMES_OPEN_FILES = os.name != "nt"


class RecorderThread(Protocol):
    """The thread that writes recorders, as far as one of them needs it: a ``Disk``."""

    @property
    def is_this_thread(self) -> bool:
        """Whether the caller runs on it."""

    def hurry(self, recorder: Recorder) -> bool:
        """Write this one now.

        :return: whether it still is to be written.
        """

    def close_file(self, file: BinaryIO) -> None:
        """Close it on that thread; takes no lock."""


class Recorder:
    """The audio of one stream on disk.

    :param file: open for reading and writing in binary, unbuffered and empty; closed with the recorder. Or what makes one:
        it is called by the first :meth:`flush`, and what it raises costs the recording only.
    :param channels: 1 or 2.
    :param on_room: called on the disk thread after a write, when :meth:`add` had answered that it is full.
    :param tell: told why there is no file, as ``RateLimitedLog.warning``; without it the log is.
    :param owner: of whom it is, for the log.
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
        self.owner = owner
        self.path: str | None = None  # where it is recorded to, once that is known; None for a file without a name
        self.disk: RecorderThread | None = None  # the thread that writes it; without it flush() writes
        self._on_room = on_room
        self._tell = tell
        self._width = 2 * channels
        self._lock = threading.RLock()  # guards what waits in memory; never held while writing
        self._start = 0  # position of the first sample in _tail
        self._tail = bytearray()
        self._pieces: list[tuple[int, bytes]] = []  # what lies apart from the tail: position, interleaved samples
        self._patches: list[tuple[int, int, bytes]] = []  # late samples: position, channel, PCM
        self._waiting = 0  # bytes in pieces and patches
        self._full = False  # add() has said so
        self._relieved = False  # and there is room again
        self._old_channel = 0  # where the mono recording belongs in a stereo one
        self._begun = self._done = 0  # flushes
        self._bell = Bell()  # rings after each
        self._file_lock = threading.RLock()  # held while writing; taken before the others, never after them
        self._swap_lock = threading.RLock()  # held while one file takes the place of another
        self._file: BinaryIO
        self._make: Callable[[], BinaryIO] | None = file if callable(file) else None
        self._file_channels = channels
        self._size = 0  # bytes of audio in the file
        self._finalizer: weakref.finalize[..., Recorder] | None = None
        if not callable(file):
            self._begin(file)

    def add(self, channel: int, position: int, pcm: bytes) -> bool:
        """Take in *pcm* of a channel at a position (in samples); never touches the disk.

        :return: whether so much waits for the disk that the sender should wait too.
        """
        if self.error is not None:
            return False
        if (position * 2 + len(pcm)) * self.channels > MAX_DATA:
            self.stop("a WAV file holds at most 4 GiB")
            return False
        with self._lock:
            early = 2 * (self._start - position)
            if early > 0:  # already handed to the disk
                self._patches.append((position, channel, pcm[:early]))
                self._waiting += min(early, len(pcm))
                position, pcm = self._start, pcm[early:]
            if pcm:
                self._place(channel, position, pcm)
            waiting = len(self._tail) + self._waiting
            self._full = self._full or waiting > FULL
            return waiting > FULL

    def widen(self, channel: int) -> None:
        """Make a mono recording stereo: what was recorded becomes *channel*, the other was silent so far.

        Needs no disk here: the file is changed at the next write.
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
        """Keep nothing more; what came before stays."""
        self._fail(OSError(why))
        self._tell_failure()

    @property
    def full(self) -> bool:
        """Whether :meth:`add` returned this and no write has started since: *on_room* is still to be called."""
        return self._full and self.error is None

    @property
    def eager(self) -> bool:
        """Whether so much has gathered that it should be written now."""
        return len(self._tail) + self._waiting > EAGER

    def _place(self, channel: int, position: int, pcm: bytes) -> None:
        tail, width = self._tail, self._width
        held = len(tail) // width
        if position > self._start + held + self.sample_rate:  # a long silence: skip it
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
        """Wait until its file has been made.

        :return: whether there is one, within *timeout* seconds.
        """
        if self.disk is not None:
            wait_until(lambda: not self.unmade, self._bell, timeout)
        return self._finalizer is not None

    def settle(self, timeout: float | None) -> bool:
        """Have written what has come so far, and wait for that.

        :param timeout: seconds; ``None`` for as long as the disk takes.
        :return: whether that is done.
        """
        with self._lock:
            waits = bool(self._tail or self._pieces or self._patches or self.unmade)
            awaited = self._begun + waits
        if self._done >= awaited:
            return True
        if self.disk is None or self.disk.is_this_thread or not self.disk.hurry(self):
            self.flush()
        return wait_until(
            lambda: self._done >= awaited or (self.error is not None and self._done == self._begun), self._bell, timeout
        )

    def snapshot(self) -> Snapshot | None:
        """What is in the file now; ``None`` where there is no file.

        :raises OSError: the process has no file descriptor left.
        """
        with self._swap_lock:
            if self._finalizer is None:
                return None
            return Snapshot(
                os.dup(self._file.fileno()), self.sample_rate, self._file_channels, self._size, self._file_lock
            )

    def copy_to(self, path: PathLike) -> None:
        """Write all that came so far as a WAV file to *path*, which changes only when all is written.

        :raises InvalidParameter: something is being recorded to *path*.
        :raises OSError: it cannot be written; it names *path*, whatever the file is called until it is complete. Or the
            recording had failed before, on a full disk say: *path* then holds what was recorded until that moment, and the
            error says how much it is.
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

    # -- for the thread that writes ------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what has come so far. Errors are kept in ``error`` and logged once: they cost this recording only."""
        with self._file_lock:
            with self._lock:
                self._begun = begun = self._begun + 1
            try:
                if self._make is not None:
                    self._open(self._make)
                self._write_waiting()
            except BaseException as error:  # the thread that writes serves other recordings, too
                self._stop_at(error)
            finally:
                self._done = begun
        self._bell.ring()
        if self._relieved and self._on_room is not None:
            self._relieved = False
            self._on_room()
        self._tell_failure()

    def give_up(self, error: BaseException) -> None:
        """Nothing more is recorded; what is there stays."""
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
        """Whether its file is still to be made."""
        return self._make is not None

    def end(self) -> None:
        """Nothing more will come, and all is written: from now on the file may be replaced."""
        if self._finalizer is not None:
            self._growing.end()

    def close(self) -> None:
        """Write the rest and close the file."""
        self.flush()
        with self._file_lock:
            if self._finalizer is not None:
                self._finalizer()

    def _open(self, make: Callable[[], BinaryIO]) -> None:
        try:
            self._begin(make())
        finally:
            self._make = None

    def _begin(self, file: BinaryIO) -> None:
        channels = self.channels
        with _growing(file) as growing:
            self._write_at(0, wav_header(self.sample_rate, channels, 0), file)
        self.path = _name_of(file)
        self._adopt(file, growing, channels, 0)

    def _adopt(self, file: BinaryIO, growing: Growing, channels: int, size: int) -> None:
        """Continue in this file."""
        before = self._finalizer
        with self._swap_lock:
            self._file, self._file_channels, self._size, self._growing = file, channels, size, growing
            self._finalizer = weakref.finalize(self, _let_go, file, growing, self.disk)
            self._finalizer.atexit = False  # at exit the server still has to write the rest
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
        # The audio first, then the sizes: a header never promises what is not there.
        self._write_at(0, wav_header(self.sample_rate, channels, self._size))

    def _keep_part(self, offset: int, length: int, width: int) -> None:
        """Count what was written of a piece before the disk was full."""
        there = min(os.fstat(self._file.fileno()).st_size - HEADER_SIZE, offset + length)
        if there > offset:
            self._size = max(self._size, there // width * width)

    def _seal(self) -> None:
        """After a failure: make the header cover all written audio. This needs no additional space."""
        try:
            self._write_at(0, wav_header(self.sample_rate, self._file_channels, self._size))
        except (OSError, ValueError):
            pass  # it covers the audio up to half a second before

    def _spread(self, channel: int) -> None:
        """The mono file becomes a stereo one: a new file that takes its place when it is whole, with its name where it has one.

        At every moment one of the two is there, and where the disk has no room for the new one the old one stays.
        """
        path = self.path
        file = spool_file() if path is None else open(part_beside(path), "x+b", buffering=0)  # noqa: SIM115 - it is kept
        with _growing(file) as growing:
            for offset in range(0, self._size, _COPY):
                samples = self._read(HEADER_SIZE + offset, min(_COPY, self._size - offset))
                if samples.count(0) < len(samples):  # silence stays a hole
                    self._write_at(HEADER_SIZE + 2 * offset, _stereo(samples, channel), file)
            file.truncate(HEADER_SIZE + 2 * self._size)
            self._write_at(0, wav_header(self.sample_rate, 2, 2 * self._size), file)
            if path is not None:
                file = self._put_in_place(file, path)
        self._adopt(file, growing, 2, 2 * self._size)

    def _put_in_place(self, file: BinaryIO, path: str) -> BinaryIO:
        part = file.name
        if not self._growing.is_at(path):  # moved or removed: the file that has its name now is another
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
                self._file = open(self.path or "", "r+b", buffering=0)  # noqa: SIM115 - it is kept
                raise
            file = open(path, "r+b", buffering=0)  # noqa: SIM115 - it is kept
        self.path = path
        return file

    def _write_at(self, offset: int, data: bytes | bytearray, file: BinaryIO | None = None) -> None:
        file = self._file if file is None else file
        rest = memoryview(data)
        if _pwrite is not None:  # half the system calls
            handle = file.fileno()
            while rest:
                written = _pwrite(handle, rest, offset)
                offset, rest = offset + written, rest[written:]
            return
        file.seek(offset)
        while rest:
            rest = rest[file.write(rest) :]

    def _read(self, offset: int, length: int) -> bytes:
        return read_whole(self._file.fileno(), offset, length)

    def _fail(self, error: OSError) -> None:
        if self.error is None:
            self.error = self._untold = error

    def _tell_failure(self) -> None:
        """Log the failure once, without a lock: a log handler may save the stream."""
        error, self._untold = self._untold, None
        if error is None:
            return
        if self._finalizer is not None:
            where = ", ".join(filter(None, (self.owner, self.path)))
            _log.warning("the recording stops, the stream continues%s: %s", where and f" ({where})", error)
        elif self._tell is not None:
            self._tell("recording", "the audio is not recorded: %s", error)
        else:
            _log.warning("the audio is not recorded: %s", error)


def _stereo(pcm: bytes, channel: int) -> bytes:
    silence = bytes(len(pcm))
    return interleave([pcm, silence] if channel == 0 else [silence, pcm])


def _name_of(file: BinaryIO) -> str | None:
    """The permanent name of a file; ``None`` for a temporary file (which has a name on Windows)."""
    name = getattr(file, "name", None)
    return name if isinstance(name, str) and not hasattr(file, "delete") else None


@contextmanager
def _growing(file: BinaryIO) -> Iterator[Growing]:
    """Protect a new file from replacement from its first byte on; remove it on failure."""
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
