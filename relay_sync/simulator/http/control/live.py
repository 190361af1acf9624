"""Live events over a WebSocket: ``/simulator/live``.

The first message may have the member ``kinds``, a list of the kinds of events to send. Each event is sent in a separate message.
A client that reads slowly does not delay the simulator. Instead, the oldest events are dropped, and a message with the member
``lost`` contains their total number so far. The code runs on the loop thread, except where noted.
"""

from __future__ import annotations

import json
from typing import Any, Final

from ....errors import InvalidParameter
from ....server.connection import Connection
from ...core.feed import KINDS, USUAL_LIMIT
from ...server import Simulator
from . import responses
from .sockets import Opener

__all__ = ["opener"]

#: Maximum number of messages to send before other sockets have their turn.
MOST_AT_ONCE: Final = 50


class _Live:
    """One client."""

    def __init__(self, simulator: Simulator, connection: Connection, kinds: frozenset[str]) -> None:
        self._connection = connection
        self._kinds = kinds
        self._told = 0  # number of lost events that the client knows of
        self._due = False
        connection.on_drain = self._send
        self._events = simulator.live(USUAL_LIMIT, on_news=self._news)

    def _news(self) -> None:
        """Send the new events in a later step of the loop. May be called on any thread."""
        if not self._due:
            self._due = True
            self._connection.loop.call_soon(self._send)

    def _send(self) -> None:
        self._due = False
        for _ in range(MOST_AT_ONCE):
            if self._connection.buffered > self._connection.low_water:
                return  # on_drain continues
            event = self._events.take()
            if event is None:
                return
            if self._events.lost > self._told:
                self._told = self._events.lost
                self._connection.send(json.dumps({"lost": self._told}))
            if event.kind in self._kinds:
                self._connection.send(json.dumps(responses.live(event)))
        self._news()

    def received(self, message: str | bytes) -> None:
        """Ignore messages."""

    def closed(self) -> None:
        self._events.close()


def opener(simulator: Simulator) -> Opener:
    """Return the function that begins to send live events over a connection."""

    def begin(connection: Connection, options: dict[str, Any]) -> _Live:
        kinds = options.pop("kinds", list(KINDS))
        if not isinstance(kinds, list) or not all(kind in KINDS for kind in kinds):
            raise InvalidParameter("kinds", type(kinds), f"a list with some of {', '.join(KINDS)}")
        if options:
            raise InvalidParameter("message", sorted(options)[0][:100], "the members key and kinds")
        return _Live(simulator, connection, frozenset(kinds))

    return begin
