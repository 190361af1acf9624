"""Who said what in a conversation, and when."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final, Literal

from attrs import asdict, frozen

from ...notebook_html import Bar, bars, table
from ..waveform import columns_of, time_axis

__all__ = ["Transcript", "TranscriptLine"]

#: Who speaks, in the order of the rows of a timeline.
_SPEAKERS: Final = ("caller", "agent")
#: Speech, speech that was not heard, and keys, in a timeline. The second set is for terminals without block characters.
_BLOCKS: Final = "█░▲"
_PLAIN: Final = "#.^"


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

    @property
    def words(self) -> str:
        """The text and the keys, and how much of it was heard if that is not all."""
        words = self.text or ("" if self.keys else "(no words)")
        if self.keys:
            words = f"{words} [keys {self.keys}]".lstrip()
        if self.heard_seconds == 0:
            words += " [not heard]"
        elif self.heard_seconds is not None and self.of_seconds is not None and self.heard_seconds < self.of_seconds:
            words += f" [heard {self.heard_seconds:.1f} of {self.of_seconds:.1f} s]"
        return words

    def __str__(self) -> str:
        return f"{self.start:7.1f}  {self.who}  {self.words}"


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

    @property
    def _seconds(self) -> float:
        return max((end for _, _, end, _ in self._spans()), default=0.0)

    def _spans(self) -> Iterator[tuple[TranscriptLine, float, float, bool]]:
        """Return parts of lines with their start and end, and whether they were not heard."""
        for line in self.lines:
            yield line, line.start, line.end, False
            missing = (line.of_seconds or 0.0) - (line.heard_seconds or 0.0)
            if missing > 0.05:  # less is rounding
                yield line, line.end, line.end + missing, True

    def timeline(self, width: int = 72, *, ascii: bool = False) -> str:
        """Draw who spoke when, in a row for the caller and a row for the agent, followed by a line with the duration.

        Lighter blocks are audio that an interruption discarded. A triangle is a turn that consists of keys.

        :param width: width of the rows in columns.
        :param ascii: whether to use only ASCII characters, for terminals without block characters.
        :raises ValueError: ``width`` is less than 1.
        """
        if width < 1:
            raise ValueError("width must be at least 1")
        seconds, (full, faint, key) = self._seconds, _PLAIN if ascii else _BLOCKS
        rows = {who: [" "] * width for who in _SPEAKERS}
        for line, start, end, missed in self._spans():
            first, last = columns_of(start, end, seconds, width)
            row = rows[line.who]
            mark = faint if missed else key if line.keys and not line.text else full
            for column in range(first, last + 1):
                if not missed or row[column] == " ":  # what was heard is drawn over what was not
                    row[column] = mark
        drawn = [f"{who:<8}{''.join(row)}".rstrip() for who, row in rows.items()]
        return "\n".join([*drawn, time_axis(8, width, seconds)])

    def _repr_html_(self) -> str:
        """Return HTML for notebooks: a timeline of the turns, and the text."""
        if not self.lines:
            return "<div>nothing has been said yet</div>"
        rows: dict[str, list[Bar]] = {who: [] for who in _SPEAKERS}
        for line, start, end, missed in self._spans():
            what = f"{line.text} [not heard]".lstrip() if missed else line.words
            rows[line.who].append(Bar(start, end, f"{start:.1f} s: {what}", missed))
        listed = table((f"{line.start:.1f} s, {line.who}", line.words) for line in self.lines)
        return bars(list(rows.items()), self._seconds, "timeline of the turns") + listed


for _public in (Transcript, TranscriptLine):
    _public.__module__ = "relay_sync.audio.speech"
