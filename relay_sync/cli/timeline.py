"""What happened when, and on which thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from attrs import define, field, frozen

__all__ = ["LoggedMoment", "MomentLog"]


@frozen
class LoggedMoment:
    """Something that happened.

    :ivar at: seconds since the timeline began. :ivar thread: the name of the thread that saw it.
    """

    at: float
    thread: str
    what: str


@define(eq=False)
class MomentLog:
    """Moments, noted from any thread."""

    _clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)
    _moments: list[LoggedMoment] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._began = self._clock()

    def note(self, what: str) -> None:
        """Something happened now, and this thread saw it."""
        self._moments.append(LoggedMoment(self._clock() - self._began, threading.current_thread().name, what))

    @property
    def moments(self) -> list[LoggedMoment]:
        """Everything so far, in the order of time."""
        return sorted(self._moments, key=lambda moment: moment.at)

    def table(self) -> str:
        """The moments as lines of text under a heading."""
        moments = self.moments
        widest = max([len("thread"), *(len(moment.thread) for moment in moments)])
        lines = [f"{'seconds':>9}  {'thread':<{widest}}  what it saw"]
        lines += [f"{moment.at:9.3f}  {moment.thread:<{widest}}  {moment.what}" for moment in moments]
        return "\n".join(lines)
