"""Handles on running operations. Each kind declares its method, its event, and how its events mean progress or end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Protocol, TypeVar, cast

from .constants import EVENT_CALL_STREAM
from .errors import CallEnded, ClientClosed, CommandRefused, RelayError, StreamFailed, WaitTimeout
from .events import RelayEvent, StreamEvent
from .protocol.results import is_gone
from .runtime.waiter import Waiter

if TYPE_CHECKING:
    from .call import Call

__all__ = ["Action", "StreamAction"]

_log = logging.getLogger("relay_sync")

E = TypeVar("E", bound=RelayEvent)
A = TypeVar("A", bound="Action[Any]")

#: Seconds that leaving a ``with`` block waits for the end it asked for.
EXIT_PATIENCE: Final = 5.0


class OnCompleted(Protocol):
    """Takes the terminal event; its return value is ignored."""

    def __call__(self, event: Any, /) -> Any: ...


class Action(Generic[E]):
    """Something that goes on in a call until it ends by itself, is stopped, or the call ends.

    Made by the verbs of :class:`Call`. It always ends; :meth:`wait` says in its result or by its exception how.

    :ivar call: the call. :ivar control_id: ties commands and events of this action together.
    :ivar state: the last state seen; ``starting`` (never on the wire) before the first.
    """

    #: The RPC that starts it; ``.stop`` behind it ends it.
    method: ClassVar[str] = ""
    event_type: ClassVar[str] = ""
    event_class: ClassVar[type[RelayEvent]] = RelayEvent
    #: States after which nothing more comes.
    end_states: ClassVar[frozenset[str]] = frozenset({"finished"})
    #: States that end it with an error.
    error_states: ClassVar[frozenset[str]] = frozenset({"error"})

    def __init__(self, call: Call, control_id: str, on_completed: OnCompleted | None = None) -> None:
        self.call = call
        self.control_id = control_id
        self.state = "starting"
        # Event and error in one value, so that nobody ever sees the one without the other.
        self._ended: Waiter[tuple[RelayEvent, RelayError | None]] = Waiter()
        self._on_completed = on_completed
        self._stopped = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.control_id} of call {self.call.call_id}: {self.state}>"

    @property
    def is_done(self) -> bool:
        """Whether it has ended, in whichever way."""
        return self._ended.done

    @property
    def result(self) -> E | None:
        """The terminal event, or ``None`` while it goes on."""
        outcome = self._ended.peek()
        return cast("E", outcome[0]) if isinstance(outcome, tuple) else None

    @property
    def error(self) -> RelayError | None:
        """The exception that ended it, or ``None``."""
        outcome = self._ended.peek()
        return outcome[1] if isinstance(outcome, tuple) else None

    @property
    def completed(self) -> bool:
        """The same, by the name of the official SDK."""
        return self._ended.done

    def wait(self, timeout: float | None = None) -> E:
        """Block until it ends.

        :param timeout: seconds; ``None`` waits for the end of the action, of its call, of the session or of the client,
            whichever comes first.
        :return: the terminal event. ``synthetic`` is set on it, with a ``reason``, where the call ended first.
        :raises WaitTimeout: it still goes on; wait again if you like.
        :raises RelayError: what ended it (:attr:`error`): the session was lost for good, the client was closed, the process
            was forked, or the server reported a failure.
        """
        event, error = self._ended.wait(timeout, self._still_running(timeout))
        if error is not None:
            raise error.fresh()
        return cast("E", event)

    def _still_running(self, timeout: float | None) -> Callable[[], WaitTimeout]:
        return lambda: WaitTimeout(
            f"the {self._noun} {self.control_id} still goes on after {timeout} s (state {self.state!r}): "
            "wait again, or stop() it"
        )

    @property
    def _noun(self) -> str:
        return self.method.rpartition(".")[2]

    def stop(self) -> dict[str, Any]:
        """Ask the server to end it; the terminal event follows. Harmless a second time, and after the end.

        :return: the server's result; empty where nothing had to be sent.
        :raises CommandRefused: any refusal but "not there any more". :raises ConnectionLost: and the like.
        """
        if self.is_done or self._stopped:
            return {}
        try:
            result = self.call._command(f"{self.method}.stop", {"control_id": self.control_id}, idempotent=True)
        except CommandRefused as error:
            if not is_gone(error):
                raise
            return {}
        self._stopped = True
        return result

    def __enter__(self: A) -> A:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop, and wait for at most 5 s. An exception of the body is never hidden by one of these."""
        try:
            self.stop()
            self._ended.wait(EXIT_PATIENCE, self._still_running(EXIT_PATIENCE))
        except WaitTimeout:
            _log.warning("%r did not end within %s s after stop()", self, EXIT_PATIENCE)
        except RelayError:
            if error is None:
                raise
            _log.warning("%r could not be stopped", self, exc_info=True)

    # -- told by the call, on the IO thread or by the verb that started it ----------------------------------------

    def _on_event(self, event: RelayEvent) -> None:
        state = getattr(event, "state", "")
        if event.event_type != self.event_type or self.is_done or not state:
            return
        self.state = state
        if state in self.error_states:
            self._end(event, StreamFailed(f"the server reported the {self._noun} as {state!r}"))
        elif state in self.end_states:
            self._end(event, None)

    def _end_early(self, reason: str, error: RelayError | None = None) -> None:
        """End it without an event of the server: the call ended or is gone, or the session is over."""
        if self.is_done:
            return
        params = {"call_id": self.call.call_id, "node_id": self.call.node_id, "control_id": self.control_id}
        event = self.event_class.from_params(params, event_type=self.event_type, synthetic=True, reason=reason)
        self._end(event, error)

    def _end(self, event: RelayEvent, error: RelayError | None) -> None:
        if self._ended.settle((event, error)):
            self.call._action_ended(self)
            if self._on_completed is not None:
                self.call._callback("on_completed", self._on_completed, event)


def reason_of(error: RelayError) -> str:
    """The ``reason`` on the synthetic event of an action that an error ended."""
    if isinstance(error, CallEnded):
        return "call_ended"
    return "client_closed" if isinstance(error, ClientClosed) else "session_lost"


class StreamAction(Action[StreamEvent]):
    """A call's audio on its way to a WebSocket (``calling.stream``)."""

    method = "calling.stream"
    event_type = EVENT_CALL_STREAM
    event_class = StreamEvent
    # Only "finished" is documented; the others are taken for an end with an error as a precaution.
    error_states = frozenset({"error", "failed", "stopped", "disconnected"})


for _name in __all__:
    globals()[_name].__module__ = "relay_sync"
