"""What our side sent about a call, as a value that assertions read well with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..core.journal import masked

if TYPE_CHECKING:
    from .phone import Phone

__all__ = ["Sent"]

MOST_SHOWN = 20


class Sent:
    """Whether a command was sent, which is also what it equals. Shown, it tells what was sent instead, secrets hidden."""

    def __init__(self, found: bool, phone: Phone, method: str, params: Mapping[str, Any]) -> None:
        self._found = found
        self._phone = phone
        self._wanted = _shown(method, masked(params))

    def __bool__(self) -> bool:
        return self._found

    def __eq__(self, other: object) -> bool:
        return self._found == (other._found if isinstance(other, Sent) else other)

    def __hash__(self) -> int:
        return hash(self._found)

    def __repr__(self) -> str:
        if self._found:
            return f"<sent {self._wanted}>"
        sent = [_shown(method, masked(params)) for method, params in self._phone.commands]
        more = [f"and {len(sent) - MOST_SHOWN} before"] if len(sent) > MOST_SHOWN else []
        told = "; ".join([*more, *sent[-MOST_SHOWN:]]) or "nothing"
        return f"<not sent: {self._wanted}; sent: {told}{self._phone._why}>"


def _shown(method: str, params: Mapping[str, Any]) -> str:
    """A command in one line, without its address."""
    members = (
        f"{name}={value!r}" for name, value in params.items() if name not in ("node_id", "call_id", "control_id")
    )
    return " ".join([method, *members])
