"""Two voices that can be told apart, and how much of one is in what was received."""

from __future__ import annotations

import numpy as np

from relay_sync.audio import read_wav, resample
from relay_sync.simulator import speech

CALLER, GREETING = read_wav(speech.caller()), read_wav(speech.greeting())


def voices(rate: int) -> tuple[bytes, bytes]:
    """What both sides say, at a rate."""
    caller, greeting = (resample(each.pcm, each.sample_rate, rate) for each in (CALLER, GREETING))
    return caller[: 4 * rate], greeting[: 4 * rate]  # two seconds


def snr(said: bytes, got: bytes, most_delay: int) -> tuple[float, int]:
    """Signal to noise in dB, and by how many samples the codec delays: where the two fit best."""
    wanted, heard = (np.frombuffer(each, "<i2").astype(float) for each in (said, got))
    size = len(wanted) + len(heard)
    fits = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size)), size)
    delay = int(np.argmax(fits[: most_delay + 1]))
    heard = np.pad(heard, (0, len(wanted)))
    rest = wanted - heard[delay : delay + len(wanted)]
    return float(10 * np.log10((wanted @ wanted) / (rest @ rest))), delay
