"""Effects: the actions that the session requests. The IO thread performs them and makes no decisions.

They are not attrs classes, because each of those adds 0.2 ms to the import. Effects that every frame needs use ``__slots__``,
the fastest to set.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..errors import RelayError
from .command import Command, Phase

__all__ = [
    "Command",
    "Deliver",
    "Dial",
    "Effect",
    "Hangup",
    "Late",
    "Phase",
    "PhaseChanged",
    "Send",
    "SessionOver",
    "Settle",
    "Trouble",
]


class Dial:
    """Open a transport to the server."""

    __slots__ = ()


class Hangup(NamedTuple):
    """Close the transport, by default after flushing its outbox."""

    at_once: bool = False


class Send:
    """Write one frame. ``command`` is the command that it carries, if any; its ``moved_at`` follows the writing."""

    __slots__ = ("command", "text")

    def __init__(self, text: str, command: Command | None = None) -> None:
        self.text: str = text
        self.command: Command | None = command


class Settle:
    """Give a command its outcome."""

    __slots__ = ("command", "outcome")

    def __init__(self, command: Command, outcome: Any) -> None:
        self.command: Command = command
        self.outcome: Any = outcome


class Late(NamedTuple):
    """Report the outcome of a command whose caller has stopped waiting."""

    command: Command
    outcome: Any


class Deliver:
    """Deliver an event's envelope to the calls."""

    __slots__ = ("payload",)

    def __init__(self, payload: dict[str, Any]) -> None:
        self.payload: dict[str, Any] = payload


class PhaseChanged(NamedTuple):
    """The session entered another phase. ``error`` is the reason, if there is one."""

    phase: Phase
    error: RelayError | None = None


class SessionOver(NamedTuple):
    """The server-side session and its calls are permanently lost. ``session`` is its number."""

    error: RelayError
    session: int


class Trouble(NamedTuple):
    """Log a warning. ``kind`` is one of a few fixed texts, the key of the rate limit."""

    kind: str
    detail: str = ""


Effect = Dial | Hangup | Send | Settle | Late | Deliver | PhaseChanged | SessionOver | Trouble
