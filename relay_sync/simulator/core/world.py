"""Infrastructure shared by all parts of a simulator: settings, clocks, sessions and connections.

Unless stated otherwise, all code in this module runs on the loop thread.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from attrs import define, field

from ...errors import SimulatorClosed, WaitTimeout
from ...server.loop import Loop, LoopStopped
from . import frames
from .accounts import Accounts
from .clock import Clock
from .faults import Faults, RequestFault, tell_of_faults
from .feed import Feed
from .given import Unknown
from .journal import Journal, settle_with, tell_with
from .noticeboard import Noticeboard, seconds_to_wait
from .pace import Pace
from .session import ClientSocket, ServerSession, ServerSessions
from .settings import Settings

__all__ = ["StatusWebhooks", "World"]

_T = TypeVar("_T")

MOST_PENDING = 10_000
SETTLED = 1.0  # maximum time to wait for a step of the loop, in seconds


class StatusWebhooks(Protocol):
    """Status webhook sender. Implemented in :mod:`relay_sync.simulator.http.webhooks`."""

    def send(self, lane: str, url: str, method: str, body: dict[str, Any], *, form: bool = False) -> None:
        """Queue a webhook for delivery and return immediately. Webhooks in the same lane are delivered in order."""


def _nothing(_: dict[str, Any]) -> None:
    """Ignore a reply. Default callback for event acknowledgments."""


@define(eq=False)
class World:
    """Shared state of a simulator.

    :ivar accounts: credentials that clients may present.
    :ivar pace: conversion of simulated seconds to real seconds.
    :ivar clock: scheduler of simulation steps.
    :ivar board: condition variable for connections, sessions and acknowledgments. Calls and streams have their own.
    :ivar clients: open connections by number.
    :ivar latency: delay of frames to clients, in seconds.
    :ivar feed: where live events are reported.
    """

    settings: Settings
    loop: Loop
    journal: Journal
    faults: Faults
    webhooks: StatusWebhooks = field(repr=False)
    accounts: Accounts = field(init=False, repr=False)
    board: Noticeboard = field(factory=Noticeboard, init=False, repr=False)
    sessions: ServerSessions = field(factory=ServerSessions, init=False)
    clients: dict[int, ClientSocket] = field(factory=dict, init=False, repr=False)
    latency: float = field(default=0.0, init=False)
    feed: Feed = field(factory=Feed, init=False, repr=False)
    pace: Pace = field(init=False)
    clock: Clock = field(init=False, repr=False)
    _held: list[tuple[str, ClientSocket, dict[str, Any]]] = field(factory=list, init=False, repr=False)
    #: Time at which the last delayed frame to a client arrives, by connection number.
    _arrivals: dict[int, float] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.accounts = Accounts(self.settings.project, self.settings.accept_any_credentials)
        self.accounts.add(self.settings.project, token=self.settings.token, jwt_token=self.settings.jwt_token)
        self.clock = Clock(self.loop)
        self.pace = Pace(self.settings.media == "fast", self.settings.speed)
        self.board.settle = self.settle
        settle_with(self.journal, self.settle)
        tell_with(self.journal, self.feed.tell)
        tell_of_faults(self.faults, self.feed.tell)

    # -- calls from other threads --------------------------------------------------------------------------------------

    def do(self, fn: Callable[..., _T], *args: Any, timeout: float) -> _T:
        """Call a function on the loop thread and return its result.

        :raises WaitTimeout: the function did not return within ``timeout`` seconds.
        :raises InvalidParameter: the timeout is invalid.
        :raises SimulatorClosed: the loop thread is not running.
        """
        left = seconds_to_wait(timeout)
        try:
            return self.loop.call(fn, *args, timeout=left)
        except TimeoutError as error:
            raise WaitTimeout(str(error)) from None
        except LoopStopped:
            raise SimulatorClosed("the simulator is not running: it is closed or not started") from None

    def settle(self) -> None:
        """Wait until the loop thread has finished its current step or has stopped."""
        if self.loop.busy:
            self.look(lambda: None)

    def look(self, fn: Callable[[], _T]) -> _T:
        """Call a function between two steps of the loop thread and return its result.

        The function sees a consistent state, and the journal contains all events that led to it. If the loop thread has stopped
        or is blocked, the function is called on the current thread.
        """
        try:
            return self.loop.call(fn, timeout=SETTLED)
        except (LoopStopped, TimeoutError):
            return fn()

    # -- sessions ------------------------------------------------------------------------------------------------------

    def attach(self, client: ClientSocket, session: ServerSession) -> None:
        """Attach a connection to a session. If the session already has another connection, close it."""
        client.connection.prove()
        old = session.client
        client.session, session.client = session, client
        client.peer.session = session.session_id
        if old is not None and old is not client:
            old.session = None
            old.connection.close(1000, "replaced by a newer connection")
        self.feed.tell(
            "client",
            lambda: {"connection": client.number, "state": "authenticated", "contexts": sorted(session.contexts)},
        )

    def catch_up(self, session: ServerSession) -> None:
        """Send the events stored while a session was disconnected."""
        while session.missed and session.client is not None:
            self.request(session.client, session.missed.popleft())

    def subscribers(self, context: str, project: str = "") -> list[ServerSession]:
        """Return the connected sessions that receive a context. Clients that were asked to disconnect are excluded.

        :param project: project of the sessions; ``""`` stands for all projects.
        """
        staying = [client.session for client in self.clients.values() if not client.leaving]
        return [
            session
            for session in staying
            if session is not None and context in session.contexts and project in ("", session.project)
        ]

    def named_session(self, session_id: str) -> ServerSession:
        """Return the session of an ID, connected or not.

        :raises InvalidParameter: there is no such session.
        """
        found: list[ServerSession] = [each.session for each in self.clients.values() if each.session is not None]
        for session in itertools.chain(found, self.sessions):
            if session.session_id == session_id:
                return session
        raise Unknown("session", session_id, "the ID of a session, as listed by Simulator.sessions")

    # -- outgoing frames -----------------------------------------------------------------------------------------------

    def write(self, client: ClientSocket, frame: dict[str, Any]) -> None:
        """Send a frame to a client. If the connection is already closed, only record the frame as lost."""
        if client.number not in self.clients:
            self.journal.add("lost", client.number, frame, peer=client.peer)
            return
        self.journal.add("out", client.number, frame, peer=client.peer)
        self._transmit(client, frames.dump(frame))

    def _transmit(self, client: ClientSocket, text: str) -> None:
        """Send text over the network, which may be slow. The order of the frames does not change."""
        if not self.latency and client.number not in self._arrivals:
            client.connection.send(text)
            return
        due = max(self.loop.time() + self.latency, self._arrivals.get(client.number, 0.0))
        self._arrivals[client.number] = due

        def arrive() -> None:
            if self._arrivals.get(client.number) == due:
                del self._arrivals[client.number]
            client.connection.send(text)

        self.loop.call_at(due, arrive)

    def answer(self, client: ClientSocket, method: str, reply: dict[str, Any], fault: RequestFault | None) -> None:
        """Send the reply to a request, unless a fault drops or holds it."""
        kind = fault.kind if fault is not None else ""
        if kind == "drop":
            self.journal.add("lost", client.number, reply, peer=client.peer)
        elif kind == "hold":
            self._held.append((method, client, reply))
            self.board.changed()
        else:
            self.write(client, reply)

    def release(self, method: str | None) -> int:
        """Send the held replies and return their number."""
        due = [held for held in self._held if method in (None, held[0])]
        self._held = [held for held in self._held if method not in (None, held[0])]
        for _, client, reply in due:
            self.write(client, reply)
        return len(due)

    def held(self, method: str | None) -> int:
        """Return the number of held replies."""
        return sum(1 for held in self._held if method in (None, held[0]))

    def request(
        self, client: ClientSocket, frame: dict[str, Any], then: Callable[[dict[str, Any]], None] = _nothing
    ) -> None:
        """Send a request to a client, and call ``then`` with the reply."""
        if len(client.pending) >= MOST_PENDING:
            client.pending.pop(next(iter(client.pending)))
        client.pending[frame["id"]] = then
        self.write(client, frame)

    def replied(self, client: ClientSocket, frame: dict[str, Any]) -> None:
        """Pass a client's reply to the request's callback."""
        client.pending.pop(str(frame.get("id")), _nothing)(frame)
        self.board.changed()

    def emit(self, session: ServerSession | None, event_type: str, params: dict[str, Any], **members: Any) -> None:
        """Send an event to a session and apply pending faults. If ``session`` is ``None``, do nothing.

        :param members: envelope members to add or replace; ``None`` removes a member.
        """
        if session is None:
            return
        settings = self.settings
        places = {"event_channel": session.protocol, "project_id": session.project, "space_id": settings.space}
        given = {name: value for name, value in {**places, **members}.items() if value is not None}
        self.send(session, event_type, params, frames.event(frames.envelope(event_type, params, **given)))

    def send(self, session: ServerSession, event_type: str, params: dict[str, Any], frame: dict[str, Any]) -> None:
        """Send an event frame to a session and apply pending faults."""
        fault = self.faults.for_event(event_type, params)
        kind = fault.kind if fault is not None else ""
        if kind == "drop":
            number = session.client.number if session.client else 0
            self.journal.add("lost", number, frame, peer=session.peer)
            return
        if fault is not None and kind == "delay":
            self.loop.call_later(fault.seconds, self._deliver, session, frame)
            return
        self._deliver(session, frame)
        if fault is not None and kind == "duplicate":
            for _ in range(fault.copies):
                self._deliver(session, frame if fault.same_id else frames.event(frame["params"]))

    def _deliver(self, session: ServerSession, frame: dict[str, Any]) -> None:
        if session.client is not None:
            self.request(session.client, frame)
        elif self.settings.replay_events:
            session.missed.append(frame)
        else:
            self.journal.add("lost", 0, frame, peer=session.peer)

    def announce(self, session: ServerSession) -> None:
        """Send a session's authorization state to its client. Called when the session is created and when the state changes."""
        self.emit(session, "signalwire.authorization.state", {"authorization_state": session.authorization_state})
