"""Handlers of signals that are ours for a time."""

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
    """Handle signals while the block runs; afterwards they mean again what they meant before. Does nothing off the main thread.

    A signal that is ignored stays ignored: whoever started the program (``nohup``, a shell's ``&``) wanted that. So does a
    handler that Python does not know, since it could not be put back. A handler that the program sets meanwhile stays.

    A child process that is forked meanwhile gets back what was there before: the handler is about this process.

    :param handler: is called with the signal's number, on the main thread.
    :param only_defaults: replace no handler of the program either, only what Python has by itself.
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
                    self._before[number] = before  # known first: the signal may come at once
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
        else:  # a child in which no hook of Python has run, or not yet
            self.put_back()
            signal.raise_signal(number)

    def put_back(self) -> None:
        """End it early. Harmless when it is interrupted or called twice."""
        for number, before in list(self._before.items()):
            if signal.getsignal(number) == self._on_signal:
                signal.signal(number, before)
        self._before.clear()

    def after_fork(self) -> None:
        self.put_back()

    def at_exit(self, timeout: float) -> None:
        pass
