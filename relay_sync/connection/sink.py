"""What an IO thread needs of the client it works for."""

from __future__ import annotations

from typing import Any, Protocol

from ..errors import RelayError
from ..protocol.command import Phase

__all__ = ["Sink"]


class Sink(Protocol):
    """Who hears of what happened, on the IO thread: quick, and never user code."""

    def on_event(self, payload: dict[str, Any]) -> None: ...
    def on_phase(self, phase: Phase, error: RelayError | None) -> None: ...
    def on_session_over(self, error: RelayError, session: int) -> None: ...
    def on_watch(self, now: float) -> None: ...
    def on_poke(self) -> None: ...
    def on_closing(self, *, hang_up: bool) -> None: ...
    def expects(self) -> bool: ...

    @property
    def attached(self) -> object:
        """The loop it listens to; an older one that is still closing is not heard any more."""
