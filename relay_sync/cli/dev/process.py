"""The program's process, and all processes that it starts.

The program runs in a process group of its own, so that Ctrl-C in the terminal reaches only this command, which then ends the
program in order. Programs that start processes in groups of their own, such as ``relay-sync run --processes``, pass signals on.
"""

from __future__ import annotations

import math
import os
import secrets
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from attrs import define, field

from ...threads.flag import Flag
from ..guardian import KILLED, MARK, PATIENCE, Guardian
from ..mistakes import Unsuccessful
from ..process_table import (
    SystemProcess,
    group_exists,
    has_running,
    kill_all,
    signal_group,
    started_by,
    with_variable,
)

__all__ = ["ProgramProcess", "shown_exit"]

#: Time for the output that is left when the program has ended, in seconds. Processes that have left the group may still write.
REST: Final = 1.0
#: Interval between checks of the processes, in seconds.
LOOK: Final = 0.02
#: Maximum number of bytes of one line. A longer line is printed in pieces.
LONGEST: Final = 64 * 1024


def shown_exit(code: int) -> str:
    """Return an exit code in words.

    :param code: exit code as ``subprocess`` returns it: negative if a signal ended the process.
    """
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


@define(eq=False)
class ProgramProcess:
    """A running program.

    :param command: command line.
    :param environment: environment variables.
    :param on_line: called with each line of the program's output, without the line break, in a thread of its own.
    :param guardian: ends the program if this process is killed.
    """

    command: Sequence[str]
    _environment: Mapping[str, str] = field(repr=False)
    _on_line: Callable[[str], None] = field(repr=False)
    _guardian: Guardian | None = field(repr=False)
    _mark: str = field(factory=lambda: secrets.token_hex(8), init=False)
    _process: subprocess.Popen[bytes] = field(init=False, repr=False)
    _reader: threading.Thread = field(init=False, repr=False)
    _enough: tuple[int, int] = field(init=False, repr=False)  # A pipe whose closed end stops the reader.

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        guardian: Guardian | None = None,
    ) -> ProgramProcess:
        """Start a program.

        :param command: command line.
        :param environment: environment variables.
        :param on_line: called with each line of the program's output, without the line break, in a thread of its own.
        :param guardian: ends the program if this process is killed.
        :raises Unsuccessful: the program cannot be started.
        """
        made = cls(command, environment, on_line, guardian)
        try:
            made._enough = os.pipe()
            made._guard(0)
            try:
                made._process = subprocess.Popen(
                    command,
                    env={**environment, MARK: made._mark},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    process_group=0,
                )
            except BaseException:
                made._close_pipe()
                raise
        except (OSError, ValueError) as error:
            raise Unsuccessful(f"{command[0]} cannot be started: {getattr(error, 'strerror', None) or error}") from None
        made._guard(made.pid)
        made._reader = threading.Thread(target=made._read, name="relay-dev-output", daemon=True)
        try:
            made._reader.start()
        except BaseException as error:
            made._kill(set())
            made._wait()
            made._close_output()
            if isinstance(error, RuntimeError):
                raise Unsuccessful(f"the thread for the program's output cannot be started: {error}") from None
            raise
        return made

    @property
    def pid(self) -> int:
        """Process ID of the program, and ID of its process group."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return the exit code, or ``None`` while the program runs."""
        return self._process.poll()

    def stop(self, hurry: Flag, *, after_signal: Callable[[], None], on_late: Callable[[float], None]) -> int:
        """End the program and all processes that it has started, and print the rest of their output.

        The processes are killed if they have not ended within 10 s, or as soon as ``hurry`` is set.

        :param hurry: flag to kill the processes at once.
        :param after_signal: called when the program has received SIGTERM.
        :param on_late: called with the seconds that the processes had, before they are killed because of the time limit.
        :return: the program's exit code.
        """
        started = started_by(self.pid)
        signal_group(self.pid, signal.SIGTERM)
        after_signal()
        end = time.monotonic() + PATIENCE
        while self._is_there() and not hurry.wait(LOOK):
            if time.monotonic() >= end:
                on_late(PATIENCE)
                break
        self._kill(started)
        code = self._wait()
        self._close_output()
        if self._guardian is not None:
            self._guardian.forget()
        return code

    def _guard(self, group: int) -> None:
        if self._guardian is not None:
            self._guardian.watch(self._mark, group)

    def _wait(self) -> int:
        """Return the exit code of the program, which was killed if it had not ended."""
        try:
            return self._process.wait(KILLED)
        except subprocess.TimeoutExpired:
            # The system has not ended it yet, for example because a disk does not answer.
            return -signal.SIGKILL

    def _is_there(self) -> bool:
        """Return whether a process of the program's group has not ended."""
        has_ended = self._process.poll() is not None
        # Processes that have ended stay in the group until their parent has read the exit code. In containers, the process that
        # becomes the parent of orphans often never does.
        return group_exists(self.pid) and (not has_ended or has_running(self.pid) is not False)

    def _kill(self, started: set[SystemProcess]) -> None:
        """Kill the processes that have not ended.

        :param started: processes that the program had started. They may have left its group.
        """
        if self._process.returncode is None:  # Later, another process may have received the ID.
            started = started | started_by(self.pid)
        kill_all(started)
        signal_group(self.pid, signal.SIGKILL)
        end = time.monotonic() + KILLED
        # A process may have started another one while the processes were listed.
        while ((left := with_variable(MARK, self._mark)) or self._is_there()) and time.monotonic() < end:
            kill_all(left)
            time.sleep(LOOK)

    # -- output --------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Pass on the output line by line, until its end, or until the other pipe is closed and nothing is left to read."""
        assert self._process.stdout is not None
        output, enough = self._process.stdout.fileno(), self._enough[0]
        rest = b""
        end = math.inf
        with selectors.DefaultSelector() as selector:
            for descriptor in (output, enough):
                selector.register(descriptor, selectors.EVENT_READ)
            while time.monotonic() < end:
                ready = {key.fd for key, _ in selector.select()}
                if enough in ready:
                    if output not in ready:
                        break
                    end = min(end, time.monotonic() + REST)
                piece = os.read(output, LONGEST)
                if not piece:
                    break
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    self._pass_on(line)
                if len(rest) >= LONGEST:
                    self._pass_on(rest)
                    rest = b""
        if rest:
            self._pass_on(rest)

    def _pass_on(self, line: bytes) -> None:
        self._on_line(line.decode("utf-8", "replace").rstrip("\r"))

    def _close_output(self) -> None:
        """Let the thread print what has arrived, and end it."""
        reading, writing = self._enough
        os.close(writing)
        if self._reader.is_alive():
            self._reader.join(KILLED)
        # If the terminal accepts no output, the thread still needs the descriptors.
        if not self._reader.is_alive():
            os.close(reading)
            if self._process.stdout is not None:
                self._process.stdout.close()

    def _close_pipe(self) -> None:
        for end in self._enough:
            os.close(end)
