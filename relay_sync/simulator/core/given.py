"""What a test hands to the simulator, checked one value at a time: each returns it, or raises InvalidParameter. Pure.

Not the checks of the client, which say what verbs may send: what comes over RELAY is the simulator's own to read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from ...errors import InvalidParameter

__all__ = [
    "function",
    "is_whole_text",
    "lines",
    "members",
    "name_of",
    "number",
    "path",
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
    try:
        return isinstance(value, str) and bool(value.encode() or True)
    except UnicodeEncodeError:
        return False


def words(name: str, value: Any) -> str:
    """A text, also an empty one, or one with half a character: some clients send those."""
    if not isinstance(value, str):
        raise InvalidParameter(name, value, "text")
    return value


def name_of(name: str, value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise InvalidParameter(name, value, "text that is not empty")
    return value


def lines(name: str, value: Any) -> list[str]:
    """A list of texts, also an empty one."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise InvalidParameter(name, value, "a list of texts")
    return [words(name, each) for each in value]


def members(name: str, value: Any) -> dict[str, Any]:
    """A mapping with names, as a dictionary of its own."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidParameter(name, value, "a mapping with string keys")
    return dict(value)


def seconds(name: str, value: Any, *, above: bool = False) -> float:
    """A time that the story takes. :param above: whether it must take some."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LONGEST
    if not good or (above and not value):
        raise InvalidParameter(name, value, f"a number of seconds {'greater than 0' if above else 'of at least 0'}")
    return value  # type: ignore[no-any-return]


def number(name: str, value: Any, low: int = 0, high: int = _MOST) -> int:
    """A whole number."""
    if type(value) is not int or not low <= value <= high:
        raise InvalidParameter(name, value, f"a whole number from {low} to {high}")
    return value


def times(value: Any) -> int | None:
    """How often something holds; ``None`` is always."""
    if value is not None and (type(value) is not int or not 1 <= value <= _MOST):
        raise InvalidParameter("times", value, "at least 1, or None for always")
    return value


def path(name: str, value: Any, accepted: str) -> str | os.PathLike[str]:
    """The path of a file that the system can take."""
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidParameter(name, value, accepted)
    return value  # type: ignore[no-any-return]


def function(name: str, value: Any) -> Callable[..., Any]:
    """Something that can be called."""
    if not callable(value):
        raise InvalidParameter(name, value, "a function")
    return value  # type: ignore[no-any-return]
