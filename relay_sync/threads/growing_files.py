"""Files that are being written to for some time: recordings. Whatever else replaces files asks here first."""

from __future__ import annotations

import os
from typing import BinaryIO, ClassVar, TypeAlias

from ..errors import InvalidParameter
from .process import generation

__all__ = ["Growing"]

_Key: TypeAlias = tuple[int, int, int]  # of which process, and where


class Growing:
    """A file that is being written to for some time, so that nothing of this process may replace it meanwhile.

    A forked child does not learn when its parent is done with one: those of the parent do not count there.
    """

    _all: ClassVar[set[_Key]] = set()

    def __init__(self, file: BinaryIO) -> None:
        self._key = _key(os.fstat(file.fileno()))
        self._all.add(self._key)

    def end(self) -> None:
        """It is complete. Idempotent, and takes no lock."""
        self._all.discard(self._key)

    def is_at(self, path: str) -> bool:
        """Whether this is (still) the file's name, or one of them."""
        try:
            return _key(os.stat(path)) == self._key
        except OSError:
            return False

    @classmethod
    def check(cls, path: str | os.PathLike[str]) -> None:
        """:raises InvalidParameter: there is such a file under this name, in whatever spelling, behind a link or not."""
        try:
            grows = _key(os.stat(path)) in cls._all
        except OSError:
            return
        if grows:
            raise InvalidParameter(
                "path", os.fspath(path), "another file: this one is being recorded to, and has what came so far"
            )


def _key(about: os.stat_result) -> _Key:
    return generation(), about.st_dev, about.st_ino
