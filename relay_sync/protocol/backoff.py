"""How long to wait before the next attempt to connect."""

from __future__ import annotations

import math

__all__ = ["FIRST_JITTER", "LONGEST", "failures_after", "retry_delay"]

FIRST_JITTER = 0.05
BASE = 1.0
LONGEST = 30.0


def retry_delay(failures: int, random: float) -> float:
    """Seconds to wait after so many failures in a row.

    The first retry comes at once, spread over 50 ms so that many clients do not arrive together; from then on full
    jitter under a limit that doubles up to 30 s.

    :param failures: attempts that failed since a session last held; 0 right after a session was lost.
    :param random: a number in [0, 1).
    """
    if failures <= 0:
        return random * FIRST_JITTER
    return random * min(LONGEST, BASE * 2.0 ** min(failures - 1, 10))


def failures_after(failures: int, held: float) -> int:
    """How many failures still count when a session that held for so many seconds is lost.

    Where a network breaks every few seconds, nobody is served by waiting for longer than a session lasts. One that held for
    under two seconds was none: a server that throws everybody out is not to be asked ever faster.
    """
    return failures if held < 2 else min(failures, 1 + int(math.log2(held)))
