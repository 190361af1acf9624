"""The recognizers and the voice of ``examples/agent``: their own times on the utterances in ``tests/data/speech``.

``python -m benchmarks.models '{"model": "whisper"}'`` measures one of ``whisper``, ``pocketsphinx`` and ``hibari``. They need
``pip install -r examples/agent/requirements.txt``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from relay_sync.audio.speech import Utterance
from relay_sync.scenarios.scenario import FALLBACK_MATCH
from relay_sync.scenarios.words import best_match, words_of
from tests.support.agent import load, words
from tests.support.speech import RATE, Said, on_the_line, utterances

from .figures import percentile

__all__ = ["main", "measure"]


def _whisper() -> Callable[[Utterance], str]:
    recognize: Callable[[Utterance], str] = load("whisper_recognizer").Whisper()
    return recognize


def _sphinx() -> Callable[[Utterance], str]:
    sentences = " | ".join(" ".join(words(said.text)) for said in utterances())
    grammar = f"#JSGF V1.0;\ngrammar said;\npublic <sentence> = {sentences};\n"
    recognize: Callable[[Utterance], str] = load("sphinx_recognizer").Sphinx(grammar)
    return recognize


_RECOGNIZERS: Final = {"whisper": _whisper, "pocketsphinx": _sphinx}


def _utterance(said: Said) -> Utterance:
    return Utterance(pcm=on_the_line(said.sound), sample_rate=RATE, start=said.start, end=said.end)


def _times(name: str, seconds: Sequence[float]) -> dict[str, float]:
    return {f"{name} p{rank}": 1000 * percentile(seconds, rank) for rank in (50, 95)}


def _recognizing(model: str, said: Sequence[Said]) -> dict[str, float]:
    began = time.perf_counter()
    recognize = _RECOGNIZERS[model]()
    figures = {"load": 1000 * (time.perf_counter() - began)}
    recognize(_utterance(said[0]))  # the first one takes longer
    taken, spent, understood = [], [], 0
    for each in said:
        utterance = _utterance(each)
        wall, cpu = time.perf_counter(), time.process_time()
        text = recognize(utterance)
        spent.append(time.process_time() - cpu)
        taken.append(time.perf_counter() - wall)
        understood += best_match(words_of(each.text), words_of(text)).score >= FALLBACK_MATCH
    length = sum(len(each.sound) for each in said) / RATE
    figures |= _times("wall", taken) | _times("cpu", spent)
    return {
        **figures,
        "understood": float(understood),
        "factor": sum(taken) / length,
        "factor cpu": sum(spent) / length,
    }


def _speaking(said: Sequence[Said]) -> dict[str, float]:
    began = time.perf_counter()
    voice = load("hibari_voice").HibariVoice()
    figures = {"load": 1000 * (time.perf_counter() - began)}
    list(voice(said[0].text))
    firsts, taken, length = [], 0.0, 0.0
    cpu = time.process_time()
    for each in said:
        begun = time.perf_counter()
        pieces = iter(voice(each.text))
        samples = len(next(pieces)) // 2
        firsts.append(time.perf_counter() - begun)
        samples += sum(len(piece) // 2 for piece in pieces)
        taken += time.perf_counter() - begun
        length += samples / voice.sample_rate
    return {
        **figures,
        **_times("first", firsts),
        "factor": taken / length,
        "factor cpu": (time.process_time() - cpu) / length,
    }


def measure(model: str, *, most: int | None = None) -> dict[str, float]:
    """Measure a recognizer or the voice. Times are in milliseconds; ``factor`` is the time per second of audio.

    :param model: one of ``benchmarks.model_rows.MODELS``.
    :param most: number of utterances; all by default.
    """
    said = utterances()[:most]
    return _speaking(said) if model == "hibari" else _recognizing(model, said)


def main() -> None:
    """The process that measures."""
    print("figures " + json.dumps(measure(**json.loads(sys.argv[1]))), flush=True)


if __name__ == "__main__":
    main()
