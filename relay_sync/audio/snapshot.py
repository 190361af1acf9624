"""An unchanging view of a recording at one moment, to be copied or displayed while the recording continues."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, BinaryIO

from .wav import HEADER_SIZE, wav_header

__all__ = ["Snapshot", "read_whole"]

_COPY = 2**20
_pread: Callable[[int, int, int], bytes] | None = getattr(os, "pread", None)


class Snapshot:
    """The content of a recording's file at one moment. It reads through its own file handle, without a lock if the system can
    read at a position, and is not affected by later changes. A context manager that closes the handle.

    :ivar samples: samples per channel.
    """

    def __init__(
        self, handle: int, sample_rate: int, channels: int, size: int, lock: AbstractContextManager[Any]
    ) -> None:
        self.sample_rate = sample_rate
        self.channels = channels
        self.samples: int = size // (2 * channels)
        self._handle = handle
        self._lock = lock  # of the position that the handle shares with the recording's

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._handle)

    def excerpt(self, start: int, count: int) -> bytes:
        """*count* samples (of each channel) from *start* on, or fewer."""
        width = 2 * self.channels
        offset, length = HEADER_SIZE + start * width, max(0, min(count, self.samples - start)) * width
        if _pread is not None:
            return read_whole(self._handle, offset, length)
        with self._lock:
            return read_whole(self._handle, offset, length)

    def copy(self, out: BinaryIO) -> None:
        """Write all of it as a WAV file."""
        width = 2 * self.channels
        out.write(wav_header(self.sample_rate, self.channels, self.samples * width))
        for start in range(0, self.samples, _COPY // width):
            out.write(self.excerpt(start, _COPY // width))


def read_whole(handle: int, offset: int, length: int) -> bytes:
    """Return *length* bytes of an open file from *offset*, or fewer at its end."""
    parts = []
    while length:
        if _pread is not None:
            part = _pread(handle, length, offset)
        else:
            os.lseek(handle, offset, os.SEEK_SET)
            part = os.read(handle, length)
        if not part:
            break
        parts.append(part)
        offset, length = offset + len(part), length - len(part)
    return b"".join(parts)
