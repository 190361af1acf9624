"""What callers see of a session: their commands, and where it stands. The first connection imports the rest."""

from __future__ import annotations

import enum
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from ..deadline import Deadline

__all__ = ["ANSWER_PATIENCE", "Command", "Phase", "loosely"]

#: Seconds in which promises that were sent may be answered before a client that closes takes its leave.
ANSWER_PATIENCE: Final = 1.0


class Phase(enum.Enum):
    """Where a session stands. Ready means authenticated: nothing but ``signalwire.connect`` is sent before."""

    IDLE = "idle"
    DIALING = "dialing"
    AUTHENTICATING = "authenticating"
    READY = "ready"
    BACKING_OFF = "backing off"
    CLOSED = "closed"
    FAILED = "failed"


class Command:
    """A request on its way to the server.

    :ivar text: the frame, written and checked before it came here.
    :ivar deadline: after it, an unsent command is not sent any more.
    :ivar patience: seconds for the answer; they begin when the last byte has left.
    :ivar moved_at: when it did; before that, when anything was written of the outbox it is in. On the monotonic clock.
    :ivar idempotent: may be repeated if the session is lost before the answer.
    :ivar only_in: the number of the one session in which it makes sense, such as that of the call it is for; ``None``: any.
    :ivar promised: nobody waits for it, and it is kept until it was sent and answered; see :mod:`.promises`.
    :ivar sent: whether it was ever handed to a transport, so that the server may have it.
    :ivar session: the number of the session in which it was sent last; ``None`` before.
    :ivar settle: called once with the result, a :class:`Failure` or an exception; on the IO thread.
    :ivar late: called with an outcome that nobody waits for any more.
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
        """Seconds that its answer may still take, if it is under way. While it is being written they begin again and again."""
        return self.moved_at + self.patience - now if self.sent else 0.0

    @property
    def sent(self) -> bool:
        return self.session is not None


def loosely(function: Callable[..., object], *held: object) -> Callable[[Any, int], object]:
    """What a command may do with a reply that comes late, or never: until then the session remembers it.

    :param held: what the function takes before its own two arguments. It is not kept alive by this; where it is gone, the reply
        means nothing any more.
    """
    return partial(_if_held, function, tuple(map(weakref.ref, held)))


def _if_held(function: Callable[..., object], held: tuple[weakref.ref[Any], ...], outcome: Any, session: int) -> None:
    alive = [each() for each in held]
    if None not in alive:
        function(*alive, outcome, session)
