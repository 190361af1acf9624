"""What the session wants done, and the commands it is given. The runtime performs effects and decides nothing."""

from __future__ import annotations

from typing import Any

from attrs import define, field, frozen

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


@frozen
class Dial:
    """Open a transport to the server."""


@frozen
class Hangup:
    """Close the transport: after what is still to be written, or at once."""

    at_once: bool = False


@define(eq=True)
class Send:
    """Write one frame. ``command``: the one that it is, to be told when it has left."""

    text: str = field(repr=False)
    command: Command | None = field(default=None, repr=False, eq=False)


@define(eq=False)
class Settle:
    """A command has its outcome."""

    command: Command
    outcome: Any


@define(eq=False)
class Late:
    """A command that nobody waits for any more has its outcome."""

    command: Command
    outcome: Any


@define(eq=True)
class Deliver:
    """An event's envelope, for the calls."""

    payload: dict[str, Any]


@define(eq=False)
class PhaseChanged:
    """The session moved. ``error`` says why, where it moved for a reason."""

    phase: Phase
    error: RelayError | None = None


@define(eq=False)
class SessionOver:
    """The server-side session is gone for good, and its calls with it. ``session``: its number."""

    error: RelayError
    session: int


@define(eq=True)
class Trouble:
    """Something that deserves a line in the log. ``kind`` is one of a few fixed texts, to limit their rate by."""

    kind: str
    detail: str = ""


Effect = Dial | Hangup | Send | Settle | Late | Deliver | PhaseChanged | SessionOver | Trouble
