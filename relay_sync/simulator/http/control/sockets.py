"""WebSockets of the control interface. Their first message is the key.

A browser cannot add a header to a WebSocket's handshake, and a key in the URL would end up in logs. A client therefore sends a
JSON object with the member ``key`` as its first message. Further members are options of the WebSocket. The connection is closed
with code 1008 if the key is wrong or late, or if an option is invalid.

All code in this module runs on the loop thread, except for :meth:`Sockets.close`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Protocol

from ....errors import InvalidParameter
from ....hosts.proof import same_secret
from ....server.connection import Connection
from ....text.json_text import read_strictly
from ....threads.logs import get as log_of
from ....threads.rate_limited_log import RateLimitedLog
from .router import Refused

__all__ = ["KEY_PATIENCE", "Opener", "Sockets", "Talk"]

_log = log_of("relay_sync.simulator").later
#: Time for the first message, in seconds.
KEY_PATIENCE: Final = 5.0
#: Close code of a connection that is refused.
REFUSED: Final = 1008
_NO_KEY: Final = 'the first message must be {"key": "<key>"}'


class Talk(Protocol):
    """The simulator's side of one WebSocket, after the key."""

    def received(self, message: str | bytes) -> None:
        """Handle a message from the client."""

    def closed(self) -> None:
        """Release everything. Called once, after the last message."""


#: Begins to talk over a connection, given the options of its first message. It raises :exc:`InvalidParameter` or :exc:`Refused`
#: for an invalid option.
Opener = Callable[[Connection, dict[str, Any]], Talk]


class Sockets:
    """WebSockets by path.

    :ivar paths: full paths.
    """

    def __init__(self, key: str, openers: Mapping[str, Opener]) -> None:
        self.paths: Collection[str] = openers.keys()
        self._key = key
        self._openers = openers
        self._connections: set[Connection] = set()
        self._troubles = RateLimitedLog(_log)

    def opened(self, connection: Connection) -> None:
        """Wait for the key on a new connection."""
        self._connections.add(connection)
        timer = connection.loop.call_later(KEY_PATIENCE, connection.close, REFUSED, f"no key within {KEY_PATIENCE:g} s")

        def first(message: str | bytes) -> None:
            timer.cancel()
            try:
                talk = self._begin(connection, _options(message))
            except (Refused, InvalidParameter) as problem:
                self._troubles.warning("first message", "closing a WebSocket of %s: %s", connection.remote, problem)
                connection.on_message = _ignore
                connection.close(REFUSED, str(problem))
                return
            connection.prove()
            connection.on_message = talk.received
            connection.on_close = lambda _: self._gone(connection, talk)

        def gone(_: object) -> None:
            timer.cancel()
            self._connections.discard(connection)

        connection.on_message = first
        connection.on_close = gone

    def _begin(self, connection: Connection, options: dict[str, Any]) -> Talk:
        if not same_secret(options.pop("key"), self._key):
            raise Refused(403, "the key is wrong")
        return self._openers[connection.path](connection, options)

    def _gone(self, connection: Connection, talk: Talk) -> None:
        self._connections.discard(connection)
        talk.closed()

    def close(self) -> None:
        """Close all connections. For any thread."""
        for connection in list(self._connections):
            connection.close(1001, "going away")


def _options(message: str | bytes) -> dict[str, Any]:
    """Return the members of the first message."""
    try:
        found = read_strictly(message if isinstance(message, str) else message.decode())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("key"), str):
        raise Refused(403, _NO_KEY)
    return found


def _ignore(_: str | bytes) -> None:
    pass
