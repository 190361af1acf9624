"""A client's request, the ways to answer it, and the platform that its handler works with."""

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
    """Where finished recordings are put; see :mod:`relay_sync.simulator.http.recordings`."""

    def new_id(self) -> str:
        """An id for a recording that begins."""

    def url(self, recording_id: str) -> str:
        """Where a recording is or will be."""

    def add(self, recording_id: str, wav: bytes) -> str:
        """Serve a finished recording; returns its address."""


@define(eq=False, kw_only=True)
class Platform:
    """The simulated platform: what handlers need to carry out methods. Runs on the loop's thread.

    ``handlers`` carry out methods from RELAY and REST. A method without a handler is checked and acknowledged only.

    :ivar directory: the phones by number.
    :ivar sounds: the durations of sounds.
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
        """What the methods of one theme have in common, such as the waiting queues: made when it is first asked for."""
        if kind not in self._shared:
            self._shared[kind] = kind()
        found: _T = self._shared[kind]
        return found

    def ready(self, session: ServerSession) -> None:
        """The session can take events and calls: send what it missed, if that is kept, and what is waiting."""
        self.world.catch_up(session)
        self.network.welcome(session)
        self.post.welcome(session)
        self.world.board.changed()


@define(eq=False, kw_only=True)
class CommandRequest:
    """One request, already found to be well-formed and, where its method is addressed to a call, to name a live one.

    A handler answers it exactly once, by one of the methods below, and *then* lets happen what it asked for, so that
    the acknowledgment is sent before the events.

    :ivar addressed: the live call that it names, if any.
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
        """That of the platform."""
        return self.platform.world

    @property
    def session(self) -> ServerSession:
        """The session of the client that asks."""
        assert self.client.session is not None
        return self.client.session

    @property
    def call(self) -> NetworkCall:
        """The live call that it is addressed to."""
        assert self.addressed is not None
        return self.addressed

    def reply(self, result: dict[str, Any]) -> None:
        """Answer with a result of any shape."""
        self._answer(frames.result(self.request_id, result))

    def accept(self, message: str | None = None, **more: Any) -> None:
        """Acknowledge in the documented form: code ``"200"``, the method's text, the ids it echoes, and ``more``."""
        for text in not_carried_out(self.spec.name, self.params):
            control_id = str(self.params.get("control_id", ""))
            self.world.journal.notice(str(self.params.get("call_id", "")), control_id, NOT_CARRIED_OUT, text)
        result: dict[str, Any] = {"code": "200", "message": message or self.spec.message}
        if self.spec.echoes:
            result.update({name: self.params[name] for name in ("call_id", "control_id") if name in self.params})
        self.reply({**result, **more})

    def refuse(self, code: int, message: str, data: Any = None) -> None:
        """Answer with a result whose code is no success. Codes are strings on the wire."""
        result = {"code": str(code), "message": message}
        self.reply(result if data is None else {**result, "data": data})

    def findings(self) -> Findings:
        """Where to write down what is wrong with the objects inside the parameters; see :meth:`objects`."""
        return Findings(strict=self.world.settings.strict)

    def objects(self, findings: Findings) -> bool:
        """Refuse what was found to be wrong, if anything was. Whether it was."""
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
            raise RuntimeError(f"{self.spec.name} was answered already")
        self.answered = True
        self.world.answer(self.client, self.spec.name, reply, self.fault)


Handler = Callable[[CommandRequest], None]
Handlers = Mapping[str, Handler]
