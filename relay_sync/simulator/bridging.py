"""``calling.connect`` and ``calling.disconnect``: what a call is brought together with.

Stream devices (two-way audio) are carried out here; legs to telephones are only acknowledged. The choices where the
sources are silent:

* The devices of an inner list are tried at the same time, and the first one that is there wins; then the next list.
* ``connecting`` is told once, then ``connected`` with a ``peer`` that names the device (without its secrets; a stream is
  no leg and has no ``call_id``), or ``failed`` with the reason ``error``. ``disconnected`` follows when the endpoint
  closes its socket, when the call is over or by ``calling.disconnect``, and names the peer again.
* A stream device is told of in ``calling.call.connect`` alone; its ``status_url`` gets what that of a stream would.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, field

from .formats import parse_codec
from .request import Handler, Request
from .streaming import stream_problems
from .twoway import TwoWayStream

if TYPE_CHECKING:
    from .network import Call
    from .relay import Relay

__all__ = ["HANDLERS"]

_SECRET = ("authorization_bearer_token", "custom_parameters")

Params = dict[str, Any]


@define(eq=False, kw_only=True)
class StreamBridge:
    """A call on its way to, or at, a two-way stream."""

    _relay: Relay = field(repr=False)
    _call: Call = field(repr=False)
    _groups: list[list[Params]] = field(repr=False)
    tag: str = ""
    winner: TwoWayStream | None = field(default=None, init=False)
    _trying: list[TwoWayStream] = field(factory=list, init=False, repr=False)
    _peer: Params = field(factory=dict, init=False, repr=False)
    _over: bool = field(default=False, init=False)

    def begin(self, seconds: int | None) -> None:
        """Start connecting. ``seconds`` is how long the bridge may stand."""
        self._call.bridge = self
        self._tell("connecting")
        if seconds:
            # A name of its own, so that the end of the call cancels it with the call's other timers.
            self._call.timers["bridge"] = self._relay.loop.call_later(seconds, self.end, "its time was up")
        self._next()

    def end(self, reason: str) -> None:
        """Take the call back. Idempotent."""
        self._groups.clear()
        for stream in [*self._trying, *([self.winner] if self.winner else [])]:
            stream.finish(reason)

    def _next(self) -> None:
        if self._call.over or not self._groups:
            self._finish()
            self._tell("failed", failed_reason="error")
            return
        self._trying = [self._stream(params) for params in self._groups.pop(0)]
        for stream in list(self._trying):
            stream.begin()

    def _stream(self, params: Params) -> TwoWayStream:
        relay = self._relay
        stream = TwoWayStream(
            relay=relay,
            call=self._call,
            control_id=str(uuid.uuid4()),
            url=params["url"],
            tracks=("inbound",),
            format=parse_codec(params.get("codec"), round(relay.settings.ptime * 1000)),
            name=params.get("name"),
            custom_parameters=params.get("custom_parameters"),
            token=params.get("authorization_bearer_token"),
            status_url=params.get("status_url", "").partition("#")[0],
            status_url_method=params.get("status_url_method", "POST"),
            realtime=params.get("realtime", False),
            on_state=lambda stream, state: self._moved(stream, state, params),
        )
        self._call.streams.append(stream)
        self._call.board.changed()
        return stream

    def _moved(self, stream: TwoWayStream, state: str, params: Params) -> None:
        if state == "streaming":
            self._trying.remove(stream)
            losers, self._trying = self._trying, []
            self.winner = stream
            shown = {name: value for name, value in params.items() if name not in _SECRET}
            self._peer = {"node_id": self._call.node_id, "device": {"type": "stream", "params": shown}}
            if self.tag:
                self._peer["tag"] = self.tag
            self._tell("connected", peer=self._peer)
            for loser in losers:
                loser.finish("another device was there first")
        elif stream is self.winner:
            self._finish()
            self._tell("disconnected", peer=self._peer)
        elif stream in self._trying:
            self._trying.remove(stream)
            if not self._trying:
                self._next()

    def _finish(self) -> None:
        self._over = True
        timer = self._call.timers.pop("bridge", None)
        if timer is not None:
            timer.cancel()
        if self._call.bridge is self:
            self._call.bridge = None

    def _tell(self, state: str, **more: Any) -> None:
        self._relay.emit(
            self._call.owner, "calling.call.connect", {**self._call.address(), "connect_state": state, **more}
        )


def _problems(groups: list[list[Params]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for params in [params for group in groups for params in group]:
        if not isinstance(params.get("url"), str):
            found["url"] = "a stream device needs a url"
        else:
            found.update(stream_problems(params))
        if not isinstance(params.get("realtime", False), bool):
            found["realtime"] = "realtime must be a boolean"
    return found


def _connect(request: Request) -> None:
    call, params = request.call, request.params
    groups = [
        [device.get("params") or {} for device in group if device.get("type") == "stream"]
        for group in params["devices"]
    ]
    groups = [group for group in groups if group]
    if not groups:
        request.accept()  # no stream among them: nothing comes of it
        return
    problems = _problems(groups)
    if problems:
        request.refuse(400, "; ".join(problems.values()), problems)
    elif call.bridge is not None:
        request.refuse(409, "Call is being connected already")
    elif call.state != "answered":
        # Undocumented, as for a stream: it would carry nothing.
        request.refuse(409, "Call is not answered")
    else:
        request.accept()
        bridge = StreamBridge(relay=request.relay, call=call, groups=groups, tag=params.get("tag", ""))
        bridge.begin(params.get("max_duration"))


def _disconnect(request: Request) -> None:
    request.accept()  # also where there is no bridge: what the platform says then is not documented
    if request.call.bridge is not None:
        request.call.bridge.end("calling.disconnect")


HANDLERS: Mapping[str, Handler] = {"calling.connect": _connect, "calling.disconnect": _disconnect}
