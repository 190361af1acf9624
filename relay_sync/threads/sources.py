"""Objects of this process that have statistics: its clients and its audio servers."""

from __future__ import annotations

from typing import Final, Protocol

from .living import Living

__all__ = ["Source", "clients", "servers"]


class Source(Protocol):
    """An object with statistics."""

    def stats(self) -> object:
        """Return the current statistics."""


#: All clients that have not been garbage-collected.
clients: Final[Living[Source]] = Living()
#: All audio servers that have not been garbage-collected.
servers: Final[Living[Source]] = Living()
