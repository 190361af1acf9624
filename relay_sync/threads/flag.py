"""Waking threads without a lock that a signal could leave held.

``threading.Event`` acquires its lock in Python code. If Ctrl-C arrives just after a waiting main thread acquired it, the lock is
never released, and the next thread that sets the event, usually the IO thread, blocks forever. Here each sleeping thread has a
lock of its own, and threads share only a list. An interrupt leaves at most a stale lock in that list.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Bell", "Flag"]


class Bell:
    """Wakes all threads that sleep on it."""

    __slots__ = ("_ears",)

    def __init__(self) -> None:
        # A list, since it nearly always holds at most one: an empty deque takes ten times the memory, and every call has a bell.
        self._ears: list[Any] = []

    def ring(self) -> None:
        """Wake all threads that are asleep. Never blocks. Call it after the change that they wait for."""
        try:
            # A copy is enough: threads that start to sleep during the loop see the change first.
            for ear in tuple(self._ears):
                try:
                    if ear.locked():
                        ear.release()
                    else:  # already rung: its thread may have been interrupted before it removed the lock
                        self._ears.remove(ear)
                except (RuntimeError, ValueError):  # another thread was faster
                    pass
        except BaseException:  # Ctrl-C: the remaining threads may sleep without a timeout, so wake them first
            self.ring()
            raise

    def sleep(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Sleep until the bell rings once. Return immediately if ``ready()`` is true.

        :param ready: checked once, before the sleep.
        :param timeout: seconds; ``None`` waits indefinitely.
        :return: ``False`` after a timeout.
        """
        ear = threading.Lock()
        ear.acquire()
        # Added before the check, so that a change after the check wakes this thread.
        self._ears.append(ear)
        try:
            return ready() or ear.acquire(True, -1 if timeout is None else timeout)
        finally:
            try:
                self._ears.remove(ear)
            except ValueError:  # removed by a second ring()
                pass


class Flag(threading.Event):
    """A ``threading.Event`` that stays usable when a signal interrupts any of its methods."""

    def __init__(self) -> None:
        self._flag = False
        self._bell = Bell()

    def is_set(self) -> bool:
        """Return whether the flag is set."""
        return self._flag

    def set(self) -> None:
        """Set the flag and wake all waiting threads. Never blocks."""
        try:
            self._flag = True
            self._bell.ring()
        except BaseException:  # Ctrl-C, possibly between the two
            self._bell.ring()
            raise

    def clear(self) -> None:
        """Clear the flag."""
        self._flag = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the flag is set, for at most ``timeout`` seconds.

        :param timeout: seconds; ``None`` waits indefinitely.
        :return: whether the flag was set.
        """
        # A thread that was woken returns True even if the flag was cleared since, as with threading.Event.
        return self._flag or self._bell.sleep(self.is_set, None if timeout is None else max(0.0, timeout))

    def _at_fork_reinit(self) -> None:
        self._bell = Bell()
