"""A thread pool that runs user callbacks in order within a lane and concurrently across lanes.

A lane is a queue of jobs that share a key, and exists only while one of its jobs is waiting or running. A worker takes
a lane, runs all of its jobs, and then takes the next lane. Workers are started one at a time, and only if a lane is
waiting and no worker is idle. One thread can therefore serve a burst of short callbacks, while blocked callbacks add
threads up to a limit.
"""

from __future__ import annotations

import contextvars
import inspect
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from types import FunctionType
from typing import Any, Final

from . import logs, starting
from .flag import Bell
from .living import Living
from .outcome import wait_until
from .process import generation
from .timeouts import TimeLeft

__all__ = ["MOST_WAITING", "InContext", "Lanes", "known_lanes", "name_of"]

_log = logs.get("relay_sync.callbacks").later
_numbers = itertools.count(1)

IDLE_PATIENCE: Final = 5.0
STALLED_AFTER: Final = 5.0
#: Maximum number of jobs waiting in one lane, and of lanes waiting for a worker; see :meth:`Lanes.offer`.
MOST_WAITING: Final = 10_000
#: Minimum time that :meth:`Lanes.close` gives idle workers to exit, in seconds.
GOODBYE: Final = 0.1


class InContext:
    """A function that runs with the context variables of the code that registered it."""

    __slots__ = ("context", "function")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function: Callable[..., Any] = function
        self.context: contextvars.Context = contextvars.copy_context()

    def __call__(self, *args: Any) -> Any:
        # Copy the context for each call, because two threads cannot enter the same context at once.
        return self.context.copy().run(self.function, *args)

    def __repr__(self) -> str:
        return repr(self.function)


def name_of(function: Callable[..., Any]) -> str:
    """Return a function's name, for log and error messages."""
    inner = function.function if isinstance(function, InContext) else function
    name = getattr(inner, "__qualname__", None)
    return name if isinstance(name, str) else type(inner).__qualname__


def warn_replaced(kind: str, old: InContext | None, new: InContext) -> None:
    """Log a warning if a handler replaces a different handler.

    No warning is logged if the same handler is registered again, or if a notebook cell or a reloaded module redefines
    it.

    :param kind: event that the handlers are registered for.
    :param old: previous handler, if any.
    :param new: new handler.
    """
    if old is not None and old.function != new.function and not _is_redefined(old.function, new.function):
        _log.warning("%s: %s replaces %s, which is no longer called", kind, _placed(new), _placed(old))


def _placed(function: InContext) -> str:
    """Return the function's name and location. The name alone is often ambiguous."""
    code = getattr(inspect.unwrap(function.function), "__code__", None)
    return f"{name_of(function)} ({code.co_filename}:{code.co_firstlineno})" if code else name_of(function)


def _is_redefined(old: Callable[..., Any], new: Callable[..., Any]) -> bool:
    """Return whether both functions have the same name in the same module. Nested functions are never considered redefined."""
    if not (isinstance(old, FunctionType) and isinstance(new, FunctionType)) or "<" in new.__qualname__:
        return False
    return (old.__module__, old.__qualname__) == (new.__module__, new.__qualname__)


#: All thread pools of the process. :mod:`relay_sync.testing` uses this to check whether callbacks are still running.
known_lanes: Final[Living[Lanes]] = Living()

Job = tuple[Callable[..., Any], tuple[Any, ...]]


class Lanes:
    """A thread pool that runs each lane's jobs in order. Jobs must not raise, so the caller must wrap user code.

    :param limit: maximum number of worker threads. At the limit, further jobs wait and a warning is logged.
    :param patience: time before an idle worker exits, in seconds.
    :param most: maximum number of waiting jobs or lanes; see :meth:`offer`.
    :param name: thread name; the default is ``relay-lane-N``.
    :param stays: called each time a worker has been idle for ``patience`` seconds. If it returns true, the worker keeps
        waiting.
    """

    def __init__(
        self,
        limit: int = 64,
        *,
        patience: float = IDLE_PATIENCE,
        most: int = MOST_WAITING,
        name: str = "",
        stays: Callable[[], bool] = bool,
    ) -> None:
        self._limit = limit
        self._name = name
        self._stays = stays
        self._patience = patience
        self._most = most
        self._reset()
        known_lanes.add(self)

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._ready = threading.Condition(self._lock)
        self._quiet = Bell()  # rung when no jobs are left and when a worker exits
        self._lanes: dict[Hashable, deque[Job]] = {}
        self._waiting: deque[Hashable] = deque()
        self._workers: set[threading.Thread] = set()
        self._idle = 0
        self._starting: set[threading.Thread] = set()
        self._claim = threading.RLock()  # guards the start of a worker; never held during a wait
        self._closed = False
        self.rests: int = 0  # how many times all lanes have become empty
        self._warned_full = False
        self._busy_since: dict[Hashable, float] = {}
        self._serving: dict[Hashable, threading.Thread] = {}
        self._refused: dict[Hashable, int] = {}
        self._refused_lanes = 0
        self._generation = generation()

    def submit(self, key: Hashable, job: Callable[..., Any], *args: Any) -> None:
        """Add a job to the end of its lane. This method does not wait for user code."""
        with self._lock:
            lane = self._lanes.get(key)
            if lane is not None:
                lane.append((job, args))
            else:
                self._lanes[key] = deque(((job, args),))
                self._waiting.append(key)
                if self._idle >= len(self._waiting):
                    self._ready.notify()
                    return
            start = self._wants_worker()
        if start:
            self._add_worker()

    def offer(self, key: Hashable, job: Callable[..., Any], *args: Any) -> int:
        """Add a job to its lane unless too many jobs are waiting. This limits memory use.

        :param key: the lane's key.
        :param job: function to call.
        :param args: the function's arguments.
        :return: 0 if the job was queued. Otherwise, the number of jobs rejected since the lane was last empty, or, for
            a new lane, since all lanes were last empty.
        """
        with self._lock:
            lane = self._lanes.get(key)
            if lane is not None and len(lane) > self._most:
                count = self._refused[key] = self._refused.get(key, 0) + 1
                return count
            if lane is None and len(self._waiting) >= self._most:
                self._refused_lanes += 1
                return self._refused_lanes
        self.submit(key, job, *args)
        return 0

    def _wants_worker(self) -> bool:
        # The caller holds the lock. Workers are started one at a time; a new worker starts the next one if lanes are
        # still waiting.
        if self._starting or self._idle or not self._waiting:
            return False
        if len(self._workers) >= self._limit:
            if (
                len(self._serving) >= self._limit and not self._warned_full
            ):  # otherwise, a worker is about to take a lane
                self._warned_full = True
                _log.warning("all %d callback threads are busy; further callbacks wait for a free thread", self._limit)
            return False
        return True

    def _add_worker(self) -> None:
        try:
            starting.uninterrupted(self._start_worker)
        except RuntimeError as error:  # thread limit reached, or the interpreter is exiting
            with self._lock:
                left = len(self._workers)
            if not left:
                _log.error("cannot start a thread for a callback: %s; retrying with the next callback", error)

    def _start_worker(self) -> None:
        # If the main thread calls this, it runs on another thread so that Ctrl-C cannot interrupt it halfway. It must
        # not acquire the lock, because a signal handler may be running while the main thread holds it.
        thread = threading.Thread(target=self._work, name=self._name or f"relay-lane-{next(_numbers)}", daemon=True)
        with self._claim:
            # Another thread may have started a worker, or a worker may have taken the lane since.
            if self._starting or len(self._workers) >= self._limit or not self._waiting:
                return
            self._workers.add(thread)
            self._starting.add(thread)
        try:
            thread.start()
        except RuntimeError:
            self._starting.discard(thread)
            self._workers.discard(thread)
            self._quiet.ring()
            raise

    def _leave(self, thread: threading.Thread) -> None:
        # The caller holds the lock.
        self._workers.discard(thread)
        self._quiet.ring()

    def _work(self) -> None:
        with self._lock:
            self._starting.discard(threading.current_thread())
        while (taken := self._take()) is not None:
            self._drain(*taken)

    def _take(self) -> tuple[Hashable, deque[Job]] | None:
        """Return the next lane to run. If there is none, remove this thread from the workers and return ``None``."""
        with self._lock:
            key = self._next_lane()
            if key is None:
                # Leave while still holding the lock, so that the next submit() does not count on this worker.
                self._leave(threading.current_thread())
                return None
            lane = self._lanes[key]
            self._busy_since[key] = time.monotonic()
            self._serving[key] = threading.current_thread()
            more = self._wants_worker()
        if more:
            self._add_worker()
        return key, lane

    def _next_lane(self) -> Hashable | None:
        # The caller holds the lock.
        left = TimeLeft(self._patience)
        while not self._waiting:
            longest = left()
            if self._closed or longest is None or (longest <= 0 and not self._stays()):
                return None
            if longest <= 0:
                left = TimeLeft(self._patience)
                continue
            self._idle += 1
            try:
                if not self._ready.wait(longest):
                    left.waited(longest)
            finally:
                self._idle -= 1
        return self._waiting.popleft()

    def _drain(self, key: Hashable, lane: deque[Job]) -> None:
        """Run a lane's jobs until it is empty, then remove the lane."""
        while True:
            job, args = lane[0]
            try:
                job(*args)
            except BaseException:  # jobs should not raise, but the worker must survive if one does
                _log.exception("internal error in a callback thread; continuing with the next callback")
            del job, args
            with self._lock:
                lane.popleft()
                if lane:
                    self._busy_since[key] = time.monotonic()
                    continue
                # The keys do not exist in a child process that was forked inside the job.
                self._lanes.pop(key, None)
                self._busy_since.pop(key, None)
                self._serving.pop(key, None)
                self._refused.pop(key, None)
                if not self._lanes:
                    self.rests += 1
                    self._warned_full = False
                    self._refused_lanes = 0
                    self._quiet.ring()
                return

    def stalled(self, now: float, after: float = STALLED_AFTER) -> list[tuple[Hashable, float, int]]:
        """Return the lanes whose current job has been running for more than ``after`` seconds.

        :return: for each lane, its key, the running time in seconds, and the number of waiting jobs.
        """
        with self._lock:
            return [
                (key, now - since, len(self._lanes[key]) - 1)
                for key, since in self._busy_since.items()
                if now - since > after
            ]

    @property
    def load(self) -> tuple[int, int]:
        """The numbers of running and of queued jobs."""
        with self._lock:
            # list() copies in one step, because a signal handler may add a lane during the loop.
            running, lanes = len(self._serving), list(self._lanes.values())
        return running, max(0, sum(map(len, lanes)) - running)

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait until no job is queued or running. Idle workers may remain.

        :param timeout: maximum time to wait, in seconds.
        :return: ``False`` after a timeout. If a job calls this method, it returns ``False`` immediately.
        """
        return not self.inside and wait_until(lambda: not self._lanes, self._quiet, timeout)

    def unfinished(self) -> list[tuple[Any, ...]]:
        """Return the arguments of each lane's current or next job."""
        with self._lock:
            return [lane[0][1] for lane in self._lanes.values()]

    @property
    def serving(self) -> list[threading.Thread]:
        """The worker threads that are running a job."""
        with self._lock:
            return list(self._serving.values())

    @property
    def inside(self) -> bool:
        """Whether the current thread is a worker thread."""
        with self._lock:
            return threading.current_thread() in self._workers

    @property
    def workers(self) -> int:
        """The current number of worker threads."""
        return len(self._workers)

    def close(self, timeout: float) -> bool:
        """Wait for queued jobs to finish, then stop the idle workers.

        :param timeout: maximum time to wait, in seconds.
        :return: whether all jobs finished. If not, the busy workers finish the queued jobs later and then exit.
        """
        end = time.monotonic() + timeout
        me = threading.current_thread()
        with self._lock:
            inside = me in self._workers
            start = not inside and self._wants_worker()
        if start:  # an earlier attempt to start a worker failed
            self._add_worker()
        self.wait_until_idle(timeout)
        with self._lock:
            done = not self._lanes
            self._closed = True
            self._ready.notify_all()
            leaving = [thread for thread in list(self._workers) if thread is not me] if done else []
        end = max(end, time.monotonic() + GOODBYE)
        # Stop waiting for the workers if another thread calls reopen().
        wait_until(
            lambda: not (self._closed and self._workers.intersection(leaving)), self._quiet, end - time.monotonic()
        )
        with self._lock:
            leaving = leaving if self._closed else []
        starting.join_all(leaving, end - time.monotonic())
        return done

    def reopen(self) -> None:
        """Accept jobs again after :meth:`close`."""
        with self._lock:
            self._closed = False
        self._quiet.ring()

    def after_fork(self) -> None:
        """Discard the parent's jobs and workers in a child process."""
        self._reset()
