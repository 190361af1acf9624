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
    """Handles signals while the block runs, then restores the previous handlers. Does nothing outside the main thread.

    An ignored signal stays ignored, because the parent process requested that (``nohup``, ``&`` in a shell). A handler that was
    not installed from Python is not replaced, because it could not be restored. A handler that the program installs during the
    block is kept.

    In a child process that is forked during the block, the previous handlers are restored.

    :param handler: called on the main thread with the signal's number and the current frame.
    :param numbers: the signals.
    :param only_defaults: whether to replace only Python's default handlers, not handlers of the program.
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
        """The signals that are handled."""
        return set(self._before)

    def __enter__(self) -> Handled:
        if threading.current_thread() is threading.main_thread():
            self._process = os.getpid()
            process.watch(self)
            for number in self._numbers:
                before = signal.getsignal(number)
                if self._may_replace(number, before):
                    self._before[number] = before  # stored first: the signal may arrive immediately
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
        else:  # a child process in which the fork hook has not run
            self.put_back()
            signal.raise_signal(number)

    def put_back(self) -> None:
        """Restore the previous handlers. Can be interrupted and called again."""
        for number, before in list(self._before.items()):
            if signal.getsignal(number) == self._on_signal:
                signal.signal(number, before)
        self._before.clear()

    def after_fork(self) -> None:
        self.put_back()

    def at_exit(self, timeout: float) -> None:
        pass
