"""Checks of what users pass to verbs: each returns the wire's form or raises InvalidParameter, before anything is sent."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..checks import (
    bearer_token,
    choice,
    choices,
    codec,
    decimal,
    dtmf,
    flag,
    http_url,
    mapping,
    number,
    stream_url,
    text,
    texts,
    track,
    whole,
)
from ..errors import InvalidParameter
from ..protocol.frames import check_json

__all__ = [
    "bearer_token",
    "choice",
    "choices",
    "codec",
    "decimal",
    "dtmf",
    "flag",
    "handler",
    "http_url",
    "json_list",
    "json_object",
    "json_value",
    "mapping",
    "merge_extra",
    "number",
    "stream_url",
    "text",
    "texts",
    "track",
    "whole",
]


def json_object(name: str, value: Any, *, optional: bool = True) -> dict[str, Any] | None:
    """A mapping with string keys whose values JSON can express."""
    copy = mapping(name, value, optional=optional)
    check_json(name, copy)
    return copy


def json_value(name: str, value: Any) -> Any:
    """Anything JSON can express."""
    check_json(name, value)
    return value


def json_list(name: str, value: Any) -> list[Any] | None:
    """A list of values that JSON can express."""
    if value is None:
        return None
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise InvalidParameter(name, value, "a list of JSON values")
    copy = list(value)
    check_json(name, copy)
    return copy


def handler(name: str, value: Any) -> Callable[..., Any]:
    """A plain callable: a coroutine function would never run."""
    if not callable(value):
        raise InvalidParameter(name, value, "a function")
    called = inspect.unwrap(getattr(value, "func", value))
    if inspect.iscoroutinefunction(called) or inspect.iscoroutinefunction(type(called).__call__):
        raise InvalidParameter(name, value, "a plain function: remove async, and block where you would have awaited")
    if inspect.isasyncgenfunction(called):
        raise InvalidParameter(name, value, "a plain function, not an async generator")
    return value  # type: ignore[no-any-return]


def merge_extra(params: dict[str, Any], extra: Any, known: tuple[str, ...]) -> dict[str, Any]:
    """Drop what was left out, and add parameters that this SDK does not know yet."""
    merged = {name: value for name, value in params.items() if value is not None}
    if extra is None:
        return merged
    addition = json_object("extra", extra) or {}
    for name in addition:
        if name in params or name in known:
            raise InvalidParameter("extra", name, f"without {name!r}: give that one by its own keyword")
    return {**merged, **addition}
