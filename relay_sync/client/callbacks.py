"""The lanes that run callbacks on worker threads, where they may block. Callbacks never run on the IO thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ..call.call import Call
from ..errors import ClientClosed
from ..threads import callback_errors, logs
from ..threads.lanes import MOST_WAITING, InContext, Lanes, name_of

if TYPE_CHECKING:
    from ..observing.observers import Observers

__all__ = ["CLIENT_LANE", "Callbacks", "Stalled"]

_log = logs.get("relay_sync.callbacks").later

#: The lane of callbacks that belong to no call.
CLIENT_LANE: Final = "client"
SHARED_THREADS: Final = 16


class Callbacks:
    """The callbacks of one client. Thread-safe.

    :param on_error: receives each exception of a callback, and its call or ``None``.
    :ivar observers: the client's observers, or ``None``.
    """

    def __init__(self, on_error: Callable[[BaseException, Call | None], object] | None) -> None:
        self._on_error = None if on_error is None else InContext(on_error)
        self.observers: Observers | None = None
        self.lanes: Lanes = Lanes()
        #: ``on_message`` and ``on_task`` handlers share these.
        self.shared: Lanes = Lanes(SHARED_THREADS)
        self._stalled = Stalled(CLIENT_LANE)

    def of_call(
        self, call: Call | None, what: str, function: Callable[..., object], *args: Any, final: bool = True
    ) -> None:
        """Run user code in the call's lane, or in the client's lane if there is no call.

        :param final: whether the callback must run because it reports an end. Other callbacks are dropped while 10,000 wait.
        """
        self._queue(self.lanes, call.call_id if call else CLIENT_LANE, call, what, function, args, final)

    def in_lane(self, lane: object, what: str, function: Callable[..., object], *args: Any, final: bool = True) -> None:
        """Run user code that belongs to no call, in the given lane."""
        self._queue(self.lanes, lane, None, what, function, args, final)

    def in_shared(
        self, lane: object, what: str, function: Callable[..., object], *args: Any, final: bool = False
    ) -> None:
        """Run a handler that may block for long. At most 16 run at once; further ones are dropped while 10,000 wait."""
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
        elif lanes.offer(lane, self._guarded, call, what, function, args) == 1:
            call_id = call.call_id if call else ""
            _log.warning(
                "dropped a %s%s (%s): %d callbacks are waiting, and further ones are dropped until those have run; the ends of "
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
        """Log an exception of user code, and pass it to ``on_error``.

        :param what: a description of the callback, for the log.
        :param then: what happens to the call, for the log.
        """
        call_id = call.call_id if call else ""
        whose, extra = f" of call {call_id}" if call_id else "", {"call_id": call_id}
        if isinstance(error, ClientClosed):  # the client was closed while the callback waited: not an error
            _log.info("the %s%s ended: %s", what, whose, error.message, extra=extra)
        else:
            _log.error("the %s%s raised%s", what, whose, then, exc_info=error, extra=extra)
            callback_errors.tell(f"the {what}{whose}", error)
            if self.observers is not None:
                self.observers.callback_raised(what, call_id, error)
        if self._on_error is not None:
            try:
                self._on_error(error, call)
            except BaseException:  # sys.exit() in on_error must not prevent the hangup either
                _log.exception("on_error raised")

    def check_stalled(self, now: float) -> None:
        """Log lanes whose callback has been running for long. Called once a second on the IO thread."""
        self._stalled.check(self.lanes, now)

    def reopen(self) -> None:
        """Accept callbacks again."""
        self.lanes.reopen()
        self.shared.reopen()

    def after_fork(self) -> None:
        """Drop the callbacks that the parent process had queued. Called in the child after a fork."""
        self.lanes.after_fork()
        self.shared.after_fork()


class Stalled:
    """Logs lanes whose callback has been running for long, once per lane. On the IO thread.

    :param of_client: the lane of callbacks that belong to no call.
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
