"""User callbacks: one at a time and in order within a lane, side by side across lanes, on threads that come and go.

A lane is the mere presence of its key: a queue that exists while something waits or runs. A worker takes a lane, runs what is
in it, and takes the next. A new worker starts only when work waits and no worker is free, one at a time, so a burst of short
callbacks is served by one thread and blocked callbacks grow new ones, up to a limit.
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
#: Jobs that may wait in one lane, and lanes that may wait for a worker, before :meth:`Lanes.offer` takes no more.
MOST_WAITING: Final = 10_000
#: Seconds that idle workers have for leaving, over and above the time for what is queued.
GOODBYE: Final = 0.1


class InContext:
    """A function with the context variables of the place where it was handed in."""

    __slots__ = ("context", "function")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function: Callable[..., Any] = function
        self.context: contextvars.Context = contextvars.copy_context()

    def __call__(self, *args: Any) -> Any:
        # A copy each: one context cannot be entered by two threads at once.
        return self.context.copy().run(self.function, *args)

    def __repr__(self) -> str:
        return repr(self.function)


def name_of(function: Callable[..., Any]) -> str:
    """What to call a function in a message."""
    inner = function.function if isinstance(function, InContext) else function
    name = getattr(inner, "__qualname__", None)
    return name if isinstance(name, str) else type(inner).__qualname__


def warn_replaced(kind: str, old: InContext | None, new: InContext) -> None:
    """Say so where a handler takes the place of another one.

    The same one again is none, nor is its new version: a notebook's cell that runs again, or a module that is reloaded.
    """
    if old is not None and old.function != new.function and not _is_redefined(old.function, new.function):
        _log.warning("%s: %s replaces %s, which is no longer called", kind, _placed(new), _placed(old))


def _placed(function: InContext) -> str:
    """The function's name and where it is: two handlers often have one name."""
    code = getattr(inspect.unwrap(function.function), "__code__", None)
    return f"{name_of(function)} ({code.co_filename}:{code.co_firstlineno})" if code else name_of(function)


def _is_redefined(old: Callable[..., Any], new: Callable[..., Any]) -> bool:
    """Whether both are functions of one name in one module; what was made in a function may be something else each time."""
    if not (isinstance(old, FunctionType) and isinstance(new, FunctionType)) or "<" in new.__qualname__:
        return False
    return (old.__module__, old.__qualname__) == (new.__module__, new.__qualname__)


#: Those of the process, for whoever wants to know whether user code still runs: tests of users' programs.
known_lanes: Final[Living[Lanes]] = Living()

Job = tuple[Callable[..., Any], tuple[Any, ...]]


class Lanes:
    """Runs jobs on worker threads ``relay-lane-N``. The jobs handed in do not raise: their owner wraps user code.

    :param limit: how many workers may exist; further work waits, and a warning says so.
    :param patience: seconds that an idle worker stays.
    :param most: see :meth:`offer`.
    :param name: of the threads, where ``relay-lane-N`` would not say whose they are.
    :param stays: is asked whether an idle worker stays all the same, each time that it has waited so long.
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
        self._quiet = Bell()  # rings when all is done, or a worker has left
        self._lanes: dict[Hashable, deque[Job]] = {}
        self._waiting: deque[Hashable] = deque()
        self._workers: set[threading.Thread] = set()
        self._idle = 0
        self._starting: set[threading.Thread] = set()
        self._claim = threading.RLock()  # of who is to start a worker; nobody who holds it waits
        self._closed = False
        self.rests: int = 0  # how often nothing was left to do
        self._told_full = False
        self._busy_since: dict[Hashable, float] = {}
        self._serving: dict[Hashable, threading.Thread] = {}
        self._refused: dict[Hashable, int] = {}
        self._refused_lanes = 0
        self._generation = generation()

    def submit(self, key: Hashable, job: Callable[..., Any], *args: Any) -> None:
        """Queue a job at the end of its lane. Never blocks on user code."""
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
        """Queue a job, unless too many wait already: work that comes faster than it is done must not fill the memory.

        :return: 0 if it was taken; else how many have been refused since the lane (for a new one: all lanes) had nothing to do.
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
        # Held: the lock. One start at a time: the new worker starts the next if there is still need.
        if self._starting or self._idle or not self._waiting:
            return False
        if len(self._workers) >= self._limit:
            if len(self._serving) >= self._limit and not self._told_full:  # else one is between two jobs, and is next
                self._told_full = True
                _log.warning("%d callbacks are blocking at the same time; further callbacks wait", self._limit)
            return False
        return True

    def _add_worker(self) -> None:
        try:
            starting.uninterrupted(self._start_worker)
        except RuntimeError as error:  # no more threads, or the interpreter is ending
            with self._lock:
                left = len(self._workers)
            if not left:
                _log.error("cannot start a thread for a callback: %s; retrying with the next callback", error)

    def _start_worker(self) -> None:
        # On behalf of the main thread another one is here, so that Ctrl-C leaves nothing half done. Without the lock, which the
        # main thread may hold below a signal handler.
        thread = threading.Thread(target=self._work, name=self._name or f"relay-lane-{next(_numbers)}", daemon=True)
        with self._claim:
            if self._starting or len(self._workers) >= self._limit:  # somebody else was quicker
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
        # Held: the lock.
        self._workers.discard(thread)
        self._quiet.ring()

    def _work(self) -> None:
        with self._lock:
            self._starting.discard(threading.current_thread())
        while (taken := self._take()) is not None:
            self._drain(*taken)

    def _take(self) -> tuple[Hashable, deque[Job]] | None:
        """The next lane to be served; ``None`` when there is nothing more to do, and this worker is none any more."""
        with self._lock:
            key = self._next_lane()
            if key is None:
                # In one hold with the decision: whoever submits next must not count on us.
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
        # Held: the lock.
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
        """Run a lane until it is empty; then it is no more."""
        while True:
            job, args = lane[0]
            try:
                job(*args)
            except BaseException:  # jobs do not raise; a worker outlives one that does
                _log.exception("a job in a lane failed")
            del job, args
            with self._lock:
                lane.popleft()
                if lane:
                    self._busy_since[key] = time.monotonic()
                    continue
                # Not there any more in a child that was forked in the job.
                self._lanes.pop(key, None)
                self._busy_since.pop(key, None)
                self._serving.pop(key, None)
                self._refused.pop(key, None)
                if not self._lanes:
                    self.rests += 1
                    self._told_full = False
                    self._refused_lanes = 0
                    self._quiet.ring()
                return

    def stalled(self, now: float, after: float = STALLED_AFTER) -> list[tuple[Hashable, float, int]]:
        """Lanes whose present job has run for longer: key, seconds, and how much waits behind it."""
        with self._lock:
            return [
                (key, now - since, len(self._lanes[key]) - 1)
                for key, since in self._busy_since.items()
                if now - since > after
            ]

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait until nothing is queued and nothing runs; a worker that has nothing to do may stay.

        :param timeout: seconds.
        :return: whether that is so; ``False`` at once in a job.
        """
        return not self.inside and wait_until(lambda: not self._lanes, self._quiet, timeout)

    def unfinished(self) -> list[tuple[Any, ...]]:
        """The arguments of the job that runs, or comes next, in each lane."""
        with self._lock:
            return [lane[0][1] for lane in self._lanes.values()]

    @property
    def serving(self) -> list[threading.Thread]:
        """The workers that run a job at this moment."""
        with self._lock:
            return list(self._serving.values())

    @property
    def inside(self) -> bool:
        """Whether this thread is one of the workers."""
        with self._lock:
            return threading.current_thread() in self._workers

    @property
    def workers(self) -> int:
        """How many worker threads there are now."""
        return len(self._workers)

    def close(self, timeout: float) -> bool:
        """Let queued jobs run for at most so many seconds, then end the idle workers.

        :return: whether everything was run. Otherwise workers are left behind: they finish what is queued, and end.
        """
        end = time.monotonic() + timeout
        me = threading.current_thread()
        with self._lock:
            inside = me in self._workers
            start = not inside and self._wants_worker()
        if start:  # an earlier start has failed
            self._add_worker()
        self.wait_until_idle(timeout)
        with self._lock:
            done = not self._lanes
            self._closed = True
            self._ready.notify_all()
            leaving = [thread for thread in list(self._workers) if thread is not me] if done else []
        end = max(end, time.monotonic() + GOODBYE)
        # Where another thread reopens them, workers stay.
        wait_until(
            lambda: not (self._closed and self._workers.intersection(leaving)), self._quiet, end - time.monotonic()
        )
        with self._lock:
            leaving = leaving if self._closed else []
        starting.join_all(leaving, end - time.monotonic())
        return done

    def reopen(self) -> None:
        """Take jobs again after :meth:`close`."""
        with self._lock:
            self._closed = False
        self._quiet.ring()

    def after_fork(self) -> None:
        """In a child process: nothing of the parent's is left."""
        self._reset()
