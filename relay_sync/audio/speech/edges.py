"""Locate the start and the end of an utterance in its audio, for detectors that only know about where they are.

A detector that needs context, such as a neural network, notices the end of speech late, and later in noise. The level of the
audio shows the edge within 10 ms. An edge is where the level of speech is 25 dB below the active level of the utterance. Sounds
that are weaker than the background cannot be seen. There, the edge is estimated from the level at which speech disappears and
the rates at which voices usually rise and fade.

The module knows neither detectors nor streams. Positions are numbers of samples.
"""

from __future__ import annotations

import math
import statistics
import sys
from array import array
from collections.abc import Sequence
from typing import Final

from attrs import frozen

from .levels import level_of, power_of

__all__ = ["AFTER", "MARGIN", "locate"]

#: Windows per second, in which levels are measured. A window overlaps half of the next one.
_WINDOWS: Final = 100
#: Rate in Hz at which levels are measured. Of audio at higher rates, every n-th sample is enough.
_RATE: Final = 8000
#: By how many dB the level of an edge is below the active level of the utterance.
_DEPTH: Final = 25.0
#: By how many dB windows may be below the active level, of which it is the mean; the margin of ITU-T P.56.
_ACTIVE: Final = 15.9
#: By how many deviations, and at least how many dB, speech has to be louder than the background: in the whole, and in each band.
_DEVIATIONS: Final = (5.0, 5.0, 3.5, 3.5)
_LOUDER: Final = 2.0
#: Greatest deviation of a background whose level says something, in dB. Music and voices change more.
_STEADY: Final = 2.5
#: Fewest windows from which the level of the background is known.
_FEWEST: Final = 10
#: About how many windows at most tell the level of the utterance.
_MOST: Final = 24
#: Seconds around an edge in which it is searched: before and after the place that the detector has given.
_START: Final = (0.25, 0.15)
_END: Final = (0.4, 0.2)
#: Audio before an utterance that is of use, in seconds.
MARGIN: Final = 0.5
#: Seconds from an edge, within which audio is not taken for the background.
AFTER: Final = 0.25
#: Seconds by which a voice takes longer to rise and to fall for each dB that the background hides.
_RISE: Final = 0.002
_FALL: Final = 0.0054
#: Lowest level in dB below the largest square wave, for windows of digital silence.
_QUIETEST: Final = -90.0
#: Level up to which the background may change as it likes.
_FAINT: Final = -60.0

#: Distances of samples whose differences are the high and the middle band. At 8000 Hz, these have their peaks at 4000 Hz, where
#: hisses are strong, and at 1333 and 4000 Hz. Both lack the low frequencies, which are strong in the noise of streets and cars.
_LAGS: Final = (1, 3)
# Mean squares and levels of the whole, and of the low, high and middle band.
_Bands = tuple[float, float, float, float]


@frozen
class _Background:
    """Levels of what is heard without speech.

    :ivar power: mean square of the whole.
    :ivar gates: level from which each band contains speech.
    """

    power: float
    gates: _Bands


def locate(pcm: bytes, sample_rate: int, start: int, end: int) -> tuple[int, int]:
    """Return a better start and end.

    :param pcm: the utterance and the silence around it, 16-bit little-endian mono.
    :param sample_rate: sample rate in Hz.
    :param start: position in ``pcm`` at which the detector has noticed the start.
    :param end: position at which it has noticed the end.
    :return: start and end; unchanged where the audio does not tell.
    """
    step = max(1, sample_rate // _RATE)
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    if step > 1:
        samples = samples[::step]
    hop = sample_rate // step // _WINDOWS
    windows = _Windows(samples, hop)
    span = step * hop  # samples from one window to the next; at rates such as 44100 Hz, a little less than 10 ms
    first, last = (min(each // span, windows.count) for each in (start, end))
    quiet = [  # every second window, because these do not overlap
        *range(max(0, first - round(MARGIN * _WINDOWS)), first - round(AFTER * _WINDOWS), 2),
        *range(last + round(AFTER * _WINDOWS), windows.count, 2),
    ]
    background = _background([windows.bands(each) for each in quiet])
    if background is None:
        return start, end
    active = _active_level(windows, range(first, last), background.power)
    edge = active - _DEPTH
    gates = [_power_of(max(gate, edge)) for gate in background.gates]
    hidden = max(0.0, statistics.mean(background.gates) - edge)
    before, after = (round(each * _WINDOWS) for each in _START)
    for each in range(max(0, first - before), min(first + after, last, windows.count)):
        if any(map(float.__ge__, windows.bands(each), gates)):
            start = max(0, round((each + 0.5) * span - _RISE * hidden * sample_rate))
            break
    before, after = (round(each * _WINDOWS) for each in _END)
    for each in reversed(range(max(0, last - before), min(last + after, windows.count))):
        if any(map(float.__ge__, windows.bands(each), gates)):
            end = round((each + 1.5) * span + _FALL * hidden * sample_rate)
            break
    return start, max(start + 1, end)


class _Windows:
    """Mean squares of windows, without the mean. A window consists of two hops."""

    def __init__(self, samples: array[int], hop: int) -> None:
        self._samples = samples
        self._hop = hop
        self.count: int = max(0, len(samples) // hop - 1)

    def power(self, window: int) -> float:
        """Mean square of the samples."""
        return power_of(self._part(window))

    def bands(self, window: int) -> _Bands:
        """Mean squares of the bands."""
        part = self._part(window)
        size, (near, far), power = len(part), _LAGS, power_of(part)
        high = math.dist(part[near:], part[:-near]) ** 2 / (4 * (size - near))
        middle = math.dist(part[far:], part[:-far]) ** 2 / (4 * (size - far))
        return power, power - high, high, middle

    def _part(self, window: int) -> list[int]:
        return self._samples[window * self._hop : (window + 2) * self._hop].tolist()


def _power_of(level: float) -> float:
    return 2**30 * float(10 ** (level / 10))


def _background(windows: Sequence[_Bands]) -> _Background | None:
    """Return the levels of the background; ``None`` if it is not steady, or too short."""
    if len(windows) < _FEWEST:
        return None
    gates: list[float] = []
    for powers, deviations in zip(zip(*windows, strict=True), _DEVIATIONS, strict=True):
        levels = [level_of(power, _QUIETEST) for power in powers]
        middle = statistics.median(levels)
        deviation = 1.48 * statistics.median(abs(each - middle) for each in levels)
        if not gates and deviation > _STEADY and middle > _FAINT:
            return None
        gates.append(middle + max(_LOUDER, deviations * deviation))
    whole, low, high, middle = gates
    return _Background(statistics.median(bands[0] for bands in windows), (whole, low, high, middle))


def _active_level(windows: _Windows, span: range, background: float) -> float:
    """Level of the windows that contain speech, without the background: those not far below the result."""
    powers = [power for each in span[:: len(span) // _MOST + 1] if (power := windows.power(each) - background) > 0]
    while powers:
        mean = sum(powers) / len(powers)
        louder = [each for each in powers if each >= mean * 10 ** (-_ACTIVE / 10)]
        if len(louder) == len(powers):
            return level_of(mean, _QUIETEST)
        powers = louder
    return _QUIETEST
