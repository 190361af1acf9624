"""Conversion of simulated time to real time.

Simulated time applies to media, ringing and phones' scripted behavior. With ``media="fast"``, a simulated second takes one
millisecond. The order of events does not change.

Test time applies to timeouts that wait for a phone controlled by the test
(:meth:`Phone.press <relay_sync.simulator.Phone.press>`) or for another party, such as an agent in a queue. These timeouts are
shortened only by ``speed`` and, on request, by ``relay_time``. Otherwise, a test's result could depend on how quickly the test
presses a digit.

A call's clock, ``CallClock``, switches between the two. It measures ``max_duration``, ``hangs_up_after`` and the length of
recordings.
"""

from __future__ import annotations

from attrs import frozen

__all__ = ["Pace"]

FAST = 1000.0
#: Factor by which timeouts are shortened. Set only by :func:`relay_sync.testing.faster`.
hurry: float = 1.0


@frozen
class Pace:
    """Converts simulated seconds to real seconds.

    :ivar fast: whether media take almost no time.
    :ivar speed: factor by which simulated time runs faster than real time.
    """

    fast: bool = False
    speed: float = 1.0

    def media(self, seconds: float) -> float:
        """Return the real duration of an activity that does not wait for external input."""
        return seconds / (max(FAST, self.speed) if self.fast else self.speed)

    def patience(self, seconds: float) -> float:
        """Return the real duration of a wait for a party that the test controls."""
        return seconds / self.speed

    def timeout(self, seconds: float) -> float:
        """Return the real duration of a timeout requested by the application, which is also shortened by :data:`hurry`."""
        return self.patience(seconds) / hurry
