"""Reading a file whose path came from somewhere else: a regular one, within a bound, whatever stands behind the name."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from .kinds import kind_of

__all__ = ["MAX_FILE", "read_file", "read_open"]

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
    """The rest of a file that somebody has opened for reading bytes; also one that is longer than it says, or never ends.

    :raises ValueError: it has more than ``most`` bytes. :raises OSError: it cannot be read.
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
