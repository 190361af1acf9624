"""The file that grows while a recording is fetched, and the note beside it by which it is resumed.

Both names can be foreseen. In a directory where others may write, what already has such a name is used only if it is ours:
a regular file of this user with one name, and no link.
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
#: How often to open a file that downloads which end move away or remove in the same moment.
_ATTEMPTS: Final = 16
_FLAGS: Final = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC"))
_Key = tuple[int, int]
#: What downloads of this process write: not every file system has locks.
_claims: Final[dict[_Key, weakref.ref[Part]]] = {}


def open_own(path: Path, *, create: bool) -> int:
    """Open a file to read and write: a new one, or one that is there and ours. Its contents stay.

    :raises OSError: it is not ours, or cannot be opened. :raises FileNotFoundError: there is none, and none is to be made.
    """
    for _ in range(_ATTEMPTS):
        if create:
            with suppress(FileExistsError):
                return _create(path)
        try:
            number = os.open(path, os.O_RDWR | _FLAGS)
        except FileNotFoundError:
            if create:  # it went just now
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
    """Whether a name is still that of a file."""
    try:
        return _key(os.lstat(path)) == key
    except FileNotFoundError:
        return False


@contextmanager
def kept(target: Path, url: str, *, resume: bool) -> Iterator[Part]:
    """The file that grows beside a target. It stays for another attempt if that can resume it, and else goes.

    :raises OSError: it cannot be written, or with *resume* another download is writing it.
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
    raise OSError(errno.EBUSY, f"other downloads to it come and go ({path.name}); resume=False keeps them apart")


@define(eq=False)
class Part:
    """What is there so far, of which version of the file.

    :ivar size: bytes that are there. :ivar validator: names the version; empty where the server names none.
    :ivar changed: when the server says that it was last changed; empty where it does not.
    :ivar total: bytes of the whole, where that is known. :ivar spoiled: whether it is of no use to another attempt.
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
        """Keep other downloads off the file until it is let go: those of this process, and where the system can those of others.

        :return: whether the file still has its name. Else the download that had it has moved or removed it, and it is closed.
        :raises OSError: another download writes it; this one has closed it.
        """
        if not self._is_first() or not file_lock.lock(self._file):
            self._let_go()
            reason = f"another download to it is under way ({self.path.name}); resume=False keeps them apart"
            raise OSError(errno.EBUSY, reason)
        if _is_at(self.path, self._key):
            return True
        self._let_go()
        return False

    def _is_first(self) -> bool:
        """Claim it among the downloads of this process. :return: whether none of them writes it."""
        mine = weakref.ref(self)
        first = _claims.setdefault(self._key, mine)
        if first is not mine and first() is not None:
            return False
        _claims[self._key] = mine  # also after one that Ctrl-C kept from letting go
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
        """The file is the parent's. This process would keep it locked beyond the parent's end."""
        self._unclaim()
        if not self._file.closed:
            with open(os.devnull, "r+b") as nothing:
                os.dup2(nothing.fileno(), self._file.fileno(), inheritable=False)

    def at_exit(self, timeout: float) -> None:
        """The thread that downloads tidies up, or the next attempt does."""

    def _check_process(self) -> None:
        """:raises Forked: the download is that of the parent."""
        if self._generation != process.generation():
            raise process.forked_error()

    def begin(self) -> None:
        """Look at what an earlier attempt has left.

        :raises OSError: a note is there that is not ours.
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
        """Begin anew: nothing of what is there fits."""
        self._cut(0)
        self.validator, self.changed, self.total = "", "", None

    def _cut(self, size: int) -> None:
        self._file.seek(size)
        self._file.truncate()
        self.size = size

    def remember(self, validator: str, changed: str, total: int | None) -> None:
        """Note down what has to be the same next time."""
        self._check_process()
        if (validator, changed, total) == (self.validator, self.changed, self.total):
            return
        self.validator, self.changed, self.total = validator, changed, total
        if validator and self._origin:
            self._write_note()

    def _write_note(self) -> None:
        self.spoiled = True  # without a whole note nobody can resume it
        with os.fdopen(open_own(self._note, create=True), "r+") as note:
            note.truncate()
            known = {"origin": self._origin, "validator": self.validator, "changed": self.changed, "total": self.total}
            note.write(json.dumps(known))
        self.spoiled = False

    def write(self, piece: bytes) -> None:
        """Append to what is there, all or nothing.

        :raises OSError: there is no room for it, say.
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
        """It is complete.

        :raises InvalidParameter: something is being recorded to the target.
        :raises OSError: another file has taken its name, or the target cannot be replaced.
        """
        self._check_process()
        os.fsync(self._file.fileno())
        if not _is_at(self.path, self._key):
            raise OSError(errno.EEXIST, f"{self.path.name} was replaced by another file")
        Growing.check(target)  # a recording may have begun meanwhile
        self._close_if_needed()
        # Everything before the file has left its name: from then on that name, and the note's, is the next download's.
        self._remove_note()
        try:
            os.replace(self.path, target)
        except OSError:
            if self.validator and self._origin:
                self._write_note()
            raise
        self._moved = True

    def end(self) -> None:
        """Let it go, and remove what no other attempt can use."""
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
        if sys.platform == "win32":  # an open file can be neither renamed nor removed there
            self._file.close()
