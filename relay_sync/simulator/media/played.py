"""What was played to somebody: a text, a sound, a ringtone. Pure."""

from __future__ import annotations

from attrs import evolve, field, frozen

__all__ = ["Played", "part_of"]

SHORTEST = 0.2  # seconds of a sound that somebody notices


@frozen(kw_only=True)
class Played:
    """Something that was played to a party: as much of it as got through.

    :ivar type: ``tts``, ``audio``, ``silence``, ``ringtone``, or ``beep``. :ivar text: what was said. :ivar url: what was played.
    :ivar name: the ringtone, or ``beep``. :ivar duration: seconds, as far as the simulator knows them.
    :ivar times: how often, where it was played without an end: what comes again is counted.
    """

    type: str
    text: str = ""
    url: str = ""
    name: str = ""
    duration: float = 0.0
    times: int = field(default=1, eq=False)

    @property
    def words(self) -> str:
        """What identifies it: the text, the URL, or the ringtone."""
        return self.text or self.url or self.name


def part_of(item: Played, seconds: float) -> Played | None:
    """What gets through of something that is cut off after that time: of a text whole words only. ``None`` if that is nothing
    that anybody could make out.
    """
    if seconds >= item.duration:
        return item
    if seconds < SHORTEST:
        return None
    said = int(len(item.text) * seconds / item.duration)
    text = item.text[:said] if item.text[said : said + 1].isspace() else item.text[:said].rpartition(" ")[0]
    return evolve(item, text=text, duration=seconds) if text or not item.text else None
