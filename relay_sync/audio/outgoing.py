"""Build the messages that an endpoint sends on a two-way stream, as documented by SignalWire.

Each message contains the stream ID. Payloads are raw audio in the negotiated codec, without a file header.
"""

from __future__ import annotations

import json
from binascii import b2a_base64

__all__ = ["clear_line", "dtmf_line", "mark_line", "media_line"]


def media_line(stream_id: str, payload: bytes) -> str:
    """Return a ``media`` message. The carrier appends its audio to the playback queue."""
    text = b2a_base64(payload, newline=False).decode("ascii")
    return f'{{"event":"media","streamSid":{json.dumps(stream_id)},"media":{{"payload":"{text}"}}}}'


def mark_line(stream_id: str, name: str) -> str:
    """Return a ``mark`` message. The carrier returns it once the preceding audio has been played or discarded."""
    return f'{{"event":"mark","streamSid":{json.dumps(stream_id)},"mark":{{"name":{json.dumps(name)}}}}}'


def clear_line(stream_id: str) -> str:
    """Return a ``clear`` message, which discards the audio in the carrier's playback queue."""
    return f'{{"event":"clear","streamSid":{json.dumps(stream_id)}}}'


def dtmf_line(stream_id: str, digit: str) -> str:
    """Return a ``dtmf`` message, which sends one digit."""
    return f'{{"event":"dtmf","streamSid":{json.dumps(stream_id)},"dtmf":{{"digit":"{digit}"}}}}'
