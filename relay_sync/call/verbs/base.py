"""The interface between verbs and the call that they are mixed into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol, TypeVar

from ..actions import Action, OnCompleted

__all__ = ["ADDRESS", "VerbHost", "Verbs"]

A = TypeVar("A", bound=Action[Any])

#: The members that address a command; ``extra`` may not contain them.
ADDRESS: Final = ("node_id", "call_id", "control_id")


class VerbHost(Protocol):
    """Send plain commands and commands that start actions."""

    def command(
        self, method: str, params: Mapping[str, Any] | None = None, *, idempotent: bool = False
    ) -> dict[str, Any]:
        """Send a command for the call and return the server's result."""

    def start(
        self, kind: type[A], params: Mapping[str, Any], *, control_id: str | None, on_completed: OnCompleted | None
    ) -> A:
        """Start an action. It is registered before the command is sent, since its first event may arrive before the reply."""

    def running(self, kind: type[A]) -> list[A]:
        """Return the running actions of a kind."""

    def denoise_asked(self) -> None:
        """Record that noise reduction is about to be turned on."""


class Verbs:
    """Base class of the mix-ins. :class:`relay_sync.Call` provides the host."""

    _core: VerbHost
