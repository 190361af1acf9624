"""JSON whose numbers are numbers. Python's own reader also takes ``NaN`` and ``Infinity``, which are no JSON, and makes infinity
of ``1e999``, which could not be written back. Pure.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from typing import Any, Final, NoReturn

__all__ = ["HUGE", "IN_RANGE", "finite", "has_huge", "id_of", "read_leniently", "read_strictly", "writer"]

#: What is allowed, in words, where a number that readers cannot hold is refused.
IN_RANGE: Final = "of numbers below 1.8e308: readers of JSON cannot hold more"
#: How many digits the smallest whole number has that no float holds.
HUGE: Final = 309
_MANY_DIGITS: Final = rf"\d{{{HUGE}}}"


def writer(*, sort_keys: bool = False) -> Callable[[Any], str]:
    """What writes values as JSON, as short as can be, in half the time of the standard library's ``encode``, which makes its
    encoder anew for each value. It is made once here, where there is one written in C.

    :return: a function that raises ``TypeError`` and ``ValueError`` for what JSON cannot express, and ``RecursionError`` for what
        is nested too deeply or holds itself.
    """
    encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False, sort_keys=sort_keys)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    pieces = make(None, encoder.default, encode_basestring_ascii, None, ":", ",", sort_keys, False, False)
    return lambda value: "".join(pieces(value, 0))


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is beyond all measure")
    return number


def _integer(digits: str) -> int:
    _float(digits)  # beyond a float's range it is no measure of anything, and cannot be reckoned with
    return int(digits)


def has_huge(json_text: str) -> bool:
    """Whether a JSON text, as Python writes it, has a whole number beyond the range of a float."""
    if len(json_text) < HUGE or re.search(_MANY_DIGITS, json_text) is None:
        return False
    try:
        read_strictly(json_text)
    except ValueError:
        return True
    return False


def id_of(json_text: str) -> str | int | None:
    """The id of a JSON-RPC frame whose numbers cannot be read; ``None`` where it has none, or is no JSON at all."""
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
    """The number that a member is, be it written as text; ``None`` where it is none, or beyond the range of a float."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


#: The value of a JSON text. Raises ``ValueError`` for what is none, for ``NaN`` and the infinities, and for numbers beyond the
#: range of a float; ``RecursionError`` where it is nested too deeply.
read_strictly: Final[Callable[[str], Any]] = json.JSONDecoder(
    parse_constant=_refuse, parse_float=_float, parse_int=_integer
).decode

_lenient: Final = json.JSONDecoder(parse_constant=lambda name: None, parse_float=_float_or_none)


def read_leniently(json_text: str) -> Any:
    """The value of a JSON text; ``None`` stands for ``NaN`` and the infinities, however they are written. A peer that sends them
    means "no value".

    :raises ValueError: what is no JSON. :raises RecursionError: it is nested too deeply.
    """
    try:
        value, end = _lenient.raw_decode(json_text)  # what decode() does besides takes as long, and is rarely needed
    except ValueError:
        end = -1
    return value if end == len(json_text) else _lenient.decode(json_text)


#: The value without the numbers that are not short and whole: ids are.
_read_skeleton: Final[Callable[[str], Any]] = json.JSONDecoder(
    parse_constant=lambda name: None,
    parse_float=lambda digits: None,
    parse_int=lambda digits: int(digits) if len(digits) < 20 else None,
).decode
