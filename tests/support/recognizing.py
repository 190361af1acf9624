"""A voice and a recognizer that know a few sentences: those of the set in ``tests/data/speech``."""

from __future__ import annotations

import numpy as np

from relay_sync.audio.speech import Utterance
from tests.support.speech import RATE, Said, Signal, pcm_of, sound_of, utterances

__all__ = ["SENTENCES", "recognize", "speak"]

#: Sentences that :func:`speak` can say, by their text, in one voice.
SENTENCES: dict[str, Said] = {said.text: said for said in utterances() if said.name.startswith("hibari")}
#: Least correlation of an utterance with the sentence that it is.
_LEAST = 0.5


def speak(text: str) -> tuple[bytes, int]:
    """Say a sentence of the set."""
    return pcm_of(SENTENCES[text].sound), RATE


def recognize(utterance: Utterance) -> str:
    """Return the sentence that fits best; ``""`` if none does."""
    heard = sound_of(utterance.pcm)
    scores = {text: _likeness(heard, said.sound) for text, said in SENTENCES.items()}
    best = max(scores, key=scores.__getitem__)
    return best if scores[best] >= _LEAST else ""


def _likeness(one: Signal, other: Signal) -> float:
    size = len(one) + len(other)
    fits = np.fft.irfft(np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size)), size)
    scale = float(np.sqrt(np.sum(one**2) * np.sum(other**2)))
    return float(fits.max()) / scale if scale else 0.0
