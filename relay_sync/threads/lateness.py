"""Detect a loop that falls behind because its turns take too long."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, Protocol

__all__ = ["Lateness"]

_EVERY: Final = 0.2  # seconds between two checks
_LONG: Final = 5  # number of long turns in a row, a second or longer, after which the loop is behind


class _Loop(Protocol):
    def call_soon(self, fn: Callable[..., object], *args: Any) -> None: ...

    def call_later(self, delay: float, fn: Callable[..., object], *args: Any) -> object: ...


class Lateness:
    """Detector for a loop that falls behind. It measures a turn every 0.2 seconds, or every turn if that is longer, and
    costs nothing in the other turns.

    :param loop: the loop.
    :param limit: acceptable duration of a turn in seconds.
    :param goes_on: returns whether to measure further turns.
    :param on_behind: called once, with the duration of the last turn, when turns have been too long for a second.
    :ivar turn: duration of the last measured turn in seconds.
    :ivar behind: whether turns have been too long for a second.
    """

    def __init__(
        self, loop: _Loop, limit: float, goes_on: Callable[[], bool], on_behind: Callable[[float], object]
    ) -> None:
        self.turn: float = 0.0
        self.behind: bool = False
        self._loop = loop
        self._limit = limit
        self._goes_on = goes_on
        self._on_behind: Callable[[float], object] | None = on_behind
        self._long = 0  # number of long turns in a row
        self._checks = False

    def check(self) -> None:
        """Start measuring. Call this on the loop thread. If turns are already measured, it does nothing."""
        if not self._checks:
            self._checks = True
            self._measure()

    def _measure(self) -> None:
        # A call that is queued by a queued call runs in the next turn.
        self._loop.call_soon(self._loop.call_soon, self._judge, time.monotonic())

    def _judge(self, began: float) -> None:
        now = time.monotonic()  # the loop's own time leaves out turns of more than a second, as jumps of the clock
        self.turn = now - began
        self._long = self._long + 1 if self.turn > self._limit else 0
        self.behind = self._long >= _LONG
        if self.behind and self._on_behind is not None:
            report, self._on_behind = self._on_behind, None
            report(self.turn)
        self._checks = self._goes_on()
        if not self._checks:
            self.turn, self._long, self.behind = 0.0, 0, False
        elif self.turn > _EVERY:  # for the same reason, a timer might not be due for long
            self._loop.call_soon(self._judge, now)
        else:
            self._loop.call_later(_EVERY, self._measure)
