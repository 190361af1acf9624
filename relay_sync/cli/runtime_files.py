"""Files by which the commands of a user find the simulators that this user runs on the same machine.

Each ``relay-sync simulate`` and ``relay-sync dev`` writes ``<runtime folder>/relay-sync/<pid>.json`` and deletes it when it ends.
The runtime folder is ``$XDG_RUNTIME_DIR``, or the platform's folder for caches. Only the user can read the folder and its files.

A simulator keeps its file locked, and the system releases the lock even if the process is killed. An unlocked file of a process
that is gone is deleted by the next command. A file also contains a random ID, and a command sends the key only to a process that
has proven to know this ID (see :mod:`relay_sync.cli.sim.finding`), because another program may have taken the port since.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from attrs import asdict, field, fields, frozen

from ..threads import file_lock
from .arguments import CONTROL_TOKEN

__all__ = [
    "FolderRefused",
    "NoFolder",
    "RunningSimulator",
    "announced",
    "find_files",
    "forget",
    "prepared_folder",
    "runtime_folder",
    "write_file",
]

#: Maximum size of a file, in bytes.
_LONGEST: Final = 64 * 1024


class FolderRefused(OSError):
    """Raised if the folder for the files cannot be trusted. The message contains its path and the reason."""


class NoFolder(OSError):
    """Raised if the user has no folder for the files, for example in a container without an entry for the user's ID."""


@frozen(kw_only=True)
class RunningSimulator:
    """Content of a file.

    :ivar pid: ID of the process.
    :ivar control: URL of the control interface.
    :ivar key: key of the control interface.
    :ivar id: random ID of the simulator, which it proves to know before it receives the key.
    :ivar command: command line that runs the simulator, for people.
    :ivar started: time of the start, in seconds since the epoch.
    """

    pid: int
    control: str
    key: str = field(repr=False)
    id: str = field(repr=False)
    command: str
    started: float


_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    each.name: (int, float) if each.name == "started" else int if each.name == "pid" else str
    for each in fields(RunningSimulator)
}


def runtime_folder() -> Path:
    """Return the folder for the files. It may not exist.

    :raises NoFolder: the user has no home folder, and the environment names no folder.
    """
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(given) and _is_own_folder(Path(given)):  # After su, the variable may name another user's folder.
        return Path(given) / "relay-sync"
    try:
        return _cache_folder() / "relay-sync"
    except RuntimeError:
        raise NoFolder("this user has no home folder; set XDG_RUNTIME_DIR to a folder of this user") from None


def _cache_folder() -> Path:
    if sys.platform == "win32":
        given = os.environ.get("LOCALAPPDATA", "")
        return Path(given) if os.path.isabs(given) else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    given = os.environ.get("XDG_CACHE_HOME", "")
    return Path(given) if os.path.isabs(given) else Path.home() / ".cache"


@contextmanager
def write_file(running: RunningSimulator) -> Iterator[Path]:
    """Write a file, and delete it at the end of the ``with`` block.

    :param running: content of the file.
    :raises FolderRefused: the folder belongs to another user, or is a symbolic link or a file.
    :raises OSError: the file cannot be written.
    """
    folder = prepared_folder()
    path = folder / f"{running.pid}.json"
    number, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=folder)  # Creates the file with mode 0600.
    try:
        with os.fdopen(number, "w+b") as ours:  # Keep the file open, because it is locked until it is closed.
            file_lock.lock(ours)
            ours.write(json.dumps(asdict(running)).encode())
            ours.flush()
            os.replace(temporary, path)
            try:
                yield path
            finally:
                with suppress(OSError):
                    _unlink(path, ours.fileno())
    finally:
        with suppress(OSError):
            os.unlink(temporary)


@contextmanager
def announced(control: str, key: str, instance_id: str, command: str, say: Callable[[str], None]) -> Iterator[None]:
    """Write the file of a simulator in this process, and delete it at the end of the ``with`` block.

    If the file cannot be written, the simulator still works, but ``relay-sync sim`` needs its URL and its key.

    :param control: URL of the control interface.
    :param key: key of the control interface.
    :param instance_id: random ID of the simulator.
    :param command: command line that runs the simulator, for people.
    :param say: called with a line that tells why the file was not written.
    """
    running = RunningSimulator(
        pid=os.getpid(), control=control, key=key, id=instance_id, command=command, started=time.time()
    )
    with ExitStack() as stack:
        try:
            stack.enter_context(write_file(running))
        except OSError as error:
            say(
                f"no file for relay-sync sim was written, so it needs --simulator {control} and {CONTROL_TOKEN}: {error}"
            )
        yield


def find_files() -> list[RunningSimulator]:
    """Return the content of all files, starting with the newest. Files of processes that are gone are deleted.

    :raises FolderRefused: the folder belongs to another user, or is a symbolic link or a file.
    """
    try:
        folder = runtime_folder()
    except NoFolder:
        return []
    if not os.path.lexists(folder):
        return []
    _check(folder)
    found = []
    for path in sorted(folder.glob("*.json")):
        if path.stem.isdecimal() and (running := _read(path)) is not None:
            found.append(running)
    return sorted(found, key=lambda each: each.started, reverse=True)


def forget(running: RunningSimulator) -> None:
    """Delete the file of a simulator that did not answer, unless a running process holds its lock.

    :param running: content of the file.
    """
    path = runtime_folder() / f"{running.pid}.json"
    with suppress(OSError), _open(path) as there:
        if file_lock.lock(there):
            _unlink(path, there.fileno())


def prepared_folder() -> Path:
    """Return the folder for the files, and create it if it does not exist.

    :raises FolderRefused: the folder belongs to another user, or is a symbolic link or a file.
    :raises OSError: the folder cannot be created, or the user has no folder for the files.
    """
    folder = runtime_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    _check(folder)
    if os.name == "posix" and stat.S_IMODE(folder.stat().st_mode) != 0o700:
        folder.chmod(0o700)
    return folder


def _check(folder: Path) -> None:
    about = os.lstat(folder)
    if stat.S_ISLNK(about.st_mode):
        raise FolderRefused(
            f"the folder {folder} is a symbolic link, which may lead to another user's files; remove it"
        )
    if not stat.S_ISDIR(about.st_mode):
        raise FolderRefused(f"{folder} is not a folder; remove it")
    if not _is_own(about):
        raise FolderRefused(f"the folder {folder} belongs to another user; remove it, or set XDG_RUNTIME_DIR")


def _is_own_folder(path: Path) -> bool:
    try:
        about = os.stat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISDIR(about.st_mode) and _is_own(about)


def _is_own(about: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or about.st_uid == os.getuid()  # Windows has no user IDs.


def _open(path: Path) -> Any:
    """Open a file for reading. Symbolic links are refused, and a pipe does not block."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    return os.fdopen(os.open(path, flags), "rb")


def _read(path: Path) -> RunningSimulator | None:
    """Return the content of a file. Delete the file and return ``None`` if its process is gone."""
    try:
        with _open(path) as there:
            about = os.fstat(there.fileno())
            if not stat.S_ISREG(about.st_mode) or not _is_own(about) or about.st_size > _LONGEST:
                return None
            running = _parsed(there.read(_LONGEST))
            # Where files cannot be locked, only the process ID shows whether the simulator is running.
            if file_lock.lock(there) and not _is_alive(int(path.stem)):
                _unlink(path, there.fileno())
                return None
    except (OSError, ValueError, OverflowError, RecursionError):
        return None
    return running if running is not None and running.pid == int(path.stem) else None


def _parsed(text: bytes) -> RunningSimulator | None:
    content = json.loads(text)
    if not isinstance(content, dict) or content.keys() != _TYPES.keys():
        return None
    if not all(isinstance(content[name], kind) for name, kind in _TYPES.items()):
        return None
    return RunningSimulator(**content)


def _unlink(path: Path, number: int) -> None:
    # Another process may have replaced the file, also one with the same ID in another container.
    if os.path.samestat(os.lstat(path), os.fstat(number)):
        path.unlink()


def _is_alive(pid: int) -> bool:
    if os.name != "posix":
        return True  # On Windows, os.kill() would end the process.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
