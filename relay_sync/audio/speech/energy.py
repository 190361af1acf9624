"""A detector without dependencies: sound that is louder than the background, and is not a tone, counts as speech."""

from __future__ import annotations

import math
import sys
from array import array
from collections import deque
from typing import Final

from ...errors import InvalidParameter
from .levels import level_of, power_of

__all__ = ["RATES", "Energy", "energy_for"]

#: Sample rates that the detector accepts, in Hz.
RATES: Final = (8000, 16000, 24000, 48000)
#: Frames per second.
_FRAMES: Final = 50
#: Levels are in dB below the level of the largest square wave. Silence counts as this level.
_QUIETEST: Final = -66.0
#: Highest level that is taken for the background when the first frames are heard.
_FIRST: Final = -30.0
#: How many frames are heard before the background is known.
_LEARNING: Final = 5
#: By how many dB speech is louder than the background: at least, and in mean deviations of the background's level.
_MARGIN: Final = 3.5
_DEVIATIONS: Final = 5.0
#: By how many dB speech may be quieter than the loudest speech of the last seconds.
_RANGE: Final = 32.0
#: By how many dB the loudest level falls in each frame.
_DECAY: Final = 3.0 / _FRAMES
#: Weights of a new frame in the background's level: if it is louder, and if it is quieter.
_UP: Final = 0.06
_DOWN: Final = 0.2
#: Frames among which the quietest is taken for the background, if all of them are louder.
_LONG: Final = 3 * _FRAMES
#: Frames that count as background if their levels differ by at most ``_STEADY`` dB.
_STEADY_FRAMES: Final = _FRAMES // 2
_STEADY: Final = 2.0
#: Least ratio of a tone to everything else, in dB. One frame of speech in a hundred has 28 dB, tones in mu-law have 34 dB.
_TONE: Final = 28.0
#: The first frames after silence, up to this one, are tested for tones, except the first one, in which a tone may have started.
_TESTED: Final = 6
#: While a tone lasts and its level changes by at most ``_BEAT`` dB, one frame in four is tested.
_SURE: Final = 4
_BEAT: Final = 3.0
#: Result for a frame that may be the start of a tone. The endpointer lets an utterance start with it.
_UNDECIDED: Final = 0.2


class Energy:
    """Detector without dependencies, which compares the level of each frame of 20 ms with the level of the background.

    It adapts to steady noise, and recognizes keys and ringing tones. Other loud sounds, such as music or other people, count
    as speech; :class:`Silero` tells them apart. An instance remembers the audio before, so each track needs its own.

    :param sample_rate: 8000, 16000, 24000 or 48000 Hz.
    :raises InvalidParameter: ``sample_rate`` has another value.
    :ivar frame: number of samples in a frame.
    :ivar rough: whether starts and ends are only about right, and are then located in the audio.
    """

    def __init__(self, sample_rate: int = 8000) -> None:
        if sample_rate not in RATES:
            raise InvalidParameter("sample_rate", sample_rate, f"one of {', '.join(map(str, RATES))}")
        self.sample_rate: int = sample_rate
        """Sample rate of the audio in Hz."""
        self.frame: int = sample_rate // _FRAMES
        """Number of samples in a frame."""
        self.rough: bool = True
        """Whether starts and ends are only about right, and are then located in the audio."""
        self._step = sample_rate // 8000  # every n-th sample is enough for levels
        self._seen = 0
        self._power = 0.0  # mean square of the former frame
        self._floor = _QUIETEST  # level of the background
        self._deviation = 1.0  # mean deviation from it in dB
        self._loudest = _QUIETEST  # level of the loudest speech
        self._recent: deque[float] = deque(maxlen=_STEADY_FRAMES)
        self._lowest = _Lowest()
        self._run = 0  # frames since the last silence
        self._tonal = 0  # frames since a tone started
        self._before = _QUIETEST  # level of the former frame

    def __repr__(self) -> str:
        return f"<Energy {self.sample_rate} Hz>"

    def __call__(self, pcm: bytes) -> float:
        """Return the probability of speech in the next frame, from 0 to 1.

        :param pcm: :attr:`frame` samples of 16-bit little-endian mono PCM.
        """
        taken = array("h", pcm)
        if sys.byteorder == "big":
            taken.byteswap()
        samples = taken.tolist()  # several times as fast to compute with
        if self._step > 1:
            samples = samples[:: self._step]
        power = power_of(samples)
        former, self._power = self._power, power
        before, self._before = self._before, level_of((power + former) / 2, _QUIETEST)
        level = self._before
        self._seen += 1
        if self._seen <= _LEARNING:
            return self._learn(level)
        self._recent.append(level)
        self._follow(level, self._lowest.add(level))
        margin = max(_MARGIN, _DEVIATIONS * self._deviation)
        gate = max(self._floor + margin, self._loudest - _RANGE)
        over = 1.0 + (level - gate) / margin  # 0 at the background, 1 at the gate
        if over < 0.75:
            self._run = self._tonal = 0
            self._adapt(level)
            return 0.0
        self._run += 1
        if self._run > 1 and (self._tonal or self._run <= _TESTED) and self._is_tone(samples, level - before):
            return 0.0
        self._loudest = max(level, self._loudest - _DECAY)
        return _UNDECIDED if self._run == 1 else min(1.0, 0.5 * over)

    def _learn(self, level: float) -> float:
        lowest = min(level, _FIRST)
        self._floor = lowest if self._seen == 1 else min(lowest, self._floor)
        return 0.0

    def _adapt(self, level: float) -> None:
        """Follow the background during silence."""
        off = level - self._floor
        self._floor = max(_QUIETEST, self._floor + off * (_UP if off > 0 else _DOWN))
        self._deviation += _UP * (min(abs(off), 6.0) - self._deviation)

    def _follow(self, level: float, lowest: float) -> None:
        """Follow a background that has become louder than what counted as speech."""
        recent = self._recent
        if self._run >= _STEADY_FRAMES and max(recent) - min(recent) <= _STEADY:
            self._floor, self._deviation = sum(recent) / len(recent), 0.5
        elif lowest > self._floor:
            self._floor = lowest

    def _is_tone(self, samples: list[int], change: float) -> bool:
        """Test whether a frame is part of a tone.

        :param change: by how many dB it is louder than the former frame.
        """
        if self._tonal % _SURE and self._tonal > _SURE and abs(change) <= _BEAT:
            self._tonal += 1
            return True
        if _tone_ratio(samples) >= _TONE:
            self._tonal += 1
            return True
        fades = self._tonal > 0 and change <= 0  # the tone ended within this frame
        self._tonal = 0
        return fades


class _Lowest:
    """Lowest of the last levels, in blocks."""

    def __init__(self) -> None:
        self._blocks: deque[float] = deque([_QUIETEST] * 8, maxlen=8)
        self._block = math.inf
        self._count = 0
        self._value = _QUIETEST

    def add(self, level: float) -> float:
        """Add a level. Return the lowest of about the last three seconds."""
        if level < self._block:
            self._block = level
        self._count += 1
        if self._count == _LONG // 8:
            self._blocks.append(self._block)
            self._value = min(self._blocks)
            self._block, self._count = math.inf, 0
        return self._value


def energy_for(sample_rate: int) -> Energy:
    """Return a new detector for audio at any rate. At rates other than :data:`RATES`, it hears the audio resampled.

    :param sample_rate: sample rate of the audio in Hz.
    """
    return Energy(sample_rate if sample_rate in RATES else RATES[0])


def _tone_ratio(samples: list[int]) -> float:
    """Return the power of the two sines that fit best over the power of the rest, in dB.

    Two sines follow ``x[n] + x[n-4s] = a (x[n-s] + x[n-3s]) + b x[n-2s]`` for any s. The rest is what this equation leaves,
    divided by the factor by which it amplifies noise. With a larger s, fewer voices follow it by chance.
    """
    first, second, middle, third, last = (
        samples[at : len(samples) - 4 * _LAG + at : 2] for at in range(0, 5 * _LAG, _LAG)
    )
    w, u, v = tuple(map(int.__add__, first, last)), tuple(map(int.__add__, second, third)), tuple(middle)
    ww, uu, vv = (math.hypot(*each) ** 2 for each in (w, u, v))
    uw, vw, uv = (
        (uu + ww - math.dist(u, w) ** 2) / 2,
        (vv + ww - math.dist(v, w) ** 2) / 2,
        (uu + vv - math.dist(u, v) ** 2) / 2,
    )
    size = uu * vv - uv * uv
    if size <= 0 or not vv:
        return 0.0
    a, b = (uw * vv - vw * uv) / size, (vw * uu - uw * uv) / size
    rest = (ww - a * uw - b * vw) / (2 + 2 * a * a + b * b)
    return 10 * math.log10(vv / max(rest, 1e-9 * vv))


#: Distance of the samples in the equation of :func:`_tone_ratio`.
_LAG: Final = 7


Energy.__module__ = "relay_sync.audio.speech"
