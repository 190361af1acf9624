"""What the session wants done, and the commands it is given. The runtime performs effects and decides nothing."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen

from ..errors import RelayError
from .deadline import Deadline
from .frames import Failure

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


class Phase(enum.Enum):
    """Where a session stands. Ready means authenticated: nothing but ``signalwire.connect`` is sent before."""

    IDLE = "idle"
    DIALING = "dialing"
    AUTHENTICATING = "authenticating"
    READY = "ready"
    BACKING_OFF = "backing off"
    CLOSED = "closed"
    FAILED = "failed"


@define(eq=False, kw_only=True)
class Command:
    """A request on its way to the server.

    :ivar text: the frame, written and checked before it came here.
    :ivar deadline: after it, an unsent command is not sent any more.
    :ivar idempotent: may be repeated if the session is lost before the answer.
    :ivar call_id: the call it is for, or ``""``; with the server's session it goes too.
    :ivar sent: whether it was ever handed to a transport, so that the server may have it.
    :ivar settle: called once with the result, a :class:`Failure` or an exception; on the IO thread.
    :ivar late: called with a result that nobody waits for any more.
    """

    id: str
    method: str
    text: str = field(repr=False)
    deadline: Deadline
    settle: Callable[[Any], object] = field(repr=False)
    late: Callable[[Any], object] | None = field(default=None, repr=False)
    idempotent: bool = False
    call_id: str = ""
    abandoned: bool = False
    sent: bool = False


@frozen
class Dial:
    """Open a transport to the server."""


@frozen
class Hangup:
    """Close the transport: after what is still to be written, or at once."""

    at_once: bool = False


@define(eq=True)
class Send:
    """Write one frame."""

    text: str = field(repr=False)


@define(eq=False)
class Settle:
    """A command has its outcome."""

    command: Command
    outcome: Any


@define(eq=False)
class Late:
    """The answer to a command that nobody waits for any more."""

    command: Command
    outcome: dict[str, Any] | Failure | Any


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
    """The server-side session is gone for good, and its calls with it."""

    error: RelayError


@define(eq=True)
class Trouble:
    """Something that deserves a line in the log. ``kind`` is one of a few fixed texts, to limit their rate by."""

    kind: str
    detail: str = ""


Effect = Dial | Hangup | Send | Settle | Late | Deliver | PhaseChanged | SessionOver | Trouble
