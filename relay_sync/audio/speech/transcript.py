"""Who said what in a conversation, and when."""

from __future__ import annotations

import json
from typing import Literal

from attrs import asdict, frozen

__all__ = ["Transcript", "TranscriptLine"]


@frozen(kw_only=True)
class TranscriptLine:
    """One entry of a transcript. Positions are seconds since the start of the stream.

    :ivar who: ``caller`` for the party, ``agent`` for the program.
    :ivar start: where it begins.
    :ivar end: where it ends.
    :ivar text: the words; ``""`` if none were recognized, or for audio without text.
    :ivar keys: keys that the party pressed.
    :ivar heard_seconds: seconds that the party heard; ``None`` for what the party said.
    :ivar of_seconds: length of the audio in seconds; ``None`` for what the party said.
    """

    who: Literal["caller", "agent"]
    """``caller`` for the party, ``agent`` for the program."""
    start: float
    """Where it begins, in seconds since the start of the stream."""
    end: float
    """Where it ends, in seconds since the start of the stream."""
    text: str = ""
    """The words; ``""`` if none were recognized, or for audio without text."""
    keys: str = ""
    """Keys that the party pressed."""
    heard_seconds: float | None = None
    """Seconds that the party heard; ``None`` for what the party said."""
    of_seconds: float | None = None
    """Length of the audio in seconds; ``None`` for what the party said."""

    def __str__(self) -> str:
        words = self.text or ("" if self.keys else "(no words)")
        if self.keys:
            words = f"{words} [keys {self.keys}]".lstrip()
        if self.heard_seconds == 0:
            words += " [not heard]"
        elif self.heard_seconds is not None and self.of_seconds is not None and self.heard_seconds < self.of_seconds:
            words += f" [heard {self.heard_seconds:.1f} of {self.of_seconds:.1f} s]"
        return f"{self.start:7.1f}  {self.who}  {words}"


@frozen
class Transcript:
    """A conversation in words, in the order in which it was heard. ``print(transcript)`` prints it.

    :ivar lines: the entries.
    """

    lines: tuple[TranscriptLine, ...]
    """The entries."""

    @property
    def text(self) -> str:
        """The transcript as text, one line for each entry: position in seconds, who, words."""
        return "\n".join(map(str, self.lines))

    @property
    def json(self) -> str:
        """The transcript as a JSON array of objects, whose members are the attributes of :class:`TranscriptLine`."""
        return json.dumps([asdict(line) for line in self.lines], ensure_ascii=False, indent=2)

    def __str__(self) -> str:
        return self.text


for _public in (Transcript, TranscriptLine):
    _public.__module__ = "relay_sync.audio.speech"
