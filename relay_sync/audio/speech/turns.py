"""What a conversation returns: turns of the party, and what they interrupted."""

from __future__ import annotations

from attrs import frozen

from .utterance import Utterance

__all__ = ["Interruption", "Turn"]


@frozen
class Interruption:
    """What was being said when the party interrupted, and how much of it the party heard.

    :ivar said: the text that was not heard completely; ``""`` for audio without text.
    :ivar heard_seconds: seconds of its audio that the party heard.
    :ivar of_seconds: length of the audio in seconds that had been generated.
    """

    said: str
    """The text that was not heard completely; ``""`` for audio without text."""
    heard_seconds: float
    """Seconds of its audio that the party heard."""
    of_seconds: float
    """Length of its audio in seconds. For audio that is generated while it is played, only what had been generated."""


@frozen(kw_only=True)
class Turn:
    """What the party said, or which keys it pressed, until it was silent.

    :ivar text: what was recognized; ``""`` if the party only pressed keys, or said nothing for ``patience`` seconds.
    :ivar keys: keys that the party pressed since the former turn.
    :ivar utterance: the audio; ``None`` if the party said nothing.
    :ivar interrupted: what the party interrupted; ``None`` if it interrupted nothing.
    """

    text: str
    """What was recognized; ``""`` if the party only pressed keys, or said nothing for ``patience`` seconds."""
    keys: str = ""
    """Keys that the party pressed since the former turn."""
    utterance: Utterance | None = None
    """The audio; ``None`` if the party said nothing."""
    interrupted: Interruption | None = None
    """What the party interrupted; ``None`` if it interrupted nothing."""

    @property
    def cut(self) -> bool:
        """Whether the turn was ended because it was as long as ``longest``. The next one continues it."""
        return self.utterance is not None and self.utterance.cut


for _public in (Interruption, Turn):
    _public.__module__ = "relay_sync.audio.speech"
