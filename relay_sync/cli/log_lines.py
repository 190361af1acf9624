"""Log messages of this package among the lines that a command prints."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..threads import logs

__all__ = ["logged_through"]


class _Lines(logging.Handler):
    """Log handler that prints warnings as lines of the command."""

    def __init__(self, say: Callable[[str], None], known: Callable[[str], bool]) -> None:
        super().__init__(logging.WARNING)
        self._say, self._known = say, known

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
            if not self._known(message):
                self._say(f"{record.levelname.lower()}: {message}")
        except Exception:
            self.handleError(record)


@contextmanager
def logged_through(say: Callable[[str], None], known: Callable[[str], bool] = lambda message: False) -> Iterator[None]:
    """Print warnings logged by this package as lines of the command instead of passing them to the root logger.

    :param say: prints a line. Several threads may call it.
    :param known: whether a message is left out, because the command says the same in its own words.
    """
    log, lines = logging.getLogger("relay_sync"), _Lines(say, known)
    before, log.propagate = log.propagate, False
    log.addHandler(lines)
    try:
        yield
    finally:
        logs.flush()
        log.removeHandler(lines)
        log.propagate = before
