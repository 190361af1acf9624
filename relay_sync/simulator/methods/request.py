"""Client requests, replies to them, and the platform that handlers use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from attrs import define, field

from ..core import frames
from ..core.faults import RequestFault
from ..core.method_table import Method
from ..core.not_carried_out import NOT_CARRIED_OUT, not_carried_out
from ..core.schemas import Findings
from ..core.session import ClientSocket, ServerSession
from ..core.world import World
from ..media.sounds import Sounds
from ..people.directory import Directory
from ..people.network import Network, NetworkCall
from ..people.post import Post
from .scripts import Scripts

__all__ = ["CommandRequest", "Handler", "Handlers", "Platform", "RecordingStore"]

_T = TypeVar("_T")


class RecordingStore(Protocol):
    """A store for finished recordings. See :mod:`relay_sync.simulator.http.recordings`."""

    def new_id(self) -> str:
        """Return an ID for a new recording."""

    def url(self, recording_id: str) -> str:
        """Return a recording's URL, even if the recording has not finished."""

    def add(self, recording_id: str, wav: bytes) -> str:
        """Store a finished recording and return its URL."""


@define(eq=False, kw_only=True)
class Platform:
    """The simulated platform. Its methods must be called on the loop's thread.

    :ivar world: shared state of the simulator.
    :ivar handlers: handlers by method name, for RELAY and REST. Methods without a handler are only validated and acknowledged.
    :ivar recordings: store for finished recordings.
    :ivar network: simulated telephone network.
    :ivar directory: phones that tests have set up, by number.
    :ivar sounds: prepared sounds and their durations.
    :ivar scripts: scripts that tests have written for requests.
    :ivar post: delivery of messages and tasks.
    """

    world: World
    handlers: Handlers = field(repr=False)
    recordings: RecordingStore = field(repr=False)
    network: Network = field(init=False)
    directory: Directory = field(init=False, repr=False)
    sounds: Sounds = field(factory=Sounds, init=False, repr=False)
    scripts: Scripts = field(init=False, repr=False)
    post: Post = field(init=False, repr=False)
    _shared: dict[type, Any] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.network = Network(self.world)
        self.scripts = Scripts(self.world.settings.acknowledge_only)
        self.directory = Directory(self.world.settle)
        self.post = Post(self.world, self.network)

    def shared(self, kind: type[_T]) -> _T:
        """Return the shared instance of a class such as :class:`Queues`, creating it on first use."""
        if kind not in self._shared:
            self._shared[kind] = kind()
        found: _T = self._shared[kind]
        return found

    def ready(self, session: ServerSession) -> None:
        """Send pending data to a session that has connected, resumed or subscribed to more contexts.

        The data includes events that the session missed, and waiting calls, messages and tasks.
        """
        self.world.catch_up(session)
        self.network.welcome(session)
        self.post.welcome(session)
        self.world.board.changed()


@define(eq=False, kw_only=True)
class CommandRequest:
    """A well-formed request from a client. If its method requires a call, the call exists and has not ended.

    A handler replies exactly once, using one of the methods below, before performing the command. The acknowledgment is therefore
    sent before any events.

    :ivar addressed: the call that the request refers to, or ``None``.
    """

    platform: Platform = field(repr=False)
    client: ClientSocket = field(repr=False)
    request_id: Any
    spec: Method
    params: dict[str, Any] = field(repr=False)
    fault: RequestFault | None = None
    addressed: NetworkCall | None = None
    answered: bool = field(default=False, init=False)

    @property
    def world(self) -> World:
        """The shared state of the simulator."""
        return self.platform.world

    @property
    def session(self) -> ServerSession:
        """The session that sent the request."""
        assert self.client.session is not None
        return self.client.session

    @property
    def sender(self) -> ServerSession | None:
        """The session that sent the request, or ``None`` before the client is connected to one."""
        return self.client.session

    @property
    def call(self) -> NetworkCall:
        """The call that the request refers to."""
        assert self.addressed is not None
        return self.addressed

    def reply(self, result: dict[str, Any]) -> None:
        """Reply with an arbitrary result."""
        self._answer(frames.result(self.request_id, result))

    def accept(self, message: str | None = None, **more: Any) -> None:
        """Acknowledge the request in the documented format.

        The result contains the code ``"200"``, a message, and the IDs that the method echoes.

        :param message: message to use instead of the method's default.
        :param more: additional members of the result.
        """
        for text in not_carried_out(self.spec.name, self.params):
            control_id = str(self.params.get("control_id", ""))
            self.world.journal.notice(str(self.params.get("call_id", "")), control_id, NOT_CARRIED_OUT, text)
        result: dict[str, Any] = {"code": "200", "message": message or self.spec.message}
        if self.spec.echoes:
            result.update({name: self.params[name] for name in ("call_id", "control_id") if name in self.params})
        self.reply({**result, **more})

    def refuse(self, code: int, message: str, data: Any = None) -> None:
        """Reply with an error code in the result. Codes are sent as strings."""
        result = {"code": str(code), "message": message}
        self.reply(result if data is None else {**result, "data": data})

    def findings(self) -> Findings:
        """Return an empty collection for validation errors in nested objects. Pass it to :meth:`reject_if_invalid`."""
        return Findings(strict=self.world.settings.strict)

    def reject_if_invalid(self, findings: Findings) -> bool:
        """Reject the request if validation found errors. Return whether it was rejected."""
        if findings.malformed:
            data = {"signalwire_error_code": "INVALID_PARAMS", "errors": findings.malformed}
            self.fail(-32602, self.spec.schema_error, data)
        elif findings.impossible:
            self.refuse(400, "; ".join(findings.impossible.values()), findings.impossible)
        return bool(findings)

    def fail(self, code: int, message: str, data: Any = None) -> None:
        """Reply with a JSON-RPC error."""
        self._answer(frames.error(self.request_id, code, message, data))

    def _answer(self, reply: dict[str, Any]) -> None:
        if self.answered:
            raise RuntimeError(f"{self.spec.name} was already answered")
        self.answered = True
        self.world.answer(self.client, self.spec.name, reply, self.fault)


Handler = Callable[[CommandRequest], None]
Handlers = Mapping[str, Handler]
