"""Actions that the session requests from the IO thread.

Effects are not attrs classes, because each attrs class adds 0.2 ms to the import time. Effects that are needed for
every frame use ``__slots__``, which makes them faster to create.
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
    """Close the transport.

    :ivar at_once: whether to close immediately, without flushing the outbox.
    """

    at_once: bool = False


class Send:
    """Write one frame.

    :ivar text: serialized frame.
    :ivar command: command in the frame, if any. Its ``moved_at`` is updated as the frame is written.
    """

    __slots__ = ("command", "text")

    def __init__(self, text: str, command: Command | None = None) -> None:
        self.text: str = text
        self.command: Command | None = command


class Settle:
    """Complete a command with its outcome."""

    __slots__ = ("command", "outcome")

    def __init__(self, command: Command, outcome: Any) -> None:
        self.command: Command = command
        self.outcome: Any = outcome


class Late(NamedTuple):
    """Report the outcome of a command whose caller has stopped waiting."""

    command: Command
    outcome: Any


class Deliver:
    """Deliver an event to the calls.

    :ivar payload: params of the event frame.
    """

    __slots__ = ("payload",)

    def __init__(self, payload: dict[str, Any]) -> None:
        self.payload: dict[str, Any] = payload


class PhaseChanged(NamedTuple):
    """Report that the session has entered another phase.

    :ivar phase: new phase.
    :ivar error: error that caused the change, if any.
    """

    phase: Phase
    error: RelayError | None = None


class SessionOver(NamedTuple):
    """Report that the server-side session and its calls are permanently lost.

    :ivar error: error that ended the session.
    :ivar session: session number.
    """

    error: RelayError
    session: int


class Trouble(NamedTuple):
    """Log a warning.

    :ivar kind: short string from a fixed set, used as the rate-limiting key.
    :ivar detail: additional text for the log.
    """

    kind: str
    detail: str = ""


Effect = Dial | Hangup | Send | Settle | Late | Deliver | PhaseChanged | SessionOver | Trouble
