"""Pass the caller's audio to a speech recognizer in chunks of a fixed length.

``feed`` calls a function with chunks of 16-bit little-endian mono PCM, in a separate thread. The last chunk may be shorter. If
the recognizer is slow, up to 30 s of audio are buffered.

The function in this example only distinguishes speech from silence. Replace it with a call to your recognizer.

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
    """Start a thread that calls ``hook(pcm, offset in seconds)`` for each chunk until the stream ends."""

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
        transcription.join()  # wait for the rest of the audio
        print("transcribed")

    client.run()
