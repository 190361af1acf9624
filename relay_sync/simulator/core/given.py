"""What a test hands to the simulator, checked one value at a time: each returns it, or raises InvalidParameter. Pure.

Checks that verbs make as well are those of :mod:`relay_sync.params.values`, without ``None``; the others are laxer here, or have
other limits. What comes over RELAY is not checked by any of them: that is the simulator's own to read.
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

#: Seconds, decades of them: what clocks can take.
_LONGEST: Final = 1e9
_MOST: Final = 10**9


def yes(name: str, value: Any) -> bool:
    """``True`` or ``False``."""
    if not isinstance(value, bool):
        raise InvalidParameter(name, value, "True or False")
    return value


def is_whole_text(value: Any) -> bool:
    """Whether it is a text without half a character, which UTF-8 has no form for."""
    return isinstance(value, str) and is_text(value)


def words(name: str, value: Any) -> str:
    """A text, also an empty one, or one with half a character: some clients send those."""
    if not isinstance(value, str):
        raise InvalidParameter(name, value, "text")
    return value


def name_of(name: str, value: Any) -> str:
    """A text that is not empty."""
    text = words(name, value)
    if not text:
        raise InvalidParameter(name, value, "text that is not empty")
    return text


def keys(name: str, value: Any) -> str:
    """Keys of a telephone, at least one."""
    return values.dtmf(name, value, optional=False) or ""


def lines(name: str, value: Any) -> list[str]:
    """A list of texts, also an empty one."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise InvalidParameter(name, value, "a list of texts")
    return [words(name, each) for each in value]


def members(name: str, value: Any) -> dict[str, Any]:
    """A mapping with names, as a dictionary of its own."""
    return values.mapping(name, value, optional=False) or {}


def seconds(name: str, value: Any, *, above: bool = False) -> float:
    """A time that the story takes. :param above: whether it must take some."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LONGEST
    if not good or (above and not value):
        raise InvalidParameter(name, value, f"a number of seconds {'greater than 0' if above else 'of at least 0'}")
    return value  # type: ignore[no-any-return]


def number(name: str, value: Any, low: int = 0, high: int = _MOST) -> int:
    """A whole number."""
    return values.whole(name, value, low=low, high=high, optional=False) or 0


def times(value: Any) -> int | None:
    """How often something holds; ``None`` is always."""
    if value is not None and (type(value) is not int or not 1 <= value <= _MOST):
        raise InvalidParameter("times", value, "at least 1, or None for always")
    return value


def function(name: str, value: Any) -> Callable[..., Any]:
    """Something that can be called."""
    if not callable(value):
        raise InvalidParameter(name, value, "a function")
    return value  # type: ignore[no-any-return]
