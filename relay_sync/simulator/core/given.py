"""Checks of the values that a test passes to the simulator. Each returns the value or raises InvalidParameter. Pure.

Checks shared with verbs are those of :mod:`relay_sync.params.values`, without ``None``; the others are more permissive, or have
other limits. Data from RELAY clients is checked elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from ...errors import InvalidParameter
from ...params import values
from ...text.surrogates import is_text

__all__ = [
    "function",
    "is_whole_text",
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

#: Seconds: decades, which clocks can represent.
_LONGEST: Final = 1e9
_MOST: Final = 10**9


def yes(name: str, value: Any) -> bool:
    """``True`` or ``False``."""
    if not isinstance(value, bool):
        raise InvalidParameter(name, value, "True or False")
    return value


def is_whole_text(value: Any) -> bool:
    """Return whether the value is text without lone surrogates, which UTF-8 cannot express."""
    return isinstance(value, str) and is_text(value)


def words(name: str, value: Any) -> str:
    """Check text. Empty text and lone surrogates are accepted: some clients send them."""
    if not isinstance(value, str):
        raise InvalidParameter(name, value, "text")
    return value


def name_of(name: str, value: Any) -> str:
    """Check text that must not be empty."""
    text = words(name, value)
    if not text:
        raise InvalidParameter(name, value, "non-empty text")
    return text


def keys(name: str, value: Any) -> str:
    """Check digits of a telephone, at least one."""
    return values.dtmf(name, value, optional=False) or ""


def lines(name: str, value: Any) -> list[str]:
    """Check a list of texts, which may be empty."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise InvalidParameter(name, value, "a list of texts")
    return [words(name, each) for each in value]


def members(name: str, value: Any) -> dict[str, Any]:
    """Check a mapping with string keys, and return it as a new dict."""
    return values.mapping(name, value, optional=False) or {}


def seconds(name: str, value: Any, *, above: bool = False) -> float:
    """Check a duration of the simulation.

    :param above: whether it must be greater than 0.
    """
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LONGEST
    if not good or (above and not value):
        raise InvalidParameter(name, value, f"a number of seconds {'greater than 0' if above else 'of at least 0'}")
    return value  # type: ignore[no-any-return]


def number(name: str, value: Any, low: int = 0, high: int = _MOST) -> int:
    """A whole number."""
    return values.whole(name, value, low=low, high=high, optional=False) or 0


def times(value: Any) -> int | None:
    """Check how often something applies; ``None`` is always."""
    if value is not None and (type(value) is not int or not 1 <= value <= _MOST):
        raise InvalidParameter("times", value, "at least 1, or None for always")
    return value


def function(name: str, value: Any) -> Callable[..., Any]:
    """Check that a value is callable."""
    if not callable(value):
        raise InvalidParameter(name, value, "a function")
    return value  # type: ignore[no-any-return]
