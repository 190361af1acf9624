"""The clock of the story: when things happen, however late the loop's thread gets round to them. All of it runs on that
thread.

What follows from a step is timed from the moment at which the step was due, not from the one at which it was carried out; so
steps keep their order when the thread is late, whatever the :mod:`pace <relay_sync.simulator.core.pace>`. What comes from
outside, such as a client's command, happens when the thread has noticed it: no time passes while it is carried out.
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
    """The moments of all calls. They are those of the loop's clock."""

    _loop: Loop = field(repr=False)
    _due: float | None = field(default=None, init=False)
    _latest: float = field(default=0.0, init=False)

    @property
    def now(self) -> float:
        """When the step that is being carried out was due, or what is being carried out was noticed; the time, where nothing
        of the kind is going on.
        """
        if not self._loop.on_loop_thread:
            return self._loop.time()
        return max(self._loop.turn_began, self._latest) if self._due is None else self._due

    def after(self, seconds: float, then: Callable[..., object], *args: Any) -> Timer:
        """Do something so many seconds after :attr:`now`."""
        return self.at(self.now + seconds, then, *args)

    def at(self, when: float, then: Callable[..., object], *args: Any) -> Timer:
        """Do something at a moment."""
        return self._loop.call_at(when, self._step, when, then, args)

    def _step(self, due: float, then: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._due, self._latest = due, max(due, self._latest)
        try:
            then(*args)
        finally:
            self._due = None


@define(eq=False)
class _Alarm:
    left: float  # in seconds of the story
    slow: float  # seconds that one of them takes while nothing goes on
    ring: Callable[[], object] = field(repr=False)
    since: float = 0.0
    timer: Timer | None = field(default=None, repr=False)


@define(eq=False)
class CallClock:
    """The time of one call, in seconds of the story. It goes by the clock, and as fast as media do while something goes on on
    the call that comes to its end by itself: a caller who hangs up two seconds into a prompt does so two seconds into it
    whatever the pace, and one who waits for something else takes two seconds.
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
        """Seconds of the clock that one of the story takes, where the pace is real."""
        return self._pace().patience(1.0)

    @property
    def elapsed(self) -> float:
        """Seconds of the story since the call was made."""
        return self._passed + (self._clock.now - self._since) / self._length(self.second)

    def _length(self, slow: float) -> float:
        """How long a second of the story takes at this moment."""
        return self._pace().media(1.0) if self._busy else slow

    def set(self, name: str, seconds: float, slow: float, then: Callable[..., object], *args: Any) -> None:
        """Do something when that many seconds of the call have passed.

        :param slow: how long one of them takes while nothing goes on.
        """
        self.cancel(name)

        def ring() -> None:
            self._alarms.pop(name, None)
            then(*args)

        alarm = self._alarms[name] = _Alarm(seconds, slow, ring)
        self._start(alarm)

    def cancel(self, name: str) -> None:
        """Do not do it."""
        alarm = self._alarms.pop(name, None)
        if alarm is not None and alarm.timer is not None:
            alarm.timer.cancel()

    def clear(self) -> None:
        """Do nothing of what was set."""
        for name in list(self._alarms):
            self.cancel(name)

    def busy(self, more: int) -> None:
        """One thing more, or one less, goes on that comes to its end by itself."""
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
