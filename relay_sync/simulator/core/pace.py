"""How fast simulated time passes. Pure.

There are two kinds of time. Media, ringing and people with a setup run on *simulated* time: with ``media="fast"``, a second of
it takes a millisecond, in unchanged order. Timeouts that wait for a party controlled by the test (:meth:`Phone.press
<relay_sync.simulator.Phone.press>`) or for another party (a queue, a bridge, an agent on hold) run on *test* time, which only
``speed`` and, on request, ``relay_time`` shorten: no test may depend on how quickly it presses a digit. The time of a call
(``max_duration``, ``hangs_up_after``, the length of a recording) runs as fast as the operations on it, see
:class:`~relay_sync.simulator.core.clock.CallClock`; :mod:`clock <relay_sync.simulator.core.clock>` keeps the order.
"""

from __future__ import annotations

from attrs import frozen

__all__ = ["Pace"]

FAST = 1000.0
#: Factor by which timeouts are shortened. Changed by :func:`relay_sync.testing.faster` only.
hurry: float = 1.0


@frozen
class Pace:
    """Converts simulated seconds to seconds of the clock.

    :ivar fast: whether media take almost no time.
    :ivar speed: factor by which everything runs faster than real time.
    """

    fast: bool = False
    speed: float = 1.0

    def media(self, seconds: float) -> float:
        """Return how long something takes that needs no external input."""
        return seconds / (max(FAST, self.speed) if self.fast else self.speed)

    def patience(self, seconds: float) -> float:
        """Return how long to wait for a party that the test controls."""
        return seconds / self.speed

    def timeout(self, seconds: float) -> float:
        """Return the same as :meth:`patience` for a timeout that the application has requested."""
        return self.patience(seconds) / hurry
