"""A stand-in for a realtime speech service, to try ``realtime_bridge.py`` without an account.

It has no model. It detects turns by loudness, and answers each of them with the same recording.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
from types import TracebackType
from typing import Any, Final

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from relay_sync.audio import codec_for, read_wav
from relay_sync.audio.speech import Energy
from relay_sync.simulator import speech

PCMU: Final = codec_for("PCMU")
#: Bytes of a frame of 20 ms, and of one event with audio.
FRAME, DELTA = 160, 1600
#: Frames of speech after which a turn starts, and of silence after which it ends.
STARTS, ENDS = 10, 25
#: Longest time that leaving the ``with`` block waits for the thread, in seconds.
ENDING: Final = 5.0


class RealtimeService:
    """A service on a free port of this machine.

    :param context: TLS settings; ``None`` serves ``ws://``.
    :ivar events: the events that were received, without the caller's audio.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.events: list[dict[str, Any]] = []
        self._server: Server = serve(self._serve, "127.0.0.1", 0, ssl=context, compression=None)
        scheme = "ws" if context is None else "wss"
        self.url: str = f"{scheme}://localhost:{self._server.socket.getsockname()[1]}/v1/realtime"
        self._thread = threading.Thread(target=self._server.serve_forever, name="realtime-service", daemon=True)

    def __enter__(self) -> RealtimeService:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join(ENDING)

    def _serve(self, connection: ServerConnection) -> None:
        try:
            session = _Session(connection, self.events)
            for text in connection:
                session.handle(json.loads(text))
        except ConnectionClosed:
            pass


class _Session:
    """One connection."""

    def __init__(self, connection: ServerConnection, events: list[dict[str, Any]]) -> None:
        self._connection = connection
        self._events = events
        self._hears = Energy()
        self._waiting = b""
        self._loud = self._quiet = 0
        self._speaking = False
        self._answers = 0

    def handle(self, event: dict[str, Any]) -> None:
        if event["type"] == "input_audio_buffer.append":
            self._listen(base64.b64decode(event["audio"]))
            return
        self._events.append(event)
        if event["type"] == "session.update":
            self._send("session.updated", session=event["session"])
        elif event["type"] == "response.create":
            self._answer()
        elif event["type"] == "conversation.item.truncate":
            self._send("conversation.item.truncated", **{key: event[key] for key in event if key != "type"})

    def _send(self, kind: str, **fields: Any) -> None:
        self._connection.send(json.dumps({"type": kind, **fields}))

    def _listen(self, audio: bytes) -> None:
        self._waiting += audio
        while len(self._waiting) >= FRAME:
            frame, self._waiting = self._waiting[:FRAME], self._waiting[FRAME:]
            loud = self._hears(PCMU.decode(frame)) >= 0.5
            self._loud, self._quiet = (self._loud + 1, 0) if loud else (0, self._quiet + 1)
            if not self._speaking and self._loud == STARTS:
                self._speaking = True
                self._send("input_audio_buffer.speech_started")
            elif self._speaking and self._quiet == ENDS:
                self._speaking = False
                self._send("input_audio_buffer.speech_stopped")
                self._answer()

    def _answer(self) -> None:
        """Send an answer, faster than it is spoken, as the service does."""
        self._answers += 1
        item = {"item_id": f"item-{self._answers}", "response_id": f"response-{self._answers}"}
        part = {**item, "output_index": 0, "content_index": 0}
        audio = PCMU.encode(read_wav(speech.greeting()).pcm)
        self._send("response.created", response={"id": item["response_id"], "status": "in_progress"})
        for start in range(0, len(audio), DELTA):
            delta = base64.b64encode(audio[start : start + DELTA]).decode()
            self._send("response.output_audio.delta", delta=delta, **part)
        self._send("response.output_audio.done", **part)
        words = (speech.greeting().with_suffix(".txt")).read_text(encoding="utf-8").strip()
        self._send("response.output_audio_transcript.done", transcript=words, **part)
        self._send("response.done", response={"id": item["response_id"], "status": "completed"})
