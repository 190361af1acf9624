"""The scripted server: sane where it is told to be, and an honest frame maker."""

from __future__ import annotations

import pytest

from relay_sync import RelayClient
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.faults.script import PROTOCOL, Peer, ScriptedServer, frame


def test_a_client_is_welcomed_and_answered() -> None:
    def script(peer: Peer) -> None:
        connect = peer.welcome()
        assert connect["params"]["authentication"] == {"project": "p", "token": "t"}
        ping = peer.request("signalwire.ping")
        peer.answer(ping, {"payload": "x"})
        peer.until_closed()

    with ScriptedServer(script) as server:
        with RelayClient(**server.credentials) as client:
            assert client.relay_protocol == PROTOCOL
            assert client.execute("signalwire.ping", {}) == {"payload": "x"}


def test_frames_are_those_of_the_standard() -> None:
    assert frame("Hello") == bytes.fromhex("810548656c6c6f")  # RFC 6455, 5.7
    assert frame("Hel", fin=False) + frame("lo", opcode=0) == bytes.fromhex("010348656c80026c6f")
    assert frame(b"x" * 256, opcode=2)[:4] == bytes.fromhex("827e0100")
    assert frame(b"x" * 65536, opcode=2)[:10] == bytes.fromhex("827f0000000000010000")
    assert frame(b"", announced=70_000) == bytes.fromhex("817f0000000000011170")


def test_what_a_script_asserts_counts() -> None:
    def script(peer: Peer) -> None:
        peer.upgrade()
        raise AssertionError("in the script")

    server = ScriptedServer(script)
    client = RelayClient(**server.credentials)
    connecting = Background(client.connect, 5)
    failure = server.errors.get(timeout=PATIENCE)
    server.errors.put(failure)
    client.disconnect()
    with pytest.raises(Exception, match="closed"):
        connecting.result()
    with pytest.raises(AssertionError, match="in the script"):
        server.close()
