"""Inbound calls: who is offered them, how they move through their states, how they end."""

from __future__ import annotations

import time
from typing import Any

import pytest

from relay_sync.errors import CallEnded, InvalidParameter, WaitTimeout
from relay_sync.simulator import Simulator
from tests.support.peers import Peer, address, connected


def _states(peer: Peer, call_id: str) -> list[str]:
    told = [event["params"] for event in peer.events if event["event_type"] == "calling.call.state"]
    return [params["call_state"] for params in told if params["call_id"] == call_id]


def test_a_call_from_offer_to_end_with_full_bodies() -> None:
    with Simulator() as sim, connected(sim) as peer:
        before = int(time.time() * 1000)
        phone = sim.call(to="+15550100", from_="+15550199")
        offer = peer.event("calling.call.receive")
        assert offer == {
            "call_id": phone.call_id,
            "node_id": phone.node_id,
            "segment_id": offer["segment_id"],
            "call_state": "created",
            "context": "default",
            "direction": "inbound",
            "device": {"type": "phone", "params": {"from_number": "+15550199", "to_number": "+15550100"}},
        }
        envelope = next(each["params"] for each in peer.requests if each["params"].get("params") == offer)
        assert envelope["context"] == "default"
        ringing = peer.event("calling.call.state", "ringing")
        assert before <= ringing["start_time"] <= int(time.time() * 1000)
        assert (ringing["answer_time"], ringing["end_time"]) == (0, 0)
        assert "end_reason" not in ringing
        assert peer.result("calling.answer", **address(phone)) == {"code": "200", "message": "Answering call"}
        phone.wait_until("answered")
        answered = peer.event("calling.call.state", "answered")
        assert answered["answer_time"] >= answered["start_time"]
        assert answered["direction"] == "inbound"
        assert answered["device"] == offer["device"]
        assert peer.result("calling.end", **address(phone)) == {"code": "200", "message": "Ending call"}
        peer.event("calling.call.state", "ending")
        ended = peer.event("calling.call.state", "ended")
        assert (ended["end_reason"], ended["end_source"]) == ("hangup", "outbound")
        assert ended["end_time"] >= ended["answer_time"]
        phone.wait_until("ended")
        assert (phone.state, phone.end_reason) == ("ended", "hangup")
        assert sim.phones == []


def test_the_acknowledgement_comes_before_the_event() -> None:
    with Simulator() as sim, connected(sim) as peer:
        phone = sim.call(to="+1", from_="+2")
        peer.event("calling.call.state", "ringing")
        sim.journal.clear()
        peer.result("calling.answer", **address(phone))
        peer.event("calling.call.state", "answered")
        out = [entry for entry in sim.journal if entry.direction == "out"]
        assert ["result" in entry.frame for entry in out] == [True, False]


@pytest.mark.parametrize("reason", ["busy", "decline", "noAnswer", "error", "cancel"])
def test_a_call_is_rejected_with_a_reason(reason: str) -> None:
    with Simulator() as sim, connected(sim) as peer:
        phone = sim.call(to="+1", from_="+2")
        peer.event("calling.call.receive")
        assert peer.result("calling.end", reason=reason, **address(phone))["code"] == "200"
        assert peer.event("calling.call.state", "ended")["end_reason"] == reason
        with pytest.raises(CallEnded, match=reason) as caught:
            phone.wait_until("answered")
        assert caught.value.end_reason == reason


def test_the_caller_hangs_up() -> None:
    with Simulator() as sim, connected(sim) as peer:
        phone = peer.answered()
        phone.hang_up()
        assert phone.state == "ended"
        ended = peer.event("calling.call.state", "ended")
        assert (ended["end_reason"], ended["end_source"]) == ("hangup", "inbound")
        phone.hang_up()  # harmless
        for method in ("calling.answer", "calling.end", "calling.pass"):
            assert peer.result(method, **address(phone)) == {"code": "404", "message": "Call not found"}


def test_nobody_answers() -> None:
    with Simulator() as sim, connected(sim) as peer:
        phone = sim.call(to="+1", from_="+2", ring_timeout=0.02)
        assert peer.event("calling.call.state", "ended")["end_reason"] == "noAnswer"
        assert phone.end_reason == "noAnswer"


def test_nobody_is_there() -> None:
    with Simulator() as sim:
        phone = sim.call(to="+1", from_="+2", ring_timeout=0.02)
        phone.wait_until("ended")
        assert phone.end_reason == "abandoned"


def test_an_answered_call_outlives_the_patience_of_its_caller() -> None:
    with Simulator() as sim, connected(sim) as peer:
        phone, other = (sim.call(to="+1", from_="+2", ring_timeout=0.4) for _ in range(2))
        peer.event("calling.call.receive")
        assert peer.result("calling.answer", **address(phone))["code"] == "200"
        other.wait_until("ended")  # it rang later, and was as patient
        assert (phone.state, other.end_reason) == ("answered", "noAnswer")


def test_a_call_waits_for_a_client() -> None:
    with Simulator() as sim:
        first, second = (sim.call(to="+1", from_="+2") for _ in range(2))
        assert first.state == "created"
        with connected(sim) as peer:
            assert [peer.event("calling.call.receive")["call_id"] for _ in range(2)] == [first.call_id, second.call_id]
            first.wait_until("ringing")


def test_calls_go_round_among_the_clients_of_a_context() -> None:
    with Simulator() as sim, connected(sim) as one, connected(sim) as two, connected(sim, contexts=["other"]) as other:
        calls = [sim.call(to="+1", from_="+2").call_id for _ in range(4)]
        assert [one.event("calling.call.receive")["call_id"] for _ in range(2)] == calls[0::2]
        assert [two.event("calling.call.receive")["call_id"] for _ in range(2)] == calls[1::2]
        assert other.result("signalwire.ping") == {}
        assert [event["event_type"] for event in other.events] == ["signalwire.authorization.state"]
        received = sim.journal.events("calling.call.receive")
        assert sorted(each["call_id"] for each in received) == sorted(calls)


def test_pass_offers_the_call_to_another_and_ends_the_control_of_the_first() -> None:
    with Simulator() as sim, connected(sim) as one, connected(sim) as two:
        phone = sim.call(to="+1", from_="+2", ring_timeout=30)
        one.event("calling.call.receive")
        passed = one.result("calling.pass", **address(phone))
        assert passed["code"] == "200"
        assert passed["message"] == "Passing call to another application"
        offer = two.event("calling.call.receive")
        assert (offer["call_id"], offer["call_state"]) == (phone.call_id, "ringing")
        assert one.result("calling.answer", **address(phone))["code"] == "404"
        two.result("calling.answer", **address(phone))
        two.event("calling.call.state", "answered")
        assert "answered" not in _states(one, phone.call_id)
        assert two.result("calling.pass", **address(phone))["code"] == "409"


def test_a_call_that_everybody_passes_is_abandoned() -> None:
    with Simulator() as sim, connected(sim) as peer:
        phone = sim.call(to="+1", from_="+2", ring_timeout=0.4)
        peer.event("calling.call.receive")
        assert peer.result("calling.pass", **address(phone))["code"] == "200"
        phone.wait_until("ended")
        assert phone.end_reason == "abandoned"
        assert len(sim.journal.events("calling.call.receive")) == 1


def test_an_unanswered_call_of_a_lost_client_goes_to_the_next() -> None:
    with Simulator() as sim:
        with connected(sim) as peer:
            phone = sim.call(to="+1", from_="+2")
            peer.event("calling.call.receive")
        sim.wait_until_gone()
        with connected(sim) as peer:
            assert peer.event("calling.call.receive")["call_id"] == phone.call_id


@pytest.mark.slow
def test_max_duration_ends_the_call() -> None:
    with Simulator() as sim, connected(sim) as peer:
        phone = sim.call(to="+1", from_="+2")
        peer.event("calling.call.receive")
        peer.result("calling.answer", max_duration=1, **address(phone))
        ended = peer.event("calling.call.state", "ended")
        assert (ended["end_reason"], ended["end_source"]) == ("maxDuration", "none")
        assert 1000 <= ended["end_time"] - ended["answer_time"] < 5000


def test_a_second_answer_and_a_wrong_node() -> None:
    with Simulator() as sim, connected(sim) as peer:
        phone = peer.answered()
        assert peer.result("calling.answer", **address(phone))["code"] == "409"
        assert peer.result("calling.end", call_id=phone.call_id, node_id="elsewhere")["code"] == "404"
        assert peer.result("calling.end", call_id="nobody", node_id=phone.node_id)["code"] == "404"


def test_sip_addresses() -> None:
    with Simulator() as sim, connected(sim) as peer:
        sim.call(to="sip:desk@example.test", from_="sip:a@example.test")
        device = peer.event("calling.call.receive")["device"]
        assert device == {"type": "sip", "params": {"from": "sip:a@example.test", "to": "sip:desk@example.test"}}


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ({"says": b"odd"}, "says"),
        ({"hears": b"odd"}, "hears"),
        ({"ring_timeout": 0.0}, "ring_timeout"),
    ],
)
def test_calls_that_cannot_be_made(what: dict[str, Any], name: str) -> None:
    with Simulator() as sim, pytest.raises(InvalidParameter, match=name):
        sim.call(to="+1", from_="+2", **what)


def test_phones_refuse_nonsense() -> None:
    with Simulator() as sim:
        phone = sim.call(to="+1", from_="+2")
        with pytest.raises(InvalidParameter, match="state"):
            phone.wait_until("busy")
        with pytest.raises(InvalidParameter, match="digits"):
            phone.press("12x")
        with pytest.raises(InvalidParameter, match="reason"):
            phone.hang_up("because")
        with pytest.raises(WaitTimeout, match="answered"):
            phone.wait_until("answered", timeout=0.01)
        assert [each.call_id for each in sim.phones] == [phone.call_id]


@pytest.mark.slow
def test_many_calls_leave_nothing_behind() -> None:
    with Simulator(journal_limit=100) as sim, connected(sim) as peer:
        for _ in range(1500):
            phone = sim.call(to="+1", from_="+2")
            peer.event("calling.call.receive")
            peer.result("calling.answer", **address(phone))
            peer.result("calling.end", **address(phone))
            peer.event("calling.call.state", "ended")
            peer.events.clear()
            peer.requests.clear()
        assert sim.phones == []
        assert len(sim.journal) == 100
        assert sim.journal.dropped > 1500
