"""Wake threads that wait for audio, one after another instead of all at once."""

from __future__ import annotations

import threading
import time
from collections import deque
from operator import methodcaller
from typing import Any

from ..server import Loop

__all__ = ["Waking"]

_STALLED = 0.001  # seconds without progress after which the loop wakes the remaining readers
_LONGEST = 0.016  # maximum seconds that the loop waits for the readers
_FEW = 4  # maximum number of readers to wake all at once
_START, _EACH = 0.002, 0.0001  # expected seconds for a wake-up chain: a fixed part, and a part per reader
_STRIKES, _WITHIN = 3, 1.0  # number of slow chains, within this many seconds, that suspend chained wake-ups
_PAUSE, _LONGEST_PAUSE = 2.0, 32.0  # seconds of suspension: the initial and the maximum value; doubled each time


class Waking:
    """Scheduler that wakes a server's stream readers at the end of each loop iteration.

    Only one thread at a time can hold the GIL. If a hundred readers are woken at once, each of them wakes a CPU core, finds the
    GIL taken and sleeps again. Instead, the loop wakes one reader, and each reader wakes the next when it is done, by
    calling :meth:`next`. The loop sleeps until the last reader is awake, because each of its system calls would release the GIL
    to a reader. If a reader is too slow to wake the next one, the loop wakes the remaining readers.

    This chain saves CPU time with many streams on a lightly loaded machine. If other threads or processes compete for the GIL or
    the CPUs, each step of the chain may be delayed. The loop then
    wakes all readers at once for the next few seconds.

    Call :meth:`add` and :meth:`rest` on the loop thread only. :meth:`next` may be called on any thread.

    :ivar patient: whether readers are woken in a chain. If so, a reader should let the thread that woke it finish first.
    """

    def __init__(self, loop: Loop) -> None:
        self.patient: bool = True
        self._loop = loop
        self._ears: deque[Any] = deque()  # acquired locks; releasing one wakes its reader
        # Removes and releases a lock in one C call. If Ctrl-C could come between the two steps, the reader might never wake.
        self._wake_one = map(methodcaller("release"), iter(self._ears.popleft, None)).__next__
        self._own = threading.Lock()  # released to wake the loop at the end of a chain
        self._own.acquire()
        self._going = False  # whether a chain is in progress
        self._due = False  # whether _begin() is scheduled for the end of this turn
        self._began, self._length = 0.0, 0  # start time and number of readers of the current chain
        self._strikes: deque[float] = deque(maxlen=_STRIKES)  # times of slow chains
        self._until, self._pause = 0.0, _PAUSE  # end of the suspension, and duration of the next one
        loop.rest = self.rest
        loop.call_soon(loop.host, self)

    def add(self, ear: Any) -> None:
        """At the end of this loop iteration, wake the reader that sleeps on the given lock."""
        self._ears.append(ear)
        if not self._due:
            self._due = True
            self._loop.at_turn_end(self._begin)

    def next(self) -> None:
        """Wake the next reader. Never blocks."""
        try:
            self._wake_one()
        except IndexError:
            pass
        if self._going and not self._ears:
            self._going = False
            self._judge()
            try:
                self._own.release()
            except RuntimeError:  # another thread has already released it
                pass

    def rest(self, seconds: float) -> None:
        """Sleep until all readers have been woken.

        If the chain stalls or takes too long, this method wakes the remaining readers itself.

        :param seconds: minimum time to sleep.
        """
        before = len(self._ears)
        if seconds > 0:
            time.sleep(seconds)
        until = time.monotonic() + _LONGEST
        while self._going and not self._own.acquire(True, _STALLED):
            left = len(self._ears)
            if left >= before or time.monotonic() >= until:
                break
            before = left
        self._wake_all()  # includes readers that were added too late for the chain

    def loop_stopping(self) -> None:
        """Wake all readers. Part of ``LoopUser``."""
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
        self._own.acquire(False)  # an earlier chain may have released it after rest() returned
        self._going = True
        self.next()

    def _judge(self) -> None:
        """Suspend chained wake-ups if the last chains were too slow."""
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
