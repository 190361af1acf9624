"""What a verb needs of the call it is mixed into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from ..actions import Action, OnCompleted
from ..protocol.results import Outcome

__all__ = ["ADDRESS", "Verbs"]

A = TypeVar("A", bound=Action[Any])

#: What a command is addressed by; nothing of it can be given as ``extra``.
ADDRESS: Final = ("node_id", "call_id", "control_id")


class Verbs:
    """The two ways of a command: a plain one, and one that starts an action. :class:`relay_sync.Call` provides them."""

    def _command(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        idempotent: bool = False,
        means: Callable[[Outcome], object] | None = None,
    ) -> dict[str, Any]:
        """Send a command for this call and return the server's result.

        :param means: applies what the reply means, on the IO thread, before any event behind the reply is looked at.
        """
        raise NotImplementedError

    def _let_go(self) -> None:
        """The call is no business of this client any more."""
        raise NotImplementedError

    def _went_elsewhere(self) -> None:
        """Others control the call."""
        raise NotImplementedError

    def _give_away(self, method: str, params: Mapping[str, Any] | None, given: Callable[[], object]) -> dict[str, Any]:
        """Send a command after which others control the call.

        :param given: one of the two above: applied when the server says that it was carried out.
        """
        raise NotImplementedError

    def _start(
        self, kind: type[A], params: Mapping[str, Any], *, control_id: str | None, on_completed: OnCompleted | None
    ) -> A:
        """Start an action: it is registered before the command is sent, for its first event may overtake the reply."""
        raise NotImplementedError

    def _running(self, kind: type[A]) -> list[A]:
        """The actions of a kind that have not ended."""
        raise NotImplementedError
