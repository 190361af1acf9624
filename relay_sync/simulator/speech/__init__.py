"""Two short recordings of synthesised speech that come with the package; see the README beside them for how they were made."""

from __future__ import annotations

from pathlib import Path

__all__ = ["caller", "greeting"]

_FOLDER = Path(__file__).parent


def caller() -> Path:
    """The WAV of somebody who leaves a message: 8 s, mono, 16-bit, 8000 Hz. Its words are in ``caller.txt`` beside it."""
    return _FOLDER / "caller.wav"


def greeting() -> Path:
    """The WAV of an office that picks up: 5 s, mono, 16-bit, 8000 Hz. Its words are in ``greeting.txt`` beside it."""
    return _FOLDER / "greeting.wav"
