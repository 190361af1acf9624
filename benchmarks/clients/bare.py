"""No SDK at all: stock websocket-client and json, one thread, one command at a time."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import websocket

__all__ = ["Bare"]


class Bare:
    """See :class:`benchmarks.clients.Adapter`; it can only do what needs one thread."""

    def __init__(self, port: int, ca_file: str | None) -> None:
        self.url = f"{'wss' if ca_file else 'ws'}://localhost:{port}"
        self.options: dict[str, Any] = {"sslopt": {"ca_certs": ca_file}} if ca_file else {}
        self.ws: Any = None

    def connect(self) -> None:
        # Its own check of UTF-8 costs a hundred times the rest of it, and whoever measures switches it off.
        self.ws = websocket.create_connection(self.url, skip_utf8_validation=True, **self.options)
        self.execute(
            "signalwire.connect",
            {
                "version": {"major": 2, "minor": 0, "revision": 0},
                "agent": "bare",
                "event_acks": True,
                "authentication": {"project": "bench", "token": "bench"},
                "contexts": ["bench"],
            },
        )

    def close(self) -> None:
        self.ws.close()

    def _receive(self) -> dict[str, Any]:
        """The next frame; an event is acknowledged."""
        frame: dict[str, Any] = json.loads(self.ws.recv())
        if "method" in frame:
            self.ws.send(json.dumps({"jsonrpc": "2.0", "id": frame["id"], "result": {}}))
        return frame

    def execute(self, method: str, params: dict[str, object]) -> dict[str, object]:
        frame_id = str(uuid.uuid4())
        self.ws.send(json.dumps({"jsonrpc": "2.0", "id": frame_id, "method": method, "params": params}))
        while (frame := self._receive()).get("id") != frame_id:
            pass
        result: dict[str, object] = frame["result"]
        return result

    def sequence(self, count: int) -> list[float]:
        took = []
        for _ in range(count):
            began = time.perf_counter()
            self.execute("bench.echo", {"text": "x"})
            took.append(time.perf_counter() - began)
        return took

    def flood(self, count: int) -> float:
        began = time.perf_counter()
        self.execute("bench.flood", {"count": count, "call_id": "bare"})
        seen = 0
        while seen < count:
            if self._receive()["params"]["event_type"] == "calling.call.play":
                seen += 1
        self.execute("bench.acknowledged", {})
        return time.perf_counter() - began
