"""The interface of the client as used by the IO thread."""

from __future__ import annotations

from typing import Any, Protocol

from ..errors import RelayError
from ..protocol.command import Phase

__all__ = ["Sink"]


class Sink(Protocol):
    """Receives events and changes of state on the IO thread. Its methods must not block or run user code."""

    def on_event(self, payload: dict[str, Any]) -> None: ...
    def on_phase(self, phase: Phase, error: RelayError | None) -> None: ...
    def on_session_over(self, error: RelayError, session: int) -> None: ...
    def on_watch(self, now: float) -> None: ...
    def on_poke(self) -> None: ...
    def on_closing(self, *, hang_up: bool) -> None: ...
    def expects(self) -> bool: ...

    @property
    def attached(self) -> object:
        """The current loop. Reports of an older loop that is still closing are ignored."""
