"""The file that grows while a recording is fetched, and the note beside it by which it is resumed.

Both names can be foreseen. In a directory where others may write, what already has such a name is used only if it is ours:
a regular file of this user with one name, and no link.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from attrs import define

if sys.platform != "win32":
    import fcntl

__all__ = ["Part", "kept"]

_LONGEST_NOTE: Final = 65536
_FLAGS: Final = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC"))


def open_own(path: Path, *, create: bool) -> int:
    """Open a file to read and write: a new one, or one that is there and ours. Its contents stay.

    :raises OSError: it is not ours, or cannot be opened. :raises FileNotFoundError: there is none, and none is to be made.
    """
    if create:
        try:
            return _create(path)
        except FileExistsError:
            pass
    number = os.open(path, os.O_RDWR | _FLAGS)
    if not _is_ours(path, os.fstat(number)):
        os.close(number)
        reason = "exists and is not a regular file of this user with a single name; remove it"
        raise OSError(errno.EEXIST, f"{path.name} {reason}")
    return number


def _create(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o666)


def _claim(file: IO[bytes], path: Path) -> None:
    """Keep other downloads off the file until it is closed, where the system can do that.

    :raises OSError: another download writes it, or has just finished it.
    """
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_ours(path, os.fstat(file.fileno())):
            return
    except FileNotFoundError:
        pass  # it has been moved to its target
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            return  # a file system without locks
    file.close()
    raise OSError(errno.EBUSY, f"another download to it is under way ({path.name}); resume=False keeps them apart")


def _is_ours(path: Path, opened: os.stat_result) -> bool:
    mine = not hasattr(os, "geteuid") or opened.st_uid == os.geteuid()
    return stat.S_ISREG(opened.st_mode) and opened.st_nlink == 1 and mine and os.path.samestat(opened, os.lstat(path))


@contextmanager
def kept(target: Path, url: str, *, resume: bool) -> Iterator[Part]:
    """The file that grows beside a target. It stays for another attempt if that can resume it, and else goes."""
    if resume:
        path = target.with_name(f"{target.name}.part")
        file = os.fdopen(open_own(path, create=True), "r+b")
        _claim(file, path)
        part = Part(path, file, hashlib.sha256(url.encode()).hexdigest())
    else:
        path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        part = Part(path, os.fdopen(_create(path), "w+b"), "")
    try:
        part.begin()
        yield part
    finally:
        part.end()


@define(eq=False)
class Part:
    """What is there so far, of which version of the file.

    :ivar size: bytes that are there. :ivar validator: names the version; empty where the server names none.
    :ivar changed: when the server says that it was last changed; empty where it does not.
    :ivar total: bytes of the whole, where that is known. :ivar spoiled: whether it is of no use to another attempt.
    """

    path: Path
    _file: IO[bytes]
    _origin: str
    size: int = 0
    validator: str = ""
    changed: str = ""
    total: int | None = None
    spoiled: bool = False
    _moved: bool = False
    _note_is_ours: bool = False

    @property
    def _note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

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
        if (validator, changed, total) == (self.validator, self.changed, self.total):
            return
        self.validator, self.changed, self.total = validator, changed, total
        if validator and self._origin:
            self.spoiled = True  # without a whole note nobody can resume it
            with os.fdopen(open_own(self._note, create=True), "r+") as note:
                note.truncate()
                known = {"origin": self._origin, "validator": validator, "changed": changed, "total": total}
                note.write(json.dumps(known))
            self.spoiled = False

    def write(self, piece: bytes) -> None:
        """Append to what is there."""
        self._file.write(piece)
        self.size += len(piece)

    def move(self, target: Path) -> None:
        """It is complete.

        :raises OSError: another file has taken its name.
        """
        self._file.flush()
        os.fsync(self._file.fileno())
        if not os.path.samestat(os.fstat(self._file.fileno()), os.lstat(self.path)):
            raise OSError(errno.EEXIST, f"{self.path.name} was replaced by another file")
        self._file.close()
        os.replace(self.path, target)
        self._moved = True

    def end(self) -> None:
        """Close it, and remove what no other attempt can use.

        :raises OSError: what was left in memory cannot be written, on a full disk say.
        """
        try:
            self._file.close()
        except OSError:
            self.size = self.path.stat().st_size
            raise
        finally:
            self._tidy_up()

    def _tidy_up(self) -> None:
        if not (self._moved or self.spoiled or not self.validator or not self.size or not self._origin):
            return
        if self._note_is_ours:
            self._note.unlink(missing_ok=True)
        if not self._moved:
            self.path.unlink(missing_ok=True)
