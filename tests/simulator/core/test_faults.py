"""The simulator's misbehaviour on demand."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import websocket

from relay_sync.errors import InvalidParameter, WaitTimeout
from relay_sync.simulator import Simulator, fault_controls
from tests.support import PATIENCE
from tests.support.background import until
from tests.support.peers import Peer, address, connected


@pytest.fixture
def line() -> Any:
    """A simulator, and a client with a call that rings."""
    with Simulator(ping_interval=None) as sim, connected(sim) as peer:
        phone = sim.call(to="+1", from_="+2")
        peer.event("calling.call.state", "ringing")
        yield sim, peer, phone


def _quiet(peer: Peer) -> None:
    """Nothing but the answer to a ping comes."""
    before = len(peer.requests)
    assert peer.result("signalwire.ping", payload="?") == {"payload": "?"}
    assert len(peer.requests) == before
    assert peer.replies == {}


def test_refuse_answers_with_a_failing_result_and_nothing_happens(line: Any) -> None:
    sim, peer, phone = line
    sim.refuse("calling.answer", 402, "Payment required", data={"why": "no money"}, times=2)
    for _ in range(2):
        result = peer.result("calling.answer", **address(phone))
        assert result == {"code": "402", "message": "Payment required", "data": {"why": "no money"}}
    assert phone.state == "ringing"
    assert peer.result("calling.answer", **address(phone))["code"] == "200"


def test_fail_answers_with_an_error_for_any_method_even_an_unknown_one(line: Any) -> None:
    sim, peer, phone = line
    sim.fail("calling.answer", -32603, "Internal error", times=None)
    sim.fail("calling.unheard_of", -32000)
    for _ in range(3):
        assert peer.ask("calling.answer", **address(phone))["error"] == {"code": -32603, "message": "Internal error"}
    assert peer.ask("calling.unheard_of")["error"]["code"] == -32000
    sim.clear_faults()
    assert peer.result("calling.answer", **address(phone))["code"] == "200"


def test_credentials_can_be_refused_later_on(line: Any) -> None:
    sim, _, _ = line
    sim.fail("signalwire.connect", -32002, "authentication failed: 401 Unauthorized")
    with Peer(sim) as again:
        assert again.connect()["error"]["code"] == -32002
        assert "protocol" in again.connect()["result"]


def test_a_dropped_reply_is_never_sent_though_the_method_is_carried_out(line: Any) -> None:
    sim, peer, phone = line
    sim.drop_reply("calling.answer")
    request = peer.post("calling.answer", **address(phone))
    peer.event("calling.call.state", "answered")
    _quiet(peer)
    lost = [entry.frame for entry in sim.journal if entry.direction == "lost"]
    assert [frame["id"] for frame in lost] == [request]


def test_a_held_reply_comes_after_the_event_when_released(line: Any) -> None:
    sim, peer, phone = line
    sim.hold("calling.answer")
    with pytest.raises(WaitTimeout):
        sim.wait_for_held(timeout=0.01)
    request = peer.post("calling.answer", **address(phone))
    peer.event("calling.call.state", "answered")
    sim.wait_for_held("calling.answer")
    _quiet(peer)
    assert sim.release() == 1
    assert peer.reply(request)["result"]["code"] == "200"
    assert sim.release("calling.answer") == 0
    assert peer.result("calling.end", **address(phone))["code"] == "200"


def test_a_reply_held_for_a_client_that_left_is_written_off(line: Any) -> None:
    sim, peer, phone = line
    sim.hold("calling.answer")
    peer.post("calling.answer", **address(phone))
    sim.wait_for_held()
    sim.cut()
    assert sim.release() == 1
    assert [entry.frame["result"]["code"] for entry in sim.journal if entry.direction == "lost" and not entry.method][
        -1:
    ] == ["200"]


def test_events_are_lost_by_type_and_state(line: Any) -> None:
    sim, peer, phone = line
    sim.drop_event("calling.call.state", state="ending")
    sim.drop_event("calling.call.stream", times=None)
    phone.hang_up()
    assert peer.event("calling.call.state")["call_state"] == "ended"
    assert [entry.params["call_state"] for entry in sim.journal if entry.direction == "lost"] == ["ending"]


@pytest.mark.parametrize("same_id", [True, False])
def test_events_are_repeated(line: Any, same_id: bool) -> None:
    sim, peer, phone = line
    sim.duplicate_event("calling.call.state", state="ended", copies=2, same_id=same_id)
    phone.hang_up()
    for _ in range(3):
        peer.event("calling.call.state", "ended")
    frames = [frame for frame in peer.requests if frame["params"]["params"].get("call_state") == "ended"]
    assert len({frame["id"] for frame in frames}) == (1 if same_id else 3)
    assert len({str(frame["params"]) for frame in frames}) == 1
    _quiet(peer)


def test_a_late_event_is_overtaken(line: Any) -> None:
    sim, peer, phone = line
    sim.delay_event("calling.call.state", 0.02, state="ending")
    phone.hang_up()
    assert [peer.event("calling.call.state")["call_state"] for _ in range(2)] == ["ended", "ending"]
    with pytest.raises(InvalidParameter):
        sim.delay_event("calling.call.state", -1)
    with pytest.raises(ValueError, match="times"):
        sim.drop_event("calling.call.state", times=0)


def test_anything_can_be_sent(line: Any) -> None:
    sim, peer, phone = line
    with connected(sim, contexts=[]) as other:
        sim.send_raw("{{{")
        assert peer.ws.recv() == "{{{"
        while other.ws.recv() != "{{{":
            pass
        sim.send_event("calling.call.later", {"call_id": phone.call_id, "x": 1})
        assert peer.event("calling.call.later") == {"call_id": phone.call_id, "x": 1}
        sim.send_event("calling.error", {"x": 2}, event_channel="elsewhere")
        assert peer.event("calling.error") == other.event("calling.error") == {"x": 2}
        assert peer.requests[-1]["params"]["event_channel"] == "elsewhere"
        assert "calling.call.later" not in [frame["params"]["event_type"] for frame in other.requests]


@pytest.mark.parametrize("reset", [False, True])
def test_cut_drops_sockets_and_keeps_calls(line: Any, reset: bool) -> None:
    sim, peer, phone = line
    peer.result("calling.answer", **address(phone))
    sim.cut(reset)
    assert sim.clients == 0
    peer.read_to_the_end()
    assert phone.state == "answered"


@pytest.mark.parametrize("replay", [False, True])
def test_events_while_nobody_is_connected_are_lost_or_replayed(replay: bool) -> None:
    with Simulator(replay_events=replay) as sim, connected(sim) as peer:
        request = sim.journal.requests("signalwire.connect")[0]
        protocol = sim.journal.reply_to(request)["result"]["protocol"]  # type: ignore[index]
        phone = peer.answered()
        sim.cut()
        phone.hang_up()
        with Peer(sim) as again:
            assert again.connect(protocol=protocol)["result"]["session_restored"] is True
            if replay:
                assert [again.event("calling.call.state")["call_state"] for _ in range(2)] == ["ending", "ended"]
            else:
                again.event("signalwire.authorization.state")
                _quiet(again)
                lost = [entry.params["call_state"] for entry in sim.journal if entry.direction == "lost"]
                assert lost == ["ending", "ended"]


def test_new_connections_are_refused_by_http(line: Any) -> None:
    sim, peer, _ = line
    sim.refuse_connections()
    with pytest.raises(websocket.WebSocketBadStatusException, match="503"):
        Peer(sim)
    _quiet(peer)
    sim.refuse_connections(False)
    with Peer(sim) as again:
        again.connect()


def test_new_connections_are_refused_by_tcp(line: Any) -> None:
    sim, peer, _ = line
    port = sim.port
    sim.refuse_connections(how="tcp")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    _quiet(peer)
    sim.refuse_connections(False, how="tcp")
    assert sim.port == port
    with Peer(sim) as again:
        again.connect()
    with pytest.raises(InvalidParameter):
        sim.refuse_connections(how="by post")


def test_connections_are_accepted_again_after_a_time(line: Any) -> None:
    sim, _, _ = line
    sim.refuse_connections(seconds=60)
    sim.refuse_connections(seconds=0.01)  # the last one counts
    until(lambda: is_open(sim.port))
    with Peer(sim) as again:
        again.connect()
    for wrong in (0, -1, "1", True):
        with pytest.raises(InvalidParameter, match="seconds"):
            sim.refuse_connections(seconds=wrong)


def test_a_port_that_was_taken_is_asked_for_again(
    line: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fault_controls, "REOPEN_PAUSE", 0.01)
    sim, _, _ = line
    sim.refuse_connections(how="tcp", seconds=0.2)
    with socket.create_server(("127.0.0.1", sim.port)):
        until(lambda: "cannot listen again" in caplog.text)
    until(lambda: is_open(sim.port))
    with Peer(sim) as again:
        again.connect()


def is_open(port: int) -> bool:
    """Whether a WebSocket is accepted."""
    try:
        peer: Any = websocket.create_connection(f"ws://127.0.0.1:{port}", timeout=PATIENCE)
    except (ConnectionError, websocket.WebSocketBadStatusException):
        return False
    peer.shutdown()
    return True


def test_a_server_that_stops_reading_answers_when_it_reads_again(line: Any) -> None:
    sim, peer, _ = line
    sim.stop_reading()
    request = peer.post("signalwire.ping", payload="late")
    sim.send_event("calling.error", {})
    assert peer.event("calling.error") == {}
    with pytest.raises(WaitTimeout):
        sim.wait_for_acks(timeout=0.05)
    sim.stop_reading(False)
    assert peer.reply(request)["result"] == {"payload": "late"}
    sim.wait_for_acks()


def test_a_client_that_does_not_acknowledge_is_seen(line: Any) -> None:
    sim, peer, _ = line
    sim.wait_for_acks()
    peer.acks = False
    sim.send_event("calling.error", {})
    peer.event("calling.error")
    assert sim.unacknowledged == [peer.requests[-1]["id"]]
