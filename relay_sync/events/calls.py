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
    """A call moved to another state.

    :ivar call_state: ``created``, ``ringing``, ``answered``, ``ending`` or ``ended``; any may be skipped.
    :ivar end_reason: with ``ended``: ``hangup``, ``cancel``, ``busy``, ``noAnswer``, ``decline``, ``error``, ...
    :ivar end_source: with ``ended``: ``inbound``, ``outbound`` or ``none``: which side ended it.
    :ivar direction: ``inbound`` or ``outbound``. :ivar device: who is at the other end.
    :ivar start_time: and :ivar answer_time: and :ivar end_time: epoch milliseconds, 0 until reached.
    :ivar dial_winner: the leg that won its dial; ``None`` where the server does not say.
    :ivar parent: on legs made by ``connect``: the call that made it. :ivar peer: the call it is bridged to.
    :ivar sip_data: headers and addresses of a SIP leg. :ivar audio_in_mos: speech quality at the end, 1 to 5; 0 if unknown.
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
    """A call came in on one of the client's contexts.

    :ivar call_state: ``created`` or ``ringing``. :ivar context: the context it came in on.
    :ivar device: who calls whom. :ivar project_id: whose call it is (from the envelope).
    """

    TYPE: ClassVar[str] = EVENT_CALL_RECEIVE

    call_state: str = ""
    direction: str = ""
    device: dict[str, Any] = field(factory=dict)
    project_id: str = ""
    context: str = ""

    @classmethod
    def from_payload(cls: type[_R], payload: Mapping[str, Any]) -> _R:
        made = super().from_payload(payload)
        return from_envelope(made, payload, "context", "project_id")


@event
class DialEvent(RelayEvent):
    """A dial made progress. It has no ``call_id``: it is about the tag.

    :ivar dial_state: ``dialing``, ``answered`` or ``failed``. :ivar call: with ``answered``: the state of the leg that won.
    :ivar reason: and :ivar source: with ``failed``: why, and which side it was.
    """

    TYPE: ClassVar[str] = EVENT_CALL_DIAL

    tag: str = ""
    dial_state: str = ""
    call: dict[str, Any] = field(factory=dict)
    node_id: str = ""
    reason: str = field(default="", metadata={"wire": "reason"})
    source: str = ""
