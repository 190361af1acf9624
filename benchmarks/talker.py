"""The carrier's side of conversations: callers who speak in real time, and note when they hear an answer. One process.

``python -m benchmarks.talker '{"url": ..., "count": ..., "seconds": ...}'`` prints, as the last line, when it sent which frame,
and when the first frame of each answer arrived.
"""

from __future__ import annotations

import base64
import json
import select
import socket
import sys
import time
from typing import Any, Final

from tests.support.speech import Said, on_the_line, scene, utterances

from .sender import FRAME, close_streams, masked, media, open_stream

__all__ = ["main"]

SIZE: Final = 160


def frames(first: int) -> list[str]:
    """What a caller says, as payloads: all utterances of the set, from one on, in order."""
    from relay_sync.audio import codec_for

    said = utterances()
    turned: list[Said] = [*said[first:], *said[:first]]
    payload = codec_for("PCMU").encode(on_the_line(scene(turned).sound))
    return [base64.b64encode(payload[at : at + SIZE]).decode() for at in range(0, len(payload) - SIZE + 1, SIZE)]


class Caller:
    """A caller on a stream.

    :ivar sent: when each frame was sent.
    :ivar answers: when the first frame of each answer arrived. Answers end with a mark.
    """

    def __init__(self, sock: socket.socket, payloads: list[str]) -> None:
        self.sock = sock
        self.sent: list[float] = []
        self.answers: list[float] = []
        self._payloads = payloads
        self._buffer = bytearray()
        self._waiting = True  # whether the next frame is the first one of an answer

    def speak(self, step: int) -> None:
        message = media(step, self._payloads[step % len(self._payloads)])
        self.sent.append(time.monotonic())
        self.sock.sendall(message)

    def listen(self) -> None:
        """Read what has arrived. Marks are returned at once."""
        now = time.monotonic()
        self._buffer += self.sock.recv(65536)
        while (text := self._next()) is not None:
            message = json.loads(text)
            if message["event"] == "media":
                if self._waiting:
                    self.answers.append(now)
                self._waiting = False
            elif message["event"] == "mark":
                self._waiting = True
                self.sock.sendall(masked(json.dumps(message)))

    def _next(self) -> bytes | None:
        """The next complete message. Servers send no masks."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1], 2
        if size == 126:
            size, start = int.from_bytes(buffer[2:4], "big"), 4
        if len(buffer) < start + size:
            return None
        kind, text = buffer[0] & 15, bytes(buffer[start : start + size])
        del buffer[: start + size]
        return text if kind == 1 else self._next()


def converse(callers: list[Caller], seconds: float) -> dict[str, Any]:
    """Let each caller send a frame each 20 ms, the callers spread over the 20 ms."""
    by_socket = {caller.sock.fileno(): caller for caller in callers}
    steps, apart = int(seconds / FRAME), FRAME / len(callers)
    began, cpu, latest = time.monotonic() + 0.1, time.process_time(), 0.0

    def listen_until(due: float) -> None:
        while True:
            left = due - time.monotonic()
            for number in select.select(list(by_socket), [], [], max(0.0, left))[0]:
                by_socket[number].listen()
            if left <= 0:
                return

    for step in range(steps):
        for number, caller in enumerate(callers):
            due = began + step * FRAME + number * apart
            listen_until(due)
            caller.speak(step)
            latest = max(latest, caller.sent[-1] - due)
    listen_until(time.monotonic() + 1.0)
    wall = time.monotonic() - began
    return {
        "sent": [caller.sent for caller in callers],
        "answers": [caller.answers for caller in callers],
        "latest": latest,
        "cpu": (time.process_time() - cpu) / wall,
        "wall": wall,
    }


def main() -> None:
    """The callers' process."""
    given = json.loads(sys.argv[1])
    spoken = [frames(first) for first in range(0, len(utterances()), 3)]
    callers = [
        Caller(open_stream(given["url"], number), spoken[number % len(spoken)]) for number in range(given["count"])
    ]
    time.sleep(given.get("settle", 1.0))
    told = converse(callers, given["seconds"])
    close_streams([caller.sock for caller in callers])
    print("figures " + json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
