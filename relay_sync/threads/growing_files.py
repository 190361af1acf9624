"""A registry of recordings in progress. Code that replaces files checks it first."""

from __future__ import annotations

import os
from typing import BinaryIO, ClassVar, TypeAlias

from ..errors import InvalidParameter
from .process import generation

__all__ = ["Growing"]

_Key: TypeAlias = tuple[int, int, int]  # the process generation, the device and the inode


class Growing:
    """A file that this process is still writing and must not replace.

    Entries do not apply in forked children, which cannot learn when the parent finishes a file.
    """

    _all: ClassVar[set[_Key]] = set()

    def __init__(self, file: BinaryIO) -> None:
        self._key = _key(os.fstat(file.fileno()))
        self._all.add(self._key)

    def end(self) -> None:
        """Remove the file from the registry. Idempotent; acquires no lock."""
        self._all.discard(self._key)

    def is_at(self, path: str) -> bool:
        """Return whether *path* currently refers to the file."""
        try:
            return _key(os.stat(path)) == self._key
        except OSError:
            return False

    @classmethod
    def check(cls, path: str | os.PathLike[str]) -> None:
        """Reject a path that refers to a file in the registry, directly or through links.

        :param path: the path to check.
        :raises InvalidParameter: the file is being recorded to.
        """
        try:
            grows = _key(os.stat(path)) in cls._all
        except OSError:
            return
        if grows:
            raise InvalidParameter(
                "path",
                os.fspath(path),
                "another file: this one is being recorded to and already holds the audio so far",
            )


def _key(about: os.stat_result) -> _Key:
    return generation(), about.st_dev, about.st_ino
