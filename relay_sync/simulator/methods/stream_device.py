"""Stream devices: ``calling.connect`` connects a call to a WebSocket, with audio in both directions.

The simulator's choices where the sources are silent: the stream is not a leg and has no ``call_id``; ``peer`` describes the
device without its secrets; a stream that cannot be opened fails with ``error``; the bridge ends when the endpoint closes the
socket. The client only receives ``calling.call.connect`` events; the ``status_url`` gets the same webhooks as a stream's.
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
    """A WebSocket that is opened for the bridge."""

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
        elif not self.bridge.call.over:  # if the call has ended, the bridge ends too, and must not try another device
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
