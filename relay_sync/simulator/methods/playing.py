"""Media playback: ``calling.play`` and its control methods.

A playback sends ``playing`` when it starts or resumes, ``paused`` when it is paused, and ``finished`` when it ends. If an item
cannot be played, it sends ``error``. Pausing a paused playback or resuming a running one is acknowledged and has no effect.

SignalWire does not document whether the party hears media played with the direction ``speak``. In the simulator, the party does
not hear it.
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
    """A list of media items played to a party once, several times or endlessly."""

    event_type = "calling.call.play"
    paused: bool = field(default=False, init=False)
    _position: int = field(default=0, init=False)

    def begin(self) -> None:
        self.send_event(state="playing")
        self._next()

    @property
    def _rounds(self) -> int:
        return int(self.params.get("loop", 1))

    def _next(self) -> None:
        """Play the next item, or finish after the last one."""
        items = self.params["play"]
        if self._rounds and self._position >= self._rounds * len(items):
            self.played()
            return
        item = self.platform.sounds.item(items[self._position % len(items)])
        if item is None:
            self.break_down({})
            return
        self._position += 1
        # An endless playback has no duration, so it must not switch the call's clock to media speed.
        endless = not self._rounds
        if self.params.get("direction", "listen") == "speak":
            self.after("item", item.duration, self._next, at_media_speed=not endless)
        else:
            again = endless and self._position > len(items)
            self.play_to_party("item", item, self._next, at_media_speed=not endless, again=again)

    def played(self) -> None:
        """Finish the playback after the last item."""
        self.finish()

    def pause(self, request: CommandRequest) -> None:
        """Pause the playback."""
        request.accept()
        if self.paused:
            return
        self.paused = True
        self.pause_timers()
        self.send_event(state="paused")

    def resume(self, request: CommandRequest) -> None:
        """Resume the playback from where it was paused."""
        request.accept()
        if not self.paused:
            return
        self.paused = False
        self.send_event(state="playing")
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
