"""How long to wait before the next attempt to connect."""

from __future__ import annotations

__all__ = ["FIRST_JITTER", "LONGEST", "retry_delay"]

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
