"""What every part of the simulator shares: settings, clock, client sockets, and the sending of frames. Runs on the loop's thread
unless stated otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from attrs import define, field

from ...errors import SimulatorClosed, WaitTimeout
from ...server.loop import Loop, LoopStopped
from . import frames
from .clock import Clock
from .faults import Faults, RequestFault
from .journal import Journal, settle_with
from .noticeboard import Noticeboard, seconds_to_wait
from .pace import Pace
from .session import ClientSocket, ServerSession, ServerSessions
from .settings import Settings

__all__ = ["StatusWebhooks", "World"]

_T = TypeVar("_T")

MOST_PENDING = 10_000
SETTLED = 1.0  # maximum seconds to wait for a step of the loop


class StatusWebhooks(Protocol):
    """Sends events over HTTP as well; see :mod:`relay_sync.simulator.http.webhooks`."""

    def send(self, lane: str, url: str, method: str, body: dict[str, Any], *, form: bool = False) -> None:
        """Send an event after the earlier ones of the same lane. Returns at once."""


def _nothing(_: dict[str, Any]) -> None:
    """The callback for acknowledged events."""


@define(eq=False)
class World:
    """A simulator's settings, time, sessions and sockets.

    :ivar pace: how fast time passes.
    :ivar clock: when steps happen.
    :ivar board: announces changes outside calls and streams: sockets, sessions, acknowledgments.
    :ivar clients: the open sockets by number.
    """

    settings: Settings
    loop: Loop
    journal: Journal
    faults: Faults
    webhooks: StatusWebhooks = field(repr=False)
    board: Noticeboard = field(factory=Noticeboard, init=False, repr=False)
    sessions: ServerSessions = field(factory=ServerSessions, init=False)
    clients: dict[int, ClientSocket] = field(factory=dict, init=False, repr=False)
    pace: Pace = field(init=False)
    clock: Clock = field(init=False, repr=False)
    _held: list[tuple[str, ClientSocket, dict[str, Any]]] = field(factory=list, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.clock = Clock(self.loop)
        self.pace = Pace(self.settings.media == "fast", self.settings.speed)
        self.board.settle = self.settle
        settle_with(self.journal, self.settle)

    # -- for tests, from any thread ------------------------------------------------------------------------------------

    def do(self, fn: Callable[..., _T], *args: Any, timeout: float) -> _T:
        """Run a function on the loop's thread and wait for its result.

        :raises WaitTimeout: it did not finish within ``timeout`` seconds.
        :raises InvalidParameter: the timeout is invalid.
        :raises SimulatorClosed: the thread is not running.
        """
        left = seconds_to_wait(timeout)
        try:
            return self.loop.call(fn, *args, timeout=left)
        except TimeoutError as error:
            raise WaitTimeout(str(error)) from None
        except LoopStopped:
            raise SimulatorClosed("the simulator is not running: it is closed or not started") from None

    def settle(self) -> None:
        """Return once the loop's thread is between two steps, or has stopped."""
        if self.loop.busy:
            self.look(lambda: None)

    def look(self, fn: Callable[[], _T]) -> _T:
        """Return the result of a function that runs between two steps of the loop's thread, so that it sees a consistent state
        whose
        events are in the journal.
        """
        try:
            return self.loop.call(fn, timeout=SETTLED)
        except (LoopStopped, TimeoutError):
            return fn()

    # -- sessions ------------------------------------------------------------------------------------------------------

    def attach(self, client: ClientSocket, session: ServerSession) -> None:
        """Attach a socket to a session, in place of any previous one."""
        client.connection.prove()
        old = session.client
        client.session, session.client = session, client
        if old is not None and old is not client:
            old.session = None
            old.connection.close(1000, "replaced by a newer connection")

    def catch_up(self, session: ServerSession) -> None:
        """Send a session the events that were kept while it had no socket."""
        while session.missed and session.client is not None:
            self.request(session.client, session.missed.popleft())

    def subscribers(self, context: str) -> list[ServerSession]:
        """Return the connected sessions that have subscribed to a context."""
        staying = [client.session for client in self.clients.values() if not client.leaving]
        return [session for session in staying if session is not None and context in session.contexts]

    # -- frames out ----------------------------------------------------------------------------------------------------

    def write(self, client: ClientSocket, frame: dict[str, Any]) -> None:
        """Send a frame over a socket."""
        if client.number not in self.clients:
            self.journal.add("lost", client.number, frame)
            return
        self.journal.add("out", client.number, frame)
        client.connection.send(frames.dump(frame))

    def answer(self, client: ClientSocket, method: str, reply: dict[str, Any], fault: RequestFault | None) -> None:
        """Send the reply to a request, unless a fault drops or holds it."""
        kind = fault.kind if fault is not None else ""
        if kind == "drop":
            self.journal.add("lost", client.number, reply)
        elif kind == "hold":
            self._held.append((method, client, reply))
            self.board.changed()
        else:
            self.write(client, reply)

    def release(self, method: str | None) -> int:
        """Send the held replies, and return how many there were."""
        due = [held for held in self._held if method in (None, held[0])]
        self._held = [held for held in self._held if method not in (None, held[0])]
        for _, client, reply in due:
            self.write(client, reply)
        return len(due)

    def held(self, method: str | None) -> int:
        """Return how many replies are held."""
        return sum(1 for held in self._held if method in (None, held[0]))

    def request(
        self, client: ClientSocket, frame: dict[str, Any], then: Callable[[dict[str, Any]], None] = _nothing
    ) -> None:
        """Send a request of the simulator; ``then`` is called with the client's reply."""
        if len(client.pending) >= MOST_PENDING:
            client.pending.pop(next(iter(client.pending)))
        client.pending[frame["id"]] = then
        self.write(client, frame)

    def replied(self, client: ClientSocket, frame: dict[str, Any]) -> None:
        """A client has answered one of our requests."""
        client.pending.pop(str(frame.get("id")), _nothing)(frame)
        self.board.changed()

    def emit(self, session: ServerSession | None, event_type: str, params: dict[str, Any], **members: Any) -> None:
        """Send an event to a session, subject to faults. Without a session, nothing is sent.

        :param members: members of the envelope, added or replaced; ``None`` omits one.
        """
        if session is None:
            return
        settings = self.settings
        places = {"event_channel": session.protocol, "project_id": session.project, "space_id": settings.space}
        given = {name: value for name, value in {**places, **members}.items() if value is not None}
        self.send(session, event_type, params, frames.event(frames.envelope(event_type, params, **given)))

    def send(self, session: ServerSession, event_type: str, params: dict[str, Any], frame: dict[str, Any]) -> None:
        """Send the frame of an event, subject to faults."""
        fault = self.faults.for_event(event_type, params)
        kind = fault.kind if fault is not None else ""
        if kind == "drop":
            self.journal.add("lost", session.client.number if session.client else 0, frame)
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
            self.journal.add("lost", 0, frame)

    def announce(self, session: ServerSession) -> None:
        """Tell a session its authorization state: after a fresh connect, and whenever it changes."""
        self.emit(session, "signalwire.authorization.state", {"authorization_state": session.authorization_state})
