"""Two short recordings of synthesized speech; the README beside them describes how they were made."""

from __future__ import annotations

from pathlib import Path

__all__ = ["caller", "greeting"]

_FOLDER = Path(__file__).parent


def caller() -> Path:
    """Return the path of a WAV file of a caller who leaves a message: 8 s, mono, 16-bit, 8000 Hz.

    The transcript is in ``caller.txt``.
    """
    return _FOLDER / "caller.wav"


def greeting() -> Path:
    """Return the path of a WAV file of an office greeting: 5 s, mono, 16-bit, 8000 Hz.

    The transcript is in ``greeting.txt``.
    """
    return _FOLDER / "greeting.wav"
