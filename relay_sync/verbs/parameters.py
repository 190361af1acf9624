"""Checks of what users pass to verbs: each returns the wire's form or raises InvalidParameter, before anything is sent."""

from __future__ import annotations

import inspect
from collections.abc import Callable
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
    json_list,
    json_object,
    json_value,
    mapping,
    merge_extra,
    number,
    stream_url,
    text,
    texts,
    track,
    whole,
)
from ..errors import InvalidParameter

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


def handler(name: str, value: Any, takes: tuple[str, ...] = ("event",)) -> Callable[..., Any]:
    """A plain callable that can be called with what it will get: a coroutine function would never run."""
    if not callable(value):
        raise InvalidParameter(name, value, "a function")
    called = inspect.unwrap(getattr(value, "func", value))
    if inspect.iscoroutinefunction(called) or inspect.iscoroutinefunction(type(called).__call__):
        raise InvalidParameter(name, value, "a plain function: remove async, and block where you would have awaited")
    if inspect.isasyncgenfunction(called):
        raise InvalidParameter(name, value, "a plain function, not an async generator")
    try:
        inspect.signature(value).bind(*takes)
    except TypeError:
        raise InvalidParameter(name, value, f"a function that takes {' and '.join(takes)}") from None
    except ValueError:  # some builtin functions do not tell what they take
        pass
    return value  # type: ignore[no-any-return]
