"""The lane in which observers are called: one for the process.

One for each client would let two threads call an observer of a client and of an audio server at once, and would lose the order
of what the two did.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Final

from ..threads import logs, process
from ..threads.flag import Flag
from ..threads.lanes import MOST_WAITING, Lanes
from ..threads.outcome import wait_for_event
from ..threads.rate_limited_log import RateLimitedLog

__all__ = ["Lane", "lane"]

_log = logs.get("relay_sync.callbacks").later
_KEY: Final = "observers"


class Lane:
    """Runs what it is given on one thread, ``relay-observers``, in order. For any number of threads.

    The thread is there from :meth:`join` of the first user until :meth:`leave` of the last one: at the process's end none can be
    started any more. What is put without users starts it, for as long as it takes.
    """

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._lanes = Lanes(1, most=most, name="relay-observers", stays=lambda: bool(self._users))
        self._reset()
        process.watch(self)

    def _reset(self) -> None:
        #: Guards the users, and what they count.
        self.lock = threading.RLock()
        self._users: weakref.WeakSet[object] = weakref.WeakSet()
        #: Of what observers do wrong. Made anew in a child, too.
        self.warnings = RateLimitedLog(_log)

    def join(self, user: object) -> None:
        """Somebody will put something from now on, and holds the thread until :meth:`leave`, or until it is forgotten."""
        with self.lock:
            self._users.add(user)
            self._lanes.reopen()
        if not self._lanes.workers:
            self._lanes.submit(_KEY, tuple)

    def leave(self, user: object, timeout: float) -> bool:
        """Wait until what was put before has been done, for so many seconds at most. Without the last user the thread ends.

        :return: whether it has been done. In the lane itself nothing is waited for.
        """
        end = time.monotonic() + timeout
        done = self._done_within(timeout)
        with self.lock:
            self._users.discard(user)
            last = not self._users
        if last:
            self._lanes.close(max(0.0, end - time.monotonic()))
            with self.lock:
                if self._users:  # somebody has joined meanwhile
                    self._lanes.reopen()
        return done

    def _done_within(self, timeout: float) -> bool:
        if self._lanes.inside:
            return True
        if not self._lanes.unfinished():
            return True
        if timeout <= 0:
            return False
        done = Flag()
        self._lanes.submit(_KEY, done.set)
        return wait_for_event(done, timeout)

    def put(self, job: Callable[..., object], *args: Any) -> bool:
        """Have something done; never blocks.

        :param job: does not raise.
        :return: whether it was taken; where too much waits already it is dropped.
        """
        if not self._lanes.offer(_KEY, job, *args):
            return True
        self.warnings.warning(
            "dropped", "observers are too slow: %d notifications wait, and one is dropped", MOST_WAITING
        )
        return False

    def after_fork(self) -> None:
        """In a child: what waits is the parent's."""
        self._reset()
        self._lanes.after_fork()

    def at_exit(self, timeout: float) -> None:
        """Nothing: clients and audio servers close at the process's end, and wait for what they have said."""


#: Of the process.
lane: Final = Lane()
