"""Detects dead connections in both directions: when to send a ping, and when to drop the connection.

Incoming data shows that the server reaches the client, not that the client reaches the server: a middlebox may pass only one
direction. Only replies show that both work. After ``interval`` seconds without any reply the client sends a ping. It drops the
connection

* if no data arrives within ``timeout`` of a ping (the connection is dead), or
* if other data arrives but :data:`MOST_UNANSWERED` consecutive pings, ``interval`` apart, get no reply (it is half-dead). One
  ping is not enough, because its reply may be queued behind other data. Counting pings instead of seconds lets a process that
  was suspended read its backlog first.

A ping queued behind a long command has not been sent yet, so no pings are sent while the outbox holds data. Each write shows
that the server is reading, and all timers start with the last byte written. The client drops the connection if it could
write nothing for ``interval + timeout``.

A long message from the server delays its replies in the same way. While parts of one arrive between two pings, no ping counts as
unanswered.

Some servers never answer pings. An unanswered ping therefore counts only if the server has answered one before, or if
:data:`COMMANDS` commands are unanswered too. A single unanswered command is not evidence.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

__all__ = ["COMMANDS", "MOST_UNANSWERED", "Liveness"]

#: Consecutive unanswered pings after which the connection counts as half-dead.
MOST_UNANSWERED: Final = 3
#: Unanswered commands that make a ping count if the server has never answered one.
COMMANDS: Final = 3
#: Recent pings whose replies are recognized.
REMEMBERED_PINGS: Final = 8


class Liveness:
    """The liveness of a session's current connection. Times are seconds on one monotonic clock.

    :param interval: seconds without any reply before a ping is sent.
    :param timeout: seconds to wait for the reply.
    """

    def __init__(self, interval: float, timeout: float) -> None:
        self._interval = interval
        self._timeout = timeout
        #: Kept across reconnects, which reach the same server.
        self._answers_pings = False
        #: When data that was waiting in the outbox was last written.
        self._moved = -math.inf
        self._behind = False
        self._pings: deque[str] = deque(maxlen=REMEMBERED_PINGS)
        self.begin(0.0)

    def begin(self, now: float) -> None:
        """Start over: a reply arrived. The reply to ``signalwire.connect`` counts as one."""
        self._answered = now
        self._asked = -math.inf
        #: Whether nothing has arrived since the last ping.
        self._silent = False
        self._unanswered = 0
        #: Commands sent since the last reply.
        self.commands = 0

    def shift(self, by: float) -> None:
        """Compensate for a jump of the clock.

        After a jump by more than ``timeout`` the age of a ping is unknown. Another ping is sent, and its reply decides.

        :param by: seconds that the clock advanced beyond the elapsed time; negative if it advanced by less.
        """
        self._asked += by
        self._moved += by
        if by < 0:
            self._answered += by
        elif by > self._timeout:
            self._asked, self._silent = -math.inf, False
            self._unanswered = min(self._unanswered, MOST_UNANSWERED - 1)

    def heard(self, *, within: bool = False) -> None:
        """Record that bytes arrived.

        :param within: whether they are in the middle of a message, which a reply can only follow.
        """
        self._silent = False
        if within:
            self._unanswered = 0

    def outbox(self, now: float, *, empty: bool, moved: bool) -> None:
        """Record that data is, or was, waiting in the outbox.

        :param now: the current time.
        :param empty: whether all of it has been written.
        :param moved: whether some of it was written just now.
        """
        if moved or not self._behind:
            self._moved = now
        self._behind = not empty

    def answered(self, now: float, answer_id: object, *, ping: bool) -> bool:
        """Record a reply to a command or a ping; late replies count too.

        :param now: the current time.
        :param answer_id: the id of the reply.
        :param ping: whether it answers a ping that the user sent.
        :return: whether it answers a ping, of the user or of the client.
        """
        ping = ping or answer_id in self._pings
        self._answers_pings = self._answers_pings or ping
        self.begin(now)
        return ping

    def asked(self, now: float, ping: str) -> None:
        """Record that the client sent a ping.

        :param now: the current time.
        :param ping: its id.
        """
        self._pings.append(ping)
        self._asked = now
        self._silent = True
        if self._answers_pings or self.commands >= COMMANDS:
            self._unanswered += 1

    def next_wake(self) -> float:
        """Return when to check :meth:`verdict` next, and to send a ping if it is empty."""
        if self._behind:
            return self._moved + self._interval + self._timeout
        if self._silent or self._unanswered >= MOST_UNANSWERED:
            return max(self._asked, self._moved) + self._timeout
        return max(self._answered, self._asked, self._moved) + self._interval

    def verdict(self, now: float) -> str:
        """Return why the connection should be dropped, or ``""``."""
        if self._behind:
            return "" if now < self.next_wake() else "the server stopped reading from the connection"
        if now < max(self._asked, self._moved) + self._timeout:
            return ""
        if self._silent:
            return "the server sent nothing and did not answer a ping"
        if self._unanswered >= MOST_UNANSWERED:
            return f"the server sends data but answered none of {self._unanswered} pings in a row: it does not receive ours"
        return ""
