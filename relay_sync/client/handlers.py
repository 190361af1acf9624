"""Run call handlers in threads, and wait for handlers and callbacks when the client closes."""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final

from ..call.call import Call, core_of
from ..errors import ClientClosed, CommandRefused, RelayError
from ..text.wording import counted, listed
from ..threads import logs
from ..threads.flag import Bell
from ..threads.lanes import InContext, Lanes, name_of
from ..threads.outcome import wait_until
from ..threads.table import Table
from .callbacks import Callbacks
from .unattended import Unattended

__all__ = ["CallHandlers"]

_log = logs.get("relay_sync").later
_callbacks = logs.get("relay_sync.callbacks").later
_numbers: Final = itertools.count(1)


class CallHandlers:
    """A client's running call handlers, each in its own thread. Thread-safe.

    :param changed: bell to ring when a handler has returned.
    :param callbacks: object that reports exceptions raised by handlers.
    :param unattended: object that logs calls left ringing by their handlers.
    :param hang_up_on_error: whether to hang up a call whose handler raised.
    """

    def __init__(
        self,
        changed: Bell,
        callbacks: Callbacks,
        unattended: Unattended,
        *,
        hang_up_on_error: bool,
    ) -> None:
        self._changed = changed
        self._callbacks = callbacks
        self._unattended = unattended
        self._hang_up_on_error = hang_up_on_error
        self._began: Table[threading.Thread, tuple[InContext, Call]] = Table()
        #: Threads that are waiting in :meth:`finish`. Other threads do not wait for them, to avoid a deadlock.
        self._waiting: Table[threading.Thread, bool] = Table()
        #: Threads that did not return before the timeout and have been logged.
        self._left: weakref.WeakSet[threading.Thread] = weakref.WeakSet()

    def start(self, call: Call, handler: InContext) -> None:
        """Run a call's handler in a new thread.

        :raises RuntimeError: the thread could not be started.
        """
        # The context runs everything in the thread, rather than only the handler. This way, the interpreter's C frames of
        # a waiting handler fit on two pages of the stack (benchmarks/PROFILE.md, "Memory of a call").
        thread = threading.Thread(
            target=handler.context.copy().run,
            args=(self._run, call, handler.function),
            name=f"relay-call-{next(_numbers)}",
            daemon=True,
        )
        self._began.put(thread, (handler, call))
        try:
            thread.start()
        except RuntimeError:
            self._end(thread)
            raise

    def _run(self, call: Call, handler: Callable[[Call], object]) -> None:
        try:
            observers = self._callbacks.observers
            if observers is None:
                handler(call)
            else:
                observers.handle(call, handler)
            self._unattended.handler_returned(call)
        except BaseException as error:  # sys.exit() in a handler ends the handler, not the process
            hang_up = self._hang_up_on_error and not isinstance(error, ClientClosed)
            self._callbacks.report(call, "on_call handler", error, _what_becomes(call, hang_up))
            if hang_up and core_of(call).is_ours:
                self._hang_up(call)
        finally:
            self._end(threading.current_thread())

    def _hang_up(self, call: Call) -> None:
        try:
            call.hangup("error")
        except ClientClosed:
            _log.warning("call %s continues: the client was closed before it could hang up", call.call_id)
        except CommandRefused as error:
            _log.warning("call %s could not be hung up: %s", call.call_id, error.message)
        except RelayError as error:
            _log.warning("call %s will be hung up as soon as possible: %s", call.call_id, error.message)
            core_of(call).promise_end("error")

    def _end(self, thread: threading.Thread) -> None:
        """Remove a thread that has finished or that could not be started."""
        self._began.take(thread)
        self._changed.ring()

    def __len__(self) -> int:
        return len(self._began)

    def running(self) -> dict[threading.Thread, str]:
        """Return descriptions of the running handlers, by thread. Excludes the calling thread and threads in :meth:`finish`."""
        here = threading.current_thread()
        return {
            thread: f"{name_of(handler)} of call {call.call_id}"
            for thread, (handler, call) in self._began.items()
            if thread is not here and thread not in self._waiting
        }

    def described(self) -> str:
        """Describe the running handlers for the log."""
        names = list(self.running().values())
        return f"{counted(len(names), 'handler of a call', 'handlers of calls')} ({listed(names)})"

    def finish(self, timeout: float, *lanes: Lanes) -> None:
        """Wait for queued callbacks and running handlers. Log the names of any that are still running at the timeout.

        When called from a callback, this method does not wait, because other callbacks may be waiting for that callback.

        :param timeout: maximum time to wait, in seconds.
        :param lanes: callback queues to wait for.
        """
        end, here = time.monotonic() + timeout, threading.current_thread()
        self._waiting.put(here, True)
        self._changed.ring()  # other threads in finish() then stop waiting for this one
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
            _callbacks.warning("closing: still running after %.2g s, not waiting any longer: %s", timeout, listed(left))


def _described(call: Call | None, what: str, function: object, *rest: object) -> str:
    """Describe a callback for the log, given the arguments it was queued with."""
    whose = f" of call {call.call_id}" if call is not None else ""
    return f"{what} {name_of(function)}{whose}" if callable(function) else what


def _what_becomes(call: Call, hang_up: bool) -> str:
    """Return the last part of the log message about a failed handler, or ``""`` if the call has ended."""
    core = core_of(call)
    if core.over is not None:
        return ""
    if core.handed_over:
        return "; the call was handed over and continues"
    return "; the call is hung up" if hang_up else "; the call is left unchanged"
