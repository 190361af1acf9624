"""Basic call control: ``calling.answer``, ``calling.end`` and ``calling.pass``."""

from __future__ import annotations

from collections.abc import Mapping

from .request import CommandRequest, Handler

__all__ = ["HANDLERS"]


def _answer(request: CommandRequest) -> None:
    call = request.call
    # The error is not documented. Other methods return 409 if the call is already in the requested state.
    if call.state == "answered":
        request.refuse(409, "Call is already answered")
        return
    if call.direction == "outbound":
        request.refuse(409, "Call is outbound: only the callee can answer it")
        return
    request.accept()
    request.platform.network.answer(call, request.params.get("max_duration"))


def _end(request: CommandRequest) -> None:
    request.accept()
    call = request.call
    request.platform.network.end(call, request.params.get("reason", "hangup"), call.near_side)


def _pass(request: CommandRequest) -> None:
    call = request.call
    # A client can pass a call only while it is being offered. The error for other calls is not documented.
    if call.state not in ("created", "ringing"):
        request.refuse(409, "Call is already answered")
        return
    if call.direction == "outbound":
        request.refuse(409, "Call is outbound: only inbound calls can be passed")
        return
    request.accept()
    request.platform.network.pass_on(call, request.session)


HANDLERS: Mapping[str, Handler] = {
    "calling.answer": _answer,
    "calling.end": _end,
    "calling.pass": _pass,
}
