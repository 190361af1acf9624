"""The queue and the thread that deliver notifications to observers.

The whole process shares one queue. If every client and audio server had a separate queue, an observer registered with several of
them could be called by two threads at the same time, and its notifications would be out of order.
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
    """Queue of jobs that run in order on the ``relay-observers`` thread. Thread-safe.

    The thread starts when the first user joins and exits when the last user leaves. It must not exit earlier, because Python
    cannot start threads while the process exits. If there are no users, a new job starts the thread, which exits when the queue
    is empty.

    This class has its own queue in front of :class:`Lanes` to prevent a deadlock. A signal handler may interrupt a thread that
    holds the :class:`Lanes` lock and then wait for an IO thread that needs to queue a notification. Therefore, a thread sets
    ``_called`` before it acquires the lock, and the other threads do not acquire the lock while the flag is set.
    """

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._lanes = Lanes(1, name="relay-observers", stays=lambda: bool(self._users))
        self._reset()
        process.watch(self)

    def _reset(self) -> None:
        #: Protects the set of users, and the ``dropped`` counters of observers.
        self.lock: threading.RLock = threading.RLock()
        self._users: weakref.WeakSet[object] = weakref.WeakSet()
        #: Logger for warnings about observers. Created again in a child process.
        self.warnings: RateLimitedLog = RateLimitedLog(_log)
        self._jobs: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        # Whether a scheduled run of _work() has yet to check the queue.
        self._called = False

    def join(self, user: object) -> None:
        """Add a user. The thread runs until the user leaves or is garbage-collected."""
        with self.lock:
            self._users.add(user)
        self._hold()

    def _hold(self) -> None:
        """Start the thread if there are any users."""
        with self.lock:
            if not self._users:
                return
            self._lanes.reopen()
        if not self._lanes.workers:
            self._lanes.submit(_KEY, tuple)

    def leave(self, user: object, timeout: float) -> bool:
        """Wait for the queued jobs, then remove a user. The thread exits when the last user is removed.

        If a job calls this method, it does not wait.

        :param user: object passed to :meth:`join`.
        :param timeout: maximum time to wait, in seconds.
        :return: whether all queued jobs have run.
        """
        end = time.monotonic() + timeout
        done = self._done_within(timeout)
        with self.lock:
            self._users.discard(user)
            last = not self._users
        if last:
            self._lanes.close(max(0.0, end - time.monotonic()))
            self._hold()  # A user may have joined while the thread was being closed.
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
        # Submit even if _called is set. This may be a signal handler that interrupted put() just before it submits.
        self._lanes.submit(_KEY, self._work)
        return wait_for_event(done, timeout)

    def _work(self) -> None:
        # Reset the flag before checking the queue, so that jobs added after the last check are submitted.
        self._called = False
        while True:
            try:
                job, args = self._jobs.popleft()
            except IndexError:
                return
            job(*args)
            del job, args

    def put(self, job: Callable[..., object], *args: Any) -> bool:
        """Queue a job without blocking.

        :param job: function to call. It must not raise an exception.
        :param args: arguments for the function.
        :return: ``False`` if the queue is full and the job was dropped.
        """
        if len(self._jobs) >= self._most:
            self.warnings.warning(
                "dropped", "observers are too slow: %d notifications are queued, dropping a new one", self._most
            )
            return False
        self._jobs.append((job, args))
        if not self._called or not self._lanes.workers:  # If there is no worker, an earlier attempt to start it failed.
            try:
                self._called = True
                self._lanes.submit(_KEY, self._work)
            except BaseException:  # Ctrl-C
                self._called = False
                raise
        return True

    def after_fork(self) -> None:
        """Reset the state in a child process. The parent process delivers the queued notifications."""
        self._reset()
        self._lanes.after_fork()

    def at_exit(self, timeout: float) -> None:
        """Do nothing. Clients and audio servers close when the process exits and wait for their notifications."""


#: The lane shared by the process.
lane: Final = Lane()
