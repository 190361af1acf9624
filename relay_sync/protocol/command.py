"""The parts of a session that its callers use: commands and phases. The first connection imports the rest."""

from __future__ import annotations

import enum
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from ..deadline import Deadline

__all__ = ["ANSWER_PATIENCE", "Command", "Phase", "loosely"]

#: Seconds that a closing client waits for the replies to sent promises before it disconnects.
ANSWER_PATIENCE: Final = 1.0


class Phase(enum.Enum):
    """The phase of a session. ``READY`` means authenticated; before it, only ``signalwire.connect`` is sent."""

    IDLE = "idle"
    DIALING = "dialing"
    AUTHENTICATING = "authenticating"
    READY = "ready"
    BACKING_OFF = "backing off"
    CLOSED = "closed"
    FAILED = "failed"


class Command:
    """A request to the server.

    :ivar text: the frame, already built and validated.
    :ivar deadline: an unsent command is not sent after this.
    :ivar patience: seconds to wait for the reply, counted from the last byte written.
    :ivar moved_at: when the last byte was written; until then, the last progress of the outbox. On the monotonic clock.
    :ivar idempotent: the command may be sent again if the session is lost before the reply.
    :ivar only_in: the number of the only session in which the command is valid, such as that of its call; ``None``: any.
    :ivar promised: no caller waits for the command; it is kept until it is sent and answered. See :mod:`.promises`.
    :ivar sent: whether the command was handed to a transport, so that the server may have received it.
    :ivar session: the number of the session that it was last sent in; ``None`` before.
    :ivar settle: called once, on the IO thread, with the result, a :class:`Failure` or an exception.
    :ivar late: called with the outcome if the caller has stopped waiting.
    """

    __slots__ = (
        "__weakref__",
        "abandoned",
        "deadline",
        "id",
        "idempotent",
        "late",
        "method",
        "moved_at",
        "only_in",
        "patience",
        "promised",
        "session",
        "settle",
        "text",
    )

    def __init__(
        self,
        *,
        id: str,
        method: str,
        text: str,
        deadline: Deadline,
        settle: Callable[[Any], object],
        late: Callable[[Any], object] | None = None,
        idempotent: bool = False,
        only_in: int | None = None,
        promised: bool = False,
        session: int | None = None,
        patience: float = 0.0,
    ) -> None:
        self.id: str = id
        self.method: str = method
        self.text: str = text
        self.deadline: Deadline = deadline
        self.settle: Callable[[Any], object] = settle
        self.late: Callable[[Any], object] | None = late
        self.idempotent: bool = idempotent
        self.only_in: int | None = only_in
        self.promised: bool = promised
        self.session: int | None = session
        self.patience: float = patience
        self.abandoned: bool = False
        self.moved_at: float = 0.0

    def __repr__(self) -> str:
        return f"<Command {self.method} {self.id}>"

    def time_left(self, now: float) -> float:
        """Return the seconds left for the reply; 0 if unsent. The period restarts whenever a part of the outbox is written."""
        return self.moved_at + self.patience - now if self.sent else 0.0

    @property
    def sent(self) -> bool:
        return self.session is not None


def loosely(function: Callable[..., object], *held: object) -> Callable[[Any, int], object]:
    """Wrap a function for :attr:`Command.late` without keeping its objects alive while the session waits for the reply.

    :param function: called with *held*, the outcome and the session's number.
    :param held: the leading arguments, held by weak references. If one no longer exists, the reply is ignored.
    """
    return partial(_if_held, function, tuple(map(weakref.ref, held)))


def _if_held(function: Callable[..., object], held: tuple[weakref.ref[Any], ...], outcome: Any, session: int) -> None:
    alive = [each() for each in held]
    if None not in alive:
        function(*alive, outcome, session)
