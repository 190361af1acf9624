"""Timeouts: the remaining time, even if the clock stands still, and the speed-up for tests of users' programs."""

from __future__ import annotations

import time

__all__ = ["TimeLeft", "factor", "paced", "unhurried"]

#: The factor by which waits are shortened. Changed only by :func:`relay_sync.testing.faster`.
factor: float = 1.0


def paced(timeout: float | None) -> float | None:
    """Return the seconds to wait for a timeout given by the user, shortened by :data:`factor`."""
    return timeout if timeout is None or factor == 1.0 else timeout / factor


def unhurried(timeout: float) -> float:
    """Return the timeout that :func:`paced` turns into ``timeout`` seconds, for internal waits that must not be shortened."""
    return timeout * factor


class TimeLeft:
    """The time left of a timeout: the lesser of the time left by the clock and the time left after the waits so far.

    The clock alone is not enough. It stands still in tests that freeze time, while locks and selectors continue to wait.

    :param timeout: seconds; ``None`` for no limit.
    :param since: the start on the monotonic clock; now by default.
    :ivar timeout: the original timeout.
    """

    __slots__ = ("_end", "_rest", "timeout")

    def __init__(self, timeout: float | None, since: float | None = None) -> None:
        self.timeout: float | None = timeout
        self._rest = timeout
        self._end = None if timeout is None else (time.monotonic() if since is None else since) + timeout

    def __call__(self) -> float | None:
        """Return the seconds left: 0 or less after the timeout, ``None`` without a limit."""
        if self._end is None or self._rest is None:
            return None
        return min(self._rest, self._end - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether the timeout has passed."""
        left = self()
        return left is not None and left <= 0

    def waited(self, seconds: float) -> None:
        """Record a wait on a lock, a selector or a sleep that timed out after this many seconds."""
        if self._rest is not None:
            self._rest -= seconds
