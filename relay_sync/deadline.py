"""One time limit for all steps of a public call."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Deadline"]


class Deadline(NamedTuple):
    """A time on the monotonic clock, or no limit. Created once per public call and passed through every step."""

    at: float | None

    @classmethod
    def after(cls, now: float, timeout: float | None) -> Deadline:
        return cls(None if timeout is None else now + timeout)

    def remaining(self, now: float) -> float | None:
        """Return the seconds left, never negative; ``None`` without a limit."""
        return None if self.at is None else max(0.0, self.at - now)

    def passed(self, now: float) -> bool:
        return self.at is not None and now >= self.at
