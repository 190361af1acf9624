"""An HTTP server whose every answer the test decides on."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from relay_sync.rest import RestClient
from tests.support import PATIENCE

Act = Callable[[socket.socket], None]


class Scripted:
    """An HTTP server that does to each connection what the script says; the request is read first."""

    def __init__(self, *script: Act) -> None:
        self._script = list(script)
        self.requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"ws://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, name="scripted", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for act in self._script:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer:
                peer.settimeout(PATIENCE)
                self.requests.put(read_request(peer))
                with contextlib.suppress(OSError):
                    act(peer)
                    peer.shutdown(socket.SHUT_WR)  # a child of a fork may have a copy, which would keep it open

    @property
    def served(self) -> int:
        return self.requests.qsize()

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)


def read_request(peer: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = peer.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(one[15:]) for one in head.split(b"\r\n") if one.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += peer.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(status: int, body: bytes = b"{}", **headers: str) -> Act:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    whole = "\r\n".join([*lines, "", ""]).encode() + body
    return lambda peer: peer.sendall(whole)


def drip(first: bytes) -> Act:
    """Send a byte now and then, for ever."""

    def act(peer: socket.socket) -> None:
        peer.sendall(first)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            peer.sendall(b"x")
            if select_closed(peer, 0.02):
                return

    return act


def select_closed(peer: socket.socket, seconds: float) -> bool:
    """Whether the other side has closed, after so many seconds at most."""
    peer.settimeout(seconds)
    try:
        return peer.recv(1) == b""
    except TimeoutError:
        return False
    finally:
        peer.settimeout(PATIENCE)


def hang_up(peer: socket.socket) -> None:
    """Close without an answer."""


def scripted_client(server: Scripted, **options: Any) -> RestClient:
    return RestClient("p", "t", server.host, **options)


OK = answer(200, b'{"id":"c","status":"answered"}')
