"""Signal handling during startup, while modules are imported, and during shutdown.

This module is imported before all others, so it must be cheap to import.
"""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final

__all__ = ["ENDING", "Early", "Interrupted"]

#: Signals that stop a command. Windows has no SIGHUP.
ENDING: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupted(KeyboardInterrupt):
    """Raised when a signal stops the command.

    :ivar code: conventional exit code, which is 128 plus the signal number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code: int = 128 + number


class Early:
    """Context manager that records signals instead of raising an exception.

    An exception raised during an import could be swallowed by the imported module. Signals that are ignored, or that the program
    handles itself, keep their handlers. Outside the main thread, this context manager does nothing.

    :ivar code: exit code of the finished command. If it is set, a signal exits the process immediately.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        self._noted = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Early:
        for number in ENDING:
            before = signal.getsignal(number)
            if before in (signal.SIG_DFL, signal.default_int_handler):
                try:
                    signal.signal(number, self._note)
                except ValueError:  # This is not the main thread.
                    break
                self._before[number] = before
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, before in list(self._before.items()):
            if signal.getsignal(number) == self._note:
                signal.signal(number, before)
        self._before.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.code is not None:
            os._exit(self.code)
        self._noted = self._noted or number

    def to_the_end(self) -> Early:
        """Record signals until the process exits.

        Once all other exit functions have run, signals are ignored. Otherwise, the interpreter would restore the default
        handlers.
        """
        atexit.register(self._ignore)  # Exit functions run in reverse order, so this one runs last.
        return self.__enter__()

    def _ignore(self) -> None:
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def raise_noted(self) -> None:
        """Raise an exception if a signal was recorded.

        :raises Interrupted: a signal was recorded.
        """
        if self._noted:
            raise Interrupted(self._noted)

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """Restore the previous signal handlers inside the ``with`` block. A recorded signal is raised again on entry."""
        self.__exit__(None, None, None)
        try:
            if self._noted:
                signal.raise_signal(self._noted)
            yield
        finally:
            self.__enter__()
