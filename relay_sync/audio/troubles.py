"""One line per kind of trouble, not one per frame."""

from __future__ import annotations

import logging
import threading
import time

__all__ = ["Troubles"]

QUIET = 60.0  # seconds before the same kind is told again


class Troubles:
    """Tells each kind of trouble once a minute at most, with how often it was kept back.

    :param name: of the logger.
    """

    def __init__(self, name: str = "relay_sync.audio") -> None:
        self._log = logging.getLogger(name)
        self._lock = threading.Lock()
        self._told: dict[str, tuple[float, int]] = {}

    def tell(self, kind: str, message: str, *args: object) -> None:
        """Log a warning, unless this *kind* was told within the last minute. *args* as for ``Logger.warning``."""
        now = time.monotonic()
        with self._lock:
            last, kept = self._told.get(kind, (float("-inf"), 0))
            if now - last < QUIET:
                self._told[kind] = (last, kept + 1)
                return
            self._told[kind] = (now, 0)
        if kept:
            self._log.warning(message + " (and %d more of the kind before)", *args, kept)
        else:
            self._log.warning(message, *args)
