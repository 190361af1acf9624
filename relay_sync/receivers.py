"""Registry of the audio receivers in this process.

It explains why a stream could not be opened if the stream's URL belongs to a receiver in the same process. It also finds the
servers that a program has made, and starts them.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final, Protocol

from .errors import RelayError
from .hosts.names import is_loopback, place_of
from .threads.living import Living

__all__ = ["Server", "asleep_at", "enlist", "register", "servers", "start_all"]


class ListeningReceiver(Protocol):
    """Interface of an audio receiver."""

    def urls_like(self, url: str) -> Iterable[str]:
        """Return the receiver's URL, or before the start those it may get that contain the same port as ``url``."""

    @property
    def why_silent(self) -> str:
        """Reason why the receiver is not listening, or ``""`` if it is listening."""


class Server(Protocol):
    """Interface of a receiver's public object, such as an ``AudioServer``."""

    def start(self) -> object:
        """Start listening. Calling this method again has no effect."""

    def stats(self) -> object:
        """Return the current statistics."""


_receivers: Final[Living[ListeningReceiver]] = Living()
_servers: Final[Living[Server]] = Living()


def register(receiver: ListeningReceiver) -> None:
    """Register a receiver until it is garbage-collected."""
    _receivers.add(receiver)


def enlist(server: Server) -> None:
    """Register a receiver's public object, such as an ``AudioServer``, until it is garbage-collected."""
    _servers.add(server)


def servers() -> list[Server]:
    """Return the public objects of all receivers, the oldest first. Closed ones are included."""
    return list(_servers)


def start_all() -> None:
    """Start all receivers, before the process takes calls.

    Otherwise, a process without a free port would take calls and could not stream them.

    :raises OSError: a receiver's port or address is not available.
    """
    for server in servers():
        with suppress(RelayError):  # It is closed, or belongs to the parent process.
            server.start()


def asleep_at(url: str) -> str:
    """Return the reason why the receiver with this URL is not listening, or ``""`` if it is listening or does not exist."""
    place = _place(url)
    if place is None:
        return ""
    found = [receiver.why_silent for receiver in _receivers if place in map(_place, receiver.urls_like(url))]
    return found[0] if found and all(found) else ""


def _place(url: str) -> tuple[str, int] | None:
    place = place_of(url)
    if place is None:
        return None
    return ("localhost" if is_loopback(place.host) else place.host), place.port
