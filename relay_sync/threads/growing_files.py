"""A registry of the files that this process is recording to. Code that replaces a file checks the registry first."""

from __future__ import annotations

import os
from typing import BinaryIO, ClassVar, TypeAlias

from ..errors import InvalidParameter
from .process import generation

__all__ = ["Growing"]

_Key: TypeAlias = tuple[int, int, int]  # the process generation, the device and the inode


class Growing:
    """A file that is still being written and must not be replaced.

    A forked child ignores its parent's entries, because it cannot detect when the parent finishes a file.
    """

    _all: ClassVar[set[_Key]] = set()

    def __init__(self, file: BinaryIO) -> None:
        self._key = _key(os.fstat(file.fileno()))
        self._all.add(self._key)

    def end(self) -> None:
        """Remove the file from the registry. This method is idempotent and acquires no lock."""
        self._all.discard(self._key)

    def is_at(self, path: str) -> bool:
        """Return whether ``path`` currently refers to this file."""
        try:
            return _key(os.stat(path)) == self._key
        except OSError:
            return False

    @classmethod
    def check(cls, path: str | os.PathLike[str]) -> None:
        """Raise an exception if ``path`` refers to a registered file, directly or through links.

        :param path: path to check.
        :raises InvalidParameter: the file is still being written.
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
