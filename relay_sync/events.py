"""What the server reports, as typed values: one class per event type, tolerant of what is missing or unknown.

Members that the server leaves out, or sends with a wrong type, take the default of the class; what no class knows stays
reachable in :attr:`RelayEvent.params`. Shapes follow the RELAY event schemas ("calling.call.*").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, TypeVar

from attrs import define, field

from .constants import EVENT_CALL_RECEIVE, EVENT_CALL_STATE, EVENT_CALL_STREAM

__all__ = ["CallReceiveEvent", "CallStateEvent", "RelayEvent", "StreamEvent", "parse_event"]


def _text(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name, "")
    if isinstance(value, str):
        return value
    # Identifiers and names sometimes come as numbers; anything else is no text.
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else ""


def _object(params: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = params.get(name)
    return value if isinstance(value, dict) else {}


def _seconds(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            return 0.0
        return number if math.isfinite(number) else 0.0
    return 0.0


@define(kw_only=True, slots=True, eq=False)
class RelayEvent:
    """Something the server reported, or, with :attr:`synthetic`, something the SDK concluded.

    :ivar event_type: such as ``calling.call.stream``.
    :ivar params: the event's own members as they came (``params.params`` of the frame).
    :ivar call_id: the call it belongs to, or ``""``.
    :ivar timestamp: when the server sent it, seconds since 1970; ``0.0`` where it did not say.
    :ivar synthetic: made by the SDK, not by the server (a call that ended took its actions with it).
    :ivar reason: why a synthetic event was made: ``call_ended`` or ``call_gone``; else ``""``.
    """

    TYPE: ClassVar[str] = ""

    event_type: str
    params: dict[str, Any] = field(factory=dict)
    call_id: str = ""
    timestamp: float = 0.0
    synthetic: bool = False
    reason: str = ""

    @classmethod
    def members(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Pick the members this class knows out of an event's params."""
        return {}

    @classmethod
    def from_params(
        cls: type[_E],
        params: dict[str, Any],
        *,
        event_type: str = "",
        timestamp: float = 0.0,
        synthetic: bool = False,
        reason: str = "",
    ) -> _E:
        """Build the event from its own params (without the envelope)."""
        return cls(
            event_type=event_type or cls.TYPE,
            params=params,
            call_id=_text(params, "call_id"),
            timestamp=timestamp,
            synthetic=synthetic,
            reason=reason,
            **cls.members(params),
        )

    @classmethod
    def from_payload(cls: type[_E], payload: Mapping[str, Any]) -> _E:
        """Build the event from its envelope: ``{"event_type", "timestamp", "params": {...}}``."""
        params = payload.get("params")
        return cls.from_params(
            params if isinstance(params, dict) else {},
            event_type=_text(payload, "event_type"),
            timestamp=_seconds(payload.get("timestamp")),
        )


_E = TypeVar("_E", bound=RelayEvent)
_KNOWN: Final[dict[str, type[RelayEvent]]] = {}


def _known(cls: type[_E]) -> type[_E]:
    _KNOWN[cls.TYPE] = cls
    return cls


@_known
@define(kw_only=True, slots=True, eq=False)
class CallStateEvent(RelayEvent):
    """A call moved to another state.

    :ivar call_state: ``created``, ``ringing``, ``answered``, ``ending`` or ``ended``; any may be skipped.
    :ivar end_reason: with ``ended``: ``hangup``, ``cancel``, ``busy``, ``noAnswer``, ``decline``, ``error``, ...
    :ivar end_source: with ``ended``: which side ended it, where the server says so.
    """

    TYPE: ClassVar[str] = EVENT_CALL_STATE

    call_state: str = ""
    end_reason: str = ""
    end_source: str = ""
    direction: str = ""
    device: dict[str, Any] = field(factory=dict)
    node_id: str = ""
    tag: str = ""

    @classmethod
    def members(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "call_state": _text(params, "call_state"),
            "end_reason": _text(params, "end_reason"),
            "end_source": _text(params, "end_source"),
            "direction": _text(params, "direction"),
            "device": _object(params, "device"),
            "node_id": _text(params, "node_id"),
            "tag": _text(params, "tag"),
        }


@_known
@define(kw_only=True, slots=True, eq=False)
class CallReceiveEvent(RelayEvent):
    """A call came in on one of the client's contexts."""

    TYPE: ClassVar[str] = EVENT_CALL_RECEIVE

    call_state: str = ""
    direction: str = ""
    device: dict[str, Any] = field(factory=dict)
    node_id: str = ""
    project_id: str = ""
    context: str = ""
    segment_id: str = ""
    tag: str = ""

    @classmethod
    def members(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "call_state": _text(params, "call_state"),
            "direction": _text(params, "direction"),
            "device": _object(params, "device"),
            "node_id": _text(params, "node_id"),
            "project_id": _text(params, "project_id"),
            "context": _text(params, "context"),
            "segment_id": _text(params, "segment_id"),
            "tag": _text(params, "tag"),
        }


@_known
@define(kw_only=True, slots=True, eq=False)
class StreamEvent(RelayEvent):
    """A stream started or ended.

    :ivar state: ``streaming`` while media flows, ``finished`` at the end; no other state is documented.
    :ivar url: where the audio goes. :ivar name: the label given at its start.
    """

    TYPE: ClassVar[str] = EVENT_CALL_STREAM

    control_id: str = ""
    state: str = ""
    url: str = ""
    name: str = ""

    @classmethod
    def members(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "control_id": _text(params, "control_id"),
            "state": _text(params, "state"),
            "url": _text(params, "url"),
            "name": _text(params, "name"),
        }


def parse_event(payload: Mapping[str, Any]) -> RelayEvent:
    """Turn an event's envelope into the class of its type, or :class:`RelayEvent` where the type is unknown."""
    build: Callable[[Mapping[str, Any]], RelayEvent] = RelayEvent.from_payload
    event_type = payload.get("event_type")
    if isinstance(event_type, str) and event_type in _KNOWN:
        build = _KNOWN[event_type].from_payload
    return build(payload)


for _name in __all__:
    globals()[_name].__module__ = "relay_sync"
