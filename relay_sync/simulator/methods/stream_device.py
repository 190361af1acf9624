"""Stream devices: a call connected to a WebSocket that receives the party's audio and sends audio back.

The choices where the sources are silent: a stream is not a leg and has no ``call_id``. ``peer`` names the device without its
secrets. A stream that cannot be opened fails with ``error``. When its endpoint closes the socket, the bridge ends. Its events
are those of ``calling.call.connect`` only; its ``status_url`` gets the events of a stream.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field

from ..media.two_way import TwoWayStream, open_two_way
from .bridging import Kind, Peer
from .streaming import stream_problems

__all__ = ["KIND", "StreamPeer"]

_SECRET = ("authorization_bearer_token", "custom_parameters")


@define(eq=False, kw_only=True)
class StreamPeer(Peer):
    """A WebSocket, opened for the bridge."""

    stream: TwoWayStream = field(init=False)
    _connected: bool = field(default=False, init=False)

    def begin(self) -> None:
        self.stream = open_two_way(self.world, self.bridge.call, self.device["params"], self._moved)

    def _moved(self, stream: TwoWayStream, state: str) -> None:
        if state == "streaming":
            self._connected = True
            self.answered()
        elif self._connected:
            self.bridge.disconnected()
        elif not self.bridge.call.over:  # else the bridge sees to it: no other device is tried for a call that is over
            self.failed("error")

    def abandon(self) -> None:
        self.stream.finish("another device was there first, or the bridge is over")

    def describe(self) -> dict[str, Any]:
        shown = {name: value for name, value in self.device["params"].items() if name not in _SECRET}
        peer = {"node_id": self.bridge.call.node_id, "device": {"type": "stream", "params": shown}}
        tag = self.bridge.params.get("tag", "")
        return {**peer, "tag": tag} if tag else peer

    def release(self, *, hang_up: bool) -> None:
        self.stream.finish("the bridge is over")


KIND = Kind(make=StreamPeer, check=stream_problems)
