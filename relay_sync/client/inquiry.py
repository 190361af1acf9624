"""Questions that a client asks the server on its own: a few at a time, and again if unanswered. All on the IO thread."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from ..threads.safety_net import Net

__all__ = ["AT_ONCE", "Inquiry"]

T = TypeVar("T")

#: Questions under way at once: many of them must not crowd out the commands that users wait for.
AT_ONCE: Final = 32


class Inquiry(Generic[T]):
    """What is to be asked, in turn.

    :param ask: asks one, given the time as well, and calls :meth:`asked` if that sent something.
    """

    def __init__(self, ask: Callable[[T, float], None], subjects: Iterable[T] = ()) -> None:
        self._ask = ask
        self._turn = deque(subjects)
        #: What was asked and not answered yet, and until when an answer is waited for.
        self._open: dict[T, float] = {}
        #: What is to be asked about later, and when.
        self._later: list[tuple[float, T]] = []

    def add(self, subject: T) -> None:
        """Ask about this one when it is its turn."""
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
        """Once a second: those whose answers were waited for too long, and are not any more. What was put off gets its turn."""
        self._turn += [subject for due, subject in self._later if now >= due]
        self._later = [(due, subject) for due, subject in self._later if now < due]
        late = [subject for subject, until in self._open.items() if now >= until]
        return [subject for subject in late if self.answered(subject)]

    def go_on(self, now: float) -> None:
        """Ask as much as may be under way at once."""
        net = Net()
        while self._turn and len(self._open) < AT_ONCE:
            with net:
                self._ask(self._turn.popleft(), now)
        net.release()

    def stop(self) -> None:
        """Ask nothing more."""
        for each in (self._turn, self._open, self._later):
            each.clear()
