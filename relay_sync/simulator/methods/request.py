"""A client's request, the ways to answer it, and the platform that handlers work with."""

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

__all__ = ["CommandRequest", "Handler", "Handlers", "Platform", "RecordingStore"]

_T = TypeVar("_T")


class RecordingStore(Protocol):
    """The store of finished recordings; see :mod:`relay_sync.simulator.http.recordings`."""

    def new_id(self) -> str:
        """Return an id for a new recording."""

    def url(self, recording_id: str) -> str:
        """Return the URL of a recording, whether or not it has finished."""

    def add(self, recording_id: str, wav: bytes) -> str:
        """Serve a finished recording, and return its URL."""


@define(eq=False, kw_only=True)
class Platform:
    """The simulated platform, as handlers see it. Runs on the loop's thread.

    :ivar handlers: carry out the methods, for RELAY and REST alike. Requests for a method without a handler are checked and
        acknowledged, and have no effect.
    :ivar directory: the phones at each number.
    :ivar sounds: the prepared sounds and their durations.
    :ivar post: messages and tasks.
    """

    world: World
    handlers: Handlers = field(repr=False)
    recordings: RecordingStore = field(repr=False)
    network: Network = field(init=False)
    directory: Directory = field(init=False, repr=False)
    sounds: Sounds = field(factory=Sounds, init=False, repr=False)
    post: Post = field(init=False, repr=False)
    _shared: dict[type, Any] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.network = Network(self.world)
        self.directory = Directory(self.world.settle)
        self.post = Post(self.world, self.network)

    def shared(self, kind: type[_T]) -> _T:
        """Return the state that several methods share, such as the waiting queues; create it on first use."""
        if kind not in self._shared:
            self._shared[kind] = kind()
        found: _T = self._shared[kind]
        return found

    def ready(self, session: ServerSession) -> None:
        """Send a connected session the events that it missed, if they are kept, and the waiting calls, messages and tasks."""
        self.world.catch_up(session)
        self.network.welcome(session)
        self.post.welcome(session)
        self.world.board.changed()


@define(eq=False, kw_only=True)
class CommandRequest:
    """One well-formed request. If its method is addressed to a call, that call exists and has not ended.

    A handler answers it exactly once with one of the methods below, and *then* acts on it, so that the acknowledgment is
    sent before the events.

    :ivar addressed: the call that the request names, if any.
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
        """The world that the platform shares."""
        return self.platform.world

    @property
    def session(self) -> ServerSession:
        """The session of the client that sent the request."""
        assert self.client.session is not None
        return self.client.session

    @property
    def call(self) -> NetworkCall:
        """The call that the request is addressed to."""
        assert self.addressed is not None
        return self.addressed

    def reply(self, result: dict[str, Any]) -> None:
        """Answer with a result of any shape."""
        self._answer(frames.result(self.request_id, result))

    def accept(self, message: str | None = None, **more: Any) -> None:
        """Acknowledge in the documented form.

        :param message: replaces the method's own text.
        :param more: members added to the code ``"200"``, the text, and the ids that the method echoes.
        """
        for text in not_carried_out(self.spec.name, self.params):
            control_id = str(self.params.get("control_id", ""))
            self.world.journal.notice(str(self.params.get("call_id", "")), control_id, NOT_CARRIED_OUT, text)
        result: dict[str, Any] = {"code": "200", "message": message or self.spec.message}
        if self.spec.echoes:
            result.update({name: self.params[name] for name in ("call_id", "control_id") if name in self.params})
        self.reply({**result, **more})

    def refuse(self, code: int, message: str, data: Any = None) -> None:
        """Answer with a result whose code means failure. Codes are strings on the wire."""
        result = {"code": str(code), "message": message}
        self.reply(result if data is None else {**result, "data": data})

    def findings(self) -> Findings:
        """Return an empty record for errors in the objects inside the parameters; see :meth:`objects`."""
        return Findings(strict=self.world.settings.strict)

    def objects(self, findings: Findings) -> bool:
        """Refuse the request if there are findings. Return whether there were any."""
        if findings.malformed:
            data = {"signalwire_error_code": "INVALID_PARAMS", "errors": findings.malformed}
            self.fail(-32602, self.spec.schema_error, data)
        elif findings.impossible:
            self.refuse(400, "; ".join(findings.impossible.values()), findings.impossible)
        return bool(findings)

    def fail(self, code: int, message: str, data: Any = None) -> None:
        """Answer with a JSON-RPC error."""
        self._answer(frames.error(self.request_id, code, message, data))

    def _answer(self, reply: dict[str, Any]) -> None:
        if self.answered:
            raise RuntimeError(f"{self.spec.name} was already answered")
        self.answered = True
        self.world.answer(self.client, self.spec.name, reply, self.fault)


Handler = Callable[[CommandRequest], None]
Handlers = Mapping[str, Handler]
