"""The internal part of a call: its state, running actions and listeners.

Each :class:`relay_sync.Call` has a ``CallCore``. The router, readers and actions use the ``CallCore`` directly, which keeps its
attributes out of the public class.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from sys import intern
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from .. import notebook_html
from ..constants import (
    CALL_STATE_ANSWERED,
    CALL_STATE_CREATED,
    CALL_STATE_ENDED,
    CALL_STATE_RINGING,
    EVENT_CALL_DENOISE,
    EVENT_CALL_STATE,
    EVENT_CONFERENCE,
)
from ..deadline import Deadline
from ..errors import CallEnded, CommandRefused, ConnectionLost, InvalidParameter, NotConnected, RelayError
from ..events import CallEvent, CallStateEvent, RelayEvent
from ..events.base import with_shared_names
from ..params import values
from ..params.parties import completed
from ..protocol.command import loosely
from ..protocol.ids import new_id
from ..protocol.results import Outcome, call_ended, call_goes_on, is_gone
from ..protocol.standing import OF_CALLS, Standing
from ..threads import logs, process
from ..threads.lanes import InContext
from ..threads.mailbox import Mailbox
from ..threads.safety_net import Net
from .actions.base import Action, OnCompleted, RunningAction, reason_of, stop_late
from .methods import ATTENDS, GIVES_AWAY, OF_THE_CALL, ends_something
from .offer import Offer

if TYPE_CHECKING:
    from ..observing.observers import Observers
    from ..observing.recorder import ObservedCall

__all__ = ["CallCore", "CallHome", "CallLink"]

_log = logs.get("relay_sync")

A = TypeVar("A", bound=Action[Any])
C = TypeVar("C", bound="ObservedCall")
C_contra = TypeVar("C_contra", contravariant=True)
Handler = Callable[[Any], object]

#: Maximum number of events in the timeline that notebooks show for a call.
REMEMBERED_EVENTS: Final = 200
#: Maximum number of events that a reader buffers.
READER_LIMIT: Final = 10_000
#: The conferences of most calls. Python makes a new object of 216 bytes for each empty ``frozenset``.
_NO_CONFERENCES: Final[frozenset[str]] = frozenset()
_NO_LISTENERS: Final[Mapping[str, tuple[Handler, ...]]] = {}


class CallLink(Protocol[C_contra]):
    """Connection methods used by calls."""

    def command(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        call_id: str = "",
        only_in: int | None = None,
        idempotent: bool = False,
        on_reply: Callable[[Outcome, int], object] | None = None,
        late: Callable[[object], object] | None = None,
    ) -> dict[str, Any]:
        """Send a command, wait for the reply and return the result."""

    def post(self, method: str, params: Mapping[str, Any], then: Callable[[Any], object] | None = None) -> None:
        """Send a command without waiting for the reply."""

    def promise(self, method: str, params: Mapping[str, Any], *, session: int | None = None) -> None:
        """Send a command without waiting for the reply. Send it again if the connection is lost before the reply arrives."""

    def request_timeout(self) -> float:
        """Return the current thread's request timeout, in seconds."""

    def call_gone(self, call: C_contra) -> None:
        """End a call that no longer exists on the server. The call has ended when this method returns."""

    def ask_about(self, call: C_contra, deadline: Deadline) -> bool:
        """Ask the server whether a call is still active. If this method returns true, the call's state is up to date."""


class CallHome(Protocol[C_contra]):
    """Router methods used by calls, on any thread."""

    def call_over(self, call: C_contra) -> None:
        """Remove a call that has ended. Called after its state has been set and before waiting threads resume."""

    def let_go(self, call: C_contra, error: CallEnded) -> None:
        """End a call that was returned to the platform."""

    def handed_over(self, call: C_contra) -> None:
        """Record that another client or application controls the call."""

    def callback(
        self, call: C_contra, what: str, function: Callable[..., object], *args: Any, final: bool = True
    ) -> None:
        """Run a user callback in the call's lane."""

    @property
    def observers(self) -> Observers | None:
        """The registered observers; ``None`` if there are none."""


class CallCore(Generic[C]):
    """The internal state of a call. See :class:`relay_sync.Call` for the public attributes.

    The ``listeners``, ``readers`` and ``conferences`` collections are replaced rather than modified, so that the IO thread can
    read them without a lock.

    :ivar session: number of the session in which the call was created. Commands are only valid in this session.
    :ivar over: :class:`CallEnded` or the error that ended the session, once the call has ended for this client; else ``None``.
    :ivar given_away: whether another client or application controls the call.
    :ivar giving_away: whether a command that transfers control of the call is in progress.
    :ivar told_to_end: whether the client has queued a hangup.
    :ivar attended: whether a command that answers, rejects or redirects the call has been sent.
    :ivar answer_taken: whether the server has accepted the answer.
    :ivar offer: offer of an inbound call, or ``None``.
    :ivar denoised: whether noise reduction is on, or may be on because a request is pending; ``None`` if unknown.
    :ivar conferences: IDs of the call's conferences, used to match conference events that have no call ID.
    :ivar reached: first event of each state that the call has reached.
    :ivar operations: running actions, by control ID.
    :ivar listeners: listeners, by event type.
    :ivar readers: weak references to the event readers' mailboxes.
    :ivar history: timeline entries shown in notebooks.
    """

    __slots__ = (
        "__weakref__",
        "_call",
        "_denoised_before",
        "_generation",
        "_logged_over",
        "_standing",
        "answer_taken",
        "attended",
        "call_id",
        "conferences",
        "context",
        "denoised",
        "device",
        "direction",
        "end_reason",
        "first_state",
        "given_away",
        "giving_away",
        "history",
        "home",
        "line",
        "listeners",
        "lock",
        "node_id",
        "offer",
        "operations",
        "over",
        "project_id",
        "reached",
        "readers",
        "segment_id",
        "session",
        "state",
        "tag",
        "told_to_end",
    )

    def __init__(
        self,
        call: C,
        line: CallLink[C],
        home: CallHome[C],
        call_id: str,
        node_id: str,
        project_id: str,
        context: str,
        tag: str,
        direction: str,
        device: dict[str, Any],
        state: str,
        segment_id: str,
    ) -> None:
        # A weak reference avoids a reference cycle, so that an unreferenced call is freed immediately.
        self._call = weakref.ref(call)
        self.line: CallLink[C] = line
        self.home: CallHome[C] = home
        self.call_id: str = call_id
        # These are the same for many calls, but each offer brings its own copies.
        self.node_id: str = intern(node_id)
        self.project_id: str = intern(project_id)
        self.context: str = intern(context)
        self.tag: str = tag
        self.direction: str = direction
        self.device: dict[str, Any] = device
        self.state: str = state
        self.first_state: str = state
        self.segment_id: str = segment_id
        self.end_reason: str = ""
        self.session: int | None = None
        self.over: RelayError | None = None
        self.given_away: bool = False
        self.giving_away: bool = False
        self.told_to_end: bool = False
        self.attended: bool = False
        self.answer_taken: bool = False
        self.offer: Offer | None = None
        self.denoised: bool | None = None
        self.conferences: frozenset[str] = _NO_CONFERENCES
        self.lock: threading.RLock = threading.RLock()
        self.reached: dict[str, CallStateEvent] = {}
        self.operations: dict[str, RunningAction] = {}
        self.listeners: Mapping[str, tuple[Handler, ...]] = _NO_LISTENERS
        self.readers: tuple[weakref.ref[Mailbox[RelayEvent]], ...] = ()
        self.history: list[notebook_html.Moment] = (
            [notebook_html.Moment(time.time(), EVENT_CALL_STATE, state)] if state else []
        )
        self._denoised_before: bool | None = None
        self._generation = process.generation()
        self._logged_over = False
        self._standing = Standing(OF_CALLS, state)

    @property
    def call(self) -> C:
        """The public call object. Code that uses a ``CallCore`` must keep a reference to this object."""
        call = self._call()
        if call is None:
            raise ReferenceError(f"call {self.call_id} no longer exists")
        return call

    @property
    def address(self) -> dict[str, str]:
        """Parameters that identify the call in a command."""
        return {"node_id": self.node_id, "call_id": self.call_id}

    @property
    def handed_over(self) -> bool:
        """Whether control of the call has been transferred, or a transfer is in progress."""
        return self.given_away or self.giving_away

    @property
    def is_ours(self) -> bool:
        """Whether the call is active and controlled by this client. The client never hangs up other calls automatically."""
        # The IO thread sets the state to "ended" before it removes the call from the router.
        ended = self.state == CALL_STATE_ENDED or isinstance(self.over, CallEnded)
        return not (ended or self.handed_over)

    # -- commands ------------------------------------------------------------------------------------------------

    def check_process(self) -> None:
        """Raise :exc:`Forked` in a child process.

        :raises Forked: the call belongs to the parent process.
        """
        # Check before acquiring a lock. If another thread held it when the process was forked, it is never released in the child.
        if self._generation != process.generation():
            raise process.forked_error()

    def _check_usable(self) -> None:
        self.check_process()
        over = self.over
        if isinstance(over, ConnectionLost):
            raise NotConnected(over.message)  # ConnectionLost would mean that this command may have been sent
        if over is not None and not isinstance(over, CallEnded):
            raise over.fresh()

    def command(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        idempotent: bool = False,
    ) -> dict[str, Any]:
        """Send a command for this call and return the result, or ``{}`` if the call has ended."""
        self._check_usable()
        self.attended = self.attended or method in ATTENDS
        if isinstance(self.over, CallEnded):
            self._log_over(method)
            return {}
        addressed = {"node_id": self.node_id, "call_id": self.call_id, **(params or {})}
        began, gives_away = time.monotonic(), method in GIVES_AWAY
        try:
            if gives_away:  # set before sending, because the platform may offer the call again before the reply arrives
                self.giving_away = True
            return self.line.command(
                method,
                addressed,
                call_id=self.call_id,
                only_in=self.session,
                idempotent=idempotent,
                on_reply=self.meaning(method, addressed),
            )
        except CommandRefused as error:
            if not is_gone(error):
                raise
            refusal = self._refusal(error, began)
            # Let the action handle the error if it no longer exists.
            if refusal is not None and "control_id" in addressed:
                raise
            if refusal is not None and not ends_something(method):
                raise refusal from None
            _log.info("%s had no effect: %s", method, error.message)
            return {}
        finally:
            if gives_away:
                self.giving_away = False

    def meaning(self, method: str, params: Mapping[str, Any]) -> Callable[[Outcome, int], object] | None:
        """Return the function that applies the reply to a command, or ``None`` if the reply does not change the call.

        This method is called right before the command is sent. The returned function is called on the IO thread, before later
        events are processed.

        :param method: method of the command.
        :param params: parameters of the command.
        """
        meaning = _MEANINGS.get(method)
        if meaning is not None:
            # Keep a reference to the public call object while the reply is applied.
            return loosely(lambda call, core, outcome, session: meaning(core, outcome, params), self.call, self)
        control_id = params.get("control_id")
        operation = self.operations.get(control_id) if isinstance(control_id, str) else None
        return None if operation is None else operation.meaning(method, params)

    def _log_over(self, method: str) -> None:
        """Log that commands have no effect, once per call."""
        if not self._logged_over:
            self._logged_over = True
            _log.info("call %s is over: %s and later commands are not sent", self.call_id, method)

    def _refusal(self, error: CommandRefused, began: float) -> CommandRefused | None:
        """Check whether a 404 or 410 reply means that the call has ended.

        Return ``None`` if the call has ended. Otherwise, the command refers to an object that does not exist: return the error to
        raise. The call's state is up to date when this method returns.

        :param error: error returned by the server.
        :param began: time at which the command started. The request timeout also covers this check.
        """
        known = False
        if self.over is None:
            if error.method in OF_THE_CALL:
                self.line.call_gone(self.call)
            else:
                known = self.line.ask_about(self.call, Deadline.after(began, self.line.request_timeout()))
        self._check_usable()
        if self.over is not None:
            return None
        return call_goes_on(error) if known else error

    def promise_end(self, reason: str) -> bool:
        """Hang up without waiting for the reply, if this client controls the call.

        :param reason: reason for the hangup.
        :return: whether this client controls the call.
        """
        ours = self.is_ours
        if ours:
            self.told_to_end = True
            self.line.promise("calling.end", {**self.address, "reason": reason}, session=self.session)
        return ours

    def promise_pass(self) -> None:
        """Return an inbound call to the platform without waiting for the reply."""
        self.line.promise("calling.pass", self.address, session=self.session)

    def gone_event(self) -> CallStateEvent:
        """Return a synthetic ``ended`` event for a call that no longer exists on the server."""
        params = {"call_id": self.call_id, "node_id": self.node_id, "call_state": CALL_STATE_ENDED}
        return CallStateEvent.from_params(params, synthetic=True, reason="call_gone")

    # -- replies, on the IO thread ---------------------------------------------------------------------------------

    def _answered(self, outcome: Outcome, params: Mapping[str, Any]) -> None:
        self.answer_taken = self.answer_taken or isinstance(outcome, dict)

    def _passed(self, outcome: Outcome, params: Mapping[str, Any]) -> None:
        # The client receives no further events for the call and must not hang it up.
        self.giving_away = False
        if isinstance(outcome, dict):
            self.home.let_go(
                self.call, CallEnded("the call was returned to the platform and continues without this client")
            )

    def _transferred(self, outcome: Outcome, params: Mapping[str, Any]) -> None:
        # Events of the call may continue to arrive.
        self.giving_away = False
        if isinstance(outcome, dict):
            self.given_away = True
            if self.over is None:
                self.home.handed_over(self.call)

    def _joined(self, outcome: Outcome, params: Mapping[str, Any]) -> None:
        joined = outcome.get("conference_id") if isinstance(outcome, dict) else None
        if isinstance(joined, str):
            self.conferences |= {joined}

    def _left(self, outcome: Outcome, params: Mapping[str, Any]) -> None:
        # A 404 means that the call had already left the conference.
        if isinstance(outcome, dict) or is_gone(outcome):
            self.conferences = frozenset(one for one in self.conferences if one != params.get("conference_id"))

    def denoise_asked(self) -> None:
        """Record that noise reduction may be on, even if the reply never arrives."""
        self._denoised_before, self.denoised = self.denoised, True

    def _denoise_started(self, outcome: Outcome, params: Mapping[str, Any]) -> None:
        self.denoised = True if _is_so(outcome) else self._denoised_before

    def _denoise_ended(self, outcome: Outcome, params: Mapping[str, Any]) -> None:
        if _is_so(outcome):
            self.denoised = self._denoised_before = False

    # -- actions -------------------------------------------------------------------------------------------------

    def start(
        self, kind: type[A], params: Mapping[str, Any], *, control_id: str | None, on_completed: OnCompleted | None
    ) -> A:
        """Send a command that starts an action, and return the action.

        The action is registered before the command is sent, because its first event may arrive before the reply.
        """
        if on_completed is not None:
            on_completed = InContext(values.handler("on_completed", on_completed))
        name = values.text("control_id", control_id) or new_id()
        self._check_usable()
        self.attended = self.attended or kind.method in ATTENDS
        call: Any = self.call  # an instance of Call, which this module cannot import
        action = kind(call, name, on_completed, params, host=self)
        operation = RunningAction(action)
        self._register(operation)
        if self.over is not None:
            self._log_over(kind.method)
            operation.end_early(reason_of(self.over))
            operation.hand_out()
            return action
        address = {"node_id": self.node_id, "call_id": self.call_id, "control_id": name}

        # The session keeps this function until the reply arrives. It must not hold a strong reference to the client.
        late = partial(stop_late, weakref.ref(self.line), operation.stop_command(), address, self.session)
        began = time.monotonic()
        try:
            reply = self.line.command(
                kind.method, {**address, **params}, call_id=self.call_id, only_in=self.session, late=late
            )
            action.reply = with_shared_names(reply)
        except CommandRefused as error:
            self.action_ended(name, action)
            if not is_gone(error):
                raise
            self._end_refused(operation, error, began)
        except BaseException:
            self.action_ended(name, action)
            raise
        operation.hand_out()
        return action

    def _end_refused(self, operation: RunningAction, error: CommandRefused, began: float) -> None:
        """End an action that the server rejected with 404 or 410. If the call is still active, the action ends with an error."""
        refusal = self._refusal(error, began)
        if refusal is None:
            operation.end_early("call_gone")
            return
        _log.warning("call %s: %s", self.call_id, refusal.message)
        operation.end_early("refused", refusal)

    def running(self, kind: type[A]) -> list[A]:
        """Return the running actions of the given class."""
        self.check_process()
        with self.lock:
            return [one.action for one in self.operations.values() if isinstance(one.action, kind)]

    def _register(self, operation: RunningAction) -> None:
        name = operation.action.control_id
        with self.lock:
            known = self.operations.get(name)
            if known is not None and not known.action.is_done:
                raise InvalidParameter("control_id", name, "an ID that is not in use on this call")
            self.operations[name] = operation

    def action_ended(self, control_id: str, action: Action[Any]) -> None:
        """Remove an action from the running actions."""
        with self.lock:
            known = self.operations.get(control_id)
            if known is not None and known.action is action:
                self.operations.pop(control_id, None)  # a signal handler may have removed it

    def callback(self, what: str, function: Callable[..., object], *args: Any, final: bool = True) -> None:
        """Run a user callback in the call's lane."""
        self.home.callback(self.call, what, function, *args, final=final)

    # -- listening -----------------------------------------------------------------------------------------------

    def listen(self, event_type: str, handler: Handler) -> None:
        """Register a handler for an event type."""
        self.check_process()
        with self.lock:
            added = False
            while not added:
                before = self.listeners
                after: dict[str, tuple[Handler, ...]] = {
                    **before,
                    event_type: (*before.get(event_type, ()), handler),
                }
                if before is self.listeners:  # otherwise, a signal handler has added a listener
                    self.listeners, added = after, True

    def open_reader(self) -> Mailbox[RelayEvent]:
        """Return a mailbox that receives all further events, until it is garbage-collected."""
        self.check_process()
        mailbox: Mailbox[RelayEvent] = Mailbox(READER_LIMIT)
        self._change_readers(weakref.ref(mailbox))
        if self.over is not None:
            mailbox.close(self.over)
        return mailbox

    def close_reader(self, mailbox: Mailbox[RelayEvent]) -> None:
        """Stop delivering events to a mailbox."""
        if self._generation != process.generation():
            return
        self._change_readers(without=mailbox)

    def _change_readers(
        self, *new: weakref.ref[Mailbox[RelayEvent]], without: Mailbox[RelayEvent] | None = None
    ) -> None:
        with self.lock:
            changed = False
            while not changed:
                before = self.readers
                after = (*(one for one in before if one() not in (None, without)), *new)
                if before is self.readers:  # otherwise, a signal handler has changed them
                    self.readers, changed = after, True

    # -- events, on the IO thread ----------------------------------------------------------------------------------

    def on_event(self, event: RelayEvent) -> None:
        """Process an event: update the state, queue the callbacks, and deliver the event to the readers, in that order.

        By the time a waiting thread resumes, the state is up to date and the callbacks are queued. If that thread adds listeners,
        they receive only later events.
        """
        if self.over is not None:
            return
        try:
            history = self.history
            history.append(notebook_html.Moment.of(time.time(), event.event_type, event.params))
            if len(history) > REMEMBERED_EVENTS:
                # Keep the first entry, which is the start of the timeline.
                del history[1 : REMEMBERED_EVENTS // 2]
        finally:
            self._apply(event)

    def _apply(self, event: RelayEvent) -> None:
        net, over = Net(), None
        # Get the listeners first, because threads that resume below may add listeners for later events.
        listeners = self.listeners.get(event.event_type, ())
        if not self.node_id and isinstance(event, CallEvent):
            self.node_id = event.node_id
        if isinstance(event, CallStateEvent) and event.call_state:
            try:  # faster than "with net"
                self._move(event)
            except BaseException as error:
                net.append(error)
            if event.call_state == CALL_STATE_ENDED:
                over = call_ended(self.end_reason)
                try:
                    self.home.call_over(self.call)
                except BaseException as error:
                    net.append(error)
            # Do this last, because threads that wait for the state return as soon as they find it here.
            if event.call_state not in self.reached:
                event.params = with_shared_names(event.params)
                self.reached[event.call_state] = event
        elif event.event_type == EVENT_CALL_DENOISE:
            self.denoised = bool(getattr(event, "denoised", False))
        elif event.event_type == EVENT_CONFERENCE:
            self._conference_moved(event)
        control_id = event.params.get("control_id")
        operation = self.operations.get(control_id) if isinstance(control_id, str) else None
        if operation is not None:
            try:
                operation.on_event(event)
            except BaseException as error:
                net.append(error)
        if over is not None:
            self.over = over
            with net:
                self._end_actions(over)
        final = over is not None or (operation is not None and operation.action.is_done)
        for handler in listeners:
            try:
                self.home.callback(self.call, "listener", handler, event, final=final)
            except BaseException as error:
                net.append(error)
        observers = self.home.observers
        if observers is not None:
            with net:
                observers.call_event(self.call, event)
                if over is not None:
                    observers.call_ended(self.call, self.end_reason or event.reason or "ended")
        for mailbox in self._mailboxes() if self.readers else ():
            mailbox.put(event)
            if over is not None:
                mailbox.close(over)
        if net:
            net.release()

    def _move(self, event: CallStateEvent) -> None:
        """Process a state event. An event that arrives out of order only sets values that are still unknown."""
        if self._standing.takes(event.call_state):
            self.state = event.call_state
            if event.device and event.device != self.device:
                self.device = completed(event.device, self.device)
            self.end_reason = event.end_reason or self.end_reason
        else:
            self.device = completed(self.device, event.device)
            self.end_reason = self.end_reason or event.end_reason
        self.direction = event.direction or self.direction
        self.segment_id = self.segment_id or event.segment_id
        self.tag = self.tag or event.tag

    def _conference_moved(self, event: Any) -> None:
        """Remove a conference that has ended or that the call has left."""
        left = event.status == "participant-leave" and event.params.get("call_id") == self.call_id
        if left or event.status == "conference-end":
            self.conferences -= {event.conference_id}

    def catch_up(self) -> None:
        """Set the state to ``answered`` if the answer was accepted but its event was lost.

        Called after the client reconnects, if the call is still active.
        """
        if self.answer_taken and self.state in (CALL_STATE_CREATED, CALL_STATE_RINGING) and self.over is None:
            params = {"call_id": self.call_id, "node_id": self.node_id, "call_state": CALL_STATE_ANSWERED}
            self.on_event(CallStateEvent.from_params(params, synthetic=True, reason="answer_taken"))

    def end(self, error: RelayError) -> None:
        """End the call for this client, along with its actions and all waits."""
        if self.over is not None:
            return
        self.over = error
        try:
            self._end_actions(error)
        finally:
            observers = self.home.observers
            if observers is not None:
                how = "released" if isinstance(error, CallEnded) else reason_of(error)
                observers.call_ended(self.call, self.end_reason or how)
            for mailbox in self._mailboxes():
                mailbox.close(error)

    def _mailboxes(self) -> list[Mailbox[RelayEvent]]:
        """Return the mailboxes that have not been garbage-collected."""
        return [mailbox for reader in self.readers if (mailbox := reader()) is not None]

    def _end_actions(self, error: RelayError) -> None:
        # For actions, the end of the call is not an error, but losing the session is.
        carried = None if isinstance(error, CallEnded) else error
        with self.lock:
            operations = list(self.operations.values())
        if operations:
            net = Net()
            for operation in operations:
                with net:
                    operation.end_early(reason_of(error), carried)
            net.release()


def _is_so(outcome: Outcome) -> bool:
    # A 409 means that noise reduction was already in the requested state.
    return isinstance(outcome, dict) or outcome.code == 409


#: ``CallCore`` methods that process the reply to a command, by command method.
_MEANINGS: Final[dict[str, Callable[[CallCore[Any], Outcome, Mapping[str, Any]], object]]] = {
    "calling.answer": CallCore._answered,
    "calling.denoise": CallCore._denoise_started,
    "calling.denoise.stop": CallCore._denoise_ended,
    "calling.join_conference": CallCore._joined,
    "calling.leave_conference": CallCore._left,
    "calling.pass": CallCore._passed,
    "calling.transfer": CallCore._transferred,
}
