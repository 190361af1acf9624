"""A queue of automatic queries to the server, with a limit on open queries. Used only on the IO thread."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from ..threads.safety_net import Net

__all__ = ["AT_ONCE", "Inquiry"]

T = TypeVar("T")

#: Maximum number of open queries. The limit keeps them from delaying the user's commands.
AT_ONCE: Final = 32


class Inquiry(Generic[T]):
    """A queue of subjects to ask the server about, such as calls.

    :param ask: function that receives a subject and the current time. If it sends a query, it must call :meth:`asked`.
    :param subjects: initial subjects.
    """

    def __init__(self, ask: Callable[[T, float], None], subjects: Iterable[T] = ()) -> None:
        self._ask = ask
        self._turn = deque(subjects)
        #: The subjects with an open query, and the deadline of each.
        self._open: dict[T, float] = {}
        #: The postponed subjects, each with the time at which it is queued again.
        self._later: list[tuple[float, T]] = []

    def add(self, subject: T) -> None:
        """Add a subject to the queue."""
        self._turn.append(subject)

    def put_off(self, subject: T, due: float = -math.inf) -> None:
        """Postpone a subject.

        :param due: time at which to queue it again. Defaults to the next call of :meth:`unanswered`.
        """
        self._later.append((due, subject))

    def asked(self, subject: T, until: float) -> None:
        """Record that a query about this subject was sent.

        :param until: time at which the query times out.
        """
        self._open[subject] = until

    def answered(self, subject: T) -> bool:
        """Record that the query about this subject was answered or failed.

        :return: whether the query was still open.
        """
        return self._open.pop(subject, None) is not None

    def unanswered(self, now: float) -> list[T]:
        """Queue the postponed subjects that are due. Remove and return the subjects whose queries have timed out."""
        self._turn += [subject for due, subject in self._later if now >= due]
        self._later = [(due, subject) for due, subject in self._later if now < due]
        late = [subject for subject, until in self._open.items() if now >= until]
        return [subject for subject in late if self.answered(subject)]

    def go_on(self, now: float) -> None:
        """Send queries for queued subjects until the limit of open queries is reached."""
        net = Net()
        while self._turn and len(self._open) < AT_ONCE:
            with net:
                self._ask(self._turn.popleft(), now)
        net.release()

    def stop(self) -> None:
        """Discard all subjects."""
        for each in (self._turn, self._open, self._later):
            each.clear()
