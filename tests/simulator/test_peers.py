"""The plain peers of the simulator (``tests/support/peers.py``) do what tests rely on."""

from __future__ import annotations

import pytest
import websocket

from relay_sync.simulator import Simulator
from tests.support.peers import Peer, Receiver, dialled


def test_the_receiver_writes_down_messages_and_close_codes() -> None:
    with Receiver() as receiver:
        ws = dialled(receiver.url)
        ws.send('{"event":"connected"}')
        ws.close(status=1001)
        media = receiver.finished()
    assert media.messages == [{"event": "connected"}]
    assert media.code == 1001


def test_the_peer_acknowledges_events_and_keeps_replies_apart() -> None:
    with Simulator() as sim, Peer(sim) as peer:
        assert peer.connect()["result"]["protocol"].endswith(sim.settings.project)
        assert peer.event("signalwire.authorization.state")["authorization_state"]
        sim.wait_for_acks()
        assert sim.unacknowledged == []


def test_a_peer_that_gets_no_frame_times_out_rather_than_hanging() -> None:
    with Simulator(ping_interval=None) as sim, Peer(sim) as peer:
        peer.ws.settimeout(0.01)
        with pytest.raises(websocket.WebSocketTimeoutException):
            peer.read()
