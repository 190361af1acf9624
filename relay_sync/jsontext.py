"""JSON whose numbers are numbers. Python's own reader also takes ``NaN`` and ``Infinity``, which are no JSON, and makes infinity
of ``1e999``, which could not be written back. Pure.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, Final, NoReturn

__all__ = ["read_leniently", "read_strictly"]


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


def _float_or_none(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


#: The value of a JSON text. Raises ``ValueError`` for what is none, for ``NaN`` and the infinities, and for numbers beyond the
#: range of a float; ``RecursionError`` where it is nested too deeply.
read_strictly: Final[Callable[[str], Any]] = json.JSONDecoder(
    parse_constant=_refuse, parse_float=_float, parse_int=_integer
).decode

#: The value of a JSON text; ``None`` stands for ``NaN`` and the infinities, however they are written. A peer that sends them
#: means "no value". Raises ``ValueError`` for what is no JSON; ``RecursionError`` where it is nested too deeply.
read_leniently: Final[Callable[[str], Any]] = json.JSONDecoder(
    parse_constant=lambda name: None, parse_float=_float_or_none
).decode
