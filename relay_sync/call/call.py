"""The public class for calls."""

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
    from .owner import Client, Owner
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
    """A call, or one leg of a bridged call.

    The client creates calls: it passes inbound calls to the ``on_call`` handler and returns outbound calls from ``dial``. Methods
    that send a command block until the server replies. In addition to the listed errors, they may raise :class:`ClientClosed`,
    :class:`QueueFull` (too many unsent commands), :class:`WrongThread` and :class:`Forked`.

    :param client: client that the call belongs to.
    :param call_id: ID of the call.
    :param node_id: ID of the platform node that handles the call.
    :param project_id: ID of the project that the call belongs to.
    :param context: context in which the inbound call arrived.
    :param tag: tag passed to ``dial`` or ``connect``.
    :param direction: ``inbound`` or ``outbound``.
    :param device: the server's description of the caller and callee.
    :param state: initial state of the call.
    :param segment_id: ID of this call leg in the platform's records.
    """

    _core: CallCore[Call]

    def __init__(
        self,
        client: Owner[Call],
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
        # These attributes are private because only calls use them.
        line, home = client._link, client._router
        self._core = CallCore(
            self, line, home, call_id, node_id, project_id, context, tag, direction, device or {}, state, segment_id
        )

    def __repr__(self) -> str:
        return f"<Call {self.call_id} {self.direction} {self.state}>"

    def _repr_html_(self) -> str:
        """Return the HTML representation for notebooks, with a timeline of events."""
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
        """ID of the call. Commands address a call by its :attr:`call_id` and :attr:`node_id`."""
        return self._core.call_id

    @property
    def node_id(self) -> str:
        """ID of the platform node that handles the call."""
        return self._core.node_id

    @property
    def project_id(self) -> str:
        """ID of the project that the call belongs to."""
        return self._core.project_id

    @property
    def context(self) -> str:
        """Context in which the call arrived; ``""`` for outbound calls."""
        return self._core.context

    @property
    def tag(self) -> str:
        """Tag passed to ``dial`` or ``connect``; ``""`` if there is none."""
        return self._core.tag

    @property
    def direction(self) -> Direction | str:
        """Direction of the call: ``inbound`` or ``outbound``."""
        return self._core.direction

    @property
    def device(self) -> dict[str, Any]:
        """The server's description of the caller and callee. See also :attr:`from_number` and :attr:`to_number`."""
        return self._core.device

    @property
    def segment_id(self) -> str:
        """ID of this call leg in the platform's records."""
        return self._core.segment_id

    @property
    def state(self) -> CallState | str:
        """Call state: ``created``, ``ringing``, ``answered``, ``ending`` or ``ended``, in that order. States may be skipped.

        The value is ``""`` until the server reports a state. It may also be a newer state that this SDK does not know.
        """
        return self._core.state

    @property
    def end_reason(self) -> CallEndReason | str:
        """Reason the call ended, such as ``hangup``, ``busy`` or ``noAnswer``; ``""`` until the call has ended."""
        return self._core.end_reason

    @property
    def from_number(self) -> str:
        """Phone number, SIP address or Fabric address of the caller; ``""`` if unknown."""
        return self._party("from_number", "from")

    @property
    def to_number(self) -> str:
        """Phone number, SIP address or Fabric address of the callee; ``""`` if unknown."""
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
        """Return an iterator over the call's events.

        The iterator returns all events that arrive after this method is called, and stops when the call ends. It buffers up to
        10,000 events. A call can have several iterators. Use ``isinstance(event, StreamEvent)`` to tell events apart.

        :raises QueueFull: the buffer overflowed. Raised by the iterator after it has returned the buffered events.
        :raises RelayError: the call's session ended, or the client was closed. Raised by the iterator.
        :raises Forked: the call belongs to the parent process.
        """
        return EventReader(self._core)

    def wait_for_ringing(self, timeout: float | None = None) -> CallStateEvent:
        """Wait until the call is ringing or has reached a later state.

        :param timeout: maximum time to wait, in seconds; ``None`` waits until the call ends.
        :return: the event that reported the state.
        :raises WaitTimeout: the timeout expired. You can wait again.
        :raises CallEnded: the call ended before it rang. ``end_reason`` says why.
        :raises RelayError: the call's session ended, or the client was closed.
        """
        return self._wait_for_state(CALL_STATE_RINGING, timeout)

    def wait_for_answered(self, timeout: float | None = None) -> CallStateEvent:
        """Wait until the call is answered.

        :param timeout: maximum time to wait, in seconds; ``None`` waits until the call ends.
        :return: the event that reported the state.
        :raises WaitTimeout: the timeout expired. You can wait again.
        :raises CallEnded: the call ended without being answered. ``end_reason`` says why.
        :raises RelayError: the call's session ended, or the client was closed.
        """
        return self._wait_for_state(CALL_STATE_ANSWERED, timeout)

    def wait_for_ending(self, timeout: float | None = None) -> CallStateEvent:
        """Wait until the call is ending or has ended.

        :param timeout: maximum time to wait, in seconds; ``None`` waits indefinitely.
        :return: the event that reported the state.
        :raises WaitTimeout: the timeout expired. You can wait again.
        :raises RelayError: the call's session ended, or the client was closed.
        """
        return self._wait_for_state(CALL_STATE_ENDING, timeout)

    def wait_for_ended(self, timeout: float | None = None) -> CallStateEvent:
        """Wait until the call has ended. :attr:`end_reason` says why.

        :param timeout: maximum time to wait, in seconds; ``None`` waits indefinitely.
        :return: the event that reported the state.
        :raises WaitTimeout: the timeout expired. You can wait again.
        :raises RelayError: the call's session ended, or the client was closed.
        """
        return self._wait_for_state(CALL_STATE_ENDED, timeout)

    def _wait_for_state(self, state: str, timeout: float | None) -> CallStateEvent:
        # If the call is already in the state and there was no event for it, return a synthetic event. Do not do this while the
        # IO thread is processing an event that changes the state. The wait then returns that event.
        core = self._core
        known = core.first_state
        if known and known == core.state and core.over is None and reaches(known, state):
            params = {"call_id": core.call_id, "node_id": core.node_id, "call_state": known}
            return CallStateEvent.from_params(params, synthetic=True, reason="state_known")
        event: CallStateEvent = self._wait_for(EVENT_CALL_STATE, lambda one: reaches(one.call_state, state), timeout)
        return event


#: Return the internal part of a call, for the code that delivers events and ends calls.
core_of: Final[Callable[[Call], CallCore[Call]]] = operator.attrgetter("_core")

Call.__module__ = "relay_sync"
