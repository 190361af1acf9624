"""Show the audio level of a live call, ten times per second in a terminal and once per second otherwise.

python examples/level_meter.py --simulate
"""

from __future__ import annotations

import math
import sys
from array import array

from _network import network, receiver

from relay_sync import Call
from relay_sync.audio import AudioFrame

LIVE = sys.stdout.isatty()


def decibels(frames: list[AudioFrame]) -> float:
    """Return the RMS level of the frames in dBFS."""
    samples = array("h", b"".join(frame.pcm for frame in frames))
    power = sum(sample * sample for sample in samples) / len(samples)
    return 10 * math.log10(max(power, 1) / 32768**2)


def show(seconds: float, level: float) -> None:
    bar = "#" * max(0, round((level + 60) / 2))
    print(f"{seconds:4.1f} s {level:4.0f} dB {bar:<{30 if LIVE else 0}}", end="\r" if LIVE else "\n", flush=True)


with receiver() as audio, network() as client:

    @client.on_call
    def handle(call: Call) -> None:
        call.answer()
        with audio.listen(call, track="inbound", codec="PCMU") as stream:
            waiting: list[AudioFrame] = []
            for frame in stream:
                waiting.append(frame)
                if sum(each.duration for each in waiting) >= (0.1 if LIVE else 1.0) - 1e-6:
                    show(frame.timestamp + frame.duration, decibels(waiting))
                    waiting.clear()
        print(f"the stream was {stream.end_reason}")

    client.run()
