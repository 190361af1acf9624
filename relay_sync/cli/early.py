"""Signals that come before a command can be interrupted, while its modules are imported, and after its exit code is settled.

This module is imported before all others of the command, and imports next to nothing.
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

#: The signals that end a command; Windows has no SIGHUP.
ENDING: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupted(KeyboardInterrupt):
    """A signal that ends the command.

    :ivar code: the exit code that a shell expects: 128 and the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code: int = 128 + number


class Early:
    """Notes signals while the block runs, instead of raising anywhere: an import that is broken off may swallow what is raised.

    What the program ignores or handles itself is left alone; off the main thread it does nothing.

    :ivar code: once it is set, a signal ends the process at once, with this exit code.
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
        """Note signals from now on until the process ends.

        The interpreter, as the last thing it does, gives its own handlers up: what comes after that is ignored.
        """
        atexit.register(self._ignore)  # called last, if it is registered first
        return self.__enter__()

    def _ignore(self) -> None:
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def raise_noted(self) -> None:
        """:raises Interrupted: a signal has come."""
        if self._noted:
            raise Interrupted(self._noted)

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """Signals mean what they meant before, while this block runs; so does one that has come already."""
        self.__exit__(None, None, None)
        try:
            if self._noted:
                signal.raise_signal(self._noted)
            yield
        finally:
            self.__enter__()
