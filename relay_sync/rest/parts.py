"""The partial file of a download, and the note beside it that makes the download resumable.

Both file names are predictable. In a directory where other users may write, an existing file of that name is used only if it
is a regular file of this user with a single hard link, and not a symbolic link.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import secrets
import stat
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from ..threads import file_lock, process
from ..threads.growing_files import Growing

__all__ = ["Part", "kept"]

_LONGEST_NOTE: Final = 65536
#: How often to try opening a file that other downloads, as they finish, move or remove at the same moment.
_ATTEMPTS: Final = 16
_FLAGS: Final = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC"))
_Key = tuple[int, int]
#: The files that downloads of this process write to; needed because not every file system supports locks.
_claims: Final[dict[_Key, weakref.ref[Part]]] = {}


def open_own(path: Path, *, create: bool) -> int:
    """Open a file for reading and writing, without truncating it.

    :param create: whether to create the file if it does not exist.
    :raises OSError: the file is not a regular file of this user, or cannot be opened.
    :raises FileNotFoundError: the file does not exist, and ``create`` is false.
    """
    for _ in range(_ATTEMPTS):
        if create:
            with suppress(FileExistsError):
                return _create(path)
        try:
            number = os.open(path, os.O_RDWR | _FLAGS)
        except FileNotFoundError:
            if create:  # it was removed just now
                continue
            raise
        opened = os.fstat(number)
        there = _is_at(path, _key(opened))
        if there and _is_ours(opened):
            return number
        os.close(number)
        if there:
            break
    reason = "exists and is not a regular file of this user with a single name; remove it"
    raise OSError(errno.EEXIST, f"{path.name} {reason}")


def _create(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o666)


def _is_ours(opened: os.stat_result) -> bool:
    mine = not hasattr(os, "geteuid") or opened.st_uid == os.geteuid()
    return stat.S_ISREG(opened.st_mode) and opened.st_nlink == 1 and mine


def _key(about: os.stat_result) -> _Key:
    return about.st_dev, about.st_ino


def _is_at(path: Path, key: _Key) -> bool:
    """Whether a path still names this file."""
    try:
        return _key(os.lstat(path)) == key
    except FileNotFoundError:
        return False


@contextmanager
def kept(target: Path, url: str, *, resume: bool) -> Iterator[Part]:
    """Open the partial file beside a target. On exit it is kept if another download can resume it, and removed otherwise.

    :raises OSError: the file cannot be written, or with ``resume`` another download is writing to it.
    """
    if resume:
        part = _claimed(target.with_name(f"{target.name}.part"), hashlib.sha256(url.encode()).hexdigest())
    else:
        path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        part = Part(path, os.fdopen(_create(path), "w+b", buffering=0), "")
    process.watch(part)
    try:
        part.begin()
        yield part
    finally:
        part.end()


def _claimed(path: Path, origin: str) -> Part:
    for _ in range(_ATTEMPTS):
        part = Part(path, os.fdopen(open_own(path, create=True), "r+b", buffering=0), origin)
        if part.claim():
            return part
    raise OSError(
        errno.EBUSY, f"other downloads keep replacing {path.name}; resume=False gives each download its own file"
    )


@define(eq=False)
class Part:
    """The bytes received so far, and the version of the file that they belong to.

    :ivar size: number of bytes received.
    :ivar validator: identifies the version; empty if the server sent no validator.
    :ivar changed: the server's time of the last change; empty if it sent none.
    :ivar total: size of the complete file in bytes, if known.
    :ivar spoiled: whether another download cannot use these bytes.
    """

    path: Path
    _file: io.FileIO
    _origin: str
    size: int = 0
    validator: str = ""
    changed: str = ""
    total: int | None = None
    spoiled: bool = False
    _moved: bool = False
    _note_is_ours: bool = False
    _key: _Key = field(init=False)
    _generation: int = field(factory=process.generation)

    def __attrs_post_init__(self) -> None:
        self._key = _key(os.fstat(self._file.fileno()))

    @property
    def _note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def claim(self) -> bool:
        """Lock the file against other downloads of this process and, if the file system supports locks, of other processes.

        :return: whether the file still has its name. If not, the previous download moved or removed it; it is then closed.
        :raises OSError: another download is writing to the file; it is then closed here.
        """
        if not self._is_first() or not file_lock.lock(self._file):
            self._let_go()
            reason = f"another download is writing to {self.path.name}; resume=False gives each download its own file"
            raise OSError(errno.EBUSY, reason)
        if _is_at(self.path, self._key):
            return True
        self._let_go()
        return False

    def _is_first(self) -> bool:
        """Claim the file among the downloads of this process.

        :return: whether no other download of this process is writing to it.
        """
        mine = weakref.ref(self)
        first = _claims.setdefault(self._key, mine)
        if first is not mine and first() is not None:
            return False
        _claims[self._key] = mine  # also if Ctrl-C kept an earlier download from releasing it
        return True

    def _let_go(self) -> None:
        try:
            if not self._file.closed:
                file_lock.unlock(self._file)
            self._file.close()
        finally:
            self._unclaim()

    def _unclaim(self) -> None:
        claim = _claims.get(self._key)
        if claim is not None and claim() is self:
            del _claims[self._key]

    def after_fork(self) -> None:
        """Close the parent's file: this process would otherwise keep it locked after the parent exits."""
        self._unclaim()
        if not self._file.closed:
            with open(os.devnull, "r+b") as nothing:
                os.dup2(nothing.fileno(), self._file.fileno(), inheritable=False)

    def at_exit(self, timeout: float) -> None:
        """Do nothing: the downloading thread cleans up, or the next download does."""

    def _check_process(self) -> None:
        """Check that the download belongs to this process.

        :raises Forked: it belongs to the parent process.
        """
        if self._generation != process.generation():
            raise process.forked_error()

    def begin(self) -> None:
        """Read the state that an earlier download left.

        :raises OSError: the note exists but is not a regular file of this user.
        """
        note = self._read_note()
        known, total, change = note.get("validator"), note.get("total"), note.get("changed")
        if note.get("origin") == self._origin and isinstance(known, str) and known:
            self.validator = known
            self.changed = change if isinstance(change, str) else ""
            self.total = total if isinstance(total, int) and not isinstance(total, bool) else None
            self.size = self._file.seek(0, os.SEEK_END)
        self._cut(self.size)

    def _read_note(self) -> dict[str, Any]:
        if not self._origin:
            return {}
        try:
            number = open_own(self._note, create=False)
        except FileNotFoundError:
            self._note_is_ours = True
            return {}
        self._note_is_ours = True
        with os.fdopen(number, "rb") as file:
            try:
                found = json.loads(file.read(_LONGEST_NOTE))
            except (ValueError, RecursionError):
                return {}
        return found if isinstance(found, dict) else {}

    def restart(self) -> None:
        """Discard the bytes received so far."""
        self._cut(0)
        self.validator, self.changed, self.total = "", "", None

    def _cut(self, size: int) -> None:
        self._file.seek(size)
        self._file.truncate()
        self.size = size

    def remember(self, validator: str, changed: str, total: int | None) -> None:
        """Record which version of the file the bytes belong to, so that a later download can resume."""
        self._check_process()
        if (validator, changed, total) == (self.validator, self.changed, self.total):
            return
        self.validator, self.changed, self.total = validator, changed, total
        if validator and self._origin:
            self._write_note()

    def _write_note(self) -> None:
        self.spoiled = True  # without a complete note the download cannot be resumed
        with os.fdopen(open_own(self._note, create=True), "r+") as note:
            note.truncate()
            known = {"origin": self._origin, "validator": self.validator, "changed": self.changed, "total": self.total}
            note.write(json.dumps(known))
        self.spoiled = False

    def write(self, piece: bytes) -> None:
        """Append bytes: all of them or none.

        :raises OSError: the bytes cannot be written, for example because the disk is full.
        """
        self._check_process()
        left = memoryview(piece)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self._cut(self.size)
            raise
        self.size += len(piece)

    def move(self, target: Path) -> None:
        """Move the complete file to its target.

        :raises InvalidParameter: an ``AudioServer`` of this process is recording to the target.
        :raises OSError: another file has replaced the partial file, or the target cannot be replaced.
        """
        self._check_process()
        os.fsync(self._file.fileno())
        if not _is_at(self.path, self._key):
            raise OSError(errno.EEXIST, f"{self.path.name} was replaced by another file")
        Growing.check(target)  # a recording may have started since
        self._close_if_needed()
        # The note goes first: once the file is moved, both names belong to the next download.
        self._remove_note()
        try:
            os.replace(self.path, target)
        except OSError:
            if self.validator and self._origin:
                self._write_note()
            raise
        self._moved = True

    def end(self) -> None:
        """Release the file, and remove it if no other download can use it."""
        if self._generation != process.generation():
            return
        try:
            self._tidy_up()
        finally:
            self._let_go()

    def _tidy_up(self) -> None:
        if self._moved or not (self.spoiled or not self.validator or not self.size or not self._origin):
            return
        self._close_if_needed()
        self._remove_note()
        if _is_at(self.path, self._key):
            self.path.unlink(missing_ok=True)

    def _remove_note(self) -> None:
        if self._note_is_ours:
            self._note.unlink(missing_ok=True)

    def _close_if_needed(self) -> None:
        if sys.platform == "win32":  # Windows can neither rename nor remove an open file
            self._file.close()
