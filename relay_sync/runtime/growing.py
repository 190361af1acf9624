"""Files that are being written to for some time: recordings. Whatever else replaces files asks here first."""

from __future__ import annotations

import os
from typing import BinaryIO, ClassVar

from ..errors import InvalidParameter

__all__ = ["Growing"]


class Growing:
    """A file that is being written to for some time, so that nothing of ours may replace it meanwhile."""

    _all: ClassVar[set[tuple[int, int]]] = set()

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


def _key(about: os.stat_result) -> tuple[int, int]:
    return about.st_dev, about.st_ino
