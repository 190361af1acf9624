"""Waking the threads that read: one after another, each by the one before."""

from __future__ import annotations

import threading
import time
from collections import deque
from operator import methodcaller
from typing import Any

from ..server import Loop

__all__ = ["Waking"]

_STALLED = 0.001  # seconds without progress after which the loop helps
_LONGEST = 0.016  # seconds that the loop waits for the readers at most
_FEW = 4  # readers of a turn that are woken all at once
_START, _EACH = 0.002, 0.0001  # seconds that waking them may take, and for each of them
_STRIKES, _WITHIN = 3, 1.0  # this often longer within this time in seconds: then all at once for a while
_PAUSE, _LONGEST_PAUSE = 2.0, 32.0  # seconds, twice as many each time


class Waking:
    """The readers of all streams of a server that have something to read, woken after the loop's turn.

    Only one thread at a time can run Python. A hundred that are woken at once all wake up, find the interpreter's lock
    taken and sleep again, each on a processor of its own that had to be woken first, too. So one is woken, and wakes the
    next when it is done (:meth:`next`). The loop waits until the last one was woken, for each of its system calls would hand
    the interpreter to a reader and have it wait. Where a reader does not get round to waking the next, the loop does it.

    That is for many streams on a machine with time to spare. Where others compete for the processors or for the interpreter,
    each step may have to wait for its turn; then all are woken at once, in any order.

    :meth:`add` and :meth:`rest` are for the loop thread, :meth:`next` for any.

    :ivar patient: whether readers should let the thread that wakes them finish first.
    """

    def __init__(self, loop: Loop) -> None:
        self.patient: bool = True
        self._loop = loop
        self._ears: deque[Any] = deque()  # locks that are taken, and released to wake their thread
        # Takes one and releases it within one call: a Ctrl-C between the two would leave its thread asleep forever.
        self._wake_one = map(methodcaller("release"), iter(self._ears.popleft, None)).__next__
        self._own = threading.Lock()  # the same for the loop
        self._own.acquire()
        self._going = False  # some have been woken, others are to follow
        self._due = False  # begins at the end of this turn
        self._began, self._length = 0.0, 0
        self._strikes: deque[float] = deque(maxlen=_STRIKES)
        self._until, self._pause = 0.0, _PAUSE  # until when all are woken at once, and for how long the next time
        loop.rest = self.rest
        loop.call_soon(loop.host, self)

    def add(self, ear: Any) -> None:
        """Wake who sleeps on this lock, once the loop has done all that this turn has to do."""
        self._ears.append(ear)
        if not self._due:
            self._due = True
            self._loop.at_turn_end(self._begin)

    def next(self) -> None:
        """Wake the next. Never blocks."""
        try:
            self._wake_one()
        except IndexError:
            pass
        if self._going and not self._ears:
            self._going = False
            self._judge()
            try:
                self._own.release()
            except RuntimeError:  # another was quicker
                pass

    def rest(self, seconds: float) -> None:
        """Sleep for so long, and until all have been woken."""
        before = len(self._ears)
        if seconds > 0:
            time.sleep(seconds)
        until = time.monotonic() + _LONGEST
        while self._going and not self._own.acquire(True, _STALLED):
            left = len(self._ears)
            if left >= before or time.monotonic() >= until:
                break
            before = left
        self._wake_all()  # the waiting threads, including any that the last one had not seen

    def loop_stopping(self) -> None:
        """Part of :class:`~relay_sync.server.loop.LoopUser`: it is no longer served."""
        self._wake_all()

    def _wake_all(self) -> None:
        while self._ears:
            self.next()

    def _begin(self) -> None:
        self._due = False
        self._length = len(self._ears)
        self._began = time.monotonic()
        self.patient = self._length > _FEW and self._began >= self._until
        if not self.patient or self._loop.stopped:
            self._wake_all()
            return
        self._own.acquire(False)  # a release that came too late
        self._going = True
        self.next()

    def _judge(self) -> None:
        """Is this the better way, at the moment?"""
        now = time.monotonic()
        if now - self._began <= _START + _EACH * self._length:
            return
        self._strikes.append(now)
        if len(self._strikes) == _STRIKES and now - self._strikes[0] < _WITHIN:
            self._strikes.clear()
            if now > self._until + _LONGEST_PAUSE:
                self._pause = _PAUSE
            self._until = now + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
