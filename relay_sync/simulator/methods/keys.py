"""DTMF digits: ``calling.send_digits``, ``calling.bind_digit`` and ``calling.clear_digit_bindings``.

``calling.send_digits`` sends digits to the party. ``calling.bind_digit`` runs a method when the party presses certain digits.

The following behavior is not documented by SignalWire and may differ on the real platform:

* Sending a digit takes 0.2 seconds. Only the pauses are documented: ``w`` takes 0.5 seconds, and ``W`` takes one second.
* A binding is triggered when the most recent digits match its digits.
* All methods that operate on a call can be bound, except ``calling.answer``, ``calling.pass`` and the two binding methods.
* A bound method's reply is discarded, but its events are sent as usual.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any, cast

from attrs import define, field

from ...threads.logs import get as log_of
from ..core.method_table import METHODS
from .operation import NetworkOperation, start
from .request import CommandRequest, Handler

__all__ = ["HANDLERS", "Binding", "SendDigits"]

_log = log_of("relay_sync.simulator").later

KEY = 0.2
_PAUSES = {"w": 0.5, "W": 1.0}
_DIGITS = re.compile(r"[0-9*#A-DwW]+")
_NOT_BOUND = frozenset({"calling.answer", "calling.pass", "calling.bind_digit", "calling.clear_digit_bindings"})


@define(eq=False, kw_only=True)
class SendDigits(NetworkOperation):
    """A digit sequence being sent to the party."""

    event_type = "calling.call.send_digits"

    def begin(self) -> None:
        digits = self.params["digits"]
        self.after("sent", sum(_PAUSES.get(digit, KEY) for digit in digits), self._sent)

    def _sent(self) -> None:
        self.finish()
        self.call.party.digits += re.sub("[wW]", "", self.params["digits"])
        self.call.board.changed()


@define(eq=False, kw_only=True)
class _Bound(CommandRequest):
    """A request triggered by a digit binding. Its reply is discarded, and errors are logged."""

    def reply(self, result: dict[str, Any]) -> None:
        if not str(result.get("code", "200")).startswith("2"):
            _log.warning("bound method %s was refused: %s", self.spec.name, result.get("message"))

    def fail(self, code: int, message: str, data: Any = None) -> None:
        _log.warning("bound method %s failed: %s", self.spec.name, message)

    @property
    def session(self) -> Any:
        return self.call.owner


@define(eq=False, kw_only=True)
class Binding(NetworkOperation):
    """A digit sequence that triggers a method.

    A binding sends no events. It ends when it is cleared, when it reaches ``max_triggers``, or when the call ends.
    """

    counts_as_running = False
    _last: str = field(default="", init=False)
    _fired: int = field(default=0, init=False)

    def begin(self) -> None:
        pass

    def call_ended(self) -> None:
        self.drop()

    def on_key(self, digit: str) -> None:
        digits = self.params["digits"]
        self._last = (self._last + digit)[-len(digits) :]
        if self._last == digits:
            self._last = ""
            self._fired += 1
            if self._fired == self.params.get("max_triggers"):
                self.drop()
            self._fire()

    def _fire(self) -> None:
        platform, call, spec = self.platform, self.call, METHODS[self.params["bind_method"]]
        given = self.params.get("params")
        params = {**(given if isinstance(given, dict) else {}), "node_id": call.node_id, "call_id": call.call_id}
        if "control_id" in spec.parameters:
            params.setdefault("control_id", str(uuid.uuid4()))
        request = _Bound(
            platform=platform, client=cast("Any", None), request_id="", spec=spec, params=params, addressed=call
        )
        problems = spec.malformed(params, strict=self.world.settings.strict) or list(spec.impossible(params).values())
        if problems:
            request.fail(-32602, "; ".join(problems))
        else:
            platform.handlers.get(spec.name, CommandRequest.accept)(request)


def _bind(request: CommandRequest) -> None:
    params, call = request.params, request.call
    spec = METHODS.get(params["bind_method"])
    problems = {}
    if spec is None or not spec.on_call or spec.name in _NOT_BOUND:
        problems["bind_method"] = "bind_method cannot be bound"
    if not re.fullmatch(r"[0-9*#A-D]+", params["digits"]):
        problems["digits"] = "digits may contain only 0-9, *, # and A-D"
    if problems:
        request.refuse(400, "; ".join(problems.values()), problems)
        return
    request.accept()
    call.operations.append(Binding(platform=request.platform, call=call, method=request.spec.name, params=params))
    call.board.changed()


def _clear(request: CommandRequest) -> None:
    request.accept()
    realm = request.params.get("realm")
    for each in list(request.call.operations):
        if isinstance(each, Binding) and realm in (None, each.params.get("realm", "default")):
            each.drop()


def _send(request: CommandRequest) -> None:
    if not _DIGITS.fullmatch(request.params["digits"]):
        problem = {"digits": "digits may contain only 0-9, *, #, A-D, w and W"}
        request.refuse(400, problem["digits"], problem)
    else:
        start(SendDigits)(request)


HANDLERS: Mapping[str, Handler] = {
    "calling.send_digits": _send,
    "calling.bind_digit": _bind,
    "calling.clear_digit_bindings": _clear,
}
