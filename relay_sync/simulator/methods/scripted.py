"""Requests that tests have scripted, and requests that are only acknowledged. See :class:`Scripts`.

The parameters have been validated before, and the call exists. Of nested objects, only the addresses to dial and the numbers of
messages are validated. Apart from ``calling.call.state`` events, scripted events do not change the simulator's state: a scripted
``calling.play`` plays nothing. Event faults also apply to scripted events.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..core.session import ServerSession
from ..people.network import NetworkCall
from ..people.phone import STATES
from . import bridging, dial, handshake, messaging
from .hunt import ADDRESSES
from .request import CommandRequest
from .scripts import DialScript, MethodScript, ScriptedLeg, usual_event

__all__ = ["carry_out"]


def _cannot_connect(request: CommandRequest) -> bool:
    """Reject a ``calling.connect`` whose devices are invalid. Return whether it was rejected."""
    findings = request.findings()
    findings.look_at_devices(request.params["devices"], bridging.CONNECTORS.keys())
    return request.reject_if_invalid(findings)


#: Validation of addresses, by method. Each function returns whether it has refused the request.
_REFUSALS: Final[Mapping[str, Callable[[CommandRequest], bool]]] = {
    "calling.connect": _cannot_connect,
    "calling.dial": dial.refused,
    "messaging.send": messaging.refused,
}
#: Parameters of a request that its events repeat.
_OF_CALLS: Final = ("call_id", "node_id", "control_id", "tag")
_OF_MESSAGES: Final = ("context", "from_number", "to_number", "body", "media", "tags", "tag")


def carry_out(request: CommandRequest) -> None:
    """Carry out a valid request: as its script says, as an acknowledgment only, or with the method's handler."""
    scripts, name = request.platform.scripts, request.spec.name
    broken = request.fault is not None and request.fault.kind == "break"
    only = scripts.acknowledge_only and name not in handshake.HANDLERS and not broken
    session = request.sender
    of = session.session_id if session is not None else ""
    if (only or scripts.has(name, of)) and name in _REFUSALS and _REFUSALS[name](request):
        return
    script = scripts.take(name, of)
    if isinstance(script, DialScript):
        _dial(request, script)
    elif script is not None:
        _follow(request, script)
    elif only:
        _acknowledge(request)
    else:
        request.platform.handlers.get(name, CommandRequest.accept)(request)


def _acknowledge(request: CommandRequest) -> dict[str, Any]:
    """Acknowledge a request, and return the members of the reply that its events repeat."""
    if request.spec.name != "messaging.send":
        request.accept()
        return {}
    message_id = str(uuid.uuid4())
    request.accept(message_id=message_id)
    return {"message_id": message_id}


def _follow(request: CommandRequest, script: MethodScript) -> None:
    params, session = request.params, request.sender
    members: dict[str, Any] = {}
    if script.reply is None:
        members = _acknowledge(request)
    else:
        request.reply(dict(script.reply))
        if "message_id" in script.reply:
            members["message_id"] = script.reply["message_id"]
    if request.spec.name == "messaging.send":
        members["direction"] = "outbound"
    repeated = _OF_MESSAGES if request.spec.name == "messaging.send" else _OF_CALLS
    members.update((name, params[name]) for name in repeated if name in params)
    loop = request.world.loop
    for event in script.events:
        kind = event.event_type or usual_event(request.spec.name)
        loop.call_later(event.at, _send, request, session, kind, {**members, **event.params})


def _send(request: CommandRequest, session: ServerSession | None, kind: str, params: dict[str, Any]) -> None:
    call = request.platform.network.calls.get(str(params.get("call_id")))
    request.world.emit(session, kind, params)
    if call is not None and kind == "calling.call.state" and params.get("call_state") in STATES:
        call.network.force(call, params["call_state"], announce=False)


def _dial(request: CommandRequest, script: DialScript) -> None:
    network, world, params = request.platform.network, request.world, request.params
    taken = next((leg.call_id for leg in script.legs if leg.call_id in network.calls), None)
    if taken is not None:
        request.refuse(409, f"The scripted call ID {taken[:100]} belongs to another call")
        return
    request.accept()
    tag = script.tag if script.tag is not None else str(params.get("tag", ""))
    node = script.node_id or world.settings.node
    device: Mapping[str, Any] = script.device if script.device is not None else _first_device(params)
    session, last = request.sender, 0.0
    calls = [_placed(request, leg, tag=tag, node=node, device=device) for leg in script.legs]
    winner = None if script.winner is None else calls[0]
    reason = script.reason if winner is None else "cancel"
    for leg, call in zip(script.legs, calls, strict=True):
        flag = network.winner_flag if call is winner else None
        for at, state in leg.times():
            world.loop.call_later(at, _move, call, state, reason, flag)
            last = max(last, at)

    def finish() -> None:
        about: dict[str, Any] = {"node_id": node, "tag": tag}
        if winner is None:
            about |= {"dial_state": "failed", "reason": script.reason, "source": "outbound"}
        else:
            winner.winner = network.winner_flag
            about |= {"dial_state": "answered", "call": winner.body()}
        world.emit(session, "calling.call.dial", about)

    if script.dialing:
        world.emit(session, "calling.call.dial", {"node_id": node, "tag": tag, "dial_state": "dialing"})
    world.loop.call_later(last + script.delay, finish)


def _first_device(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the first device of a dial, with its addresses only."""
    first = next(device for group in params["devices"] for device in group)
    shown = {name: first["params"][name] for name in ADDRESSES[first["type"]] if name in first["params"]}
    return {"type": first["type"], "params": shown}


def _placed(
    request: CommandRequest, leg: ScriptedLeg, *, tag: str, node: str, device: Mapping[str, Any]
) -> NetworkCall:
    """Add a leg's call, without an event."""
    session = request.sender
    call = NetworkCall(
        node_id=node,
        device=dict(device),
        context=session.protocol if session is not None else "",
        direction="outbound",
        tag=tag,
        owner=session,
        project=session.project if session is not None else "",
        call_id=leg.call_id or str(uuid.uuid4()),
    )
    request.platform.network.adopt(call)
    return call


def _move(call: NetworkCall, state: str, reason: str, winner: bool | str | None) -> None:
    """Bring a leg into a state and notify its client of this state only, unless the leg has ended."""
    network = call.network
    if network.calls.get(call.call_id) is not call:
        return
    if state == "answered":
        call.winner = winner
        network.answer(call)
    elif state == "ended":
        network.end_at_once(call, reason, call.far_side)
    else:
        network.move(call, state)
