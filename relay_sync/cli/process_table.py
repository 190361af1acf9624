"""The processes of this machine, as Linux lists them in ``/proc``. Other systems have no such list, and it is empty there."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import frozen

__all__ = ["SystemProcess", "group_exists", "has_running", "kill_all", "signal_group", "started_by", "with_variable"]

_LIST: Final = Path("/proc")


@frozen
class SystemProcess:
    """A process.

    :ivar pid: its ID.
    :ivar began: time of its start in the system's unit, which distinguishes it from a later process with the same ID.
    """

    pid: int
    began: str


@frozen
class _Entry:
    process: SystemProcess
    parent: int
    group: int
    is_over: bool  # Whether the process has ended and its parent has not read the exit code.


def _all() -> Iterator[_Entry]:
    for folder in _LIST.glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            yield _entry(int(folder.name))


def _entry(pid: int) -> _Entry:
    # The second field is the name in parentheses, which may contain spaces and parentheses. Numbers are counted after it.
    fields = (_LIST / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    return _Entry(SystemProcess(pid, fields[19]), int(fields[1]), int(fields[2]), fields[0] in "ZX")


def started_by(pid: int) -> set[SystemProcess]:
    """Return the processes that a process has started, and the processes that these have started."""
    entries = list(_all())
    found: set[SystemProcess] = set()
    parents = {pid}
    while parents:
        children = {each.process for each in entries if each.parent in parents} - found
        found |= children
        parents = {child.pid for child in children}
    return found


def with_variable(name: str, value: str) -> set[SystemProcess]:
    """Return the processes of this user that were started with an environment variable of this value."""
    found: set[SystemProcess] = set()
    wanted = os.fsencode(f"{name}={value}")
    for each in _all():
        with suppress(OSError):
            if wanted in (_LIST / str(each.process.pid) / "environ").read_bytes().split(b"\0"):
                found.add(each.process)
    return found


def has_running(group: int) -> bool | None:
    """Return whether a process group has a process that has not ended, or ``None`` if the system does not list processes."""
    entries = list(_all())
    return any(each.group == group and not each.is_over for each in entries) if entries else None


def group_exists(group: int) -> bool:
    """Return whether a process group has a process, which may have ended without its parent having read the exit code."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):  # macOS refuses signals to a group of zombies.
        return False
    return True


def signal_group(group: int, number: signal.Signals) -> None:
    """Send a signal to a process group, if it exists."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def kill_all(processes: Collection[SystemProcess]) -> None:
    """Kill these processes, except processes that have ended."""
    for process in processes:
        with suppress(OSError, ValueError, IndexError):
            if _entry(process.pid).process == process:  # Otherwise, another process has received the ID.
                os.kill(process.pid, signal.SIGKILL)
