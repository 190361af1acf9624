"""Threads that wake one another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from operator import call

__all__ = ["WakeChain"]


class WakeChain:
    """Functions that each wake one thread. The first thread is woken, and each thread wakes the next before it sleeps again.

    Only one thread at a time can hold the GIL. If a hundred threads are woken at once, most of them find it taken, sleep
    again, and must be woken a second time.

    :ivar add: adds a function. Each function is called once, in order.
    :ivar wake_one: calls the next function. Raises ``IndexError`` if there is none.
    """

    __slots__ = ("_waiting", "add", "wake_one")

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], object]] = deque()
        self.add: Callable[[Callable[[], object]], None] = self._waiting.append
        # One call in C removes a function and calls it. Ctrl-C between these steps would leave a thread asleep. popleft() goes
        # through partial() and call(), so that both steps need the same depth of recursion: if one can run, so can the other.
        self.wake_one: Callable[[], object] = map(call, iter(partial(call, self._waiting.popleft), None)).__next__

    def __bool__(self) -> bool:
        return bool(self._waiting)
