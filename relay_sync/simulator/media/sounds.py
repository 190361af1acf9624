"""Durations of played items. This module does no I/O.

The simulator does not fetch URLs. With :meth:`Simulator.expect_sound <relay_sync.simulator.Simulator.expect_sound>`, a test can
set a sound's duration or declare its URL unplayable. All other durations are estimates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field

from .played import Played
from .voice import SILENCE, Voice

__all__ = ["Sounds", "estimate"]

CHARACTERS_PER_SECOND = 15.0  # typical speed of spoken English
UNKNOWN_SOUND = 3.0  # seconds
RINGTONE = 6.0  # one cycle of the American ringtone: 2 seconds of ringing and 4 seconds of silence


def estimate(text: str) -> float:
    """Estimate how long it takes to speak a text, in seconds."""
    return max(0.2, len(text) / CHARACTERS_PER_SECOND)


@define(eq=False)
class Sounds:
    """Sounds at known URLs, each with a voice and a duration in seconds. The duration is ``None`` if the URL cannot be played."""

    _known: dict[str, float | None] = field(factory=dict, init=False)
    _voices: dict[str, Voice] = field(factory=dict, init=False, repr=False)

    def learn(self, url: str, seconds: float | None, voice: Voice = SILENCE) -> None:
        """Set the duration and voice of a URL's sound."""
        self._known[url] = seconds
        self._voices[url] = voice

    def voice(self, item: Played) -> Voice:
        """Return an item's voice, or silence if its URL is unknown."""
        return self._voices.get(item.url, SILENCE)

    def item(self, media: Mapping[str, Any]) -> Played | None:
        """Convert a media item to the item that the party hears, or return ``None`` if it cannot be played."""
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
