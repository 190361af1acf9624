"""An outcome that arrives exactly once, and threads that wait for it."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, cast

from ..errors import RelayError
from .flag import Bell
from .process import check_thread, forked_error, generation
from .timeouts import TimeLeft

__all__ = ["Waiter", "at_once", "wait_for_event", "wait_until"]

T = TypeVar("T")
_UNSET: Final = object()

# Signals are handled on the main thread, so only its waits are cut in slices. Before 3.14 Windows cannot interrupt a lock wait
# at all (python/cpython#80116). Elsewhere a signal that comes just before the wait begins is noticed only when it ends.
SLICE: float = 0.2 if os.name == "nt" and sys.version_info < (3, 14) else 0.5


def at_once(timeout: float | None) -> float:
    """How long one wait of the lock may last, so that this thread misses no signal. Seconds."""
    # A lock can wait for about 292 years at the most.
    limit = SLICE if threading.current_thread() is threading.main_thread() else threading.TIMEOUT_MAX
    return limit if timeout is None else max(0.0, min(timeout, limit))


def wait_for_event(event: threading.Event, timeout: float | None) -> bool:
    """Wait like ``event.wait(timeout)``, and never miss a Ctrl-C."""
    left = TimeLeft(timeout)
    while True:
        over, longest = left.over, at_once(left())
        if event.wait(longest):
            return True
        if over:
            return False
        left.waited(longest)


def wait_until(ready: Callable[[], bool], bell: Bell, timeout: float | None) -> bool:
    """Wait until something is so, looking again whenever the bell rings; never miss a Ctrl-C.

    :param timeout: seconds.
    :return: whether it is so.
    """
    began, rest, left = time.monotonic(), timeout, None
    while True:
        longest = at_once(rest)
        rang = bell.sleep(ready, longest)
        if ready():
            return True
        left = left or TimeLeft(timeout, began)  # not before: nearly always one sleep is enough
        if not rang:
            left.waited(longest)
        rest = left()
        if rest is not None and rest <= 0:
            return False


class Waiter(Generic[T]):
    """A value or an exception that is set once and read by any number of threads, any number of times."""

    __slots__ = ("__weakref__", "_bell", "_generation", "_lock", "_outcome")

    def __init__(self) -> None:
        self._bell = Bell()
        self._lock = threading.RLock()
        self._outcome: Any = _UNSET
        self._generation = generation()

    def settle(self, outcome: T | BaseException, before_waking: Callable[[], object] | None = None) -> bool:
        """Set the outcome.

        :param before_waking: is called when the outcome is there and before those who sleep wake: they find done what it does.
        :return: ``False`` if there was an outcome already, which then stays.
        """
        with self._lock:
            if self._outcome is not _UNSET:
                return False
            self._outcome = outcome
        try:
            if before_waking is not None:
                before_waking()
        finally:
            self._bell.ring()
        return True

    def check_process(self) -> None:
        """Refuse what would make no sense, or take a lock of the parent's, in a child process.

        :raises Forked: the parent process made this.
        """
        if self._generation != generation():
            raise forked_error()

    @property
    def done(self) -> bool:
        return self._outcome is not _UNSET

    @property
    def foreign(self) -> bool:
        """Whether this is a child process's copy, in which no outcome will come any more."""
        return self._outcome is _UNSET and self._generation != generation()

    @property
    def over(self) -> bool:
        """Whether there is an outcome, or none will ever come."""
        return self._outcome is not _UNSET or self._generation != generation()

    def _settled(self) -> bool:
        return self._outcome is not _UNSET

    def peek(self) -> T | BaseException | None:
        """The outcome as it is, without raising; ``None`` before there is one."""
        return None if self._outcome is _UNSET else cast("T | BaseException", self._outcome)

    def settled_within(self, timeout: float | None) -> bool:
        """Whether there is an outcome, after waiting for one.

        :param timeout: seconds.
        :raises Forked: as :meth:`wait`.
        """
        if self._outcome is _UNSET:
            self.check_process()
            check_thread()
            wait_until(self._settled, self._bell, timeout)
        return self._outcome is not _UNSET

    def wait(self, timeout: float | None, on_timeout: Callable[[], BaseException]) -> T:
        """The value, or raise the exception.

        :param timeout: seconds; ``None`` waits until there is an outcome, which the owner of the waiter guarantees.
        :param on_timeout: makes the exception for a wait that found nothing.
        :raises Forked: in a child process, for a waiter that the parent made and nobody settled before the fork.
        """
        if self._outcome is _UNSET and not self.settled_within(timeout):
            raise on_timeout()
        outcome = self._outcome
        if isinstance(outcome, RelayError):
            raise outcome.fresh()
        if isinstance(outcome, BaseException):
            raise outcome
        value: T = outcome
        return value
