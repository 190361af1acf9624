"""Hold, noise suppression, echo, user events, SIP REFER and transfer.

The following behavior is not documented by SignalWire and may differ on the real platform:

* Switching a feature to its current state fails with code 409. SignalWire documents this only for noise suppression.
* ``calling.echo`` runs for 30 seconds if the client does not specify a ``timeout``.
* After a REFER, the party dials the target, which a test can configure with ``expect_phone``. No client receives events for the
  new call. When the target answers, the party leaves the original call.
* Commands to a transferred call fail with code 404. The call sends no events until its party hangs up. If the destination is
  ``context:NAME``, the call is offered to another client in that context.
* A call in a bridge or conference cannot be transferred. The command fails with code 409.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import define, field

from ..core.schemas import Findings
from ..media.hearing import hear, hear_no_more
from .conferences import Participant
from .hunt import Hunt, Leg
from .operation import NetworkOperation, engaged, running, start
from .request import CommandRequest, Handler

__all__ = ["HANDLERS", "Echo", "Refer"]

ECHO = 30.0
REFER_SET_UP = 0.5
# State of the REFER event and SIP response code, by the result of the call to the target.
_OUTCOMES = {
    "success": ("success", "200"),
    "busy": ("busy", "486"),
    "noAnswer": ("noAnswer", "480"),
    "decline": ("cancel", "603"),
    "notFound": ("error", "404"),
}


def _switch(feature: str, on: bool, event_type: str, members: Mapping[str, Any]) -> Handler:
    """Return a handler that switches a call feature on or off."""

    def handler(request: CommandRequest) -> None:
        call = request.call
        if call.state != "answered":
            request.refuse(409, "Call is not answered")
        elif (feature in call.features) is on:
            request.refuse(409, f"Call is already {feature}" if on else f"Call is not {feature}")
        else:
            request.accept()
            request.world.emit(call.owner, event_type, {**call.address(), **members})
            (call.features.add if on else call.features.discard)(feature)
            call.board.changed()
            place = running(call, Participant) if feature == "on hold" else None
            if place is not None:
                place.conference.send_event(f"participant-{members['state']}", place)

    return handler


@define(eq=False, kw_only=True)
class Echo(NetworkOperation):
    """An echo that plays the party's audio back to the party."""

    event_type = "calling.call.echo"
    failure: ClassVar[Mapping[str, Any]] = {"state": "finished"}

    def begin(self) -> None:
        self.send_event(state="echoing")
        hear(self.call, self.call)
        self.await_party("timeout", self.params.get("timeout") or ECHO, self.finish)

    def on_silence(self) -> None:
        self.finish()

    def drop(self) -> None:
        hear_no_more(self.call, self.call)
        super().drop()


@define(eq=False, kw_only=True)
class Refer(NetworkOperation):
    """A SIP REFER that makes the party call another address."""

    event_type = "calling.call.refer"
    failure: ClassVar[Mapping[str, Any]] = {"state": "error", "sip_refer_response_code": "500"}
    hunt: Hunt = field(init=False)

    @property
    def _target(self) -> str:
        return str(self.params["device"]["params"]["to"])

    def in_events(self) -> dict[str, Any]:
        return {"sip_refer_to": self._target}

    def begin(self) -> None:
        self.send_event(state="inProgress", sip_refer_response_code="202")
        device = {"type": "sip", "params": {"to": self._target, "from": self.call.number}}
        leg = Leg(platform=self.platform, device=device, owner=None, context=self.call.context)
        self.hunt = Hunt([[leg]], lambda _: self._decided("success"), self._decided)
        self.after("set up", REFER_SET_UP, self.hunt.begin)

    def _decided(self, outcome: str) -> None:
        state, code = _OUTCOMES.get(outcome, ("error", "500"))
        self.close(state=state, sip_refer_response_code="202", sip_notify_response_code=code)
        if state == "success":
            self.call.hang_up()

    def call_ended(self) -> None:
        self.hunt.abandon()
        if self.world.settings.finish_streams:
            self.close(state="cancel")
        self.drop()


def _check_refer(findings: Findings, params: Mapping[str, Any]) -> None:
    findings.look_at_one_of({"sip": "refer"}, params["device"], "device")


def _user_event(request: CommandRequest) -> None:
    request.accept()
    call, event = request.call, request.params["event"]
    members = event if isinstance(event, dict) else {"event": event}
    request.world.emit(call.owner, "calling.user_event", {**members, **call.address()})


def _transfer(request: CommandRequest) -> None:
    if engaged(request.call):
        request.refuse(409, engaged(request.call))
        return
    request.accept()
    request.platform.network.transfer(request.call, request.session, request.params["dest"])


HANDLERS: Mapping[str, Handler] = {
    "calling.hold": _switch("on hold", True, "calling.call.hold", {"state": "hold"}),
    "calling.unhold": _switch("on hold", False, "calling.call.hold", {"state": "unhold"}),
    "calling.denoise": _switch("denoised", True, "calling.call.denoise", {"denoised": True}),
    "calling.denoise.stop": _switch("denoised", False, "calling.call.denoise", {"denoised": False}),
    "calling.echo": start(Echo, only_one="Call is already echoing"),
    "calling.refer": start(Refer, check=_check_refer, only_one="A REFER is already in progress"),
    "calling.transfer": _transfer,
    "calling.user_event": _user_event,
}
