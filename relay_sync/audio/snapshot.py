"""Read a recording while it is being written."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, BinaryIO

from .wav import HEADER_SIZE, wav_header

__all__ = ["Snapshot", "read_range"]

_COPY = 2**20
_pread: Callable[[int, int, int], bytes] | None = getattr(os, "pread", None)


class Snapshot:
    """The contents of a recording file at a point in time.

    A snapshot has its own file descriptor and does not include audio written later. It needs a lock only on platforms without
    ``pread``. Use it as a context manager to close the descriptor.

    :ivar sample_rate: sample rate in Hz.
    :ivar channels: number of channels.
    :ivar samples: number of samples per channel.
    """

    def __init__(
        self, handle: int, sample_rate: int, channels: int, size: int, lock: AbstractContextManager[Any]
    ) -> None:
        self.sample_rate = sample_rate
        self.channels = channels
        self.samples: int = size // (2 * channels)
        self._handle = handle
        self._lock = lock  # the descriptor shares its file position with the recording's

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._handle)

    def excerpt(self, start: int, count: int) -> bytes:
        """Return interleaved samples.

        :param start: first sample.
        :param count: number of samples per channel. The result is shorter at the end of the recording.
        """
        width = 2 * self.channels
        offset, length = HEADER_SIZE + start * width, max(0, min(count, self.samples - start)) * width
        if _pread is not None:
            return read_range(self._handle, offset, length)
        with self._lock:
            return read_range(self._handle, offset, length)

    def copy(self, out: BinaryIO) -> None:
        """Write the snapshot to ``out`` as a WAV file."""
        width = 2 * self.channels
        out.write(wav_header(self.sample_rate, self.channels, self.samples * width))
        for start in range(0, self.samples, _COPY // width):
            out.write(self.excerpt(start, _COPY // width))


def read_range(handle: int, offset: int, length: int) -> bytes:
    """Read from an open file.

    :param handle: the file descriptor.
    :param offset: position of the first byte.
    :param length: number of bytes. The result is shorter at the end of the file.
    """
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
