"""Hooks of schemathesis, which ``tests/simulator/http/test_openapi.py`` runs: what it cannot know, and what would take too long.

It is imported by schemathesis, as ``SCHEMATHESIS_HOOKS``.
"""

from __future__ import annotations

import base64
import io
import wave
from typing import Any

import schemathesis
from hypothesis import strategies as st

#: Seconds for which a request waits at most, instead of up to a minute.
SHORT = 0.01


def _wav(seconds: float) -> str:
    """A WAV file in base64."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(2 * int(8000 * seconds)))
    return base64.b64encode(data.getvalue()).decode()


# A schema cannot express what a WAV file is.
schemathesis.openapi.format("wav", st.sampled_from([_wav(0.02), _wav(0.1)]))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Shorten waits, and keep the port open."""
    query = case.query
    waits = {"wait", "heard", "doing", "stream", "count"} & set(query or ())
    if waits:
        query["timeout"] = _shortened(query.get("timeout", "10"))
    body = case.body
    if case.path.endswith("/refuse_connections") and isinstance(body, dict) and body.get("how") == "tcp":
        body["how"] = "http"  # tcp closes the port that all requests need


def _shortened(timeout: Any) -> Any:
    """A timeout that is valid and takes long, made short; a list of one number is written like the number."""
    if isinstance(timeout, list):
        return [_shortened(each) for each in timeout]
    try:
        return SHORT if SHORT < float(timeout) <= 60 else timeout
    except (TypeError, ValueError):
        return timeout
