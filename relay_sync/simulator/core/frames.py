"""JSON-RPC 2.0 as the simulator speaks it: building its frames and parsing those of a client. Pure.

The simulator does not share this with the SDK, so that a misreading of the protocol does not cancel itself out.
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

DEEPEST = 64  # maximum levels of parameters; deeper ones stay unchanged
#: Members whose contents belong to the client and stay unchanged.
_FREEFORM = frozenset({"custom_parameters", "global_data"})


class MalformedFrame(ValueError):
    """A frame that is not a JSON-RPC 2.0 object.

    :ivar code: the JSON-RPC error code of the reply.
    :ivar request_id: the id of the reply, as far as it could be read.
    """

    def __init__(self, code: int, message: str, request_id: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id


def parse(text: str) -> Any:
    """Parse the JSON of a text frame.

    :raises MalformedFrame: it is not JSON (code -32700), contains NaN or infinity, or is nested beyond Python's limits. The error
        has the id of the request if it could be read.
    """
    try:
        return read_strictly(text)
    except (ValueError, RecursionError):
        raise MalformedFrame(-32700, "Parse error", id_of(text)) from None


def check(frame: Any) -> dict[str, Any]:
    """Return the frame if it is a valid request or reply.

    :raises MalformedFrame: it is a batch or not an object, has no id, or its method or params are malformed (code -32600).
    """
    if not isinstance(frame, dict):
        raise MalformedFrame(-32600, "Invalid Request: one JSON object per frame")
    request_id = frame.get("id")
    if "method" not in frame and ("result" in frame or "error" in frame):
        return frame  # a reply is never answered, not even an invalid one
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
    """Return the JSON value with ``1`` for ``1.0``: JSON Schema counts both as integers, and languages with one kind of number
    may
    send the latter.
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
    """Return a request of the simulator, with a UUID as its id."""
    return {"jsonrpc": "2.0", "id": str(uuid.uuid4()), "method": method, "params": params}


def envelope(event_type: str, params: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return the body of an event with additional ``members`` (``event_channel``, ``project_id``, ``space_id``, ``context``)."""
    return {"event_type": event_type, "timestamp": round(time.time(), 6), **members, "params": params}


def event(body: dict[str, Any]) -> dict[str, Any]:
    """Return an event: a request that the client has to acknowledge."""
    return request("signalwire.event", body)


def ping() -> dict[str, Any]:
    """Return a ping; the reply should echo its timestamp."""
    return request("signalwire.ping", {"timestamp": round(time.time(), 6)})


def dump(frame: Any) -> str:
    """Return the text of a frame, without whitespace.

    :raises ValueError: it contains NaN or infinity.
    :raises TypeError: JSON cannot express a value.
    """
    return json.dumps(frame, separators=(",", ":"), allow_nan=False)
