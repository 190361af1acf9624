"""What callers see of a session: their commands, and where it stands. The first connection imports the rest."""

from __future__ import annotations

import enum
import weakref
from collections.abc import Callable
from typing import Any

from attrs import define, field

from .deadline import Deadline

__all__ = ["Command", "Phase", "loosely"]


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

    id: str
    method: str
    text: str = field(repr=False)
    deadline: Deadline
    settle: Callable[[Any], object] = field(repr=False)
    late: Callable[[Any], object] | None = field(default=None, repr=False)
    idempotent: bool = False
    only_in: int | None = None
    promised: bool = False
    abandoned: bool = False
    session: int | None = None
    patience: float = 0.0
    moved_at: float = 0.0

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
    found = [weakref.ref(each) for each in held]

    def on_reply(outcome: Any, session: int) -> None:
        alive = [each() for each in found]
        if None not in alive:
            function(*alive, outcome, session)

    return on_reply
