"""A log for what a hostile peer, or a fault of ours, would otherwise repeat without end."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from .logs import Log

__all__ = ["INTERVAL", "RateLimitedLog"]

#: Seconds between two lines of a kind.
INTERVAL: Final = 60.0


class RateLimitedLog:
    """Writes the first line of each kind at once, and then one a minute that says how many were left out. For any number of
    threads.

    A kind is one of a few fixed texts. Where kinds come without end (the causes of failed attempts, say), :meth:`forget` them.
    """

    def __init__(self, logger: Log) -> None:
        self._log = logger
        self._lock = threading.RLock()  # a signal handler may have something to log, too
        self._kinds: dict[str, tuple[float, int, int]] = {}  # when it was logged last, how many since, how many in all

    def warning(self, kind: str, message: str, *args: object) -> None:
        """Log a warning, unless one of this kind was logged within the last minute. The arguments are those of
        ``Logger.warning``.
        """
        omitted = self.due(kind)
        if omitted:
            format = message if args else message.replace("%", "%%")
            self._log.warning(format + "%s", *args, _and_more(omitted))
        elif omitted is not None:
            self._log.warning(message, *args)

    def fault(self, what: str) -> None:
        """Log the exception that is being handled, which should not have come about. Its kind is what failed and its class."""
        try:
            omitted = self.due(f"{what} ({type(sys.exc_info()[1]).__name__})")
            if omitted is not None:
                self._log.exception("%s%s", what, _and_more(omitted))
        except Exception:
            pass

    @contextmanager
    def caught(self, what: str) -> Iterator[None]:
        """Catch and log an exception of the block, so that it ends nothing but the block."""
        try:
            yield
        except Exception:
            self.fault(what)

    def due(self, kind: str) -> int | None:
        """Count one of a kind, for a line that the caller words and writes.

        :return: how many were left out since the last line of the kind, if one is to be written now; else ``None``.
        """
        now = time.monotonic()
        with self._lock:
            last, omitted, count = self._kinds.get(kind, (-math.inf, 0, 0))
            if now - last < INTERVAL:
                self._kinds[kind] = (last, omitted + 1, count + 1)
                return None
            self._kinds[kind] = (now, 0, count + 1)
            return omitted

    def count(self, kind: str) -> int:
        """How many of a kind there were so far, since it was forgotten."""
        with self._lock:
            return self._kinds.get(kind, (0.0, 0, 0))[2]

    def forget(self) -> None:
        """Begin anew: the next line of every kind is written at once."""
        with self._lock:
            self._kinds.clear()


def _and_more(omitted: int) -> str:
    return f"; {omitted} more since the last such line" if omitted else ""
