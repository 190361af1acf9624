"""Call: the identity and state of one call, and waiting for its events."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from .. import notebook_html
from ..constants import (
    CALL_STATE_ANSWERED,
    CALL_STATE_ENDED,
    CALL_STATE_ENDING,
    CALL_STATE_RINGING,
    EVENT_CALL_STATE,
    CallEndReason,
    CallState,
    Direction,
)
from ..events import CallStateEvent
from ..protocol.standing import reaches
from .core import CallCore
from .offer import PARTIES
from .readers import EventReader
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
    from .event_overloads import EventOverloads as EventMethods
    from .owner import Client
else:
    from .event_methods import EventMethods

__all__ = ["Call", "core_of"]


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
    EventMethods,
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
        direction: Direction | str = "",
        device: dict[str, Any] | None = None,
        state: CallState | str = "",
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
    def direction(self) -> Direction | str:
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
    def state(self) -> CallState | str:
        """The latest state: ``created``, ``ringing``, ``answered``, ``ending`` or ``ended``, in this order.

        A state that this SDK does not know is kept as the platform sent it; ``""`` if the platform has not reported one.
        """
        return self._core.state

    @property
    def end_reason(self) -> CallEndReason | str:
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

    def events(self) -> EventReader:
        """Return an iterator over all events of the call from now on, in order, until the call ends.

        There may be any number of iterators. Each buffers up to 10,000 events.

        :raises QueueFull: raised by the iterator after the buffered events, if it fell too far behind.
        :raises RelayError: raised by the iterator: the error that ended the call's session or closed the client.
        :raises Forked: the call belongs to the parent process.
        """
        return EventReader(self._core)

    def wait_for_ringing(self, timeout: float | None = None) -> CallStateEvent:
        """Block until the call rings. Later states count as well.

        :param timeout: seconds to wait; ``None`` waits until the call ends.
        :return: the state event.
        :raises WaitTimeout: the timeout expired; you can wait again.
        :raises CallEnded: the call ended before it rang; ``end_reason`` tells why.
        :raises RelayError: the error that ended the call's session or closed the client.
        """
        return self._wait_for_state(CALL_STATE_RINGING, timeout)

    def wait_for_answered(self, timeout: float | None = None) -> CallStateEvent:
        """Block until the call is answered.

        :param timeout: seconds to wait; ``None`` waits until the call ends.
        :return: the state event.
        :raises WaitTimeout: the timeout expired; you can wait again.
        :raises CallEnded: the call ended without being answered; ``end_reason`` tells why.
        :raises RelayError: the error that ended the call's session or closed the client.
        """
        return self._wait_for_state(CALL_STATE_ANSWERED, timeout)

    def wait_for_ending(self, timeout: float | None = None) -> CallStateEvent:
        """Block until the call is ending or has ended.

        :param timeout: seconds to wait; ``None`` waits indefinitely.
        :return: the state event.
        :raises WaitTimeout: the timeout expired; you can wait again.
        :raises RelayError: the error that ended the call's session or closed the client.
        """
        return self._wait_for_state(CALL_STATE_ENDING, timeout)

    def wait_for_ended(self, timeout: float | None = None) -> CallStateEvent:
        """Block until the call has ended; :attr:`end_reason` then tells why.

        :param timeout: seconds to wait; ``None`` waits indefinitely.
        :return: the state event.
        :raises WaitTimeout: the timeout expired; you can wait again.
        :raises RelayError: the error that ended the call's session or closed the client.
        """
        return self._wait_for_state(CALL_STATE_ENDED, timeout)

    def _wait_for_state(self, state: str, timeout: float | None) -> CallStateEvent:
        # The initial state counts as well as later ones, but not the state of an event that is being applied:
        # the wait then returns that event.
        core = self._core
        known = core.first_state
        if known and known == core.state and core.over is None and reaches(known, state):
            params = {"call_id": core.call_id, "node_id": core.node_id, "call_state": known}
            return CallStateEvent.from_params(params, synthetic=True, reason="state_known")
        event: CallStateEvent = self._wait_for(EVENT_CALL_STATE, lambda one: reaches(one.call_state, state), timeout)
        return event


#: Returns the inner part of a call, for the code that delivers events and ends calls.
core_of: Final[Callable[[Call], CallCore[Call]]] = operator.attrgetter("_core")

Call.__module__ = "relay_sync"
