"""Call: the identity and state of one call, and waiting for its events."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from .. import notebook_html
from ..constants import (
    CALL_STATE_ANSWERED,
    CALL_STATE_ENDED,
    CALL_STATE_ENDING,
    CALL_STATE_RINGING,
    EVENT_CALL_STATE,
)
from ..events import CallStateEvent, RelayEvent
from ..events.names import event_name
from ..params import values
from ..protocol.standing import reaches
from ..threads.lanes import InContext
from .core import CallCore
from .offer import PARTIES
from .readers import EventReader, Expectation
from .verbs.ai import AIVerbs
from .verbs.conference import ConferenceVerbs
from .verbs.control import ControlVerbs
from .verbs.fax_pay import FaxPayVerbs
from .verbs.input import InputVerbs
from .verbs.listening import ListeningVerbs
from .verbs.media import MediaVerbs
from .verbs.routing import RoutingVerbs
from .verbs.stream import StreamVerbs

if TYPE_CHECKING:
    from .owner import Client

__all__ = ["Call", "core_of"]

E = TypeVar("E", bound=RelayEvent)
Predicate = Callable[[Any], object]
Handler = Callable[[Any], object]
H = TypeVar("H", bound=Handler)


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
    """One leg of a call. The client creates it for ``on_call`` handlers and for ``dial``; its verbs block.

    Besides the errors that it lists, every verb may raise :class:`ClientClosed`, :class:`QueueFull` (too many unsent commands),
    :class:`WrongThread` and :class:`Forked`.

    :param client: the client that the call belongs to.
    :param call_id: the call's id on the platform.
    :param node_id: the platform's node that handles the call.
    :param project_id: id of the project that the call belongs to.
    :param context: the context that an inbound call arrived in.
    :param tag: the tag that the call was dialed with.
    :param direction: ``inbound`` or ``outbound``.
    :param device: both parties, as the server describes them.
    :param state: the call state when this object is created.
    :param segment_id: the platform's id of this part of a call.
    """

    _core: CallCore[Call]

    def __init__(
        self,
        client: Client[Call],
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
        self._client = client
        # Private: only calls need these.
        line, home = client._link, client._router
        self._core = CallCore(
            self, line, home, call_id, node_id, project_id, context, tag, direction, device or {}, state, segment_id
        )

    def __repr__(self) -> str:
        return f"<Call {self.call_id} {self.direction} {self.state}>"

    def _repr_html_(self) -> str:
        """Show the call and a timeline of its events in a notebook."""
        parties = self.device.get("params")
        numbers = parties.items() if isinstance(parties, dict) else ()
        about = [
            ("state", self.state + (f" ({self.end_reason})" if self.end_reason else "")),
            ("direction", self.direction),
            *((name, value) for name, value in numbers if name in PARTIES),
            ("context", self.context),
        ]
        moments = list(self._core.history)
        picture = notebook_html.timeline(moments, now=time.time(), over=self._core.over is not None)
        return notebook_html.panel(f"Call {self.call_id}", notebook_html.table(row for row in about if row[1]), picture)

    @property
    def call_id(self) -> str:
        """The call's id on the platform; together with :attr:`node_id` it addresses the call."""
        return self._core.call_id

    @property
    def node_id(self) -> str:
        """The platform's node that handles the call."""
        return self._core.node_id

    @property
    def project_id(self) -> str:
        """The id of the project that the call belongs to."""
        return self._core.project_id

    @property
    def context(self) -> str:
        """The context that the call arrived in; ``""`` for an outbound call."""
        return self._core.context

    @property
    def tag(self) -> str:
        """The tag that the call was dialed with; ``""`` if there was none."""
        return self._core.tag

    @property
    def direction(self) -> str:
        """``inbound`` or ``outbound``."""
        return self._core.direction

    @property
    def device(self) -> dict[str, Any]:
        """Both parties, as the server describes them; :attr:`from_number` and :attr:`to_number` identify them."""
        return self._core.device

    @property
    def segment_id(self) -> str:
        """The platform's id of this part of a call."""
        return self._core.segment_id

    @property
    def state(self) -> str:
        """The latest state: ``created``, ``ringing``, ``answered``, ``ending`` or ``ended``, in this order."""
        return self._core.state

    @property
    def end_reason(self) -> str:
        """Why the call ended, as reported by the server (``hangup``, ``busy``, ``noAnswer``, ...); ``""`` before the end."""
        return self._core.end_reason

    @property
    def from_number(self) -> str:
        """The caller: a number, or the address of a SIP or Fabric device; ``""`` if the server does not report it."""
        return self._party("from_number", "from")

    @property
    def to_number(self) -> str:
        """The callee: a number, or the address of a SIP or Fabric device; ``""`` if the server does not report it."""
        return self._party("to_number", "to")

    def _party(self, *names: str) -> str:
        params = self.device.get("params")
        found = [params.get(name) for name in names] if isinstance(params, dict) else []
        return next((str(one) for one in found if type(one) in (str, int) and one), "")

    @property
    def client(self) -> Client[Call]:
        """The client that the call belongs to."""
        return self._client

    # -- listening -----------------------------------------------------------------------------------------------

    @overload
    def on(self, event_type: type[E], handler: Callable[[E], object]) -> Callable[[E], object]: ...

    @overload
    def on(self, event_type: str, handler: H) -> H: ...

    @overload
    def on(self, event_type: str | type[RelayEvent]) -> Callable[[H], H]: ...

    def on(self, event_type: str | type[RelayEvent], handler: Any = None) -> Any:
        """Register a handler for every event of a type.

        The handlers of a call run one at a time and in order, on a thread where they may block. While 10,000 callbacks of the
        call are waiting, further events are dropped with a warning, except the end of the call and the ends of its actions.

        :param event_type: event name, such as ``calling.call.state``, or event class, such as :class:`CallStateEvent`. A
            ``calling.`` name that this SDK does not know, and that is not similar to a known name, is accepted with a warning, as
            the platform may have new events. :meth:`events` returns all events.
        :param handler: function that takes the event. Without it, ``on`` is a decorator.
        :return: the handler, or the decorator.
        :raises InvalidParameter: calls have no such event, or the handler is not a regular function.
        :raises Forked: the call belongs to the parent process.
        """
        name = event_name(event_type)

        def register(function: Handler) -> Handler:
            self._core.listen(name, InContext(values.handler("handler", function)))
            return function

        return register if handler is None else register(handler)

    def events(self) -> EventReader:
        """Return an iterator over all events of the call from now on, in order, until the call ends.

        There may be any number of iterators. Each buffers up to 10,000 events.

        :raises QueueFull: raised by the iterator after the buffered events, if it fell too far behind.
        :raises RelayError: raised by the iterator: the error that ended the call's session or closed the client.
        :raises Forked: the call belongs to the parent process.
        """
        return EventReader(self._core)

    def wait_for(
        self, event_type: str | type[RelayEvent], predicate: Predicate | None = None, timeout: float | None = None
    ) -> RelayEvent:
        """Block until an event of a type arrives for which the predicate is true.

        With a predicate, a call state that the call has already reached counts as well; other events count from now on. For an
        event that a verb causes, use :meth:`expect`: it starts listening before the verb runs.

        :param event_type: event name, such as ``calling.call.state``, or event class, such as :class:`CallStateEvent`.
        :param predicate: takes the event and returns whether it matches; runs on the calling thread. By default every event of
            the type matches.
        :param timeout: seconds to wait; ``None`` waits until the call ends.
        :return: the event.
        :raises InvalidParameter: calls have no such event, or the predicate is not a regular function.
        :raises WaitTimeout: the timeout expired; wait again if you like.
        :raises CallEnded: the call ended first; ``end_reason`` tells why.
        :raises RelayError: the error that ended the call's session or closed the client.
        """
        if predicate is not None:
            values.handler("predicate", predicate)
        return self._wait_for(event_name(event_type), predicate, timeout)

    def _wait_for(self, event_type: str, predicate: Predicate | None, timeout: float | None) -> RelayEvent:
        with Expectation(self._core, event_type, predicate, values.timeout(timeout)) as seen:
            if event_type == EVENT_CALL_STATE and predicate is not None:
                seen.consider(list(self._core.reached.values()))
        event: RelayEvent = seen.value
        return event

    def expect(
        self, event_type: str | type[RelayEvent], predicate: Predicate | None = None, timeout: float | None = None
    ) -> Expectation:
        """Wait for an event that the ``with`` block causes. Listening starts before the block runs, so the event cannot be
        missed.

        ::

            with call.expect("calling.call.state", lambda e: e.call_state == "answered", timeout=5) as seen:
                call.answer()
            event = seen.value

        The errors below, other than ``InvalidParameter``, are raised at the end of the block.

        :param event_type: event name, such as ``calling.call.state``, or event class, such as :class:`CallStateEvent`.
        :param predicate: takes the event and returns whether it matches; runs on the calling thread. By default every event of
            the type matches.
        :param timeout: seconds to wait, counted from the start of the block; ``None`` waits until the call ends.
        :return: the context manager; its ``value`` is the event, available after the block.
        :raises InvalidParameter: calls have no such event, or the predicate is not a regular function.
        :raises WaitTimeout: the timeout expired; wait again if you like.
        :raises CallEnded: the call ended first; ``end_reason`` tells why.
        :raises RelayError: the error that ended the call's session or closed the client.
        """
        if predicate is not None:
            values.handler("predicate", predicate)
        return Expectation(self._core, event_name(event_type), predicate, values.timeout(timeout))

    def wait_for_ringing(self, timeout: float | None = None) -> RelayEvent:
        """Block until the call rings. Later states count as well.

        :param timeout: seconds to wait; ``None`` waits until the call ends.
        :return: the state event.
        :raises WaitTimeout: the timeout expired; wait again if you like.
        :raises CallEnded: the call ended before it rang; ``end_reason`` tells why.
        :raises RelayError: the error that ended the call's session or closed the client.
        """
        return self._wait_for_state(CALL_STATE_RINGING, timeout)

    def wait_for_answered(self, timeout: float | None = None) -> RelayEvent:
        """Block until the call is answered.

        :param timeout: seconds to wait; ``None`` waits until the call ends.
        :return: the state event.
        :raises WaitTimeout: the timeout expired; wait again if you like.
        :raises CallEnded: the call ended without being answered; ``end_reason`` tells why.
        :raises RelayError: the error that ended the call's session or closed the client.
        """
        return self._wait_for_state(CALL_STATE_ANSWERED, timeout)

    def wait_for_ending(self, timeout: float | None = None) -> RelayEvent:
        """Block until the call is ending or has ended.

        :param timeout: seconds to wait; ``None`` waits indefinitely.
        :return: the state event.
        :raises WaitTimeout: the timeout expired; wait again if you like.
        :raises RelayError: the error that ended the call's session or closed the client.
        """
        return self._wait_for_state(CALL_STATE_ENDING, timeout)

    def wait_for_ended(self, timeout: float | None = None) -> RelayEvent:
        """Block until the call has ended; :attr:`end_reason` then tells why.

        :param timeout: seconds to wait; ``None`` waits indefinitely.
        :return: the state event.
        :raises WaitTimeout: the timeout expired; wait again if you like.
        :raises RelayError: the error that ended the call's session or closed the client.
        """
        return self._wait_for_state(CALL_STATE_ENDED, timeout)

    def _wait_for_state(self, state: str, timeout: float | None) -> RelayEvent:
        # The initial state counts as well as later ones, but not the state of an event that is being applied:
        # the wait then returns that event.
        core = self._core
        known = core.first_state
        if known and known == core.state and core.over is None and reaches(known, state):
            params = {"call_id": core.call_id, "node_id": core.node_id, "call_state": known}
            return CallStateEvent.from_params(params, synthetic=True, reason="state_known")
        return self._wait_for(EVENT_CALL_STATE, lambda event: reaches(event.call_state, state), timeout)


#: Returns the inner part of a call, for the code that delivers events and ends calls.
core_of: Final[Callable[[Call], CallCore[Call]]] = operator.attrgetter("_core")

Call.__module__ = "relay_sync"
