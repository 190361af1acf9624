"""Detection of clock jumps, for loops that sleep in a selector.

The clock may stand still (in tests that freeze time and in some containers), and it jumps after the machine was suspended. A
sleep that was not cut short has lasted its whole time for certain. Time beyond the sleep is time in which the loop could not
receive or do anything.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LATE", "LONGEST_SLEEP", "SLICE", "beyond"]

#: Longest sleep in seconds: selectors reject very large timeouts.
LONGEST_SLEEP: Final = 3600.0
#: Longest sleep while the clock stands still, when only sleeps that are not cut short can be counted.
SLICE: Final = 0.05
#: Seconds beyond a sleep above which the clock is taken to have jumped.
LATE: Final = 1.0


def beyond(passed: float, patience: float, woken: bool) -> float:
    """Return how many seconds the clock advanced beyond the time that has certainly elapsed; 0 or negative if it advanced less.

    Timers corrected by this may fire late, by one sleep at most, but never early.

    :param passed: seconds between two iterations, by the clock.
    :param patience: the intended seconds of sleep between them.
    :param woken: whether the sleep was cut short.
    """
    return passed - (0.0 if woken else patience)
