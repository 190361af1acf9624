"""The receiver of media streams, measured from inside: CPU per frame, time in transit, memory per stream.

``python -m benchmarks.audio '{"receiver": "ours", "streams": 60, "speaking": 60, "seconds": 5}'`` starts the sender itself.
Each stream is read to its end, frame by frame, by a thread of its own: what a program with blocking code does.
"""

from __future__ import annotations

import base64
import importlib
import json
import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any, Final

from .figures import percentile
from .processes import worker
from .scenarios import memory
from .sender import SAMPLED

__all__ = ["RECEIVERS", "main"]

#: Called with stream, message's number from 0, and hears when the stream has begun (number -1) and ended (-2).
Heard = Callable[[str, int], None]


class Tally:
    """What arrived, and when."""

    def __init__(self, streams: int) -> None:
        self.streams = streams
        self.arrivals: dict[str, list[float]] = {}
        self.phases: dict[str, int] = {}
        self.frames: dict[str, int] = {}
        self.begun = threading.Semaphore(0)
        self.done = threading.Semaphore(0)

    def heard(self, stream: str, number: int) -> None:
        if number == -1:
            self.arrivals[stream] = []
            self.phases[stream] = int(stream) % SAMPLED
            self.frames[stream] = 0
            self.begun.release()
        elif number == -2:
            self.done.release()
        else:
            self.frames[stream] += 1
            if number % SAMPLED == self.phases[stream]:
                self.arrivals[stream].append(time.monotonic())


def ours(heard: Heard, mode: str) -> tuple[str, Callable[[], None]]:
    """``relay_sync.audio``; ``mode`` is ``frames``, or ``pieces`` of half a second."""
    from relay_sync.audio import AudioServer, AudioStream

    def each(stream: AudioStream) -> None:
        name = stream.stream_id.removeprefix("stream-")
        heard(name, -1)
        if mode == "pieces":
            number = 0
            while piece := stream.read(0.5):
                for _ in range(len(piece) // 320):
                    heard(name, number)
                    number += 1
        else:
            for frame in stream:
                heard(name, (frame.sequence or 2) - 2)
        heard(name, -2)

    server = AudioServer(on_stream=each, max_connections=2000, spool=False).start()
    return server.url, server.close


def _decoder() -> Callable[[bytes], bytes]:
    """The standard library's, which Python 3.13 has not any more; then the payload is left as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            audioop = importlib.import_module("audioop")
        except ImportError:
            return bytes
    return lambda payload: bytes(audioop.ulaw2lin(payload, 2))


def threaded(heard: Heard, mode: str) -> tuple[str, Callable[[], None]]:
    """What people write today: a threaded server on the ``websockets`` sync API, ``json`` and ``base64``."""
    from websockets.sync.server import ServerConnection, serve

    decode = _decoder()

    def each(connection: ServerConnection) -> None:
        name = ""
        for text in connection:
            message = json.loads(text)
            if message["event"] == "start":
                name = message["start"]["streamSid"].removeprefix("stream-")
                heard(name, -1)
            elif message["event"] == "media":
                decode(base64.b64decode(message["media"]["payload"]))
                heard(name, int(message["sequenceNumber"]) - 2)
            elif message["event"] == "stop":
                break
        heard(name, -2)

    server = serve(each, "127.0.0.1", 0, compression=None, ping_interval=None)
    threading.Thread(target=server.serve_forever, name="bench-audio", daemon=True).start()
    return f"ws://127.0.0.1:{server.socket.getsockname()[1]}/audio", server.shutdown


RECEIVERS: Final[dict[str, Callable[[Heard, str], tuple[str, Callable[[], None]]]]] = {
    "ours": ours,
    "threaded": threaded,
}


def measure(
    receiver: str, *, streams: int, speaking: int, seconds: float, mode: str = "frames", settle: float = 1.0
) -> dict[str, float]:
    """One receiver with so many streams, of which some speak for so long in real time."""
    tally = Tally(streams)
    url, close = RECEIVERS[receiver](tally.heard, mode)
    before = memory()
    told: dict[str, Any] = {}
    given = {"url": url, "streams": streams, "speaking": speaking, "seconds": seconds, "settle": settle}
    thread = threading.Thread(
        target=lambda: told.update(worker("sender", given, timeout=seconds * 4 + 120)), name="bench-sender", daemon=True
    )
    thread.start()
    for _ in range(streams):
        assert tally.begun.acquire(timeout=60)
    there = memory()
    cpu, began = time.process_time(), time.monotonic()
    # In the middle of it: by then buffers have the size they stay at.
    time.sleep(settle + seconds / 2)
    middle = memory()
    for _ in range(streams):
        assert tally.done.acquire(timeout=seconds * 4 + 60)
    spent, wall = time.process_time() - cpu, time.monotonic() - began
    late = memory()
    thread.join(60)
    close()
    frames = sum(tally.frames.values())
    transit = [
        there - sent
        for stream, times in told["sent"].items()
        for there, sent in zip(tally.arrivals.get(stream, ()), times, strict=False)
    ]
    return {
        "cpu": spent / max(1, frames) * 1e6,
        "share": spent / min(wall, told["wall"]),
        "p50": percentile(transit, 50) * 1e3,
        "p99": percentile(transit, 99) * 1e3,
        "lost": float(told["messages"] - frames),
        "sender": told["cpu"],
        "each": (there - before) / streams,
        "grown": (late - middle) / streams,
    }


def main() -> None:
    """The receiver process."""
    logging.disable(logging.CRITICAL)
    given = json.loads(sys.argv[1])
    print("figures " + json.dumps(measure(given.pop("receiver"), **given)), flush=True)


if __name__ == "__main__":
    main()
