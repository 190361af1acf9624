"""The people of the simulated network: those that our side dials, connects and writes to, and those that do so to it."""

from __future__ import annotations

import gc
import queue
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import (
    Call,
    CallEnded,
    ConnectEvent,
    DialFailed,
    Expectation,
    InvalidParameter,
    Message,
    MessageStateEvent,
    RelayClient,
    TaskEvent,
    devices,
)
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.lines import FROM, TO, line

MakeClient = Callable[..., RelayClient]
ONE, TWO, THREE = "+15550101", "+15550102", "+15550103"


def connect(call: Call, *groups: list[dict[str, Any]], until: str = "connected", **options: Any) -> ConnectEvent:
    """Connect a call, and return when it is, or whatever else it is to be."""
    with expected(call, until) as seen:
        call.connect(groups, **options)
    assert isinstance(seen.value, ConnectEvent)
    return seen.value


def expected(call: Call, state: str) -> Expectation[ConnectEvent]:
    return call.expect("calling.call.connect", lambda event: event.connect_state == state, PATIENCE)


def states(sim: Simulator, call_id: str) -> list[str]:
    return [body["call_state"] for body in sim.journal.events("calling.call.state") if body["call_id"] == call_id]


def test_a_dial_is_answered(sim: Simulator, client: MakeClient) -> None:
    expected = sim.expect_phone(ONE, answers_after=5)
    call = client().dial(to=ONE, from_=FROM, tag="t1", send_digits="12")
    phone = expected.wait_for_call()
    assert (call.call_id, call.state, call.direction, call.tag) == (phone.call_id, "answered", "outbound", "t1")
    assert states(sim, call.call_id) == ["created", "ringing", "answered"]
    dialing, answered = sim.journal.events("calling.call.dial")
    assert (dialing["dial_state"], answered["dial_state"]) == ("dialing", "answered")
    assert "call" not in dialing
    body = answered["call"]
    assert (body["call_id"], body["call_state"], body["dial_winner"]) == (call.call_id, "answered", "true")
    assert body["device"] == {"type": "phone", "params": {"from_number": FROM, "to_number": ONE}}
    assert (phone.number, phone.digits) == (ONE, "12")


def test_a_winner_can_be_told_by_a_boolean() -> None:
    with Simulator(media="fast", dial_winner="boolean") as sim:
        with RelayClient(**sim.credentials) as client:
            client.dial(to=ONE, from_=FROM)
        assert sim.journal.events("calling.call.dial")[-1]["call"]["dial_winner"] is True


def test_groups_are_tried_in_turn_and_the_fastest_of_one_wins(sim: Simulator, client: MakeClient) -> None:
    sim.expect_phone(ONE, busy=True)
    slow = sim.expect_phone(TWO, answers_after=20)
    sim.expect_phone(THREE, answers_after=3)
    groups = [[devices.phone(ONE)], [devices.phone(TWO), devices.phone(THREE)]]
    call = client().dial(groups)
    assert call.device["params"]["to_number"] == THREE
    loser = slow.wait_for_call()
    loser.wait_until("ended")
    assert loser.end_reason == "cancel"
    assert states(sim, loser.call_id) == ["created", "ringing", "ending", "ended"]


@pytest.mark.parametrize(
    ("phone", "reason", "passes"),
    [
        ({"busy": True}, "busy", ["created", "ending", "ended"]),
        ({"no_answer": True}, "noAnswer", ["created", "ringing", "ending", "ended"]),
        ({"declines": True}, "decline", ["created", "ringing", "ending", "ended"]),
        ({"unreachable": True}, "notFound", ["created", "ending", "ended"]),
        ({"answers_after": 40}, "noAnswer", ["created", "ringing", "ending", "ended"]),
    ],
)
def test_a_dial_that_nobody_answers(
    sim: Simulator, client: MakeClient, phone: dict[str, Any], reason: str, passes: list[str]
) -> None:
    sim.expect_phone(ONE, **phone)
    with pytest.raises(DialFailed) as caught:
        client().dial(to=ONE, from_=FROM)
    assert caught.value.reason == reason
    failed = sim.journal.events("calling.call.dial")[-1]
    assert (failed["dial_state"], failed["reason"], failed["source"]) == ("failed", reason, "outbound")
    assert [body["call_state"] for body in sim.journal.events("calling.call.state")] == passes


def test_a_phone_that_is_answered_by_hand(sim: Simulator, client: MakeClient) -> None:
    expected = sim.expect_phone(ONE, answers_after=None)
    one = client()
    one.connect()
    dialling = Background(lambda: one.dial(to=ONE, from_=FROM))
    phone = expected.wait_for_call(0, PATIENCE)
    phone.wait_until("ringing")
    assert dialling.running
    phone.answer()
    assert dialling.result().call_id == phone.call_id
    again = Background(lambda: one.dial(to=ONE, from_=FROM))
    expected.wait_for_call(1, PATIENCE).hang_up("decline")
    with pytest.raises(DialFailed, match="decline"):
        again.result()


def test_a_phone_may_be_different_the_next_time(sim: Simulator, client: MakeClient) -> None:
    sim.expect_phone(ONE, answers_after=1)
    sim.expect_phone(ONE, busy=True, times=2)
    one = client()
    for _ in range(2):
        with pytest.raises(DialFailed, match="busy"):
            one.dial(to=ONE, from_=FROM)
    assert one.dial(to=ONE, from_=FROM).state == "answered"


def test_a_call_is_connected_and_parted(sim: Simulator) -> None:
    with line(sim) as one:
        sim.expect_phone(ONE, no_answer=True)
        agent = sim.expect_phone(TWO, answers_after=4)
        music = [{"type": "audio", "params": {"url": "https://media.test/wait.mp3"}}]
        connect(one.call, [devices.phone(ONE)], [devices.phone(TWO)], tag="agent", ringback=music)
        assert [item.url for item in one.phone.heard] == ["https://media.test/wait.mp3"]
        phone = agent.wait_for_call()
        connecting, connected = sim.journal.events("calling.call.connect")
        assert connecting["connect_state"] == "connecting"
        assert connected["peer"] == {
            "call_id": phone.call_id,
            "node_id": phone.node_id,
            "tag": "agent",
            "device": {"type": "phone", "params": {"from_number": FROM, "to_number": TWO}},
        }
        told = [body for body in sim.journal.events("calling.call.state") if body["call_id"] == phone.call_id]
        assert [body["call_state"] for body in told] == ["created", "ringing", "answered"]
        assert {body["tag"] for body in told} == {"agent"}
        parent = {"call_id": one.call.call_id, "node_id": one.call.node_id, "device_type": "phone"}
        assert all(body["parent"] == parent for body in told)
        assert "dial_winner" not in told[-1]
        with expected(one.call, "disconnected"):
            one.call.disconnect()
        assert (phone.state, one.phone.state) == ("answered", "answered")
        phone.hang_up()


def test_a_bridge_ends_with_its_peer_and_with_its_call(sim: Simulator) -> None:
    with line(sim) as one:
        agent = sim.expect_phone(ONE)
        for index in range(2):
            connect(one.call, [devices.phone(ONE)])
            phone = agent.wait_for_call(index)
            if index == 0:
                with expected(one.call, "disconnected"):
                    phone.hang_up()
                assert one.phone.state == "answered"
        one.call.hangup()
        phone.wait_until("ended")
        assert sim.journal.events("calling.call.connect")[-1]["connect_state"] == "disconnected"


def test_a_call_that_cannot_be_connected(sim: Simulator) -> None:
    with line(sim) as one:
        sim.expect_phone(ONE, busy=True)
        assert connect(one.call, [devices.phone(ONE)], until="failed").failed_reason == "busy"
        assert one.phone.state == "answered"


def test_a_call_is_connected_with_one_that_is_there(sim: Simulator) -> None:
    with line(sim) as one:
        _, other = one.another()
        other.answer()
        other.wait_for_answered(PATIENCE)
        assert connect(one.call, [devices.call(other.call_id, other.node_id)]).peer["call_id"] == other.call_id
        with expected(one.call, "disconnected"):
            other.hangup()


@pytest.mark.parametrize(
    ("plan", "passes"),
    [
        ({}, ["queued", "initiated", "sent", "delivered"]),
        ({"before_reply": True}, ["queued", "initiated", "sent", "delivered"]),
        ({"ends": "undelivered", "reason": "carrier rejected"}, ["queued", "initiated", "sent", "undelivered"]),
        ({"ends": "failed", "reason": "no such number"}, ["queued", "initiated", "failed"]),
    ],
)
def test_messages_go_their_way(sim: Simulator, client: MakeClient, plan: dict[str, Any], passes: list[str]) -> None:
    sim.expect_message(ONE, **plan)
    message = client().send_message(to_number=ONE, from_number=FROM, body="x" * 200, media=["https://f.test/a.jpg"])
    event = message.wait(PATIENCE)
    assert (message.state, message.reason) == (passes[-1], plan.get("reason", ""))
    assert isinstance(event, MessageStateEvent)
    assert event.segments == 2
    told = sim.journal.events("messaging.state")
    assert [body["message_state"] for body in told] == passes
    assert [body.get("reason") for body in told[:-1]] == [None] * (len(passes) - 1)
    reply = sim.journal.reply_to(sim.journal.requests("messaging.send")[0])
    assert reply is not None
    frames = [entry.frame for entry in sim.journal if entry.direction == "out"]
    first = next(frame for frame in frames if frame.get("params", {}).get("event_type") == "messaging.state")
    assert (frames.index(first) < frames.index(reply)) is plan.get("before_reply", False)
    assert "event_channel" not in first["params"]


def test_messages_and_tasks_come_in_and_wait_for_somebody(sim: Simulator, client: MakeClient) -> None:
    message_id = sim.message(to=TO, from_=FROM, body="On my way", media=["https://f.test/a.jpg"], tags=["vip"])
    sim.task({"job": "call back"})
    sim.task({"job": "elsewhere"}, context="other")
    got: queue.SimpleQueue[Any] = queue.SimpleQueue()
    one = client()

    @one.on_message
    def received(message: Message) -> None:
        got.put(message)

    @one.on_task
    def task(event: TaskEvent) -> None:
        got.put(event)

    one.connect()
    found = {type(each).__name__: each for each in (got.get(timeout=PATIENCE), got.get(timeout=PATIENCE))}
    message = found["Message"]
    assert (message.message_id, message.body, message.state) == (message_id, "On my way", "received")
    assert (message.from_number, message.to_number, list(message.tags)) == (FROM, TO, ["vip"])
    assert found["TaskEvent"].message == {"job": "call back"}
    one.receive(["other"])
    assert got.get(timeout=PATIENCE).message == {"job": "elsewhere"}


def test_the_obsolete_way_to_call_somebody(sim: Simulator, client: MakeClient) -> None:
    expected = sim.expect_phone(ONE)
    device = {"type": "phone", "params": {"to_number": ONE, "from_number": FROM}}
    reply = client().execute("calling.begin", {"device": device, "tag": "old"})
    phone = expected.wait_for_call()
    phone.wait_until("answered")
    assert (reply["call_id"], reply["node_id"], reply["message"]) == (phone.call_id, phone.node_id, "Call started")
    assert sim.journal.events("calling.call.dial") == []


def test_dials_connections_and_messages_go_wrong_on_demand(sim: Simulator) -> None:
    with line(sim) as one:
        sim.break_action("calling.dial")
        with pytest.raises(DialFailed, match="error"):
            one.client.dial(to=ONE, from_=FROM)
        sim.break_action("calling.connect", {"failed_reason": "congestion"})
        assert connect(one.call, [devices.phone(ONE)], until="failed").failed_reason == "congestion"
        sim.break_action("messaging.send")
        message = one.client.send_message(to_number=ONE, from_number=FROM, body="hi")
        message.wait(PATIENCE)
        assert (message.state, message.reason) == ("failed", "error")


def test_what_happens_does_not_wait_for_an_answer_that_is_held_back(sim: Simulator) -> None:
    with line(sim) as one:
        sim.hold("calling.play")
        playing = Background(one.call.play_tts, "Welcome")
        one.phone.wait_until_heard("Welcome")
        one.phone.wait_until_idle()
        sim.wait_for_acks()
        sim.release("calling.play")
        assert playing.result().wait(PATIENCE).state == "finished"


def test_the_patience_of_timeouts_can_be_shortened() -> None:
    with Simulator(speed=1000) as sim, line(sim) as one:
        action = one.call.collect(digits={"max": 1}, initial_timeout=60, start_input_timers=True)
        action.wait(PATIENCE)
        assert action.type == "no_input"


def test_what_was_played_can_be_asked_and_waited_for(sim: Simulator) -> None:
    with line(sim) as one:
        one.call.play_tts("Welcome to the bank").wait(PATIENCE)
        one.call.play_audio("https://media.test/terms.mp3").wait(PATIENCE)
        assert one.phone.wait_until_heard("Welcome").text == "Welcome to the bank"
        assert one.phone.wait_until_heard("terms.mp3").url == "https://media.test/terms.mp3"
        action = one.call.record()
        assert one.phone.recorded
        assert one.phone.activities[-1] == "calling.record"
        action.stop()
        action.wait(PATIENCE)
        assert one.phone.activities == []
        one.phone.hang_up()
        with pytest.raises(CallEnded, match="Goodbye"):
            one.phone.wait_until_heard("Goodbye")


def test_somebody_who_hangs_up_when_he_has_heard_enough(sim: Simulator, client: MakeClient) -> None:
    sim.expect_phone(ONE, hangs_up_after="advert")
    call = client().dial(to=ONE, from_=FROM)
    call.play_tts("Hello")
    call.play_tts("This is an advertisement")
    call.wait_for_ended(PATIENCE)
    assert call.end_reason == "hangup"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"answers_after": -1}, "answers_after"),
        ({"busy": True, "declines": True}, "declines"),
        ({"presses": "x"}, "presses"),
        ({"presses": ["1", ""]}, "presses"),
        ({"answered_by": "dog"}, "answered_by"),
        ({"hangs_up_after": -1}, "hangs_up_after"),
        ({"hangs_up_after": ""}, "hangs_up_after"),
        ({"times": 0}, "times"),
    ],
)
def test_phones_that_cannot_be(sim: Simulator, given: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidParameter, match=name):
        sim.expect_phone(ONE, **given)


def test_messages_and_sounds_that_cannot_be(sim: Simulator) -> None:
    with pytest.raises(InvalidParameter, match="ends"):
        sim.expect_message(ONE, ends="eaten")
    with pytest.raises(InvalidParameter, match="sound"):
        sim.expect_sound("https://media.test/a.wav", 0)


def test_a_call_that_is_over_waits_for_no_collector(sim: Simulator) -> None:
    gone = threading.Event()
    gc.disable()
    try:
        phone = sim.call(to=TO, from_=FROM)
        weakref.finalize(sim._platform.network.calls[phone.call_id], gone.set)
        phone.hang_up()
        del phone
        assert gone.wait(PATIENCE)
    finally:
        gc.enable()
