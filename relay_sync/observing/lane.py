"""The lane in which observers are called: one for the process.

One for each client would let two threads call an observer of a client and of an audio server at once, and would lose the order
of what the two did.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
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

    Notifications wait here, not in the lanes, whose lock a signal handler may find held by the very thread that it interrupts:
    with it waiting there for an IO thread that is to notify, too, neither would go on. Whoever takes that lock has said so before
    (``_called``), and nobody else asks for it meanwhile.
    """

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._lanes = Lanes(1, name="relay-observers", stays=lambda: bool(self._users))
        self._reset()
        process.watch(self)

    def _reset(self) -> None:
        #: Guards the users, and what they count.
        self.lock: threading.RLock = threading.RLock()
        self._users: weakref.WeakSet[object] = weakref.WeakSet()
        #: Of what observers do wrong. Made anew in a child, too.
        self.warnings: RateLimitedLog = RateLimitedLog(_log)
        self._jobs: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        # Whether the thread is going to look for jobs.
        self._called = False

    def join(self, user: object) -> None:
        """Somebody will put something from now on, and holds the thread until :meth:`leave`, or until it is forgotten."""
        with self.lock:
            self._users.add(user)
        self._hold()

    def _hold(self) -> None:
        """Have the thread, if there are users."""
        with self.lock:
            if not self._users:
                return
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
            self._hold()  # where somebody has joined meanwhile
        return done

    def _done_within(self, timeout: float) -> bool:
        if self._lanes.inside:
            return True
        if not self._jobs and not self._lanes.unfinished():
            return True
        if timeout <= 0:
            return False
        done = Flag()
        self._jobs.append((done.set, ()))
        # In any case: whoever was to call the thread may be what this signal handler interrupts.
        self._lanes.submit(_KEY, self._work)
        return wait_for_event(done, timeout)

    def _work(self) -> None:
        self._called = False  # before the first look: for what comes after the last one it is called again
        while True:
            try:
                job, args = self._jobs.popleft()
            except IndexError:
                return
            job(*args)
            del job, args

    def put(self, job: Callable[..., object], *args: Any) -> bool:
        """Have something done; never blocks.

        :param job: does not raise.
        :return: whether it was taken; where too much waits already it is dropped.
        """
        if len(self._jobs) >= self._most:
            self.warnings.warning(
                "dropped", "observers are too slow: %d notifications wait, and one is dropped", self._most
            )
            return False
        self._jobs.append((job, args))
        if not self._called or not self._lanes.workers:  # none: it could not be started before
            try:
                self._called = True
                self._lanes.submit(_KEY, self._work)
            except BaseException:  # Ctrl-C
                self._called = False
                raise
        return True

    def after_fork(self) -> None:
        """In a child: what waits is the parent's."""
        self._reset()
        self._lanes.after_fork()

    def at_exit(self, timeout: float) -> None:
        """Nothing: clients and audio servers close at the process's end, and wait for what they have said."""


#: Of the process.
lane: Final = Lane()
