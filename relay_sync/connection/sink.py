"""The interface through which the IO thread calls the client."""

from __future__ import annotations

from typing import Any, Protocol

from ..errors import RelayError
from ..protocol.command import Phase

__all__ = ["Sink"]


class Sink(Protocol):
    """Receiver of events and state changes. The IO thread calls its methods, which must not block or run user code."""

    def on_event(self, payload: dict[str, Any]) -> None: ...
    def on_phase(self, phase: Phase, error: RelayError | None) -> None: ...
    def on_session_over(self, error: RelayError, session: int) -> None: ...
    def on_watch(self, now: float) -> None: ...
    def on_poke(self) -> None: ...
    def on_closing(self, *, hang_up: bool) -> None: ...
    def expects(self) -> bool: ...

    @property
    def attached(self) -> object:
        """The current loop. An older loop that is still closing no longer calls the methods of this object."""
