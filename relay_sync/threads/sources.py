"""The clients of this process, for its health checks. Its audio servers are in ``relay_sync.receivers``."""

from __future__ import annotations

from typing import Final, Protocol

from .living import Living

__all__ = ["Source", "clients"]


class Source(Protocol):
    """An object with statistics."""

    def stats(self) -> object:
        """Return the current statistics."""


#: All clients that have not been garbage-collected.
clients: Final[Living[Source]] = Living()
