"""Connections and sessions of RELAY clients. A session can outlive its connection."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from attrs import define, field, frozen

from ...server.loop import Timer
from ...server.websocket import Connection
from .journal import Peer

__all__ = ["ClientSocket", "ServerSession", "ServerSessions", "Session"]

MOST_SESSIONS = 10_000
MOST_REPLAYED = 1_000


def _authorization_state() -> str:
    # The documented format is <base64>:<tag>. Clients treat it as opaque.
    return f"{base64.b64encode(secrets.token_bytes(24)).decode()}:{secrets.token_urlsafe(8)}"


@define(eq=False)
class ClientSocket:
    """A client's connection.

    :ivar number: connection number, counted from 1, as used in the journal.
    :ivar peer: names the session in the journal.
    :ivar leaving: whether the client was asked to disconnect. Such a client is not offered new calls.
    :ivar pending: reply callbacks for the simulator's requests, by request ID.
    """

    number: int
    connection: Connection = field(repr=False)
    session: ServerSession | None = None
    peer: Peer = field(factory=Peer, init=False, repr=False)
    leaving: bool = field(default=False, init=False)
    pending: dict[str, Callable[[dict[str, Any]], None]] = field(factory=dict, init=False, repr=False)
    timer: Timer | None = field(default=None, init=False, repr=False)


@frozen(kw_only=True)
class Session:
    """A connected client's session, as listed by ``Simulator.sessions``.

    A client that resumes its session on another connection keeps the ID.

    :ivar session_id: the ``sessionid`` in the reply to ``signalwire.connect``.
    :ivar project: project that the client presented.
    :ivar identity: identity that the simulator has given to the client.
    :ivar contexts: contexts that the client receives, in alphabetical order.
    :ivar connection: number of the current connection, as in the journal.
    """

    session_id: str
    project: str
    identity: str
    contexts: tuple[str, ...]
    connection: int


@define(eq=False, kw_only=True)
class ServerSession:
    """A client's authenticated session, which can outlive its connection.

    Events for a disconnected session are lost by default. If ``replay_events`` is set, they are stored until the client resumes
    the session.

    :ivar protocol: protocol string that identifies the session; also its event channel.
    :ivar session_id: ID of the session in the reply to ``signalwire.connect`` (``sessionid``), and in the journal.
    :ivar contexts: contexts that the session receives.
    :ivar client: current connection; ``None`` while the client is disconnected.
    :ivar offered_at: sequence number of the last call offered to the session.
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
    session_id: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.session_id = str(uuid.uuid5(uuid.NAMESPACE_OID, self.protocol))

    @property
    def peer(self) -> Peer:
        """The session's name in the journal, for events that no connection takes."""
        return Peer(self.session_id)

    def renew(self) -> None:
        """Replace the authorization state. The old state becomes invalid."""
        self.authorization_state = _authorization_state()


@define(eq=False)
class ServerSessions:
    """Resumable sessions, by protocol."""

    _known: OrderedDict[str, ServerSession] = field(factory=OrderedDict, init=False, repr=False)

    def __iter__(self) -> Iterator[ServerSession]:
        return iter(list(self._known.values()))

    def open(self, project: str, contexts: Iterable[str], major: int) -> ServerSession:
        """Create a session. Its protocol and identity have the documented formats.

        When there are more than 10,000 sessions, the oldest disconnected session is discarded. This limits memory use when a
        long test run opens many short connections.
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
        """Return the session with the given protocol, or ``None`` if it is unknown."""
        return self._known.get(protocol)

    def forget(self, session: ServerSession) -> None:
        """Discard a session so that it cannot be resumed."""
        self._known.pop(session.protocol, None)
