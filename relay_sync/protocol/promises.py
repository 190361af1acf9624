"""What this client has promised, and nobody waits for: to hang up, to cancel, to stop, to pass back, to take no more calls.

A promise is kept until it was sent and answered, or until its own time is over: it outlives a connection, and it is sent before
the client takes its leave. It belongs to one session of the server's, and ends with that.
"""

from __future__ import annotations

import math
from collections.abc import Container
from typing import Final

from .command import ANSWER_PATIENCE, Command

__all__ = ["MOST_PROMISES", "Promises"]

#: Promises that may be open. Twice the calls that a busy process has: each of them can be hung up when the network is down.
MOST_PROMISES: Final = 2000


class Promises:
    """The open promises of one session, in the order in which they were made. Times are seconds on one monotonic clock."""

    def __init__(self, most: int = MOST_PROMISES) -> None:
        self._most = most
        self._open: dict[str, Command] = {}
        self._sent_at = -math.inf
        #: Since when legs are waited for that are to be hung up as they turn up; ``None`` while they are not.
        self.expecting_since: float | None = None

    def __bool__(self) -> bool:
        return bool(self._open) or self.expecting_since is not None

    def expect(self, now: float) -> None:
        """Legs may turn up."""
        self.expecting_since = now

    def expect_nothing(self) -> None:
        """None will, or it does not matter any more."""
        self.expecting_since = None

    def __contains__(self, command: Command) -> bool:
        return command.id in self._open

    def make(self, now: float, command: Command) -> bool:
        """Take one on.

        :return: ``False`` if too many are open.
        """
        if len(self._open) >= self._most:
            for old in [each for each in self._open.values() if each.deadline.passed(now)]:
                self.end(old)
        if len(self._open) >= self._most:
            return False
        self._open[command.id] = command
        return True

    def sent(self, now: float, command: Command) -> None:
        """A command was sent; if it is one of these, its answer may take its time."""
        if command.id in self._open:
            self._sent_at = now

    def moved(self, now: float) -> None:
        """They may be among what is still being written, and that goes on."""
        self._sent_at = max(self._sent_at, now) if self._open else self._sent_at

    def shift(self, by: float) -> None:
        """As of :class:`~.liveness.Liveness`."""
        self._sent_at += by
        if self.expecting_since is not None:
            self.expecting_since += by

    def open_until(self, under_way: Container[object], ready_since: float | None) -> float:
        """How long a client that closes waits for these at the most.

        :param under_way: as for :meth:`unsent`.
        :param ready_since: when the present connection was; ``None`` if there is none.
        """
        if not self:
            return -math.inf
        if ready_since is None or self.unsent(under_way):
            return math.inf
        begun = self._sent_at if self._open else -math.inf
        if self.expecting_since is not None:
            begun = max(begun, self.expecting_since, ready_since)
        return begun + ANSWER_PATIENCE

    def end(self, command: Command) -> None:
        """One was answered, or will not be any more."""
        self._open.pop(command.id, None)

    def unsent(self, under_way: Container[object]) -> list[Command]:
        """Those that are to be sent, or sent again.

        :param under_way: the ids of those whose answers may still come.
        """
        return [command for command in self._open.values() if command.id not in under_way]

    def all(self) -> list[Command]:
        return list(self._open.values())
