"""A carrier of audio: it sends a stream to a receiver as SignalWire would, or worse."""

from __future__ import annotations

import socket
import struct
from typing import Any

import websocket

from relay_sync.audio import codec_for
from relay_sync.audio.messages import (
    MediaFormat,
    connected_message,
    media_message,
    start_message,
    stop_message,
)
from tests.support import PATIENCE

PCMU = codec_for("PCMU")

PAYLOADS = [bytes([(number * 7 + byte) % 256 for byte in range(160)]) for number in range(50)]


class Carrier:
    """Sends a stream as SignalWire would, or worse."""

    def __init__(self, url: str, *, token: str | None = None, **options: Any) -> None:
        header = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.ws = websocket.create_connection(url, timeout=PATIENCE, header=header, **options)
        self.sequence = 0
        self.chunks: dict[str, int] = {}

    def number(self) -> int:
        self.sequence += 1
        return self.sequence

    def start(
        self, *tracks: str, encoding: str = "audio/x-mulaw", rate: int = 8000, call_id: str = "call-1"
    ) -> Carrier:
        self.ws.send(connected_message())
        self.ws.send(
            start_message(
                stream_id=f"stream-of-{call_id}",
                account_id="project",
                call_id=call_id,
                tracks=tracks or ("inbound",),
                media_format=MediaFormat(encoding, rate, 1),
                custom_parameters={"tier": "gold"},
                sequence=self.number(),
            )
        )
        return self

    def media(self, payload: bytes, *, track: str = "inbound", chunk: int | None = None) -> None:
        """The next packet of 20 ms, or the one with number *chunk* (from 1)."""
        chunk = self.chunks.get(track, 0) + 1 if chunk is None else chunk
        self.chunks[track] = max(chunk, self.chunks.get(track, 0))
        self.ws.send(
            media_message(track=track, sequence=self.number(), chunk=chunk, timestamp=20 * (chunk - 1), payload=payload)
        )

    def speech(self, track: str = "inbound") -> bytes:
        for payload in PAYLOADS:
            self.media(payload, track=track)
        return PCMU.decode(b"".join(PAYLOADS))

    def stop(self) -> None:
        self.ws.send(stop_message(sequence=self.number()))

    def cut(self, *, reset: bool = False) -> None:
        """End the socket without a word."""
        if reset:
            self.ws.sock.setsockopt(  # type: ignore[union-attr]
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        self.ws.shutdown()  # type: ignore[no-untyped-call]
