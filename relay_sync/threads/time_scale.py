"""How fast time passes for whoever waits for something to happen in a call: faster in tests of users' programs."""

from __future__ import annotations

__all__ = ["factor", "paced", "unhurried"]

#: How many times sooner waits give up. Changed by :func:`relay_sync.testing.faster` only.
factor: float = 1.0


def paced(timeout: float | None) -> float | None:
    """The time to wait in truth, in seconds, for a timeout that a user gave."""
    return timeout if timeout is None or factor == 1.0 else timeout / factor


def unhurried(timeout: float) -> float:
    """The timeout to give to a wait that is :func:`paced`, so that it lasts so many seconds: for the package's own waits."""
    return timeout * factor
