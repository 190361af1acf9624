"""Commands and session phases.

Code that submits commands needs only this module. The rest of the package is imported when the first connection is
opened.
"""

from __future__ import annotations

import enum
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from ..deadline import Deadline

__all__ = ["ANSWER_PATIENCE", "Command", "Phase", "loosely"]

#: Maximum time that a closing client waits for replies to promises that it has sent, in seconds.
ANSWER_PATIENCE: Final = 1.0


class Phase(enum.Enum):
    """The phase of a session.

    ``READY`` means that the client is authenticated. Before that, only ``signalwire.connect`` is sent.
    """

    IDLE = "idle"
    DIALING = "dialing"
    AUTHENTICATING = "authenticating"
    READY = "ready"
    BACKING_OFF = "backing off"
    CLOSED = "closed"
    FAILED = "failed"


class Command:
    """A request to the server.

    :ivar id: frame ID.
    :ivar method: RELAY method.
    :ivar text: serialized frame, which has been validated; ``""`` once it has been sent, unless it may be sent again.
    :ivar deadline: time after which the command is no longer sent.
    :ivar patience: maximum time to wait for the reply, in seconds, counted from the last byte written.
    :ivar moved_at: monotonic time at which the last byte was written or, before that, at which the outbox last made
        progress.
    :ivar idempotent: whether the command may be sent again if the session is lost before the reply.
    :ivar only_in: number of the session in which the command is valid, usually its call's session; ``None`` means any
        session.
    :ivar promised: whether the command is kept until the server has replied, even if no caller waits for it; see
        :mod:`.promises`.
    :ivar abandoned: whether the caller has stopped waiting.
    :ivar sent: whether the command was passed to a transport. If so, the server may have received it.
    :ivar session: number of the session in which the command was last sent, or ``None``.
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
        """Return the time left for the reply, in seconds, or 0 if the command has not been sent.

        The waiting period restarts whenever part of the outbox is written.
        """
        return self.moved_at + self.patience - now if self.sent else 0.0

    @property
    def sent(self) -> bool:
        return self.session is not None


def loosely(function: Callable[..., object], *held: object) -> Callable[[Any, int], object]:
    """Return a callback for :attr:`Command.late` that does not keep its arguments alive while the session waits for the reply.

    :param function: function to call with ``held``, the outcome, and the session number.
    :param held: the function's leading arguments, which are weakly referenced. If one of them no longer exists, the
        reply is ignored.
    """
    return partial(_if_held, function, tuple(map(weakref.ref, held)))


def _if_held(function: Callable[..., object], held: tuple[weakref.ref[Any], ...], outcome: Any, session: int) -> None:
    alive = [each() for each in held]
    if None not in alive:
        function(*alive, outcome, session)
