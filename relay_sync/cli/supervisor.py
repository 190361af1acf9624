"""Several processes of one command: started fresh, watched, and ended together."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Final

from attrs import define, field

__all__ = ["LIFELINE", "Supervisor", "command_line"]

_log = logging.getLogger("relay_sync")

#: The variable that gives a child the number of a descriptor which reaches its end when the supervisor dies.
LIFELINE: Final = "RELAY_SYNC_LIFELINE"
#: A child that ends sooner than this many seconds after its start has failed to start.
SOON: Final = 5.0
#: After so many failed starts in a row, of all children together, the supervisor gives up.
MOST_FAILURES: Final = 5
LONGEST_PAUSE: Final = 10.0
#: What children get beyond the time for their calls before they are killed.
GRACE: Final = 10.0
#: How children end when they are told to; the signal kills one that has not come as far as taking calls.
_GRACEFUL: Final = (0, -signal.SIGTERM)


def command_line(*arguments: str) -> list[str]:
    """The command that runs this package again, with these arguments."""
    return [sys.executable, "-m", "relay_sync", *arguments]


@define(eq=False)
class Child:
    """One process."""

    number: int
    process: subprocess.Popen[bytes]
    started: float


@define(eq=False)
class Supervisor:
    """Keeps ``count`` processes of a command running until SIGTERM or Ctrl-C.

    Each process is started anew, not forked, so each has a connection of its own; the platform spreads the calls over them.
    One that dies is started again. Ctrl-C reaches the supervisor alone, which passes it on; a second one is passed on, too.

    :param patience: seconds that the processes have for a graceful end; they are killed 10 s after that.
    """

    command: Sequence[str]
    count: int
    patience: float = field(kw_only=True)
    _children: dict[int, Child] = field(factory=dict, init=False)
    _ending: bool = field(default=False, init=False)
    _failures: int = field(default=0, init=False)
    _lifeline: tuple[int, int] = field(factory=os.pipe, init=False)

    def run(self) -> int:
        """Start them, and return when all have ended.

        :return: 0 after a graceful end, else 1.
        """
        assert threading.current_thread() is threading.main_thread()
        before = [(number, signal.signal(number, self._on_signal)) for number in (signal.SIGTERM, signal.SIGINT)]
        try:
            for number in range(1, self.count + 1):
                self._start(number)
            failed = self._watch()
        finally:
            for signal_number, handler in before:
                signal.signal(signal_number, handler)
            for child in self._children.values():
                child.process.kill()
                child.process.wait()
            for end in self._lifeline:
                os.close(end)
        return 1 if failed else 0

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._ending = True
        for child in list(self._children.values()):
            # Not Popen.send_signal: it takes a lock that the interrupted code may hold.
            if child.process.returncode is None:
                _tell(child.process.pid, signal.SIGTERM)

    def _start(self, number: int) -> None:
        reading, _ = self._lifeline
        process = subprocess.Popen(
            self.command,
            env={**os.environ, LIFELINE: str(reading)},
            pass_fds=(reading,),
            start_new_session=True,  # Ctrl-C in the terminal is for the supervisor
        )
        self._children[number] = Child(number, process, time.monotonic())
        _log.info("process %d of %d: pid %d", number, self.count, process.pid)
        if self._ending:  # the signal came while it was being started
            _tell(process.pid, signal.SIGTERM)

    def _watch(self) -> bool:
        failed = False
        deadline: float | None = None
        while self._children:
            for child in self._ended():
                code = child.process.returncode
                failed = failed or (self._ending and code not in _GRACEFUL)
                if not self._ending and not self._again(child, code):
                    failed = True
                    self._on_signal(signal.SIGTERM, None)
            if self._ending and deadline is None:
                deadline = time.monotonic() + self.patience + GRACE
            if deadline is not None and time.monotonic() >= deadline:
                _log.error("%d processes did not end in time and are killed", len(self._children))
                return True
        return failed

    def _ended(self) -> list[Child]:
        """Those that have ended since; waits a little for that."""
        first = next(iter(self._children.values()))
        try:
            first.process.wait(0.1)
        except subprocess.TimeoutExpired:
            pass
        ended = [child for child in self._children.values() if child.process.poll() is not None]
        for child in ended:
            del self._children[child.number]
        return ended

    def _again(self, child: Child, code: int) -> bool:
        """Start a process in the place of one that died. False: they die again and again, so better not."""
        lived = time.monotonic() - child.started
        self._failures = self._failures + 1 if lived < SOON else 0
        _log.error("process %d (pid %d) ended with code %d after %.1f s", child.number, child.process.pid, code, lived)
        while self._failures < MOST_FAILURES:
            pause = min(LONGEST_PAUSE, 0.1 * 2**self._failures) if self._failures else 0.0
            self._sleep(pause, lambda: self._ending)
            if self._ending:
                return True
            try:
                self._start(child.number)
                return True
            except OSError as error:  # no memory or no process for it: the calls of the others must not pay for that
                self._failures += 1
                _log.error("process %d cannot be started: %s", child.number, error)
        _log.error("%d processes in a row ended as soon as they were started: giving up", self._failures)
        return False

    def _sleep(self, seconds: float, until: Callable[[], bool]) -> None:
        end = time.monotonic() + seconds
        while not until() and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))


def _tell(pid: int, number: Any) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
