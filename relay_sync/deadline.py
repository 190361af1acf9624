"""Deadlines for operations that consist of several steps."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Deadline"]


class Deadline(NamedTuple):
    """Point in time on the monotonic clock at which an operation times out, or ``None`` for no timeout.

    A public method creates a deadline once and passes it to every step of the operation.
    """

    at: float | None

    @classmethod
    def after(cls, now: float, timeout: float | None) -> Deadline:
        return cls(None if timeout is None else now + timeout)

    def remaining(self, now: float) -> float | None:
        """Return the remaining time in seconds, which is 0 after the deadline, or ``None`` if there is no timeout."""
        return None if self.at is None else max(0.0, self.at - now)

    def passed(self, now: float) -> bool:
        return self.at is not None and now >= self.at
