"""JSON-RPC 2.0 as the simulator speaks it: building its frames, and reading those of a client. Pure.

The simulator does not share this with the SDK: were both to misread the protocol, they should not do it alike.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from ...text.json_text import id_of, read_strictly

__all__ = [
    "MalformedFrame",
    "check",
    "dump",
    "envelope",
    "error",
    "event",
    "parse",
    "ping",
    "request",
    "result",
    "whole_numbers",
]

DEEPEST = 64  # levels that parameters have at most; what is nested deeper is left as it came
#: Members whose contents are the client's own: passed on as they came.
_FREEFORM = frozenset({"custom_parameters", "global_data"})


class MalformedFrame(ValueError):
    """A frame that is no JSON-RPC 2.0 object.

    :ivar code: the JSON-RPC error code to answer with. :ivar request_id: the id to answer to, as far as one could be
        read.
    """

    def __init__(self, code: int, message: str, request_id: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id


def parse(text: str) -> Any:
    """The JSON in a text frame.

    :raises MalformedFrame: it is not JSON (code -32700), which has no NaN and no infinities; nesting beyond Python's limits
        counts as that. Where its id can be read all the same, the answer goes to whoever asked.
    """
    try:
        return read_strictly(text)
    except (ValueError, RecursionError):
        raise MalformedFrame(-32700, "Parse error", id_of(text)) from None


def check(frame: Any) -> dict[str, Any]:
    """The frame, if it is a request or reply that can be worked with.

    :raises MalformedFrame: with code -32600: a batch, no object, no id, a method that is no text, params that are no
        object.
    """
    if not isinstance(frame, dict):
        raise MalformedFrame(-32600, "Invalid Request: one JSON object per frame")
    request_id = frame.get("id")
    if "method" not in frame and ("result" in frame or "error" in frame):
        return frame  # a reply is never answered, not even one that makes no sense
    if not isinstance(request_id, str | int | float) or isinstance(request_id, bool):
        raise MalformedFrame(-32600, "Invalid Request: id must be a string")
    if frame.get("jsonrpc") != "2.0":
        raise MalformedFrame(-32600, "Invalid Request: jsonrpc must be 2.0", request_id)
    if "method" not in frame:
        raise MalformedFrame(-32600, "Invalid Request: neither method nor result nor error", request_id)
    if not isinstance(frame["method"], str):
        raise MalformedFrame(-32600, "Invalid Request: method must be a string", request_id)
    if not isinstance(frame.get("params", {}), dict):
        raise MalformedFrame(-32600, "Invalid Request: params must be an object", request_id)
    return frame


def whole_numbers(value: Any, depth: int = 0) -> Any:
    """The same JSON value with ``1`` for ``1.0``: JSON Schema counts both as integers, and clients in languages with one kind
    of number write the latter.
    """
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if depth > DEEPEST:
        return value
    if isinstance(value, list):
        return [whole_numbers(inner, depth + 1) for inner in value]
    if isinstance(value, dict):
        return {name: inner if name in _FREEFORM else whole_numbers(inner, depth + 1) for name, inner in value.items()}
    return value


def result(request_id: Any, value: dict[str, Any]) -> dict[str, Any]:
    """A reply that carries a result."""
    return {"jsonrpc": "2.0", "id": request_id, "result": value}


def error(request_id: Any, code: int, message: str, data: Any = None) -> dict[str, Any]:
    """A reply that carries a JSON-RPC error."""
    body = {"code": code, "message": message}
    return {"jsonrpc": "2.0", "id": request_id, "error": body if data is None else {**body, "data": data}}


def request(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """A request of our own, with a UUID as its id."""
    return {"jsonrpc": "2.0", "id": str(uuid.uuid4()), "method": method, "params": params}


def envelope(event_type: str, params: dict[str, Any], **members: Any) -> dict[str, Any]:
    """The body of an event; ``members`` join it (``event_channel``, ``project_id``, ``space_id``, ``context``)."""
    return {"event_type": event_type, "timestamp": round(time.time(), 6), **members, "params": params}


def event(body: dict[str, Any]) -> dict[str, Any]:
    """An event: a request that the client has to acknowledge."""
    return request("signalwire.event", body)


def ping() -> dict[str, Any]:
    """A question whether the client is there; it should echo the timestamp."""
    return request("signalwire.ping", {"timestamp": round(time.time(), 6)})


def dump(frame: Any) -> str:
    """The text of a frame, without blanks.

    :raises ValueError: NaN or an infinity is in it. :raises TypeError: something that JSON has no form for.
    """
    return json.dumps(frame, separators=(",", ":"), allow_nan=False)
