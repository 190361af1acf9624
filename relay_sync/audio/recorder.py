"""A WAV file that grows with the stream, is valid at every moment, and is written by a thread of its own.

The receiving thread only copies samples into memory. Twice a second the disk thread writes what has come and then the
sizes in the header, so that a killed process leaves a playable file that lacks less than a second. Silence is not written
but skipped: file systems keep it as a hole.
"""

from __future__ import annotations

import logging
import os
import secrets
import tempfile
import threading
import weakref
from collections.abc import Callable
from typing import BinaryIO

from ..runtime.flag import Bell
from ..runtime.waiter import wait_until
from .wav import HEADER_SIZE, MAX_DATA, PathLike, interleave, wav_header

__all__ = ["Disk", "Recorder"]

_log = logging.getLogger("relay_sync.audio")
INTERVAL = 0.5  # seconds between writes
EAGER = 2**18  # bytes of one recorder in memory that are written at once
FULL = 2**22  # bytes at which the sender has to wait for the disk
_COPY = 2**20
_pwrite: Callable[[int, memoryview, int], int] | None = getattr(os, "pwrite", None)


class Recorder:
    """The audio of one stream on disk.

    :param file: open for reading and writing in binary, unbuffered and empty; closed with the recorder.
    :param channels: 1 or 2.
    :param on_room: called on the disk thread after a write, when :meth:`add` had answered that it is full.
    """

    def __init__(
        self, file: BinaryIO, sample_rate: int, channels: int, on_room: Callable[[], object] | None = None
    ) -> None:
        self.sample_rate = sample_rate
        self.channels = channels
        self.error: OSError | None = None
        self._file = file
        self._on_room = on_room
        self._width = 2 * channels
        self._lock = threading.Lock()  # guards what waits in memory; never held while writing
        self._start = 0  # position of the first sample in _tail
        self._tail = bytearray()
        self._pieces: list[tuple[int, bytes]] = []  # what lies apart from the tail: position, interleaved samples
        self._patches: list[tuple[int, int, bytes]] = []  # late samples: position, channel, PCM
        self._waiting = 0  # bytes in pieces and patches
        self._full = False
        self._layout = threading.RLock()  # held while the file is copied, or made stereo; taken first of all
        self._file_channels = channels
        self._file_lock = threading.Lock()  # guards the file; taken before _lock, never after it
        self._size = 0  # bytes of audio in the file
        self._old_channel = 0  # where the mono recording belongs in a stereo one
        self._finalizer = weakref.finalize(self, file.close)
        self._finalizer.atexit = False  # at exit the server still has to write the rest
        self._write_at(0, wav_header(sample_rate, channels, 0))

    @property
    def path(self) -> str | None:
        """Where it is recorded to; ``None`` for a file without a name."""
        name = getattr(self._file, "name", None)
        return name if isinstance(name, str) else None

    @classmethod
    def temporary(cls, sample_rate: int, channels: int, on_room: Callable[[], object] | None = None) -> Recorder:
        """One whose file has no name and vanishes with it.

        :raises OSError: there is no room for one.
        """
        file = tempfile.TemporaryFile(prefix="relay-audio-", buffering=0)  # noqa: SIM115 - lives as long as the recorder
        return cls(_raw(file), sample_rate, channels, on_room)

    def add(self, channel: int, position: int, pcm: bytes) -> bool:
        """Take in *pcm* of a channel at a position (in samples); never touches the disk.

        :returns: whether so much waits for the disk that the sender should wait too.
        """
        if self.error is not None:
            return False
        if (position * 2 + len(pcm)) * self.channels > MAX_DATA:
            self._fail(OSError("a WAV file holds no more than 4 GiB"))
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

        Needs no disk here. The file is changed at the next write; a process killed in that instant may leave it damaged.
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

    @property
    def full(self) -> bool:
        """Whether :meth:`add` answered so, and no write has begun since: *on_room* is still to be called."""
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

    # -- for the disk thread, and for whoever saves --------------------------------------------------------------------

    def flush(self) -> None:
        """Write what has come so far. Errors are kept in ``error`` and logged once."""
        with self._layout, self._file_lock:
            with self._lock:
                channels, old_channel = self.channels, self._old_channel
                pieces, patches = self._pieces, self._patches
                if self._tail:
                    pieces = [*pieces, (self._start, bytes(self._tail))]
                    self._start += len(self._tail) // self._width
                    self._tail.clear()
                self._pieces, self._patches, self._waiting = [], [], 0
                was_full, self._full = self._full, False
            if (pieces or patches) and self.error is None:
                try:
                    if channels != self._file_channels:
                        self._spread(old_channel)
                    self._write(pieces, patches)
                except Exception as error:  # the thread that writes serves other recordings, too
                    self._fail(error if isinstance(error, OSError) else OSError(f"{type(error).__name__}: {error}"))
                    self._seal()
        if was_full and self._on_room is not None:
            self._on_room()

    def copy_to(self, path: PathLike) -> None:
        """Write all that came so far as a WAV file to *path*, which changes only when all is written.

        :raises OSError: it cannot be written; it names *path*, whatever the file is called until it is complete. Or the
            recording had failed before, on a full disk say: *path* then holds what was recorded until that moment, and the
            error says how much it is.
        """
        self.flush()
        with self._layout:
            if self.error is not None and not self._size:
                raise OSError(f"the recording is incomplete, nothing of it was kept: {self.error}") from self.error
            try:
                self._copy_whole(path)
            except OSError as error:
                if error.errno is None:
                    raise
                raise OSError(error.errno, error.strerror, os.fspath(path)) from None
            if self.error is not None:
                seconds = self._size / (2 * self._file_channels) / self.sample_rate
                raise OSError(
                    f"the recording is incomplete: {os.fspath(path)!r} holds its first {seconds:.2f} s, then it stopped:"
                    f" {self.error}"
                ) from self.error

    def excerpt(self, start: int, count: int) -> bytes:
        """Some of what is in the file: *count* samples (of each channel) from *start* on, or fewer."""
        with self._layout:
            width = 2 * self._file_channels
            room = max(0, self._size - start * width)
            return self._read_at(HEADER_SIZE + start * width, min(count * width, room))

    @property
    def written(self) -> tuple[int, int]:
        """What is in the file: samples of each channel, and channels."""
        with self._layout:
            return self._size // (2 * self._file_channels), self._file_channels

    def _copy_whole(self, path: PathLike) -> None:
        target = os.path.realpath(path)  # where a link leads is replaced, not the link
        if os.path.exists(target) and not os.path.isfile(target):
            with open(target, "wb") as device:  # a pipe or a device is written to, never replaced
                self._copy(device)
            return
        partial = f"{target}.{secrets.token_hex(4)}.part"
        out = open(partial, "xb")  # noqa: SIM115 - what cannot be created is not to be removed
        try:
            with out:
                self._copy(out)
            os.replace(partial, target)
        except BaseException:
            try:
                os.unlink(partial)
            except OSError:
                pass
            raise

    def _copy(self, out: BinaryIO) -> None:
        size = self._size
        out.write(wav_header(self.sample_rate, self._file_channels, size))
        for offset in range(0, size, _COPY):
            out.write(self._read_at(HEADER_SIZE + offset, min(_COPY, size - offset)))

    def close(self) -> None:
        """Write the rest and close the file."""
        self.flush()
        with self._file_lock:
            self._finalizer()

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
        there = min(self._file.seek(0, os.SEEK_END) - HEADER_SIZE, offset + length)
        if there > offset:
            self._size = max(self._size, there // width * width)

    def _seal(self) -> None:
        """After a failure: have the header tell of all that is there. It takes no more room than it had."""
        try:
            self._write_at(0, wav_header(self.sample_rate, self._file_channels, self._size))
        except (OSError, ValueError):
            pass  # it tells of what was there half a second before

    def _spread(self, channel: int) -> None:
        """The mono file becomes a stereo one in place: from its end, so that nothing is written over before it is read."""
        for offset in range((self._size - 1) // _COPY * _COPY, -1, -_COPY):
            samples = self._read(HEADER_SIZE + offset, min(_COPY, self._size - offset))
            try:
                self._write_at(HEADER_SIZE + 2 * offset, _stereo(samples, channel))
            except OSError:
                self._size = offset + len(samples)  # up to here it still is the mono file
                raise
        self._size *= 2
        self._file_channels = 2

    def _write_at(self, offset: int, data: bytes | bytearray) -> None:
        rest = memoryview(data)
        if _pwrite is not None:  # half the system calls
            handle = self._file.fileno()
            while rest:
                written = _pwrite(handle, rest, offset)
                offset, rest = offset + written, rest[written:]
            return
        self._file.seek(offset)
        while rest:
            rest = rest[self._file.write(rest) :]

    def _read_at(self, offset: int, length: int) -> bytes:
        with self._file_lock:
            return self._read(offset, length)

    def _read(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        parts = []
        while length:
            part = self._file.read(length)
            if not part:
                break
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def _fail(self, error: OSError) -> None:
        if self.error is None:
            self.error = error
            _log.warning("a recording stops here, the stream goes on: %s", error)


def _stereo(pcm: bytes, channel: int) -> bytes:
    silence = bytes(len(pcm))
    return interleave([pcm, silence] if channel == 0 else [silence, pcm])


def _raw(file: object) -> BinaryIO:
    # On Windows tempfile wraps the file in an object of its own that behaves like it.
    return file  # type: ignore[return-value]


class Disk:
    """The thread that writes recordings; there only while something is being recorded.

    :param name: the thread's name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()  # never held while waiting
        self._bell = Bell()
        self._recorders: set[Recorder] = set()
        self._leaving: list[Recorder] = []
        self._thread: threading.Thread | None = None
        self._hurry = False

    def add(self, recorder: Recorder) -> None:
        """Write this one from now on.

        :raises RuntimeError: no thread can be started.
        """
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread
            self._recorders.add(recorder)

    def finish(self, recorder: Recorder) -> None:
        """Write what is left of it, soon, and forget it."""
        with self._lock:
            if recorder in self._recorders:
                self._recorders.discard(recorder)
                self._leaving.append(recorder)
        self._bell.ring()

    def hurry(self) -> None:
        """Write now rather than at the next half second."""
        self._hurry = True
        self._bell.ring()

    def join(self, timeout: float) -> None:
        """Wait until all finished recordings are on disk and, where none goes on, the thread has ended."""
        self.hurry()
        thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _run(self) -> None:
        while True:
            wait_until(lambda: self._hurry or bool(self._leaving) or not self._recorders, self._bell, INTERVAL)
            with self._lock:
                self._hurry = False
                if not self._recorders and not self._leaving:
                    self._thread = None
                    return
                # A stream that ends does not make all others be written before their time.
                due = self._leaving or list(self._recorders)
                self._leaving = []
            for recorder in due:
                recorder.flush()
            del due, recorder  # a finished recording goes when its stream does
