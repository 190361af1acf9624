"""The common part of all actions: a single end, reported to every waiter, and the commands that control them."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Literal, NamedTuple, Protocol, TypeVar, cast

from ... import notebook_html
from ...constants import ActionState
from ...errors import (
    ActionFailed,
    CallEnded,
    ClientClosed,
    CommandRefused,
    ConnectionLost,
    InvalidParameter,
    RelayError,
    WaitTimeout,
)
from ...events import RelayEvent, event_class
from ...params import values
from ...protocol.command import loosely
from ...protocol.results import Outcome, is_gone
from ...threads import logs
from ...threads.outcome import Waiter
from ...threads.process import check_thread, forked_error
from ...threads.timeouts import paced

if TYPE_CHECKING:
    from ..call import Call

__all__ = [
    "Action",
    "ActionHost",
    "OnCompleted",
    "PausableAction",
    "RunningAction",
    "StoppableAction",
    "VolumeAction",
    "reason_of",
    "stop_late",
]

_log = logs.get("relay_sync")

E = TypeVar("E", bound=RelayEvent)
W = TypeVar("W")
S = TypeVar("S", bound="StoppableAction[Any]")

#: Seconds that the terminal event may take beyond the action's time limit.
REPORT_PATIENCE: Final = 10.0
#: Seconds beyond its time limit after which an action has certainly ended.
OVERDUE: Final = 3.0
#: Seconds that the end of a ``with`` block waits for the terminal event.
EXIT_PATIENCE: Final = 5.0
#: Whether an action is paused after a command, by the last part of the method.
_SWITCHES: Final = {"pause": True, "resume": False}


class Question(NamedTuple):
    """A command that changes nothing while an action is running, and is refused with 404 when the action is over.

    :ivar method: the method, or ``""`` if the action is over without a command.
    :ivar params: the parameters of the command.
    :ivar after: seconds since the action's last event before which the command is not sent.
    """

    method: str
    params: Mapping[str, Any]
    after: float = 0.0


class OnCompleted(Protocol):
    """A callback that takes the terminal event; its return value is ignored."""

    def __call__(self, event: Any, /) -> Any: ...


class ActionHost(Protocol):
    """The call, as an action needs it."""

    #: Held while the end and the return of the verb decide which of the two reports the end.
    lock: threading.RLock

    def check_process(self) -> None:
        """Check that the call belongs to this process.

        :raises Forked: the call belongs to the parent process.
        """

    def command(
        self, method: str, params: Mapping[str, Any] | None = None, *, idempotent: bool = False
    ) -> dict[str, Any]:
        """Send a command for the call."""

    def action_ended(self, control_id: str, action: Action[Any]) -> None:
        """Free the control id."""

    def callback(self, what: str, function: Callable[..., object], *args: Any, final: bool = True) -> None:
        """Run user code in the call's lane."""


class Action(Generic[E]):
    """An operation on a call that runs until it ends on its own, is stopped, or the call ends.

    Created by the verbs of :class:`Call`. An action always ends; :meth:`wait` returns its result or raises its error.

    :ivar call: the call.
    :ivar control_id: id that connects this action's commands and events.
    :ivar state: the latest state, as the platform sent it; ``starting`` (never on the wire) before the first event.
    :ivar reply: the server's reply to the command that started it; empty until the reply arrives.
    :ivar latest: its latest event, or ``None``.
    :param on_completed: called once with the terminal event.
    :param params: the parameters that the action was started with.
    :param host: the part of the call that runs the action.
    """

    #: The RPC that starts the action.
    method: ClassVar[str] = ""
    event_type: ClassVar[str] = ""
    #: States after which no further events follow.
    end_states: ClassVar[frozenset[str]] = frozenset({"finished"})
    #: States that end the action with an error.
    error_states: ClassVar[frozenset[str]] = frozenset({"error"})

    def __init__(
        self,
        call: Call,
        control_id: str,
        on_completed: OnCompleted | None = None,
        params: Mapping[str, Any] | None = None,
        *,
        host: ActionHost,
    ) -> None:
        self.call = call
        self._host = host
        self.control_id = control_id
        self.state: ActionState | str = "starting"
        self.reply: dict[str, Any] = {}
        self.latest: RelayEvent | None = None
        #: The parameters that the action was started with.
        self._params: Mapping[str, Any] = params or {}
        # Event and error in one value, so that no thread sees only one of them.
        self._ended: Waiter[tuple[RelayEvent, RelayError | None]] = Waiter()
        self._on_completed = on_completed
        self._handed_out = False
        #: When the action was started or its latest event arrived.
        self._heard = time.monotonic()
        self._prepare()

    def _prepare(self) -> None:
        """Initialize the attributes of a kind of action; called at the end of the constructor."""

    def __repr__(self) -> str:
        result = self.result
        how = f"{self.state}, over ({result.reason})" if result is not None and result.synthetic else self.state
        return f"<{type(self).__name__} {self.control_id} of call {self.call.call_id}: {how}>"

    def _repr_html_(self) -> str:
        """Show the action and its state in a notebook."""
        result = self.result
        about: list[tuple[str, object]] = [("state", self.state), ("call", self.call.call_id)]
        if result is not None:
            about.append(("ended", f"synthetic, {result.reason}" if result.synthetic else "by its own event"))
        if self.error is not None:
            about.append(("error", self.error.message))
        return notebook_html.panel(f"{type(self).__name__} {self.control_id}", notebook_html.table(about))

    @property
    def is_done(self) -> bool:
        """Whether the action has ended, for any reason."""
        return self._ended.over

    @property
    def result(self) -> E | None:
        """The terminal event, or ``None`` while the action is running."""
        outcome = self._ended.peek()
        return cast("E", outcome[0]) if isinstance(outcome, tuple) else None

    @property
    def error(self) -> RelayError | None:
        """The exception that ended the action, or ``None``. In a child process: :class:`Forked` for an action that ran in the
        parent.
        """
        outcome = self._ended.peek()
        if isinstance(outcome, tuple):
            return outcome[1]
        return forked_error() if self._ended.foreign else None

    @property
    def completed(self) -> bool:
        """Alias of :attr:`is_done`, under the name of the official SDK."""
        return self.is_done

    def wait(self, timeout: float | None = None) -> E:
        """Block until the action ends.

        :param timeout: seconds to wait. ``None`` waits until the action, its call, its session or the client ends. If the action
            has a time limit (``max_length``, the ``timeout`` of a detector, the timeouts of ``collect``, the ``duration`` of
            silence), ``None`` waits for that limit plus 10 s and then raises ``WaitTimeout``. Ends that occurred while the
            connection was down are detected for some kinds of actions only: see docs/threads.md.
        :return: the terminal event. If the call ended first, ``synthetic`` is set on it, with a ``reason``.
        :raises WaitTimeout: the action is still running; you can wait again.
        :raises RelayError: the error that ended the action (:attr:`error`): the session was lost permanently, the client was
            closed, the process was forked, or the server reported a failure.
        """
        event, error = self._wait_for(self._ended, timeout)
        if error is not None:
            raise error.fresh()
        return cast("E", event)

    def _wait_for(self, waiter: Waiter[W], timeout: float | None) -> W:
        """Wait for a number of seconds; without a limit, for the longest time that the action can take."""
        timeout = values.timeout(timeout)
        if timeout is not None or waiter.done:
            return waiter.wait(paced(timeout), self._still_running(timeout))
        began = time.monotonic()
        while (longest := self._longest()) is not None:
            # An event may arrive during the wait and extend the limit.
            heard = self._heard
            left = max(began, heard) + longest + REPORT_PATIENCE - time.monotonic()
            if left <= 0:
                break
            try:
                return waiter.wait(left, self._overdue(longest))
            except WaitTimeout:
                if heard == self._heard:
                    raise
        return waiter.wait(None if longest is None else 0, self._overdue(longest or 0))

    def _overdue(self, longest: float) -> Callable[[], WaitTimeout]:
        return lambda: WaitTimeout(
            f"the end of {self._noun} {self.control_id} is overdue (state {self.state!r}): its time limit was {longest:g} s; "
            "its last event may be lost" + (": stop() it or wait again" if self._stop_command() else "")
        )

    def _longest(self) -> float | None:
        """Return the most seconds from the last event to the end, by the action's parameters; ``None`` if unknown."""
        return None

    def _longest_for_certain(self) -> float | None:
        """Return the same only if the action has certainly ended by then."""
        return self._longest()

    def _question(self) -> Question | None:
        """Return the command that finds out whether the action is still running; ``None`` if there is none at the moment.

        An action with a time limit can be stopped when that has passed: it has ended anyway.
        """
        longest, stop = self._longest_for_certain(), self._stop_command()
        return None if longest is None else Question(*(stop or ("", {})), after=longest + OVERDUE)

    def _still_running(self, timeout: float | None) -> Callable[[], WaitTimeout]:
        return lambda: WaitTimeout(
            f"{self._noun} {self.control_id} has not finished after {timeout} s (state {self.state!r}): wait again"
            + (" or stop() it" if self._stop_command() else "")
        )

    @property
    def _noun(self) -> str:
        return self.method.removeprefix("calling.")

    def _stop_command(self) -> tuple[str, dict[str, Any]] | None:
        """Return the method and params that stop the action, or ``None`` if the protocol has no such method."""
        return None

    def _control(
        self, method: str, params: Mapping[str, Any] | None = None, *, idempotent: bool = False
    ) -> dict[str, Any] | None:
        """Send a command about this action. ``None`` means that the server no longer knows the action."""
        if self._ended.done:
            return {}
        try:
            return self._host.command(method, {"control_id": self.control_id, **(params or {})}, idempotent=idempotent)
        except CommandRefused as error:
            if not is_gone(error):
                raise
            return None

    def _meaning(self, method: str, params: Mapping[str, Any]) -> Callable[[Outcome, int], object] | None:
        """Prepare for a command about this action that is about to be sent.

        :return: what applies the reply, on the IO thread, or ``None`` if the reply has no effect.
        """
        return None

    # -- called by the call, on the IO thread or in the verb that started it ----------------------------------------

    def _on_event(self, event: RelayEvent) -> None:
        """Handle an event with this action's ``control_id``."""
        if event.event_type != self.event_type or self._ended.done:
            return
        self.latest = event
        self._heard = time.monotonic()
        self._progress(event)

    def _progress(self, event: Any) -> None:
        """Handle an event of this action's own type: its state tells whether the action has ended."""
        state = event.state
        if not state:
            return
        self.state = state
        if state in self.error_states:
            self._end(event, self._failure(state))
        elif state in self.end_states:
            self._end(event, None)

    def _failure(self, state: str) -> RelayError:
        return ActionFailed(
            f"the server reported the {self._noun} as {state!r}: see action.result for details", state=state
        )

    def _end_early(self, reason: str, error: RelayError | None = None) -> None:
        """End the action without an event from the server: the call ended or disappeared, or the session is over."""
        if self.is_done:
            return
        params = {"call_id": self.call.call_id, "node_id": self.call.node_id, "control_id": self.control_id}
        kind = event_class(self.event_type) or RelayEvent
        event = kind.from_params(params, event_type=self.event_type, synthetic=True, reason=reason)
        self._end(event, error)

    def _end(self, event: RelayEvent, error: RelayError | None) -> None:
        self._ended.settle((event, error), self._before_waking)

    def _before_waking(self) -> None:
        """Free the control id and queue ``on_completed`` before a waiter resumes."""
        self._host.action_ended(self.control_id, self)
        try:
            self._tell_completed()
        finally:
            self._settled()

    def _hand_out(self) -> None:
        """Called when the verb that started the action is about to return it: from now on its end is reported."""
        self._handed_out = True
        self._tell_completed()

    def _tell_completed(self) -> None:
        # If the verb raises there is no action, and the exception is the only report.
        result = self.result
        if result is None or not self._handed_out:
            return
        with self._host.lock:  # the end and the verb's return may coincide
            function, self._on_completed = self._on_completed, None
        if function is not None:
            self._host.callback("on_completed", function, result)

    def _settled(self) -> None:
        """Called when the action has ended: release threads that wait for something earlier than the end."""


class RunningAction:
    """An action, as the call that runs it needs it. Not visible to users.

    :ivar action: the action.
    :ivar on_event: handles an event with the action's control id.
    """

    __slots__ = ("action", "on_event")

    def __init__(self, action: Action[Any]) -> None:
        self.action: Action[Any] = action
        self.on_event: Callable[[RelayEvent], None] = action._on_event

    @property
    def heard(self) -> float:
        """When the action was started or its latest event arrived, on the monotonic clock."""
        return self.action._heard

    def stop_command(self) -> tuple[str, dict[str, Any]] | None:
        """Return the method and params that stop the action, or ``None`` if the protocol has no such method."""
        return self.action._stop_command()

    def meaning(self, method: str, params: Mapping[str, Any]) -> Callable[[Outcome, int], object] | None:
        """Prepare for a command about the action that is about to be sent.

        :return: what applies the reply, on the IO thread, or ``None`` if the reply has no effect.
        """
        return self.action._meaning(method, params)

    def question(self) -> Question | None:
        """Return the command that finds out whether the action is still running; ``None`` if there is none at the moment."""
        return self.action._question()

    def end_early(self, reason: str, error: RelayError | None = None) -> None:
        """End the action without an event from the server: the call ended or disappeared, or the session is over."""
        self.action._end_early(reason, error)

    def hand_out(self) -> None:
        """Called when the verb that started the action is about to return it: from now on its end is reported."""
        self.action._hand_out()


class PromiseSender(Protocol):
    """The connection, as needed for an action without a handle."""

    def promise(self, method: str, params: Mapping[str, Any], *, session: int | None = None) -> None:
        """Send a command without waiting; send it again if its reply is lost with the connection."""


def stop_late(
    of: weakref.ref[PromiseSender],
    command: tuple[str, dict[str, Any]] | None,
    address: dict[str, Any],
    session: int | None,
    outcome: object,
) -> None:
    """Stop an action that started, or may have started, after its verb raised.

    :param of: the connection.
    :param command: the command that stops the action, if there is one.
    :param outcome: the outcome of the command that started it.
    """
    line = of()
    started = isinstance(outcome, dict) or (isinstance(outcome, ConnectionLost) and outcome.sent)
    if line is not None and command is not None and started:
        line.promise(command[0], {**address, **command[1]}, session=session)


class StoppableAction(Action[E]):
    """An action that can be stopped. As a context manager it stops at the end of the block."""

    def _prepare(self) -> None:
        super()._prepare()
        self._stopped = False
        self._stop_sent = False  # the reply may be pending
        # Reentrant: a signal handler may stop the same action as the code that it interrupts.
        self._stopping = threading.RLock()

    def _stop_command(self) -> tuple[str, dict[str, Any]] | None:
        return f"{self.method}.stop", {}

    def stop(self) -> dict[str, Any]:
        """Stop the action; the terminal event follows. Does nothing if the action was stopped before or has ended.

        If the server no longer knows the action, no terminal event follows, and the action has ended when this returns. When
        several threads call this, one command is sent, and the others wait for its reply; they send it again only if there was
        none.

        :return: the server's result; ``{}`` if nothing had to be sent.
        :raises CommandRefused: the server rejected the command, other than because the action or call no longer exists.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        command = self._stop_command()
        if command is None or self._ended.done:
            return {}
        check_thread()  # before any lock, like the next check
        self._host.check_process()
        with self._stopping:
            if self._stopped:
                return {}
            self._stop_sent = True  # first: the terminal event may arrive before the reply
            result = self._control(*command, idempotent=True)
            if result is None:
                # Frames arrive in order: a terminal event would have arrived before this reply.
                self._end_early("call_gone")
                return {}
            self._stopped = True
            return result

    def __enter__(self: S) -> S:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop, and wait for the end for at most 5 s. An exception of the block is never replaced."""
        try:
            self.stop()
            self._ended.wait(EXIT_PATIENCE, self._still_running(EXIT_PATIENCE))
        except WaitTimeout:
            _log.warning("%r did not end within %s s after stop()", self, EXIT_PATIENCE)
        except RelayError:
            if error is None:
                raise
            _log.warning("%r could not be stopped", self, exc_info=True)


class PausableAction(StoppableAction[E]):
    """An action that can be paused and resumed."""

    #: The behaviors that ``pause`` accepts.
    behaviors: ClassVar[tuple[str, ...]] = ()
    #: Whether the action has been paused, so that its length is unknown.
    _was_paused = False
    #: Whether the action is paused; ``None`` while a command about that has no reply.
    _is_paused: bool | None = False
    #: The parameters of the last pause.
    _paused_with: Mapping[str, Any] = MappingProxyType({})

    def _progress(self, event: Any) -> None:
        self._was_paused = self._was_paused or event.state == "paused"
        if event.state:
            self._is_paused = event.state == "paused"
        super()._progress(event)

    def pause(self, behavior: Literal["skip", "silence"] | str | None = None) -> dict[str, Any]:
        """Pause the action; the state ``paused`` follows.

        :param behavior: for recordings only: ``skip`` omits the pause from the recording (the platform's default), ``silence``
            records silence.
        :return: the server's result; ``{}`` if the action has ended.
        :raises InvalidParameter: this action does not support the behavior.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        if behavior is not None and not self.behaviors:
            raise InvalidParameter("behavior", behavior, "None: only recordings have a behavior")
        chosen = values.choice("behavior", behavior, self.behaviors)
        return self._control(f"{self.method}.pause", {"behavior": chosen} if chosen else {}) or {}

    def resume(self) -> dict[str, Any]:
        """Resume the action after :meth:`pause`.

        :return: the server's result; ``{}`` if the action has ended.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._control(f"{self.method}.resume") or {}

    def _meaning(self, method: str, params: Mapping[str, Any]) -> Callable[[Outcome, int], object] | None:
        paused = _SWITCHES.get(method.removeprefix(f"{self.method}."))
        if paused is None:
            return super()._meaning(method, params)
        self._is_paused = None  # first: the event may arrive before the reply
        if paused:
            self._was_paused = True
            self._paused_with = {name: params[name] for name in ("behavior",) if name in params}
        return loosely(lambda action, outcome, session: action._switched(outcome, paused), self)

    def _switched(self, outcome: Outcome, paused: bool) -> None:
        if isinstance(outcome, dict) and self._is_paused is None:
            self._is_paused = paused


class VolumeAction(StoppableAction[E]):
    """An action whose volume can be changed."""

    #: The volume set last, once confirmed; ``None``: the volume that the action was started with.
    _volume: float | None = None
    _volume_known = True

    def volume(self, volume: float) -> dict[str, Any]:
        """Change the volume.

        :param volume: volume in decibels, -40 to 40; 0 leaves the sound unchanged.
        :return: the server's result; ``{}`` if the action has ended.
        :raises InvalidParameter: the volume is not a number from -40 to 40.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        decibels = values.number("volume", volume, low=-40, high=40, optional=False)
        return self._control(f"{self.method}.volume", {"volume": decibels}) or {}

    def _meaning(self, method: str, params: Mapping[str, Any]) -> Callable[[Outcome, int], object] | None:
        if method != f"{self.method}.volume":
            return super()._meaning(method, params)
        self._volume_known = False
        return loosely(lambda action, outcome, session: action._volume_set(outcome, params.get("volume")), self)

    def _volume_set(self, outcome: Outcome, volume: float | None) -> None:
        if isinstance(outcome, dict):
            self._volume, self._volume_known = volume, volume is not None

    def _question(self) -> Question | None:
        if not self._volume_known:
            return super()._question()
        volume = self._params.get("volume") if self._volume is None else self._volume
        return Question(f"{self.method}.volume", {"volume": volume or 0})


def reason_of(error: RelayError) -> str:
    """Return the ``reason`` for the synthetic event of an action that an error ended."""
    if isinstance(error, CallEnded):
        return "call_ended"
    return "client_closed" if isinstance(error, ClientClosed) else "session_lost"


for _name in ("Action", "PausableAction", "StoppableAction", "VolumeAction"):
    globals()[_name].__module__ = "relay_sync"
