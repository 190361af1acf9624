"""The lane in which observers are called, shared by the whole process.

With one lane per client, two threads could call an observer of both a client and an audio server at the same time, and the order
of their notifications would be lost.
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
    """Runs jobs on one thread, ``relay-observers``, in order. Thread-safe.

    The thread exists from :meth:`join` of the first user until :meth:`leave` of the last one, because no thread can be started
    when the process exits. A job that is put without any user starts the thread until the queue is empty.

    Notifications are queued here, not in the lanes, to avoid a deadlock: a signal handler may interrupt the thread that holds the
    lanes' lock, and then wait for an IO thread that has to notify as well. A thread sets ``_called`` before it acquires that
    lock, and no other thread tries to acquire it until the flag is reset.
    """

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._lanes = Lanes(1, name="relay-observers", stays=lambda: bool(self._users))
        self._reset()
        process.watch(self)

    def _reset(self) -> None:
        #: Guards the users and their counters.
        self.lock: threading.RLock = threading.RLock()
        self._users: weakref.WeakSet[object] = weakref.WeakSet()
        #: Warnings about observers. Recreated in a child process.
        self.warnings: RateLimitedLog = RateLimitedLog(_log)
        self._jobs: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        # Whether the thread is about to check the queue.
        self._called = False

    def join(self, user: object) -> None:
        """Add a user, which keeps the thread until :meth:`leave` or until it is garbage-collected."""
        with self.lock:
            self._users.add(user)
        self._hold()

    def _hold(self) -> None:
        """Start the thread if there are users."""
        with self.lock:
            if not self._users:
                return
            self._lanes.reopen()
        if not self._lanes.workers:
            self._lanes.submit(_KEY, tuple)

    def leave(self, user: object, timeout: float) -> bool:
        """Remove a user after waiting for the jobs put so far. The thread ends with its last user.

        Called on the lane itself, it does not wait.

        :param user: the object passed to :meth:`join`.
        :param timeout: the maximum time to wait, in seconds.
        :return: whether the jobs were done in that time.
        """
        end = time.monotonic() + timeout
        done = self._done_within(timeout)
        with self.lock:
            self._users.discard(user)
            last = not self._users
        if last:
            self._lanes.close(max(0.0, end - time.monotonic()))
            self._hold()  # if a user has joined in the meantime
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
        # Unconditionally: this signal handler may have interrupted the thread that was about to submit.
        self._lanes.submit(_KEY, self._work)
        return wait_for_event(done, timeout)

    def _work(self) -> None:
        self._called = False  # before the first check: a job put after the last check submits again
        while True:
            try:
                job, args = self._jobs.popleft()
            except IndexError:
                return
            job(*args)
            del job, args

    def put(self, job: Callable[..., object], *args: Any) -> bool:
        """Queue a job without blocking.

        :param job: the function to call; it must not raise.
        :param args: its arguments.
        :return: ``False`` if the queue is full and the job was dropped.
        """
        if len(self._jobs) >= self._most:
            self.warnings.warning(
                "dropped", "observers are too slow: %d notifications are queued, dropping a new one", self._most
            )
            return False
        self._jobs.append((job, args))
        if not self._called or not self._lanes.workers:  # no worker: it could not be started earlier
            try:
                self._called = True
                self._lanes.submit(_KEY, self._work)
            except BaseException:  # Ctrl-C
                self._called = False
                raise
        return True

    def after_fork(self) -> None:
        """Reset in a child process: the queue belongs to the parent."""
        self._reset()
        self._lanes.after_fork()

    def at_exit(self, timeout: float) -> None:
        """Do nothing: clients and audio servers close when the process exits, and wait for their notifications."""


#: The lane of the process.
lane: Final = Lane()
