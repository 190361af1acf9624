"""What all actions share: one end, told to everybody who waits, and the commands that control them."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Literal, NamedTuple, Protocol, TypeVar, cast

from ... import notebook_html
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

#: Seconds that the report of an end may take, beyond the time that the action was given.
REPORT_PATIENCE: Final = 10.0
#: Seconds over the time that it was given after which an action has certainly ended.
OVERDUE: Final = 3.0
#: Seconds that leaving a ``with`` block waits for the end it asked for.
EXIT_PATIENCE: Final = 5.0
#: What pauses an action, and what does not any more, by the last part of the method.
_SWITCHES: Final = {"pause": True, "resume": False}


class Question(NamedTuple):
    """A command that changes nothing while an action goes on, and is refused with 404 when it is over.

    :ivar method: or ``""``, where no command is needed: it is over then. :ivar after: seconds since it was heard of last before
        which it is not to be sent.
    """

    method: str
    params: Mapping[str, Any]
    after: float = 0.0


class OnCompleted(Protocol):
    """Takes the terminal event; its return value is ignored."""

    def __call__(self, event: Any, /) -> Any: ...


class ActionHost(Protocol):
    """The call, as an action needs it."""

    #: Held while the end and the return of the verb decide which of them reports the end.
    lock: threading.RLock

    def check_process(self) -> None:
        """:raises Forked: the call belongs to the parent process."""

    def command(
        self, method: str, params: Mapping[str, Any] | None = None, *, idempotent: bool = False
    ) -> dict[str, Any]:
        """Send a command for the call."""

    def action_ended(self, control_id: str, action: Action[Any]) -> None:
        """Free the control id."""

    def callback(self, what: str, function: Callable[..., object], *args: Any, final: bool = True) -> None:
        """Run user code in the call's lane."""


class Action(Generic[E]):
    """Something that goes on in a call until it ends by itself, is stopped, or the call ends.

    Made by the verbs of :class:`Call`. It always ends; :meth:`wait` says in its result or by its exception how.

    :ivar call: the call. :ivar control_id: ties commands and events of this action together.
    :ivar state: the last state seen; ``starting`` (never on the wire) before the first.
    :ivar reply: the server's answer to the command that started it; empty until it came.
    :ivar latest: its last event, or ``None``.
    """

    #: The RPC that starts it.
    method: ClassVar[str] = ""
    event_type: ClassVar[str] = ""
    #: States after which nothing more comes.
    end_states: ClassVar[frozenset[str]] = frozenset({"finished"})
    #: States that end it with an error.
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
        self.state = "starting"
        self.reply: dict[str, Any] = {}
        self.latest: RelayEvent | None = None
        #: What it was started with.
        self._params: Mapping[str, Any] = params or {}
        # Event and error in one value, so that nobody ever sees the one without the other.
        self._ended: Waiter[tuple[RelayEvent, RelayError | None]] = Waiter()
        self._on_completed = on_completed
        self._handed_out = False
        #: When it was started, or its last event came.
        self._heard = time.monotonic()
        self._prepare()

    def _prepare(self) -> None:
        """Set up what a kind of action keeps beside this; the last step of the constructor."""

    def __repr__(self) -> str:
        result = self.result
        how = f"{self.state}, over ({result.reason})" if result is not None and result.synthetic else self.state
        return f"<{type(self).__name__} {self.control_id} of call {self.call.call_id}: {how}>"

    def _repr_html_(self) -> str:
        """For notebooks: what it is and how it stands."""
        result = self.result
        about: list[tuple[str, object]] = [("state", self.state), ("call", self.call.call_id)]
        if result is not None:
            about.append(("ended", f"synthetic, {result.reason}" if result.synthetic else "by its own event"))
        if self.error is not None:
            about.append(("error", self.error.message))
        return notebook_html.panel(f"{type(self).__name__} {self.control_id}", notebook_html.table(about))

    @property
    def is_done(self) -> bool:
        """Whether it has ended, in whichever way."""
        return self._ended.over

    @property
    def result(self) -> E | None:
        """The terminal event, or ``None`` while it goes on."""
        outcome = self._ended.peek()
        return cast("E", outcome[0]) if isinstance(outcome, tuple) else None

    @property
    def error(self) -> RelayError | None:
        """The exception that ended it, or ``None``. In a child process: :class:`Forked`, for what went on in the parent."""
        outcome = self._ended.peek()
        if isinstance(outcome, tuple):
            return outcome[1]
        return forked_error() if self._ended.foreign else None

    @property
    def completed(self) -> bool:
        """The same as :attr:`is_done`, by the name of the official SDK."""
        return self.is_done

    def wait(self, timeout: float | None = None) -> E:
        """Block until it ends.

        :param timeout: seconds; ``None`` waits for the end of the action, of its call, of the session or of the client,
            whichever comes first. Where the action was given a time (``max_length``, the ``timeout`` of a detector, the timeouts
            of ``collect``, the ``duration`` of silence) it waits for that and 10 s more, and then raises. An end that came
            while the connection was down is found afterwards for some kinds of actions only: docs/threads.md says which.
        :return: the terminal event. ``synthetic`` is set on it, with a ``reason``, where the call ended first.
        :raises WaitTimeout: it still goes on; wait again if you like.
        :raises RelayError: what ended it (:attr:`error`): the session was lost for good, the client was closed, the process
            was forked, or the server reported a failure.
        """
        event, error = self._wait_for(self._ended, timeout)
        if error is not None:
            raise error.fresh()
        return cast("E", event)

    def _wait_for(self, waiter: Waiter[W], timeout: float | None) -> W:
        """Wait for so many seconds; without a limit, for as long as it can take by what it was started with."""
        timeout = values.timeout(timeout)
        if timeout is not None or waiter.done:
            return waiter.wait(paced(timeout), self._still_running(timeout))
        began = time.monotonic()
        while (longest := self._longest()) is not None:
            # It may have been heard of, and so go on for longer, while this waits.
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
            f"the end of the {self._noun} {self.control_id} is overdue (state {self.state!r}): it was given {longest:g} s; "
            "its last event may be lost" + (": stop() it, or wait again" if self._stop_command() else "")
        )

    def _longest(self) -> float | None:
        """Seconds that it can go on for after its last event, by what it was started with; ``None`` if that says nothing."""
        return None

    def _longest_for_certain(self) -> float | None:
        """The same, only where it is certain to be over then."""
        return self._longest()

    def _question(self) -> Question | None:
        """How the server can be asked whether it still goes on; ``None`` where it cannot, or not at the moment.

        What was given a time can be told to stop when that is over: it has ended anyway.
        """
        longest, stop = self._longest_for_certain(), self._stop_command()
        return None if longest is None else Question(*(stop or ("", {})), after=longest + OVERDUE)

    def _still_running(self, timeout: float | None) -> Callable[[], WaitTimeout]:
        return lambda: WaitTimeout(
            f"the {self._noun} {self.control_id} still goes on after {timeout} s (state {self.state!r}): wait again"
            + (", or stop() it" if self._stop_command() else "")
        )

    @property
    def _noun(self) -> str:
        return self.method.removeprefix("calling.")

    def _stop_command(self) -> tuple[str, dict[str, Any]] | None:
        """The method and the params that end it, or ``None`` where the wire has no such method."""
        return None

    def _control(
        self, method: str, params: Mapping[str, Any] | None = None, *, idempotent: bool = False
    ) -> dict[str, Any] | None:
        """Send a command about this action. ``None``: the server does not know it any more."""
        if self._ended.done:
            return {}
        try:
            return self._host.command(method, {"control_id": self.control_id, **(params or {})}, idempotent=idempotent)
        except CommandRefused as error:
            if not is_gone(error):
                raise
            return None

    def _meaning(self, method: str, params: Mapping[str, Any]) -> Callable[[Outcome, int], object] | None:
        """A command about it is about to be sent. :return: what applies the reply, on the IO thread, if that means anything."""
        return None

    # -- told by the call, on the IO thread or by the verb that started it ----------------------------------------

    def _on_event(self, event: RelayEvent) -> None:
        """An event with this action's ``control_id``."""
        if event.event_type != self.event_type or self._ended.done:
            return
        self.latest = event
        self._heard = time.monotonic()
        self._progress(event)

    def _progress(self, event: Any) -> None:
        """An event of this action's own type: the state in it says whether that is the end."""
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
            f"the server reported the {self._noun} as {state!r}: action.result says what it knows", state=state
        )

    def _end_early(self, reason: str, error: RelayError | None = None) -> None:
        """End it without an event of the server: the call ended or is gone, or the session is over."""
        if self.is_done:
            return
        params = {"call_id": self.call.call_id, "node_id": self.call.node_id, "control_id": self.control_id}
        kind = event_class(self.event_type) or RelayEvent
        event = kind.from_params(params, event_type=self.event_type, synthetic=True, reason=reason)
        self._end(event, error)

    def _end(self, event: RelayEvent, error: RelayError | None) -> None:
        self._ended.settle((event, error), self._before_waking)

    def _before_waking(self) -> None:
        """Whoever wakes finds the control_id free, and ``on_completed`` queued before anything it queues itself."""
        self._host.action_ended(self.control_id, self)
        try:
            self._tell_completed()
        finally:
            self._settled()

    def _hand_out(self) -> None:
        """The verb that started it is about to return it: from now on its end is told."""
        self._handed_out = True
        self._tell_completed()

    def _tell_completed(self) -> None:
        # Where the verb raises there is no action, and whoever started it is told by the exception alone.
        result = self.result
        if result is None or not self._handed_out:
            return
        with self._host.lock:  # the end and the verb's return may come at once
            function, self._on_completed = self._on_completed, None
        if function is not None:
            self._host.callback("on_completed", function, result)

    def _settled(self) -> None:
        """It has ended: let go of whoever waits for less than the end."""


class RunningAction:
    """An action, as the call that runs it needs it; users see none of this.

    :ivar action: the action. :ivar on_event: takes an event with its control id.
    """

    __slots__ = ("action", "on_event")

    def __init__(self, action: Action[Any]) -> None:
        self.action = action
        self.on_event = action._on_event

    @property
    def heard(self) -> float:
        """When it was started, or its last event came, on the monotonic clock."""
        return self.action._heard

    def stop_command(self) -> tuple[str, dict[str, Any]] | None:
        """The method and the params that end it, or ``None`` where the wire has no such method."""
        return self.action._stop_command()

    def meaning(self, method: str, params: Mapping[str, Any]) -> Callable[[Outcome, int], object] | None:
        """A command about it is about to be sent. :return: what applies the reply, on the IO thread, if that means anything."""
        return self.action._meaning(method, params)

    def question(self) -> Question | None:
        """How the server can be asked whether it still goes on; ``None`` where it cannot, or not at the moment."""
        return self.action._question()

    def end_early(self, reason: str, error: RelayError | None = None) -> None:
        """End it without an event of the server: the call ended or is gone, or the session is over."""
        self.action._end_early(reason, error)

    def hand_out(self) -> None:
        """The verb that started it is about to return it: from now on its end is told."""
        self.action._hand_out()


class PromiseSender(Protocol):
    """The connection, as an action needs it that nobody has the handle of."""

    def promise(self, method: str, params: Mapping[str, Any], *, session: int | None = None) -> None:
        """Send a command without waiting, again if its reply is lost with the connection."""


def stop_late(
    of: weakref.ref[PromiseSender],
    command: tuple[str, dict[str, Any]] | None,
    address: dict[str, Any],
    session: int | None,
    outcome: object,
) -> None:
    """An action has started after all, or may have, and nobody has the handle.

    :param of: the connection. :param command: what stops the action, if anything does.
    :param outcome: of the command that started it.
    """
    line = of()
    started = isinstance(outcome, dict) or (isinstance(outcome, ConnectionLost) and outcome.sent)
    if line is not None and command is not None and started:
        line.promise(command[0], {**address, **command[1]}, session=session)


class StoppableAction(Action[E]):
    """An action that can be stopped. As a context manager it is stopped on the way out."""

    def _prepare(self) -> None:
        super()._prepare()
        self._stopped = False
        self._stop_sent = False  # perhaps without an answer yet
        # Reentrant: a signal handler may stop what the code under it is stopping.
        self._stopping = threading.RLock()

    def _stop_command(self) -> tuple[str, dict[str, Any]] | None:
        return f"{self.method}.stop", {}

    def stop(self) -> dict[str, Any]:
        """Ask the server to end it; the terminal event follows. Harmless a second time, and after the end.

        Where the server does not know it any more, no such event will come, and it has ended when this returns. It is asked
        once, however many threads call this: the others wait for its answer, and try themselves if there was none.

        :return: the server's result; empty where nothing had to be sent.
        :raises CommandRefused: any refusal but "not there any more". :raises ConnectionLost: and the like.
        """
        command = self._stop_command()
        if command is None or self._ended.done:
            return {}
        check_thread()  # before any lock, as the next one
        self._host.check_process()
        with self._stopping:
            if self._stopped:
                return {}
            self._stop_sent = True  # first: the terminal event may come before the answer
            result = self._control(*command, idempotent=True)
            if result is None:
                # Frames arrive in the order they were sent: a terminal event on its way would be here by now.
                self._end_early("call_gone")
                return {}
            self._stopped = True
            return result

    def __enter__(self: S) -> S:
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


class PausableAction(StoppableAction[E]):
    """An action that can be paused and resumed."""

    #: What ``pause`` may be told to do with the time that passes.
    behaviors: ClassVar[tuple[str, ...]] = ()
    #: Whether it has been paused, so that nobody knows how long it takes.
    _was_paused = False
    #: Whether it is paused; ``None`` while a command about that has no answer.
    _is_paused: bool | None = False
    #: What it was told when it was paused last.
    _paused_with: Mapping[str, Any] = MappingProxyType({})

    def _progress(self, event: Any) -> None:
        self._was_paused = self._was_paused or event.state == "paused"
        if event.state:
            self._is_paused = event.state == "paused"
        super()._progress(event)

    def pause(self, behavior: Literal["skip", "silence"] | str | None = None) -> dict[str, Any]:
        """Pause it; the state ``paused`` follows.

        :param behavior: for recordings: ``skip`` leaves the pause out of the recording (the platform's default),
            ``silence`` records silence. Nothing else knows it.
        :return: the server's result; empty where it has ended.
        :raises InvalidParameter: a behavior that this action does not know. :raises CommandRefused: the server said no.
        """
        if behavior is not None and not self.behaviors:
            raise InvalidParameter("behavior", behavior, "left out: only recordings have one")
        chosen = values.choice("behavior", behavior, self.behaviors)
        return self._control(f"{self.method}.pause", {"behavior": chosen} if chosen else {}) or {}

    def resume(self) -> dict[str, Any]:
        """Go on after :meth:`pause`.

        :return: the server's result; empty where it has ended. :raises CommandRefused: the server said no.
        """
        return self._control(f"{self.method}.resume") or {}

    def _meaning(self, method: str, params: Mapping[str, Any]) -> Callable[[Outcome, int], object] | None:
        paused = _SWITCHES.get(method.removeprefix(f"{self.method}."))
        if paused is None:
            return super()._meaning(method, params)
        self._is_paused = None  # first: the event may come before the answer
        if paused:
            self._was_paused = True
            self._paused_with = {name: params[name] for name in ("behavior",) if name in params}
        return loosely(lambda action, outcome, session: action._switched(outcome, paused), self)

    def _switched(self, outcome: Outcome, paused: bool) -> None:
        if isinstance(outcome, dict) and self._is_paused is None:
            self._is_paused = paused


class VolumeAction(StoppableAction[E]):
    """An action whose loudness can be changed."""

    #: What was set last, where that is known to have been carried out; before, what it was started with counts.
    _volume: float | None = None
    _volume_known = True

    def volume(self, volume: float) -> dict[str, Any]:
        """Change the loudness.

        :param volume: decibels, -40 to 40; 0 leaves the sound as it is.
        :return: the server's result; empty where it has ended. :raises CommandRefused: the server said no.
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
    """The ``reason`` on the synthetic event of an action that an error ended."""
    if isinstance(error, CallEnded):
        return "call_ended"
    return "client_closed" if isinstance(error, ClientClosed) else "session_lost"


for _name in ("Action", "PausableAction", "StoppableAction", "VolumeAction"):
    globals()[_name].__module__ = "relay_sync"
