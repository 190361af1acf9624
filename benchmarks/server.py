"""A RELAY server that is never the limit: one process, one selector, raw frames, answers written ahead.

``python -m benchmarks.server [--tls CERT KEY]`` prints its port and serves until its standard input closes. Methods that
begin with ``bench.`` are its own: how a client asks for calls, floods and cuts.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import selectors
import socket
import ssl
import sys
import time
from collections.abc import Callable
from typing import Any, Final

__all__ = ["Peer", "Server", "main"]

GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
READ: Final = 256 * 1024
NOT_NOW: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
NODE: Final = "b4d2f0a8-6c1e-4e93-8f57-0a9c3d7e5b21@use1"
#: Seconds between two portions of a steady flow of events.
DRIP_EVERY: Final = 0.01


def frame(text: str) -> bytes:
    """A text message as a server sends it."""
    data = text.encode()
    size = len(data)
    if size < 126:
        return bytes((0x81, size)) + data
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + data
    return b"\x81\x7f" + size.to_bytes(8, "big") + data


def event(number: int, event_type: str, params: dict[str, Any]) -> str:
    """An event as the platform sends it."""
    payload = {
        "event_type": event_type,
        "event_channel": "signalwire_9f4c1e2ab7d04e55_4b0e6c1f-1d22-4f0a-b0d4-2f6f0d6f2c11_bench",
        "timestamp": 1767225605.412,
        "project_id": "7c0e5d1a-3b42-4f6e-9a11-50d2c8e4b7f3",
        "space_id": "e1b9a6c4-08d7-4c35-8f2e-6a7d91c3b540",
        "context": "bench",
        "params": {**params, "node_id": NODE},
    }
    return json.dumps({"jsonrpc": "2.0", "id": f"event-{number}", "method": "signalwire.event", "params": payload})


class Peer:
    """One client's connection."""

    def __init__(self, server: Server, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock
        self.unread = bytearray()
        self.unsent = bytearray()
        self.open = False
        self.ended = False
        #: Answers to our events still to come, and who asked to be told when there are none left.
        self.unacknowledged = 0
        self.waiting: list[Any] = []
        self.rate = 0.0
        self.owed = 0.0
        self.calls = 0

    # -- bytes -----------------------------------------------------------------------------------------------------

    def readable(self) -> None:
        while True:
            try:
                data = self.sock.recv(READ)
            except NOT_NOW:
                break
            except OSError:
                data = b""
            if not data:
                self.end()
                return
            self.unread += data
            if not (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()):
                break
        if self.open or self.upgrade():
            self.take()
        self.flush()

    def upgrade(self) -> bool:
        end = self.unread.find(b"\r\n\r\n")
        if end < 0:
            return False
        lines = bytes(self.unread[:end]).split(b"\r\n")
        del self.unread[: end + 4]
        key = next(line.split(b":", 1)[1].strip() for line in lines if line.lower().startswith(b"sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        self.unsent += (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self.open = True
        return True

    def take(self) -> None:
        unread = self.unread
        start, size = 0, len(unread)
        while size - start >= 6:
            length, head = unread[start + 1] & 0x7F, 6
            if length == 126:
                length, head = int.from_bytes(unread[start + 2 : start + 4], "big"), 8
            elif length == 127:
                length, head = int.from_bytes(unread[start + 2 : start + 10], "big"), 14
            end = start + head + length
            if end > size:
                break
            if unread[start] == 0x81:
                mask = bytes(unread[start + head - 4 : start + head])
                key = int.from_bytes((mask * (length // 4 + 1))[:length], "little")
                data = int.from_bytes(unread[start + head : end], "little") ^ key
                self.message(data.to_bytes(length, "little"))
            elif unread[start] == 0x88:
                self.end()
                return
            start = end
            if self.ended:
                return
        del unread[:start]

    def flush(self) -> None:
        unsent = self.unsent
        try:
            while unsent:
                with memoryview(unsent) as view:
                    sent = self.sock.send(view[:READ])
                del unsent[:sent]
        except NOT_NOW:
            pass
        except OSError:
            self.end()
        if not self.ended:
            self.server.want_write(self, bool(unsent))

    def end(self) -> None:
        if not self.ended:
            self.ended = True
            self.server.forget(self)

    # -- messages --------------------------------------------------------------------------------------------------

    def message(self, data: bytes) -> None:
        if b'"method"' not in data:
            self.unacknowledged -= 1
            if self.waiting and self.unacknowledged <= 0:
                for frame_id in self.waiting:
                    self.reply(frame_id, {"code": "200"})
                self.waiting.clear()
            return
        request = json.loads(data)
        method, params = request["method"], request.get("params") or {}
        answer = METHODS.get(method)
        if answer is None:
            self.reply(request["id"], {"code": "200", "message": "OK"})
        else:
            answer(self, request["id"], params)

    def reply(self, frame_id: Any, result: dict[str, Any]) -> None:
        self.unsent += frame(json.dumps({"jsonrpc": "2.0", "id": frame_id, "result": result}))

    def event(self, event_type: str, params: dict[str, Any]) -> None:
        self.server.numbers += 1
        self.unacknowledged += 1
        self.unsent += frame(event(self.server.numbers, event_type, params))

    def offer(self) -> None:
        self.calls += 1
        self.server.numbers += 1
        self.event(
            "calling.call.receive",
            {
                "call_id": f"3f8e6a52-0c7d-4b19-a4e6-{self.server.numbers:012d}",
                "call_state": "created",
                "context": "bench",
                "direction": "inbound",
                "segment_id": "5d1b8c36-e7f0-42a9-9c44-b38a6e0d2f17",
                "device": {"type": "phone", "params": {"from_number": "+15550199", "to_number": "+15550100"}},
            },
        )

    def drip(self, seconds: float) -> None:
        """The events of a steady flow that are due, unless the client does not take them."""
        self.owed += self.rate * seconds
        while self.owed >= 1.0 and len(self.unsent) < READ:
            self.owed -= 1.0
            self.event("calling.call.play", {"call_id": "nobody", "control_id": "c", "state": "playing"})
        self.owed = min(self.owed, 1000.0)
        self.flush()


def _connect(peer: Peer, frame_id: Any, params: dict[str, Any]) -> None:
    protocol = params.get("protocol") or "signalwire_9f4c1e2ab7d04e55_4b0e6c1f-1d22-4f0a-b0d4-2f6f0d6f2c11_bench"
    peer.reply(frame_id, {"protocol": protocol, "identity": "bench@bench.use1"})
    if params.get("authorization_state") is None:
        peer.event("signalwire.authorization.state", {"authorization_state": "bench:state"})
    if "at-once" in (params.get("contexts") or ()):
        peer.offer()


def _offer(peer: Peer, frame_id: Any, params: dict[str, Any]) -> None:
    peer.reply(frame_id, {"code": "200"})
    for _ in range(params["count"]):
        peer.offer()


def _flood(peer: Peer, frame_id: Any, params: dict[str, Any]) -> None:
    peer.reply(frame_id, {"code": "200"})
    body = {"call_id": params["call_id"], "control_id": "5d1b8c36-e7f0-42a9-9c44-b38a6e0d2f17", "state": "playing"}
    first = peer.server.numbers
    peer.server.numbers += params["count"]
    peer.unacknowledged += params["count"]
    # All alike but for the number of the frame, so the server spends nothing on them.
    before, _, after = event(0, "calling.call.play", body).partition('"event-0"')
    for number in range(first + 1, first + params["count"] + 1):
        peer.unsent += frame(f'{before}"event-{number:09d}"{after}')


def _acknowledged(peer: Peer, frame_id: Any, params: dict[str, Any]) -> None:
    if peer.unacknowledged <= 0:
        peer.reply(frame_id, {"code": "200"})
    else:
        peer.waiting.append(frame_id)


def _drip(peer: Peer, frame_id: Any, params: dict[str, Any]) -> None:
    peer.rate = float(params["rate"])
    peer.server.dripping = peer if peer.rate else None
    peer.reply(frame_id, {"code": "200"})


def _cpu(peer: Peer, frame_id: Any, params: dict[str, Any]) -> None:
    peer.reply(frame_id, {"code": "200", "cpu": time.process_time(), "connections": peer.server.connections})


def _answer(peer: Peer, frame_id: Any, params: dict[str, Any]) -> None:
    peer.reply(frame_id, {"code": "200"})
    peer.event("calling.call.state", {"call_id": params["call_id"], "call_state": "answered", "direction": "inbound"})


def _stream(peer: Peer, frame_id: Any, params: dict[str, Any]) -> None:
    names = {"call_id": params["call_id"], "control_id": params["control_id"]}
    peer.reply(frame_id, {"code": "200", **names})
    peer.event("calling.call.stream", {**names, "state": "streaming", "url": params["url"]})
    peer.event("calling.call.stream", {**names, "state": "finished", "url": params["url"]})


def _end(peer: Peer, frame_id: Any, params: dict[str, Any]) -> None:
    peer.reply(frame_id, {"code": "200"})
    peer.event(
        "calling.call.state",
        {"call_id": params["call_id"], "call_state": "ended", "end_reason": "hangup", "direction": "inbound"},
    )


METHODS: Final[dict[str, Callable[[Peer, Any, dict[str, Any]], None]]] = {
    "signalwire.connect": _connect,
    "calling.answer": _answer,
    "calling.stream": _stream,
    "calling.end": _end,
    "bench.offer": _offer,
    "bench.flood": _flood,
    "bench.acknowledged": _acknowledged,
    "bench.drip": _drip,
    "bench.cut": lambda peer, frame_id, params: peer.end(),
    "bench.cpu": _cpu,
}


class Server:
    """Accepts clients and moves their bytes."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.context = context
        self.numbers = 0
        self.connections = 0
        self.dripping: Peer | None = None
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self.listener.getsockname()[1]
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(sys.stdin, selectors.EVENT_READ)

    def serve(self) -> None:
        """Until the parent closes our standard input."""
        last = time.monotonic()
        while True:
            for key, mask in self.selector.select(DRIP_EVERY if self.dripping else None):
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is self.listener:
                    self.accept()
                elif mask & selectors.EVENT_READ:
                    key.data.readable()
                elif not key.data.ended:
                    key.data.flush()
            now = time.monotonic()
            if self.dripping is not None and now - last >= DRIP_EVERY:
                self.dripping.drip(min(1.0, now - last))
                last = now
            elif self.dripping is None:
                last = now

    def accept(self) -> None:
        sock, _ = self.listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context is not None:
            sock.settimeout(5.0)
            try:
                sock = self.context.wrap_socket(sock, server_side=True)
            except OSError:
                sock.close()
                return
        sock.setblocking(False)
        self.connections += 1
        self.selector.register(sock, selectors.EVENT_READ, Peer(self, sock))

    def want_write(self, peer: Peer, wanted: bool) -> None:
        interest = selectors.EVENT_READ | (selectors.EVENT_WRITE if wanted else 0)
        if self.selector.get_key(peer.sock).events != interest:
            self.selector.modify(peer.sock, interest, peer)

    def forget(self, peer: Peer) -> None:
        if self.dripping is peer:
            self.dripping = None
        self.selector.unregister(peer.sock)
        peer.sock.close()


def main() -> None:
    """The server process."""
    parser = argparse.ArgumentParser(prog="benchmarks.server")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    given = parser.parse_args()
    context = None
    if given.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*given.tls)
    server = Server(context)
    print(server.port, flush=True)
    server.serve()


if __name__ == "__main__":
    main()
