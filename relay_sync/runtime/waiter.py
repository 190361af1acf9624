"""An outcome that arrives exactly once, and threads that wait for it."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, cast

from ..errors import RelayError
from .process import check_thread, forked_error, generation

__all__ = ["Waiter", "wait_for_event"]

T = TypeVar("T")
_UNSET: Final = object()

# Before 3.14, Windows cannot interrupt a lock wait (python/cpython#80116): wait in slices there.
SLICE: float | None = 0.2 if os.name == "nt" and sys.version_info < (3, 14) else None


def wait_for_event(event: threading.Event, timeout: float | None, *, slice_: float | None = None) -> bool:
    """Wait like ``event.wait(timeout)``, in slices where only that lets Ctrl-C through."""
    slice_ = slice_ or SLICE
    if slice_ is None:
        # A lock can wait for about 292 years at the most.
        return event.wait(timeout if timeout is None or timeout < threading.TIMEOUT_MAX else None)
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        left = slice_ if end is None else min(slice_, end - time.monotonic())
        if event.wait(max(0.0, left)):
            return True
        if end is not None and time.monotonic() >= end:
            return False


class Waiter(Generic[T]):
    """A value or an exception that is set once and read by any number of threads, any number of times."""

    __slots__ = ("__weakref__", "_event", "_generation", "_lock", "_outcome")

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._outcome: Any = _UNSET
        self._generation = generation()

    def settle(self, outcome: T | BaseException) -> bool:
        """Set the outcome; ``False`` if there was one already, which then stays."""
        with self._lock:
            if self._outcome is not _UNSET:
                return False
            self._outcome = outcome
        self._event.set()
        return True

    @property
    def done(self) -> bool:
        return self._outcome is not _UNSET

    def peek(self) -> T | BaseException | None:
        """The outcome as it is, without raising; ``None`` before there is one."""
        return None if self._outcome is _UNSET else cast("T | BaseException", self._outcome)

    def wait(self, timeout: float | None, on_timeout: Callable[[], BaseException]) -> T:
        """The value, or raise the exception.

        :param timeout: seconds; ``None`` waits until there is an outcome, which the owner of the waiter guarantees.
        :param on_timeout: makes the exception for a wait that found nothing.
        :raises Forked: in a child process, for a waiter that the parent made and nobody settled before the fork.
        """
        if self._outcome is _UNSET:
            if self._generation != generation():
                raise forked_error()
            check_thread()
            if not wait_for_event(self._event, timeout) and self._outcome is _UNSET:
                raise on_timeout()
        outcome = self._outcome
        if isinstance(outcome, RelayError):
            raise outcome.fresh()
        if isinstance(outcome, BaseException):
            raise outcome
        return cast("T", outcome)
