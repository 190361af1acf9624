"""Once a kind and a while: for lines in the log that a hostile peer, or a fault of ours, would otherwise repeat without end."""

from __future__ import annotations

import math
import threading
import time
from typing import Final

__all__ = ["TROUBLE_EVERY", "Seldom", "more"]

#: Seconds between two lines of a kind.
TROUBLE_EVERY: Final = 60.0


class Seldom:
    """Says when a line of a kind may be written: at once, and then once a minute. For any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may have something to tell, too
        self._kinds: dict[str, tuple[float, int]] = {}

    def due(self, kind: str) -> int | None:
        """How many of a kind were left out, if a line of it may be written again; else ``None``."""
        now = time.monotonic()
        with self._lock:
            last, unsaid = self._kinds.get(kind, (-math.inf, 0))
            if now - last < TROUBLE_EVERY:
                self._kinds[kind] = (last, unsaid + 1)
                return None
            self._kinds[kind] = (now, 0)
            return unsaid


def more(unsaid: int) -> str:
    """The end of a line: how many like it were left out."""
    return f"; {unsaid} more since the last such line" if unsaid else ""
