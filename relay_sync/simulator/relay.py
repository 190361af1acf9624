"""The RELAY side of the simulator: sockets and frames in, answers and events out. All of it runs on the loop's
thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define, field

from ..errors import WaitTimeout
from ..server.loop import Loop, LoopStopped, Timer
from ..server.websocket import Connection
from ..threads.logs import get as log_of
from .core import frames
from .core.clock import Clock
from .core.faults import Faults, RequestFault
from .core.frames import MalformedFrame
from .core.journal import Journal
from .core.method_table import METHODS, Method
from .core.noticeboard import Noticeboard, seconds_to_wait
from .core.pace import Pace
from .core.request import Handlers, Request
from .core.session import Session, Sessions
from .core.settings import Settings
from .http.recordings import Recordings
from .http.webhooks import Webhooks
from .media.sounds import Sounds
from .people.directory import Directory
from .people.network import Network
from .people.post import Post

if TYPE_CHECKING:
    from .methods.conferences import Conference
    from .methods.queues import Queue

__all__ = ["Client", "Relay"]

_T = TypeVar("_T")

_log = log_of("relay_sync.simulator").later

# No source gives these; they are the simulator's own wording and codes.
NOT_CONNECTED = (-32003, "Not allowed: signalwire.connect comes first")
CALL_NOT_FOUND = (404, "Call not found")
MOST_PENDING = 10_000
SETTLED = 1.0  # seconds that a step of the loop may take; longer ones are not waited for


@define(eq=False)
class Client:
    """One socket of a client.

    :ivar number: counts the sockets from 1, as the journal names them.
    :ivar leaving: whether it was told to leave; it gets no more calls.
    :ivar pending: our requests that it has not answered yet: what happens when it does.
    """

    number: int
    connection: Connection = field(repr=False)
    session: Session | None = None
    leaving: bool = field(default=False, init=False)
    pending: dict[str, Callable[[dict[str, Any]], None]] = field(factory=dict, init=False, repr=False)
    timer: Timer | None = field(default=None, init=False, repr=False)


def _nothing(_: dict[str, Any]) -> None:
    """What happens after an event was acknowledged."""


@define(eq=False)
class Relay:
    """Everything that the RELAY sockets share.

    ``handlers`` carry out methods; one that has none is checked like any other and acknowledged, and nothing comes of
    it.

    :ivar pace: how fast time passes. :ivar clock: when things happen.
    :ivar directory: who is at which number. :ivar sounds: how long sounds are.
    :ivar post: messages and tasks. :ivar queues: the waiting queues, by name; :ivar conferences: likewise.
    """

    settings: Settings
    loop: Loop
    journal: Journal
    faults: Faults
    webhooks: Webhooks
    handlers: Handlers = field(repr=False)
    board: Noticeboard = field(factory=Noticeboard, init=False, repr=False)
    sessions: Sessions = field(factory=Sessions, init=False)
    clients: dict[int, Client] = field(factory=dict, init=False, repr=False)
    recordings: Recordings = field(factory=Recordings, init=False)
    network: Network = field(init=False)
    directory: Directory = field(factory=Directory, init=False, repr=False)
    sounds: Sounds = field(factory=Sounds, init=False, repr=False)
    post: Post = field(init=False, repr=False)
    pace: Pace = field(init=False)
    clock: Clock = field(init=False, repr=False)
    queues: dict[str, Queue] = field(factory=dict, init=False, repr=False)
    conferences: dict[str, Conference] = field(factory=dict, init=False, repr=False)
    _opened: int = field(default=0, init=False)
    _held: list[tuple[str, Client, dict[str, Any]]] = field(factory=list, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.clock = Clock(self.loop)
        self.network = Network(self)
        self.post = Post(self)
        self.pace = Pace(self.settings.media == "fast", self.settings.speed)
        self.board.settle = self.journal._board.settle = self.settle

    def do(self, fn: Callable[..., _T], *args: Any, timeout: float) -> _T:
        """Run something on the loop's thread, and wait for it.

        :raises WaitTimeout: it was not done within so many seconds. :raises InvalidParameter: a timeout that cannot be right.
        """
        left = seconds_to_wait(timeout)
        try:
            return self.loop.call(fn, *args, timeout=left)
        except TimeoutError as error:
            raise WaitTimeout(str(error)) from None

    def settle(self) -> None:
        """Return once the loop's thread is between two steps, or is no more; from any thread."""
        if self.loop.busy:
            self.look(lambda: None)

    def look(self, fn: Callable[[], _T]) -> _T:
        """What a function finds between two steps of the loop's thread: nothing that is just on its way from one place to
        another is missed, and what is seen is in the journal. From any thread.
        """
        try:
            return self.loop.call(fn, timeout=SETTLED)
        except (LoopStopped, TimeoutError):
            return fn()

    # -- sockets -------------------------------------------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """A client's WebSocket is open."""
        self._opened += 1
        client = Client(self._opened, connection)
        self.clients[client.number] = client
        connection.on_message = lambda message: self._received(client, message)
        connection.on_close = lambda *_: self._closed(client)
        self._ping_later(client)
        self.board.changed()

    def _closed(self, client: Client) -> None:
        self.clients.pop(client.number, None)
        client.pending.clear()
        if client.timer is not None:
            client.timer.cancel()
        if client.session is not None and client.session.client is client:
            client.session.client = None
        self.board.changed()

    def attach(self, client: Client, session: Session) -> None:
        """Give a session this socket, in place of any it had."""
        client.connection.prove()
        old = session.client
        client.session, session.client = session, client
        if old is not None and old is not client:
            old.session = None
            old.connection.close(1000, "replaced by a newer connection")

    def ready(self, session: Session) -> None:
        """The session can take events and calls: send what it missed, if that is kept, and what is waiting."""
        while session.missed and session.client is not None:
            self.request(session.client, session.missed.popleft())
        self.network.welcome(session)
        self.post.welcome(session)
        self.board.changed()

    # -- frames in -----------------------------------------------------------------------------------------------------

    def _received(self, client: Client, message: str | bytes) -> None:
        text = message if isinstance(message, str) else message.decode("utf-8", "replace")
        try:
            frame = frames.parse(text)
        except MalformedFrame as problem:
            self.journal.add("in", client.number, None, text)
            self.write(client, frames.error(problem.request_id, problem.code, str(problem)))
            return
        self.journal.add("in", client.number, frame)
        try:
            self._work(client, frames.check(frame))
        except MalformedFrame as problem:
            self.write(client, frames.error(problem.request_id, problem.code, str(problem)))
        except Exception:
            _log.exception("the simulator failed on a request; please report this")
            self.write(client, frames.error(frame.get("id"), -32603, "Internal error"))

    def _work(self, client: Client, frame: dict[str, Any]) -> None:
        if "method" not in frame:
            client.pending.pop(str(frame.get("id")), _nothing)(frame)
            self.board.changed()
            return
        method, params = frame["method"], frames.whole_numbers(frame.get("params", {}))
        if method == "signalwire.execute":
            # The old wrapper; it is answered as if its contents had been sent plainly.
            method, params = params.get("method", ""), params.get("params", {})
            if not isinstance(method, str) or not isinstance(params, dict):
                raise MalformedFrame(-32602, "Invalid ExecuteParams", frame["id"])
        spec = METHODS.get(method)
        fault = self.faults.for_request(method)
        known = spec or Method(name=method, message="", on_call=False, echoes=False, parameters={})
        request = Request(relay=self, client=client, request_id=frame["id"], spec=known, params=params, fault=fault)
        try:
            self._carry_out(request, spec)
        except Exception:
            _log.exception("the simulator failed on a request; please report this")
            if not request.answered:
                request.fail(-32603, "Internal error")

    def _carry_out(self, request: Request, spec: Method | None) -> None:
        fault = request.fault
        if fault is not None and fault.kind == "refuse":
            request.refuse(int(fault.code), fault.message, fault.data)
        elif fault is not None and fault.kind == "fail":
            request.fail(int(fault.code), fault.message, fault.data)
        elif request.client.session is None and request.spec.name != "signalwire.connect":
            request.fail(*NOT_CONNECTED)
        elif spec is None:
            request.fail(-32601, f"Method not found: {request.spec.name[:100]}")
        else:
            self._check(request)

    def _check(self, request: Request) -> None:
        spec, params = request.spec, request.params
        problems = spec.malformed(params, strict=self.settings.strict)
        if problems:
            request.fail(-32602, spec.schema_error, {"signalwire_error_code": "INVALID_PARAMS", "errors": problems})
            return
        if spec.on_call:
            call = self.network.find(params["call_id"], params["node_id"], request.session)
            if call is None:
                request.refuse(*CALL_NOT_FOUND)
                return
            request._call = call
        impossible = spec.impossible(params)
        if impossible:
            request.refuse(400, "; ".join(impossible.values()), impossible)
            return
        self.handlers.get(spec.name, Request.accept)(request)

    # -- frames out ----------------------------------------------------------------------------------------------------

    def write(self, client: Client, frame: dict[str, Any]) -> None:
        """Send a frame over a socket."""
        if client.number not in self.clients:
            self.journal.add("lost", client.number, frame)
            return
        self.journal.add("out", client.number, frame)
        client.connection.send(frames.dump(frame))

    def answer(self, request: Request, reply: dict[str, Any]) -> None:
        """Send a reply, unless a fault keeps it back. A request has one."""
        if request.answered:
            raise RuntimeError(f"{request.spec.name} was answered already")
        request.answered = True
        kind = request.fault.kind if isinstance(request.fault, RequestFault) else ""
        if kind == "drop":
            self.journal.add("lost", request.client.number, reply)
        elif kind == "hold":
            self._held.append((request.spec.name, request.client, reply))
            self.board.changed()
        else:
            self.write(request.client, reply)

    def release(self, method: str | None) -> int:
        """Send the replies that are held back; how many there were."""
        due = [held for held in self._held if method in (None, held[0])]
        self._held = [held for held in self._held if method not in (None, held[0])]
        for _, client, reply in due:
            self.write(client, reply)
        return len(due)

    def held(self, method: str | None) -> int:
        """How many replies are held back."""
        return sum(1 for held in self._held if method in (None, held[0]))

    def request(self, client: Client, frame: dict[str, Any], then: Callable[[dict[str, Any]], None] = _nothing) -> None:
        """Send a request of ours; ``then`` gets the client's reply."""
        if len(client.pending) >= MOST_PENDING:
            client.pending.pop(next(iter(client.pending)))
        client.pending[frame["id"]] = then
        self.write(client, frame)

    def emit(self, session: Session | None, event_type: str, params: dict[str, Any], **members: Any) -> None:
        """Tell a session of an event, as the faults in force allow. Without a session nobody is told.

        :param members: of the envelope, beside the usual ones or in their place; ``None`` leaves one out.
        """
        if session is None:
            return
        settings = self.settings
        places = {"event_channel": session.protocol, "project_id": session.project, "space_id": settings.space}
        given = {name: value for name, value in {**places, **members}.items() if value is not None}
        self.send(session, event_type, params, frames.event(frames.envelope(event_type, params, **given)))

    def send(self, session: Session, event_type: str, params: dict[str, Any], frame: dict[str, Any]) -> None:
        """Send the frame of an event, as the faults in force allow."""
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

    def _deliver(self, session: Session, frame: dict[str, Any]) -> None:
        if session.client is not None:
            self.request(session.client, frame)
        elif self.settings.replay_events:
            session.missed.append(frame)
        else:
            self.journal.add("lost", 0, frame)

    def announce(self, session: Session) -> None:
        """Tell a session its authorization state: after a fresh connect, and whenever it changes."""
        self.emit(session, "signalwire.authorization.state", {"authorization_state": session.authorization_state})

    # -- keeping alive -------------------------------------------------------------------------------------------------

    def _ping_later(self, client: Client) -> None:
        if self.settings.ping_interval is not None:
            client.timer = self.loop.call_later(self.settings.ping_interval, self._ping, client)

    def _ping(self, client: Client) -> None:
        """Ask a client whether it is there; one that does not answer is dropped, as the platform does."""
        if client.number not in self.clients:
            return
        if client.session is None:
            self._ping_later(client)
            return
        client.timer = self.loop.call_later(self.settings.ping_timeout, client.connection.abort)

        def answered(_: dict[str, Any]) -> None:
            if client.timer is not None:
                client.timer.cancel()
            self._ping_later(client)

        self.request(client, frames.ping(), answered)

    def subscribers(self, context: str) -> list[Session]:
        """The sessions that have a socket and want calls of a context."""
        staying = [client.session for client in self.clients.values() if not client.leaving]
        return [session for session in staying if session is not None and context in session.contexts]
