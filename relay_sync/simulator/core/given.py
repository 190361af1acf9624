"""Validation of values that tests pass to the simulator. Each function returns the value or raises :exc:`InvalidParameter`.

Rules that also apply to verbs are delegated to :mod:`relay_sync.params.values`, but ``None`` is rejected. The other functions
are more permissive or use different limits. Data from RELAY clients is validated elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from ...errors import InvalidParameter
from ...params import values
from ...text.surrogates import is_text
from . import frames

__all__ = [
    "Taken",
    "Unknown",
    "function",
    "is_whole_text",
    "json",
    "keys",
    "lines",
    "members",
    "name_of",
    "number",
    "seconds",
    "times",
    "words",
    "yes",
]

#: Maximum duration in seconds, about 30 years. All clocks can represent it.
_LONGEST: Final = 1e9
_MOST: Final = 10**9


class Taken(InvalidParameter):
    """An ID belongs to another call."""


class Unknown(InvalidParameter):
    """An ID belongs to no object of the simulator."""


def yes(name: str, value: Any) -> bool:
    """Check a boolean."""
    if not isinstance(value, bool):
        raise InvalidParameter(name, value, "True or False")
    return value


def is_whole_text(value: Any) -> bool:
    """Return whether a value is a string without lone surrogates, which cannot be encoded as UTF-8."""
    return isinstance(value, str) and is_text(value)


def words(name: str, value: Any) -> str:
    """Check a string. Empty strings and lone surrogates are allowed, because some clients send them."""
    if not isinstance(value, str):
        raise InvalidParameter(name, value, "text")
    return value


def name_of(name: str, value: Any) -> str:
    """Check a non-empty string."""
    text = words(name, value)
    if not text:
        raise InvalidParameter(name, value, "non-empty text")
    return text


def keys(name: str, value: Any) -> str:
    """Check a non-empty string of DTMF digits."""
    return values.dtmf(name, value, optional=False) or ""


def lines(name: str, value: Any) -> list[str]:
    """Check a list of strings. The list may be empty."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise InvalidParameter(name, value, "a list of strings")
    return [words(name, each) for each in value]


def json(name: str, value: Any) -> Any:
    """Check a value that JSON can express. Lone surrogates are allowed, because JSON can represent them as escape sequences."""
    try:
        frames.dump(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidParameter(name, type(value), f"a value that JSON can express ({error})") from None
    return value


def members(name: str, value: Any) -> dict[str, Any]:
    """Check a mapping with string keys, and return a copy."""
    return values.mapping(name, value, optional=False) or {}


def seconds(name: str, value: Any, *, above: bool = False) -> float:
    """Check a duration in simulated seconds.

    :param above: whether 0 is rejected.
    """
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LONGEST
    if not good or (above and not value):
        raise InvalidParameter(name, value, f"a number of seconds, {'greater than 0' if above else '0 or greater'}")
    return value  # type: ignore[no-any-return]


def number(name: str, value: Any, low: int = 0, high: int = _MOST) -> int:
    """Check an integer."""
    return values.whole(name, value, low=low, high=high, optional=False) or 0


def times(value: Any) -> int | None:
    """Check how many times a setting applies; ``None`` means always."""
    if value is not None and (type(value) is not int or not 1 <= value <= _MOST):
        raise InvalidParameter("times", value, "at least 1, or None for always")
    return value


def function(name: str, value: Any) -> Callable[..., Any]:
    """Check a callable."""
    if not callable(value):
        raise InvalidParameter(name, value, "a function")
    return value  # type: ignore[no-any-return]
