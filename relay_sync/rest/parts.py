"""A download's partial file, and a metadata file that lets a later download resume it.

The metadata file is called the note. The names of both files are predictable, and the directory may be writable by other users.
An existing file is therefore used only if it is a regular file that belongs to this user and has a single hard link. Symbolic
links are rejected.
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
#: Number of attempts to open a file that other downloads may move or remove at the same time.
_ATTEMPTS: Final = 16
_FLAGS: Final = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC"))
_Key = tuple[int, int]
#: The files that downloads of this process are writing. Needed because some file systems do not support locks.
_claims: Final[dict[_Key, weakref.ref[Part]]] = {}


def open_own(path: Path, *, create: bool) -> int:
    """Open a file for reading and writing without truncating it, and return its descriptor.

    :param path: path of the file.
    :param create: whether to create the file if it does not exist.
    :raises OSError: the file cannot be opened, or is not a regular file that belongs to this user.
    :raises FileNotFoundError: the file does not exist, and ``create`` is false.
    """
    for _ in range(_ATTEMPTS):
        if create:
            with suppress(FileExistsError):
                return _create(path)
        try:
            number = os.open(path, os.O_RDWR | _FLAGS)
        except FileNotFoundError:
            if create:  # the file was just removed, so create it
                continue
            raise
        opened = os.fstat(number)
        there = _is_at(path, _key(opened))
        if there and _is_ours(opened):
            return number
        os.close(number)
        if there:
            break
    reason = "exists but is not a regular file that you own with a single hard link; remove it"
    raise OSError(errno.EEXIST, f"{path.name} {reason}")


def _create(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o666)


def _is_ours(opened: os.stat_result) -> bool:
    mine = not hasattr(os, "geteuid") or opened.st_uid == os.geteuid()
    return stat.S_ISREG(opened.st_mode) and opened.st_nlink == 1 and mine


def _key(about: os.stat_result) -> _Key:
    return about.st_dev, about.st_ino


def _is_at(path: Path, key: _Key) -> bool:
    """Return whether a path still refers to this file."""
    try:
        return _key(os.lstat(path)) == key
    except FileNotFoundError:
        return False


@contextmanager
def kept(target: Path, url: str, *, resume: bool) -> Iterator[Part]:
    """Open a download's partial file. On exit, remove the file unless it was moved or another download can resume it.

    :param target: path of the complete file.
    :param url: URL of the download.
    :param resume: whether to use a file with a fixed name, so that downloads can be resumed.
    :raises OSError: the file cannot be written, or ``resume`` is true and another download is writing to the file.
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
    """A partial file, and the remote file version that its bytes belong to.

    :ivar path: path of the partial file.
    :ivar size: number of bytes received.
    :ivar validator: ``ETag`` or modification time that identifies the version, or ``""`` if the server sent none.
    :ivar changed: modification time that the server sent, or ``""``.
    :ivar total: size of the complete file in bytes, or ``None`` if unknown.
    :ivar spoiled: whether the bytes are unusable for another download.
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
        """Lock the file against other downloads.

        The lock always works within this process. It also works across processes if the file system supports locks.

        :return: whether the file still exists under its name. If the previous download has moved or removed it, this method
            closes the file and returns ``False``.
        :raises OSError: another download is writing to the file. This method closes the file.
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
        """Claim the file for this download.

        :return: whether the claim succeeded. It fails if another download of this process is writing to the file.
        """
        mine = weakref.ref(self)
        first = _claims.setdefault(self._key, mine)
        if first is not mine and first() is not None:
            return False
        _claims[self._key] = mine  # an earlier claim is stale if Ctrl-C interrupted its release
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
        """Close the parent's file in a forked child process, which would otherwise keep it locked after the parent exits."""
        self._unclaim()
        if not self._file.closed:
            with open(os.devnull, "r+b") as nothing:
                os.dup2(nothing.fileno(), self._file.fileno(), inheritable=False)

    def at_exit(self, timeout: float) -> None:
        """Do nothing. The downloading thread or the next download cleans up."""

    def _check_process(self) -> None:
        """Check that the download was started in this process.

        :raises Forked: it was started in the parent process.
        """
        if self._generation != process.generation():
            raise process.forked_error()

    def begin(self) -> None:
        """Restore an earlier download's state from its note. If there is no valid note, empty the file.

        :raises OSError: the note exists but is not a regular file that belongs to this user.
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
        """Store the remote file's version in the note, so that a later download can resume this one.

        :param validator: ``ETag`` or modification time that identifies the version, or ``""``.
        :param changed: modification time that the server sent, or ``""``.
        :param total: size of the complete file in bytes, or ``None`` if unknown.
        """
        self._check_process()
        if (validator, changed, total) == (self.validator, self.changed, self.total):
            return
        self.validator, self.changed, self.total = validator, changed, total
        if validator and self._origin:
            self._write_note()

    def _write_note(self) -> None:
        self.spoiled = True  # the download cannot be resumed until the note is complete
        with os.fdopen(open_own(self._note, create=True), "r+") as note:
            note.truncate()
            known = {"origin": self._origin, "validator": self.validator, "changed": self.changed, "total": self.total}
            note.write(json.dumps(known))
        self.spoiled = False

    def write(self, piece: bytes) -> None:
        """Append bytes to the file. If this fails, the file is truncated to its previous size.

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
        """Move the complete file to its final path.

        :param target: final path.
        :raises InvalidParameter: an ``AudioServer`` of this process is recording to the target.
        :raises OSError: another file has replaced the partial file, or the target cannot be replaced.
        """
        self._check_process()
        os.fsync(self._file.fileno())
        if not _is_at(self.path, self._key):
            raise OSError(errno.EEXIST, f"{self.path.name} was replaced by another file")
        Growing.check(target)  # a recording may have started in the meantime
        self._close_if_needed()
        # Remove the note before moving the file. After the move, another download may use both names.
        self._remove_note()
        try:
            os.replace(self.path, target)
        except OSError:
            if self.validator and self._origin:
                self._write_note()
            raise
        self._moved = True

    def end(self) -> None:
        """Release the file, and remove it if no other download can resume it."""
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
        if sys.platform == "win32":  # on Windows, open files cannot be renamed or removed
            self._file.close()
