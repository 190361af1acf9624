"""Outbound calls: ``calling.dial`` and its obsolete predecessor ``calling.begin``.

As documented, the acknowledgment has no ``call_id``. The ``dialing`` event comes first, followed by each leg's state events,
which contain the dial's tag and the leg's ``call_id``. The winning leg's ``answered`` event precedes the dial's ``answered``
event. The remaining legs then end.

Events of an answered leg contain ``dial_winner``. Its value is the string ``"true"``, as in AsyncAPI. With
``Simulator(dial_winner="boolean")``, it is a boolean, as in the porting guide.

If no device answers, the dial sends ``failed`` with a ``reason`` and the ``source`` ``outbound``.

A dial with the same tag as a running dial fails with code 409. SignalWire does not document an error for this case.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field

from ..core.session import ServerSession
from ..core.world import World
from .hunt import ADDRESSES, Attempt, Hunt, Leg
from .request import CommandRequest, Handler, Platform

__all__ = ["HANDLERS", "NetworkDial", "refused"]


@define(eq=False, kw_only=True)
class NetworkDial:
    """A dial, from its acknowledgment to its result."""

    platform: Platform = field(repr=False)
    session: ServerSession = field(repr=False)
    params: dict[str, Any] = field(repr=False)
    hunt: Hunt = field(init=False)

    @property
    def world(self) -> World:
        """The shared state of the simulator."""
        return self.platform.world

    @property
    def tag(self) -> str:
        """The tag chosen by the client."""
        return str(self.params["tag"])

    def begin(self) -> None:
        """Start dialing with the first group of devices."""
        params = self.params
        legs = [
            [
                Leg(
                    platform=self.platform,
                    device=device,
                    owner=self.session,
                    tag=self.tag,
                    context=self.session.protocol,
                    timeout=params.get("timeout"),
                    max_duration=params.get("max_duration"),
                )
                for device in group
            ]
            for group in params["devices"]
        ]
        self.hunt = Hunt(legs, self._won, self._lost)
        self.platform.network.dials.add(self.tag)
        self.send_event("dialing")
        self.hunt.begin()

    def send_event(self, state: str, /, **more: Any) -> None:
        """Send an event with the dial's new state."""
        members = {"node_id": self.world.settings.node, "tag": self.tag, "dial_state": state, **more}
        self.world.emit(self.session, "calling.call.dial", members)

    def _won(self, attempt: Attempt) -> None:
        assert isinstance(attempt, Leg)
        self.platform.network.dials.discard(self.tag)
        call = attempt.call
        call.party.digits += self.params.get("send_digits", "")
        self.send_event("answered", call=call.body())

    def _lost(self, reason: str) -> None:
        self.platform.network.dials.discard(self.tag)
        self.send_event("failed", reason=reason, source="outbound")

    def break_down(self, details: Mapping[str, Any]) -> None:
        """Fail because of an injected fault.

        :param details: additional members of the last event.
        """
        self.send_event("dialing")
        self.send_event("failed", **{"reason": "error", "source": "none", **details})


def refused(request: CommandRequest) -> bool:
    """Reject a dial whose devices are invalid, such as a phone without a telephone number. Return whether it was rejected."""
    findings = request.findings()
    findings.look_at_devices(request.params["devices"], ADDRESSES.keys())
    return request.reject_if_invalid(findings)


def _dial(request: CommandRequest) -> None:
    params = request.params
    if refused(request):
        return
    if params["tag"] in request.platform.network.dials:
        request.refuse(409, "A dial with this tag is already active")
    else:
        request.accept()
        dial = NetworkDial(platform=request.platform, session=request.session, params=params)
        fault = request.fault
        if fault is not None and fault.kind == "break":
            dial.break_down(fault.data or {})
        else:
            dial.begin()


def _begin(request: CommandRequest) -> None:
    params = request.params
    findings = request.findings()
    findings.look_at_one_of(ADDRESSES.keys(), params["device"], "device")
    if request.reject_if_invalid(findings):
        return
    leg = Leg(
        platform=request.platform,
        device=params["device"],
        owner=request.session,
        tag=params.get("tag", ""),
        context=request.session.protocol,
        max_duration=params.get("max_duration"),
    )
    request.accept(call_id=leg.call.call_id, node_id=leg.call.node_id)
    Hunt([[leg]], lambda _: None, lambda _: None).begin()


HANDLERS: Mapping[str, Handler] = {"calling.dial": _dial, "calling.begin": _begin}
