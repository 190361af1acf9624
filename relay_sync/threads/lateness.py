"""Detect a loop that falls behind because its turns take too long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

__all__ = ["Lateness"]

_EVERY: Final = 0.2  # seconds between two checks
_LONG: Final = 5  # number of long turns in a row, about a second, after which the loop is behind


class _Loop(Protocol):
    def time(self) -> float: ...

    def call_soon(self, fn: Callable[..., object], *args: Any) -> None: ...

    def call_later(self, delay: float, fn: Callable[..., object], *args: Any) -> object: ...


class Lateness:
    """Detector for a loop that falls behind. It measures a turn every 0.2 seconds and costs nothing in the other turns.

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
            self._loop.call_later(_EVERY, self._measure)

    def _measure(self) -> None:
        # A call that is queued by a queued call runs in the next turn.
        self._loop.call_soon(self._loop.call_soon, self._judge, self._loop.time())

    def _judge(self, began: float) -> None:
        self.turn = self._loop.time() - began
        self._long = self._long + 1 if self.turn > self._limit else 0
        self.behind = self._long >= _LONG
        if self.behind and self._on_behind is not None:
            report, self._on_behind = self._on_behind, None
            report(self.turn)
        self._checks = False
        if self._goes_on():
            self.check()
        else:
            self.turn, self._long, self.behind = 0.0, 0, False
