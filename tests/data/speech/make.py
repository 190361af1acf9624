"""Makes the utterances beside it, and ``index.json``, which says where speech starts and ends in each.

Run it from the checkout, with hibari-tts 0.2.1 in the environment and espeak-ng 1.51 on the path:
``python -m tests.data.speech.make``. NOTICE describes the voices. The same versions give the same files.
"""

from __future__ import annotations

import importlib
import io
import json
import struct
import subprocess
import wave
from pathlib import Path
from typing import Any, Final

import numpy as np

from relay_sync.audio import codec_for, resample
from tests.support.speech import RATE, active_level, edges, pcm_of

HERE: Final = Path(__file__).parent
#: Level of every utterance while somebody speaks, in dB below the level of the largest square wave.
LEVEL: Final = -26.0
#: Seconds of digital silence before and after the synthesized signal, whose own quiet ends are cut first.
MARGIN: Final = 0.1
#: hibari: factors of speed, and pitches in percent. Each of the nine pairs says two texts.
SPEEDS: Final = (0.85, 1.0, 1.2)
PITCHES: Final = (85, 100, 115)
#: espeak-ng: voice, words per minute and pitch. Each says six texts.
VARIANTS: Final = (("en-us+m3", 165, 45), ("en-gb-x-rp+f2", 150, 60), ("en-gb-scotland+m7", 180, 35))

NEURAL: Final = (
    "I would like to change my appointment.",
    "Yes, that is right.",
    "My number is five five five zero one four seven.",
    "Could you say that again, please?",
    "The parcel has not arrived yet.",
    "Please put me through to the sales department.",
    "We are three people and a small dog.",
    "No, thank you.",
    "What are your opening hours on Saturday?",
    "I think there is a mistake on my invoice.",
    "Hello, is anybody there?",
    "It was delivered to the wrong address on Monday.",
    "How long will the repair take?",
    "Seventeen, in the second row.",
    "I forgot the password of my account.",
    "Good morning.",
    "A table by the window would be lovely.",
    "Sorry, the line is very bad.",
)
FORMANT: Final = (
    "Can I pay with a credit card?",
    "The heating is making a strange noise.",
    "Tomorrow afternoon at half past three.",
    "Speak to an agent.",
    "My name is Fisher, with an F.",
    "I will call you back next week.",
    "Two large coffees and one tea.",
    "Is the museum open today?",
    "Cancel my subscription at the end of the month.",
    "Okay, let us do that.",
    "How much does shipping cost?",
    "The reference is alpha seven nine.",
    "They promised to send a technician.",
    "Wrong number, I am afraid.",
    "Where can I park my car?",
    "Our flight leaves at a quarter to nine.",
    "Stop.",
    "She has been waiting for an hour.",
)


def hibari(voice: Any, text: str, speed: float, pitch: int) -> tuple[bytes, int]:
    """Speak a text with hibari's bundled voice, ``pitch`` percent as high: slower or faster, then played at another rate."""
    sound = voice(text, speed=100 * speed / pitch, seed=1)
    return resample(pcm_of(sound / np.abs(sound).max() * 0.5), voice.sample_rate * pitch // 100, RATE), RATE


def espeak(text: str, voice: str, speed: int, pitch: int) -> tuple[bytes, int]:
    """Speak a text with espeak-ng."""
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text]
    made = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    header = io.BytesIO(made[:44])  # espeak-ng does not know the length when it writes the header
    with wave.open(header) as file:
        return made[44:], file.getframerate()


def write_mulaw(path: Path, pcm: bytes) -> None:
    """Write a WAV file of 8 kHz mu-law."""
    payload = codec_for("PCMU").encode(pcm)
    payload += payload[-1:] * (len(payload) % 2)
    head = struct.pack("<4sI4s4sIHHIIHHH", b"RIFF", 50 + len(payload), b"WAVE", b"fmt ", 18, 7, 1, RATE, RATE, 1, 8, 0)
    fact = struct.pack("<4sII", b"fact", 4, len(payload))
    path.write_bytes(head + fact + struct.pack("<4sI", b"data", len(payload)) + payload)


def add(index: list[dict[str, Any]], name: str, voice: str, text: str, made: tuple[bytes, int]) -> None:
    """Trim, level and write one utterance, and add it to the index."""
    pcm, rate = made
    sound = np.frombuffer(resample(pcm, rate, RATE), "<i2").astype(float) / 32768.0
    sound *= 10 ** ((LEVEL - active_level(sound)) / 20)
    start, end = edges(sound)
    margin = round(MARGIN * RATE)
    first, last = max(0, round(start * RATE) - margin), min(len(sound), round(end * RATE) + margin)
    sound = np.pad(sound[first:last], margin)
    start, end = edges(sound)
    write_mulaw(HERE / name, pcm_of(sound))
    index.append({"file": name, "voice": voice, "text": text, "start": round(start, 3), "end": round(end, 3)})


def main() -> None:
    for old in HERE.glob("*.wav"):
        old.unlink()
    index: list[dict[str, Any]] = []
    voice = importlib.import_module("hibari").Hibari()
    pairs = [(speed, pitch) for speed in SPEEDS for pitch in PITCHES]
    for number, text in enumerate(NEURAL):
        speed, pitch = pairs[number % 9]
        name = f"hibari-{number + 1:02}.wav"
        add(index, name, f"heart, speed {speed:g}, pitch {pitch} %", text, hibari(voice, text, speed, pitch))
    for number, text in enumerate(FORMANT):
        variant = VARIANTS[number % 3]
        words = f"{variant[0]}, {variant[1]} words a minute, pitch {variant[2]}"
        add(index, f"espeak-{number + 1:02}.wav", words, text, espeak(text, *variant))
    lines = ",\n".join(json.dumps(each) for each in index)
    (HERE / "index.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
