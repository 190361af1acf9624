"""Detectors of speech on the utterances in ``tests/data/speech``: what they find in which noise, and the CPU that they take.

``python -m benchmarks.detectors '{"detector": "silero", "seeds": [1, 2]}'`` tries one of ``energy``, ``silero`` and
``webrtcvad``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Final

from relay_sync.audio.speech import Energy, Silero
from tests.support.detectors import RATIOS, Finder, Score, alone, by, score
from tests.support.speech import NOISES, scene, utterances

from .figures import percentile
from .vad_loop import SIZE, VadLoop

__all__ = ["ALONE", "CELLS", "FIGURES", "main", "measure"]

#: What is measured in each cell. Errors are in milliseconds.
FIGURES: Final = ("found", "said", "false", "split", "wrong", "start p95", "end p95", "start", "end")
#: Cells with utterances: the noise, and the signal-to-noise ratio in dB.
CELLS: Final = {
    "clean": (None, 0.0),
    **{f"{noise} {snr} dB": (noise, float(snr)) for noise in NOISES for snr in RATIOS},
}
#: Cells of a noise without utterances.
ALONE: Final = {f"{noise} alone": noise for noise in NOISES}


def in_a_loop(pcm: bytes) -> list[tuple[float, float]]:
    """Starts and ends of the utterances that :class:`VadLoop` finds in audio at 8000 Hz."""
    loop = VadLoop()
    found = [loop.push(pcm[at : at + SIZE]) for at in range(0, len(pcm) - SIZE + 1, SIZE)]
    return [each for each in (*found, loop.finish()) if each is not None]


FINDERS: Final[dict[str, Finder]] = {
    "energy": by(Energy),
    "silero": by(Silero),
    "webrtcvad": in_a_loop,
}


def _errors(errors: Sequence[float]) -> tuple[float, float]:
    """The 95th percentile of the absolute errors, and the mean error, in milliseconds."""
    if not errors:
        return 0.0, 0.0
    return 1000 * Score.worst(list(errors)), 1000 * sum(errors) / len(errors)


def _told(name: str, total: Score) -> dict[str, float]:
    (starts, start), (ends, end) = _errors(total.starts), _errors(total.ends)
    wrong = total.missed + total.false + total.split
    values = (total.said - total.missed, total.said, total.false, total.split, wrong, starts, ends, start, end)
    return {f"{name}, {figure}": float(value) for figure, value in zip(FIGURES, values, strict=True)}


def cpu(find: Finder, *, seconds: float) -> float:
    """Milliseconds of CPU that a second of audio takes, pauses included: the median over scenes of the set."""
    scenes = [scene(utterances()[start::12], noise=NOISES["white"], snr=20.0).pcm for start in range(12)]
    lengths = [len(pcm) / 16000 for pcm in scenes]
    taken: list[float] = []
    over = time.process_time() + seconds
    while not taken or time.process_time() < over:
        for pcm, length in zip(scenes, lengths, strict=True):
            before = time.process_time()
            find(pcm)
            taken.append((time.process_time() - before) / length)
    return 1000 * percentile(taken, 50)


def measure(
    detector: str, *, seeds: Sequence[int] = (1, 2), cells: Sequence[str] = (), seconds: float = 4.0
) -> dict[str, float]:
    """Try a detector.

    :param seeds: seeds of the noises; the figures of a cell are those of all of them.
    :param cells: names of the cells; all of them by default.
    :param seconds: how much CPU time the measurement of the CPU takes.
    """
    find = FINDERS[detector]
    figures: dict[str, float] = {}
    for name, (noise, snr) in CELLS.items():
        if not cells or name in cells:
            figures |= _told(name, score(find, noise, snr, seeds=seeds if noise else seeds[:1]))
    for name, noise in ALONE.items():
        if not cells or name in cells:
            figures |= _told(name, alone(find, noise))
    figures["cpu"] = cpu(find, seconds=seconds)
    return figures


def main() -> None:
    """The process that measures."""
    print("figures " + json.dumps(measure(**json.loads(sys.argv[1]))), flush=True)


if __name__ == "__main__":
    main()
