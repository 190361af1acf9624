"""Decide from the reports of all processes whether a program is alive, and whether it accepts calls.

The functions read no clock. Every age is part of the :class:`Overview`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from ..text.wording import counted, listed
from .report import Report, Samples

__all__ = ["Overview", "ProcessHealth", "Verdict", "is_connected", "live", "ready"]

#: Time in which an IO thread must answer a wake-up, in seconds.
ANSWER_PATIENCE: Final = 2.0
#: Time after which a process that has sent no report is considered stuck, in seconds.
SILENCE_PATIENCE: Final = 5.0
#: The same for a process that has not sent its first report, because it is importing the program, or whose last report
#: announced its exit.
START_PATIENCE: Final = 60.0
#: State of a process that accepts calls.
_CONNECTED: Final = "connected"
#: State of a process that no longer accepts calls.
_DRAINING: Final = "draining"


@frozen(kw_only=True)
class ProcessHealth:
    """One process, and its latest report.

    :ivar number: index of the process, starting at 0.
    :ivar pid: process ID; ``None`` while the process is not running.
    :ivar age: time since its start, in seconds.
    :ivar report: latest report, or ``None``.
    :ivar silence: time since that report, in seconds; since the start if there is none.
    """

    number: int
    pid: int | None = None
    age: float = 0.0
    report: Report | None = None
    silence: float = 0.0


@frozen(kw_only=True)
class Overview:
    """All processes of a program.

    :ivar processes: the processes, by index.
    :ivar draining: whether the program was asked to stop.
    :ivar unread: time since the reports were last read, in seconds.
    :ivar past: sums of the counters of processes that have exited, by index.
    :ivar starts: number of starts, by index.
    """

    processes: tuple[ProcessHealth, ...]
    draining: bool = False
    unread: float = 0.0
    past: Mapping[int, Samples] = field(factory=dict)
    starts: Mapping[int, int] = field(factory=dict)


@frozen
class Verdict:
    """Answer to a health check.

    :ivar good: the answer.
    :ivar lines: explanation, one line per fact.
    """

    good: bool
    lines: tuple[str, ...]


def live(overview: Overview) -> Verdict:
    """Decide whether all processes are alive: none is silent, and all of their IO threads answer.

    A process that has exited and waits for its restart is no reason to restart the others.

    :param overview: the processes.
    """
    problems: list[str] = []
    if overview.unread > SILENCE_PATIENCE:
        problems.append(f"the supervisor has not read the reports of its processes for {overview.unread:.1f} s")
    for process in overview.processes:
        if process.pid is not None:
            problems += _problems(process)
    return Verdict(not problems, tuple(problems) or ("live",))


def _problems(process: ProcessHealth) -> list[str]:
    name, report, silent = f"process {process.number} (pid {process.pid})", process.report, process.silence
    if report is None:
        if silent > START_PATIENCE:
            return [f"{name} has sent no report in the {silent:.1f} s since its start"]
        return []
    if silent > (START_PATIENCE if report.over else SILENCE_PATIENCE):
        return [f"{name} has been silent for {silent:.1f} s"]
    stuck = [f"{thread} for {silence:.1f} s" for thread, silence in report.silent.items() if silence > ANSWER_PATIENCE]
    return [f"{name}: {counted(len(stuck), 'IO thread')} not answering: {listed(stuck)}"] if stuck else []


def ready(overview: Overview) -> Verdict:
    """Decide whether the program accepts calls: at least one process is connected and not draining.

    :param overview: the processes.
    """
    states = [_state(process) for process in overview.processes]
    if overview.draining:
        states = [_DRAINING if state == _CONNECTED else state for state in states]
    connected = states.count(_CONNECTED)
    of = counted(len(states), "process", "processes")
    lines = [f"{connected} of {of} connected" + (", stopping" if overview.draining else "")]
    lines += [f"process {process.number}: {state}" for process, state in zip(overview.processes, states, strict=True)]
    return Verdict(connected > 0, tuple(lines))


def is_connected(process: ProcessHealth) -> bool:
    """Return whether a process is connected and accepts calls, according to its latest report.

    :param process: the process.
    """
    return _state(process) == _CONNECTED


def _state(process: ProcessHealth) -> str:
    """Return :data:`_CONNECTED` if a process accepts calls, otherwise why it does not."""
    report = process.report
    if process.pid is None:
        return "not running"
    if report is None:
        return "starting"
    if process.silence > SILENCE_PATIENCE:
        return f"silent for {process.silence:.1f} s"
    if report.draining or report.over:
        return _DRAINING
    return _CONNECTED if report.connected else "not connected"
