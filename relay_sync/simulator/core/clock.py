"""Scheduler for simulation steps. Runs on the loop thread.

Follow-up steps are scheduled relative to the current step's due time, even if that step runs late. This preserves the order of
steps at any :mod:`pace <relay_sync.simulator.core.pace>` when the loop thread falls behind. External input, such as a client's
command, is timestamped when the loop thread receives it. Simulated time does not advance while the input is handled.
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
    """Simulation time, based on the loop's clock."""

    _loop: Loop = field(repr=False)
    _due: float | None = field(default=None, init=False)
    _latest: float = field(default=0.0, init=False)

    @property
    def now(self) -> float:
        """The current step's due time, or the time when the current input was received. On other threads, the current time."""
        if not self._loop.on_loop_thread:
            return self._loop.time()
        return max(self._loop.turn_began, self._latest) if self._due is None else self._due

    def after(self, seconds: float, then: Callable[..., object], *args: Any) -> Timer:
        """Schedule a step ``seconds`` after :attr:`now`."""
        return self.at(self.now + seconds, then, *args)

    def at(self, when: float, then: Callable[..., object], *args: Any) -> Timer:
        """Schedule a step at an absolute time."""
        return self._loop.call_at(when, self._step, when, then, args)

    def _step(self, due: float, then: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._due, self._latest = due, max(due, self._latest)
        try:
            then(*args)
        finally:
            self._due = None


@define(eq=False)
class _Alarm:
    left: float  # remaining time, in simulated seconds
    slow: float  # real seconds per simulated second while no operation is running
    ring: Callable[[], object] = field(repr=False)
    since: float = 0.0
    timer: Timer | None = field(default=None, repr=False)


@define(eq=False)
class CallClock:
    """A call's clock, in simulated seconds.

    The clock runs at media speed while at least one fixed-duration operation, such as a playback, is in progress. Otherwise it
    runs in real time. For example, a caller who hangs up after two seconds always hears the first two seconds of a prompt, even
    if the prompt is played 1000 times faster. If nothing is being played, the same caller hangs up after two real seconds.
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
        """Same as :attr:`Clock.now`."""
        return self._clock.now

    @property
    def second(self) -> float:
        """Real seconds per simulated second while no operation is running."""
        return self._pace().patience(1.0)

    @property
    def elapsed(self) -> float:
        """Simulated seconds since the call was created."""
        return self._passed + (self._clock.now - self._since) / self._length(self.second)

    def _length(self, slow: float) -> float:
        """Return the current number of real seconds per simulated second."""
        return self._pace().media(1.0) if self._busy else slow

    def set(self, name: str, seconds: float, slow: float, then: Callable[..., object], *args: Any) -> None:
        """Schedule a callback after ``seconds`` of call time. A previous callback with the same name is canceled.

        :param slow: real seconds per simulated second while no operation is running.
        """
        self.cancel(name)

        def ring() -> None:
            self._alarms.pop(name, None)
            then(*args)

        alarm = self._alarms[name] = _Alarm(seconds, slow, ring)
        self._start(alarm)

    def cancel(self, name: str) -> None:
        """Cancel the callback with this name, if it is scheduled."""
        alarm = self._alarms.pop(name, None)
        if alarm is not None and alarm.timer is not None:
            alarm.timer.cancel()

    def clear(self) -> None:
        """Cancel all callbacks."""
        for name in list(self._alarms):
            self.cancel(name)

    def busy(self, more: int) -> None:
        """Add ``more``, which is 1 or -1, to the number of in-progress fixed-duration operations."""
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
