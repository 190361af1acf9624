"""Remaining time of timeouts, and the speed-up of timeouts in tests."""

from __future__ import annotations

import time

__all__ = ["TimeLeft", "factor", "paced", "unhurried"]

#: Factor by which user timeouts are shortened. Only :func:`relay_sync.testing.faster` changes it.
factor: float = 1.0


def paced(timeout: float | None) -> float | None:
    """Return the time to wait for a timeout given by the user, divided by :data:`factor`."""
    return timeout if timeout is None or factor == 1.0 else timeout / factor


def unhurried(timeout: float) -> float:
    """Return the value that :func:`paced` converts to ``timeout`` seconds. Use it for waits that must not be shortened."""
    return timeout * factor


class TimeLeft:
    """The remaining time of a timeout.

    The clock alone is not sufficient: tests may freeze it, while locks and selectors still wait in real time. The
    remaining time is therefore the lesser of two values: the time left on the clock, and the timeout minus the recorded
    waits.

    :param timeout: the timeout, in seconds; ``None`` means no limit.
    :param since: start of the timeout on the monotonic clock; the default is the current time.
    :ivar timeout: original timeout.
    """

    __slots__ = ("_end", "_rest", "timeout")

    def __init__(self, timeout: float | None, since: float | None = None) -> None:
        self.timeout: float | None = timeout
        self._rest = timeout
        self._end = None if timeout is None else (time.monotonic() if since is None else since) + timeout

    def __call__(self) -> float | None:
        """Return the remaining seconds. The result is 0 or negative after the timeout, and ``None`` without a limit."""
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
