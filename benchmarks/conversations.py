"""Conversations at once: how late a program learns that a caller has finished, how soon an answer leaves, and what they cost.

``python -m benchmarks.conversations '{"client": "energy", "count": 20, "seconds": 10}'`` starts the callers itself. Clients are
``energy`` and ``silero``, which are the detectors of a :class:`Conversation`, and ``webrtcvad``: the ``websockets`` sync API with
a thread per connection, and the detector in a loop.
"""

from __future__ import annotations

import base64
import json
import logging
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from attrs import define, field

from .figures import percentile
from .processes import worker
from .sender import FRAME
from .vad_loop import VadLoop

__all__ = ["main", "measure"]

#: Silence that ends an utterance, in seconds.
SILENCE: Final = 0.6
#: What each answer sounds like: 0.3 s, in pieces as a speech service sends them.
PIECE: Final = bytes(1600)
PIECES: Final = 3


@define(eq=False)
class Heard:
    """What became of the conversations. Each list is changed by the thread of its conversation only.

    :ivar ends: for each utterance of each conversation, its end in seconds, and when ``recognize`` was called.
    :ivar spoken: when the first PCM of each answer was ready.
    """

    ends: list[list[tuple[float, float]]]
    spoken: list[list[float]]
    frames: list[int]
    dropped: list[int]
    discarded: list[int]
    begun: threading.Semaphore = field(factory=lambda: threading.Semaphore(0))
    done: threading.Semaphore = field(factory=lambda: threading.Semaphore(0))

    @staticmethod
    def of(count: int) -> Heard:
        return Heard([[] for _ in range(count)], [[] for _ in range(count)], [0] * count, [0] * count, [0] * count)

    def speak(self, number: int) -> Iterator[bytes]:
        """Yield an answer."""
        self.spoken[number].append(time.monotonic())
        for _ in range(PIECES):
            yield PIECE


def ours(detector: str, heard: Heard) -> tuple[str, Callable[[], None]]:
    """Conversations of this package."""
    from relay_sync.audio import AudioServer, AudioStream
    from relay_sync.audio.speech import Conversation, Energy, Silero, Utterance

    def each(stream: AudioStream) -> None:
        number = int(stream.stream_id.removeprefix("stream-"))

        def recognize(utterance: Utterance) -> str:
            heard.ends[number].append((utterance.end, time.monotonic()))
            return "yes"

        vad = Silero() if detector == "silero" else Energy()
        with Conversation(
            stream, recognize=recognize, speak=lambda _: heard.speak(number), vad=vad, silence=SILENCE
        ) as talk:
            heard.begun.release()
            for turn in talk:
                talk.say(turn.text)
            heard.dropped[number], heard.discarded[number] = talk.dropped, talk.discarded
        heard.frames[number] = stream.stats.frames
        heard.done.release()

    server = AudioServer(on_stream=each, two_way=True, max_connections=2000, spool=False).start()
    return server.url, server.close


def in_loops(heard: Heard) -> tuple[str, Callable[[], None]]:
    """A thread per connection, and the detector in its loop."""
    from websockets.sync.server import ServerConnection, serve

    from relay_sync.audio import codec_for

    codec = codec_for("PCMU")

    def each(connection: ServerConnection) -> None:
        number, name, loop = 0, "", VadLoop(SILENCE)
        for text in connection:
            message = json.loads(text)
            if message["event"] == "start":
                name = message["start"]["streamSid"]
                number = int(name.removeprefix("stream-"))
                heard.begun.release()
            elif message["event"] == "media":
                heard.frames[number] += 1
                found = loop.push(codec.decode(base64.b64decode(message["media"]["payload"])))
                if found is not None:
                    heard.ends[number].append((found[1], time.monotonic()))
                    answer(connection, name, number)
            elif message["event"] == "stop":
                break
        heard.done.release()

    def answer(connection: ServerConnection, name: str, number: int) -> None:
        for piece in heard.speak(number):
            pcm = codec.encode(piece)
            for at in range(0, len(pcm), 160):
                payload = base64.b64encode(pcm[at : at + 160]).decode()
                connection.send(json.dumps({"event": "media", "streamSid": name, "media": {"payload": payload}}))
        connection.send(json.dumps({"event": "mark", "streamSid": name, "mark": {"name": "end"}}))

    server = serve(each, "127.0.0.1", 0, compression=None, ping_interval=None)
    threading.Thread(target=server.serve_forever, name="bench-audio", daemon=True).start()
    return f"ws://127.0.0.1:{server.socket.getsockname()[1]}/audio", server.shutdown


def measure(client: str, *, count: int, seconds: float, settle: float = 1.0) -> dict[str, float]:
    """Measure so many conversations at once.

    :param seconds: how long the callers speak and pause.
    :return: ``late p50`` and ``late p99``: milliseconds from the frame with which ``SILENCE`` has lasted until ``recognize`` is
        called; ``first p50`` and ``first p99``: milliseconds from the first PCM of an answer until its first frame arrives at the
        caller; ``cpu``: CPU in milliseconds per second of a conversation; ``each core``: how many conversations one core serves;
        ``utterances`` and ``answers``: how many were measured; ``lost``: frames that a detector did not get; ``discarded``:
        utterances that were dropped; ``sender``: cores that the callers took; ``latest``: milliseconds by which the latest frame
        of a caller was late.
    """
    heard = Heard.of(count)
    url, close = in_loops(heard) if client == "webrtcvad" else ours(client, heard)
    told: dict[str, Any] = {}
    given = {"url": url, "count": count, "seconds": seconds, "settle": settle}
    thread = threading.Thread(
        target=lambda: told.update(worker("talker", given, timeout=seconds + 120)), name="bench-talker", daemon=True
    )
    thread.start()
    for _ in range(count):
        assert heard.begun.acquire(timeout=60)
    cpu = time.process_time()
    for _ in range(count):
        assert heard.done.acquire(timeout=seconds + 90)
    spent = time.process_time() - cpu
    thread.join(60)
    close()
    late, first = [], []
    for number in range(count):
        for end, called in heard.ends[number]:
            frame = math.ceil((end + SILENCE) / FRAME - 1e-6) - 1
            if frame < len(told["sent"][number]):  # otherwise the end of the stream was its end
                late.append(called - told["sent"][number][frame])
        first += [there - begun for begun, there in zip(heard.spoken[number], told["answers"][number], strict=False)]
    share = spent / told["wall"] / count
    return {
        **{f"late p{rank}": 1000 * percentile(late, rank) for rank in (50, 99)},
        **{f"first p{rank}": 1000 * percentile(first, rank) for rank in (50, 99)},
        "cpu": 1000 * share,
        "each core": 1 / share,
        "utterances": float(len(late)),
        "answers": float(len(first)),
        "lost": float(sum(map(len, told["sent"])) - sum(heard.frames) + sum(heard.dropped)),
        "discarded": float(sum(heard.discarded)),
        "sender": told["cpu"],
        "latest": 1000 * told["latest"],
    }


def main() -> None:
    """The process with the conversations."""
    logging.disable(logging.CRITICAL)
    print("figures " + json.dumps(measure(**json.loads(sys.argv[1]))), flush=True)


if __name__ == "__main__":
    main()
