"""Pass the caller's audio to a speech recognizer, in pieces of the length that it needs.

``feed`` calls your function with exactly so many milliseconds of PCM at a time (16-bit little-endian mono; the last piece is
shorter), in its own thread: up to 30 s of audio wait for a recognizer that is temporarily slow.
The function here only distinguishes speech from silence; yours would send the piece to the recognizer.

python examples/transcription_hook.py --simulate
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable

from _network import network, receiver

from relay_sync import Call
from relay_sync.audio import AudioStream

Hook = Callable[[bytes, float], None]


def feed(stream: AudioStream, hook: Hook, milliseconds: int, *, track: str = "inbound") -> threading.Thread:
    """Call ``hook(pcm, seconds since the beginning)`` until the stream ends."""

    def run() -> None:
        at = 0.0
        while pcm := stream.read(milliseconds / 1000, track=track):
            hook(pcm, at)
            at += len(pcm) / 2 / stream.sample_rate

    thread = threading.Thread(target=run, name="transcription")
    thread.start()
    return thread


def transcribe(pcm: bytes, at: float) -> None:
    loudest = max(map(abs, array("h", pcm)))
    print(f"{at:4.1f} s: {len(pcm)} bytes of {'speech' if loudest > 1000 else 'silence'}")


with receiver() as audio, network() as client:

    @client.on_call
    def handle(call: Call) -> None:
        call.answer()
        with audio.listen(call, track="inbound", codec="L16@16000h") as stream:
            transcription = feed(stream, transcribe, milliseconds=1500)
            call.wait_for_ended()
        transcription.join()  # reads the rest of the received audio
        print("transcribed")

    client.run()
