"""Signals that arrive while the command's modules are imported, or after its exit code is known.

This module is imported before all other modules of the command, and imports only what it needs.
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

#: Signals that end a command; Windows has no SIGHUP.
ENDING: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupted(KeyboardInterrupt):
    """A signal that ends the command.

    :ivar code: the exit code that shells expect: 128 plus the signal number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code: int = 128 + number


class Early:
    """A context manager that records signals instead of raising, because an interrupted import may swallow the exception.

    Signals that the program ignores or handles are not changed. Outside the main thread it does nothing.

    :ivar code: if set, a signal ends the process immediately with this exit code.
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
                except ValueError:  # not the main thread
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
        """Record signals until the process ends.

        The interpreter restores the default handlers at the end of its shutdown. Signals after that are ignored.
        """
        atexit.register(self._ignore)  # registered first, so called last
        return self.__enter__()

    def _ignore(self) -> None:
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def raise_noted(self) -> None:
        """Raise if a signal was recorded.

        :raises Interrupted: a signal was recorded.
        """
        if self._noted:
            raise Interrupted(self._noted)

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """Restore the previous handlers while the block runs, and deliver a recorded signal to them."""
        self.__exit__(None, None, None)
        try:
            if self._noted:
                signal.raise_signal(self._noted)
            yield
        finally:
            self.__enter__()
