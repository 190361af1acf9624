"""A client's request on its way through the simulator, and the ways to answer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, field

from . import frames
from .faults import RequestFault
from .method_table import Method
from .not_carried_out import NOT_CARRIED_OUT, not_carried_out
from .schemas import Findings

if TYPE_CHECKING:
    from ..people.network import Call
    from ..relay import Client, Relay
    from .session import Session

__all__ = ["Handler", "Handlers", "Request"]


@define(eq=False, kw_only=True)
class Request:
    """One request, already found to be well-formed and, where its method is addressed to a call, to name a live one.

    A handler answers it exactly once, by one of the methods below, and *then* lets happen what it asked for, so that
    the acknowledgement leaves before the events.
    """

    relay: Relay = field(repr=False)
    client: Client = field(repr=False)
    request_id: Any
    spec: Method
    params: dict[str, Any] = field(repr=False)
    fault: RequestFault | None = None
    answered: bool = field(default=False, init=False)
    _call: Call | None = field(default=None, alias="call")

    @property
    def session(self) -> Session:
        """The session of the client that asks."""
        assert self.client.session is not None
        return self.client.session

    @property
    def call(self) -> Call:
        """The live call that it is addressed to."""
        assert self._call is not None
        return self._call

    def reply(self, result: dict[str, Any]) -> None:
        """Answer with a result of any shape."""
        self.relay.answer(self, frames.result(self.request_id, result))

    def accept(self, message: str | None = None, **more: Any) -> None:
        """Acknowledge in the documented form: code ``"200"``, the method's text, the ids it echoes, and ``more``."""
        for text in not_carried_out(self.spec.name, self.params):
            control_id = str(self.params.get("control_id", ""))
            self.relay.journal.notice(str(self.params.get("call_id", "")), control_id, NOT_CARRIED_OUT, text)
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
        return Findings(strict=self.relay.settings.strict)

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
        self.relay.answer(self, frames.error(self.request_id, code, message, data))


Handler = Callable[[Request], None]
Handlers = Mapping[str, Handler]
