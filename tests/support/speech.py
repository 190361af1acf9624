"""Utterances whose starts and ends are known, noises, and scenes made of both; to try detectors of speech on.

Signals are arrays of floats, 1.0 is full scale, at 8000 Hz. Every noise is a function of its length and a seed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final, TypeAlias

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from relay_sync.audio import codec_for, read_wav
from tests.support import DATA

Signal: TypeAlias = NDArray[np.float64]
Noise: TypeAlias = Callable[[int, int], Signal]

RATE: Final = 8000
#: Samples of one window in which levels are measured: 10 ms.
WINDOW: Final = RATE // 100
#: By how many dB the level of a window may be below the active level until it counts as silence between words.
_PAUSE: Final = 15.9
#: By how many dB it may be below until speech has not begun, or has ended.
_EDGE: Final = 25.0
#: How long a scene is quiet before, between and after its utterances, in seconds.
PAUSE: Final = 1.5


@frozen
class Said:
    """An utterance of the set.

    :ivar name: name of its file.
    :ivar start: where speech starts, in seconds.
    :ivar end: where speech ends.
    """

    name: str
    text: str
    voice: str
    sound: Signal
    start: float
    end: float


@frozen
class Scene:
    """A recording of utterances with pauses, and the truth about it.

    :ivar spoken: start and end of each utterance, in seconds.
    """

    sound: Signal
    spoken: tuple[tuple[float, float], ...]

    @property
    def pcm(self) -> bytes:
        """The recording as a telephone line carries it: encoded as mu-law and decoded."""
        return on_the_line(self.sound)

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return len(self.sound) / RATE


# -- levels ------------------------------------------------------------------------------------------------------------


def _levels(sound: Signal) -> Signal:
    """Mean square of each window."""
    whole = len(sound) // WINDOW * WINDOW
    means: Signal = np.square(sound[:whole]).reshape(-1, WINDOW).mean(axis=1)
    return means


def active_level(sound: Signal) -> float:
    """Level in dB of the parts in which somebody speaks, 0 dB being the level of the largest square wave.

    These are the windows that are at most 15.9 dB below the result, which is the margin of ITU-T P.56.
    """
    levels = _levels(sound)
    active = levels[levels > 0]
    while True:
        mean = active.mean()
        louder = levels[levels >= mean * 10 ** (-_PAUSE / 10)]
        if len(louder) == len(active):
            return float(10 * np.log10(mean))
        active = louder


def edges(sound: Signal) -> tuple[float, float]:
    """Start and end of speech in a clean signal, in seconds: the first and the last window within 25 dB of the active level."""
    loud = np.flatnonzero(_levels(sound) >= 10 ** ((active_level(sound) - _EDGE) / 10))
    return float(loud[0] * WINDOW / RATE), float((loud[-1] + 1) * WINDOW / RATE)


def pcm_of(sound: Signal) -> bytes:
    """Return a signal as 16-bit PCM."""
    return np.clip(np.rint(sound * 32768.0), -32768, 32767).astype("<i2").tobytes()


def sound_of(pcm: bytes) -> Signal:
    """Return 16-bit PCM as a signal."""
    return np.frombuffer(pcm, "<i2").astype(float) / 32768.0


def on_the_line(sound: Signal) -> bytes:
    """Return a signal as PCM that was encoded as mu-law."""
    codec = codec_for("PCMU")
    return codec.decode(codec.encode(pcm_of(sound)))


# -- utterances --------------------------------------------------------------------------------------------------------


@cache
def utterances() -> tuple[Said, ...]:
    """Return the set in ``tests/data/speech``."""
    folder = DATA / "speech"
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    return tuple(
        Said(
            name=each["file"],
            text=each["text"],
            voice=each["voice"],
            sound=sound_of(read_wav(folder / each["file"]).pcm),
            start=each["start"],
            end=each["end"],
        )
        for each in index
    )


def scene(said: Sequence[Said], *, noise: Noise | None = None, snr: float = 0.0, seed: int = 1) -> Scene:
    """Let utterances follow each other, with pauses of 1.5 s, over a noise.

    :param noise: the noise, which lasts as long as the recording; ``None`` adds none.
    :param snr: active level of the utterances over the level of the noise, in dB.
    :param seed: seed of the noise.
    """
    pause = np.zeros(round(PAUSE * RATE))
    parts, spoken, at = [pause], [], len(pause)
    for each in said:
        spoken.append((at / RATE + each.start, at / RATE + each.end))
        parts += [each.sound, pause]
        at += len(each.sound) + len(pause)
    sound = np.concatenate(parts)
    if noise is not None:
        voice = float(np.mean([active_level(each.sound) for each in said]))
        sound = sound + at_level(noise(len(sound), seed), voice - snr)
    return Scene(sound, tuple(spoken))


# -- noises ------------------------------------------------------------------------------------------------------------


def at_level(sound: Signal, level: float) -> Signal:
    """Scale a noise to a level in dB, measured where it is not silent."""
    now = 10 * np.log10(np.mean(np.square(sound[sound != 0])))
    return sound * float(10 ** ((level - now) / 20))


def white(samples: int, seed: int) -> Signal:
    """All frequencies alike."""
    return np.random.default_rng(seed).standard_normal(samples)


def pink(samples: int, seed: int) -> Signal:
    """As much power in each octave, from 20 Hz on: like a street."""
    spectrum = np.fft.rfft(white(samples, seed))
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(samples, 1 / RATE), 20.0))
    return np.fft.irfft(spectrum, samples)


def babble(samples: int, seed: int, *, people: int = 6) -> Signal:
    """Several people of the set who talk without a pause."""
    dice = np.random.default_rng(seed)
    sound = np.zeros(samples)
    for _ in range(people):
        talk: list[Signal] = []
        while sum(map(len, talk)) < 2 * samples:
            talk += [utterances()[index].sound for index in dice.permutation(len(utterances()))]
        start = int(dice.integers(samples))
        sound += np.concatenate(talk)[start : start + samples]
    return sound


def hum(samples: int, seed: int) -> Signal:
    """Mains: 60 Hz and its harmonics, each half as strong as the one before."""
    dice = np.random.default_rng(seed)
    return _tones(samples, [(60.0 * (step + 1), 0.5**step) for step in range(8)], dice)


def music(samples: int, seed: int) -> Signal:
    """Chords of plucked strings, two a second, with an upper voice: like music on hold."""
    dice = np.random.default_rng(seed)
    sound = np.zeros(samples)
    beat = RATE // 2
    for start in range(0, samples, beat):
        root = 110.0 * 2 ** (int(dice.choice([0, 5, 7, 9])) / 12)
        top = int(dice.choice([12, 16, 19, 24]))
        for step in (0, 4, 7, top):
            length = min(2 * beat, samples - start)
            note = _tones(length, [(root * 2 ** (step / 12) * (k + 1), 0.6**k) for k in range(6)], dice)
            sound[start : start + length] += note * np.exp(-np.arange(length) / (0.4 * RATE))
    return sound


def dtmf(samples: int, seed: int) -> Signal:
    """Keys, each pressed for 0.1 to 0.4 s, with pauses of 0.1 to 0.6 s."""
    dice = np.random.default_rng(seed)
    sound, at = np.zeros(samples), round(0.5 * RATE)
    while True:
        length, pause = (round(float(dice.uniform(*span)) * RATE) for span in ((0.1, 0.4), (0.1, 0.6)))
        if at + length > samples:
            return sound
        pair = (float(dice.choice([697, 770, 852, 941])), float(dice.choice([1209, 1336, 1477, 1633])))
        sound[at : at + length] = _tones(length, [(pair[0], 1.0), (pair[1], 1.25)], dice)
        at += length + pause


def ring_back(samples: int, seed: int) -> Signal:
    """The tone that says that a phone is ringing, as in North America: 440 and 480 Hz, 2 s in every 6."""
    sound = _tones(samples, [(440.0, 1.0), (480.0, 1.0)], np.random.default_rng(seed))
    sound[np.arange(samples) % (6 * RATE) >= 2 * RATE] = 0.0
    return np.roll(sound, RATE)


def _tones(samples: int, partials: Sequence[tuple[float, float]], dice: np.random.Generator) -> Signal:
    time = np.arange(samples) / RATE
    sound = np.zeros(samples)
    for frequency, amplitude in partials:
        if frequency < RATE / 2:
            sound += amplitude * np.sin(2 * np.pi * (frequency * time + dice.random()))
    return sound


#: The noises that a scene can have.
NOISES: Final[dict[str, Noise]] = {
    "white": white,
    "pink": pink,
    "babble": babble,
    "hum": hum,
    "music": music,
    "DTMF": dtmf,
    "ring-back": ring_back,
}
