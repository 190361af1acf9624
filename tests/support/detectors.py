"""How well detectors find the utterances of the set. ``python -m tests.support.detectors`` prints a table of all noises."""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from attrs import define, field

from relay_sync.audio.speech import Energy, Silero
from relay_sync.audio.speech.segmenter import Segmenter
from tests.support.speech import NOISES, RATE, Said, at_level, on_the_line, scene, utterances

#: Signal-to-noise ratios of the table, in dB.
RATIOS: Final = (20, 10, 5)
#: Samples in a chunk of audio, as the platform sends it.
CHUNK: Final = RATE // 50

#: Returns starts and ends of the utterances in audio at 8000 Hz.
Finder: TypeAlias = Callable[[bytes], list[tuple[float, float]]]


class Loud:
    """A detector that goes by one sample in the middle of each frame: 10000 is surely speech, and 0 is silence."""

    def __init__(self, sample_rate: int = RATE, frame: int = 80, delay: float = 0.0) -> None:
        self.sample_rate, self.frame, self.delay = sample_rate, frame, delay
        self.frames = 0

    def __call__(self, pcm: bytes) -> float:
        assert len(pcm) == 2 * self.frame
        self.frames += 1
        (sample,) = struct.unpack_from("<h", pcm, len(pcm) // 4 * 2)
        return min(1.0, abs(float(sample)) / 10000)


@define(eq=False)
class Score:
    """What became of the utterances of scenes.

    :ivar missed: utterances without one of their own, among them those that were found as one with another.
    :ivar false: utterances that were found where there is none.
    :ivar split: utterances that were found as several.
    :ivar starts: errors of the starts in seconds, positive if late.
    :ivar ends: errors of the ends.
    """

    said: int = 0
    missed: int = 0
    false: int = 0
    split: int = 0
    starts: list[float] = field(factory=list)
    ends: list[float] = field(factory=list)
    cpu: float = 0.0
    seconds: float = 0.0

    def add(self, spoken: Sequence[tuple[float, float]], found: Sequence[tuple[float, float]]) -> None:
        """Compare starts and ends: each that was found belongs to the utterance with which it shares most time."""
        mine: list[list[tuple[float, float]]] = [[] for _ in spoken]
        for start, end in found:
            shared = [min(end, last) - max(start, first) for first, last in spoken] or [0.0]
            best = int(np.argmax(shared))
            if shared[best] > 0:
                mine[best].append((start, end))
            else:
                self.false += 1
        self.said += len(spoken)
        for (first, last), parts in zip(spoken, mine, strict=True):
            self.missed += not parts
            self.split += len(parts) > 1
            if parts:
                self.starts.append(parts[0][0] - first)
                self.ends.append(parts[-1][1] - last)

    @staticmethod
    def worst(errors: list[float]) -> float:
        """95th percentile of the absolute errors, in seconds."""
        return float(np.quantile(np.abs(errors), 0.95)) if errors else 0.0


def found_in(vad: Any, pcm: bytes) -> list[tuple[float, float]]:
    """Starts and ends of the utterances that a detector finds in audio at 8000 Hz."""
    segmenter, size = Segmenter(vad, RATE), 2 * CHUNK
    found = []
    for at in range(0, len(pcm), size):
        found += segmenter.push(at / 2 / RATE, pcm[at : at + size])
    return [(each.start, each.end) for each in found + segmenter.finish()]


def by(make: Callable[[], Any]) -> Finder:
    """Return the function that finds utterances with a new detector each time."""
    return lambda pcm: found_in(make(), pcm)


def score(
    find: Finder,
    name: str | None,
    snr: float = 0.0,
    *,
    seeds: Sequence[int] = (1,),
    said: Sequence[Said] = (),
) -> Score:
    """Try a detector on the set.

    :param find: finds utterances in audio, such as :func:`by`.
    :param name: a noise of ``NOISES``, or ``None``.
    :param snr: active level of the utterances over the noise, in dB.
    :param said: utterances, if not those of the set.
    """
    total = Score()
    for seed in seeds:
        spoken = scene(said or utterances(), noise=None if name is None else NOISES[name], snr=snr, seed=seed)
        pcm = spoken.pcm
        before = time.process_time()
        found = find(pcm)
        total.cpu += time.process_time() - before
        total.seconds += spoken.seconds
        total.add(spoken.spoken, found)
    return total


def alone(find: Finder, name: str, *, level: float = -20.0, seconds: int = 60) -> Score:
    """Try a detector on a noise without utterances.

    :param level: level of the noise in dB.
    """
    total = Score(seconds=seconds)
    pcm = on_the_line(at_level(NOISES[name](seconds * RATE, 1), level))
    before = time.process_time()
    total.add((), find(pcm))
    total.cpu = time.process_time() - before
    return total


def _row(detector: str, what: str, total: Score) -> str:
    errors = " ".join(
        f"{1000 * float(np.mean(each)):>+6.0f} {1000 * Score.worst(each):>5.0f}" if each else f"{'-':>6} {'-':>5}"
        for each in (total.starts, total.ends)
    )
    found = f"{total.said - total.missed:>3}/{total.said:<3}" if total.said else f"{'-':>7}"
    cpu = 1000 * total.cpu / total.seconds
    return f"{detector:<7} {what:<16} {found} {total.false:>5} {total.split:>5}  {errors}  {cpu:>5.2f}"


def main() -> None:
    """Print the table. Two scenes with other seeds count for each row with a noise."""
    print("                           found false split  start   p95    end   p95    cpu")
    print("                                                 ms    ms     ms    ms   ms/s")
    for detector, make in (("Silero", Silero), ("Energy", Energy)):
        find = by(make)
        print(_row(detector, "clean", score(find, None)))
        for name in NOISES:
            for snr in RATIOS:
                print(_row(detector, f"{name} {snr} dB", score(find, name, snr, seeds=(1, 2))))
        for name in NOISES:
            print(_row(detector, f"{name} alone", alone(find, name)))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
