"""An event loop: one thread with a selector, timers, and a queue of calls from other threads.

A :class:`Loop` hosts any number of listening servers, connections and timers. It contains no WebSocket code. All
callbacks run on the loop thread and must not block. Long-running work must be moved to another thread. An exception in
a callback is logged with its traceback, and the loop continues.
"""

from __future__ import annotations

import heapq
import itertools
import math
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from ..threads import logs, starting
from ..threads.flag import Bell
from ..threads.loop_clock import LATE, LONGEST_SLEEP, SLICE, beyond
from ..threads.outcome import Waiter, wait_until
from ..threads.pulse import answering
from ..threads.rate_limited_log import RateLimitedLog
from ..threads.wake_chain import WakeChain
from ..threads.wake_up import WakeUp

__all__ = ["Loop", "LoopStopped", "LoopUser", "Timer"]

_log = logs.get("relay_sync.server").later
_T = TypeVar("_T")

# Maximum number of bytes to read from one socket per turn, so that a fast peer cannot starve the others.
RECEIVE_SIZE = 65536
# Maximum number of timers to run per turn. Some timers start other timers that are due immediately.
MOST_TIMERS = 256
# Number of canceled timers that may stay in the heap until they are due.
MOST_CANCELLED = 256
# Number of consecutive failed turns after which the loop ends.
MOST_FAULTS = 10
_NAN = "the time of a timer must not be NaN"


class LoopStopped(RuntimeError):
    """The loop has been stopped, so the request cannot be carried out."""


class LoopUser(Protocol):
    """An object that must be closed when its loop stops."""

    def loop_stopping(self) -> None:
        """Release all resources. The loop calls this once, on its own thread."""


class Timer:
    """A scheduled callback, created by :meth:`Loop.call_at`."""

    __slots__ = ("_args", "_fn", "_loop", "when")

    def __init__(self, loop: Loop, when: float, fn: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._loop = loop
        self._fn: Callable[..., object] | None = fn
        self._args = args
        self.when: float = when

    def cancel(self) -> None:
        """Cancel the callback. If called from another thread, the callback may already be running."""
        if self._fn is not None:
            self._fn, self._args = None, ()
            self._loop._cancelled += 1

    def _run(self) -> None:
        fn, args = self._fn, self._args
        self._fn, self._args = None, ()
        if fn is not None:
            fn(*args)


class Loop:
    """An event loop that runs on its own thread.

    Callbacks queued before :meth:`start` run once the loop has started. Callbacks queued after :meth:`stop` are
    discarded. A stopped loop cannot be restarted.

    :param name: the name of the loop's daemon thread.
    :param gather: minimum time between two iterations in seconds, so that one iteration serves more sockets; a few milliseconds.
        Calls that are already queued do not wait for it.
    """

    def __init__(self, name: str, *, gather: float = 0.0) -> None:
        self.name = name
        self._gather = gather
        self._ready: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._cancelled = 0  # approximate count, used to decide when to compact the heap
        self._turn_end: list[Callable[[], object]] = []
        #: Threads to wake just before the loop releases the GIL to sleep.
        self.wakes: WakeChain = WakeChain()
        #: Runs a function once, at the end of the current iteration; for hosted objects, on the loop thread only.
        self.at_turn_end: Callable[[Callable[[], object]], None] = self._turn_end.append
        self._hosted: set[LoopUser] = set()
        # Guards starting and stopping. It is never held while a callback runs. It is reentrant because a signal handler may
        # stop a loop that its own thread is just starting.
        self._lock = threading.RLock()
        # Calls that a thread is waiting for. No lock guards them: a signal handler that waits for the loop, in a call or in
        # stop(), may have interrupted the thread that holds it.
        self._calls: set[Waiter[Any]] = set()
        self._thread: threading.Thread | None = None
        self._ident: int | None = None
        self._stopping = False
        self._busy = False
        self.turn_began: float = 0.0  # start of the current turn, by time()
        #: Difference between the advance of ``time.monotonic()`` and the estimated elapsed time, in seconds.
        self.ahead: float = 0.0
        self._latest = math.inf  # upper limit for time() until the loop reads the clock again
        self._longest = LONGEST_SLEEP
        self._faults = 0  # number of consecutive failed turns
        self._selector: selectors.BaseSelector
        self._wake_up: WakeUp | None = None
        self._wake: Callable[[], object] = bool  # a loop that has not started does not need to be woken
        self._repeated = RateLimitedLog(_log)

    def __repr__(self) -> str:
        state = "stopped" if self._stopping else "new" if self._thread is None else "running"
        return f"<Loop {self.name} {state}>"

    # -- for any thread ------------------------------------------------------------------------------------------------

    @property
    def on_loop_thread(self) -> bool:
        """Whether the caller is running on the loop thread."""
        return self._ident == threading.get_ident()

    @property
    def stopped(self) -> bool:
        """Whether the loop has been asked to stop. A stopped loop never runs again."""
        return self._stopping

    @property
    def busy(self) -> bool:
        """Whether the loop thread is in the middle of an iteration, which means that its state may be inconsistent."""
        return self._busy

    def time(self) -> float:
        """Return the time that timers use, in seconds: ``time.monotonic()``, corrected for stalls and jumps."""
        now = time.monotonic() - self.ahead
        return now if now < self._latest else self._latest

    def start(self) -> None:
        """Start the thread. A second call does nothing.

        :raises LoopStopped: the loop has been stopped before.
        """
        starting.uninterrupted(self._begin)
        self._wake()

    def _begin(self) -> None:
        with self._lock:
            if self._stopping:
                raise LoopStopped(f"{self.name} was stopped and cannot be started again")
            if self._thread is not None:
                return
            self._open()
            thread = threading.Thread(target=self._run, name=self.name, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no thread is available, or the interpreter is exiting
                self._shut()
                raise
            self._thread = thread

    def stop(self, timeout: float = 2.0) -> None:
        """Close all hosted objects and stop the thread. This method is idempotent.

        It waits up to ``timeout`` seconds for the thread to end. When called on the loop thread, it returns without
        waiting.
        """
        with self._lock:
            self._stopping = True
            thread = self._thread
        self._wake()
        if thread is None:
            self._fail_calls()
        elif not self.on_loop_thread:
            thread.join(timeout)
            if thread.is_alive():
                _log.warning("%s did not stop within %g s: one of its callbacks is blocking", self.name, timeout)

    def after_fork(self) -> None:
        """In a forked child, close the copied sockets without sending anything, and mark the loop as stopped.

        The loop thread does not exist in the child process, and the connections still belong to the parent.
        """
        self._stopping, self._thread, self._ident = True, None, None
        self._lock = threading.RLock()  # the lock may have been held by a thread that does not exist in the child
        if self._wake_up is None:
            return
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()
        self._wake_up.close()
        self._wake_up = None

    def call_soon(self, fn: Callable[..., object], *args: Any) -> None:
        """Run ``fn(*args)`` on the loop thread, after the calls that are already queued."""
        self._ready.append((fn, args))
        if self._ident != threading.get_ident():
            self._wake()

    def call_at(self, when: float, fn: Callable[..., object], *args: Any) -> Timer:
        """Run ``fn(*args)`` once :meth:`time` reaches ``when``.

        Timers run in chronological order. If ``when`` is infinite, the timer never runs.

        :raises ValueError: ``when`` is NaN, which would break the timer order.
        """
        if math.isnan(when):
            raise ValueError(_NAN)
        timer = Timer(self, when, fn, args)
        if self._ident == threading.get_ident():
            heapq.heappush(self._timers, (when, next(self._order), timer))
        else:
            self.call_soon(self._add_timer, timer)
        return timer

    def call_later(self, delay: float, fn: Callable[..., object], *args: Any) -> Timer:
        """Run ``fn(*args)`` after ``delay`` seconds."""
        if self._ident == threading.get_ident():
            now = time.monotonic() - self.ahead  # time(), inlined because this runs for every packet sent
            return self.call_at((now if now < self._latest else self._latest) + delay, fn, *args)
        if math.isnan(delay):
            raise ValueError(_NAN)
        timer = Timer(self, math.inf, fn, args)
        self.call_soon(self._add_later, timer, delay)  # the loop thread knows the exact time
        return timer

    def call(self, fn: Callable[..., _T], *args: Any, timeout: float) -> _T:
        """Run ``fn(*args)`` on the loop thread and return its result or raise its exception.

        :raises TimeoutError: the call did not finish within ``timeout`` seconds. If it has not started by then, it does
            not run.
        :raises LoopStopped: the loop is not running, or it stopped before the call ran.
        """
        if self.on_loop_thread:
            return fn(*args)
        result: Waiter[_T] = Waiter()
        try:
            self._calls.add(result)
            if self._stopping or self._thread is None:  # checked after adding: a loop that stops later fails the call
                raise LoopStopped(f"{self.name} is not running")
            self.call_soon(self._run_call, result, fn, args)
            if not wait_until(lambda: result.done, result, timeout):
                raise TimeoutError(f"{self.name} did not run the call within {timeout:g} s")
        finally:
            self._calls.discard(result)
        return result.wait(0.0, TimeoutError)

    def _run_call(self, result: Waiter[_T], fn: Callable[..., _T], args: tuple[Any, ...]) -> None:
        if result not in self._calls:  # the caller no longer waits
            return
        try:
            result.settle(fn(*args))
        except BaseException as error:
            result.settle(error)

    # -- for hosted objects, on the loop thread only -------------------------------------------------------------------

    def host(self, hosted: LoopUser) -> None:
        """Register an object whose ``loop_stopping()`` is called when the loop stops."""
        self._hosted.add(hosted)

    def release(self, hosted: LoopUser) -> None:
        """Remove an object registered with :meth:`host`."""
        self._hosted.discard(hosted)

    def watch(self, sock: socket.socket, events: int, callback: Callable[[int], object]) -> None:
        """Call ``callback(mask)`` when ``sock`` is ready for ``events`` (``selectors.EVENT_*``). Pass 0 to stop watching."""
        watched = self._selector.get_map().get(sock)
        if watched is None:
            if events:
                self._selector.register(sock, events, callback)
        elif not events:
            self._selector.unregister(sock)
        elif watched.events != events or watched.data != callback:
            self._selector.modify(sock, events, callback)

    def fault(self, what: str) -> None:
        """Log the exception that is being handled.

        Exceptions are rate limited by kind, because a peer may trigger them repeatedly.
        """
        self._repeated.fault(what)

    def warn(self, kind: str, message: str, *args: object) -> None:
        """Log a warning. Warnings are rate limited by ``kind``."""
        self._repeated.warning(kind, message, *args)

    # -- the loop thread -----------------------------------------------------------------------------------------------

    def _open(self) -> None:
        selector = selectors.DefaultSelector()
        try:
            wake_up = WakeUp()
        except OSError:  # no file descriptor is available
            selector.close()
            raise
        selector.register(wake_up.receiver, selectors.EVENT_READ, lambda mask: wake_up.clear())
        self._selector, self._wake_up, self._wake = selector, wake_up, wake_up.ring

    def _shut(self) -> None:
        self._selector.close()
        wake_up, self._wake_up = self._wake_up, None
        if wake_up is not None:
            wake_up.close()

    def _add_timer(self, timer: Timer) -> None:
        heapq.heappush(self._timers, (timer.when, next(self._order), timer))

    def _add_later(self, timer: Timer, delay: float) -> None:
        timer.when = self.time() + delay
        self._add_timer(timer)

    def _run(self) -> None:
        with logs.shared(), answering(self.name, self.call_soon):
            self._ident = threading.get_ident()
            try:
                while not self._stopping and self._faults < MOST_FAULTS:
                    try:
                        self._turns()
                    except BaseException:  # for example MemoryError; keep everything that the loop hosts running
                        self._faults += 1
                        self._busy = False
                        with suppress(BaseException):
                            self.fault(f"a turn of {self.name} failed")
            finally:
                self._tear_down()

    def _turns(self) -> None:
        started = time.monotonic()
        self.turn_began = started - self.ahead
        while not self._stopping:
            if self._gather and not (self._ready or self._turn_end):
                self._rest(started)
            patience: float | None = None
            if self._ready or self._turn_end:
                patience = 0.0
            elif self._timers:
                patience = self._timers[0][0] + self.ahead - time.monotonic()
                patience = 0.0 if patience < 0 else self._longest if patience > self._longest else patience
            self._latest = math.inf if patience is None else self.turn_began + patience + LATE
            if self.wakes:
                self._wake_all()
            events = self._selector.select(patience)
            now = time.monotonic()
            if patience is None or (0.0 if events else patience) < now - started < patience + LATE:
                self._longest = LONGEST_SLEEP
            else:
                by = beyond(now - started, patience, bool(events))
                self.ahead += by  # the clock advanced that much more than the elapsed time
                self._longest = SLICE if by <= 0 else LONGEST_SLEEP
            started = now
            self.turn_began = now - self.ahead
            self._latest, self._busy = self.turn_began + LATE, True
            for key, mask in events:
                try:
                    key.data(mask)
                except BaseException:
                    self.fault(f"a callback of {self.name} failed")
            if self._timers and (self._timers[0][0] <= self.turn_began or self._cancelled > MOST_CANCELLED):
                self._run_timers()
            if self._ready:
                self._run_ready()
            if self._turn_end:
                self._run_turn_end()
            self._busy = False
            self._faults = 0

    def _rest(self, began: float) -> None:
        """Wake the first thread, and sleep until ``gather`` seconds after ``began``."""
        self._wake_one()
        left = began + self._gather - time.monotonic()
        if 0 < left <= self._gather:
            Bell().sleep(lambda: self._stopping, left)  # tests of programs replace time.sleep()

    def _wake_one(self) -> None:
        try:
            self.wakes.wake_one()
        except IndexError:  # no thread is left
            pass
        except BaseException:
            self.fault(f"a callback of {self.name} failed")

    def _wake_all(self) -> None:
        while self.wakes:
            self._wake_one()

    def _run_timers(self) -> None:
        timers = self._timers
        if self._cancelled > MOST_CANCELLED and self._cancelled > len(timers) // 2:
            timers[:] = [entry for entry in timers if entry[2]._fn is not None]
            heapq.heapify(timers)
            self._cancelled = 0
        now = time.monotonic() - self.ahead
        if now > self._latest:  # the clock jumped during this turn
            now = self.turn_began
        for _ in range(MOST_TIMERS):
            if not timers or timers[0][0] > now:
                return
            timer = heapq.heappop(timers)[2]
            try:
                timer._run()
            except BaseException:
                self.fault(f"a timer of {self.name} failed")

    def _run_ready(self) -> None:
        ready = self._ready
        for _ in range(len(ready)):  # calls queued by these run in the next turn, after the sockets
            fn, args = ready.popleft()
            try:
                fn(*args)
            except BaseException:
                self.fault(f"a callback of {self.name} failed")

    def _run_turn_end(self) -> None:
        due = iter(self._turn_end[:])
        self._turn_end.clear()
        try:
            for fn in due:
                try:
                    fn()
                except BaseException:
                    self.fault(f"a callback of {self.name} failed")
        finally:
            self._turn_end[:0] = due  # the rest, if logging has failed

    def _tear_down(self) -> None:
        with self._lock:
            self._stopping = True
        self._run_ready()
        for hosted in list(self._hosted):
            try:
                hosted.loop_stopping()
            except BaseException:
                _log.exception("closing %r failed", hosted)
        for _ in range(16):  # close callbacks may queue further callbacks; the number of rounds is limited
            self._run_turn_end()
            self._run_ready()
        self._wake_all()
        self._ready.clear()
        self._timers.clear()
        self._shut()
        self._fail_calls()
        self._ident = None  # the operating system may reuse the thread identifier

    def _fail_calls(self) -> None:
        for call in tuple(self._calls):  # each caller removes its own
            call.settle(LoopStopped(f"{self.name} stopped before it ran the call"))
