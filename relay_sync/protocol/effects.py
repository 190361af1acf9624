"""What the session wants done, and the commands it is given. The IO thread performs effects and decides nothing.

They are no attrs classes, each of which takes 0.2 ms to make, in every program. Those that every frame needs have slots, which
are set fastest.
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
    """Close the transport: after what is still to be written, or at once."""

    at_once: bool = False


class Send:
    """Write one frame. ``command``: the one that it is, to be told when it has left."""

    __slots__ = ("command", "text")

    def __init__(self, text: str, command: Command | None = None) -> None:
        self.text: str = text
        self.command: Command | None = command


class Settle:
    """A command has its outcome."""

    __slots__ = ("command", "outcome")

    def __init__(self, command: Command, outcome: Any) -> None:
        self.command: Command = command
        self.outcome: Any = outcome


class Late(NamedTuple):
    """A command that nobody waits for any more has its outcome."""

    command: Command
    outcome: Any


class Deliver:
    """An event's envelope, for the calls."""

    __slots__ = ("payload",)

    def __init__(self, payload: dict[str, Any]) -> None:
        self.payload: dict[str, Any] = payload


class PhaseChanged(NamedTuple):
    """The session moved. ``error`` says why, where it moved for a reason."""

    phase: Phase
    error: RelayError | None = None


class SessionOver(NamedTuple):
    """The server-side session is gone for good, and its calls with it. ``session``: its number."""

    error: RelayError
    session: int


class Trouble(NamedTuple):
    """Something that deserves a line in the log. ``kind`` is one of a few fixed texts, to limit their rate by."""

    kind: str
    detail: str = ""


Effect = Dial | Hangup | Send | Settle | Late | Deliver | PhaseChanged | SessionOver | Trouble
