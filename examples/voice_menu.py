"""Voice menu on a two-way stream. The caller can interrupt the prompt by pressing a key.

python examples/voice_menu.py --simulate
python examples/voice_menu.py prompt.wav        (uses your own mono WAV file as the prompt)
"""

from __future__ import annotations

import math
import struct
import sys
from pathlib import Path

from _network import network, receiver

from relay_sync import Call, WaitTimeout
from relay_sync.audio import AudioStream

RATE = 8000
MENU = {"1": "opening hours", "2": "directions"}
PATIENCE = 10.0  # maximum time to wait for a key, in seconds


def tone(hz: float, seconds: float) -> bytes:
    """Return a tone as 16-bit PCM."""
    samples = (round(8000 * math.sin(2 * math.pi * hz * index / RATE)) for index in range(round(seconds * RATE)))
    return b"".join(struct.pack("<h", sample) for sample in samples)


WAVS = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
PROMPT: bytes | Path = Path(WAVS[0]) if WAVS else b"".join(tone(hz, 0.5) for hz in (392, 440, 494, 523, 587, 659))
SORRY = tone(220, 0.3)
ANSWERS = {"1": tone(523, 0.5) + tone(659, 0.5), "2": tone(659, 0.5) + tone(523, 0.5)}


def ask(stream: AudioStream) -> str | None:
    """Play the prompt until the caller presses a key. Return the key, or ``None`` on a timeout or hangup."""
    prompt = stream.play(PROMPT, wait=False)
    try:
        event = stream.read_dtmf(PATIENCE)
    except WaitTimeout:
        return None
    stream.clear()  # barge-in: stop the prompt
    heard = prompt.wait()
    if event is None:
        return None
    print(f"key {event.digit} {'after' if heard.complete else 'during'} the prompt")
    return event.digit


with receiver() as audio, network(keys="91") as client:

    @client.on_call
    def handle(call: Call) -> None:
        call.answer()
        try:
            with audio.connect(call, codec="PCMU") as stream:
                for _ in range(3):
                    choice = ask(stream)
                    if choice in MENU:
                        print(f"the caller wants {MENU[choice]}")
                        stream.play(ANSWERS[choice])  # blocks until the audio has been played
                        break
                    if stream.ended:
                        break
                    stream.play(SORRY)
        finally:  # also after an error
            call.hangup()

    client.run()
