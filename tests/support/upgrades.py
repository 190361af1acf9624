"""Upgrades to WebSocket that are written by hand, as proxies, web pages and other processes' streams send them."""

from __future__ import annotations

import socket
import threading
from typing import Any

from attrs import define, field

from tests.support import PATIENCE

__all__ = ["EVIL", "KEY", "Misrouted", "ask", "is_taken"]

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
EVIL = "https://evil.example"


def ask(port: int, *lines: str, host: str = "127.0.0.1", path: str = "/audio") -> str:
    """The status line of the answer to an upgrade with these header lines more."""
    head = [f"GET {path} HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", *lines]
    if not any(line.lower().startswith("host:") for line in lines):
        head.insert(1, f"Host: {host}:{port}")
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
        peer.sendall(("\r\n".join([*head, KEY]) + "\r\n").encode("latin-1"))
        return peer.recv(4096).split(b"\r\n")[0].decode()


def is_taken(port: int, *lines: str, **options: str) -> bool:
    status = ask(port, *lines, **options)
    assert status.split()[1] in ("101", "403")
    return " 101 " in status


@define(eq=False)
class Misrouted:
    """A call whose stream leads somewhere else, while what belongs elsewhere comes here."""

    port: int
    lines: tuple[str, ...]
    path: str = "/audio"
    times: int = 1
    ends: bool = False
    error: BaseException | None = None
    stopped: threading.Event = field(factory=threading.Event)

    def stream(self, **options: Any) -> Misrouted:
        for _ in range(self.times):
            ask(self.port, *self.lines, path=self.path)
        return self

    @property
    def is_done(self) -> bool:
        return self.ends

    def stop(self) -> None:
        self.stopped.set()
