"""Threads that carry out requests, because the loop thread must not block."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from attrs import define, field

from ....threads.logs import get as log_of
from ....threads.starting import join_all

__all__ = ["Workers"]

_log = log_of("relay_sync.simulator").later
Job = Callable[[], object]


@define(eq=False, kw_only=True)
class Workers:
    """Runs jobs on daemon threads, which are started on demand and end when no job is left.

    Jobs must not raise.

    :ivar name: name of the threads, to which a number is added.
    :ivar threads: maximum number of threads.
    :ivar queued: maximum number of jobs that wait for a thread.
    """

    name: str
    threads: int
    queued: int
    _jobs: deque[Job] = field(factory=deque, init=False, repr=False)
    _running: set[threading.Thread] = field(factory=set, init=False, repr=False)
    _started: int = field(default=0, init=False)
    _accepted: int = field(default=0, init=False)  # jobs that have not ended
    _closed: bool = field(default=False, init=False)
    # Reentrant, because a signal handler may call close() while its thread is in close().
    _lock: threading.RLock = field(factory=lambda: threading.RLock(), init=False, repr=False)

    def offer(self, job: Job) -> bool:
        """Run a job on one of the threads. Return ``False`` if there is no room for it."""
        with self._lock:
            if self._closed or self._accepted >= self.threads + self.queued:
                return False
            self._jobs.append(job)
            self._accepted += 1
            if len(self._running) < self.threads and not self._start() and not self._running:  # no thread would run it
                self._jobs.pop()
                self._accepted -= 1
                return False
            return True

    def _start(self) -> bool:
        self._started += 1
        thread = threading.Thread(target=self._work, name=f"{self.name}-{self._started}", daemon=True)
        self._running.add(thread)
        try:
            thread.start()
        except RuntimeError:  # the thread limit is reached, or the interpreter is exiting
            self._running.discard(thread)
            _log.warning("cannot start a thread for the control interface")
            return False
        return True

    def _work(self) -> None:
        done = 0
        while (job := self._next(done)) is not None:
            job()
            done = 1

    def _next(self, done: int) -> Job | None:
        """Return the next job. If there is none, unregister the current thread under the same lock, and return ``None``.

        :param done: number of jobs that the thread has ended since its last call.
        """
        with self._lock:
            self._accepted -= done
            if self._jobs:
                return self._jobs.popleft()
            self._running.discard(threading.current_thread())
            return None

    def close(self, timeout: float) -> None:
        """Stop accepting jobs, and wait until the accepted jobs have ended.

        :param timeout: maximum time to wait, in seconds.
        """
        with self._lock:
            self._closed = True
            running = list(self._running)
        join_all([thread for thread in running if thread is not threading.current_thread()], timeout)
