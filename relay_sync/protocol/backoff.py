"""The delay before the next connection attempt."""

from __future__ import annotations

import math

__all__ = ["FIRST_JITTER", "LONGEST", "failures_after", "retry_delay"]

FIRST_JITTER = 0.05
BASE = 1.0
LONGEST = 30.0


def retry_delay(failures: int, random: float) -> float:
    """Return the delay before the next connection attempt, in seconds.

    The first retry is almost immediate. It is delayed by up to 50 ms of jitter, so that many clients do not reconnect
    at the same instant. Later retries use full jitter with an upper limit that doubles with each failure, up to 30 s.

    :param failures: failed attempts since the last stable session; 0 right after losing a session.
    :param random: random number in [0, 1).
    """
    if failures <= 0:
        return random * FIRST_JITTER
    return random * min(LONGEST, BASE * 2.0 ** min(failures - 1, 10))


def failures_after(failures: int, held: float) -> int:
    """Return the failure count to use after losing a session.

    On a network that breaks every few seconds, the delay should not exceed a session's lifetime. Sessions shorter than
    two seconds do not reduce the count. Otherwise, the client would reconnect more and more often to a server that
    drops every session.

    :param failures: count before the session.
    :param held: the session's duration, in seconds.
    """
    return failures if held < 2 else min(failures, 1 + int(math.log2(held)))
