"""Events for inbound calls, call states and dials.

Every client receives these events, so this module is imported with the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar

from attrs import field

from ..constants import (
    CALL_STATE_ANSWERED,
    CALL_STATE_ENDED,
    CALL_STATE_ENDING,
    CALL_STATES,
    EVENT_CALL_DIAL,
    EVENT_CALL_RECEIVE,
    EVENT_CALL_STATE,
    CallEndReason,
    CallState,
    Direction,
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
    """The state of a call changed.

    :ivar call_state: ``created``, ``ringing``, ``answered``, ``ending`` or ``ended``. A call may skip states.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar end_reason: Reason the call ended: ``hangup``, ``cancel``, ``busy``, ``noAnswer``, ``decline``, ``error``, ...
    :ivar end_source: Side that ended the call: ``inbound``, ``outbound`` or ``none``. Set in the ``ended`` state.
    :ivar direction: ``inbound`` or ``outbound``.
    :ivar device: Device at the other end of the call, with ``type`` and ``params``.
    :ivar start_time: Time at which the call started, in milliseconds since the Unix epoch; 0 if it has not started.
    :ivar answer_time: Time at which the call was answered, in milliseconds since the Unix epoch; 0 if it has not been answered.
    :ivar end_time: Time at which the call ended, in milliseconds since the Unix epoch; 0 if it has not ended.
    :ivar dial_winner: Whether this was the first leg of the dial to be answered; ``None`` if unknown.
    :ivar parent: Call whose ``connect`` created this leg; empty for other calls.
    :ivar peer: Call that this call is bridged to; empty if it is not bridged.
    :ivar sip_data: SIP headers and addresses, if this is a SIP call.
    :ivar audio_in_mos: Mean opinion score of the received audio, from 1 to 5. Set when the call ends; 0 if unknown.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_STATE

    call_state: CallState | str = ""
    end_reason: CallEndReason | str = ""
    end_source: str = ""
    direction: Direction | str = ""
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
        """Return this class's fields that are present in ``params``, keyed by attribute name.

        Parameters of the wrong type are omitted.

        :param params: Event parameters (the frame's ``params.params``).
        """
        found = super().members(params)
        if not found.get("call_state"):
            found["call_state"] = _implied_state(found, params.get("state"))
        return found


def _implied_state(found: Mapping[str, Any], word: object) -> str:
    """Infer the call state from the other parameters if ``call_state`` is missing; return ``""`` if unknown."""
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
    :ivar device: Caller's device, with ``type`` and ``params``.
    :ivar project_id: ID of the project that the call belongs to.
    :ivar context: Context in which the call arrived.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_RECEIVE

    call_state: CallState | str = ""
    direction: Direction | str = ""
    device: dict[str, Any] = field(factory=dict)
    project_id: str = ""
    context: str = ""

    @classmethod
    def from_payload(cls: type[_R], payload: Mapping[str, Any]) -> _R:
        """Create the event from a frame's payload.

        :param payload: ``{"event_type", "timestamp", "params": {...}}``.
        """
        made = super().from_payload(payload)
        return from_envelope(made, payload, "context", "project_id")


@event
class DialEvent(RelayEvent):
    """The state of a dial changed.

    The event has no ``call_id``. The ``tag`` identifies the dial.

    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    :ivar dial_state: ``dialing``, ``answered`` or ``failed``.
    :ivar call: Leg that was answered. Set in the ``answered`` state.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar reason: Reason for the ``failed`` state, or for a synthetic event.
    :ivar source: Side that ended the dial. Set in the ``failed`` state.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    """

    TYPE: ClassVar[str] = EVENT_CALL_DIAL

    tag: str = ""
    dial_state: Literal["dialing", "answered", "failed"] | str = ""
    call: dict[str, Any] = field(factory=dict)
    node_id: str = ""
    reason: str = field(default="", metadata={"wire": "reason"})
    source: str = ""
