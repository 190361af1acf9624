"""Clocks as they are in tests of users that freeze time, in some containers, and after a machine has slept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

__all__ = ["leapt", "stopped"]

HOUR = 3600.0


@contextmanager
def stopped() -> Iterator[None]:
    """``time.monotonic()`` stands still."""
    now = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now)
        yield


@contextmanager
def leapt(seconds: float = HOUR) -> Iterator[None]:
    """``time.monotonic()`` has gone on by so much at once."""
    true = time.monotonic
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: true() + seconds)
        yield
