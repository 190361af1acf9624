"""Promises: commands that must reach the server although no caller waits for them, such as a hangup or a stop.

A promise is kept until the server has replied to it, or until its deadline. It survives a reconnect, and a closing
client sends it before disconnecting. A promise belongs to one server-side session and is dropped with that session.
"""

from __future__ import annotations

import math
from collections.abc import Container
from typing import Final

from .command import ANSWER_PATIENCE, Command

__all__ = ["MOST_PROMISES", "Promises"]

#: Maximum number of open promises. This is twice the number of calls of a busy process, so that all of them can be hung
#: up while the network is down.
MOST_PROMISES: Final = 2000


class Promises:
    """The open promises of one session, in order of creation. All times are seconds on one monotonic clock."""

    def __init__(self, most: int = MOST_PROMISES) -> None:
        self._most = most
        self._open: dict[str, Command] = {}
        self._sent_at = -math.inf
        #: Time since which the client has expected legs that it must hang up as they appear, or ``None``.
        self.expecting_since: float | None = None

    def __bool__(self) -> bool:
        return bool(self._open) or self.expecting_since is not None

    def expect(self, now: float) -> None:
        """Expect legs that must be hung up as they appear."""
        self.expecting_since = now

    def expect_nothing(self) -> None:
        """Stop expecting legs."""
        self.expecting_since = None

    def __contains__(self, command: Command) -> bool:
        return command.id in self._open

    def make(self, now: float, command: Command) -> bool:
        """Add a promise.

        :param now: current time.
        :param command: command to keep.
        :return: ``False`` if too many promises are open.
        """
        if len(self._open) >= self._most:
            for old in [each for each in self._open.values() if each.deadline.passed(now)]:
                self.end(old)
        if len(self._open) >= self._most:
            return False
        self._open[command.id] = command
        return True

    def sent(self, now: float, command: Command) -> None:
        """Record that a command was sent. If the command is a promise, the wait for its reply starts now."""
        if command.id in self._open:
            self._sent_at = now

    def moved(self, now: float) -> None:
        """Record outbox progress. The outbox may still hold promises."""
        self._sent_at = max(self._sent_at, now) if self._open else self._sent_at

    def shift(self, by: float) -> None:
        """Adjust the timers after a clock jump; see :meth:`.Liveness.shift`."""
        self._sent_at += by
        if self.expecting_since is not None:
            self.expecting_since += by

    def open_until(self, under_way: Container[object], ready_since: float | None) -> float:
        """Return the time until which a closing client waits for its promises.

        :param under_way: IDs of commands that await a reply on this connection.
        :param ready_since: time at which the current connection became ready, or ``None`` if there is none.
        """
        if not self:
            return -math.inf
        if ready_since is None or self.unsent(under_way):
            return math.inf
        start = self._sent_at if self._open else -math.inf
        if self.expecting_since is not None:
            start = max(start, self.expecting_since, ready_since)
        return start + ANSWER_PATIENCE

    def end(self, command: Command) -> None:
        """Remove a promise whose reply has arrived or can no longer arrive."""
        self._open.pop(command.id, None)

    def unsent(self, under_way: Container[object]) -> list[Command]:
        """Return the promises to send, including those to send again.

        :param under_way: IDs of commands that await a reply on this connection.
        """
        return [command for command in self._open.values() if command.id not in under_way]

    def all(self) -> list[Command]:
        return list(self._open.values())
