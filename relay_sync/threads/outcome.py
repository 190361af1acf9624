"""A result that is set exactly once, and waits that Ctrl-C can interrupt."""

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

# Maximum time of a single wait on the main thread, in seconds. The main thread handles signals. On Windows before
# Python 3.14, a signal cannot interrupt a lock wait (python/cpython#80116). On other systems, a signal that arrives
# just before a wait starts is handled only when the wait ends.
SLICE: float = 0.2 if os.name == "nt" and sys.version_info < (3, 14) else 0.5


def at_once(timeout: float | None) -> float:
    """Return the longest time, in seconds, that this thread may wait for a lock without delaying signals."""
    # TIMEOUT_MAX is about 292 years.
    limit = SLICE if threading.current_thread() is threading.main_thread() else threading.TIMEOUT_MAX
    return limit if timeout is None else max(0.0, min(timeout, limit))


def wait_for_event(event: threading.Event, timeout: float | None) -> bool:
    """Wait for an event like ``event.wait(timeout)``, but let Ctrl-C interrupt the wait on any platform."""
    left = TimeLeft(timeout)
    while True:
        over, longest = left.over, at_once(left())
        if event.wait(longest):
            return True
        if over:
            return False
        left.waited(longest)


def wait_until(ready: Callable[[], bool], bell: Bell, timeout: float | None) -> bool:
    """Wait until ``ready()`` is true. Ctrl-C can interrupt the wait on any platform.

    :param ready: condition to check each time the bell rings.
    :param bell: bell that rings whenever the condition may have changed.
    :param timeout: maximum time to wait, in seconds; ``None`` waits indefinitely.
    :return: ``False`` after a timeout.
    """
    began, rest, left = time.monotonic(), timeout, None
    while True:
        longest = at_once(rest)
        rang = bell.sleep(ready, longest)
        if ready():
            return True
        left = left or TimeLeft(timeout, began)  # created late, because a single sleep is nearly always enough
        if not rang:
            left.waited(longest)
        rest = left()
        if rest is not None and rest <= 0:
            return False


class Waiter(Bell, Generic[T]):
    """A value or an exception that is set once and can be read by any number of threads.

    It is a bell of its own, because each call of a class within a constructor goes 400 bytes deeper into the thread's stack.
    """

    __slots__ = ("__weakref__", "_generation", "_lock", "_outcome")

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()
        self._outcome: Any = _UNSET
        self._generation = generation()

    def settle(self, outcome: T | BaseException, before_waking: Callable[[], object] | None = None) -> bool:
        """Set the outcome and wake the waiting threads.

        :param outcome: the value or exception.
        :param before_waking: called after the outcome is set and before waiting threads wake up.
        :return: ``False`` if an outcome was already set. That outcome does not change.
        """
        with self._lock:
            if self._outcome is not _UNSET:
                return False
            self._outcome = outcome
        try:
            if before_waking is not None:
                before_waking()
        finally:
            self.ring()
        return True

    def check_process(self) -> None:
        """Raise an exception if the waiter belongs to the parent process.

        In a child process, the outcome never arrives, and locks may be held by threads that exist only in the parent.

        :raises Forked: the waiter belongs to the parent process.
        """
        if self._generation != generation():
            raise forked_error()

    @property
    def done(self) -> bool:
        return self._outcome is not _UNSET

    @property
    def foreign(self) -> bool:
        """Whether this is a child process's copy of a pending waiter, which never receives an outcome."""
        return self._outcome is _UNSET and self._generation != generation()

    @property
    def over(self) -> bool:
        """Whether the outcome is set or can no longer be set."""
        return self._outcome is not _UNSET or self._generation != generation()

    def _settled(self) -> bool:
        return self._outcome is not _UNSET

    def peek(self) -> T | BaseException | None:
        """Return the outcome, or ``None`` if it is not set. An exception is returned, not raised."""
        return None if self._outcome is _UNSET else cast("T | BaseException", self._outcome)

    def settled_within(self, timeout: float | None) -> bool:
        """Wait for the outcome and return whether it is set.

        :param timeout: maximum time to wait, in seconds; ``None`` waits indefinitely.
        :raises Forked: the waiter belongs to the parent process.
        """
        if self._outcome is _UNSET:
            self.check_process()
            check_thread()
            wait_until(self._settled, self, timeout)
        return self._outcome is not _UNSET

    def wait(self, timeout: float | None, on_timeout: Callable[[], BaseException]) -> T:
        """Wait for the outcome. Return the value or raise the exception.

        :param timeout: maximum time to wait, in seconds. With ``None``, the owner must make sure that the outcome is
            set eventually.
        :param on_timeout: returns the exception to raise after a timeout.
        :raises Forked: the waiter belongs to the parent process and was pending at the time of the fork.
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
