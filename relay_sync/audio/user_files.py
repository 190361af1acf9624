"""Files of the user's: read within a bound, whatever stands behind the name, and replaced only by what is complete."""

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

#: Bytes of a file that is read as a whole: over nine hours of one telephone.
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
    """A new name in the same folder, for what is not complete. However long the name of the file is."""
    return os.path.join(os.path.dirname(path), f".{secrets.token_hex(8)}.part")


@contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file that takes the place of ``path`` when all is written. Until then, and if that fails, what was there stays, and
    nothing else is left. Where a link leads is replaced, not the link; a pipe or a device is written to.

    :raises InvalidParameter: something is being recorded to ``path``.
    :raises OSError: it cannot be written; it names ``path``.
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
            Growing.check(path)  # a recording may have started since
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
    """All of a regular file.

    Anything else is refused before it is opened: opening a pipe waits for a writer, reading a device may never end.

    :raises ValueError: it is no regular file, or has more than ``most`` bytes; the message says which.
    :raises OSError: it cannot be read.
    """
    name = os.fspath(path)
    _check(_found(path), name, most)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    try:
        _check(os.fstat(descriptor), name, most)  # the name may stand for something else by now
        return _all_of(partial(os.read, descriptor), name, most)
    finally:
        os.close(descriptor)


def read_open(file: Any, most: int = MAX_FILE) -> bytes:
    """Read the rest of a file opened for reading bytes, including files that are longer than they report or never end.

    :raises ValueError: it has more than ``most`` bytes.
    :raises OSError: it cannot be read.
    """
    return _all_of(file.read, "the file", most)


def _found(path: str | os.PathLike[str]) -> os.stat_result:
    try:
        return os.stat(path)
    except OSError:
        kind = kind_of(os.fsencode(path))
        if kind in (None, "text"):  # a name, as far as one can see
            raise
        raise ValueError(f"this is {kind}, not the path of a file") from None


def _all_of(read: Callable[[int], bytes | None], name: str, most: int) -> bytes:
    """In pieces: some files are longer than they say, those of the kernel for one."""
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
