"""The carrier's side of media streams: many sockets that speak in real time. One process, no more work than writing.

``python -m benchmarks.sender '{"url": ..., "streams": ..., "speaking": ..., "seconds": ...}'`` prints, as the last line,
when it sent which message (every 16th, from another of the first 16 on in each stream, so that the beginning of a stream counts
for as much as it is long), its own use of a CPU, and how many messages went out.
"""

from __future__ import annotations

import base64
import json
import os
import random
import socket
import sys
import time
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["main"]

FRAME: Final = 0.02
SAMPLED: Final = 16
_PAYLOAD: Final = base64.b64encode(bytes(random.Random(1).randrange(256) for _ in range(160))).decode()


def masked(text: str) -> bytes:
    """A text message as a client sends it. The mask is all zeros, which costs the receiver as much as any other."""
    data = text.encode()
    if len(data) < 126:
        return bytes((0x81, 0x80 | len(data))) + b"\0\0\0\0" + data
    return b"\x81\xfe" + len(data).to_bytes(2, "big") + b"\0\0\0\0" + data


def open_stream(url: str, number: int) -> socket.socket:
    """Connect, upgrade, and say ``connected`` and ``start``."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    sock = socket.create_connection((parts.hostname, parts.port or 80), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(
        f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        data = sock.recv(4096)
        assert data, "the receiver refused"
        answer += data
    assert answer.startswith(b"HTTP/1.1 101"), answer
    sock.sendall(masked(json.dumps({"event": "connected", "protocol": "Call", "version": "0.2.0"})))
    start = {
        "event": "start",
        "sequenceNumber": "1",
        "start": {
            "streamSid": f"stream-{number}",
            "accountSid": "bench",
            "callSid": f"call-{number}",
            "tracks": ["inbound"],
            "customParameters": {},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        },
    }
    sock.sendall(masked(json.dumps(start)))
    return sock


def media(step: int, payload: str) -> bytes:
    """The message with the frame of a step, with which a stream begins at 0."""
    return masked(
        f'{{"event":"media","sequenceNumber":"{step + 2}","media":{{"track":"inbound","chunk":"{step + 1}",'
        f'"timestamp":"{step * 20}","payload":"{payload}"}}}}'
    )


def close_streams(socks: list[socket.socket]) -> None:
    """Say ``stop`` on each socket, and close them."""
    for sock in socks:
        sock.sendall(masked('{"event":"stop","sequenceNumber":"9999999","stop":{}}'))
        sock.sendall(b"\x88\x82\0\0\0\0\x03\xe8")
    for sock in socks:
        sock.close()


def speak(socks: list[socket.socket], seconds: float) -> dict[str, Any]:
    """A frame each 20 ms on each socket, the streams spread over the 20 ms."""
    sent: dict[str, list[float]] = {str(number): [] for number in range(len(socks))}
    steps = int(seconds / FRAME)
    apart = FRAME / len(socks)
    began = time.monotonic() + 0.1
    cpu = time.process_time()
    for step in range(steps):
        data = media(step, _PAYLOAD)
        for number, sock in enumerate(socks):
            due = began + step * FRAME + number * apart
            now = time.monotonic()
            if due - now > 0.0005:
                time.sleep(due - now)
            if step % SAMPLED == number % SAMPLED:
                sent[str(number)].append(time.monotonic())
            sock.sendall(data)
    wall = time.monotonic() - began
    return {"sent": sent, "cpu": (time.process_time() - cpu) / wall, "messages": steps * len(socks), "wall": wall}


def main() -> None:
    """The sender process."""
    given = json.loads(sys.argv[1])
    socks = [open_stream(given["url"], number) for number in range(given["streams"])]
    if "gate" in given:  # other senders begin at the same time
        with socket.create_connection(("127.0.0.1", given["gate"]), timeout=120) as gate:
            gate.recv(1)
    # They are all there before the first one speaks.
    time.sleep(given.get("settle", 1.0))
    told = speak(socks[: given["speaking"]], given["seconds"])
    close_streams(socks)
    print("figures " + json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
