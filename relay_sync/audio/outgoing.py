"""Messages that an endpoint may send on a two-way stream, as documented by SignalWire.

All of them name the stream; payloads are raw audio in the negotiated codec, without a file's header.
"""

from __future__ import annotations

import json
from binascii import b2a_base64

__all__ = ["clear_line", "dtmf_line", "mark_line", "media_line"]


def media_line(stream_id: str, payload: bytes) -> str:
    """Return a message with audio to play after the audio that is already queued."""
    text = b2a_base64(payload, newline=False).decode("ascii")
    return f'{{"event":"media","streamSid":{json.dumps(stream_id)},"media":{{"payload":"{text}"}}}}'


def mark_line(stream_id: str, name: str) -> str:
    """Return a mark message, which the carrier returns once everything sent before it has been played or dropped."""
    return f'{{"event":"mark","streamSid":{json.dumps(stream_id)},"mark":{{"name":{json.dumps(name)}}}}}'


def clear_line(stream_id: str) -> str:
    """Return the message that drops audio that has not been played yet."""
    return f'{{"event":"clear","streamSid":{json.dumps(stream_id)}}}'


def dtmf_line(stream_id: str, digit: str) -> str:
    """Return a message that sends a DTMF digit."""
    return f'{{"event":"dtmf","streamSid":{json.dumps(stream_id)},"dtmf":{{"digit":"{digit}"}}}}'
