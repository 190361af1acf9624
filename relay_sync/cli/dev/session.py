"""Run the program until Ctrl-C, or for one call."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Protocol

from attrs import define, field

from ...errors import RelayError
from ...simulator import Simulator
from ...text.wording import listed
from ...threads.outcome import wait_for_event
from ..early import Interrupted
from ..guardian import Guardian
from ..mistakes import Unsuccessful
from .advice import Adviser
from .once import OnceCall
from .printer import Printer
from .process import ProgramProcess, shown_exit
from .stopping import Stopping
from .target import Target

__all__ = ["Session"]

#: Kinds of the simulator's notices: what became of the program, and advice.
PROGRAM: Final = "program"
ADVICE: Final = "advice"
#: Interval between checks of the program and the simulator, in seconds.
LOOK: Final = 0.1
#: Interval between checks during the call of ``--once``, in seconds.
LOOK_ONCE: Final = 0.02
#: Time in which a client must connect before the call of ``--once``, in seconds.
CONNECTING: Final = 15.0
#: Time for a phone to hang up, in seconds.
HANGING_UP: Final = 1.0


class ChangedFiles(Protocol):
    """Files that have changed."""

    def take(self) -> list[str]:
        """Return the names of the files that have changed since the last call of this method."""


@define(eq=False, kw_only=True)
class Session:
    """Runs the program, and shows what happens in the terminal and on the page.

    :param target: the program.
    :param environment: environment of the program.
    :param simulator: the simulator.
    :param printer: prints lines.
    :param stop: signals that end the command.
    :param guardian: ends the program if this process is killed.

    :ivar changes: changed files that restart the program, or ``None``.
    :ivar browser: process that opens the telephone, until its exit code is known, or ``None``.
    """

    target: Target
    environment: Mapping[str, str] = field(repr=False)
    simulator: Simulator
    printer: Printer = field(repr=False)
    stop: Stopping = field(repr=False)
    guardian: Guardian | None = field(default=None, repr=False)
    changes: ChangedFiles | None = field(default=None, init=False)
    browser: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)
    _program: ProgramProcess | None = field(default=None, init=False)
    _adviser: Adviser = field(init=False, repr=False)
    _failed: bool = field(default=False, init=False)  # Whether the program has ended with an exit code other than 0.
    _unprinted: str = field(default="", init=False)  # Advice that becomes the error message of the command.

    @_adviser.default
    def _new_adviser(self) -> Adviser:
        return Adviser(self.simulator, self.target.name, self._advise, self._connected)

    def run(self) -> int:
        """Run the program until a signal.

        :return: the exit code, which is 1 if the program had failed.
        :raises Unsuccessful: the program cannot be started.
        """
        try:
            self._start()
            while not wait_for_event(self.stop.stopped, LOOK):
                self._look()
            if self._program is not None:
                self.printer.say(f"stopping {self.target.name}; press Ctrl-C again to kill it")
        finally:
            self._end()
        return int(self._failed)

    def once(self, context: str, *, fast: bool = False) -> int:
        """Run the program for one call.

        :param context: context of the call.
        :param fast: whether the simulator plays speech as fast as possible.
        :return: the exit code, which is 0 if the call was answered and has ended, and 1 otherwise.
        :raises Unsuccessful: the program cannot be started, or ended before the call did, or the call failed.
        :raises Interrupted: a signal has arrived.
        """
        call = OnceCall(self.simulator, context, self.printer.say, fast=fast)
        self._adviser.is_once = True
        try:
            self._start()
            self._wait_for_client()
            call.place()
            while not call.look():
                self._wait(LOOK_ONCE)
                if self._program is None and not call.answered:
                    raise Unsuccessful(f"{self.target.name} ended before it answered the call")
        finally:
            self._end()
            self._hang_up()
        if call.failure:
            raise Unsuccessful(call.failure)
        if self._failed:
            raise Unsuccessful(f"{self.target.name} failed: see its output above")
        return 0

    def _wait_for_client(self) -> None:
        end = time.monotonic() + CONNECTING
        while not self._adviser.connected:
            self._wait(LOOK_ONCE)
            if self._program is None or time.monotonic() >= end:
                raise Unsuccessful(self._unprinted or f"no client has connected within {CONNECTING:g} s")

    def _wait(self, seconds: float) -> None:
        """Wait, and check the program and the simulator.

        :raises Interrupted: a signal has arrived.
        """
        if wait_for_event(self.stop.stopped, seconds):
            raise Interrupted(self.stop.number)
        self._look()

    def _look(self) -> None:
        """Check the program, the simulator and the files."""
        if self._program is not None and self._program.exit_code() is not None:
            self._ended()
        self._adviser.look()
        self._look_at_browser()
        changed = self.changes.take() if self.changes is not None else []
        if changed:
            self._show(PROGRAM, f"{listed(changed)} changed: restarting {self.target.name}")
            self._end()
            if not self.stop.stopped.is_set():
                self._start()

    def _look_at_browser(self) -> None:
        code = self.browser.poll() if self.browser is not None else None
        if code is not None:
            self.browser = None
            if code:
                self.printer.say("no browser could be opened; open the link of the telephone")

    # -- the program ---------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._failed = False
        self._clear()
        self._adviser.program_started()
        self._program = ProgramProcess.start(self.target.command, self.environment, self.printer.pass_on, self.guardian)
        self._show(PROGRAM, f"{self.target.name} started, process {self._program.pid}")

    def _ended(self) -> None:
        """Show that the program has ended on its own, and end the processes that it has left behind."""
        code = self._stop()
        self._failed = code != 0
        advice = self._adviser.program_ended(code)
        if advice and self._adviser.is_once:
            self._unprinted = advice
        elif advice:
            self._advise(f"{advice}{self._next()}")
        else:
            self._show(PROGRAM, f"{self.target.name} ended with {shown_exit(code)}{self._next()}")

    def _next(self) -> str:
        return "; it starts again when a file changes" if self.changes is not None else ""

    def _end(self) -> None:
        """End the program, if it is running, and all calls."""
        if self._program is not None:
            self._stop()

    def _stop(self) -> int:
        """End the program and all processes that it has started. Return its exit code."""
        program, self._program = self._program, None
        assert program is not None
        return program.stop(self.stop.hurry, after_signal=self._hang_up, on_late=self._late)

    def _hang_up(self) -> None:
        """End all calls, because a program that drains waits for their end."""
        for phone in self.simulator.phones:
            with suppress(RelayError):
                phone.hang_up(timeout=HANGING_UP)

    def _late(self, seconds: float) -> None:
        self.printer.say(f"killing {self.target.name}, which did not stop within {seconds:g} s")

    # -- what people see -----------------------------------------------------------------------------------------------

    def _advise(self, text: str) -> None:
        self._show(ADVICE, text)

    def _connected(self) -> None:
        self.printer.say(f"a client of {self.target.name} has connected; it receives the calls of the telephone")
        self._clear()

    def _show(self, kind: str, text: str) -> None:
        """Show a line in the terminal and on the page, which keeps the last line of each kind."""
        self.printer.say(text)
        self.simulator.journal.notice("", "", kind, text)

    def _clear(self) -> None:
        """Remove the lines from the page."""
        for kind in (PROGRAM, ADVICE):
            self.simulator.journal.notice("", "", kind, "")
