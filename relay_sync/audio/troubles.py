"""One line per kind of trouble, not one per frame."""

from __future__ import annotations

from ..threads import logs
from ..threads.seldom import Seldom

__all__ = ["Troubles"]


class Troubles:
    """Tells each kind of trouble once a minute at most, with how often it was kept back.

    :param name: of the logger.
    """

    def __init__(self, name: str = "relay_sync.audio") -> None:
        self._log = logs.get(name).later
        self._seldom = Seldom()

    def tell(self, kind: str, message: str, *args: object) -> None:
        """Log a warning, unless this *kind* was told within the last minute. *args* as for ``Logger.warning``."""
        kept = self._seldom.due(kind)
        if kept is None:
            return
        if kept:
            self._log.warning(message + " (and %d more of the kind before)", *args, kept)
        else:
            self._log.warning(message, *args)
