"""Control API response bodies."""

from __future__ import annotations

from typing import Any

from ...core.journal import Entry, masked
from ...core.urls import place
from ...media.stream import Stream
from ...people.phone import Phone
from ..server import RestEntry
from ..webhooks import Delivery

__all__ = ["call", "delivery", "entry", "rest_request", "stream"]


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
        "state": one.state,
        "end_reason": one.end_reason,
        "frames_sent": dict(one.frames_sent),
        "lost": one.lost,
    }


def entry(number: int, one: Entry) -> dict[str, Any]:
    """Serialize a journal entry with secrets hidden.

    :param number: the entry's number, as returned by ``Journal.numbered()``.
    """
    return {
        "number": number,
        "direction": one.direction,
        "connection": one.connection,
        "method": one.method,
        "event_type": one.event_type,
        "frame": masked(one.frame),
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
