"""Serialization and parsing of JSON-RPC 2.0 frames.

The simulator does not share this code with the SDK. A mistake in shared code would go unnoticed, because both sides would agree
on it.
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

DEEPEST = 64  # maximum depth of parameters; values at deeper levels are not converted
#: Members with client-defined contents, which are not converted.
_FREEFORM = frozenset({"custom_parameters", "global_data"})


class MalformedFrame(ValueError):
    """A frame that is not a valid JSON-RPC 2.0 object.

    :ivar code: JSON-RPC error code for the reply.
    :ivar request_id: request ID for the reply; ``None`` if it could not be parsed.
    """

    def __init__(self, code: int, message: str, request_id: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id


def parse(text: str) -> Any:
    """Parse a text frame as JSON.

    :raises MalformedFrame: the text is not valid JSON, contains NaN or infinity, or is nested too deeply. The code is -32700,
        and the error includes the request ID if it could be extracted.
    """
    try:
        return read_strictly(text)
    except (ValueError, RecursionError):
        raise MalformedFrame(-32700, "Parse error", id_of(text)) from None


def check(frame: Any) -> dict[str, Any]:
    """Return the frame if it is a valid request or reply.

    :raises MalformedFrame: the frame is not an object (for example, it is a batch), its ID is missing or invalid, or its method
        or params are malformed. The code is -32600.
    """
    if not isinstance(frame, dict):
        raise MalformedFrame(-32600, "Invalid Request: one JSON object per frame")
    request_id = frame.get("id")
    if "method" not in frame and ("result" in frame or "error" in frame):
        return frame  # never respond to a reply, even if it is invalid
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
    """Return a JSON value with floats such as ``1.0`` converted to integers.

    JSON Schema treats ``1.0`` as an integer, and clients written in languages with a single number type may send it.
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
    """Return a reply with a result."""
    return {"jsonrpc": "2.0", "id": request_id, "result": value}


def error(request_id: Any, code: int, message: str, data: Any = None) -> dict[str, Any]:
    """Return a reply with a JSON-RPC error."""
    body = {"code": code, "message": message}
    return {"jsonrpc": "2.0", "id": request_id, "error": body if data is None else {**body, "data": data}}


def request(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return a request with a random UUID as its ID."""
    return {"jsonrpc": "2.0", "id": str(uuid.uuid4()), "method": method, "params": params}


def envelope(event_type: str, params: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return the envelope of an event.

    :param members: additional members, such as ``event_channel``, ``project_id``, ``space_id`` and ``context``.
    """
    return {"event_type": event_type, "timestamp": round(time.time(), 6), **members, "params": params}


def event(body: dict[str, Any]) -> dict[str, Any]:
    """Return an event frame. Events are requests that the client must acknowledge."""
    return request("signalwire.event", body)


def ping() -> dict[str, Any]:
    """Return a ping frame. The client is expected to echo the timestamp in its reply."""
    return request("signalwire.ping", {"timestamp": round(time.time(), 6)})


def dump(frame: Any) -> str:
    """Serialize a frame to JSON without whitespace.

    :raises ValueError: the frame contains NaN or infinity.
    :raises TypeError: the frame contains a value that JSON does not support.
    """
    return json.dumps(frame, separators=(",", ":"), allow_nan=False)
