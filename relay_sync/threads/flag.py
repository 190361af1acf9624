"""Thread wake-ups that are safe to use with signals.

``threading.Event`` acquires its lock in Python code. If Ctrl-C arrives just after a waiting main thread has acquired
the lock, the lock is never released. The next thread that sets the event, usually the IO thread, then blocks forever.
In this module, each waiting thread has a separate lock, and threads share only a list of these locks. At worst, an
interrupt leaves a stale lock in the list.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Bell", "Flag"]


class Bell:
    """A primitive that lets threads sleep until another thread wakes them all."""

    __slots__ = ("_ears",)

    def __init__(self) -> None:
        # A list rather than a deque: it rarely holds more than one lock, an empty deque uses ten times the memory, and
        # every call has a bell.
        self._ears: list[Any] = []

    def ring(self) -> None:
        """Wake all sleeping threads without blocking. Call this after the change that the threads are waiting for."""
        try:
            # Threads that start to sleep during the loop see the change, so iterating over a copy is enough.
            for ear in tuple(self._ears):
                try:
                    if ear.locked():
                        ear.release()
                    else:  # already rung; the thread may have been interrupted before removing the lock
                        self._ears.remove(ear)
                except (RuntimeError, ValueError):  # another thread released or removed the lock
                    pass
        except BaseException:
            # Ctrl-C: wake the remaining threads first, because they may be sleeping without a timeout.
            self.ring()
            raise

    def sleep(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Sleep until the bell rings, or return immediately if ``ready()`` is true.

        :param ready: condition to check once before sleeping.
        :param timeout: maximum time to sleep, in seconds; ``None`` sleeps indefinitely.
        :return: ``False`` after a timeout.
        """
        ear = threading.Lock()
        ear.acquire()
        # Add the lock before checking the condition, so that a change after the check wakes this thread.
        self._ears.append(ear)
        try:
            return ready() or ear.acquire(True, -1 if timeout is None else timeout)
        finally:
            try:
                self._ears.remove(ear)
            except ValueError:  # a second ring() has removed it
                pass


class Flag(threading.Event):
    """A ``threading.Event`` that stays usable even if a signal interrupts one of its methods."""

    def __init__(self) -> None:
        self._flag = False
        self._bell = Bell()

    def is_set(self) -> bool:
        """Return whether the flag is set."""
        return self._flag

    def set(self) -> None:
        """Set the flag and wake all waiting threads without blocking."""
        try:
            self._flag = True
            self._bell.ring()
        except BaseException:  # Ctrl-C may arrive between the two statements
            self._bell.ring()
            raise

    def clear(self) -> None:
        """Clear the flag."""
        self._flag = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the flag is set and return whether it was set.

        :param timeout: maximum time to wait, in seconds; ``None`` waits indefinitely.
        """
        # As with threading.Event, a woken thread returns True even if the flag has been cleared since.
        return self._flag or self._bell.sleep(self.is_set, None if timeout is None else max(0.0, timeout))

    def _at_fork_reinit(self) -> None:
        self._bell = Bell()
