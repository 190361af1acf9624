"""The receivers of audio in this process, to say why a stream to one of them did not come about."""

from __future__ import annotations

from typing import Final, Protocol

from .hosts.names import is_loopback, place_of
from .threads.living import Living

__all__ = ["asleep_at", "register"]


class ListeningReceiver(Protocol):
    """What listens at an address, or will."""

    @property
    def url(self) -> str: ...

    @property
    def why_silent(self) -> str:
        """Why nothing listens there; ``""`` if something does."""


_receivers: Final[Living[ListeningReceiver]] = Living()


def register(receiver: ListeningReceiver) -> None:
    """Remember a receiver for as long as it lives."""
    _receivers.add(receiver)


def asleep_at(url: str) -> str:
    """Why the receiver with this address does not listen; ``""`` where there is none, or one that does."""
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
