"""Strict reading and writing of JSON.

Python's ``json`` module also accepts ``NaN`` and ``Infinity``, which are not valid JSON. It reads ``1e999`` as
infinity, which cannot be written back as JSON.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from typing import Any, Final, NoReturn

__all__ = ["HUGE", "IN_RANGE", "finite", "has_huge", "id_of", "read_leniently", "read_strictly", "writer"]

#: Description of the accepted numbers, for errors about numbers that JSON readers cannot represent.
IN_RANGE: Final = "numbers below 1.8e308, the limit of JSON readers"
#: Number of digits of the smallest integer that exceeds the range of floats.
HUGE: Final = 309
_MANY_DIGITS: Final = rf"\d{{{HUGE}}}"


def writer(*, sort_keys: bool = False) -> Callable[[Any], str]:
    """Return a function that writes values as compact JSON.

    The function is twice as fast as ``JSONEncoder.encode`` because it creates one C encoder instead of one per value.

    :return: a function that raises ``TypeError`` or ``ValueError`` for values that JSON cannot represent, and
        ``RecursionError`` for values that are nested too deeply or contain themselves.
    """
    encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False, sort_keys=sort_keys)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    pieces = make(None, encoder.default, encode_basestring_ascii, None, ":", ",", sort_keys, False, False)
    return lambda value: "".join(pieces(value, 0))


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON")


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number exceeds the range of a float")
    return number


def _integer(digits: str) -> int:
    _float(digits)  # reject integers beyond the range of floats
    return int(digits)


def has_huge(json_text: str) -> bool:
    """Return whether a JSON document written by Python contains an integer too large for a float."""
    if len(json_text) < HUGE or re.search(_MANY_DIGITS, json_text) is None:
        return False
    try:
        read_strictly(json_text)
    except ValueError:
        return True
    return False


def id_of(json_text: str) -> str | int | None:
    """Return the id of a JSON-RPC frame that contains unreadable numbers.

    The result is ``None`` if the frame has no id or is not valid JSON.
    """
    try:
        frame = _read_skeleton(json_text)
    except (ValueError, RecursionError):
        return None
    found = frame.get("id") if isinstance(frame, dict) else None
    return found if isinstance(found, (str, int)) and not isinstance(found, bool) else None


def _float_or_none(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def finite(value: Any) -> float | None:
    """Convert a number or a numeric string to a float. Return ``None`` if it cannot be converted or is not finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


#: Parses a JSON document. Raises ``ValueError`` for invalid JSON, for ``NaN`` and infinities, and for numbers beyond
#: the range of a float. Raises ``RecursionError`` if the document is nested too deeply.
read_strictly: Final[Callable[[str], Any]] = json.JSONDecoder(
    parse_constant=_refuse, parse_float=_float, parse_int=_integer
).decode

_lenient: Final = json.JSONDecoder(parse_constant=lambda name: None, parse_float=_float_or_none)


def read_leniently(json_text: str) -> Any:
    """Parse a JSON document. ``NaN`` and infinities, in any notation, are read as ``None``.

    A peer that sends such a number means that it has no value to report.

    :raises ValueError: the document is not valid JSON.
    :raises RecursionError: the document is nested too deeply.
    """
    try:
        # The other steps of decode() take as long again and are rarely needed.
        value, end = _lenient.raw_decode(json_text)
    except ValueError:
        end = -1
    return value if end == len(json_text) else _lenient.decode(json_text)


#: Parses a JSON document, with all numbers except short integers replaced by ``None``. Ids are short integers or
#: strings.
_read_skeleton: Final[Callable[[str], Any]] = json.JSONDecoder(
    parse_constant=lambda name: None,
    parse_float=lambda digits: None,
    parse_int=lambda digits: int(digits) if len(digits) < 20 else None,
).decode
