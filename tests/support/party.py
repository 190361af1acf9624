"""The party on a two-way stream in tests: it speaks when a test lets it, and hears what is played to it."""

from __future__ import annotations

import base64
import itertools
import json
from contextlib import suppress
from types import TracebackType
from typing import Final

import websocket

from relay_sync.audio import AudioServer, AudioStream, codec_for
from relay_sync.audio.messages import media_message
from tests.support.background import Background, until
from tests.support.two_way_carrier import TwoWayCarrier

PCMU: Final = codec_for("PCMU")
LOUD: Final = PCMU.encode(b"\x10\x27" * 160)
QUIET: Final = PCMU.encode(bytes(320))
#: What the party says in a turn: 0.2 s of silence, 0.5 s of speech, and 0.7 s of silence.
TURN: Final = ((0.2, QUIET), (0.5, LOUD), (0.7, QUIET))


class Party:
    """A party that returns marks at once, as if it had heard everything that was sent.

    :ivar heard: the audio that was sent to it.
    :ivar cleared: how often its queue was cleared.
    :ivar listens: whether it returns marks.
    """

    def __init__(self, audio: AudioServer, encoding: str = "audio/x-mulaw", rate: int = 8000) -> None:
        self.carrier = TwoWayCarrier(audio, encoding, rate)
        self.stream: AudioStream = self.carrier.stream
        self.heard = b""
        self.cleared = 0
        self.listens = True
        self._numbers = itertools.count(1)
        self._reading = Background(self._read)

    def _read(self) -> None:
        marks: list[str] = []
        # The connection may end while a mark is returned.
        with suppress(OSError, websocket.WebSocketException):
            while text := self.carrier.ws.recv():
                message = json.loads(text)
                if message["event"] == "media":
                    self.heard += base64.b64decode(message["media"]["payload"])
                elif message["event"] == "clear":
                    self.cleared += 1
                elif message["event"] == "mark":
                    marks.append(message["mark"]["name"])
                if self.listens or message["event"] == "clear":
                    for name in marks:
                        self.carrier.echo(name)
                    marks.clear()

    def say(self, *parts: tuple[float, bytes]) -> None:
        """Send frames at once: how many seconds of each."""
        for seconds, payload in parts:
            for _ in range(round(seconds * 50)):
                self.send(payload)

    def send(self, payload: bytes) -> None:
        """Send audio in frames, at once."""
        for start in range(0, len(payload) - 159, 160):
            number = next(self._numbers)
            self.carrier.ws.send(
                media_message(
                    track="inbound",
                    sequence=number + 1,
                    chunk=number,
                    timestamp=20 * (number - 1),
                    payload=payload[start : start + 160],
                )
            )

    def press(self, digits: str) -> None:
        """Press keys, and return when the stream has them."""
        count = len(self.stream.dtmf) + len(digits)
        for digit in digits:
            self.carrier.send({"event": "dtmf", "streamSid": 'S"1', "dtmf": {"digit": digit, "duration": "100"}})
        until(lambda: len(self.stream.dtmf) == count)

    def wait_for_audio(self, seconds: float = 0.02) -> None:
        """Wait until it has heard so much."""
        until(lambda: len(self.heard) >= seconds * 8000)

    def hang_up(self) -> None:
        """End the stream, and return when it has ended."""
        self.carrier.send({"event": "stop", "streamSid": 'S"1', "stop": {"accountSid": "A", "callSid": "C"}})
        until(lambda: self.stream.ended)

    def __enter__(self) -> Party:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # The thread that reads may be sending a mark: the descriptor is closed after it has ended.
        self.carrier.ws.abort()  # type: ignore[no-untyped-call]
        self.stream.close()
        self._reading.result()
        self.carrier.ws.shutdown()  # type: ignore[no-untyped-call]
