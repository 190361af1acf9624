"""Members of request bodies for tests that write the server's side themselves."""

from __future__ import annotations

from typing import Any, Final

from ....errors import InvalidParameter
from ....params import values
from ...core.method_table import METHODS
from ...methods.scripts import ScriptedEvent, ScriptedLeg, usual_event
from ...people.phone import STATES
from . import kinds
from .kinds import Kind, number, one_of
from .requests import FLAG, NEEDED, SESSION, TIMES, WORD, Member

__all__ = ["ADD_CALL", "DIAL", "EVENTS_HAVE_TYPES", "FRAME", "HAS_SECRET", "MODES", "PROJECT", "SCRIPT", "STATE"]


def _made(name: str, make: Any, **members: Any) -> Any:
    """Make an object, and let the error of a wrong member name the parameter."""
    try:
        return make(**members)
    except InvalidParameter as wrong:
        raise InvalidParameter(name, wrong.value, f"in {wrong.parameter}, {wrong.accepted}") from None


def _events(name: str, value: Any) -> list[ScriptedEvent]:
    return [_made(name, ScriptedEvent, **{"params": {}, **each}) for each in value]


def _leg(name: str, value: Any) -> ScriptedLeg:
    members = dict(value)
    if "id" in members:
        members["call_id"] = members.pop("id")
    made: ScriptedLeg = _made(name, ScriptedLeg, **members)
    return made


_SECONDS: Final = number(low=0)
_EVENT: Final = {
    "type": "object",
    "properties": {"params": kinds.OBJECT.schema, "at": _SECONDS.schema, "event_type": kinds.TEXT.schema},
    "additionalProperties": False,
}
_STATES: Final = {"type": "array", "items": one_of(*STATES).schema}
_LEG: Final = {
    "type": "object",
    "properties": {"id": kinds.NAME.schema, "states": _STATES, "at": _SECONDS.schema, "delay": _SECONDS.schema},
    "additionalProperties": False,
}
_DEVICE: Final = {
    "type": "object",
    "properties": {"type": {"type": "string"}, "params": {"type": "object"}},
    "required": ["type", "params"],
}
_JSON_OBJECT: Final = Kind(
    {"type": "object"}, "a JSON object", lambda name, value: values.json_object(name, value, optional=False)
)

_SECRET: Final = Member(Kind(kinds.NAME.schema, "a non-empty string", values.secret))

#: A call that a session's client controls.
ADD_CALL: Final[dict[str, Member]] = {
    "to": Member(kinds.PARTY, required=True),
    "from": Member(kinds.CALLER, "from_", required=True),
    "id": Member(kinds.NAME, "call_id"),
    "node_id": WORD,
    "state": Member(one_of(*STATES[:-1])),
    "direction": Member(one_of("inbound", "outbound")),
    "tag": Member(kinds.TEXT),
    "context": Member(kinds.TEXT),
}
#: The state of a call.
STATE: Final[dict[str, Member]] = {"state": Member(one_of(*STATES), required=True), "announce": FLAG}
#: A frame for one session or for all.
FRAME: Final[dict[str, Member]] = {"frame": Member(kinds.ANY, required=True, nullable=True), "session": SESSION}
#: The reply to a method and the events after it.
SCRIPT: Final[dict[str, Member]] = {
    "method": NEEDED,
    "events": Member(
        Kind({"type": "array", "items": _EVENT}, "a list of events with params, at and event_type", _events)
    ),
    "reply": Member(_JSON_OBJECT, nullable=True),
    "session": SESSION,
    **TIMES,
}
#: Condition of :data:`SCRIPT`: events have a type, unless they have the method's usual type.
EVENTS_HAVE_TYPES: Final[dict[str, Any]] = {
    "anyOf": [
        {"properties": {"method": {"enum": sorted(filter(usual_event, METHODS))}}},
        {
            "properties": {
                "events": {"items": {"properties": {"event_type": kinds.NAME.schema}, "required": ["event_type"]}}
            }
        },
    ]
}
#: The course of a dial.
DIAL: Final[dict[str, Member]] = {
    "winner": Member(Kind(_LEG, "a leg with id, states, at and delay", _leg), required=True, nullable=True),
    "losers": Member(
        Kind(
            {"type": "array", "items": _LEG},
            "a list of legs with id, states, at and delay",
            lambda name, value: [_leg(name, each) for each in value],
        )
    ),
    "reason": Member(kinds.TEXT),
    "delay": Member(_SECONDS),
    "dialing": FLAG,
    "tag": Member(kinds.TEXT, nullable=True),
    "node_id": Member(kinds.NAME, nullable=True),
    "device": Member(Kind(_DEVICE, "an object with the members type and params"), nullable=True),
    "session": SESSION,
    **TIMES,
}
#: Credentials of a project.
PROJECT: Final[dict[str, Member]] = {"project": NEEDED, "token": _SECRET, "jwt_token": _SECRET}
#: Condition of credentials that are added.
HAS_SECRET: Final[dict[str, Any]] = {"anyOf": [{"required": ["token"]}, {"required": ["jwt_token"]}]}
#: What the simulator does with all requests.
MODES: Final[dict[str, Member]] = {"acknowledge_only": FLAG, "accept_any_credentials": FLAG}
