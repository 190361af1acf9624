"""Bridges between calls: ``calling.connect`` and ``calling.disconnect``.

The server sends a ``connecting`` event immediately. It then sends ``connected`` with the peer, or ``failed`` with the reason.
When an established bridge ends, it sends ``disconnected``. A dialed peer is a separate call. Its state events include the
requested ``tag`` and the ``parent`` call.

The following behavior is not documented by SignalWire and may differ on the real platform:

* A call is busy while it is being connected or is in a bridge or conference. A connect command fails with code 409 if its call is
  busy or all of its devices are busy calls. If only some devices are busy calls, those devices fail with ``busy``.
* Connecting a call removes it from its queue or conference.
* The bridge ends when either side ends. If the peer was dialed for the bridge, it ends too. The original call continues.
* ``calling.disconnect`` can be sent for either side.

:data:`CONNECTORS` maps each device type to its implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

from attrs import define, field, frozen

from ..core.schemas import Findings
from ..media.hearing import meet, part
from ..media.played import Played
from ..people.network import NetworkCall
from .conferences import Participant
from .hunt import ADDRESSES, Attempt, Hunt, Leg
from .operation import NetworkOperation, engaged, running, start
from .queues import Queues, Waiting
from .request import CommandRequest, Handler

__all__ = ["CONNECTORS", "HANDLERS", "Bridge", "Kind", "Peer"]


@define(eq=False, kw_only=True)
class Peer(Attempt):
    """The other side of a bridge.

    :meth:`begin` tries to reach the device and eventually calls :meth:`answered` or :meth:`failed`. :meth:`abandon` cancels a
    pending attempt, and :meth:`release` disconnects the peer when the bridge ends. If the peer ends first, it calls
    :meth:`Bridge.disconnected`.
    """

    bridge: Bridge = field(repr=False)
    device: Mapping[str, Any]

    @property
    def other(self) -> NetworkCall | None:
        """The call on the other side, or ``None`` if the peer is not a call."""
        return None

    def describe(self) -> dict[str, Any]:
        """Return the ``peer`` object for events. It may be empty."""
        raise NotImplementedError

    def release(self, *, hang_up: bool) -> None:
        """Disconnect the peer from the call.

        :param hang_up: whether to end a peer that was dialed for the bridge.
        """
        raise NotImplementedError


def _peer(call: NetworkCall) -> dict[str, Any]:
    about = {"call_id": call.call_id, "node_id": call.node_id, "device": call.device}
    return {**about, "tag": call.tag} if call.tag else about


@define(eq=False, kw_only=True)
class DialedPeer(Peer):
    """A phone that is dialed for the bridge."""

    leg: Leg = field(init=False)

    def begin(self) -> None:
        bridge, params = self.bridge, self.bridge.params
        call = bridge.call
        self.leg = Leg(
            platform=self.platform,
            device=self.device,
            owner=call.owner,
            tag=params.get("tag", ""),
            context=call.context,
            from_=call.number,
            parent={"call_id": call.call_id, "node_id": call.node_id, "device_type": call.device["type"]},
            timeout=params.get("timeout"),
        )
        Hunt([[self.leg]], lambda _: self._answered(), self.failed).begin()

    @property
    def other(self) -> NetworkCall | None:
        return self.leg.call

    def _answered(self) -> None:
        call = self.leg.call
        call.party.digits += self.bridge.params.get("send_digits", "")
        call.watchers.append(self._moved)
        self.answered()

    def _moved(self, call: NetworkCall) -> None:
        if call.state == "ended":
            self.bridge.disconnected()

    def abandon(self) -> None:
        self.leg.abandon()

    def describe(self) -> dict[str, Any]:
        return _peer(self.leg.call)

    def release(self, *, hang_up: bool) -> None:
        if hang_up:
            call = self.leg.call
            self.platform.network.end(call, "hangup", call.near_side)


@define(eq=False, kw_only=True)
class LivePeer(Peer):
    """An existing call."""

    call: NetworkCall | None = field(default=None, init=False)

    def begin(self) -> None:
        params = self.device["params"]
        call = self.platform.network.calls.get(params["call_id"])
        if call is None or call is self.bridge.call or call.state != "answered":
            self.failed("notFound")
        elif _is_busy(call):
            self.failed("busy")
        else:
            self.join(call)

    @property
    def other(self) -> NetworkCall | None:
        return self.call

    def join(self, call: NetworkCall) -> None:
        """Use an existing call as the other side of the bridge."""
        self.call = call
        call.watchers.append(self._moved)
        self.answered()

    def _moved(self, call: NetworkCall) -> None:
        if call.state == "ended":
            self.bridge.disconnected()

    def abandon(self) -> None:
        pass

    def describe(self) -> dict[str, Any]:
        return _peer(self.call) if self.call is not None else {}

    def release(self, *, hang_up: bool) -> None:
        if self.call is not None and self._moved in self.call.watchers:
            self.call.watchers.remove(self._moved)


@define(eq=False, kw_only=True)
class QueuedPeer(LivePeer):
    """The call that has waited longest in a queue."""

    def begin(self) -> None:
        queue = self.platform.shared(Queues).get(self.device["params"]["queue_name"])
        call = queue.take(self._may_join) if queue is not None else None
        if call is None:
            self.failed("notFound")
        else:
            self.join(call)

    def _may_join(self, call: NetworkCall) -> bool:
        return call is not self.bridge.call and not _is_busy(call)


@frozen(kw_only=True)
class Kind:
    """A device type that ``calling.connect`` supports.

    :ivar make: factory for the :class:`Peer`; called with ``platform``, ``bridge`` and ``device``.
    :ivar check: validator that returns errors by parameter name, for rules not covered by the schemas; ``None`` if not needed.
    """

    make: Callable[..., Peer]
    check: Callable[[Mapping[str, Any]], dict[str, str]] | None = None


CONNECTORS: dict[str, Kind] = {
    **dict.fromkeys(ADDRESSES, Kind(make=DialedPeer)),
    "call": Kind(make=LivePeer),
    "queue": Kind(make=QueuedPeer),
}
"""Supported device types by name. The module ``stream_device`` adds another type."""


@define(eq=False, kw_only=True)
class Bridge(NetworkOperation):
    """A call that is connected, or being connected, to another device."""

    event_type = "calling.call.connect"
    failure: ClassVar[Mapping[str, Any]] = {"connect_state": "failed", "failed_reason": "error"}
    hunt: Hunt = field(init=False)
    peer: Peer | None = field(default=None, init=False)

    def begin(self) -> None:
        groups = [
            [
                CONNECTORS[str(device["type"])].make(platform=self.platform, bridge=self, device=device)
                for device in group
            ]
            for group in self.params["devices"]
        ]
        self.hunt = Hunt(groups, self._won, self._lost)
        self.send_event(connect_state="connecting")
        items = [self.platform.sounds.item(media) for media in self.params.get("ringback", ())]
        self._ring_back([item for item in items if item is not None])
        self.hunt.begin()

    def _ring_back(self, items: list[Played]) -> None:
        """Play ringback items to the party, one after another."""
        if items:
            self.play_to_party("ringback", items[0], partial(self._ring_back, items[1:]))

    def stop(self) -> None:
        if self.peer is not None:
            self.disconnected(hang_up=False)
        else:
            self.hunt.abandon()
            self._lost("cancel")

    def _won(self, attempt: Attempt) -> None:
        assert isinstance(attempt, Peer)
        self.peer = attempt
        self.engaged_error: str = "Call is already in a bridge"
        self.cancel("ringback")
        for call in filter(None, (self.call, attempt.other)):
            _remove(call)
        if attempt.other is not None:
            attempt.other.bridge = self
            meet(self.call, attempt.other)
        self.send_event(connect_state="connected", peer=attempt.describe())
        if self.params.get("max_duration"):
            self.await_others("max_duration", self.params["max_duration"], self.disconnected)

    def _lost(self, reason: str) -> None:
        self.close(connect_state="failed", failed_reason=reason)

    def break_down(self, details: Mapping[str, Any]) -> None:
        self.send_event(connect_state="connecting")
        super().break_down(details)

    def drop(self) -> None:
        other = self.peer.other if self.peer is not None else None
        if other is not None and other.bridge is self:
            other.bridge = None
            part(self.call, other)
        super().drop()

    def disconnected(self, *, hang_up: bool = True) -> None:
        """End the bridge.

        :param hang_up: whether to end a peer that was dialed for the bridge.
        """
        peer = self.peer
        if peer is None or self.over:
            return
        self.close(connect_state="disconnected", peer=peer.describe())
        peer.release(hang_up=hang_up)

    def call_ended(self) -> None:
        self.hunt.abandon()
        peer = self.peer
        if self.world.settings.finish_streams and peer is None:
            self._lost("cancel")
        elif self.world.settings.finish_streams:
            self.disconnected()
        elif peer is not None:
            self.cancel_steps()  # mark the operation as ended, so that no event is sent when the peer ends
            peer.release(hang_up=True)
        self.drop()


def _remove(call: NetworkCall) -> None:
    """Remove a call from its queue or conference."""
    for each in list(call.operations):
        if isinstance(each, Waiting):
            each.depart("dequeue")
        elif isinstance(each, Participant):
            each.drop()


def _is_busy(call: NetworkCall) -> bool:
    """Return whether a call is being connected or is already in a bridge or conference."""
    return bool(engaged(call) or running(call, Bridge))


def _check(findings: Findings, params: Mapping[str, Any]) -> None:
    findings.look_at_devices(params["devices"], CONNECTORS.keys())
    findings.look_at_media(params.get("ringback", ()), "ringback")
    for device in [device for group in params["devices"] for device in group] if not findings else ():
        check = CONNECTORS[device["type"]].check
        if check is not None:
            findings.impossible.update(check(device["params"]))


def _connect(request: CommandRequest) -> None:
    calls, devices = request.platform.network.calls, [each for group in request.params["devices"] for each in group]
    live = [calls.get(str(each["params"]["call_id"])) for each in devices if _names_a_call(each)]
    if live and len(live) == len(devices) and all(call is not None and _is_busy(call) for call in live):
        request.refuse(409, "Bridging busy: the other call is already in a bridge")
    else:
        start(Bridge, check=_check, only_one="Call is already being connected", if_free=True)(request)


def _names_a_call(device: Mapping[str, Any]) -> bool:
    params = device.get("params")
    return device.get("type") == "call" and isinstance(params, Mapping) and "call_id" in params


def _disconnect(request: CommandRequest) -> None:
    call = request.call
    bridge = running(call, Bridge) or call.bridge
    request.accept()  # even without a bridge, because the error for this case is not documented
    if bridge is not None:
        bridge.stop()


HANDLERS: Mapping[str, Handler] = {
    "calling.connect": _connect,
    "calling.disconnect": _disconnect,
}
