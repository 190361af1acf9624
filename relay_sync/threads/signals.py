"""Temporary signal handlers."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from . import process

__all__ = ["Handled"]


class Handled:
    """A context manager that installs signal handlers and restores the previous handlers on exit.

    It does nothing outside the main thread. Ignored signals stay ignored, because the parent process requested that,
    for example with ``nohup``. A handler that was not installed from Python is left in place, because Python could not
    restore it. If the program installs a handler inside the block, that handler is kept. A child process forked inside
    the block gets the previous handlers back.

    :param handler: called on the main thread with the signal number and the current frame.
    :param numbers: signals to handle.
    :param only_defaults: replace only Python's default handlers, and leave the program's handlers in place.
    """

    def __init__(
        self, handler: Callable[[int, FrameType | None], object], *numbers: int, only_defaults: bool = False
    ) -> None:
        self._handler = handler
        self._numbers = numbers
        self._only_defaults = only_defaults
        self._before: dict[int, Any] = {}
        self._process = 0

    @property
    def numbers(self) -> set[int]:
        """The signals that this object currently handles."""
        return set(self._before)

    def __enter__(self) -> Handled:
        if threading.current_thread() is threading.main_thread():
            self._process = os.getpid()
            process.watch(self)
            for number in self._numbers:
                before = signal.getsignal(number)
                if self._may_replace(number, before):
                    self._before[number] = before  # store this first, because the signal may arrive immediately
                    signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.put_back()

    def _may_replace(self, number: int, before: Any) -> bool:
        if self._only_defaults:
            return bool(before == (signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL))
        return before not in (signal.SIG_IGN, None)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() == self._process:
            self._handler(number, frame)
        else:  # a child process whose fork hook has not run
            self.put_back()
            signal.raise_signal(number)

    def put_back(self) -> None:
        """Restore the previous handlers. If a signal interrupts this method, it can be called again."""
        for number, before in list(self._before.items()):
            if signal.getsignal(number) == self._on_signal:
                signal.signal(number, before)
        self._before.clear()

    def after_fork(self) -> None:
        self.put_back()

    def at_exit(self, timeout: float) -> None:
        pass
