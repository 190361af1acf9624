"""The messages an endpoint may send on a two-way stream, as SignalWire documents them. Pure.

All of them name the stream; payloads are raw audio in the negotiated codec, without a file's header.
"""

from __future__ import annotations

import json
from binascii import b2a_base64

__all__ = ["clear_line", "dtmf_line", "mark_line", "media_line"]


def media_line(stream_id: str, payload: bytes) -> str:
    """Audio, to be played after what was sent before."""
    text = b2a_base64(payload, newline=False).decode("ascii")
    return f'{{"event":"media","streamSid":{json.dumps(stream_id)},"media":{{"payload":"{text}"}}}}'


def mark_line(stream_id: str, name: str) -> str:
    """A mark, which comes back when everything sent before it has been played or dropped."""
    return f'{{"event":"mark","streamSid":{json.dumps(stream_id)},"mark":{{"name":{json.dumps(name)}}}}}'


def clear_line(stream_id: str) -> str:
    """Drop what has not been played yet."""
    return f'{{"event":"clear","streamSid":{json.dumps(stream_id)}}}'


def dtmf_line(stream_id: str, digit: str) -> str:
    """Press a key."""
    return f'{{"event":"dtmf","streamSid":{json.dumps(stream_id)},"dtmf":{{"digit":"{digit}"}}}}'
