"""Checks of what users pass to verbs: each returns the wire's form or raises InvalidParameter, before anything is sent."""

from __future__ import annotations

from ..checks import (
    bearer_token,
    choice,
    choices,
    codec,
    decimal,
    dtmf,
    flag,
    handler,
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
