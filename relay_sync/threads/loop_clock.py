"""What the clock says has passed between two turns of a loop, and what can have: for loops that sleep in a selector.

The clock may stand still, in tests that freeze time and in some containers, and it leaps where the machine has slept. A sleep
that lasted its whole time has passed for certain. What is over and above a sleep is no time in which anything could have been
heard, or done.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LATE", "LONGEST_SLEEP", "SLICE", "beyond"]

#: Seconds of one sleep at most: selectors take no number of any size.
LONGEST_SLEEP: Final = 3600.0
#: The same while the clock stands still: only sleeps that nothing cuts short can be counted then.
SLICE: Final = 0.05
#: Seconds that may pass beyond a sleep before the clock is taken to have leapt.
LATE: Final = 1.0


def beyond(passed: float, patience: float, woken: bool) -> float:
    """By how much the clock went on more than time has passed for certain; negative, or 0, where it went on by less. What is
    due may then come late, by a sleep at the most, and never early.

    :param passed: seconds between two turns, by the clock.
    :param patience: those that were to be slept between them.
    :param woken: whether something ended the sleep early.
    """
    return passed - (0.0 if woken else patience)
