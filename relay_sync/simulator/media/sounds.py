"""The durations of played items. Pure.

The simulator fetches nothing: a test may set the duration of the sound at a URL, or that there is none
(:meth:`Simulator.expect_sound <relay_sync.simulator.Simulator.expect_sound>`). Other durations are estimates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field

from .played import Played
from .voice import SILENCE, Voice

__all__ = ["Sounds", "estimate"]

CHARACTERS_PER_SECOND = 15.0  # how fast an ordinary voice reads English
UNKNOWN_SOUND = 3.0
RINGTONE = 6.0  # one round of the American one: two seconds of ringing, four of silence


def estimate(text: str) -> float:
    """How long it takes to say a text, in seconds."""
    return max(0.2, len(text) / CHARACTERS_PER_SECOND)


@define(eq=False)
class Sounds:
    """The known URLs: durations in seconds (``None``: cannot be played) and voices."""

    _known: dict[str, float | None] = field(factory=dict, init=False)
    _voices: dict[str, Voice] = field(factory=dict, init=False, repr=False)

    def learn(self, url: str, seconds: float | None, voice: Voice = SILENCE) -> None:
        """Remember a URL."""
        self._known[url] = seconds
        self._voices[url] = voice

    def voice(self, item: Played) -> Voice:
        """How something sounds; silence where that is not known."""
        return self._voices.get(item.url, SILENCE)

    def item(self, media: Mapping[str, Any]) -> Played | None:
        """A media item as the party hears it, or ``None`` if it cannot be played."""
        kind, params = str(media.get("type", "")), media.get("params") or {}
        if kind == "tts":
            text = str(params.get("text", ""))
            return Played(type=kind, text=text, duration=estimate(text))
        if kind == "audio":
            url = str(params.get("url", ""))
            seconds = self._known.get(url, UNKNOWN_SOUND)
            return None if seconds is None else Played(type=kind, url=url, duration=seconds)
        if kind == "ringtone":
            return Played(
                type=kind, name=str(params.get("name", "")), duration=float(params.get("duration") or RINGTONE)
            )
        return Played(type=kind, duration=float(params.get("duration", 0)))
