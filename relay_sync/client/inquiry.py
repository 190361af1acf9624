"""Questions that a client sends to the server automatically, a few at a time. All on the IO thread."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from ..threads.safety_net import Net

__all__ = ["AT_ONCE", "Inquiry"]

T = TypeVar("T")

#: Maximum number of unanswered questions at a time, so that they do not delay the user's commands.
AT_ONCE: Final = 32


class Inquiry(Generic[T]):
    """A queue of subjects to ask the server about.

    :param ask: asks about a subject, given the time; calls :meth:`asked` if it sent a question.
    """

    def __init__(self, ask: Callable[[T, float], None], subjects: Iterable[T] = ()) -> None:
        self._ask = ask
        self._turn = deque(subjects)
        #: The subjects of unanswered questions, each with the time at which the answer is overdue.
        self._open: dict[T, float] = {}
        #: The postponed subjects, and when to ask about each.
        self._later: list[tuple[float, T]] = []

    def add(self, subject: T) -> None:
        """Queue a subject."""
        self._turn.append(subject)

    def put_off(self, subject: T, due: float = -math.inf) -> None:
        """Ask about this subject later.

        :param due: when. Default: a second later.
        """
        self._later.append((due, subject))

    def asked(self, subject: T, until: float) -> None:
        """Note that a question was sent.

        :param until: when it counts as unanswered.
        """
        self._open[subject] = until

    def answered(self, subject: T) -> bool:
        """Note an outcome.

        :return: whether it was still expected.
        """
        return self._open.pop(subject, None) is not None

    def unanswered(self, now: float) -> list[T]:
        """Remove and return the subjects whose answers are overdue, and queue postponed subjects that are due."""
        self._turn += [subject for due, subject in self._later if now >= due]
        self._later = [(due, subject) for due, subject in self._later if now < due]
        late = [subject for subject, until in self._open.items() if now >= until]
        return [subject for subject in late if self.answered(subject)]

    def go_on(self, now: float) -> None:
        """Ask about queued subjects, up to the limit of unanswered questions."""
        net = Net()
        while self._turn and len(self._open) < AT_ONCE:
            with net:
                self._ask(self._turn.popleft(), now)
        net.release()

    def stop(self) -> None:
        """Discard all subjects."""
        for each in (self._turn, self._open, self._later):
            each.clear()
