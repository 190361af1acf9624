"""Run callbacks on worker threads, where they may block, and report their exceptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ..call.call import Call
from ..errors import ClientClosed
from ..threads import callback_errors, logs
from ..threads.lanes import MOST_WAITING, InContext, Lanes, name_of
from .counters import Counters

if TYPE_CHECKING:
    from ..observing.observers import Observers

__all__ = ["CLIENT_LANE", "Callbacks", "Stalled"]

_log = logs.get("relay_sync.callbacks").later

#: The lane for callbacks that do not belong to a call.
CLIENT_LANE: Final = "client"
SHARED_THREADS: Final = 16


class Callbacks:
    """A client's callback queues. Thread-safe.

    :param on_error: function that is called with each exception raised by a callback, and with the callback's call or ``None``.
    :param counters: client's counters.
    :ivar observers: client's observers, or ``None`` if there are none.
    """

    def __init__(
        self, on_error: Callable[[BaseException, Call | None], object] | None, counters: Counters | None = None
    ) -> None:
        self._counters = counters or Counters()
        self._on_error = None if on_error is None else InContext(on_error)
        self.observers: Observers | None = None
        self.lanes: Lanes = Lanes()
        #: The lanes of ``on_message`` and ``on_task`` handlers.
        self.shared: Lanes = Lanes(SHARED_THREADS)
        self._stalled = Stalled(CLIENT_LANE)

    def of_call(
        self, call: Call | None, what: str, function: Callable[..., object], *args: Any, final: bool = True
    ) -> None:
        """Queue a callback in a call's lane, or in the client's lane if there is no call.

        :param call: the call, or ``None``.
        :param what: description of the callback, for the log.
        :param function: the callback.
        :param args: arguments of the callback.
        :param final: whether the callback reports an end and must not be dropped. Other callbacks are dropped while 10,000
            callbacks are waiting.
        """
        self._queue(self.lanes, call.call_id if call else CLIENT_LANE, call, what, function, args, final)

    def in_lane(self, lane: object, what: str, function: Callable[..., object], *args: Any, final: bool = True) -> None:
        """Queue a callback that does not belong to a call, in the given lane. See :meth:`of_call` for the parameters."""
        self._queue(self.lanes, lane, None, what, function, args, final)

    def in_shared(
        self, lane: object, what: str, function: Callable[..., object], *args: Any, final: bool = False
    ) -> None:
        """Queue a message or task handler. Up to 16 run concurrently, and new ones are dropped while 10,000 are waiting."""
        self._queue(self.shared, lane, None, what, function, args, final)

    def _queue(
        self,
        lanes: Lanes,
        lane: object,
        call: Call | None,
        what: str,
        function: Callable[..., object],
        args: tuple[Any, ...],
        final: bool,
    ) -> None:
        if final:
            lanes.submit(lane, self._guarded, call, what, function, args)
            return
        refused = lanes.offer(lane, self._guarded, call, what, function, args)
        if refused:
            self._counters.count("callbacks_dropped")
        if refused == 1:
            call_id = call.call_id if call else ""
            _log.warning(
                "dropped a %s%s (%s): %d callbacks are waiting, and new ones are dropped until those have run; the ends of "
                "calls and actions are still delivered",
                what, f" of call {call_id}" if call_id else "", name_of(function), MOST_WAITING,
                extra={"call_id": call_id},
            )  # fmt: skip

    def _guarded(self, call: Call | None, what: str, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            function(*args)
        except BaseException as error:
            self.report(call, what, error)

    def report(self, call: Call | None, what: str, error: BaseException, then: str = "") -> None:
        """Log an exception raised by a callback, and pass it to ``on_error``.

        :param call: call that the callback belongs to, or ``None``.
        :param what: description of the callback, for the log.
        :param error: the exception.
        :param then: text about the call to append to the log message.
        """
        self._counters.failed("callback_errors", error)
        call_id = call.call_id if call else ""
        whose, extra = f" of call {call_id}" if call_id else "", {"call_id": call_id}
        if isinstance(error, ClientClosed):  # not an error: the client was closed while the callback was waiting
            _log.info("the %s%s ended: %s", what, whose, error.message, extra=extra)
        else:
            _log.error("the %s%s raised an exception%s", what, whose, then, exc_info=error, extra=extra)
            callback_errors.tell(f"the {what}{whose}", error)
            if self.observers is not None:
                self.observers.callback_raised(what, call_id, error)
        if self._on_error is not None:
            try:
                self._on_error(error, call)
            except BaseException:  # even sys.exit() in on_error must not prevent the hangup
                _log.exception("on_error raised an exception")

    def check_stalled(self, now: float) -> None:
        """Log lanes whose callback has been running for too long. Called once a second on the IO thread."""
        self._stalled.check(self.lanes, now)

    def reopen(self) -> None:
        """Start accepting callbacks again."""
        self.lanes.reopen()
        self.shared.reopen()

    def after_fork(self) -> None:
        """Discard the parent's queued callbacks in a forked child process."""
        self.lanes.after_fork()
        self.shared.after_fork()


class Stalled:
    """Detects stalled lanes and logs each one once. Used only on the IO thread.

    :param of_client: lane for callbacks that do not belong to a call.
    """

    def __init__(self, of_client: str) -> None:
        self._of_client = of_client
        self._said: set[object] = set()

    def check(self, lanes: Lanes, now: float) -> None:
        """Log newly stalled lanes. Called once a second."""
        stalled = {key: (age, waiting) for key, age, waiting in lanes.stalled(now)}
        for key, (age, waiting) in stalled.items():
            if key not in self._said:
                _log.warning(
                    "a callback of %s has been running for %.0f s; %d more are waiting for it",
                    "the client" if key == self._of_client else f"call {key}", age, waiting,
                    extra={"call_id": str(key)},
                )  # fmt: skip
        self._said = set(stalled)
