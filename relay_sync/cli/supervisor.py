"""Start, monitor and stop several processes that run the same command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, Final

from attrs import define, field

from ..health.families import added, allowed
from ..health.report import Samples
from ..health.verdicts import Overview
from ..text.wording import counted
from ..threads import logs
from ..threads.rate_limited_log import RateLimitedLog
from ..threads.signals import Handled
from .board import Board, Seen
from .early import ENDING
from .mistakes import BrokenProgram, Unsuccessful, WrongConfiguration
from .reports import VARIABLE, Reports

__all__ = ["LIFELINE", "PROCESS", "Supervisor", "command_line"]

_log = logs.get("relay_sync")

#: Environment variable that contains a file descriptor, which reaches the end of file when the supervisor exits.
LIFELINE: Final = "RELAY_SYNC_LIFELINE"
#: Environment variable that contains the child process's index, starting at 0.
PROCESS: Final = "RELAY_PROCESS"
#: A child process that exits within this time has failed to start, in seconds.
SOON: Final = 5.0
#: Number of consecutive failed starts after which the supervisor gives up, unless a child process was ready before.
MOST_FAILURES: Final = 5
#: Maximum delay before a child process is restarted, in seconds.
LONGEST_PAUSE: Final = 60.0
#: Time between the end of the drain period and killing the child processes, in seconds.
GRACE: Final = 10.0
#: Time before the child processes are killed if the configuration is invalid, in seconds. There are no calls in this case.
SHORT_GRACE: Final = 0.5
#: Interval between checks of the child processes, in seconds.
LOOK: Final = 0.1


def command_line(*arguments: str) -> list[str]:
    """Return the command line that runs ``relay-sync`` with these arguments."""
    return [sys.executable, "-m", "relay_sync", *arguments]


@define(eq=False)
class Child:
    """Child process and its reports."""

    number: int
    process: subprocess.Popen[bytes]
    started: float
    reports: Reports
    announced: bool  # Whether the log says that the process is ready.


@define(eq=False)
class Supervisor:
    """Supervisor that keeps several child processes running until SIGTERM or Ctrl-C.

    Each child process is a new interpreter with its own connection. The platform distributes calls among the connections. Child
    processes do not receive Ctrl-C from the terminal. The supervisor sends them SIGTERM instead. After a second Ctrl-C, it sends
    SIGTERM again, and the child processes hang up their calls and exit immediately.

    A child process reports when it is ready, when its configuration is invalid, and when the user's program raises an exception.
    Before the first child is ready, the supervisor stops if a child reports an error or after five consecutive failed starts.
    Afterward, it restarts a child that exits, with exponential backoff up to 60 s. The other children are not affected.

    Each failure of a child is one line in the log. After failures, another line tells when the child is ready again.

    :param command: command line of a child process.
    :param count: number of child processes.
    :param patience: maximum time for a graceful stop, in seconds. The child processes are killed 10 s later.
    """

    command: Sequence[str]
    count: int
    patience: float = field(kw_only=True)
    _children: dict[int, Child] = field(factory=dict, init=False)
    _due: dict[int, float] = field(factory=dict, init=False)  # Monotonic time of each child's next start.
    _failed_in_a_row: dict[int, int] = field(factory=dict, init=False)
    _ending: bool = field(default=False, init=False)
    _hurry: int = field(default=0, init=False)  # Signal received while the child processes were stopping, or 0.
    _was_ready: bool = field(default=False, init=False)
    _failures: int = field(default=0, init=False)
    _gave_up: bool = field(default=False, init=False)
    _wrong: Unsuccessful | None = field(default=None, init=False)
    _lifeline: tuple[int, int] = field(factory=os.pipe, init=False)
    _starts: dict[int, int] = field(factory=dict, init=False)
    _past: dict[int, Samples] = field(factory=dict, init=False)  # Sums of the counters of children that have exited.
    _read: float = field(factory=time.monotonic, init=False)  # Monotonic time at which the reports were last read.
    _board: Board = field(init=False)
    _troubles: RateLimitedLog = field(factory=lambda: RateLimitedLog(_log), init=False)

    @_board.default
    def _new_board(self) -> Board:
        return Board(self.count)

    def look(self) -> Overview:
        """Return the state of all processes. Other threads may call this method."""
        return self._board.look()

    def run(self) -> int:
        """Start the child processes and wait until all of them have exited.

        :return: the exit code, which is 0 after a graceful stop, 128 plus the signal number if a second signal interrupted the
            graceful stop, and 1 otherwise.
        :raises WrongConfiguration: a child reported an invalid configuration before any child was ready.
        :raises BrokenProgram: a child reported an exception in the user's program before any child was ready.
        """
        assert threading.current_thread() is threading.main_thread()
        try:
            with Handled(self._on_signal, *ENDING):
                for number in range(self.count):
                    self._start(number)
                failed = self._watch()
        finally:
            for child in self._children.values():
                child.process.kill()
                with suppress(subprocess.TimeoutExpired):  # The system may not end it while a disk does not answer.
                    child.process.wait(GRACE)
                child.reports.close()
            for end in self._lifeline:
                os.close(end)
        if self._wrong is not None:
            raise self._wrong
        if failed and self._hurry:
            return 128 + self._hurry
        return 1 if failed else 0

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._ending:
            if number not in (signal.SIGINT, signal.SIGTERM):  # A terminal that closes may send SIGHUP twice.
                return
            self._hurry = number
        self._end_all()

    def _end_all(self) -> None:
        self._ending = True
        for child in list(self._children.values()):
            # Do not use Popen.send_signal(), which acquires a lock that the interrupted code may hold.
            if child.process.returncode is None:
                _send(child.process.pid, signal.SIGTERM)

    def _start(self, number: int) -> None:
        """Start a child process.

        :param number: index of the child process, starting at 0.
        :raises OSError: the process or its pipe cannot be created.
        """
        lifeline, _ = self._lifeline
        reports = Reports.make()
        variables = {LIFELINE: str(lifeline), VARIABLE: str(reports.writing), PROCESS: str(number)}
        try:
            process = subprocess.Popen(
                self.command,
                env={**os.environ, **variables},
                pass_fds=(lifeline, reports.writing or 0),
                start_new_session=True,  # Only the supervisor receives Ctrl-C from the terminal.
            )
        except BaseException:
            reports.close()
            raise
        reports.handed_over()
        first = number not in self._starts
        self._starts[number] = self._starts.get(number, 0) + 1
        self._children[number] = Child(number, process, time.monotonic(), reports, announced=first)
        if first:
            _log.info("process %d: pid %d", number, process.pid)
        if self._ending:  # A signal arrived during the start.
            _send(process.pid, signal.SIGTERM)

    def _watch(self) -> bool:
        failed = False
        deadline: float | None = None
        while self._children or (self._due and not self._ending):
            self._post()
            for child in self._ended():
                code = child.process.returncode
                failed = failed or (self._ending and self._wrong is None and not _is_graceful(child))
                if not self._ending:
                    self._again(child, code)
            self._start_what_is_due()
            if self._ending and deadline is None:
                patience = self.patience + GRACE if self._wrong is None else SHORT_GRACE
                deadline = time.monotonic() + patience
            if deadline is not None and time.monotonic() >= deadline:
                if self._wrong is None:
                    some = counted(len(self._children), "process", "processes")
                    _log.error("killing %s, which did not stop within %.3g s", some, patience)
                return True
        return failed or self._gave_up

    def _ended(self) -> list[Child]:
        """Return the child processes that have exited since the last call. Wait briefly if there are none."""
        ended = self._collect()
        if not ended:
            time.sleep(LOOK)
            self._listen()
            ended = self._collect()
        return ended

    def _collect(self) -> list[Child]:
        ended = [child for child in self._children.values() if child.process.poll() is not None]
        if ended:
            self._listen()  # Read the last reports before the pipes are closed.
        for child in ended:
            child.reports.close()
            del self._children[child.number]
            if child.reports.latest is not None:
                counters = allowed(child.reports.latest.samples)
                self._past[child.number] = added(self._past.get(child.number, {}), counters)
        return ended

    def _post(self) -> None:
        """Tell the health server what the children have reported."""
        running = [
            Seen(
                number=child.number,
                pid=child.process.pid,
                started=child.started,
                latest=child.reports.latest,
                heard=child.reports.heard,
            )
            for child in self._children.values()
        ]
        self._board.post(running, read=self._read, draining=self._ending, past=self._past, starts=self._starts)

    def _listen(self) -> None:
        """Read the child processes' reports. If one reports an error, stop all of them, unless a child was already ready."""
        wrong = self._read_reports()
        if wrong is None or self._ending:
            return
        self._read_reports()  # Read again, because another child may have become ready in the meantime.
        if not self._was_ready:
            self._wrong = wrong
            self._end_all()

    def _read_reports(self) -> Unsuccessful | None:
        """Read all child processes' pending reports.

        :return: the first reported error, or ``None``.
        """
        self._read = time.monotonic()
        for child in self._children.values():
            unknown = child.reports.unknown
            child.reports.read()
            if child.reports.unknown != unknown:
                message = "process %d (pid %d) wrote %s that are no reports to its descriptor for reports"
                lines = counted(child.reports.unknown, "line")
                self._troubles.warning("unknown", message, child.number, child.process.pid, lines)
            if child.reports.ready and not child.announced:
                child.announced = True
                _log.info("process %d (pid %d) is ready again", child.number, child.process.pid)
        self._was_ready = self._was_ready or any(child.reports.ready for child in self._children.values())
        for reports in (child.reports for child in self._children.values()):
            if reports.wrong is not None:
                return BrokenProgram(reports.wrong) if reports.is_broken else WrongConfiguration(reports.wrong)
        return None

    def _again(self, child: Child, code: int) -> None:
        """Schedule the restart of a child process that has exited."""
        lived = time.monotonic() - child.started
        self._failures = self._failures + 1 if lived < SOON else 0
        kind = "" if child.reports.is_broken else "invalid configuration: "
        why = f": {kind}{_in_one_line(child.reports.wrong)}" if child.reports.wrong is not None else ""
        what = f"process {child.number} (pid {child.process.pid}) exited with code {code} after {lived:.1f} s{why}"
        self._put_off(child.number, what, failed=lived < SOON or not child.reports.ready)

    def _put_off(self, number: int, what: str, *, failed: bool) -> None:
        """Log a failure, and schedule the next start of a child process, or give up after too many failures."""
        if self._failures >= MOST_FAILURES and not self._was_ready:
            _log.error("%s", what)
            _log.error("giving up: %d processes in a row exited right after their start", self._failures)
            self._gave_up = True
            self._end_all()
            return
        failures = self._failed_in_a_row.get(number, 0) + 1 if failed else 0
        self._failed_in_a_row[number] = failures
        pause = min(LONGEST_PAUSE, 0.1 * 2 ** min(failures, 20)) if failures else 0.0
        self._due[number] = time.monotonic() + pause
        _log.error("%s; starting it again%s", what, f" in {pause:.3g} s" if pause else "")

    def _start_what_is_due(self) -> None:
        now = time.monotonic()
        for number, due in list(self._due.items()):
            if self._ending or due > now:
                continue
            del self._due[number]
            try:
                self._start(number)
            except OSError as error:  # For example, out of memory. The calls of the other processes must continue.
                self._failures += 1
                self._put_off(number, f"process {number} cannot be started: {error}", failed=True)


def _in_one_line(text: str) -> str:
    """Return an error message in one line. Of a traceback, keep the exception and the place in which it was raised."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        return text.strip()
    places = [line for line in lines if line.startswith('File "')]
    return f"{lines[0].removesuffix(':')}: {lines[-1]}" + (f" ({places[-1]})" if places else "")


def _is_graceful(child: Child) -> bool:
    """Return whether a child process stopped gracefully.

    A child that SIGTERM kills before it is ready counts as gracefully stopped, because it has not installed its handlers.
    """
    code = child.process.returncode
    return code == 0 or (code == -signal.SIGTERM and not child.reports.ready)


def _send(pid: int, number: Any) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
