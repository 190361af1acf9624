"""Log of the demo's steps, each with its time and thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from attrs import define, field, frozen

__all__ = ["LoggedMoment", "MomentLog"]


@frozen
class LoggedMoment:
    """Entry of a :class:`MomentLog`.

    :ivar at: time since the start of the log, in seconds.
    :ivar thread: name of the thread that added the entry.
    :ivar what: description of the step.
    """

    at: float
    thread: str
    what: str


@define(eq=False)
class MomentLog:
    """Log of steps with their times and threads. Thread-safe."""

    _clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)
    _moments: list[LoggedMoment] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._began = self._clock()

    def note(self, what: str) -> None:
        """Add an entry with the current time and thread."""
        self._moments.append(LoggedMoment(self._clock() - self._began, threading.current_thread().name, what))

    @property
    def moments(self) -> list[LoggedMoment]:
        """All entries in chronological order."""
        return sorted(self._moments, key=lambda moment: moment.at)

    def table(self) -> str:
        """Return the entries as a text table with a header."""
        moments = self.moments
        widest = max([len("thread"), *(len(moment.thread) for moment in moments)])
        lines = [f"{'seconds':>9}  {'thread':<{widest}}  what happened"]
        lines += [f"{moment.at:9.3f}  {moment.thread:<{widest}}  {moment.what}" for moment in moments]
        return "\n".join(lines)
