"""Time left before a timeout, and shorter timeouts for tests."""

from __future__ import annotations

import time

__all__ = ["TimeLeft", "factor", "paced", "unhurried"]

#: Factor by which user timeouts are shortened. Only :func:`relay_sync.testing.faster` changes it.
factor: float = 1.0


def paced(timeout: float | None) -> float | None:
    """Return a user-specified timeout divided by :data:`factor`."""
    return timeout if timeout is None or factor == 1.0 else timeout / factor


def unhurried(timeout: float) -> float:
    """Return the value that :func:`paced` converts to ``timeout`` seconds. Use it for waits that must not be shortened."""
    return timeout * factor


class TimeLeft:
    """The time left before a timeout.

    The clock alone is not sufficient, because tests may freeze it while locks and selectors still wait in real time.
    The remaining time is therefore the lesser of the time left on the clock and the timeout minus all recorded waits.

    :param timeout: the timeout, in seconds; ``None`` means no limit.
    :param since: monotonic time at which the timeout starts; the default is the current time.
    :ivar timeout: original timeout.
    """

    __slots__ = ("_end", "_rest", "timeout")

    def __init__(self, timeout: float | None, since: float | None = None) -> None:
        self.timeout: float | None = timeout
        self._rest = timeout
        self._end = None if timeout is None else (time.monotonic() if since is None else since) + timeout

    def __call__(self) -> float | None:
        """Return the remaining seconds, which are 0 or negative after the timeout, or ``None`` if there is no limit."""
        if self._end is None or self._rest is None:
            return None
        return min(self._rest, self._end - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether the timeout has expired."""
        left = self()
        return left is not None and left <= 0

    def waited(self, seconds: float) -> None:
        """Record a wait on a lock, a selector or a sleep that timed out after this many seconds."""
        if self._rest is not None:
            self._rest -= seconds
