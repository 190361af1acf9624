"""Control API response bodies."""

from __future__ import annotations

from typing import Any, Final

from ...core.feed import LiveEvent
from ...core.journal import Entry, masked
from ...core.session import Session
from ...core.urls import place
from ...media.stream import STATES as STREAM_STATES
from ...media.stream import Stream
from ...people.phone import STATES, Phone
from ..server import RestEntry
from ..webhooks import Delivery

__all__ = [
    "SCHEMAS",
    "call",
    "delivery",
    "entry",
    "listed",
    "live",
    "record",
    "ref",
    "rest_request",
    "session",
    "stream",
]


def call(phone: Phone) -> dict[str, Any]:
    """Serialize a call as seen by the remote party."""
    return {
        "id": phone.call_id,
        "node_id": phone.node_id,
        "number": phone.number,
        "state": phone.state,
        "end_reason": phone.end_reason,
        "digits": phone.digits,
        "activities": phone.activities,
        "heard": [
            {"type": item.type, "words": item.words, "duration": round(item.duration, 3)} for item in phone.heard
        ],
        "streams": [stream(each) for each in phone.streams],
        "waits": phone.waits_because,
    }


def stream(one: Stream) -> dict[str, Any]:
    """Serialize a stream. Its URL is reduced to scheme, host and port, because the rest may contain secrets."""
    return {
        "control_id": one.control_id,
        "name": one.name,
        "to": place(one.url),
        "tracks": list(one.tracks),
        "codec": one.format.base,
        "rate": one.format.rate,
        "ptime": one.format.ptime,
        "custom_parameters": masked(one.custom_parameters, custom=True),
        "state": one.state,
        "end_reason": one.end_reason,
        "frames_sent": dict(one.frames_sent),
        "lost": one.lost,
    }


def entry(number: int, one: Entry) -> dict[str, Any]:
    """Serialize a journal entry with tokens and passwords hidden.

    :param number: the entry's number, as returned by ``Journal.numbered()``.
    """
    return {"number": number, **one.members(), "frame": masked(one.frame, custom=True)}


def live(event: LiveEvent) -> dict[str, Any]:
    """Serialize a live event with tokens and passwords hidden."""
    return {"number": event.number, "kind": event.kind, "data": masked(event.data, custom=True)}


def session(one: Session) -> dict[str, Any]:
    """Serialize a connected client's session."""
    return {
        "id": one.session_id,
        "project": one.project,
        "identity": one.identity,
        "contexts": list(one.contexts),
        "connection": one.connection,
    }


def delivery(one: Delivery) -> dict[str, Any]:
    """Serialize a status webhook and its outcome."""
    return {
        "to": place(one.url),
        "method": one.method,
        "body": masked(one.body),
        "status": one.status,
        "error": one.error,
    }


def rest_request(one: RestEntry) -> dict[str, Any]:
    """Serialize a REST request and its response status."""
    return {
        "method": one.method,
        "path": one.path,
        "command": one.command,
        "body": masked(one.body),
        "status": one.status,
    }


# -- their schemas -----------------------------------------------------------------------------------------------------


def record(**members: Any) -> dict[str, Any]:
    """Return the schema of an object with exactly these members."""
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


def listed(items: Any) -> dict[str, Any]:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def ref(name: str) -> dict[str, Any]:
    """Return a reference to one of :data:`SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


_STRING: Final = {"type": "string"}
_INTEGER: Final = {"type": "integer"}
_NUMBER: Final = {"type": "number"}
_HEARD: Final = record(type=_STRING, words=_STRING, duration=_NUMBER)

#: JSON Schemas of response bodies, by name.
SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "Error": {
        "type": "object",
        "properties": {"error": _STRING, "parameter": _STRING, "pointer": _STRING},
        "required": ["error"],
        "additionalProperties": False,
    },
    "Call": record(
        id=_STRING,
        node_id=_STRING,
        number=_STRING,
        state={"enum": list(STATES)},
        end_reason=_STRING,
        digits=_STRING,
        activities=listed(_STRING),
        heard=listed(_HEARD),
        streams=listed(ref("Stream")),
        waits=_STRING,
    ),
    "Stream": record(
        control_id=_STRING,
        name={"type": ["string", "null"]},
        to=_STRING,
        tracks=listed(_STRING),
        codec=_STRING,
        rate=_INTEGER,
        ptime=_INTEGER,
        custom_parameters={},
        state={"enum": list(STREAM_STATES)},
        end_reason=_STRING,
        frames_sent={"type": "object", "additionalProperties": _INTEGER},
        lost=_INTEGER,
    ),
    "Entry": record(
        number=_INTEGER,
        time=_NUMBER,
        direction={"enum": ["in", "out", "lost"]},
        connection=_INTEGER,
        session=_STRING,
        method=_STRING,
        event_type=_STRING,
        frame={},
    ),
    "Delivery": record(
        to=_STRING,
        method=_STRING,
        body={"type": "object"},
        status={"type": ["integer", "null"]},
        error=_STRING,
    ),
    "Session": record(id=_STRING, project=_STRING, identity=_STRING, contexts=listed(_STRING), connection=_INTEGER),
    "RestRequest": record(method=_STRING, path=_STRING, command=_STRING, body={}, status=_INTEGER),
}
