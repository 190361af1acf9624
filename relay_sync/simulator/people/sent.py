"""The result of checking whether the application sent a command, for use in assertions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..core.journal import masked

__all__ = ["Sent"]

MOST_SHOWN = 20


class Sent:
    """The result of :meth:`Phone.sent`. It is true and equal to ``True`` if the command was sent.

    To explain failed assertions, the repr lists the commands that were sent, with secrets masked.

    :param found: whether the command was sent.
    :param method: method of the command.
    :param params: parameters that the command must have.
    :param commands: function that returns the commands sent so far; the repr calls it.
    :param why: function that returns an explanation to append to the repr.
    """

    def __init__(
        self,
        found: bool,
        method: str,
        params: Mapping[str, Any],
        *,
        commands: Callable[[], Iterable[tuple[str, Mapping[str, Any]]]],
        why: Callable[[], str],
    ) -> None:
        self._found = found
        self._wanted = _shown(method, masked(params))
        self._commands = commands
        self._why = why

    def __bool__(self) -> bool:
        return self._found

    def __eq__(self, other: object) -> bool:
        return self._found == (other._found if isinstance(other, Sent) else other)

    def __hash__(self) -> int:
        return hash(self._found)

    def __repr__(self) -> str:
        if self._found:
            return f"<sent {self._wanted}>"
        sent = [_shown(method, masked(params)) for method, params in self._commands()]
        more = [f"{len(sent) - MOST_SHOWN} earlier"] if len(sent) > MOST_SHOWN else []
        shown = "; ".join([*more, *sent[-MOST_SHOWN:]]) or "nothing"
        return f"<not sent: {self._wanted}; sent: {shown}{self._why()}>"


def _shown(method: str, params: Mapping[str, Any]) -> str:
    """Format a command as one line, without its node, call and control IDs."""
    members = (
        f"{name}={value!r}" for name, value in params.items() if name not in ("node_id", "call_id", "control_id")
    )
    return " ".join([method, *members])
