"""The clock of the simulation: when steps happen, even if the loop's thread is late. Runs on that thread.

A follow-up is timed from the moment at which its step was due, not from its execution. Steps therefore keep their order when the
thread is late, whatever the :mod:`pace <relay_sync.simulator.core.pace>`. External input, such as a client's command, happens
when the thread notices it; no time passes while it is processed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import define, field

if TYPE_CHECKING:
    from ...server.loop import Loop, Timer
    from .pace import Pace

__all__ = ["CallClock", "Clock"]


@define(eq=False)
class Clock:
    """The time of all calls, which is that of the loop's clock."""

    _loop: Loop = field(repr=False)
    _due: float | None = field(default=None, init=False)
    _latest: float = field(default=0.0, init=False)

    @property
    def now(self) -> float:
        """When the current step was due, or the current input was noticed; otherwise the current time."""
        if not self._loop.on_loop_thread:
            return self._loop.time()
        return max(self._loop.turn_began, self._latest) if self._due is None else self._due

    def after(self, seconds: float, then: Callable[..., object], *args: Any) -> Timer:
        """Schedule a step ``seconds`` after :attr:`now`."""
        return self.at(self.now + seconds, then, *args)

    def at(self, when: float, then: Callable[..., object], *args: Any) -> Timer:
        """Schedule a step at a moment."""
        return self._loop.call_at(when, self._step, when, then, args)

    def _step(self, due: float, then: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._due, self._latest = due, max(due, self._latest)
        try:
            then(*args)
        finally:
            self._due = None


@define(eq=False)
class _Alarm:
    left: float  # in simulated seconds
    slow: float  # seconds that one of them takes while nothing is running
    ring: Callable[[], object] = field(repr=False)
    since: float = 0.0
    timer: Timer | None = field(default=None, repr=False)


@define(eq=False)
class CallClock:
    """The time of one call, in simulated seconds. It runs at media speed while an operation with an end of its own is running,
    and by
    the clock otherwise. A caller who hangs up two seconds into a prompt does so at any pace; a caller who waits takes two
    seconds.
    """

    _clock: Clock = field(repr=False)
    _pace: Callable[[], Pace] = field(repr=False)
    _busy: int = field(default=0, init=False)
    _passed: float = field(default=0.0, init=False)
    _since: float = field(init=False)
    _alarms: dict[str, _Alarm] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._since = self._clock.now

    @property
    def now(self) -> float:
        """As :attr:`Clock.now`."""
        return self._clock.now

    @property
    def second(self) -> float:
        """Seconds of the clock that one simulated second takes, at real pace."""
        return self._pace().patience(1.0)

    @property
    def elapsed(self) -> float:
        """Simulated seconds since the call was created."""
        return self._passed + (self._clock.now - self._since) / self._length(self.second)

    def _length(self, slow: float) -> float:
        """Return how long a simulated second takes now."""
        return self._pace().media(1.0) if self._busy else slow

    def set(self, name: str, seconds: float, slow: float, then: Callable[..., object], *args: Any) -> None:
        """Schedule a callback after ``seconds`` of the call's time.

        :param slow: seconds that one simulated second takes while nothing is running.
        """
        self.cancel(name)

        def ring() -> None:
            self._alarms.pop(name, None)
            then(*args)

        alarm = self._alarms[name] = _Alarm(seconds, slow, ring)
        self._start(alarm)

    def cancel(self, name: str) -> None:
        """Cancel a callback."""
        alarm = self._alarms.pop(name, None)
        if alarm is not None and alarm.timer is not None:
            alarm.timer.cancel()

    def clear(self) -> None:
        """Cancel all callbacks."""
        for name in list(self._alarms):
            self.cancel(name)

    def busy(self, more: int) -> None:
        """Count an operation with an end of its own that starts (1) or ends (-1)."""
        if bool(self._busy) == bool(self._busy + more):
            self._busy += more
            return
        now = self._clock.now
        for alarm in self._alarms.values():
            alarm.left -= (now - alarm.since) / self._length(alarm.slow)
            if alarm.timer is not None:
                alarm.timer.cancel()
        self._passed, self._since = self.elapsed, now
        self._busy += more
        for alarm in self._alarms.values():
            self._start(alarm)

    def _start(self, alarm: _Alarm) -> None:
        alarm.since = self._clock.now
        alarm.timer = self._clock.after(alarm.left * self._length(alarm.slow), alarm.ring)
