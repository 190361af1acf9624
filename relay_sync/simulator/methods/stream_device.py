"""Stream devices: ``calling.connect`` to a WebSocket endpoint, with audio in both directions.

The following behavior is not documented by SignalWire and may differ on the real platform:

* The stream is not a leg and has no ``call_id``. Events describe it in ``peer`` and omit its secrets.
* If the stream cannot be opened, the connect operation fails with ``error``.
* The bridge ends when the endpoint closes the socket.
* The client receives only ``calling.call.connect`` events. The ``status_url`` receives the same webhooks as for
  ``calling.stream``.
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
    """A WebSocket stream that is opened for the bridge."""

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
        elif not self.bridge.call.over:  # the bridge must not try another device after the call has ended
            self.failed("error")

    def abandon(self) -> None:
        self.stream.finish("another device answered first, or the bridge ended")

    def describe(self) -> dict[str, Any]:
        shown = {name: value for name, value in self.device["params"].items() if name not in _SECRET}
        peer = {"node_id": self.bridge.call.node_id, "device": {"type": "stream", "params": shown}}
        tag = self.bridge.params.get("tag", "")
        return {**peer, "tag": tag} if tag else peer

    def release(self, *, hang_up: bool) -> None:
        self.stream.finish("the bridge ended")


KIND = Kind(make=StreamPeer, check=stream_problems)
