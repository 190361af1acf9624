"""Health of a program that runs in one process."""

from __future__ import annotations

import os
import time
from typing import Final

from ..threads.flag import Bell
from .beat import Beat
from .report import EVERY, Report
from .snapshot import Snapshots
from .verdicts import Overview, ProcessHealth

__all__ = ["OwnHealth"]

#: Age of a report at which a reader waits for the next one, in seconds. After the process was suspended, the latest report is
#: old, although the thread that makes the reports is about to run.
OLD: Final = 2 * EVERY
#: Maximum time to wait for the next report, in seconds.
PATIENCE: Final = 1.0


class OwnHealth:
    """Latest report of this process."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._latest: tuple[float, Report] | None = None
        self._beat: Beat | None = None
        self._bell = Bell()

    def start(self, snapshots: Snapshots) -> None:
        """Start to take reports, in a thread of its own.

        :param snapshots: makes the reports.
        :raises RuntimeError: the system cannot start a thread.
        """
        self._beat = Beat("relay-health-report", snapshots.report, self._take)
        self._beat.start()

    def close(self, timeout: float = 2.0) -> None:
        """Stop taking reports.

        :param timeout: maximum time to wait, in seconds.
        """
        if self._beat is not None:
            self._beat.close(timeout)

    def look(self) -> Overview:
        """Return the state of this process. Wait up to a second if its latest report is old."""
        self._bell.sleep(self._is_fresh, PATIENCE)
        now, latest = time.monotonic(), self._latest
        since, report = (self._started, None) if latest is None else latest
        mine = ProcessHealth(
            number=0, pid=os.getpid(), age=now - self._started, report=report, silence=max(0.0, now - since)
        )
        return Overview(processes=(mine,))

    def _take(self, report: Report) -> None:
        self._latest = (time.monotonic(), report)
        self._bell.ring()

    def _is_fresh(self) -> bool:
        latest = self._latest
        return latest is None or time.monotonic() - latest[0] <= OLD
