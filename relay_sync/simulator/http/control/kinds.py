"""Kinds of values in requests. One JSON Schema describes each kind, and also checks it.

The schemas are part of the interface's OpenAPI description. They use a small part of JSON Schema, which :func:`fits` implements.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import io
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import field, frozen

from ....errors import InvalidParameter
from ....params import values
from ....params.parties import PHONE_NUMBER, WITHHELD
from ... import speech
from ...media.voice import voice_of

__all__ = [
    "ANY",
    "CALLER",
    "COUNT",
    "CUE",
    "DIALED",
    "DIGITS",
    "FLAG",
    "NAME",
    "OBJECT",
    "PARTY",
    "PHONE",
    "PRESSES",
    "SENDER",
    "SOUND",
    "SOUND_OR_SECONDS",
    "SPEECH",
    "TEXT",
    "TEXTS",
    "TIMES",
    "Kind",
    "Schema",
    "fits",
    "number",
    "one_of",
    "whole",
]

Schema = Mapping[str, Any]

#: Maximum of durations in seconds, and of counts.
MOST: Final = 10**9


def _keep(name: str, value: Any) -> Any:
    return value


@frozen
class Kind:
    """A kind of value.

    :ivar schema: JSON Schema of the values.
    :ivar accepted: description of the allowed values, for errors.
    :ivar convert: function that converts a value that fits the schema, given the member's name and the value.
    """

    schema: Schema = field(repr=False)
    accepted: str
    convert: Callable[[str, Any], Any] = field(default=_keep, repr=False)

    def __call__(self, name: str, value: Any) -> Any:
        """Check a value and convert it.

        :param name: name of the member, for errors.
        :param value: value from the request.
        :raises InvalidParameter: the value does not fit the schema.
        """
        if not fits(self.schema, value):
            near = difflib.get_close_matches(str(value), self.schema.get("enum", ()), 1)
            hint = f" (perhaps {near[0]!r})" if near else ""
            shown = type(value) if isinstance(value, dict | list) else value
            raise InvalidParameter(name, shown, f"{self.accepted}{hint}")
        return self.convert(name, value)


_TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_LIMITS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "minimum": lambda value, limit: value >= limit,
    "maximum": lambda value, limit: value <= limit,
    "exclusiveMinimum": lambda value, limit: value > limit,
    "minLength": lambda value, limit: len(value) >= limit,
    "maxLength": lambda value, limit: len(value) <= limit,
    "minItems": lambda value, limit: len(value) >= limit,
    "pattern": lambda value, pattern: re.fullmatch(pattern, value) is not None,
    "items": lambda value, schema: all(fits(schema, each) for each in value),
}


def fits(schema: Schema, value: Any) -> bool:
    """Return whether a JSON value fits a schema.

    :param schema: a schema with ``anyOf``, ``const`` or ``enum``, or with a ``type`` and limits for values of this type.
    :param value: the value.
    """
    if "anyOf" in schema:
        return any(fits(each, value) for each in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return isinstance(value, str) and value in schema.get("enum", (schema.get("const"),))
    if "type" not in schema:
        return True
    if not _TYPES[schema["type"]](value):
        return False
    if not all(within(value, schema[name]) for name, within in _LIMITS.items() if name in schema):
        return False
    return schema["type"] != "object" or _has_members(schema, value)


def _has_members(schema: Schema, value: Mapping[str, Any]) -> bool:
    known = schema.get("properties", {})
    if any(name not in value for name in schema.get("required", ())):
        return False
    if schema.get("additionalProperties", True) is False and value.keys() - known.keys():
        return False
    return all(fits(known[name], value[name]) for name in known.keys() & value.keys())


def number(*, low: float | None = None, above: float | None = None, high: float = MOST) -> Kind:
    """Return a kind of numbers.

    :param low: smallest number.
    :param above: limit that all numbers exceed.
    :param high: largest number.
    """
    limits = {"minimum": low, "exclusiveMinimum": above, "maximum": high}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    least = f"above {above:g}" if above is not None else f"from {low or 0:g}"
    return Kind({"type": "number", **given}, f"a number {least}, at most {high:g}")


def whole(low: int, high: int = MOST) -> Kind:
    """Return a kind of integers from ``low`` to ``high``. They may be written with a fraction of zero, such as ``1.0``."""
    schema = {"type": "integer", "minimum": low, "maximum": high}
    return Kind(schema, f"a whole number from {low} to {high}", lambda name, value: int(value))


def one_of(*words: str) -> Kind:
    """Return a kind that consists of some words."""
    return Kind({"enum": list(words)}, f"one of {', '.join(words)}")


_NAME: Final[Schema] = {"type": "string", "minLength": 1}
_NAMES: Final[Schema] = {"type": "array", "items": _NAME, "minItems": 1}

ANY: Final = Kind({}, "a JSON value", values.json_value)
TEXT: Final = Kind({"type": "string"}, "text")
NAME: Final = Kind(_NAME, "a non-empty string", values.text)
TEXTS: Final = Kind(_NAMES, "a list of non-empty strings", values.texts)
FLAG: Final = Kind({"type": "boolean"}, "true or false")
OBJECT: Final = Kind({"type": "object"}, "a JSON object")
COUNT: Final = whole(1)
TIMES: Final = Kind(
    {"anyOf": [{"const": "always"}, COUNT.schema]},
    f"{COUNT.accepted}, or 'always'",
    lambda name, value: None if value == "always" else int(value),
)
CUE: Final = Kind({"anyOf": [number(low=0).schema, _NAME]}, "0 seconds or more, or words to hear")

# -- digits and addresses: stricter than the simulator in Python, because invisible characters are not removed ----------------

_USER: Final = r"[A-Za-z0-9_.!~*'()&=+$,;?/%-]{1,64}@"
_HOST: Final = r"(?:[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?(?:[;?][!-~]*)?"
_SIP: Final = f"(?:[Ss][Ii][Pp][Ss]?:)?{_USER}{_HOST}|[Ss][Ii][Pp][Ss]?:{_HOST}"
_WITHHELD: Final = "|".join(f"[{word[0].upper()}{word[0]}]{word[1:]}" for word in WITHHELD)
_KEYS: Final[Schema] = {"type": "string", "pattern": "^[0-9*#A-D]+$"}


def _matching(pattern: str, accepted: str) -> Kind:
    return Kind({"type": "string", "pattern": f"^(?:{pattern})$"}, accepted)


_ADDRESS: Final = "a telephone number such as '+15550100', or a SIP address such as 'sip:desk@example.com'"
PHONE: Final = _matching(PHONE_NUMBER, "a telephone number such as '+15550100'")
PARTY: Final = _matching(f"{PHONE_NUMBER}|{_SIP}", _ADDRESS)
CALLER: Final = _matching(f"{PHONE_NUMBER}|{_SIP}|{_WITHHELD}", f"{_ADDRESS}, or 'anonymous'")
DIALED: Final = _matching(
    f"{PHONE_NUMBER}|{_SIP}|[!-.0-~]*/[!-~]*", f"{_ADDRESS}, or an address such as '/public/desk'"
)
SENDER: Final = _matching(
    f"{PHONE_NUMBER}|[0-9 _.&-]*[A-Za-z][A-Za-z0-9 _.&-]*",
    "a telephone number such as '+15550100', or the name of a sender",
)
DIGITS: Final = Kind(_KEYS, "one or more of 0-9, *, #, A-D")
PRESSES: Final = Kind(
    {"anyOf": [_KEYS, {"type": "array", "items": _KEYS, "minItems": 1}]},
    "one or more of 0-9, *, #, A-D, or a list of such strings",
)

# -- sounds ------------------------------------------------------------------------------------------------------------

_SAMPLES: Final = {"caller": speech.caller, "greeting": speech.greeting}


def _only(name: str, schema: Schema) -> Schema:
    return {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}


# The format is the interface's own: a mono WAV file at 8, 16, 24 or 48 kHz, in base64.
_WAV: Final = _only(
    "wav", {"type": "string", "format": "wav", "contentEncoding": "base64", "contentMediaType": "audio/wav"}
)
_SOUND: Final[Schema] = {"anyOf": [_WAV, _only("speech", {"enum": list(_SAMPLES)})]}


def _sound(name: str, value: Any) -> Any:
    """Convert a sound."""
    if "speech" in value:
        return str(_SAMPLES[value["speech"]]())
    try:
        data = base64.b64decode(value["wav"], validate=True)
    except (binascii.Error, ValueError) as problem:
        raise InvalidParameter(name, "...", f"a WAV file in base64 ({problem})") from None
    return voice_of(io.BytesIO(data), name, "...")


_A_SOUND: Final = "{'wav': '<a WAV file in base64>'}, or {'speech': 'caller' or 'greeting'}"
SOUND: Final = Kind(_SOUND, _A_SOUND, _sound)
SPEECH: Final = Kind(
    {"anyOf": [_SOUND, _NAMES]},
    f"{_A_SOUND}, or a list of sentences",
    lambda name, value: values.texts(name, value) if isinstance(value, list) else _sound(name, value),
)
SOUND_OR_SECONDS: Final = Kind(
    {"anyOf": [number(above=0).schema, _SOUND]},
    f"seconds above 0, {_A_SOUND}",
    lambda name, value: _sound(name, value) if isinstance(value, dict) else value,
)
