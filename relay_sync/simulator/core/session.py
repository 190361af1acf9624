"""The clients of RELAY: their sockets, and their sessions, which outlive a socket."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from attrs import define, field

from ...server.loop import Timer
from ...server.websocket import Connection

__all__ = ["ClientSocket", "ServerSession", "ServerSessions"]

MOST_SESSIONS = 10_000
MOST_REPLAYED = 1_000


def _authorization_state() -> str:
    # The documented shape: <base64>:<tag>, opaque to the client.
    return f"{base64.b64encode(secrets.token_bytes(24)).decode()}:{secrets.token_urlsafe(8)}"


@define(eq=False)
class ClientSocket:
    """One socket of a client.

    :ivar number: number of the socket, counted from 1, as in the journal.
    :ivar leaving: whether the client was asked to disconnect; it gets no further calls.
    :ivar pending: callbacks for the replies to our requests, by request id.
    """

    number: int
    connection: Connection = field(repr=False)
    session: ServerSession | None = None
    leaving: bool = field(default=False, init=False)
    pending: dict[str, Callable[[dict[str, Any]], None]] = field(factory=dict, init=False, repr=False)
    timer: Timer | None = field(default=None, init=False, repr=False)


@define(eq=False, kw_only=True)
class ServerSession:
    """One authenticated session. Survives its sockets; events while it has none are lost, or kept for a resume.

    :ivar protocol: its name on the wire, also its event channel.
    :ivar contexts: the contexts that it is subscribed to.
    :ivar client: its current socket.
    :ivar offered_at: when it was last offered a call, as a count.
    """

    project: str
    protocol: str
    identity: str
    major: int = 2
    contexts: set[str] = field(factory=set)
    authorization_state: str = field(factory=_authorization_state, repr=False)
    client: ClientSocket | None = field(default=None, repr=False)
    offered_at: int = 0
    missed: deque[dict[str, Any]] = field(factory=lambda: deque(maxlen=MOST_REPLAYED), repr=False)

    def renew(self) -> None:
        """Generate a new authorization state and invalidate the old one."""
        self.authorization_state = _authorization_state()


@define(eq=False)
class ServerSessions:
    """All sessions that may still be resumed, by protocol."""

    _known: OrderedDict[str, ServerSession] = field(factory=OrderedDict, init=False, repr=False)

    def __iter__(self) -> Iterator[ServerSession]:
        return iter(list(self._known.values()))

    def open(self, project: str, contexts: Iterable[str], major: int) -> ServerSession:
        """Create a session. Its names have the documented shapes.

        Beyond 10,000 sessions, the oldest one without a socket is forgotten, so that a long run of short connections does not
        grow.
        """
        session = ServerSession(
            project=project,
            protocol=f"signalwire_{secrets.token_hex(8)}_{uuid.uuid4()}_{project}",
            identity=f"{uuid.uuid4()}@{uuid.uuid4()}.local",
            major=major,
            contexts=set(contexts),
        )
        self._known[session.protocol] = session
        if len(self._known) > MOST_SESSIONS:
            idle = next((old for old in self._known.values() if old.client is None and old is not session), None)
            if idle is not None:
                self.forget(idle)
        return session

    def find(self, protocol: str) -> ServerSession | None:
        """The session of that name, if it is still known."""
        return self._known.get(protocol)

    def forget(self, session: ServerSession) -> None:
        """Make a session impossible to resume."""
        self._known.pop(session.protocol, None)
