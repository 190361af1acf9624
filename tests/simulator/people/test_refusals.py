"""What the simulator refuses: controls that are used for what they are not for, and calls that are elsewhere already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from relay_sync.errors import CallEnded, CommandRefused
from relay_sync.simulator import Phone, Simulator
from tests.support.peers import NUMBER, RING, Json, Peer, address, connected


@pytest.fixture
def fast() -> Iterator[Simulator]:
    with Simulator(media="fast", ping_interval=None) as sim:
        yield sim


@pytest.fixture
def peer(fast: Simulator) -> Iterator[Peer]:
    with connected(fast) as found:
        yield found


def live(phone: Phone) -> Json:
    return {"type": "call", "params": address(phone)}


def queued(phone: Phone, name: str = "support") -> Json:
    return {"type": "queue", "params": {"queue_name": name, "node_id": phone.node_id}}


def bridge_events(sim: Simulator, phone: Phone) -> list[tuple[str, str]]:
    """What was told of the bridges of a call: states, each with the peer or the reason."""
    told = [each for each in sim.journal.events("calling.call.connect") if each["call_id"] == phone.call_id]
    return [
        (each["connect_state"], each.get("peer", {}).get("call_id", each.get("failed_reason", ""))) for each in told
    ]


def dialled(peer: Peer) -> Phone:
    """A phone of ours that rings until somebody picks it up."""
    expected = peer.sim.expect_phone(NUMBER, answers_after=None)
    assert peer.result("calling.dial", tag="t", devices=[[RING]])["code"] == "200"
    phone = expected.wait_for_call()
    phone.wait_until("ringing")
    return phone


# -- controls of the far end -------------------------------------------------------------------------------------------


def test_a_caller_does_not_answer_its_own_call(fast: Simulator, peer: Peer) -> None:
    phone = fast.call(to="+15550100", from_="+15550199")
    phone.wait_until("ringing")
    with pytest.raises(CommandRefused, match="the application answers") as caught:
        phone.answer()
    assert (caught.value.code, caught.value.call_id, phone.state) == (409, phone.call_id, "ringing")
    assert peer.result("calling.answer", **address(phone))["code"] == "200"
    assert "dial_winner" not in peer.event("calling.call.state", "answered")


def test_a_phone_is_picked_up_once(peer: Peer) -> None:
    phone = dialled(peer)
    phone.answer()
    with pytest.raises(CommandRefused, match="the call is answered") as caught:
        phone.answer()
    assert caught.value.code == 409
    assert [each["call_state"] for each in peer.sim.journal.events("calling.call.state")] == [
        "created",
        "ringing",
        "answered",
    ]


@pytest.mark.parametrize("act", [lambda phone: phone.press("1"), lambda phone: phone.say("yes")], ids=["press", "say"])
def test_nobody_presses_or_speaks_before_the_call_is_answered(peer: Peer, act: Callable[[Phone], None]) -> None:
    for phone in (peer.sim.call(to="+15550100", from_="+15550199"), dialled(peer)):
        with pytest.raises(CommandRefused, match=r"ringing.* answered") as caught:
            act(phone)
        assert caught.value.code == 409


@pytest.mark.parametrize("name", ["press", "say", "keep_silent", "answer"])
def test_a_call_that_is_over_takes_no_controls_but_another_hang_up(peer: Peer, name: str) -> None:
    phone = dialled(peer)
    phone.hang_up("decline")
    given = {"press": ["1"], "say": ["yes"]}.get(name, [])
    with pytest.raises(CallEnded, match="over") as caught:
        getattr(phone, name)(*given)
    assert caught.value.end_reason == "decline"
    phone.hang_up()
    assert phone.end_reason == "decline"


def test_our_side_answers_and_passes_only_what_it_was_offered(peer: Peer) -> None:
    phone = dialled(peer)
    for method in ("calling.answer", "calling.pass"):
        result = peer.result(method, **address(phone))
        assert (result["code"], "outbound" in result["message"]) == ("409", True)
    assert phone.state == "ringing"
    phone.answer()
    assert peer.result("calling.answer", **address(phone))["code"] == "409"


@pytest.mark.parametrize("how", ["cut", "forget_sessions", "subscribe"])
def test_a_phone_that_rings_for_us_is_offered_to_nobody(fast: Simulator, how: str) -> None:
    with ExitStack() as stack:
        one = stack.enter_context(connected(fast))
        phone = dialled(one)
        two = stack.enter_context(connected(fast, contexts=["other"]))
        if how != "subscribe":
            fast.cut()
            two = stack.enter_context(connected(fast, contexts=["other"]))
        if how == "forget_sessions":
            fast.forget_sessions()
        assert two.result("signalwire.receive", contexts=["default"])["code"] == "200"
        two.result("signalwire.ping", payload="whatever was offered has come")
    assert [each["event_type"] for each in two.events] == ["signalwire.authorization.state"]
    assert phone.state == "ringing"


def test_a_call_that_was_handed_over_and_taken_is_offered_no_more(fast: Simulator) -> None:
    with connected(fast) as one, connected(fast, contexts=["billing"]) as two:
        phone = one.answered()
        assert one.result("calling.transfer", dest="context:billing", **address(phone))["code"] == "200"
        assert two.event("calling.call.receive")["call_id"] == phone.call_id
        two.ws.shutdown()  # type: ignore[no-untyped-call]
        fast._world.board.wait_for(lambda: fast.clients == 1, 5, "the socket to go")
        with connected(fast, contexts=["billing"]) as three:
            three.result("signalwire.ping", payload="whatever was offered has come")
            assert [each["event_type"] for each in three.events] == ["signalwire.authorization.state"]


# -- one call in two places --------------------------------------------------------------------------------------------


def test_a_call_in_a_bridge_is_not_bridged_again_from_either_side(fast: Simulator, peer: Peer) -> None:
    one, two, three = (peer.answered() for _ in range(3))
    assert peer.result("calling.connect", devices=[[live(three)]], **address(one))["code"] == "200"
    for caller, device in ((two, live(three)), (two, live(one)), (three, live(two)), (one, live(two))):
        refusal = peer.result("calling.connect", devices=[[device]], **address(caller))
        assert refusal["code"] == "409"
    assert bridge_events(fast, one) == [("connecting", ""), ("connected", three.call_id)]
    assert bridge_events(fast, two) == bridge_events(fast, three) == []
    assert peer.result("calling.disconnect", **address(three))["code"] == "200"  # from the other side
    assert bridge_events(fast, one)[-1] == ("disconnected", three.call_id)
    assert peer.result("calling.connect", devices=[[live(three)]], **address(two))["code"] == "200"
    assert bridge_events(fast, two)[-1] == ("connected", three.call_id)


def test_of_several_devices_one_in_a_bridge_is_busy(fast: Simulator, peer: Peer) -> None:
    one, two, three, four = (peer.answered() for _ in range(4))
    peer.result("calling.connect", devices=[[live(two)]], **address(one))
    assert peer.result("calling.connect", devices=[[live(two)], [live(four)]], **address(three))["code"] == "200"
    assert bridge_events(fast, three)[-1] == ("connected", four.call_id)


def test_a_phone_that_was_dialled_for_a_bridge_is_in_it(fast: Simulator, peer: Peer) -> None:
    one, two = peer.answered(), peer.answered()
    expected = fast.expect_phone(NUMBER, answers_after=0)
    assert peer.result("calling.connect", devices=[[RING]], **address(one))["code"] == "200"
    leg = expected.wait_for_call()
    fast.journal.wait_for(lambda entry: entry.params.get("connect_state") == "connected")
    for caller, other in ((two, leg), (leg, two)):
        assert peer.result("calling.connect", devices=[[live(other)]], **address(caller))["code"] == "409"


@pytest.mark.parametrize(
    ("method", "params"),
    [("calling.transfer", {"dest": "context:billing"}), ("calling.join_conference", {"name": "weekly"})],
)
def test_a_call_in_a_bridge_stays_there(fast: Simulator, peer: Peer, method: str, params: Json) -> None:
    one, two = peer.answered(), peer.answered()
    peer.result("calling.connect", devices=[[live(two)]], **address(one))
    for phone in (one, two):
        assert peer.result(method, **params, **address(phone))["code"] == "409"
    assert bridge_events(fast, one)[-1] == ("connected", two.call_id)


def test_a_call_in_a_conference_is_not_bridged_nor_handed_over(fast: Simulator, peer: Peer) -> None:
    one, two = peer.answered(), peer.answered()
    peer.result("calling.join_conference", name="weekly", **address(one))
    assert peer.result("calling.connect", devices=[[live(two)]], **address(one))["code"] == "409"
    assert peer.result("calling.connect", devices=[[live(one)]], **address(two))["code"] == "409"
    assert peer.result("calling.transfer", dest="context:billing", **address(one))["code"] == "409"
    assert bridge_events(fast, one) == bridge_events(fast, two) == []


def test_a_queue_does_not_give_a_call_to_itself(fast: Simulator, peer: Peer) -> None:
    one = peer.answered()
    peer.result("calling.queue.enter", control_id="q", queue_name="support", **address(one))
    assert peer.result("calling.connect", devices=[[queued(one)]], **address(one))["code"] == "200"
    assert bridge_events(fast, one) == [("connecting", ""), ("failed", "notFound")]
    two = peer.answered()
    peer.result("calling.queue.enter", control_id="q", queue_name="support", **address(two))
    peer.result("calling.connect", devices=[[queued(one)]], **address(one))
    assert bridge_events(fast, one)[-1] == ("connected", two.call_id)
    assert (one.activities, two.activities) == (["calling.connect"], [])  # both have left the queue


def test_a_call_that_was_bridged_out_of_a_queue_is_given_to_nobody_else(fast: Simulator, peer: Peer) -> None:
    one, two, three = (peer.answered() for _ in range(3))
    peer.result("calling.queue.enter", control_id="q", queue_name="support", **address(one))
    peer.result("calling.connect", devices=[[live(one)]], **address(two))
    assert [each["status"] for each in fast.journal.events("calling.call.queue")] == ["enqueue", "dequeue"]
    peer.result("calling.queue.enter", control_id="q", queue_name="support", **address(one))  # while it is bridged
    peer.result("calling.connect", devices=[[queued(one)]], **address(three))
    assert bridge_events(fast, three) == [("connecting", ""), ("failed", "notFound")]


@pytest.mark.parametrize("state", ["ringing", "ended"])
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("calling.hold", {}),
        ("calling.unhold", {}),
        ("calling.join_conference", {"name": "weekly"}),
        ("calling.connect", {"devices": [[{"type": "phone", "params": {"to_number": NUMBER}}]]}),
        ("calling.queue.enter", {"control_id": "q", "queue_name": "support"}),
    ],
)
def test_verbs_for_answered_calls(peer: Peer, method: str, params: dict[str, Any], state: str) -> None:
    phone = peer.sim.call(to="+15550100", from_="+15550199")
    peer.event("calling.call.state", "ringing")
    if state == "ended":
        phone.hang_up()
    assert peer.result(method, **params, **address(phone))["code"] == {"ringing": "409", "ended": "404"}[state]
