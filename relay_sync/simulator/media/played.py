"""Items played to a party: texts, sounds and ringtones. This module does no I/O."""

from __future__ import annotations

from attrs import evolve, field, frozen

__all__ = ["Played", "part_of"]

SHORTEST = 0.2  # duration in seconds of the shortest sound that a party notices


@frozen(kw_only=True)
class Played:
    """An item played to a party. If playback was interrupted, the item contains only the part that was played.

    :ivar type: ``tts``, ``audio``, ``silence``, ``ringtone`` or ``beep``.
    :ivar text: spoken text.
    :ivar url: sound URL.
    :ivar name: ringtone name, or ``beep``.
    :ivar duration: duration in seconds, if the simulator knows it.
    :ivar times: number of times an endless item was played.
    """

    type: str
    text: str = ""
    url: str = ""
    name: str = ""
    duration: float = 0.0
    times: int = field(default=1, eq=False)

    @property
    def words(self) -> str:
        """Text, URL or ringtone name that identifies the item."""
        return self.text or self.url or self.name


def part_of(item: Played, seconds: float) -> Played | None:
    """Return the part of an item that is heard before an interruption.

    Text is truncated to whole words. The result is ``None`` if nothing is audible.
    """
    if seconds >= item.duration:
        return item
    if seconds < SHORTEST:
        return None
    said = int(len(item.text) * seconds / item.duration)
    text = item.text[:said] if item.text[said : said + 1].isspace() else item.text[:said].rpartition(" ")[0]
    return evolve(item, text=text, duration=seconds) if text or not item.text else None
