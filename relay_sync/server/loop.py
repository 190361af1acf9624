"""One thread with a selector: sockets, timers, and callbacks submitted by other threads.

A :class:`Loop` hosts any number of listening servers, accepted and dialed connections and timers. It knows nothing of
WebSockets. All callbacks run on its one thread and must not block: hand work to another thread instead. An exception in a
callback is logged with its traceback and affects nothing else.
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

from attrs import define, field

from ..threads import logs, starting
from ..threads.loop_clock import LATE, LONGEST_SLEEP, SLICE, beyond
from ..threads.rate_limited_log import RateLimitedLog
from ..threads.wake_up import WakeUp

__all__ = ["Awaited", "Loop", "LoopStopped", "LoopUser", "Timer"]

_log = logs.get("relay_sync.server").later
_T = TypeVar("_T")

# What one turn of the loop reads from one socket at most, so that a fast peer cannot keep the others waiting.
RECEIVE_SIZE = 65536
# How many timers one turn runs at most: some set others that are due already.
MOST_TIMERS = 256
# Turns in a row that may fail before the loop ends.
MOST_FAULTS = 10
_NAN = "the time of a timer must not be NaN"


class LoopStopped(RuntimeError):
    """The loop was stopped, so what was asked of it will not happen."""


class LoopUser(Protocol):
    """Something that has to be closed when its loop stops."""

    def loop_stopping(self) -> None:
        """Give up everything held; called once, on the loop thread."""


class Timer:
    """One callback at one moment; made by :meth:`Loop.call_at`."""

    __slots__ = ("_args", "_fn", "_loop", "when")

    def __init__(self, loop: Loop, when: float, fn: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._loop = loop
        self._fn: Callable[..., object] | None = fn
        self._args = args
        self.when: float = when

    def cancel(self) -> None:
        """Never call back. From the loop thread this is certain; from another the callback may just be running."""
        if self._fn is not None:
            self._fn, self._args = None, ()
            self._loop._cancelled += 1

    def _run(self) -> None:
        fn, args = self._fn, self._args
        self._fn, self._args = None, ()
        if fn is not None:
            fn(*args)


@define(eq=False)
class Awaited:
    """A function that another thread runs and whose outcome this one waits for."""

    fn: Callable[..., Any]
    args: tuple[Any, ...]
    result: Any = None
    error: BaseException | None = None
    abandoned: bool = False
    over: bool = False
    # Taken until it is over. An event has a lock of its own that Ctrl-C can leave taken; then the loop would block.
    _pending: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._pending = threading.Lock()  # looked up late: gevent may patch after the import
        self._pending.acquire()

    def run(self) -> None:
        if self.abandoned:
            return
        try:
            self.result = self.fn(*self.args)
        except BaseException as error:
            self.error = error
        self._end()

    def fail(self, error: BaseException) -> None:
        if not self.over:
            self.error = error
            self._end()

    def _end(self) -> None:
        self.over = True
        self._pending.release()

    def wait(self, timeout: float) -> bool:
        """Return whether the call finishes within *timeout* seconds. If this raises or returns ``False`` and the call has not
        started, it never will.
        """
        try:
            self.abandoned = not self._pending.acquire(True, max(0.0, timeout))
        except BaseException:  # Ctrl-C
            self.abandoned = True
            raise
        return not self.abandoned


class Loop:
    """A selector thread.

    :param name: the thread's name. The thread is a daemon.
    :param gather: seconds, a few milliseconds at most. Turns of the loop then begin at least so far apart, so that under
        load one turn serves many sockets instead of one each: less CPU for so much more latency. A lone message that
        finds the loop idle is not delayed.

    Callbacks queued before :meth:`start` run once it has started; after :meth:`stop` they are dropped. A stopped loop
    cannot be started again.
    """

    def __init__(self, name: str, *, gather: float = 0.0) -> None:
        self.name = name
        self._gather = gather
        self._ready: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._cancelled = 0  # an estimate, to know when tidying the heap pays
        self._turn_end: list[Callable[[], object]] = []
        self._hosted: set[LoopUser] = set()
        # Guards starting, stopping and _calls; never held while a callback runs. A signal handler may stop what its own
        # thread is just starting.
        self._lock = threading.RLock()
        self._calls: set[Awaited] = set()
        self._thread: threading.Thread | None = None
        self._ident: int | None = None
        self._stopping = False
        self._busy = False
        self.turn_began: float = 0.0  # by time()
        #: Seconds by which ``time.monotonic()`` has advanced more than the elapsed time; negative if less.
        self.ahead: float = 0.0
        self._latest = math.inf  # what time() can be at most, before the clock is looked at again
        self._longest = LONGEST_SLEEP
        self._faults = 0  # turns that have failed in a row
        self._selector: selectors.BaseSelector
        self._wake_up: WakeUp | None = None
        self._wake: Callable[[], None] = _nobody_sleeps
        #: What passes the time between two turns: called with seconds, 0 if turns need no further gathering.
        self.rest: Callable[[float], object] = time.sleep
        self._troubles = RateLimitedLog(_log)
        self.buffer: memoryview = memoryview(bytearray(RECEIVE_SIZE))  # one for all sockets: only this thread receives

    def __repr__(self) -> str:
        state = "stopped" if self._stopping else "new" if self._thread is None else "running"
        return f"<Loop {self.name} {state}>"

    # -- for any thread ------------------------------------------------------------------------------------------------

    @property
    def on_loop_thread(self) -> bool:
        """Whether the caller is the loop's own thread."""
        return self._ident == threading.get_ident()

    @property
    def stopped(self) -> bool:
        """Whether it was asked to stop; it will never run again."""
        return self._stopping

    @property
    def busy(self) -> bool:
        """Whether its thread is in the middle of a turn: what it is changing may be half done."""
        return self._busy

    def time(self) -> float:
        """Seconds on the clock of the timers: ``time.monotonic()``, but that it neither stands still nor leaps."""
        now = time.monotonic() - self.ahead
        return now if now < self._latest else self._latest

    def start(self) -> None:
        """Start the thread; a second call does nothing.

        :raises LoopStopped: it has been stopped before.
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
            except RuntimeError:  # no thread available, or the interpreter is exiting
                self._shut()
                raise
            self._thread = thread

    def stop(self, timeout: float = 2.0) -> None:
        """Close everything hosted and end the thread. Idempotent.

        Waits up to *timeout* seconds for the thread, except on the loop thread itself, where it only asks.
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
        """In a child process: close the child's copies of the sockets without sending anything, and stop.

        The parent's thread does not exist here, and the parent's connections do not concern the child.
        """
        self._stopping, self._thread, self._ident = True, None, None
        self._lock = threading.RLock()  # the thread that held it does not exist here
        if self._wake_up is None:
            return
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()
        self._wake_up.close()
        self._wake_up = None

    def call_soon(self, fn: Callable[..., object], *args: Any) -> None:
        """Run ``fn(*args)`` on the loop thread, after what was queued before."""
        self._ready.append((fn, args))
        if self._ident != threading.get_ident():
            self._wake()

    def call_at(self, when: float, fn: Callable[..., object], *args: Any) -> Timer:
        """Run ``fn(*args)`` once :meth:`time` has reached *when*, in order of time; never if that is infinite.

        :raises ValueError: *when* is NaN: the other timers could not be kept in order.
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
        """Run ``fn(*args)`` in *delay* seconds."""
        if self._ident == threading.get_ident():
            now = time.monotonic() - self.ahead  # time(), without a call of it for each packet that is sent
            return self.call_at((now if now < self._latest else self._latest) + delay, fn, *args)
        if math.isnan(delay):
            raise ValueError(_NAN)
        timer = Timer(self, math.inf, fn, args)
        self.call_soon(self._add_later, timer, delay)  # there, the time is known for certain
        return timer

    def call(self, fn: Callable[..., _T], *args: Any, timeout: float) -> _T:
        """Run ``fn(*args)`` on the loop thread, wait, and return its result or raise its exception.

        :raises TimeoutError: no result within *timeout* seconds; a call that has not started by then never will.
        :raises LoopStopped: the loop is not running, or stopped first.
        """
        if self.on_loop_thread:
            return fn(*args)
        call = Awaited(fn, args)
        try:
            with self._lock:
                if self._stopping or self._thread is None:
                    raise LoopStopped(f"{self.name} is not running")
                self._calls.add(call)
            self.call_soon(call.run)
            if not call.wait(timeout):
                raise TimeoutError(f"{self.name} did not run the call within {timeout:g} s")
        finally:
            with self._lock:
                self._calls.discard(call)
        if call.error is not None:
            raise call.error
        result: _T = call.result
        return result

    # -- for what the loop hosts; on the loop thread only --------------------------------------------------------------

    def host(self, hosted: LoopUser) -> None:
        """Have ``hosted.loop_stopping()`` called when the loop stops."""
        self._hosted.add(hosted)

    def release(self, hosted: LoopUser) -> None:
        """Forget what :meth:`host` registered."""
        self._hosted.discard(hosted)

    def watch(self, sock: socket.socket, events: int, callback: Callable[[int], object]) -> None:
        """Call ``callback(mask)`` when *sock* is ready for *events* (``selectors.EVENT_*``); 0 stops watching."""
        watched = self._selector.get_map().get(sock)
        if watched is None:
            if events:
                self._selector.register(sock, events, callback)
        elif not events:
            self._selector.unregister(sock)
        elif watched.events != events or watched.data != callback:
            self._selector.modify(sock, events, callback)

    def fault(self, what: str) -> None:
        """Log the exception that is being handled: once a kind and a while, for a peer may bring it about again and again."""
        self._troubles.fault(what)

    def warn(self, kind: str, message: str, *args: object) -> None:
        """Log a warning: once a *kind* and a while."""
        self._troubles.warning(kind, message, *args)

    def at_turn_end(self, fn: Callable[[], object]) -> None:
        """Run *fn* once, after all that this turn of the loop has to do."""
        self._turn_end.append(fn)

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        selector = selectors.DefaultSelector()
        try:
            wake_up = WakeUp()
        except OSError:  # no file descriptor available
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
        with logs.shared():
            self._ident = threading.get_ident()
            try:
                while not self._stopping and self._faults < MOST_FAULTS:
                    try:
                        self._turns()
                    except BaseException:  # no memory, say: everything that the loop hosts is not to end by it
                        self._faults += 1
                        self._busy = False
                        with suppress(BaseException):
                            self.fault(f"a turn of {self.name} failed")
            finally:
                self._tear_down()

    def _turns(self) -> None:
        begun = time.monotonic()
        self.turn_began = begun - self.ahead
        while not self._stopping:
            if self._gather:
                left = begun + self._gather - time.monotonic()
                busy = self._ready or self._turn_end
                self.rest(0.0 if busy or not 0 < left <= self._gather else left)
            patience = self._patience()
            self._latest = math.inf if patience is None else self.turn_began + patience + LATE
            events = self._selector.select(patience)
            now = time.monotonic()
            if patience is None or (0.0 if events else patience) < now - begun < patience + LATE:
                self._longest = LONGEST_SLEEP
            else:
                self._amend(beyond(now - begun, patience, bool(events)))
            begun = now
            self.turn_began = now - self.ahead
            self._latest, self._busy = self.turn_began + LATE, True
            self._turn(events)
            self._busy = False
            self._faults = 0

    def _amend(self, by: float) -> None:
        """The clock advanced by *by* seconds more (or less) than the elapsed time."""
        self.ahead += by
        self._longest = SLICE if by <= 0 else LONGEST_SLEEP

    def _turn(self, events: list[tuple[selectors.SelectorKey, int]]) -> None:
        for key, mask in events:
            try:
                key.data(mask)
            except BaseException:
                self.fault(f"a callback of {self.name} failed")
        self._run_timers()
        self._run_ready()
        self._run_turn_end()

    def _patience(self) -> float | None:
        """Seconds until the next work is due; ``None`` if there is none."""
        if self._ready or self._turn_end or self._stopping:
            return 0.0
        if not self._timers:
            return None
        return min(max(0.0, self._timers[0][0] + self.ahead - time.monotonic()), self._longest)

    def _run_timers(self) -> None:
        timers = self._timers
        if self._cancelled > 256 and self._cancelled > len(timers) // 2:
            timers[:] = [entry for entry in timers if entry[2]._fn is not None]
            heapq.heapify(timers)
            self._cancelled = 0
        if not timers:
            return
        now = time.monotonic() - self.ahead
        if now > self._latest:  # the clock has leapt in this very turn
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
        for _ in range(len(ready)):  # what these queue waits for the next turn, so that sockets get theirs
            fn, args = ready.popleft()
            try:
                fn(*args)
            except BaseException:
                self.fault(f"a callback of {self.name} failed")

    def _run_turn_end(self) -> None:
        if not self._turn_end:
            return
        due, self._turn_end = self._turn_end, []
        for fn in due:
            try:
                fn()
            except BaseException:
                self.fault(f"a callback of {self.name} failed")

    def _tear_down(self) -> None:
        with self._lock:
            self._stopping = True
        self._run_ready()
        for hosted in list(self._hosted):
            try:
                hosted.loop_stopping()
            except BaseException:
                _log.exception("closing %r failed", hosted)
        for _ in range(16):  # the callbacks on closing, and the callbacks they queue; bounded
            self._run_turn_end()
            self._run_ready()
        self._ready.clear()
        self._timers.clear()
        self._shut()
        self._fail_calls()
        self._ident = None  # the system may give the number to another thread

    def _fail_calls(self) -> None:
        with self._lock:
            calls, self._calls = self._calls, set()
        for call in calls:
            call.fail(LoopStopped(f"{self.name} stopped first"))


def _nobody_sleeps() -> None:
    """Wakes a loop that has not started."""
