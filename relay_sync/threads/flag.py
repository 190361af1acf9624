"""Waking threads without a lock that a signal could leave held.

A ``threading.Event`` takes a lock of its own in Python code. When Ctrl-C arrives just after a waiting main thread took it, nobody
releases it any more, and whoever sets the event next, which is the IO thread, blocks for ever. Here every sleeper brings a
lock of his own and nothing is shared but a list, so an interrupt anywhere leaves at most a lock in it that nobody waits for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Bell", "Flag"]


class Bell:
    """Threads sleep until it rings."""

    __slots__ = ("_ears",)

    def __init__(self) -> None:
        # Nearly always one or none: an empty deque takes ten times the memory, and there is one of these for each call.
        self._ears: list[Any] = []

    def ring(self) -> None:
        """Wake everybody who sleeps now; never blocks. To be called after the change that they wait for."""
        try:
            # Those who lie down again meanwhile have seen the change.
            for ear in tuple(self._ears):
                try:
                    if ear.locked():
                        ear.release()
                    else:  # it has rung for this one, who may have been interrupted before taking it out
                        self._ears.remove(ear)
                except (RuntimeError, ValueError):  # somebody else was quicker
                    pass
        except BaseException:  # Ctrl-C: the others sleep on without a limit, perhaps
            self.ring()
            raise

    def sleep(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Sleep until the bell rings, once; not at all if it is ``ready()`` already.

        :param timeout: seconds; ``None`` for as long as it takes.
        :return: whether it was ready or rang.
        """
        ear = threading.Lock()
        ear.acquire()
        # Before the look: what changes after it is heard.
        self._ears.append(ear)
        try:
            return ready() or ear.acquire(True, -1 if timeout is None else timeout)
        finally:
            try:
                self._ears.remove(ear)
            except ValueError:  # it has rung twice
                pass


class Flag(threading.Event):
    """A ``threading.Event`` that no signal can break."""

    def __init__(self) -> None:
        self._flag = False
        self._bell = Bell()

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._flag

    def set(self) -> None:
        """Set it, and wake everybody who waits. Never blocks."""
        try:
            self._flag = True
            self._bell.ring()
        except BaseException:  # Ctrl-C, perhaps between the two
            self._bell.ring()
            raise

    def clear(self) -> None:
        """Take it back."""
        self._flag = False

    def wait(self, timeout: float | None = None) -> bool:
        """Return whether it is set, after waiting for that for at most ``timeout`` seconds."""
        # Woken is set, even if it was cleared again since, as with any event.
        return self._flag or self._bell.sleep(self.is_set, None if timeout is None else max(0.0, timeout))

    def _at_fork_reinit(self) -> None:
        self._bell = Bell()
