"""The handlers of calls that run, and how a client that closes waits for them and for callbacks."""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING

from ..text.wording import counted, listed
from ..threads import logs
from ..threads.flag import Bell
from ..threads.lanes import Lanes, name_of
from ..threads.outcome import wait_until
from ..threads.table import Table

if TYPE_CHECKING:
    from ..call.call import Call
    from ..threads.lanes import InContext

__all__ = ["Handlers", "Stalled"]

_log = logs.get("relay_sync.callbacks").later


class Handlers:
    """Those of one client, each in a thread of its own. For any number of threads.

    :param changed: rings when one has returned.
    """

    def __init__(self, changed: Bell) -> None:
        self._changed = changed
        self._began: Table[threading.Thread, tuple[InContext, Call]] = Table()
        #: Threads that wait in :meth:`finish` themselves: nobody waits for them.
        self._waiting: Table[threading.Thread, bool] = Table()
        #: Those that were waited for in vain, and named.
        self._left: weakref.WeakSet[threading.Thread] = weakref.WeakSet()

    def begin(self, thread: threading.Thread, call: Call, handler: InContext) -> None:
        """A handler is about to run."""
        self._began.put(thread, (handler, call))

    def end(self, thread: threading.Thread) -> None:
        """A handler has returned, or does not run after all."""
        self._began.take(thread)
        self._changed.ring()

    def running(self) -> dict[threading.Thread, str]:
        """What runs besides the thread that asks, and the names."""
        here = threading.current_thread()
        return {
            thread: f"{name_of(handler)} of call {call.call_id}"
            for thread, (handler, call) in self._began.items()
            if thread is not here and thread not in self._waiting
        }

    def told(self) -> str:
        """The same in words."""
        names = list(self.running().values())
        return f"{counted(len(names), 'handler of a call', 'handlers of calls')} ({listed(names)})"

    def finish(self, timeout: float, *lanes: Lanes) -> None:
        """Let queued callbacks run and handlers return. What has not come to its end after so many seconds is named in the
        log and left alone. A callback that asks for this waits for nothing: what it waits for may wait for it.
        """
        end, here = time.monotonic() + timeout, threading.current_thread()
        self._waiting.put(here, True)
        self._changed.ring()  # who waits for this one need not any more
        try:
            for lane in lanes:
                lane.close(max(0.0, end - time.monotonic()))
            if not any(lane.inside for lane in lanes):
                wait_until(lambda: not self._awaited(), self._changed, end - time.monotonic())
                self._say_left(timeout, lanes)
        finally:
            self._waiting.take(here)
            logs.flush()

    def _awaited(self) -> dict[threading.Thread, str]:
        return {thread: name for thread, name in self.running().items() if thread not in self._left}

    def _say_left(self, timeout: float, lanes: tuple[Lanes, ...]) -> None:
        awaited = self._awaited()
        self._left.update(awaited)
        left = [f"on_call handler {name}" for name in awaited.values()]
        for each in lanes:
            left += [_described(*job) for job in each.unfinished()]
        if left:
            what = "is left alone" if len(left) == 1 else "are left alone"
            _log.warning("closing: what has not come to its end %.2g s later %s: %s", timeout, what, listed(left))


class Stalled:
    """Names lanes in which user code is stuck, each once. On the IO thread.

    :param of_client: the lane of callbacks that belong to no call.
    """

    def __init__(self, of_client: str) -> None:
        self._of_client = of_client
        self._said: set[object] = set()

    def check(self, lanes: Lanes, now: float) -> None:
        """Once a second."""
        stalled = {key: (age, waiting) for key, age, waiting in lanes.stalled(now)}
        for key, (age, waiting) in stalled.items():
            if key not in self._said:
                _log.warning(
                    "a callback of %s has been running for %.0f s; %d more wait behind it",
                    "the client" if key == self._of_client else f"call {key}", age, waiting,
                    extra={"call_id": str(key)},
                )  # fmt: skip
        self._said = set(stalled)


def _described(call: Call | None, what: str, function: object, *rest: object) -> str:
    """A callback in words, by what the switchboard has queued it with."""
    whose = f" of call {call.call_id}" if call is not None else ""
    return f"{what} {name_of(function)}{whose}" if callable(function) else what
