"""What a verb needs of the call it is mixed into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol, TypeVar

from ..actions import Action, OnCompleted

__all__ = ["ADDRESS", "VerbHost", "Verbs"]

A = TypeVar("A", bound=Action[Any])

#: What a command is addressed by; nothing of it can be given as ``extra``.
ADDRESS: Final = ("node_id", "call_id", "control_id")


class VerbHost(Protocol):
    """The two ways of a command: a plain one, and one that starts an action."""

    def command(
        self, method: str, params: Mapping[str, Any] | None = None, *, idempotent: bool = False
    ) -> dict[str, Any]:
        """Send a command for the call and return the server's result."""

    def start(
        self, kind: type[A], params: Mapping[str, Any], *, control_id: str | None, on_completed: OnCompleted | None
    ) -> A:
        """Start an action: it is registered before the command is sent, for its first event may overtake the reply."""

    def running(self, kind: type[A]) -> list[A]:
        """The actions of a kind that have not ended."""

    def denoise_asked(self) -> None:
        """Noise is about to be suppressed."""


class Verbs:
    """Base of the mix-ins. :class:`relay_sync.Call` provides the host."""

    _core: VerbHost
