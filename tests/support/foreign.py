"""A RELAY client for tests that use nothing of this package: JSON on the stock WebSocket of websocket-client."""

from __future__ import annotations

import json
import socket
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import websocket

__all__ = ["Relay", "opened"]

Json = dict[str, Any]

#: Seconds after which a test gives up what it waits for.
PATIENCE: Final = 10.0


@contextmanager
def opened(url: str) -> Iterator[websocket.WebSocket]:
    """A WebSocket, past any proxy."""
    place = urllib.parse.urlsplit(url)
    sock = socket.create_connection((place.hostname, place.port), timeout=PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    one = websocket.create_connection(url, timeout=PATIENCE, socket=sock)
    try:
        yield one
    finally:
        one.shutdown()  # type: ignore[no-untyped-call]


class Relay:
    """One connection. It reads while it waits, and acknowledges events."""

    def __init__(self, url: str, **authentication: Any) -> None:
        self._stack = ExitStack()
        self.ws = self._stack.enter_context(opened(url))
        self.frames: list[Json] = []
        self._count = 0
        self.told = self.ask(
            "signalwire.connect",
            version={"major": 2, "minor": 0, "revision": 0},
            authentication=authentication,
            contexts=["default"],
        )

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def session(self) -> str:
        """The id of the session."""
        return str(self.told["result"]["sessionid"])

    def read(self) -> Json:
        """The next frame; requests are answered."""
        frame: Json = json.loads(self.ws.recv())
        self.frames.append(frame)
        if "method" in frame:
            self.ws.send(json.dumps({"jsonrpc": "2.0", "id": frame["id"], "result": {}}))
        return frame

    def ask(self, method: str, /, **params: Any) -> Json:
        """The whole reply to a request."""
        self._count += 1
        request = {"jsonrpc": "2.0", "id": f"q{self._count}", "method": method, "params": params}
        self.ws.send(json.dumps(request))
        while True:
            frame = self.read()
            if "method" not in frame and frame.get("id") == request["id"]:
                return frame

    def result(self, method: str, /, **params: Any) -> Json:
        """The result of a request."""
        found: Json = self.ask(method, **params)["result"]
        return found

    def events(self, kind: str, **members: Any) -> list[Json]:
        """The parameters of the events of a type that have come, oldest first."""
        found = [frame["params"] for frame in self.frames if frame.get("method") == "signalwire.event"]
        bodies = [each.get("params", {}) for each in found if each["event_type"] == kind]
        return [each for each in bodies if all(each.get(name) == value for name, value in members.items())]

    def event(self, kind: str, **members: Any) -> Json:
        """The first event of a type with these parameters; it is waited for."""
        end = time.monotonic() + PATIENCE
        while not (found := self.events(kind, **members)):
            assert time.monotonic() < end, f"no {kind} with {members}"
            self.read()
        return found[0]
