"""Whether a connection still lives, in both directions: when to ask for a sign of life, and when to give it up.

What arrives shows that we hear the server, not that it hears us: a middlebox may let only one direction pass. That is shown by
answers alone. So whoever has had no answer to anything for a while asks, and the connection is given up

* when nothing at all comes within ``timeout`` of a question (it is dead), or
* when other things come, but :data:`MOST_UNANSWERED` questions in a row, ``interval`` apart, got no answer (it is half dead). Not
  after the first one: the answer may lie behind much that the server said before it. As each is a question of its own, and not
  a stretch of time, a process that was stopped for a while reads first what has come.

A question that stands behind a long command in our own outbox has not been asked yet. So while something waits there to be
written, nothing is asked. What is written shows that the server takes it, and every clock begins with the last byte; the
connection is given up when nothing of it could be written for ``interval + timeout``.

A long message of the server's keeps its answers back as well. While one goes on, and something of it comes between two questions,
no question counts as unanswered.

A server that answers no pings is not taken for a deaf one: such questions count only where one was answered before, or where
:data:`COMMANDS` commands have no answer either. One command without an answer proves nothing.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

__all__ = ["COMMANDS", "MOST_UNANSWERED", "Liveness"]

#: Questions without an answer, in a row, after which the server does not hear us.
MOST_UNANSWERED: Final = 3
#: Commands without an answer that make a question count where the server is not known to answer such.
COMMANDS: Final = 3
#: Pings of ours whose answers are known to be such.
REMEMBERED_PINGS: Final = 8


class Liveness:
    """Of one session after the other. Times are seconds on one monotonic clock.

    :param interval: seconds without an answer after which a ping is sent.
    :param timeout: seconds for the answer.
    """

    def __init__(self, interval: float, timeout: float) -> None:
        self._interval = interval
        self._timeout = timeout
        #: Kept over reconnections: it is the same server.
        self._answers_pings = False
        #: When something that had to wait in the outbox was written.
        self._moved = -math.inf
        self._behind = False
        self._pings: deque[str] = deque(maxlen=REMEMBERED_PINGS)
        self.begin(0.0)

    def begin(self, now: float) -> None:
        """A session is ready: the answer to ``signalwire.connect`` was one."""
        self._answered = now
        self._asked = -math.inf
        #: Nothing has come since we asked.
        self._silent = False
        self._unanswered = 0
        #: Commands that were sent.
        self.commands = 0

    def shift(self, by: float) -> None:
        """The clock went on by so much more than time has passed; by less, where that is negative.

        After a leap over the time for an answer nobody knows how old a question is: it is asked again, and that answer decides.
        """
        self._asked += by
        self._moved += by
        if by < 0:
            self._answered += by
        elif by > self._timeout:
            self._asked, self._silent = -math.inf, False
            self._unanswered = min(self._unanswered, MOST_UNANSWERED - 1)

    def heard(self, *, within: bool = False) -> None:
        """Bytes arrived, whatever they mean.

        :param within: inside a message: a reply can only follow it.
        """
        self._silent = False
        if within:
            self._unanswered = 0

    def outbox(self, now: float, *, empty: bool, moved: bool) -> None:
        """Something had to wait in the outbox.

        :param empty: whether nothing does any more.
        :param moved: some was written.
        """
        if moved or not self._behind:
            self._moved = now
        self._behind = not empty

    def answered(self, now: float, answer_id: object, *, ping: bool) -> bool:
        """An answer arrived, of a command or of a ping; late ones count, too.

        :param ping: whether the user has asked for a ping.
        :return: whether it is an answer to a ping of the user or of the client.
        """
        ping = ping or answer_id in self._pings
        self._answers_pings = self._answers_pings or ping
        self.begin(now)
        return ping

    def asked(self, now: float, ping: str) -> None:
        """A ping of ours was sent, as :meth:`next_wake` wanted.

        :param ping: its id.
        """
        self._pings.append(ping)
        self._asked = now
        self._silent = True
        if self._answers_pings or self.commands >= COMMANDS:
            self._unanswered += 1

    def next_wake(self) -> float:
        """When to look at :meth:`verdict`, and to ask if there is none."""
        if self._behind:
            return self._moved + self._interval + self._timeout
        if self._silent or self._unanswered >= MOST_UNANSWERED:
            return max(self._asked, self._moved) + self._timeout
        return max(self._answered, self._asked, self._moved) + self._interval

    def verdict(self, now: float) -> str:
        """Why the connection is to be given up, or ``""``."""
        if self._behind:
            return "" if now < self.next_wake() else "the server takes nothing more of what is sent to it"
        if now < max(self._asked, self._moved) + self._timeout:
            return ""
        if self._silent:
            return "the server fell silent and did not answer a ping"
        if self._unanswered >= MOST_UNANSWERED:
            return (
                f"the server goes on talking but left {self._unanswered} pings in a row unanswered: it does not hear us"
            )
        return ""
