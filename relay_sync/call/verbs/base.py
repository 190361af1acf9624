"""Base class of the mix-ins that contain call methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol, TypeVar

from ..actions import Action, OnCompleted

__all__ = ["ADDRESS", "VerbHost", "Verbs"]

A = TypeVar("A", bound=Action[Any])

#: Parameters that identify the call and the action. They are not allowed in ``extra``.
ADDRESS: Final = ("node_id", "call_id", "control_id")


class VerbHost(Protocol):
    """``CallCore`` methods used by the mix-ins."""

    def command(
        self, method: str, params: Mapping[str, Any] | None = None, *, idempotent: bool = False
    ) -> dict[str, Any]:
        """Send a command for this call and return the result."""

    def start(
        self, kind: type[A], params: Mapping[str, Any], *, control_id: str | None, on_completed: OnCompleted | None
    ) -> A:
        """Send a command that starts an action, and return the action."""

    def running(self, kind: type[A]) -> list[A]:
        """Return the running actions of the given class."""

    def denoise_asked(self) -> None:
        """Record that noise reduction is being turned on."""


class Verbs:
    """Base class of the mix-ins. :class:`relay_sync.Call` sets ``_core``."""

    _core: VerbHost
