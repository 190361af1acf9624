"""Decide when to send a ping and when to drop a dead connection.

Incoming data shows that the server can reach the client, but not that the client can reach the server. A middlebox may
pass data in only one direction. Only replies show that both directions work. The client therefore sends a ping after
``interval`` seconds without a reply. It drops the connection in two cases:

* No data arrives within ``timeout`` of a ping. The connection is dead.
* Other data arrives, but :data:`MOST_UNANSWERED` consecutive pings, sent ``interval`` apart, get no reply. The
  connection is half-dead. A single ping is not enough, because its reply may be queued behind other data. Counting
  pings instead of seconds lets a process that was suspended read its backlog first.

A ping that is queued behind a long command has not been sent yet, so the client sends no pings while the outbox holds
data. Each write shows that the server is reading, and all timers start with the last byte written. If nothing could be
written for ``interval + timeout`` seconds, the client drops the connection.

A long message from the server delays replies in the same way. If parts of a message arrive between two pings, no ping
counts as unanswered.

Some servers never answer pings. An unanswered ping therefore counts only if the server has answered a ping before, or
if :data:`COMMANDS` commands are also unanswered. A single unanswered command is not sufficient.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

__all__ = ["COMMANDS", "MOST_UNANSWERED", "Liveness"]

#: Number of consecutive unanswered pings after which the connection is considered half-dead.
MOST_UNANSWERED: Final = 3
#: Number of unanswered commands that make a ping count if the server has never answered a ping.
COMMANDS: Final = 3
#: Number of recent pings whose replies are recognized.
REMEMBERED_PINGS: Final = 8


class Liveness:
    """Tracks whether a session's current connection is alive. All times are seconds on one monotonic clock.

    :param interval: time without a reply after which the client sends a ping, in seconds.
    :param timeout: time to wait for the reply to a ping, in seconds.
    """

    def __init__(self, interval: float, timeout: float) -> None:
        self._interval = interval
        self._timeout = timeout
        #: Kept across reconnects, because they reach the same server.
        self._answers_pings = False
        #: Time at which data from the outbox was last written.
        self._moved = -math.inf
        self._behind = False
        self._pings: deque[str] = deque(maxlen=REMEMBERED_PINGS)
        self.begin(0.0)

    def begin(self, now: float) -> None:
        """Restart the timers after a reply, including the reply to ``signalwire.connect``."""
        self._answered = now
        self._asked = -math.inf
        #: Whether no data has arrived since the last ping.
        self._silent = False
        self._unanswered = 0
        #: Number of commands sent since the last reply.
        self.commands = 0

    def shift(self, by: float) -> None:
        """Adjust the timers after a clock jump.

        After a jump of more than ``timeout``, a ping's age is unknown. The client then sends another ping and waits for
        its reply.

        :param by: seconds that the clock advanced beyond the elapsed time; negative if it advanced less.
        """
        self._asked += by
        self._moved += by
        if by < 0:
            self._answered += by
        elif by > self._timeout:
            self._asked, self._silent = -math.inf, False
            self._unanswered = min(self._unanswered, MOST_UNANSWERED - 1)

    def heard(self, *, within: bool = False) -> None:
        """Record that data arrived.

        :param within: whether the data is part of a longer message, which delays any reply.
        """
        self._silent = False
        if within:
            self._unanswered = 0

    def outbox(self, now: float, *, empty: bool, moved: bool) -> None:
        """Record the outbox's state while it holds data and when it empties.

        :param now: current time.
        :param empty: whether all of the data has been written.
        :param moved: whether some of the data has just been written.
        """
        if moved or not self._behind:
            self._moved = now
        self._behind = not empty

    def answered(self, now: float, answer_id: object, *, ping: bool) -> bool:
        """Record a reply to a command or a ping, including late replies.

        :param now: current time.
        :param answer_id: the reply's ID.
        :param ping: whether this is the reply to a ping sent by the user.
        :return: whether this is the reply to a ping sent by the user or the client.
        """
        ping = ping or answer_id in self._pings
        self._answers_pings = self._answers_pings or ping
        self.begin(now)
        return ping

    def asked(self, now: float, ping: str) -> None:
        """Record that the client sent a ping.

        :param now: current time.
        :param ping: the ping's ID.
        """
        self._pings.append(ping)
        self._asked = now
        self._silent = True
        if self._answers_pings or self.commands >= COMMANDS:
            self._unanswered += 1

    def next_wake(self) -> float:
        """Return the time of the next liveness check. At that time, the client sends a ping if :meth:`verdict` is empty."""
        if self._behind:
            return self._moved + self._interval + self._timeout
        if self._silent or self._unanswered >= MOST_UNANSWERED:
            return max(self._asked, self._moved) + self._timeout
        return max(self._answered, self._asked, self._moved) + self._interval

    def verdict(self, now: float) -> str:
        """Return the reason to drop the connection, or ``""`` to keep it."""
        if self._behind:
            return "" if now < self.next_wake() else "the server stopped reading from the connection"
        if now < max(self._asked, self._moved) + self._timeout:
            return ""
        if self._silent:
            return "the server sent nothing and did not answer a ping"
        if self._unanswered >= MOST_UNANSWERED:
            return f"the server sends data but answered none of {self._unanswered} pings in a row: it does not receive ours"
        return ""
