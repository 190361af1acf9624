"""How fast time passes for what is simulated. Pure.

Two kinds of time are told apart. What media, ringing and people set up beforehand take is *theirs*: with
``media="fast"`` a second of it lasts a millisecond, in unchanged order. What a timeout leaves to a person who is moved
by hand (:meth:`Phone.press <relay_sync.simulator.Phone.press>`), or to somebody else than the party (in a queue, in a bridge, an
agent on hold), is *ours*, and only ``speed`` shortens it, and where a test asks for it ``relay_time``: no other test may
depend on how quickly it presses a key. The time of a call (``max_duration``, ``hangs_up_after``, how long a recording is)
passes as quickly as what goes on on it, see :class:`~relay_sync.simulator.core.clock.CallClock`; :mod:`clock
<relay_sync.simulator.core.clock>` keeps the order.
"""

from __future__ import annotations

from attrs import frozen

__all__ = ["Pace"]

FAST = 1000.0
#: How many times sooner timeouts are over. Changed by :func:`relay_sync.testing.faster` only.
hurry: float = 1.0


@frozen
class Pace:
    """From the seconds of the story to those of the clock.

    :ivar fast: whether media take no time to speak of. :ivar speed: how many times faster than real all of it goes.
    """

    fast: bool = False
    speed: float = 1.0

    def media(self, seconds: float) -> float:
        """How long something takes that needs nobody from outside."""
        return seconds / (max(FAST, self.speed) if self.fast else self.speed)

    def patience(self, seconds: float) -> float:
        """How long to wait for somebody who is moved by hand."""
        return seconds / self.speed

    def timeout(self, seconds: float) -> float:
        """As :meth:`patience`, where a timeout that our side has asked for is what waits."""
        return self.patience(seconds) / hurry
