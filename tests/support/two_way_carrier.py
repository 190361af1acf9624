"""A carrier of a two-way stream: it sends, and shows what it gets."""

from __future__ import annotations

import json
from typing import Any

import websocket

from relay_sync.audio import AudioServer, AudioStream

PATIENCE = 20.0


class TwoWayCarrier:
    """A plain peer: it sends what a carrier would and shows what it gets."""

    stream: AudioStream

    def __init__(
        self,
        audio: AudioServer,
        encoding: str = "audio/x-mulaw",
        rate: int = 8000,
        *,
        header: dict[str, str] | None = None,
        accept: bool = True,
    ) -> None:
        self.ws = websocket.create_connection(audio.url, timeout=PATIENCE, header=header or {})
        form = {"encoding": encoding, "sampleRate": rate, "channels": 1}
        self.send({"event": "connected", "protocol": "Call", "version": "0.2.0"})
        start = {"streamSid": 'S"1', "accountSid": "A", "callSid": "C", "tracks": ["inbound"], "mediaFormat": form}
        self.send({"event": "start", "sequenceNumber": "1", "start": start})
        if accept:
            self.stream = audio.accept(PATIENCE)

    def send(self, message: dict[str, Any]) -> None:
        self.ws.send(json.dumps(message))

    def next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.ws.recv())
        return message

    def echo(self, name: str) -> None:
        self.send({"event": "mark", "streamSid": 'S"1', "mark": {"name": name}})

    def __enter__(self) -> TwoWayCarrier:
        return self

    def __exit__(self, *_: object) -> None:
        self.ws.close()
        self.stream.close()
