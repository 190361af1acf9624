"""One call: who it is, where it stands, and waiting for what happens to it."""

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
    """A leg of a call. Made by the client for ``on_call`` handlers and by ``dial``; its verbs block."""

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
        # The client shows users nothing that only calls need.
        line, home = client._link, client._router
        self._core = CallCore(
            self, line, home, call_id, node_id, project_id, context, tag, direction, device or {}, state, segment_id
        )

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
        moments = list(self._core.history)
        picture = notebook_html.timeline(moments, now=time.time(), over=self._core.over is not None)
        return notebook_html.panel(f"Call {self.call_id}", notebook_html.table(row for row in about if row[1]), picture)

    @property
    def call_id(self) -> str:
        """The id of the call on the platform, with :attr:`node_id` its address."""
        return self._core.call_id

    @property
    def node_id(self) -> str:
        """The node of the platform that has the call."""
        return self._core.node_id

    @property
    def project_id(self) -> str:
        """The id of the project whose call it is."""
        return self._core.project_id

    @property
    def context(self) -> str:
        """The context it came in on; ``""`` for one that was dialed."""
        return self._core.context

    @property
    def tag(self) -> str:
        """The tag it was dialed with; ``""`` if there was none."""
        return self._core.tag

    @property
    def direction(self) -> str:
        """``inbound`` or ``outbound``."""
        return self._core.direction

    @property
    def device(self) -> dict[str, Any]:
        """Both parties, as the server describes them; :attr:`from_number` and :attr:`to_number` name them."""
        return self._core.device

    @property
    def segment_id(self) -> str:
        """The id that the platform gives to this part of a call."""
        return self._core.segment_id

    @property
    def state(self) -> str:
        """``created``, ``ringing``, ``answered``, ``ending`` or ``ended``: the latest one seen, in this order."""
        return self._core.state

    @property
    def end_reason(self) -> str:
        """Why it ended, as the server says (``hangup``, ``busy``, ``noAnswer``, ...); ``""`` before."""
        return self._core.end_reason

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
    def client(self) -> Client[Call]:
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
            self._core.listen(name, InContext(values.handler("handler", function)))
            return function

        return register if handler is None else register(handler)

    def events(self) -> EventReader:
        """Everything that happens to the call from now on, in order, until it ends.

        Any number of readers; each may fall 10,000 events behind. Iterating ends with the call.

        :raises QueueFull: after the events that were kept, where a reader fell too far behind.
        :raises RelayError: what ended the session or the client.
        """
        return EventReader(self._core)

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
        with Expectation(self._core, event_type, predicate, values.timeout(timeout)) as seen:
            if event_type == EVENT_CALL_STATE and predicate is not None:
                seen.consider(list(self._core.reached.values()))
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
        return Expectation(self._core, event_name(event_type), predicate, values.timeout(timeout))

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
        core = self._core
        known = core.first_state
        if known and known == core.state and core.over is None and reaches(known, state):
            params = {"call_id": core.call_id, "node_id": core.node_id, "call_state": known}
            return CallStateEvent.from_params(params, synthetic=True, reason="state_known")
        return self._wait_for(EVENT_CALL_STATE, lambda event: reaches(event.call_state, state), timeout)


#: The inner part of a call, for what delivers events to it and ends it.
core_of: Final[Callable[[Call], CallCore[Call]]] = operator.attrgetter("_core")

Call.__module__ = "relay_sync"
