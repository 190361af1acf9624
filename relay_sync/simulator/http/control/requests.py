"""Members of request bodies. They are checked and converted to arguments for the simulator's methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from attrs import frozen

from ....errors import InvalidParameter
from ....params import values
from ...core.names import BREAKABLE
from ...fault_controls import SLOWEST
from ...media.disturbance import ERRORS, KINDS, MOST_FRAMES
from ...people.party import Answerer
from ...people.phone import REASONS
from . import kinds
from .kinds import Kind, number, one_of, whole

__all__ = [
    "CALL",
    "CONNECTIONS",
    "EVENT",
    "FAULTS",
    "FLAG",
    "HANG_UP",
    "LONGEST_PAUSE",
    "MESSAGE",
    "NEEDED",
    "PHONE",
    "PRESS",
    "SAY",
    "SESSION",
    "SOUND",
    "TASK",
    "TIMES",
    "WORD",
    "Member",
    "bind",
    "body_schema",
    "pointer_to",
]

#: Maximum time for which connections are refused, in seconds.
LONGEST_PAUSE: Final = 60.0


@frozen
class Member:
    """One member of a request. Omitted members are not passed to the simulator.

    :ivar kind: kind of value, which checks and converts it.
    :ivar name: the simulator's parameter name, if it differs from the member's name.
    :ivar required: whether the member must be present.
    :ivar nullable: whether the member can be ``null``, which is converted to ``None``.
    """

    kind: Kind
    name: str = ""
    required: bool = False
    nullable: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the member's values."""
        if not self.nullable or not self.kind.schema:
            return dict(self.kind.schema)
        return {"anyOf": [self.kind.schema, {"type": "null"}]}


def bind(members: Mapping[str, Member], body: Any) -> dict[str, Any]:
    """Convert a JSON object to keyword arguments.

    :raises InvalidParameter: the body is not an object, or a member is unknown, missing or invalid.
    """
    if not isinstance(body, dict):
        raise values.unseen("body", body, "a JSON object")
    for name in body:
        if name not in members:
            raise InvalidParameter(
                "body", name, f"one of the members {', '.join(sorted(members))}" if members else "no members"
            )
    found = {}
    for name, member in members.items():
        if name not in body:
            if member.required:
                raise InvalidParameter(name, None, "a value")
            continue
        value = body[name]
        if value is None and not member.nullable:
            raise InvalidParameter(name, None, f"a value other than null{'' if member.required else ' (or omit it)'}")
        found[member.name or name] = None if value is None else member.kind(name, value)
    return found


def body_schema(members: Mapping[str, Member]) -> dict[str, Any]:
    """Return the JSON Schema of a request body with these members."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: member.schema for name, member in members.items()},
        "additionalProperties": False,
    }
    required = [name for name, member in members.items() if member.required]
    return {**schema, "required": required} if required else schema


def pointer_to(parameter: str, members: Mapping[str, Member]) -> str | None:
    """Return the JSON pointer of the member that an error is about, or ``None`` if the error is about something else.

    :param parameter: name of the member, or of the parameter that it is converted to.
    :param members: members of the body.
    """
    if parameter == "body":
        return ""
    names = [name for name, member in members.items() if parameter in (name, member.name)]
    return f"/{names[0]}" if names else None


#: Members that many requests have.
WORD: Final = Member(kinds.NAME)
NEEDED: Final = Member(kinds.NAME, required=True)
FLAG: Final = Member(kinds.FLAG)
SESSION: Final = Member(kinds.NAME, nullable=True)
TIMES: Final = {"times": Member(kinds.TIMES, nullable=True)}

_PARTY: Final = {
    "says": Member(kinds.SPEECH, nullable=True),
    "presses": Member(kinds.PRESSES),
    "hangs_up_after": Member(kinds.CUE, nullable=True),
    "answered_by": Member(one_of(*get_args(Answerer))),
    "beep": FLAG,
    "silent": FLAG,
}
CALL: Final[dict[str, Member]] = {
    "to": Member(kinds.PARTY, required=True),
    "from": Member(kinds.CALLER, "from_", required=True),
    "context": WORD,
    "hears": Member(kinds.SOUND, nullable=True),
    "hangs_up_after_speaking": FLAG,
    "ring_timeout": Member(number(above=0)),
    "id": Member(kinds.NAME, "call_id"),
    "session": SESSION,
    "project": Member(kinds.NAME, nullable=True),
    "rings": FLAG,
    **_PARTY,
}
PHONE: Final[dict[str, Member]] = {
    "number": Member(kinds.DIALED, required=True),
    "answers_after": Member(number(low=0), nullable=True),
    "busy": FLAG,
    "no_answer": FLAG,
    "declines": FLAG,
    "unreachable": FLAG,
    **TIMES,
    **_PARTY,
}
SOUND: Final[dict[str, Member]] = {"url": NEEDED, "sound": Member(kinds.SOUND_OR_SECONDS, nullable=True)}
MESSAGE: Final[dict[str, Member]] = {
    "to": Member(kinds.PHONE, required=True),
    "from": Member(kinds.SENDER, "from_", required=True),
    "body": Member(kinds.TEXT),
    "media": Member(kinds.TEXTS),
    "tags": Member(kinds.TEXTS),
    "context": WORD,
}
TASK: Final[dict[str, Member]] = {"message": Member(kinds.OBJECT, required=True), "context": WORD}
PRESS: Final[dict[str, Member]] = {"digits": Member(kinds.DIGITS, required=True)}
SAY: Final[dict[str, Member]] = {"text": Member(kinds.TEXT, required=True)}
HANG_UP: Final[dict[str, Member]] = {"reason": Member(one_of(*REASONS))}
EVENT: Final[dict[str, Member]] = {
    "event_type": NEEDED,
    "params": Member(kinds.OBJECT, required=True),
    "session": SESSION,
}

_MOST_CODE: Final = 10**15 - 1


def _code(name: str, value: Any) -> Any:
    return int(value) if isinstance(value, float) else value


_CODE: Final = Kind(
    {
        "anyOf": [
            {"type": "integer", "minimum": -_MOST_CODE, "maximum": _MOST_CODE},
            {"type": "string", "pattern": "^-?[0-9]{1,15}$"},
        ]
    },
    "a whole number, or a string of its digits",
    _code,
)
#: Codes outside 200 to 299, which mean success.
_ERROR_CODE: Final = Kind(
    {
        "anyOf": [
            {"type": "integer", "minimum": -_MOST_CODE, "maximum": 199},
            {"type": "integer", "minimum": 300, "maximum": _MOST_CODE},
            {
                "type": "string",
                "pattern": "^(?:-?[013-9][0-9]?|-?[013-9][0-9]{2}|-2[0-9]{0,2}|2[0-9]?|-?[1-9][0-9]{3,14})$",
            },
        ]
    },
    "an error code (2xx means success): a whole number, or a string of its digits",
    _code,
)
_METHOD: Final = {"method": NEEDED, **TIMES}
_EVENTS: Final = {"event_type": NEEDED, "state": Member(kinds.NAME, nullable=True), **TIMES}
_ANSWER: Final = {"message": Member(kinds.TEXT), "data": Member(kinds.ANY, nullable=True)}
#: Members by name of the ``Simulator`` method that the request calls.
FAULTS: Final[dict[str, dict[str, Member]]] = {
    "refuse": {**_METHOD, "code": Member(_ERROR_CODE), **_ANSWER},
    "fail": {**_METHOD, "code": Member(_CODE), **_ANSWER},
    "drop_reply": _METHOD,
    "hold": _METHOD,
    "release": {"method": Member(kinds.NAME, nullable=True)},
    "break_action": {
        "method": Member(one_of(*sorted(BREAKABLE)), required=True),
        **TIMES,
        "details": Member(kinds.OBJECT, nullable=True),
    },
    "drop_event": _EVENTS,
    "duplicate_event": {**_EVENTS, "copies": Member(kinds.COUNT), "same_id": FLAG},
    "delay_event": {**_EVENTS, "seconds": Member(number(low=0), required=True)},
    "disturb_stream": {
        "stream": Member(one_of(*KINDS), "kind", required=True),
        "at": Member(whole(0, MOST_FRAMES)),
        "count": Member(whole(1, MOST_FRAMES)),
        "error": Member(one_of(*ERRORS)),
        **TIMES,
    },
}
CONNECTIONS: Final[dict[str, dict[str, Member]]] = {
    "cut": {"reset": FLAG},
    "restart": {"restart": FLAG},
    "forget_sessions": {},
    "renew_authorization": {},
    "refuse_connections": {
        "refuse": FLAG,
        "how": Member(one_of("http", "tcp")),
        "seconds": Member(number(above=0, high=LONGEST_PAUSE)),
    },
    "slow_down": {"seconds": Member(number(low=0, high=SLOWEST), required=True)},
    "stop_reading": {"stop": FLAG},
    "ping": {},
}
