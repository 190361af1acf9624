"""``calling.play`` and its controls.

The events: ``playing`` at the start and after a pause, ``paused``, and ``finished`` at the end, or ``error`` if an item cannot
be played. Pausing twice and resuming without a pause are acknowledged and have no effect. The simulator's choice where the
sources are silent: the party does not hear media played with the ``direction`` ``speak``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field

from ..core.schemas import Findings
from .operation import NetworkOperation, control, start, stop
from .request import CommandRequest, Handler

__all__ = ["HANDLERS", "Playback"]


@define(eq=False, kw_only=True)
class Playback(NetworkOperation):
    """A list of media that is played to a party, once or repeatedly."""

    event_type = "calling.call.play"
    paused: bool = field(default=False, init=False)
    _position: int = field(default=0, init=False)

    def begin(self) -> None:
        self.tell(state="playing")
        self._next()

    @property
    def _rounds(self) -> int:
        return int(self.params.get("loop", 1))

    def _next(self) -> None:
        """Play the next item, or finish."""
        items = self.params["play"]
        if self._rounds and self._position >= self._rounds * len(items):
            self.played()
            return
        item = self.platform.sounds.item(items[self._position % len(items)])
        if item is None:
            self.break_down({})
            return
        self._position += 1
        # An endless playback lasts until it is stopped: the call's time does not pass with it.
        endless = not self._rounds
        if self.params.get("direction", "listen") == "speak":
            self.after("item", item.duration, self._next, carries=not endless)
        else:
            again = endless and self._position > len(items)
            self.let_hear("item", item, self._next, carries=not endless, again=again)

    def played(self) -> None:
        """Finish after the last item."""
        self.finish()

    def pause(self, request: CommandRequest) -> None:
        """Pause."""
        request.accept()
        if self.paused:
            return
        self.paused = True
        self.pause_timers()
        self.tell(state="paused")

    def resume(self, request: CommandRequest) -> None:
        """Resume at the position of the pause."""
        request.accept()
        if not self.paused:
            return
        self.paused = False
        self.tell(state="playing")
        self.resume_timers()


def _volume(playback: Playback, request: CommandRequest) -> None:
    request.accept()
    playback.params["volume"] = request.params["volume"]
    playback.call.board.changed()


def _check(findings: Findings, params: Mapping[str, Any]) -> None:
    findings.look_at_media(params["play"])


HANDLERS: Mapping[str, Handler] = {
    "calling.play": start(Playback, check=_check),
    "calling.play.pause": control(Playback, Playback.pause),
    "calling.play.resume": control(Playback, Playback.resume),
    "calling.play.volume": control(Playback, _volume),
    "calling.play.stop": control(Playback, stop),
}
