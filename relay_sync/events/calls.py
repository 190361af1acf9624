"""Calls as a whole: offers, states, dials. What every client meets is made when the package is imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from attrs import field

from ..constants import (
    CALL_STATE_ANSWERED,
    CALL_STATE_ENDED,
    CALL_STATE_ENDING,
    CALL_STATES,
    EVENT_CALL_DIAL,
    EVENT_CALL_RECEIVE,
    EVENT_CALL_STATE,
)
from .base import CallEvent, RelayEvent, event, from_envelope

__all__ = [
    "CallReceiveEvent",
    "CallStateEvent",
    "DialEvent",
]

_R = TypeVar("_R", bound="CallReceiveEvent")


@event
class CallStateEvent(CallEvent):
    """The call moved to another state.

    :ivar call_state: ``created``, ``ringing``, ``answered``, ``ending`` or ``ended``. A call may skip states.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar end_reason: With ``ended``: ``hangup``, ``cancel``, ``busy``, ``noAnswer``, ``decline``, ``error``, ...
    :ivar end_source: With ``ended``: the side that ended the call, ``inbound``, ``outbound`` or ``none``.
    :ivar direction: ``inbound`` or ``outbound``.
    :ivar device: The device at the other end, with ``type`` and ``params``.
    :ivar start_time: When the call started, in milliseconds since 1970; 0 until then.
    :ivar answer_time: When the call was answered, in milliseconds since 1970; 0 until then.
    :ivar end_time: When the call ended, in milliseconds since 1970; 0 until then.
    :ivar dial_winner: Whether this leg won its dial; ``None`` if the server does not say.
    :ivar parent: On legs that ``connect`` created: the call that created the leg.
    :ivar peer: The call that this call is bridged to.
    :ivar sip_data: Headers and addresses of a SIP leg.
    :ivar audio_in_mos: Speech quality at the end of the call, 1 to 5; 0 if unknown.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_STATE

    call_state: str = ""
    end_reason: str = ""
    end_source: str = ""
    direction: str = ""
    device: dict[str, Any] = field(factory=dict)
    start_time: int = 0
    answer_time: int = 0
    end_time: int = 0
    dial_winner: bool | None = None
    parent: dict[str, Any] = field(factory=dict)
    peer: dict[str, Any] = field(factory=dict)
    sip_data: dict[str, Any] = field(factory=dict, repr=False)
    audio_in_mos: float = 0.0

    @classmethod
    def members(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Pick the members that this class knows from an event's params. Leave out missing and ill-typed members.

        :param params: The event's own members (``params.params`` of the frame).
        """
        found = super().members(params)
        if not found.get("call_state"):
            found["call_state"] = _state_told(found, params.get("state"))
        return found


def _state_told(found: Mapping[str, Any], word: object) -> str:
    """The state of a call whose event leaves ``call_state`` out: what its other members can only mean."""
    if isinstance(word, str) and word in CALL_STATES:
        return word
    if found.get("end_time", 0) > 0:
        return CALL_STATE_ENDED
    if found.get("end_reason"):
        return CALL_STATE_ENDING
    return CALL_STATE_ANSWERED if found.get("answer_time", 0) > 0 else ""


@event
class CallReceiveEvent(CallEvent):
    """A call arrived in one of the client's contexts.

    :ivar call_state: ``created`` or ``ringing``.
    :ivar direction: ``inbound``.
    :ivar device: The device of the caller, with ``type`` and ``params``.
    :ivar project_id: ID of the project that the call belongs to (from the envelope).
    :ivar context: The context that the call arrived in.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_RECEIVE

    call_state: str = ""
    direction: str = ""
    device: dict[str, Any] = field(factory=dict)
    project_id: str = ""
    context: str = ""

    @classmethod
    def from_payload(cls: type[_R], payload: Mapping[str, Any]) -> _R:
        """Build the event from its envelope.

        :param payload: The envelope: ``{"event_type", "timestamp", "params": {...}}``.
        """
        made = super().from_payload(payload)
        return from_envelope(made, payload, "context", "project_id")


@event
class DialEvent(RelayEvent):
    """A dial made progress. The event has no ``call_id``; its ``tag`` identifies the dial.

    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    :ivar dial_state: ``dialing``, ``answered`` or ``failed``.
    :ivar call: With ``answered``: the state of the leg that won.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar reason: With ``failed``: why. In a synthetic event: why the SDK created it.
    :ivar source: With ``failed``: the side that ended the dial.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    """

    TYPE: ClassVar[str] = EVENT_CALL_DIAL

    tag: str = ""
    dial_state: str = ""
    call: dict[str, Any] = field(factory=dict)
    node_id: str = ""
    reason: str = field(default="", metadata={"wire": "reason"})
    source: str = ""
