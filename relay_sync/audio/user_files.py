"""Read files with a size limit, and replace files atomically."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO, Final

from ..threads.growing_files import Growing
from .file_kinds import kind_of

__all__ = ["MAX_FILE", "part_beside", "read_file", "read_open", "replaced"]

#: Maximum size of a file to read, in bytes: over nine hours of 16-bit PCM at 8 kHz.
MAX_FILE: Final = 512 * 2**20
_PIECE: Final = 2**20
_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def part_beside(path: str) -> str:
    """Return a unique name for a temporary file in the same directory.

    The file's own name is left out, because the result might exceed the maximum name length.
    """
    return os.path.join(os.path.dirname(path), f".{secrets.token_hex(8)}.part")


@contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces ``path`` when the block ends.

    If the block raises an exception, the temporary file is removed and ``path`` is not changed. If ``path`` is a symbolic link,
    its target is replaced. Pipes and devices are written to directly.

    :param path: the file to replace.
    :raises InvalidParameter: a recording is being written to ``path``.
    :raises OSError: the file cannot be written. The error names ``path`` rather than the temporary file.
    """
    Growing.check(path)
    target = os.path.realpath(path)
    try:
        if os.path.exists(target) and not os.path.isfile(target):
            with open(target, "wb") as device:
                yield device
            return
        part = part_beside(target)
        try:
            with open(part, "xb") as file:
                yield file
            Growing.check(path)  # a recording may have started while the file was written
            os.replace(part, target)
        except BaseException:
            try:
                os.unlink(part)
            except OSError:
                pass
            raise
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


def read_file(path: str | os.PathLike[str], most: int = MAX_FILE) -> bytes:
    """Read a regular file.

    Other kinds of files are rejected before they are opened, because opening a pipe may block and reading a device may never end.

    :param path: the file to read.
    :param most: maximum size in bytes.
    :raises ValueError: the file is not a regular file, or is too large.
    :raises OSError: the file cannot be read.
    """
    name = os.fspath(path)
    _check(_found(path), name, most)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    try:
        _check(os.fstat(descriptor), name, most)  # the path may refer to another file by now
        return _all_of(partial(os.read, descriptor), name, most)
    finally:
        os.close(descriptor)


def read_open(file: Any, most: int = MAX_FILE) -> bytes:
    """Read the rest of an open binary file.

    :param file: the open file.
    :param most: maximum number of bytes.
    :raises ValueError: the file is too large.
    :raises OSError: the file cannot be read.
    """
    return _all_of(file.read, "the file", most)


def _found(path: str | os.PathLike[str]) -> os.stat_result:
    try:
        return os.stat(path)
    except OSError:
        kind = kind_of(os.fsencode(path))
        if kind in (None, "text"):  # probably a path
            raise
        raise ValueError(f"this is {kind}, not the path of a file") from None


def _all_of(read: Callable[[int], bytes | None], name: str, most: int) -> bytes:
    """Read to the end of a file, in chunks. The reported file size is not reliable, for example in ``/proc``."""
    data = bytearray()
    while piece := read(_PIECE):
        data += piece
        if len(data) > most:
            raise ValueError(_too_long(name, most))
    return bytes(data)


def _check(about: os.stat_result, name: str, most: int) -> None:
    if not stat.S_ISREG(about.st_mode):
        kind = next((words for test, words in _KINDS if test(about.st_mode)), "something else")
        raise ValueError(f"{name} is {kind}, not a regular file")
    if about.st_size > most:
        raise ValueError(_too_long(name, most))


def _too_long(name: str, most: int) -> str:
    return f"{name} has more than {most / 2**20:g} MiB"
