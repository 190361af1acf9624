"""Lines in the log that a hostile peer, or a fault of ours, would otherwise repeat without end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .logs import Log
from .seldom import Seldom, more

__all__ = ["Troubles"]


class Troubles:
    """One line for each kind of trouble, and then one a minute that says how many were left out."""

    def __init__(self, logger: Log) -> None:
        self._log = logger
        self._seldom = Seldom()

    def peer(self, kind: str, detail: str) -> None:
        """The peer did something odd. ``kind`` is one of a few fixed texts; ``detail`` may be the peer's."""
        unsaid = self._seldom.due(kind)
        if unsaid is not None:
            shown = f" ({detail!r})" if detail else ""
            self._log.warning("the server sent %s%s: ignored%s", kind, shown, more(unsaid))

    def fault(self, what: str) -> None:
        """An exception that should not be; call it where it was caught."""
        try:
            unsaid = self._seldom.due(f"{what} ({type(sys.exc_info()[1]).__name__})")
            if unsaid is not None:
                self._log.exception("%s%s", what, more(unsaid))
        except Exception:
            pass

    @contextmanager
    def caught(self, what: str) -> Iterator[None]:
        """Let an exception inside end nothing but what is inside."""
        try:
            yield
        except Exception:
            self.fault(what)
