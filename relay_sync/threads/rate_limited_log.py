"""A rate-limited log for messages that a hostile peer or an internal error could repeat endlessly."""

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

#: Seconds between two lines of the same kind.
INTERVAL: Final = 60.0


class RateLimitedLog:
    """Logs the first message of each kind immediately, and then one a minute with the number of omitted ones. Thread-safe.

    A kind is one of a few fixed texts. If the kinds are unbounded (such as the causes of failed attempts), call :meth:`forget`.
    """

    def __init__(self, logger: Log) -> None:
        self._log = logger
        self._lock = threading.RLock()  # reentrant: a signal handler may log too
        self._kinds: dict[str, tuple[float, int, int]] = {}  # time of the last line, count since then, total count

    def warning(self, kind: str, message: str, *args: object) -> None:
        """Log a warning unless one of this kind was logged within the last minute.

        :param kind: the kind.
        :param message: the format string, as for ``Logger.warning``.
        :param args: its arguments.
        """
        omitted = self.due(kind)
        if omitted:
            format = message if args else message.replace("%", "%%")
            self._log.warning(format + "%s", *args, _and_more(omitted))
        elif omitted is not None:
            self._log.warning(message, *args)

    def fault(self, what: str) -> None:
        """Log the current exception as an internal error. Its kind consists of ``what`` and the class of the exception."""
        try:
            omitted = self.due(f"{what} ({type(sys.exc_info()[1]).__name__})")
            if omitted is not None:
                self._log.exception("%s%s", what, _and_more(omitted))
        except Exception:
            pass

    @contextmanager
    def caught(self, what: str) -> Iterator[None]:
        """Catch and log an exception of the block, so that it ends only the block."""
        try:
            yield
        except Exception:
            self.fault(what)

    def due(self, kind: str) -> int | None:
        """Count a message of a kind that the caller logs itself.

        :param kind: the kind.
        :return: if the caller should log it now, the number of messages omitted since the last one; otherwise ``None``.
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
        """Return the number of messages of a kind since the last :meth:`forget`."""
        with self._lock:
            return self._kinds.get(kind, (0.0, 0, 0))[2]

    def forget(self) -> None:
        """Reset all kinds, so that the next message of each is logged immediately."""
        with self._lock:
            self._kinds.clear()


def _and_more(omitted: int) -> str:
    return f"; {omitted} more since the last such message" if omitted else ""
