"""Status reports from a process to its supervisor, sent through a pipe.

A report is one line of text. ``ready`` reports that the client is connected. ``wrong`` reports an invalid configuration, and
``broken`` an exception in the user's program. The latter two are followed by the message as a JSON string. ``report`` is followed
by a :class:`..health.report.Report`, once a second.

Neither end blocks. If the supervisor does not read, the process leaves out reports, and if the process stops in the middle of a
line, the supervisor waits for the rest without holding up other processes.
"""

from __future__ import annotations

import json
import os
import threading
import time
from typing import TYPE_CHECKING, Final

from attrs import define, field

from ..health.beat import Beat
from ..health.report import LONGEST, Report
from ..threads import logs, process
from ..threads.rate_limited_log import RateLimitedLog

if TYPE_CHECKING:
    from ..health.snapshot import Snapshots

__all__ = ["VARIABLE", "Reporter", "Reports"]

_log = logs.get("relay_sync").later

#: Environment variable that contains the file descriptor of the pipe.
VARIABLE: Final = "RELAY_SYNC_REPORTS"
#: Maximum number of characters of an error message.
_LONGEST_TEXT: Final = 4000
_PIECE: Final = 65536
#: Maximum number of bytes to read at once from a process that writes without end.
_MOST_AT_ONCE: Final = 16 * _PIECE


class Reporter:
    """Sender of reports in the child process. If there is no supervisor, reports are discarded.

    :ivar supervised: whether the process has a supervisor.
    :ivar is_ready: whether :meth:`ready` was called.
    """

    def __init__(self) -> None:
        number = os.environ.pop(VARIABLE, "")
        self._number = int(number) if number.isdecimal() else None
        self.is_ready: bool = False
        self._lock = threading.RLock()
        #: What the pipe has not accepted yet. Lines are never mixed, because the rest of one is sent before the next.
        self._unsent = b""
        self._snapshots: Snapshots | None = None
        self._beat: Beat | None = None
        self._troubles = RateLimitedLog(_log)
        if self._number is not None:
            try:
                os.set_blocking(self._number, False)
                os.set_inheritable(self._number, False)
            except (OSError, OverflowError):  # The descriptor is not open, so there is no supervisor.
                self._number = None
            process.watch(self)

    @property
    def supervised(self) -> bool:
        return self._number is not None

    def ready(self) -> None:
        """Report that the client is connected."""
        self.is_ready = True
        self._write("ready")

    def wrong(self, text: str) -> bool:
        """Report that the configuration is invalid.

        :param text: error message.
        :return: whether the report was sent, in which case the supervisor prints the message.
        """
        return self._write(f"wrong {json.dumps(text[:_LONGEST_TEXT])}")

    def broken(self, text: str) -> bool:
        """Report that the user's program raised an exception before it created a client.

        :param text: error message.
        :return: whether the report was sent, in which case the supervisor prints the message.
        """
        return self._write(f"broken {json.dumps(text[:_LONGEST_TEXT])}")

    def start(self, snapshots: Snapshots) -> None:
        """Start to report the state of this process once a second, in a thread of its own. Without a supervisor, do nothing.

        :param snapshots: makes the reports.
        :raises RuntimeError: the system cannot start a thread.
        """
        if self.supervised:
            self._snapshots = snapshots
            self._beat = Beat("relay-report", snapshots.report, self._send)
            self._beat.start()

    def close(self) -> None:
        """Send a last report, which announces the exit, and stop. Idempotent."""
        beat, self._beat = self._beat, None
        if beat is not None and self._snapshots is not None:
            beat.close()
            with self._troubles.caught("the last report of this process failed"):
                self._send(self._snapshots.report(over=True))

    def after_fork(self) -> None:
        """Close the copied pipe in a forked child, whose state is not that of this process."""
        number, self._number = self._number, None
        self._lock, self._unsent = threading.RLock(), b""
        if number is not None:
            os.close(number)

    def at_exit(self, timeout: float) -> None:
        """Do nothing at interpreter exit. :meth:`close` is called before.

        :param timeout: not used.
        """

    def _send(self, report: Report) -> None:
        with self._lock:
            if self._flush():  # Otherwise, leave this report out. The next one has later values.
                self._write(f"report {report.encode()}")

    def _write(self, line: str) -> bool:
        with self._lock:
            self._unsent += f"{line}\n".encode()
            return self._flush()

    def _flush(self) -> bool:
        """Write as much as the pipe accepts. Return whether nothing is left."""
        while self._unsent and self._number is not None:
            try:
                written = os.write(self._number, self._unsent)
            except BlockingIOError:  # The supervisor does not read.
                return False
            except OSError:  # The supervisor has exited.
                self._unsent = b""
                return False
            self._unsent = self._unsent[written:]
        return self._number is not None


@define(eq=False)
class Reports:
    """Receiver of one child process's reports.

    :ivar reading: file descriptor for reading, used by the supervisor.
    :ivar writing: file descriptor for writing, inherited by the child process.
    :ivar ready: whether the child has reported that it is ready.
    :ivar wrong: reported error message, or ``None``.
    :ivar is_broken: whether the error is an exception in the user's program rather than an invalid configuration.
    :ivar latest: latest report of the child's state, or ``None``.
    :ivar heard: monotonic time at which it was read.
    :ivar unknown: number of lines that are no reports.
    """

    reading: int
    writing: int | None
    ready: bool = False
    wrong: str | None = None
    is_broken: bool = False
    latest: Report | None = None
    heard: float = 0.0
    unknown: int = 0
    _rest: bytes = field(default=b"", init=False)

    @classmethod
    def make(cls) -> Reports:
        """Create a pipe.

        :raises OSError: too many files are open.
        """
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        return cls(reading, writing)

    def handed_over(self) -> None:
        """Close the supervisor's copy of the write end, after the child process has inherited it."""
        if self.writing is not None:
            os.close(self.writing)
            self.writing = None

    def read(self) -> None:
        """Read all pending reports without blocking."""
        lines: list[bytes] = []
        for _ in range(_MOST_AT_ONCE // _PIECE):
            try:
                piece = os.read(self.reading, _PIECE)
            except OSError:  # There are no pending reports.
                break
            if not piece:
                break
            *more, self._rest = (self._rest + piece).split(b"\n")
            lines += more
            if len(self._rest) > LONGEST:  # The rest of the line is a line of its own, which is no report either.
                self._rest = b""
                self.unknown += 1
        for line in lines:
            self._take(line.decode(errors="replace"))

    def _take(self, line: str) -> None:
        word, _, text = line.partition(" ")
        if line == "ready":
            self.ready = True
        elif word in ("wrong", "broken"):
            self.is_broken = word == "broken"
            try:
                text = str(json.loads(text))
            except (ValueError, RecursionError):  # The line was not written by this package.
                pass
            self.wrong = text[:_LONGEST_TEXT]
        elif word == "report":
            try:
                self.latest = Report.decode(text)
            except ValueError:
                self.unknown += 1
            else:
                self.heard = time.monotonic()
        else:
            self.unknown += 1

    def close(self) -> None:
        """Close the pipe."""
        self.handed_over()
        os.close(self.reading)
