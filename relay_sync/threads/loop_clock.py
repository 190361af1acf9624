"""Detection of clock jumps, for loops that sleep in a selector.

The monotonic clock may stand still in tests that freeze time and in some containers, and it may jump after the machine
has been suspended. After an uninterrupted sleep, at least its full duration has elapsed. During any time beyond the
sleep, the loop could not receive or process anything.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LATE", "LONGEST_SLEEP", "SLICE", "beyond"]

#: Longest sleep, in seconds. Selectors reject very large timeouts.
LONGEST_SLEEP: Final = 3600.0
#: Longest sleep while the clock stands still, in seconds. Only uninterrupted sleeps can then be counted.
SLICE: Final = 0.05
#: Delay after a sleep that is considered a clock jump, in seconds.
LATE: Final = 1.0


def beyond(passed: float, patience: float, woken: bool) -> float:
    """Return how many seconds the clock advanced beyond the time that has certainly elapsed.

    The result is 0 or negative if the clock advanced less. Timers corrected by this value may fire up to one sleep
    late, but never early.

    :param passed: time that the clock measured between two iterations, in seconds.
    :param patience: intended sleep between the two iterations, in seconds.
    :param woken: whether the sleep was interrupted.
    """
    return passed - (0.0 if woken else patience)
