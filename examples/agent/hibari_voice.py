"""A voice for the agent: hibari-tts, which turns English text into audio on the CPU, without a network.

Package: hibari-tts. License: Apache 2.0, for the code and for the voice "heart", which is part of the wheel (8 MB). It needs
onnxruntime (MIT) and numpy. The other voices of the package are downloaded; this adapter does not use them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from packages import needed

with needed():
    import numpy as np
    from hibari import Hibari

__all__ = ["HibariVoice"]


class HibariVoice:
    """Text to audio, for ``Conversation(speak=..., speak_rate=voice.sample_rate)``.

    :param speed: speed of speech; 1 is normal.
    :param pitch: factor by which the voice is higher. The speed stays the same.
    """

    def __init__(self, *, speed: float = 1.0, pitch: float = 1.0) -> None:
        self._hibari: Any = Hibari()
        self._hibari.phonemize("Hello.")  # loads the dictionary now, not during the first call
        self._speed = speed / pitch
        self.sample_rate: int = round(self._hibari.sample_rate * pitch)
        """Sample rate of the audio in Hz."""

    def __call__(self, text: str) -> Iterator[bytes]:
        """Return an iterator of 16-bit PCM. Each sentence can be played before the next one has been synthesized.

        :param text: one or more English sentences.
        """
        for sound in self._hibari.stream(text, speed=self._speed, seed=1):
            yield (np.clip(sound, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
