"""Timeouts: what is left of one, also where the clock stands still, and how fast they pass in tests of users' programs."""

from __future__ import annotations

import time

__all__ = ["TimeLeft", "factor", "paced", "unhurried"]

#: How many times sooner waits give up. Changed by :func:`relay_sync.testing.faster` only.
factor: float = 1.0


def paced(timeout: float | None) -> float | None:
    """The time to wait in truth, in seconds, for a timeout that a user gave."""
    return timeout if timeout is None or factor == 1.0 else timeout / factor


def unhurried(timeout: float) -> float:
    """The timeout to give to a wait that is :func:`paced`, so that it lasts so many seconds: for the package's own waits."""
    return timeout * factor


class TimeLeft:
    """What is left of a timeout: by the clock, or by what has been waited in vain, whichever is less.

    The clock alone is not enough: it stands still in tests that freeze time, while locks and selectors go on waiting.

    :param since: when it began on the monotonic clock; by default now.
    :ivar timeout: as it was given.
    """

    __slots__ = ("_end", "_rest", "timeout")

    def __init__(self, timeout: float | None, since: float | None = None) -> None:
        self.timeout: float | None = timeout
        self._rest = timeout
        self._end = None if timeout is None else (time.monotonic() if since is None else since) + timeout

    def __call__(self) -> float | None:
        """Seconds, or ``None`` without a limit; 0 or less when it is over."""
        if self._end is None or self._rest is None:
            return None
        return min(self._rest, self._end - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether nothing is left."""
        left = self()
        return left is not None and left <= 0

    def waited(self, seconds: float) -> None:
        """A lock, a selector or a sleep has lasted for so long, and nothing came."""
        if self._rest is not None:
            self._rest -= seconds
