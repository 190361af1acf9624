"""The audio receivers of this process, to explain why a stream to one of them could not be opened."""

from __future__ import annotations

from typing import Final, Protocol

from .hosts.names import is_loopback, place_of
from .threads.living import Living

__all__ = ["asleep_at", "register"]


class ListeningReceiver(Protocol):
    """A receiver that listens, or will listen, at an address."""

    @property
    def url(self) -> str: ...

    @property
    def why_silent(self) -> str:
        """Why the receiver is not listening; ``""`` if it is."""


_receivers: Final[Living[ListeningReceiver]] = Living()


def register(receiver: ListeningReceiver) -> None:
    """Register a receiver until it is garbage-collected."""
    _receivers.add(receiver)


def asleep_at(url: str) -> str:
    """Return why the receiver at an address is not listening; ``""`` if it is, or if there is none."""
    place = _place(url)
    if place is None:
        return ""
    found = [receiver.why_silent for receiver in _receivers if _place(receiver.url) == place]
    return found[0] if found and all(found) else ""


def _place(url: str) -> tuple[str, int] | None:
    place = place_of(url)
    if place is None:
        return None
    return ("localhost" if is_loopback(place.host) else place.host), place.port
