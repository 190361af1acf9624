"""Control API request bodies. Members are validated and converted to arguments for the simulator's methods."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

from ....errors import InvalidParameter
from ....params import values
from ... import speech
from ...core import given
from ...media.voice import voice_of

__all__ = [
    "CALL",
    "CONNECTIONS",
    "EVENT",
    "FAULTS",
    "HANG_UP",
    "MESSAGE",
    "PHONE",
    "PRESS",
    "SAY",
    "SOUND",
    "TASK",
    "bind",
]

Check = Callable[[str, Any], Any]


@frozen
class Member:
    """Schema of one request member. Omitted members are not passed to the simulator.

    :ivar check: function that validates and converts the value.
    :ivar name: the simulator's parameter name, if it differs from the member's name.
    :ivar required: whether the member must be present.
    :ivar nullable: whether the member can be ``null``, which is converted to ``None``.
    """

    check: Check
    name: str = ""
    required: bool = False
    nullable: bool = False


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
        found[member.name or name] = None if value is None else member.check(name, value)
    return found


def _number(name: str, value: Any) -> Any:
    return values.number(name, value, low=0)


def _above(name: str, value: Any) -> Any:
    return values.number(name, value, above=0)


def _whole(name: str, value: Any, low: int | None = None) -> Any:
    """Check an integer, which may also be a float such as ``1.0``."""
    return values.whole(name, int(value) if isinstance(value, float) and value.is_integer() else value, low=low)


def _count(name: str, value: Any) -> Any:
    return _whole(name, value, low=1)


def _times(name: str, value: Any) -> Any:
    return None if value == "always" else _count(name, value)


def _texts(name: str, value: Any) -> Any:
    return value if isinstance(value, str) else values.texts(name, value)


def _cue(name: str, value: Any) -> Any:
    return value if isinstance(value, str) and value else values.number(name, value, low=0)


def _object(name: str, value: Any) -> Any:
    return values.mapping(name, value)


def _code(name: str, value: Any) -> Any:
    if isinstance(value, str) and value.lstrip("-").isdigit():
        return value
    return _whole(name, value)


_SPEECHES: Final = {"caller": speech.caller, "greeting": speech.greeting}


def _sound(name: str, value: Any) -> Any:
    """Check a sound: a WAV file path on the simulator's machine, a base64-encoded WAV file, or one of the built-in speech
    samples.
    """
    if isinstance(value, str) and value:
        return value
    if isinstance(value, dict) and set(value) == {"speech"} and value["speech"] in list(_SPEECHES):
        return str(_SPEECHES[value["speech"]]())
    if not isinstance(value, dict) or set(value) != {"wav"} or not isinstance(value["wav"], str):
        raise InvalidParameter(
            name, value, "the path of a WAV, {'wav': '<base64>'}, or {'speech': 'caller' or 'greeting'}"
        )
    try:
        data = base64.b64decode(value["wav"], validate=True)
    except (binascii.Error, ValueError) as problem:
        raise InvalidParameter(name, "...", f"a WAV file in base64 ({problem})") from None
    return voice_of(io.BytesIO(data), name, "...")


def _speech(name: str, value: Any) -> Any:
    """Check a sound or a list of sentences."""
    return values.texts(name, value) if isinstance(value, list) else _sound(name, value)


def _sound_or_seconds(name: str, value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _above(name, value)
    return _sound(name, value)


_TEXT: Final = Member(values.text)
_NEEDED: Final = Member(values.text, required=True)
_FLAG: Final = Member(values.flag)

_TIMES: Final = {"times": Member(_times, nullable=True)}
_PARTY: Final = {
    "says": Member(_speech, nullable=True),
    "presses": Member(_texts),
    "hangs_up_after": Member(_cue, nullable=True),
    "answered_by": _TEXT,
    "beep": _FLAG,
    "silent": _FLAG,
}
CALL: Final[dict[str, Member]] = {
    "to": _NEEDED,
    "from": Member(values.text, "from_", required=True),
    "context": _TEXT,
    "hears": Member(_sound, nullable=True),
    "hangs_up_after_speaking": _FLAG,
    "ring_timeout": Member(_above),
    **_PARTY,
}
PHONE: Final[dict[str, Member]] = {
    "number": _NEEDED,
    "answers_after": Member(_number, nullable=True),
    "busy": _FLAG,
    "no_answer": _FLAG,
    "declines": _FLAG,
    "unreachable": _FLAG,
    **_TIMES,
    **_PARTY,
}
SOUND: Final[dict[str, Member]] = {"url": _NEEDED, "sound": Member(_sound_or_seconds, nullable=True)}
MESSAGE: Final[dict[str, Member]] = {
    "to": _NEEDED,
    "from": Member(values.text, "from_", required=True),
    "body": _TEXT,
    "media": Member(values.texts),
    "tags": Member(values.texts),
    "context": _TEXT,
}
TASK: Final[dict[str, Member]] = {"message": Member(_object, required=True), "context": _TEXT}
PRESS: Final[dict[str, Member]] = {"digits": _NEEDED}
SAY: Final[dict[str, Member]] = {"text": Member(given.words, required=True)}
HANG_UP: Final[dict[str, Member]] = {"reason": _TEXT}
EVENT: Final[dict[str, Member]] = {"event_type": _NEEDED, "params": Member(_object, required=True)}

_METHOD: Final = {"method": _NEEDED, **_TIMES}
_EVENTS: Final = {"event_type": _NEEDED, "state": Member(values.text, nullable=True), **_TIMES}
_ANSWER: Final = {"code": Member(_code), "message": _TEXT, "data": Member(values.json_value, nullable=True)}
#: Members by name of the ``Simulator`` method that the request calls.
FAULTS: Final[dict[str, dict[str, Member]]] = {
    "refuse": {**_METHOD, **_ANSWER},
    "fail": {**_METHOD, **_ANSWER},
    "drop_reply": _METHOD,
    "hold": _METHOD,
    "release": {"method": Member(values.text, nullable=True)},
    "break_action": {**_METHOD, "details": Member(_object, nullable=True)},
    "drop_event": _EVENTS,
    "duplicate_event": {**_EVENTS, "copies": Member(_count), "same_id": _FLAG},
    "delay_event": {**_EVENTS, "seconds": Member(_number, required=True)},
    "disturb_stream": {
        "stream": Member(values.text, "kind", required=True),
        "at": Member(lambda name, value: _whole(name, value, low=0)),
        "count": Member(_count),
        "error": _TEXT,
        **_TIMES,
    },
}
CONNECTIONS: Final[dict[str, dict[str, Member]]] = {
    "cut": {"reset": _FLAG},
    "restart": {"restart": _FLAG},
    "forget_sessions": {},
    "renew_authorization": {},
    "refuse_connections": {"refuse": _FLAG, "how": _TEXT},
    "stop_reading": {"stop": _FLAG},
    "ping": {},
}
