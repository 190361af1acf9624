"""What our side sent about a call, as a value that assertions read well with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..core.journal import masked

__all__ = ["Sent"]

MOST_SHOWN = 20


class Sent:
    """Whether a command was sent, which is also what it equals. Shown, it tells what was sent instead, secrets hidden.

    :param commands: what was sent until it is shown. :param why: what else there is to say then.
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
        more = [f"and {len(sent) - MOST_SHOWN} before"] if len(sent) > MOST_SHOWN else []
        told = "; ".join([*more, *sent[-MOST_SHOWN:]]) or "nothing"
        return f"<not sent: {self._wanted}; sent: {told}{self._why()}>"


def _shown(method: str, params: Mapping[str, Any]) -> str:
    """A command in one line, without its address."""
    members = (
        f"{name}={value!r}" for name, value in params.items() if name not in ("node_id", "call_id", "control_id")
    )
    return " ".join([method, *members])
