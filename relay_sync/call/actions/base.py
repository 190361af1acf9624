"""Base classes of actions: their life cycle, and the commands that stop, pause and resume them."""

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
from ...events.base import with_shared_names
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

#: How long ``wait()`` waits for the final event after an action's time limit, in seconds.
REPORT_PATIENCE: Final = 10.0
#: How long after its time limit an action must have ended, in seconds.
OVERDUE: Final = 3.0
#: How long to wait for the final event when a ``with`` block ends, in seconds.
EXIT_PATIENCE: Final = 5.0
#: A callback that receives the final event.
OnCompleted = Callable[[Any], object]
#: The paused state after each command. The key is the last part of the method name.
_SWITCHES: Final = {"pause": True, "resume": False}


class Question(NamedTuple):
    """A command that checks whether an action is still running.

    The command either has no effect on a running action, or is the stop command for an action that must have ended by now. If the
    action has ended, the server replies with 404.

    :ivar method: method of the command; ``""`` if no command is needed because the action must have ended.
    :ivar params: parameters of the command.
    :ivar after: minimum time between the action's latest event and this command, in seconds.
    """

    method: str
    params: Mapping[str, Any]
    after: float = 0.0


class ActionHost(Protocol):
    """``CallCore`` methods used by actions."""

    #: Ensures that ``on_completed`` runs only once if the action ends while the method that started it returns.
    lock: threading.RLock

    def check_process(self) -> None:
        """Raise :exc:`Forked` in a child process.

        :raises Forked: the call belongs to the parent process.
        """

    def command(
        self, method: str, params: Mapping[str, Any] | None = None, *, idempotent: bool = False
    ) -> dict[str, Any]:
        """Send a command for the call and return the result."""

    def action_ended(self, control_id: str, action: Action[Any]) -> None:
        """Remove the action from the running actions."""

    def callback(self, what: str, function: Callable[..., object], *args: Any, final: bool = True) -> None:
        """Run a user callback in the call's lane."""


class Action(Generic[E]):
    """An operation that runs on a call, such as a playback or a recording.

    Methods of :class:`Call` create actions. An action ends when the operation completes, when it is stopped, or when the call
    ends. :meth:`wait` returns the final event, or raises the error that ended the action.

    :ivar call: call that the action runs on.
    :ivar control_id: ID of the action in commands and events.
    :ivar state: latest state reported by the platform, or ``starting`` before the first event.
    :ivar reply: reply to the command that started the action; empty until the reply arrives.
    :ivar latest: the action's latest event; ``None`` before the first event.
    :param on_completed: function to call with the final event.
    :param params: parameters of the command that started the action.
    :param host: the call's internal part.
    """

    method: ClassVar[str] = ""
    """RELAY method that starts the action, such as ``calling.play``."""
    event_type: ClassVar[str] = ""
    """Type of the events of the action, such as ``calling.call.play``."""
    end_states: ClassVar[frozenset[str]] = frozenset({"finished"})
    """States that end the action."""
    error_states: ClassVar[frozenset[str]] = frozenset({"error"})
    """States that end the action with an error."""

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
        """Call that the action runs on."""
        self._host = host
        self.control_id = control_id
        """ID of the action in commands and events."""
        self.state: ActionState | str = "starting"
        """Latest state reported by the platform, or ``starting`` before the first event."""
        self.reply: dict[str, Any] = {}
        """Reply to the command that started the action; empty until the reply arrives."""
        self.latest: RelayEvent | None = None
        """Latest event of the action; ``None`` before the first event."""
        #: Parameters of the command that started the action.
        self._params: Mapping[str, Any] = params or {}
        # The event and the error are set together, so that other threads never see only one of them.
        self._ended: Waiter[tuple[RelayEvent, RelayError | None]] = Waiter()
        self._on_completed = on_completed
        self._handed_out = False
        #: Time of the start or the latest event, on the monotonic clock.
        self._heard = time.monotonic()
        self._prepare()

    def _prepare(self) -> None:
        """Initialize a subclass's attributes. The constructor calls this method last."""

    def __repr__(self) -> str:
        result = self.result
        how = f"{self.state}, over ({result.reason})" if result is not None and result.synthetic else self.state
        return f"<{type(self).__name__} {self.control_id} of call {self.call.call_id}: {how}>"

    def _repr_html_(self) -> str:
        """Return the HTML representation for notebooks."""
        result = self.result
        about: list[tuple[str, object]] = [("state", self.state), ("call", self.call.call_id)]
        if result is not None:
            about.append(("ended", f"synthetic, {result.reason}" if result.synthetic else "by its own event"))
        if self.error is not None:
            about.append(("error", self.error.message))
        return notebook_html.panel(f"{type(self).__name__} {self.control_id}", notebook_html.table(about))

    @property
    def is_done(self) -> bool:
        """Whether the action has ended, successfully or not."""
        return self._ended.over

    @property
    def result(self) -> E | None:
        """The final event; ``None`` while the action is running."""
        outcome = self._ended.peek()
        return cast("E", outcome[0]) if isinstance(outcome, tuple) else None

    @property
    def error(self) -> RelayError | None:
        """The error that ended the action; ``None`` if it is running or ended without an error.

        In a forked child process, this is :class:`Forked` if the action was still running when the process was forked.
        """
        outcome = self._ended.peek()
        if isinstance(outcome, tuple):
            return outcome[1]
        return forked_error() if self._ended.foreign else None

    @property
    def completed(self) -> bool:
        """Alias of :attr:`is_done`, for compatibility with the official SDK."""
        return self.is_done

    def wait(self, timeout: float | None = None) -> E:
        """Block until the action ends.

        :param timeout: maximum time to wait, in seconds. ``None`` waits until the action ends. If the action has a time limit,
            such as ``max_length`` or a detector's ``timeout``, the wait ends at most 10 s after this limit. Set a timeout for
            streams, taps, transcriptions, faxes, payments, AI agents and queues, because the client cannot detect that they ended
            while the connection was down.
        :return: the final event. If the call ended first, the event is ``synthetic`` and has a ``reason``.
        :raises WaitTimeout: the action is still running. You can wait again.
        :raises RelayError: the session was lost, the client was closed, the process was forked, or the server reported a failure.
            The exception is :attr:`error`.
        """
        event, error = self._wait_for(self._ended, timeout)
        if error is not None:
            raise error.fresh()
        return cast("E", event)

    def _wait_for(self, waiter: Waiter[W], timeout: float | None) -> W:
        """Wait for one of the action's events.

        If no timeout is given, wait for the action's maximum duration, if known.
        """
        timeout = values.timeout(timeout)
        if timeout is not None or waiter.done:
            return waiter.wait(paced(timeout), self._still_running(timeout))
        began = time.monotonic()
        while (longest := self._longest()) is not None:
            # Events that arrive during the wait extend the deadline.
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
            f"the end of {self._noun} {self.control_id} is overdue (state {self.state!r}): the time limit was {longest:g} s, "
            "and the final event may have been lost" + (": stop() it or wait again" if self._stop_command() else "")
        )

    def _longest(self) -> float | None:
        """Return the maximum time from the latest event to the end of the action, in seconds; ``None`` if unknown."""
        return None

    def _longest_for_certain(self) -> float | None:
        """Return how long after the latest event the action must have ended, in seconds; ``None`` if unknown."""
        return self._longest()

    def _question(self) -> Question | None:
        """Return the command that checks whether the action is still running; ``None`` if there is no such command.

        By default, this is the stop command. It is only sent after the time limit, when the action must have ended anyway.
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
        """Return the stop command's method and parameters; ``None`` if the action cannot be stopped."""
        return None

    def _control(
        self, method: str, params: Mapping[str, Any] | None = None, *, idempotent: bool = False
    ) -> dict[str, Any] | None:
        """Send a command for this action and return the result, or ``None`` if the action no longer exists on the server."""
        if self._ended.done:
            return {}
        try:
            return self._host.command(method, {"control_id": self.control_id, **(params or {})}, idempotent=idempotent)
        except CommandRefused as error:
            if not is_gone(error):
                raise
            return None

    def _meaning(self, method: str, params: Mapping[str, Any]) -> Callable[[Outcome, int], object] | None:
        """Prepare for a command that is about to be sent for this action.

        :return: function that applies the reply on the IO thread; ``None`` if the reply does not change the action.
        """
        return None

    # -- called by the call, on the IO thread or on the thread that started the action -------------------------------

    def _on_event(self, event: RelayEvent) -> None:
        """Process an event with this action's ``control_id``."""
        if event.event_type != self.event_type or self._ended.done:
            return
        self.latest = event
        self._heard = time.monotonic()
        self._progress(event)

    def _progress(self, event: Any) -> None:
        """Process an event of this action's type: update the state, and end the action if the state is final."""
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
        """End the action with a synthetic event, because the server will not send a final event.

        :param reason: reason for the synthetic event.
        :param error: error that :meth:`Action.wait` raises, if any.
        """
        if self.is_done:
            return
        params = {"call_id": self.call.call_id, "node_id": self.call.node_id, "control_id": self.control_id}
        kind = event_class(self.event_type) or RelayEvent
        event = kind.from_params(params, event_type=self.event_type, synthetic=True, reason=reason)
        self._end(event, error)

    def _end(self, event: RelayEvent, error: RelayError | None) -> None:
        event.params = with_shared_names(event.params)
        self._ended.settle((event, error), self._before_waking)

    def _before_waking(self) -> None:
        """Release the control ID and queue ``on_completed`` before waiting threads resume."""
        self._host.action_ended(self.control_id, self)
        try:
            self._report_completed()
        finally:
            self._settled()

    def _hand_out(self) -> None:
        """Enable ``on_completed``. Called right before the method that started the action returns it."""
        self._handed_out = True
        self._report_completed()

    def _report_completed(self) -> None:
        # If the method that starts the action raises, the caller gets the exception and on_completed is not called.
        result = self.result
        if result is None or not self._handed_out:
            return
        with self._host.lock:  # the action may end on the IO thread while the method that started it returns
            function, self._on_completed = self._on_completed, None
        if function is not None:
            self._host.callback("on_completed", function, result)

    def _settled(self) -> None:
        """Release threads that wait for other events. Called when the action has ended."""


class RunningAction:
    """An action's internal interface, used by its call.

    :ivar action: public action object.
    :ivar on_event: function that processes an event with the action's control ID.
    """

    __slots__ = ("action", "on_event")

    def __init__(self, action: Action[Any]) -> None:
        self.action: Action[Any] = action
        self.on_event: Callable[[RelayEvent], None] = action._on_event

    @property
    def heard(self) -> float:
        """Time of the start or the latest event, on the monotonic clock."""
        return self.action._heard

    def stop_command(self) -> tuple[str, dict[str, Any]] | None:
        """Return the stop command's method and parameters; ``None`` if the action cannot be stopped."""
        return self.action._stop_command()

    def meaning(self, method: str, params: Mapping[str, Any]) -> Callable[[Outcome, int], object] | None:
        """Prepare for a command that is about to be sent for the action.

        :return: function that applies the reply on the IO thread; ``None`` if the reply does not change the action.
        """
        return self.action._meaning(method, params)

    def question(self) -> Question | None:
        """Return the command that checks whether the action is still running; ``None`` if there is no such command."""
        return self.action._question()

    def end_early(self, reason: str, error: RelayError | None = None) -> None:
        """End the action with a synthetic event, because the server will not send a final event.

        :param reason: reason for the synthetic event.
        :param error: error that :meth:`Action.wait` raises, if any.
        """
        self.action._end_early(reason, error)

    def hand_out(self) -> None:
        """Enable ``on_completed``. Called right before the method that started the action returns it."""
        self.action._hand_out()


class PromiseSender(Protocol):
    """The connection method used by :func:`stop_late`."""

    def promise(self, method: str, params: Mapping[str, Any], *, session: int | None = None) -> None:
        """Send a command without waiting for the reply. Send it again if the connection is lost before the reply arrives."""


def stop_late(
    of: weakref.ref[PromiseSender],
    command: tuple[str, dict[str, Any]] | None,
    address: dict[str, Any],
    session: int | None,
    outcome: object,
) -> None:
    """Stop an action that may have started even though the method that starts it raised an exception.

    :param of: weak reference to the connection.
    :param command: method and parameters of the stop command, or ``None``.
    :param address: parameters that identify the action.
    :param session: number of the session in which the action was started.
    :param outcome: outcome of the command that started the action.
    """
    line = of()
    started = isinstance(outcome, dict) or (isinstance(outcome, ConnectionLost) and outcome.sent)
    if line is not None and command is not None and started:
        line.promise(command[0], {**address, **command[1]}, session=session)


class StoppableAction(Action[E]):
    """An action that can be stopped. Used as a context manager, it is stopped when the block ends."""

    def _prepare(self) -> None:
        super()._prepare()
        self._stopped = False
        self._stop_sent = False  # the reply may still be pending
        # Reentrant, because a signal handler may interrupt stop() and call it for the same action.
        self._stopping = threading.RLock()

    def _stop_command(self) -> tuple[str, dict[str, Any]] | None:
        return f"{self.method}.stop", {}

    def stop(self) -> dict[str, Any]:
        """Stop the action.

        The server then sends the final event. If the action no longer exists on the server, it has ended when this method
        returns. If the action has already ended or been stopped, this method does nothing.

        When several threads call this method at the same time, only one of them sends the command. The others wait for the reply,
        and send the command again only if there was no reply.

        :return: the server's reply; ``{}`` if no command was sent.
        :raises CommandRefused: the server rejected the command, although the action and the call exist.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        command = self._stop_command()
        if command is None or self._ended.done:
            return {}
        # Check before acquiring the lock: another thread may have held it when the process was forked.
        check_thread()
        self._host.check_process()
        with self._stopping:
            if self._stopped:
                return {}
            self._stop_sent = True  # set first, because the final event may arrive before the reply
            result = self._control(*command, idempotent=True)
            if result is None:
                # Frames arrive in order, so a final event would have arrived before this reply.
                self._end_early("call_gone")
                return {}
            self._stopped = True
            return result

    def __enter__(self: S) -> S:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the action and wait up to 5 s for it to end. An exception from the block takes precedence over other errors."""
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

    behaviors: ClassVar[tuple[str, ...]] = ()
    """Values that :meth:`pause` accepts for ``behavior``."""
    #: Whether the action has ever been paused. Its duration is then unknown.
    _was_paused = False
    #: Whether the action is paused; ``None`` while the reply to a pause or resume command is pending.
    _is_paused: bool | None = False
    #: Parameters of the latest pause command.
    _paused_with: Mapping[str, Any] = MappingProxyType({})

    def _progress(self, event: Any) -> None:
        self._was_paused = self._was_paused or event.state == "paused"
        if event.state:
            self._is_paused = event.state == "paused"
        super()._progress(event)

    def pause(self, behavior: Literal["skip", "silence"] | str | None = None) -> dict[str, Any]:
        """Pause the action. The server then reports the ``paused`` state.

        :param behavior: how a recording treats the pause: ``skip`` omits it (the platform's default), and ``silence`` records
            silence. Only supported by recordings.
        :return: the server's reply; ``{}`` if the action has ended.
        :raises InvalidParameter: this action does not support the behavior.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        if behavior is not None and not self.behaviors:
            raise InvalidParameter("behavior", behavior, "None: only recordings have a behavior")
        chosen = values.choice("behavior", behavior, self.behaviors)
        return self._control(f"{self.method}.pause", {"behavior": chosen} if chosen else {}) or {}

    def resume(self) -> dict[str, Any]:
        """Resume the action after :meth:`pause`.

        :return: the server's reply; ``{}`` if the action has ended.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._control(f"{self.method}.resume") or {}

    def _meaning(self, method: str, params: Mapping[str, Any]) -> Callable[[Outcome, int], object] | None:
        paused = _SWITCHES.get(method.removeprefix(f"{self.method}."))
        if paused is None:
            return super()._meaning(method, params)
        self._is_paused = None  # set first, because the event may arrive before the reply
        if paused:
            self._was_paused = True
            self._paused_with = {name: params[name] for name in ("behavior",) if name in params}
        return loosely(lambda action, outcome, session: action._switched(outcome, paused), self)

    def _switched(self, outcome: Outcome, paused: bool) -> None:
        if isinstance(outcome, dict) and self._is_paused is None:
            self._is_paused = paused


class VolumeAction(StoppableAction[E]):
    """An action whose volume can be changed."""

    #: Latest volume that the server has confirmed; ``None`` if the initial volume was not changed.
    _volume: float | None = None
    _volume_known = True

    def volume(self, volume: float) -> dict[str, Any]:
        """Change the volume.

        :param volume: volume change in decibels, from -40 to 40.
        :return: the server's reply; ``{}`` if the action has ended.
        :raises InvalidParameter: the volume is not a number between -40 and 40.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
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
    """Return the ``reason`` of the synthetic event for an action that ended with an error."""
    if isinstance(error, CallEnded):
        return "call_ended"
    return "client_closed" if isinstance(error, ClientClosed) else "session_lost"


for _name in ("Action", "PausableAction", "StoppableAction", "VolumeAction"):
    globals()[_name].__module__ = "relay_sync"
