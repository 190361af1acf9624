"""One call: who it is, where it stands, and waiting for what happens to it."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol, TypeVar, overload

from .. import notebook_html
from ..constants import (
    CALL_STATE_ANSWERED,
    CALL_STATE_CREATED,
    CALL_STATE_ENDED,
    CALL_STATE_ENDING,
    CALL_STATE_RINGING,
    EVENT_CALL_DENOISE,
    EVENT_CALL_STATE,
    EVENT_CONFERENCE,
)
from ..deadline import Deadline
from ..errors import CallEnded, CommandRefused, ConnectionLost, InvalidParameter, NotConnected, RelayError
from ..events import CallEvent, CallStateEvent, RelayEvent
from ..events.names import event_name
from ..params import values
from ..params.parties import completed
from ..protocol.command import loosely
from ..protocol.ids import new_id
from ..protocol.results import Outcome, call_ended, call_goes_on, is_gone
from ..protocol.standing import OF_CALLS, Standing, reaches
from ..threads import logs, process
from ..threads.lanes import InContext
from ..threads.mailbox import Mailbox
from ..threads.safety_net import Net
from .actions import Action, OnCompleted, reason_of, stop_late
from .offer import PARTIES, Offer
from .readers import EventReader, Expectation
from .verbs.ai import AIVerbs
from .verbs.conference import ConferenceVerbs
from .verbs.control import ControlVerbs
from .verbs.fax_pay import FaxPayVerbs
from .verbs.input import InputVerbs
from .verbs.listening import ListeningVerbs
from .verbs.media import MediaVerbs
from .verbs.methods import ATTENDS, GIVES_AWAY, OF_THE_CALL, ends_something
from .verbs.routing import RoutingVerbs
from .verbs.stream import StreamVerbs

__all__ = ["Call"]

_log = logs.get("relay_sync")

A = TypeVar("A", bound=Action[Any])
E = TypeVar("E", bound=RelayEvent)
Predicate = Callable[[Any], object]
Handler = Callable[[Any], object]
H = TypeVar("H", bound=Handler)

#: Events that a notebook's timeline of a call shows at the most.
REMEMBERED_EVENTS: Final = 200
#: Events a reader may fall behind.
READER_LIMIT: Final = 10_000


class Line(Protocol):
    """What a call needs of its client."""

    def _command(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        call_id: str = "",
        only_in: int | None = None,
        idempotent: bool = False,
        on_reply: Callable[[Outcome, int], object] | None = None,
        late: Callable[[object], object] | None = None,
    ) -> dict[str, Any]: ...

    def _post(self, method: str, params: Mapping[str, Any], then: Callable[[Any], object] | None = None) -> None: ...
    def _promise(self, method: str, params: Mapping[str, Any], *, session: int | None = None) -> None: ...

    def _call_gone(self, call: Call) -> None: ...

    def _ask_about(self, call: Call, deadline: Deadline) -> bool: ...

    def _request_timeout(self) -> float: ...

    def _call_over(self, call: Call) -> None: ...

    def _let_go(self, call: Call, error: CallEnded) -> None: ...

    def _handed_over(self, call: Call) -> None: ...

    def _callback(
        self, call: Call | None, what: str, function: Callable[..., object], *args: Any, final: bool = True
    ) -> None: ...


class Call(
    ControlVerbs,
    StreamVerbs,
    MediaVerbs,
    InputVerbs,
    RoutingVerbs,
    ListeningVerbs,
    ConferenceVerbs,
    FaxPayVerbs,
    AIVerbs,
):
    """A leg of a call. Made by the client for ``on_call`` handlers and by ``dial``; its verbs block.

    :ivar call_id: and :ivar node_id: its address on the platform. :ivar project_id: whose it is.
    :ivar context: the context it came in on. :ivar direction: ``inbound`` or ``outbound``.
    :ivar device: both parties, as the server describes them; :attr:`from_number` and :attr:`to_number` name them.
    :ivar tag: the tag it was dialled with, or ``""``.
    :ivar state: ``created``, ``ringing``, ``answered``, ``ending`` or ``ended``: the latest one seen, in this order.
    :ivar end_reason: why it ended, as the server says (``hangup``, ``busy``, ``noAnswer``, ...), else ``""``.
    """

    def __init__(
        self,
        client: Line,
        call_id: str,
        node_id: str,
        project_id: str = "",
        context: str = "",
        *,
        tag: str = "",
        direction: str = "",
        device: dict[str, Any] | None = None,
        state: str = "",
        segment_id: str = "",
    ) -> None:
        self.call_id = call_id
        self.node_id = node_id
        self.project_id = project_id
        self.context = context
        self.tag = tag
        self.direction = direction
        self.device = device or {}
        self.state = self._first_state = state
        self._standing = Standing(OF_CALLS, state)
        self.segment_id = segment_id
        self.end_reason = ""
        self._client = client
        #: The number of the session it came in on, or was dialled in: commands for it make sense in no other.
        self._session: int | None = None
        self._generation = process.generation()
        #: Why the call is over for us: CallEnded, or what ended its session.
        self._over: RelayError | None = None
        #: Others control it now.
        self._given_away = False
        #: A command is under way by which they may come to.
        self._giving_away = False
        #: It was promised that it will be hung up.
        self._told_to_end = False
        #: Whether it was answered, rejected or sent elsewhere by its handler, as far as that lies with us.
        self._attended = False
        #: For the switchboard; ``None`` if it was not offered.
        self._offer: Offer | None = None
        self._said_over = False
        self._lock = threading.RLock()
        self._reached: dict[str, CallStateEvent] = {}
        self._actions: dict[str, Action[Any]] = {}
        # Replaced, never changed, so that the IO thread can read them without a lock.
        self._listeners: dict[str, tuple[Handler, ...]] = {}
        self._readers: tuple[weakref.ref[Mailbox[RelayEvent]], ...] = ()
        self._history = [notebook_html.Moment(time.time(), EVENT_CALL_STATE, state)] if state else []

    def __repr__(self) -> str:
        return f"<Call {self.call_id} {self.direction} {self.state}>"

    def _repr_html_(self) -> str:
        """For notebooks: what the call is, and a timeline of what happened in it."""
        parties = self.device.get("params")
        numbers = parties.items() if isinstance(parties, dict) else ()
        about = [
            ("state", self.state + (f" ({self.end_reason})" if self.end_reason else "")),
            ("direction", self.direction),
            *((name, value) for name, value in numbers if name in PARTIES),
            ("context", self.context),
        ]
        moments = list(self._history)
        picture = notebook_html.timeline(moments, now=time.time(), over=self._over is not None)
        return notebook_html.panel(f"Call {self.call_id}", notebook_html.table(row for row in about if row[1]), picture)

    @property
    def from_number(self) -> str:
        """Who calls: a number, or the address of a SIP or Fabric device; ``""`` where the server does not say."""
        return self._party("from_number", "from")

    @property
    def to_number(self) -> str:
        """Who is called: a number, or the address of a SIP or Fabric device; ``""`` where the server does not say."""
        return self._party("to_number", "to")

    def _party(self, *names: str) -> str:
        params = self.device.get("params")
        found = [params.get(name) for name in names] if isinstance(params, dict) else []
        return next((str(one) for one in found if type(one) in (str, int) and one), "")

    @property
    def client(self) -> Any:
        """The client it belongs to."""
        return self._client

    # -- listening -----------------------------------------------------------------------------------------------

    @overload
    def on(self, event_type: type[E], handler: Callable[[E], object]) -> Callable[[E], object]: ...

    @overload
    def on(self, event_type: str, handler: H) -> H: ...

    @overload
    def on(self, event_type: str | type[RelayEvent]) -> Callable[[H], H]: ...

    def on(self, event_type: str | type[RelayEvent], handler: Any = None) -> Any:
        """Call a function for every event of a type, one at a time and in order, on a thread where it may block.

        While 10,000 callbacks of the call wait, new ones are left out, with a warning; never those of its end, or an action's.

        :param event_type: such as ``calling.call.state``, or the class of its events, such as :class:`CallStateEvent`. A
            ``calling.`` name that this SDK does not know, and that resembles none that it knows, is taken with a warning:
            the platform may have new events. :meth:`events` has them all.
        :param handler: takes the event. Left out, ``on`` is a decorator.
        :raises InvalidParameter: a call gets no such event. :raises Forked: the call belongs to the parent process.
        """
        name = event_name(event_type)

        def register(function: Handler) -> Handler:
            checked = InContext(values.handler("handler", function))
            self._check_process()
            with self._lock:
                added = False
                while not added:
                    before = self._listeners
                    after: dict[str, tuple[Handler, ...]] = {**before, name: (*before.get(name, ()), checked)}
                    if before is self._listeners:  # else a signal handler on top of this code has added one meanwhile
                        self._listeners, added = after, True
            return function

        return register if handler is None else register(handler)

    def events(self) -> EventReader:
        """Everything that happens to the call from now on, in order, until it ends.

        Any number of readers; each may fall 10,000 events behind. Iterating ends with the call.

        :raises QueueFull: after the events that were kept, where a reader fell too far behind.
        :raises RelayError: what ended the session or the client.
        """
        return EventReader(self)

    def wait_for(
        self, event_type: str | type[RelayEvent], predicate: Predicate | None = None, timeout: float | None = None
    ) -> RelayEvent:
        """Block until an event of this type comes for which the predicate is true.

        A call state that was already reached counts if there is a predicate; other events count from now on. For an event
        that a verb causes, use :meth:`expect`: it listens before the verb runs.

        :param predicate: runs on the calling thread. :param timeout: seconds, or ``None``: the end of the call is the end.
        :raises WaitTimeout: nothing came. :raises CallEnded: the call ended first.
        """
        if predicate is not None:
            values.handler("predicate", predicate)
        return self._wait_for(event_name(event_type), predicate, timeout)

    def _wait_for(self, event_type: str, predicate: Predicate | None, timeout: float | None) -> RelayEvent:
        with Expectation(self, event_type, predicate, values.timeout(timeout)) as seen:
            if event_type == EVENT_CALL_STATE and predicate is not None:
                seen.consider(list(self._reached.values()))
        event: RelayEvent = seen.value
        return event

    def expect(
        self, event_type: str | type[RelayEvent], predicate: Predicate | None = None, timeout: float | None = None
    ) -> Expectation:
        """Wait for what the block causes: listening starts before it runs, so nothing is missed.

        ::

            with call.expect("calling.call.state", lambda e: e.call_state == "answered", timeout=5) as seen:
                call.answer()
            event = seen.value

        :param timeout: seconds from the entry into the block; leaving it waits for the rest.
        :raises WaitTimeout: on leaving the block. :raises CallEnded: the call ended first.
        """
        if predicate is not None:
            values.handler("predicate", predicate)
        return Expectation(self, event_name(event_type), predicate, values.timeout(timeout))

    def wait_for_ringing(self, timeout: float | None = None) -> RelayEvent:
        """Block until the call rings, or has gone past that.

        :raises CallEnded: it ended before.
        """
        return self._wait_for_state(CALL_STATE_RINGING, timeout)

    def wait_for_answered(self, timeout: float | None = None) -> RelayEvent:
        """Block until the call is answered.

        :raises CallEnded: it ended unanswered; ``end_reason`` says how.
        """
        return self._wait_for_state(CALL_STATE_ANSWERED, timeout)

    def wait_for_ending(self, timeout: float | None = None) -> RelayEvent:
        """Block until the call is ending or has ended."""
        return self._wait_for_state(CALL_STATE_ENDING, timeout)

    def wait_for_ended(self, timeout: float | None = None) -> RelayEvent:
        """Block until the call has ended; :attr:`end_reason` then says why."""
        return self._wait_for_state(CALL_STATE_ENDED, timeout)

    def _wait_for_state(self, state: str, timeout: float | None) -> RelayEvent:
        # The state that the call began with counts as well as those that came since. Not that of an event that is being taken in:
        # the event itself is what is waited for then.
        known = self._first_state
        if known and known == self.state and self._over is None and reaches(known, state):
            params = {"call_id": self.call_id, "node_id": self.node_id, "call_state": known}
            return CallStateEvent.from_params(params, synthetic=True, reason="state_known")
        return self._wait_for(EVENT_CALL_STATE, lambda event: reaches(event.call_state, state), timeout)

    def _open_reader(self) -> Mailbox[RelayEvent]:
        self._check_process()
        mailbox: Mailbox[RelayEvent] = Mailbox(READER_LIMIT)
        self._change_readers(weakref.ref(mailbox))
        if self._over is not None:
            mailbox.close(self._over)
        return mailbox

    def _close_reader(self, mailbox: Mailbox[RelayEvent]) -> None:
        if self._generation != process.generation():
            return
        self._change_readers(without=mailbox)

    def _change_readers(
        self, *new: weakref.ref[Mailbox[RelayEvent]], without: Mailbox[RelayEvent] | None = None
    ) -> None:
        with self._lock:
            changed = False
            while not changed:
                before = self._readers
                after = (*(one for one in before if one() not in (None, without)), *new)
                if before is self._readers:  # else a signal handler on top of this code has changed them meanwhile
                    self._readers, changed = after, True

    @property
    def _handed_over(self) -> bool:
        """Whether others control it, or are about to."""
        return self._given_away or self._giving_away

    # -- for the verbs -------------------------------------------------------------------------------------------

    def _command(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        idempotent: bool = False,
    ) -> dict[str, Any]:
        self._check_usable()
        self._attended = self._attended or method in ATTENDS
        if isinstance(self._over, CallEnded):
            self._say_over(method)
            return {}
        addressed = {"node_id": self.node_id, "call_id": self.call_id, **(params or {})}
        began, gives_away = time.monotonic(), method in GIVES_AWAY
        try:
            if gives_away:  # before it is sent: the call may come back, as a new one, sooner than the reply
                self._giving_away = True
            return self._client._command(
                method,
                addressed,
                call_id=self.call_id,
                only_in=self._session,
                idempotent=idempotent,
                on_reply=self._meaning(method, addressed),
            )
        except CommandRefused as error:
            if not is_gone(error):
                raise
            refusal = self._refusal(error, began)
            # An action that is not there any more has its own way of ending.
            if refusal is not None and "control_id" in addressed:
                raise
            if refusal is not None and not ends_something(method):
                raise refusal from None
            _log.info("%s changed nothing: %s", method, error.message)
            return {}
        finally:
            if gives_away:
                self._giving_away = False

    def _meaning(self, method: str, params: Mapping[str, Any]) -> Callable[[Outcome, int], object] | None:
        """What applies the meaning of a reply to this call, or to an action of it, on the IO thread, before any event behind it
        is looked at. Asked right before the command is sent, by whichever way.

        :param params: of the command.
        """
        meaning = _MEANINGS.get(method)
        if meaning is not None:
            return loosely(lambda call, outcome, session: meaning(call, outcome, params), self)
        control_id = params.get("control_id")
        action = self._actions.get(control_id) if isinstance(control_id, str) else None
        return None if action is None else action._meaning(method, params)

    def _say_over(self, method: str) -> None:
        """Once for each call: what is done to it from now on does nothing."""
        if not self._said_over:
            self._said_over = True
            _log.info("call %s is over: %s is not sent, nor is any command after it", self.call_id, method)

    def _refusal(self, error: CommandRefused, began: float) -> CommandRefused | None:
        """What a 404 or 410 means: ``None`` if the call has ended, unheard; else it is about something that the command names.

        :param began: when the command did, which has its timeout for this as well.
        When this returns, :attr:`state` is as new as the answer.
        """
        known = False
        if self._over is None:
            if error.method in OF_THE_CALL:
                self._client._call_gone(self)
            else:
                known = self._client._ask_about(self, Deadline.after(began, self._client._request_timeout()))
        self._check_usable()
        if self._over is not None:
            return None
        return call_goes_on(error) if known else error

    def _gone_event(self) -> CallStateEvent:
        """The end of a call that the server does not know any more: it ended, and no event said so."""
        params = {"call_id": self.call_id, "node_id": self.node_id, "call_state": CALL_STATE_ENDED}
        return CallStateEvent.from_params(params, synthetic=True, reason="call_gone")

    def _passed(self, outcome: Outcome, params: Mapping[str, Any]) -> None:
        # Nothing more will be told of it, and nothing may be done to it, such as hanging it up.
        self._giving_away = False
        if isinstance(outcome, dict):
            self._client._let_go(self, CallEnded("the call was passed back: it goes on without this client"))

    def _transferred(self, outcome: Outcome, params: Mapping[str, Any]) -> None:
        # Its events may go on.
        self._giving_away = False
        if isinstance(outcome, dict):
            self._given_away = True
            if self._over is None:
                self._client._handed_over(self)

    def _check_process(self) -> None:
        # Before any lock: at the fork another thread of the parent may have held it, and nobody here lets it go.
        if self._generation != process.generation():
            raise process.forked_error()

    def _check_usable(self) -> None:
        self._check_process()
        over = self._over
        if isinstance(over, ConnectionLost):
            raise NotConnected(over.message)  # whatever was lost then, this was never sent
        if over is not None and not isinstance(over, CallEnded):
            raise over.fresh()

    def _start(
        self, kind: type[A], params: Mapping[str, Any], *, control_id: str | None, on_completed: OnCompleted | None
    ) -> A:
        if on_completed is not None:
            on_completed = InContext(values.handler("on_completed", on_completed))
        name = values.text("control_id", control_id) or new_id()
        self._check_usable()
        self._attended = self._attended or kind.method in ATTENDS
        action = kind(self, name, on_completed, params)
        self._register(action)
        if self._over is not None:
            self._say_over(kind.method)
            action._end_early(reason_of(self._over))
            return action._hand_out()
        address = {"node_id": self.node_id, "call_id": self.call_id, "control_id": name}

        # The session remembers this until the answer comes, if ever: it must not keep a forgotten client alive.
        late = partial(stop_late, weakref.ref(self._client), action._stop_command(), address, self._session)
        began = time.monotonic()
        try:
            action.reply = self._client._command(
                kind.method, {**address, **params}, call_id=self.call_id, only_in=self._session, late=late
            )
        except CommandRefused as error:
            self._action_ended(action)
            if not is_gone(error):
                raise
            self._end_refused(action, error, began)
        except BaseException:
            self._action_ended(action)
            raise
        return action._hand_out()

    def _end_refused(self, action: Action[Any], error: CommandRefused, began: float) -> None:
        """End an action that was answered 404 or 410: with its call, or by an error where the call is live."""
        refusal = self._refusal(error, began)
        if refusal is None:
            action._end_early("call_gone")
            return
        _log.warning("call %s: %s", self.call_id, refusal.message)
        action._end_early("refused", refusal)

    def _running(self, kind: type[A]) -> list[A]:
        self._check_process()
        with self._lock:
            return [action for action in self._actions.values() if isinstance(action, kind)]

    def _register(self, action: Action[Any]) -> None:
        with self._lock:
            known = self._actions.get(action.control_id)
            if known is not None and not known.is_done:
                raise InvalidParameter("control_id", action.control_id, "an id that is not in use on this call")
            self._actions[action.control_id] = action

    def _action_ended(self, action: Action[Any]) -> None:
        with self._lock:
            if self._actions.get(action.control_id) is action:
                self._actions.pop(action.control_id, None)  # a signal handler on top of this may have done so

    def _callback(self, what: str, function: Callable[..., object], *args: Any, final: bool = True) -> None:
        self._client._callback(self, what, function, *args, final=final)

    # -- told by the client, on the IO thread ----------------------------------------------------------------------

    def _on_event(self, event: RelayEvent) -> None:
        """State first, then callbacks, then readers: whoever wakes sees a call at least as new as the event, and its callbacks
        are queued. A listener that is added then hears of later events only.
        """
        if self._over is not None:
            return
        try:
            history = self._history
            history.append(notebook_html.Moment.of(time.time(), event.event_type, event.params))
            if len(history) > REMEMBERED_EVENTS:
                # The beginning stays: a timeline without it would not say when anything happened.
                del history[1 : REMEMBERED_EVENTS // 2]
        finally:
            self._apply(event)

    def _apply(self, event: RelayEvent) -> None:
        net, over = Net(), None
        if not self.node_id and isinstance(event, CallEvent):
            self.node_id = event.node_id
        if isinstance(event, CallStateEvent) and event.call_state:
            try:  # here and below as "with net" does, for many events
                self._move(event)
            except BaseException as error:
                net.append(error)
            if event.call_state == CALL_STATE_ENDED:
                over = call_ended(self.end_reason)
                try:
                    self._client._call_over(self)
                except BaseException as error:
                    net.append(error)
            # Last: who begins to wait for the state now finds it here, and the rest done.
            self._reached.setdefault(event.call_state, event)
        elif event.event_type == EVENT_CALL_DENOISE:
            self._denoised = bool(getattr(event, "denoised", False))
        elif event.event_type == EVENT_CONFERENCE:
            self._conference_moved(event)
        control_id = event.params.get("control_id")
        action = self._actions.get(control_id) if isinstance(control_id, str) else None
        if action is not None:
            try:
                action._on_event(event)
            except BaseException as error:
                net.append(error)
        if over is not None:
            self._over = over
            with net:
                self._end_actions(over)
        final = over is not None or (action is not None and action.is_done)
        for handler in self._listeners.get(event.event_type, ()):
            try:
                self._callback("listener", handler, event, final=final)
            except BaseException as error:
                net.append(error)
        for mailbox in self._mailboxes() if self._readers else ():
            mailbox.put(event)
            if over is not None:
                mailbox.close(over)
        if net:
            net.release()

    def _move(self, event: CallStateEvent) -> None:
        """Take what a state event says of the call. Where it comes late, what is known stays, and it fills in what is not."""
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

    def _catch_up(self) -> None:
        """It is live after the connection was lost: if our answer was taken before, it is answered, though no event said so."""
        if self._answer_taken and self.state in (CALL_STATE_CREATED, CALL_STATE_RINGING) and self._over is None:
            params = {"call_id": self.call_id, "node_id": self.node_id, "call_state": CALL_STATE_ANSWERED}
            self._on_event(CallStateEvent.from_params(params, synthetic=True, reason="answer_taken"))

    def _end(self, error: RelayError) -> None:
        """The call is over for us: finish everything that waits for something of it."""
        if self._over is not None:
            return
        self._over = error
        try:
            self._end_actions(error)
        finally:
            for mailbox in self._mailboxes():
                mailbox.close(error)

    def _mailboxes(self) -> list[Mailbox[RelayEvent]]:
        """Those of the readers that are still held."""
        return [mailbox for reader in self._readers if (mailbox := reader()) is not None]

    def _end_actions(self, error: RelayError) -> None:
        # An ended call takes its actions with it, which is no error; a lost session is one.
        carried = None if isinstance(error, CallEnded) else error
        with self._lock:
            actions = list(self._actions.values())
        if actions:
            net = Net()
            for action in actions:
                with net:
                    action._end_early(reason_of(error), carried)
            net.release()


#: What replies mean for their call, by the methods that were replied to. They are given the params of the command, too.
_MEANINGS: Final[dict[str, Callable[[Call, Outcome, Mapping[str, Any]], object]]] = {
    "calling.answer": Call._answered,
    "calling.denoise": Call._denoise_begun,
    "calling.denoise.stop": Call._denoise_ended,
    "calling.join_conference": Call._joined,
    "calling.leave_conference": Call._left,
    "calling.pass": Call._passed,
    "calling.transfer": Call._transferred,
}


Call.__module__ = "relay_sync"
