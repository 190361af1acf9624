"""Several processes of one command: started fresh, watched, and ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any, Final

from attrs import define, field

from ..text.wording import counted
from ..threads import logs
from ..threads.signals import Handled
from .early import ENDING
from .mistakes import BrokenProgram, Unsuccessful, WrongConfiguration
from .reports import VARIABLE, Reports

__all__ = ["LIFELINE", "PROCESS", "Supervisor", "command_line"]

_log = logs.get("relay_sync")

#: The variable that gives a child the number of a descriptor which reaches its end when the supervisor dies.
LIFELINE: Final = "RELAY_SYNC_LIFELINE"
#: The variable that gives a child its number, from 0 on.
PROCESS: Final = "RELAY_PROCESS"
#: A child that ends sooner than this many seconds after its start has failed to start.
SOON: Final = 5.0
#: After so many failed starts in a row, of all children together, the supervisor gives up, if none was ever ready.
MOST_FAILURES: Final = 5
LONGEST_PAUSE: Final = 60.0
#: What children get beyond the time for their calls before they are killed.
GRACE: Final = 10.0
#: What they get where the configuration is wrong: none has ever had a call.
SHORT_GRACE: Final = 0.5
#: Seconds between two looks at the children.
LOOK: Final = 0.1


def command_line(*arguments: str) -> list[str]:
    """The command that runs this package again, with these arguments."""
    return [sys.executable, "-m", "relay_sync", *arguments]


@define(eq=False)
class Child:
    """One process, and what it has reported."""

    number: int
    process: subprocess.Popen[bytes]
    started: float
    reports: Reports


@define(eq=False)
class Supervisor:
    """Keeps ``count`` processes of a command running until SIGTERM or Ctrl-C.

    Each process is started anew, not forked, so each has a connection of its own; the platform spreads the calls over them.
    Ctrl-C reaches the supervisor alone, which passes it on as SIGTERM; so it does with a second one, after which each process
    hangs up its calls and ends at once.

    Each process reports that it is ready, or that its configuration is wrong or its program raised. Both end the supervisor as
    long as no process has been ready, and so do five failed starts in a row. Later, a process that ends is started again
    and affects no other; where it fails again and again, after a pause that grows to 60 s.

    :param patience: seconds that the processes have for a graceful end; they are killed 10 s after that.
    """

    command: Sequence[str]
    count: int
    patience: float = field(kw_only=True)
    _children: dict[int, Child] = field(factory=dict, init=False)
    _due: dict[int, float] = field(factory=dict, init=False)  # when a process is started again
    _failed_in_a_row: dict[int, int] = field(factory=dict, init=False)
    _ending: bool = field(default=False, init=False)
    _hurry: int = field(default=0, init=False)  # the signal that came while the processes were ending
    _was_ready: bool = field(default=False, init=False)
    _failures: int = field(default=0, init=False)
    _gave_up: bool = field(default=False, init=False)
    _wrong: Unsuccessful | None = field(default=None, init=False)
    _lifeline: tuple[int, int] = field(factory=os.pipe, init=False)

    def run(self) -> int:
        """Start them, and return when all have ended.

        :return: 0 after a graceful end; 128 and the number of the second signal where that cut one short; else 1.
        :raises WrongConfiguration: a process has reported one before any was ready.
        :raises BrokenProgram: likewise, where its program raised.
        """
        assert threading.current_thread() is threading.main_thread()
        try:
            with Handled(self._on_signal, *ENDING):
                for number in range(1, self.count + 1):
                    self._start(number)
                failed = self._watch()
        finally:
            for child in self._children.values():
                child.process.kill()
                child.process.wait()
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
            if number not in (signal.SIGINT, signal.SIGTERM):  # a terminal that closes may send SIGHUP twice
                return
            self._hurry = number
        self._end_all()

    def _end_all(self) -> None:
        self._ending = True
        for child in list(self._children.values()):
            # Not Popen.send_signal: it takes a lock that the interrupted code may hold.
            if child.process.returncode is None:
                _tell(child.process.pid, signal.SIGTERM)

    def _start(self, number: int) -> None:
        """:raises OSError: no memory, no process or no descriptor for it."""
        lifeline, _ = self._lifeline
        reports = Reports.make()
        told = {LIFELINE: str(lifeline), VARIABLE: str(reports.writing), PROCESS: str(number - 1)}
        try:
            process = subprocess.Popen(
                self.command,
                env={**os.environ, **told},
                pass_fds=(lifeline, reports.writing or 0),
                start_new_session=True,  # Ctrl-C in the terminal is for the supervisor
            )
        except BaseException:
            reports.close()
            raise
        reports.handed_over()
        self._children[number] = Child(number, process, time.monotonic(), reports)
        _log.info("process %d of %d: pid %d", number, self.count, process.pid)
        if self._ending:  # the signal came while it was being started
            _tell(process.pid, signal.SIGTERM)

    def _watch(self) -> bool:
        failed = False
        deadline: float | None = None
        while self._children or (self._due and not self._ending):
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
                    _log.error("killed because the time is over: %s", some)
                return True
        return failed or self._gave_up

    def _ended(self) -> list[Child]:
        """Those that have ended since; waits a little for news."""
        ended = self._collect()
        if not ended:
            time.sleep(LOOK)
            self._listen()
            ended = self._collect()
        return ended

    def _collect(self) -> list[Child]:
        ended = [child for child in self._children.values() if child.process.poll() is not None]
        if ended:
            self._listen()  # what they said last
        for child in ended:
            child.reports.close()
            del self._children[child.number]
        return ended

    def _listen(self) -> None:
        """Read what the children report, and act upon it."""
        wrong = self._read_reports()
        if wrong is None or self._ending:
            return
        self._read_reports()  # one may have been ready just before
        if not self._was_ready:
            self._wrong = wrong
            self._end_all()

    def _read_reports(self) -> Unsuccessful | None:
        """:return: what the first of them says is wrong."""
        for child in self._children.values():
            child.reports.read()
        self._was_ready = self._was_ready or any(child.reports.ready for child in self._children.values())
        for reports in (child.reports for child in self._children.values()):
            if reports.wrong is not None:
                return BrokenProgram(reports.wrong) if reports.is_broken else WrongConfiguration(reports.wrong)
        return None

    def _again(self, child: Child, code: int) -> None:
        """Have a process started in the place of one that ended."""
        lived = time.monotonic() - child.started
        self._failures = self._failures + 1 if lived < SOON else 0
        kind = "" if child.reports.is_broken else "wrong configuration: "
        why = f": {kind}{child.reports.wrong}" if child.reports.wrong is not None else ""
        pid = child.process.pid
        _log.error("process %d (pid %d) ended with code %d after %.1f s%s", child.number, pid, code, lived, why)
        self._put_off(child.number, failed=lived < SOON or not child.reports.ready)

    def _put_off(self, number: int, *, failed: bool) -> None:
        """Note down when a process is to be started, unless none of them has ever worked."""
        if self._failures >= MOST_FAILURES and not self._was_ready:
            _log.error("%d processes in a row ended as soon as they were started: giving up", self._failures)
            self._gave_up = True
            self._end_all()
            return
        failures = self._failed_in_a_row.get(number, 0) + 1 if failed else 0
        self._failed_in_a_row[number] = failures
        pause = min(LONGEST_PAUSE, 0.1 * 2 ** min(failures, 20)) if failures else 0.0
        self._due[number] = time.monotonic() + pause

    def _start_what_is_due(self) -> None:
        now = time.monotonic()
        for number, due in list(self._due.items()):
            if self._ending or due > now:
                continue
            del self._due[number]
            try:
                self._start(number)
            except OSError as error:  # no memory or no process for it: the calls of the others must not pay for that
                self._failures += 1
                _log.error("process %d cannot be started: %s", number, error)
                self._put_off(number, failed=True)


def _is_graceful(child: Child) -> bool:
    """Whether a child that was told to end did so as it should: the signal kills one that has not come as far as taking calls."""
    code = child.process.returncode
    return code == 0 or (code == -signal.SIGTERM and not child.reports.ready)


def _tell(pid: int, number: Any) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
