"""Status callbacks as they arrive, in both dialects."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

KEY = "PSKinventedSigningKey0123456789"

FORM = [
    ("AccountSid", "4d0c0ffe-1111-4222-8333-444455556666"),
    ("CallSid", "c1"),
    ("StreamEvent", "stream-started"),
    ("StreamSid", "s1"),
    ("Timestamp", "2026-01-02T03:04:05Z"),
]

JSON_BODY = b'{"event_type":"calling.call.stream"}'

AS_FORM = {"Content-Type": "application/x-www-form-urlencoded"}

AS_JSON = {"Content-Type": "application/json; charset=utf-8"}


def form(fields: Any = FORM) -> bytes:
    return urlencode(fields).encode()
