"""A recognizer for the agent: PocketSphinx, which finds the sentence of a grammar that sounds most like an utterance.

Package: pocketsphinx. License: BSD (2 clauses), for the code and for the American English model, which is part of the wheel
(28 MB). It needs little memory and CPU time. It only knows the sentences of its grammar, and takes everything else for one of
them, or for nothing.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from packages import needed

from relay_sync.audio import resample
from relay_sync.audio.speech import Utterance

with needed():
    import numpy as np
    from pocketsphinx import Decoder

__all__ = ["Sphinx"]

#: Sample rate that the model was trained with, in Hz.
RATE: Final = 16000
#: Level of the noise that is added, in units of a 16-bit sample. The model was not trained with digital silence.
NOISE: Final = 30.0
#: Quiet audio before and after an utterance, in seconds.
MARGIN: Final = 0.3


class Sphinx:
    """Audio to text, for ``Conversation(recognize=...)``. Threads may share an instance, which serves them one after another.

    :param grammar: the sentences, as a JSGF grammar in lower case.
    :raises ValueError: the grammar is wrong, or contains a word that is not in the dictionary.
    """

    def __init__(self, grammar: str) -> None:
        # The beams are wider than the default, so that sentences are recognized to their ends.
        self._decoder: Any = Decoder(
            lm=None, samprate=RATE, bestpath=False, beam=1e-64, pbeam=1e-64, wbeam=1e-48, loglevel="FATAL"
        )
        self._decoder.add_jsgf_string("sentences", grammar)
        self._decoder.activate_search("sentences")
        self._lock = threading.Lock()

    def __call__(self, utterance: Utterance) -> str:
        """Return the sentence, in lower case without punctuation; ``""`` if none fits.

        :param utterance: the audio.
        """
        sound = np.frombuffer(resample(utterance.pcm, utterance.sample_rate, RATE), "<i2").astype(float)
        sound = np.pad(sound, round(MARGIN * RATE))
        sound += np.random.default_rng(1).normal(0.0, NOISE, len(sound))
        with self._lock:
            self._decoder.start_utt()
            try:
                self._decoder.process_raw(np.clip(sound, -32768, 32767).astype("<i2").tobytes(), full_utt=True)
            finally:
                self._decoder.end_utt()
            best = self._decoder.hyp()
        return "" if best is None else str(best.hypstr)
