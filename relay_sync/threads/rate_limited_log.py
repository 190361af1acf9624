"""A rate-limited log, for messages that a hostile peer or an internal error could repeat endlessly."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from .logs import Log

__all__ = ["INTERVAL", "RateLimitedLog"]

#: Minimum interval between two messages of the same kind, in seconds.
INTERVAL: Final = 60.0


class RateLimitedLog:
    """A log that writes at most one message of each kind per minute.

    The first message of each kind is written immediately. Later messages state how many were omitted before them. This
    class is thread-safe. The kinds must be a small, fixed set of strings. Otherwise, as with the causes of failed
    attempts, call :meth:`forget` after each success.
    """

    def __init__(self, logger: Log) -> None:
        self._log = logger
        self._lock = threading.RLock()  # reentrant because a signal handler may log too
        # Time of the last message, omitted messages since then, total messages.
        self._kinds: dict[str, tuple[float, int, int]] = {}

    def warning(self, kind: str, message: str, *args: object) -> None:
        """Log a warning, unless one of the same kind was logged within the last minute.

        :param kind: identifier of the kind of message.
        :param message: format string, as for ``Logger.warning``.
        :param args: arguments of the format string.
        """
        self._write(self._log.warning, kind, message, args)

    def info(self, kind: str, message: str, *args: object) -> None:
        """Log a message at level INFO, unless one of the same kind was logged within the last minute.

        :param kind: identifier of the kind of message.
        :param message: format string, as for ``Logger.info``.
        :param args: arguments of the format string.
        """
        self._write(self._log.info, kind, message, args)

    def _write(self, write: Callable[..., None], kind: str, message: str, args: tuple[object, ...]) -> None:
        omitted = self.due(kind)
        if omitted:
            format = message if args else message.replace("%", "%%")
            write(format + "%s", *args, _and_more(omitted))
        elif omitted is not None:
            write(message, *args)

    def fault(self, what: str) -> None:
        """Log the exception that is being handled as an internal error.

        Each combination of description and exception class is a separate kind.

        :param what: description of the failure.
        """
        try:
            omitted = self.due(f"{what} ({type(sys.exc_info()[1]).__name__})")
            if omitted is not None:
                self._log.exception("%s%s", what, _and_more(omitted))
        except Exception:
            pass

    @contextmanager
    def caught(self, what: str) -> Iterator[None]:
        """Catch and log any exception raised in the block.

        :param what: description of the failure.
        """
        try:
            yield
        except Exception:
            self.fault(what)

    def due(self, kind: str) -> int | None:
        """Count a message that the caller logs itself.

        :param kind: identifier of the kind of message.
        :return: the number of messages omitted since the last one if the caller should log this message, otherwise
            ``None``.
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
        """Return the number of messages of this kind since the last :meth:`forget`."""
        with self._lock:
            return self._kinds.get(kind, (0.0, 0, 0))[2]

    def forget(self) -> None:
        """Reset the counts, so that the next message of each kind is logged immediately."""
        with self._lock:
            self._kinds.clear()


def _and_more(omitted: int) -> str:
    return f"; {omitted} more since the last such message" if omitted else ""
