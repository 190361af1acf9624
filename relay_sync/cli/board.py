"""What the supervisor knows of its processes, for the health server.

The supervisor's main thread replaces the content several times a second. The threads of the health server read it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen

from ..health.report import Report, Samples
from ..health.verdicts import Overview, ProcessHealth
from ..threads.flag import Bell

__all__ = ["Board", "Seen"]

#: Age at which a reader waits for newer content, in seconds. After the supervisor was suspended, all content is old until it has
#: read what its processes reported in the meantime.
OLD: Final = 1.0
#: Maximum time to wait for newer content, in seconds.
PATIENCE: Final = 1.0


@frozen(kw_only=True)
class Seen:
    """A running process.

    :ivar number: index of the process.
    :ivar pid: process ID.
    :ivar started: monotonic time of the start.
    :ivar latest: latest report, or ``None``.
    :ivar heard: monotonic time of that report.
    """

    number: int
    pid: int
    started: float
    latest: Report | None
    heard: float


@frozen(kw_only=True)
class _Content:
    read: float  # Monotonic time at which the reports were read.
    running: Mapping[int, Seen]
    draining: bool
    past: Mapping[int, Samples]
    starts: Mapping[int, int]


class Board:
    """Latest state of all processes. Thread-safe.

    :param count: number of processes that should run.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._bell = Bell()
        self._content = _Content(read=time.monotonic(), running={}, draining=False, past={}, starts={})

    def post(
        self,
        running: Sequence[Seen],
        *,
        read: float,
        draining: bool,
        past: Mapping[int, Samples],
        starts: Mapping[int, int],
    ) -> None:
        """Replace the content, after the reports have been read.

        :param running: the running processes.
        :param read: monotonic time at which their reports were read.
        :param draining: whether the program was asked to stop.
        :param past: sums of the counters of processes that have exited, by index.
        :param starts: number of starts, by index.
        """
        self._content = _Content(
            read=read,
            running={seen.number: seen for seen in running},
            draining=draining,
            past=dict(past),
            starts=dict(starts),
        )
        self._bell.ring()

    def look(self) -> Overview:
        """Return the state of all processes. Wait up to a second if the content is old."""
        self._bell.sleep(self._is_fresh, PATIENCE)
        content, now = self._content, time.monotonic()
        return Overview(
            processes=tuple(
                _health(number, content.running.get(number), content.read) for number in range(self._count)
            ),
            draining=content.draining,
            unread=now - content.read,
            past=content.past,
            starts=content.starts,
        )

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._content.read <= OLD


def _health(number: int, seen: Seen | None, read: float) -> ProcessHealth:
    """Return the state of a process when the reports were read. A report that has not been read yet is no silence."""
    if seen is None:
        return ProcessHealth(number=number)
    since = seen.started if seen.latest is None else seen.heard
    return ProcessHealth(
        number=number,
        pid=seen.pid,
        age=max(0.0, read - seen.started),
        report=seen.latest,
        silence=max(0.0, read - since),
    )
