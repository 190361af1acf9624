"""User callbacks: one at a time and in order within a lane, side by side across lanes, on threads that come and go.

A lane is the mere presence of its key: a queue that exists while something waits or runs. A worker takes a lane, runs what is
in it, and takes the next. A new worker starts only when work waits and no worker is free, one at a time, so a burst of short
callbacks is served by one thread and blocked callbacks grow new ones, up to a limit.
"""

from __future__ import annotations

import contextvars
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, Final

from .process import generation

__all__ = ["InContext", "Lanes"]

_log = logging.getLogger("relay_sync.callbacks")
_numbers = itertools.count(1)

IDLE_PATIENCE: Final = 5.0
STALLED_AFTER: Final = 5.0


class InContext:
    """A function with the context variables of the place where it was handed in."""

    __slots__ = ("context", "function")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.context = contextvars.copy_context()

    def __call__(self, *args: Any) -> Any:
        # A copy each: one context cannot be entered by two threads at once.
        return self.context.copy().run(self.function, *args)

    def __repr__(self) -> str:
        return repr(self.function)


Job = tuple[Callable[..., Any], tuple[Any, ...]]


class Lanes:
    """Runs jobs on worker threads ``relay-lane-N``. The jobs handed in do not raise: their owner wraps user code.

    :param limit: how many workers may exist; further work waits, and a warning says so.
    """

    def __init__(self, limit: int = 64) -> None:
        self._limit = limit
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._ready = threading.Condition(self._lock)
        self._quiet = threading.Condition(self._lock)
        self._lanes: dict[Hashable, deque[Job]] = {}
        self._waiting: deque[Hashable] = deque()
        self._workers: set[threading.Thread] = set()
        self._idle = 0
        self._starting = 0
        self._closed = False
        self._told_full = False
        self._busy_since: dict[Hashable, float] = {}
        self._generation = generation()

    def submit(self, key: Hashable, job: Callable[..., Any], *args: Any) -> None:
        """Queue a job at the end of its lane. Never blocks on user code."""
        with self._lock:
            lane = self._lanes.get(key)
            if lane is not None:
                lane.append((job, args))
                return
            self._lanes[key] = deque(((job, args),))
            self._waiting.append(key)
            if self._idle > len(self._waiting) - 1:
                self._ready.notify()
                return
            start = self._wants_worker()
        if start:
            self._start_worker()

    def _wants_worker(self) -> bool:
        # Held: the lock. One start at a time: the new worker starts the next if there is still need.
        if self._starting or self._idle or not self._waiting:
            return False
        if len(self._workers) >= self._limit:
            if not self._told_full:
                self._told_full = True
                _log.warning("%d callbacks block at once; further ones wait for their turn", self._limit)
            return False
        self._starting += 1
        return True

    def _start_worker(self) -> None:
        thread = threading.Thread(target=self._work, name=f"relay-lane-{next(_numbers)}", daemon=True)
        with self._lock:
            self._workers.add(thread)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads, or the interpreter is ending
            with self._lock:
                self._starting -= 1
                self._workers.discard(thread)
                left = len(self._workers)
            if not left:
                _log.error("a callback cannot run: %s", error)

    def _work(self) -> None:
        me = threading.current_thread()
        with self._lock:
            self._starting -= 1
        try:
            while True:
                with self._lock:
                    key = self._next_lane()
                    if key is None:
                        return
                    lane = self._lanes[key]
                    more = self._wants_worker()
                if more:
                    self._start_worker()
                self._drain(key, lane)
        finally:
            with self._lock:
                self._workers.discard(me)
                self._quiet.notify_all()

    def _next_lane(self) -> Hashable | None:
        # Held: the lock.
        end = time.monotonic() + IDLE_PATIENCE
        while not self._waiting:
            left = end - time.monotonic()
            if self._closed or left <= 0:
                return None
            self._idle += 1
            try:
                self._ready.wait(left)
            finally:
                self._idle -= 1
        return self._waiting.popleft()

    def _drain(self, key: Hashable, lane: deque[Job]) -> None:
        """Run a lane until it is empty; then it is no more."""
        while True:
            job, args = lane[0]
            self._busy_since[key] = time.monotonic()
            try:
                job(*args)
            except BaseException:  # jobs do not raise; a worker outlives one that does
                _log.exception("a job in a lane failed")
            del job, args
            with self._lock:
                lane.popleft()
                if not lane:
                    del self._lanes[key]
                    self._busy_since.pop(key, None)
                    if not self._lanes:
                        self._told_full = False
                        self._quiet.notify_all()
                    return

    def stalled(self, now: float, after: float = STALLED_AFTER) -> list[tuple[Hashable, float, int]]:
        """Lanes whose present job has run for longer: key, seconds, and how much waits behind it."""
        found = []
        for key, since in list(self._busy_since.items()):
            lane = self._lanes.get(key)
            if lane is not None and now - since > after:
                found.append((key, now - since, len(lane) - 1))
        return found

    @property
    def workers(self) -> int:
        """How many worker threads there are now."""
        return len(self._workers)

    def close(self, timeout: float) -> bool:
        """Let queued jobs run for at most so many seconds, then end the idle workers.

        :return: whether everything was run. A worker whose job never returns is left behind; it ends with its job.
        """
        end = time.monotonic() + timeout
        me = threading.current_thread()
        with self._lock:
            inside = me in self._workers
            while self._lanes and not inside:
                left = end - time.monotonic()
                if left <= 0 or not self._quiet.wait(left):
                    break
            done = not self._lanes
            self._closed = True
            self._ready.notify_all()
            workers = [thread for thread in self._workers if thread is not me]
        for thread in workers:
            if done:
                thread.join(max(0.0, end - time.monotonic()) + 0.1)
        return done

    def reopen(self) -> None:
        """Take jobs again after :meth:`close`."""
        with self._lock:
            self._closed = False

    def after_fork(self) -> None:
        """In a child process: nothing of the parent's is left."""
        self._reset()
