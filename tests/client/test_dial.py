"""Dialing: by tag, with legs that come and go, one that wins, and what becomes of the others."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import (
    Call,
    CallEnded,
    ClientClosed,
    CommandRefused,
    ConnectionLost,
    DialFailed,
    InvalidParameter,
    RelayClient,
    RequestTimeout,
    devices,
)
from relay_sync.client.dial import patience_of
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.exchange import NODE, PHONE, Exchange, Json
from tests.support.far_end import QUESTIONS, mute
from tests.support.lines import drop, line

TWO = [[devices.phone("+15550100022"), devices.phone("+15550100033")]]


FRAMES: list[tuple[tuple[Any, ...], Json, Json]] = [
    (
        (),
        {"to": "+15550100022", "from_": "+15550100011", "ring_timeout": 25},
        {
            "devices": [
                [
                    {
                        "type": "phone",
                        "params": {"to_number": "+15550100022", "from_number": "+15550100011", "timeout": 25},
                    }
                ]
            ]
        },
    ),
    (
        (),
        {"to": "sip:desk@example.test", "from_": "sip:me@example.test"},
        {"devices": [[{"type": "sip", "params": {"to": "sip:desk@example.test", "from": "sip:me@example.test"}}]]},
    ),
    (
        ([[PHONE], [PHONE, {"type": "webrtc", "params": {"x": 1}}]],),
        {
            "tag": "campaign-17",
            "max_duration": 30,
            "max_price_per_minute": 0.02,
            "send_digits": "w1#",
            "dest_swml": {"sections": {}},
            "region": "us",
            "timeout": 45.5,
            "dial_timeout": 60,
            "extra": {"brand_new": 1},
        },
        {
            "tag": "campaign-17",
            "devices": [[PHONE], [PHONE, {"type": "webrtc", "params": {"x": 1}}]],
            "max_duration": 30,
            "max_price_per_minute": 0.02,
            "send_digits": "w1#",
            "dest_swml": {"sections": {}},
            "region": "us",
            "timeout": 45.5,
            "brand_new": 1,
        },
    ),
]


@pytest.mark.parametrize(("args", "options", "wanted"), FRAMES, ids=["phone", "sip", "all"])
def test_frame(exchange: Exchange, args: tuple[Any, ...], options: Json, wanted: Json) -> None:
    dialing = exchange.dial(*args, **options)
    tag = exchange.request["tag"]
    assert isinstance(tag, str)
    assert tag
    assert exchange.request == {"tag": tag, **wanted}
    exchange.answered(tag, "c1")
    assert dialing.result().call_id == "c1"


def test_the_usual_story(exchange: Exchange) -> None:
    dialing = exchange.dial([[PHONE]], tag="t")
    exchange.moved("t", "dialing")
    exchange.leg("t", "c1", "created")
    exchange.leg("t", "c1", "ringing")
    exchange.leg("t", "c1", "answered", dial_winner=None)
    assert dialing.running
    exchange.answered("t", "c1")
    call = dialing.result()
    assert (call.call_id, call.node_id, call.tag, call.state) == ("c1", NODE, "t", "answered")
    assert (call.direction, call.device, call.segment_id) == ("outbound", PHONE, "segment-1")
    assert call.project_id == exchange.sim.settings.project
    assert exchange.client.calls == {"c1": call}
    assert call.wait_for_answered(PATIENCE).call_id == "c1"
    assert exchange.ends() == {}
    with call.expect("calling.call.state", timeout=PATIENCE):
        exchange.leg("t", "c1", "ended", end_reason="hangup")
    assert call.end_reason == "hangup"
    assert exchange.client.calls == {}


@pytest.mark.parametrize("winner", ["true", True, None])
def test_the_dial_s_own_event_is_enough(exchange: Exchange, winner: Any) -> None:
    dialing = exchange.dial(to="+15550100022", tag="t")
    exchange.answered("t", "c1", winner)
    call = dialing.result()
    assert (call.state, call.device, call.node_id) == ("answered", PHONE, NODE)
    assert exchange.client.calls == {"c1": call}
    assert call.wait_for_answered(PATIENCE).call_id == "c1"


@pytest.mark.parametrize("winner", ["true", True])
def test_a_leg_that_says_it_won_is_enough(exchange: Exchange, winner: Any) -> None:
    dialing = exchange.dial(to="+15550100022", tag="t")
    exchange.leg("t", "c1", "answered", dial_winner=winner)
    assert dialing.result().call_id == "c1"
    exchange.answered("t", "c1")  # the dial's own event comes later, and changes nothing
    exchange.sim.wait_for_acks()
    assert set(exchange.client.calls) == {"c1"}


@pytest.mark.parametrize("call", [{}, {"call_id": 0}, "c1"])
def test_an_answer_that_names_nobody_means_the_leg_that_answered(exchange: Exchange, call: Any) -> None:
    dialing = exchange.dial(TWO, tag="t")
    exchange.leg("t", "c1", "ringing")
    exchange.leg("t", "c2", "answered")
    exchange.moved("t", "answered", call={} if call == {"call_id": 0} else call)
    assert dialing.result().call_id == "c2"


@pytest.mark.parametrize("winner", ["false", False])
def test_a_loser_s_answer_decides_nothing(exchange: Exchange, winner: Any) -> None:
    dialing = exchange.dial(TWO, tag="t")
    exchange.answered("t", "c1", winner)
    exchange.answered("t", "c2")
    assert dialing.result().call_id == "c2"


@pytest.mark.parametrize("states", [(), ("created",), ("created", "ringing"), ("created", "ringing", "answered")])
@pytest.mark.parametrize(
    "winner",
    [
        {},
        {"call_state": None},
        {"call_state": ""},
        {"call_state": "ringing"},
        {"dial_winner": True},
        {"node_id": None, "dial_winner": "true"},
    ],
)
def test_the_leg_of_an_answered_dial_is_answered(exchange: Exchange, states: tuple[str, ...], winner: Json) -> None:
    dialing = exchange.dial(to="+15550100022", tag="t")
    for state in states:
        exchange.leg("t", "c1", state)
    exchange.moved("t", "answered", call={"call_id": "c1", "node_id": NODE, **winner})
    call = dialing.result()
    assert (call.call_id, call.state, call.tag, call.node_id) == ("c1", "answered", "t", NODE)
    assert call.wait_for_answered(PATIENCE).params["call_state"] == "answered"


@pytest.mark.parametrize(
    "told",
    [
        {"dial_state": "answered", "call": {"call_id": "c1", "tag": "t"}},
        {"dial_state": "answered", "call": {"call_id": "c1"}},
        {"tag": "t", "call": {"call_id": "c1", "dial_winner": "true"}},
        {"tag": "t", "dial_state": "answered"},
        {"tag": "t", "dial_state": "answered", "call": None},
    ],
    ids=["tag in the call", "no tag", "no dial state", "no call", "call null"],
)
def test_a_dial_event_may_leave_members_out(exchange: Exchange, told: Json) -> None:
    dialing = exchange.dial(to="+15550100022", tag="t")
    exchange.leg("t", "c1", "ringing")
    exchange.sim.send_event("calling.call.dial", told)
    call = dialing.result()
    assert (call.call_id, call.state) == ("c1", "answered")
    assert exchange.ends() == {}


def test_an_answer_that_names_nobody_waits_for_the_leg_that_answers(exchange: Exchange) -> None:
    dialing = exchange.dial(TWO, tag="t")
    exchange.leg("t", "c1", "ringing")
    exchange.leg("t", "c2", "ringing")
    exchange.moved("t", "answered")
    exchange.sim.wait_for_acks()
    assert dialing.running
    exchange.leg("t", "c2", "answered")
    assert dialing.result().call_id == "c2"
    exchange.wait_for_end("c1")


def test_a_leg_that_won_need_not_repeat_its_tag(exchange: Exchange) -> None:
    dialing = exchange.dial(to="+15550100022", tag="t")
    exchange.leg("t", "c1", "ringing")
    exchange.leg("", "c1", "answered", dial_winner=True)
    assert dialing.result().tag == "t"


def test_losing_legs_are_hung_up_and_forgotten(exchange: Exchange) -> None:
    dialing = exchange.dial(TWO, tag="t")
    for call_id in ("c1", "c2", "c3", "c4"):
        exchange.leg("t", call_id, "ringing")
    exchange.leg("t", "c3", "ended", end_reason="busy")
    exchange.leg("t", "c4", "ending")
    exchange.sim.wait_for_acks()
    loser = exchange.client.calls["c1"]
    exchange.answered("t", "c2")
    assert dialing.result().call_id == "c2"
    assert set(exchange.client.calls) == {"c2"}
    exchange.wait_for_end("c1")
    assert exchange.ends() == {"c1": "cancel"}
    with pytest.raises(CallEnded):
        loser.wait_for_answered(PATIENCE)
    assert loser.hangup() == {}
    exchange.leg("t", "c1", "ended", end_reason="cancel")
    exchange.sim.wait_for_acks()
    assert set(exchange.client.calls) == {"c2"}


def test_a_failed_dial_says_why(exchange: Exchange) -> None:
    dialing = exchange.dial(TWO, tag="t")
    exchange.leg("t", "c1", "ringing")
    exchange.moved("t", "failed", reason="noAnswer", source="outbound")
    with pytest.raises(DialFailed, match="noAnswer") as caught:
        dialing.result()
    assert caught.value.reason == "noAnswer"
    exchange.wait_for_end("c1")
    assert exchange.client.calls == {}


def test_a_failed_dial_without_a_reason_takes_that_of_its_last_leg(exchange: Exchange) -> None:
    dialing = exchange.dial(TWO, tag="t")
    exchange.leg("t", "c1", "ended", end_reason="noAnswer")
    exchange.leg("t", "c2", "ended", end_reason="busy")
    assert dialing.running
    exchange.moved("t", "failed")
    with pytest.raises(DialFailed) as caught:
        dialing.result()
    assert caught.value.reason == "busy"
    assert exchange.ends() == {}


def test_a_tag_is_free_again_after_its_dial(exchange: Exchange) -> None:
    for number, answered in enumerate((True, False, True)):
        dialing = exchange.dial(to="+15550100022", tag="t")
        if answered:
            exchange.answered("t", f"c{number}")
            assert dialing.result().call_id == f"c{number}"
        else:
            exchange.moved("t", "failed", reason="busy")
            with pytest.raises(DialFailed):
                dialing.result()


def test_a_tag_in_use_is_refused(exchange: Exchange) -> None:
    dialing = exchange.dial(to="+15550100022", tag="t")
    with pytest.raises(InvalidParameter, match="tag"):
        exchange.client.dial(to="+15550100033", tag="t")
    exchange.answered("t", "c1")
    assert dialing.result().call_id == "c1"
    assert len(exchange.sim.journal.requests("calling.dial")) == 1


def test_dials_side_by_side(exchange: Exchange) -> None:
    dials = {tag: exchange.dial(to="+15550100022", tag=tag) for tag in ("a", "b", "c")}
    for tag in ("c", "a", "b"):
        exchange.leg(tag, f"leg-{tag}", "answered")
        exchange.answered(tag, f"leg-{tag}")
    assert {tag: dialing.result().call_id for tag, dialing in dials.items()} == {
        "a": "leg-a",
        "b": "leg-b",
        "c": "leg-c",
    }
    assert exchange.ends() == {}


def test_when_time_is_up_what_rings_is_hung_up_and_so_is_who_comes_late(exchange: Exchange) -> None:
    dialing = exchange.dial(TWO, tag="t", dial_timeout=0.2)
    exchange.leg("t", "c1", "ringing")
    with pytest.raises(DialFailed, match=r"0\.2 s") as caught:
        dialing.result()
    assert caught.value.reason == "timeout"
    exchange.wait_for_end("c1")
    assert exchange.client.calls == {}
    # Its legs may still turn up, so its tag is not free.
    with pytest.raises(InvalidParameter, match="tag"):
        exchange.client.dial(to="+15550100022", tag="t")
    exchange.leg("t", "c2", "created")
    exchange.wait_for_end("c2")
    exchange.leg("t", "c2", "ringing")
    exchange.leg("t", "c1", "ended", end_reason="cancel")
    exchange.answered("t", "c3")
    exchange.wait_for_end("c3")
    assert exchange.ends() == {"c1": "cancel", "c2": "cancel", "c3": "hangup"}
    assert len(exchange.sim.journal.requests("calling.end")) == 3
    assert exchange.client.calls == {}
    again = exchange.dial(to="+15550100022", tag="t")
    exchange.answered("t", "c4")
    assert again.result().call_id == "c4"


def test_a_late_failure_frees_the_tag(exchange: Exchange) -> None:
    with pytest.raises(DialFailed):
        exchange.client.dial(to="+15550100022", tag="t", dial_timeout=0.4)
    exchange.moved("t", "failed", reason="cancel")
    exchange.sim.wait_for_acks()
    again = exchange.dial(to="+15550100022", tag="t")
    exchange.answered("t", "c1")
    assert again.result().call_id == "c1"


def test_a_dial_that_is_refused(exchange: Exchange) -> None:
    exchange.sim.refuse("calling.dial", 400, "no such device", data=[{"to_number": "no number"}])
    with pytest.raises(CommandRefused, match="no such device") as caught:
        exchange.client.dial(to="+15550100022", tag="t")
    assert caught.value.code == 400
    again = exchange.dial(to="+15550100022", tag="t")
    exchange.answered("t", "c1")
    assert again.result().call_id == "c1"


def test_legs_prove_that_a_dial_was_taken_on_though_the_reply_is_lost(exchange: Exchange) -> None:
    exchange.sim.drop_reply("calling.dial")

    def dial() -> Call:
        with exchange.client.timeout(0.2):
            return exchange.client.dial(to="+15550100022", tag="t")

    dialing = Background(dial)
    exchange.sim.journal.wait_for(lambda entry: entry.method == "calling.dial", PATIENCE)
    exchange.leg("t", "c1", "ringing")
    exchange.sim.wait_for_acks()
    threading.Event().wait(0.3)  # past the request timeout
    assert dialing.running
    exchange.answered("t", "c1")
    assert dialing.result().call_id == "c1"


def test_a_dial_that_nobody_hears_of_ends_with_the_request_and_its_legs_are_hung_up(exchange: Exchange) -> None:
    exchange.sim.drop_reply("calling.dial")
    with exchange.client.timeout(0.05), pytest.raises(RequestTimeout):
        exchange.client.dial(to="+15550100022", tag="t")
    exchange.leg("t", "c1", "created")
    exchange.wait_for_end("c1")


def test_the_winner_may_come_before_the_reply(exchange: Exchange) -> None:
    exchange.sim.hold("calling.dial")
    dialing = exchange.dial(to="+15550100022", tag="t")
    exchange.leg("t", "c1", "answered")
    exchange.answered("t", "c1")
    exchange.sim.release("calling.dial")
    assert dialing.result().call_id == "c1"


def test_a_lost_session_ends_a_dial(exchange: Exchange) -> None:
    dialing = exchange.dial(to="+15550100022", tag="t")
    exchange.leg("t", "c1", "ringing")
    exchange.sim.wait_for_acks()
    exchange.sim.forget_sessions()
    exchange.sim.cut()
    with pytest.raises(ConnectionLost):
        dialing.result()
    exchange.client.connect()
    again = exchange.dial(to="+15550100022", tag="t")
    exchange.answered("t", "c2")
    assert again.result().call_id == "c2"


def test_a_resumed_session_goes_on_dialing(exchange: Exchange) -> None:
    dialing = exchange.dial(to="+15550100022", tag="t")
    exchange.sim.wait_for_acks()
    exchange.sim.cut()
    exchange.sim.wait_for_client()
    exchange.answered("t", "c1")
    assert dialing.result().call_id == "c1"


def test_closing_the_client_ends_a_dial(exchange: Exchange) -> None:
    dialing = exchange.dial(to="+15550100022", tag="t")
    exchange.sim.wait_for_acks()
    exchange.client.disconnect()
    with pytest.raises(ClientClosed):
        dialing.result()


def test_an_interrupted_dial_leaves_nothing_ringing(exchange: Exchange) -> None:
    def interrupt() -> None:
        exchange.sim.journal.wait_for(lambda entry: entry.method == "calling.dial", PATIENCE)
        exchange.leg("t", "c1", "ringing")
        exchange.sim.wait_for_acks()
        os.kill(os.getpid(), signal.SIGINT)

    helper = Background(interrupt)
    with pytest.raises(KeyboardInterrupt):
        exchange.client.dial(to="+15550100022", tag="t", dial_timeout=PATIENCE)
    helper.result()
    exchange.wait_for_end("c1")
    exchange.leg("t", "c2", "created")
    exchange.wait_for_end("c2")


def test_odd_events_do_no_harm(exchange: Exchange) -> None:
    dialing = exchange.dial(to="+15550100022", tag="t")
    for params in (
        {},
        {"tag": ["t"], "dial_state": "failed"},
        {"tag": "other", "dial_state": "failed"},
        {"tag": "t"},
        {"tag": "t", "dial_state": "thinking"},
        {"tag": "t", "dial_state": "answered"},
        {"tag": "t", "dial_state": "answered", "call": {"call_id": {}}},
    ):
        exchange.sim.send_event("calling.call.dial", params)
    exchange.sim.send_event("calling.call.state", {"tag": "t", "call_state": "ringing"})
    exchange.sim.send_event("calling.call.state", {"tag": "other", "call_id": "x", "call_state": "ringing"})
    exchange.sim.wait_for_acks()
    assert dialing.running
    assert exchange.client.calls == {}
    exchange.answered("t", "c1")
    assert dialing.result().call_id == "c1"


BAD: list[tuple[tuple[Any, ...], Json, str]] = [
    ((), {}, "devices"),
    (([],), {}, "devices"),
    (([PHONE],), {}, "devices"),
    (([[PHONE]],), {"to": "+15550100022"}, "to"),
    (([[PHONE]],), {"from_": "+15550100022"}, "from_"),
    (([[PHONE]],), {"ring_timeout": 5}, "ring_timeout"),
    ((), {"to": ""}, "to"),
    ((), {"to": "+1", "ring_timeout": 2.5}, "timeout"),
    ((), {"to": "+1", "dial_timeout": "5"}, "dial_timeout"),
    (([[PHONE], [{"type": "strem", "params": {"url": "wss://a.example"}}]],), {}, "devices[1][0].type"),
    (([[devices.stream("wss://a.example")]],), {}, "devices[0][0].type"),
    (([[devices.queue("support", "n")]],), {}, "devices[0][0].type"),
    (([[{"type": "phone", "params": {"to_number": "+1", "timeout": -5}}]],), {}, "devices[0][0].params.timeout"),
    (([[{"type": "fabric", "params": {"from": "/private/me"}}]],), {}, "devices[0][0].params.to"),
    ((), {"to": "+1", "tag": ""}, "tag"),
    ((), {"to": "+1", "max_duration": -1}, "max_duration"),
    ((), {"to": "+1", "send_digits": "abc"}, "send_digits"),
    ((), {"to": "+1", "dest_swml": 5}, "dest_swml"),
    ((), {"to": "+1", "timeout": 0}, "timeout"),
    ((), {"to": "+1", "extra": {"tag": "t"}}, "extra"),
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_what_cannot_be_dialed(exchange: Exchange, number: int) -> None:
    args, options, parameter = BAD[number]
    with pytest.raises(InvalidParameter) as caught:
        exchange.client.dial(*args, **options)
    assert caught.value.parameter == parameter
    assert exchange.sim.journal.requests("calling.dial") == []


def test_legs_that_connect_makes_become_calls(sim: Simulator) -> None:
    with line(sim) as one:
        mute(sim)
        call = one.call
        call.connect([[PHONE]], tag="agent")
        leg = {"node_id": NODE, "call_id": "peer", "tag": "agent", "parent": {"call_id": call.call_id, "node_id": NODE}}
        sim.send_event("calling.call.state", {**leg, "call_state": "ringing", "direction": "outbound"})
        sim.send_event("calling.call.state", {**leg, "call_state": "answered", "direction": "outbound"})
        stranger = {"call_id": "stranger", "parent": {"call_id": "nobody"}, "call_state": "ringing"}
        sim.send_event("calling.call.state", stranger)
        sim.wait_for_acks()
        assert set(one.client.calls) == {call.call_id, "peer"}
        peer = one.client.calls["peer"]
        assert (peer.state, peer.tag, peer.node_id, peer.direction) == ("answered", "agent", NODE, "outbound")
        sim.send_event("calling.call.state", {**leg, "call_state": "ended", "end_reason": "hangup"})
        peer.wait_for_ended(PATIENCE)
        assert set(one.client.calls) == {call.call_id}


# -- what came while there was no connection ---------------------------------------------------------------------------


def test_a_dial_whose_legs_are_all_gone_after_a_resume_has_failed(exchange: Exchange) -> None:
    dialing = exchange.dial(TWO, tag="T", dial_timeout=60)
    exchange.leg("T", "A", "ringing")
    exchange.leg("T", "B", "ended", end_reason="busy")
    exchange.sim.wait_for_acks()
    for method in QUESTIONS:
        exchange.sim.refuse(method, 404, "Call not found", times=None)
    drop(exchange.sim, exchange.client)
    with pytest.raises(DialFailed) as failed:
        dialing.result()
    assert failed.value.reason == "busy"
    assert exchange.client.calls == {}


def test_a_dial_whose_legs_ended_before_the_connection_went_has_failed(exchange: Exchange) -> None:
    dialing = exchange.dial([[devices.phone("+15550100022")]], tag="T", dial_timeout=60)
    exchange.leg("T", "A", "ended", end_reason="noAnswer")
    exchange.sim.wait_for_acks()
    assert dialing.running  # its own event is on its way, perhaps
    drop(exchange.sim, exchange.client)
    with pytest.raises(DialFailed) as failed:
        dialing.result()
    assert failed.value.reason == "noAnswer"


def test_a_dial_with_devices_that_were_not_tried_yet_goes_on_after_a_resume(exchange: Exchange) -> None:
    dialing = exchange.dial(
        [[devices.phone("+15550100022")], [devices.phone("+15550100033")]], tag="T", dial_timeout=60
    )
    exchange.leg("T", "A", "ended", end_reason="noAnswer")
    exchange.sim.wait_for_acks()
    drop(exchange.sim, exchange.client)
    exchange.leg("T", "B", "answered")
    exchange.answered("T", "B")
    assert dialing.result().call_id == "B"


def test_a_leg_that_was_answered_before_the_connection_went_has_won(exchange: Exchange) -> None:
    dialing = exchange.dial(TWO, tag="T", dial_timeout=60)
    exchange.leg("T", "A", "answered")
    exchange.leg("T", "B", "ringing")
    exchange.sim.wait_for_acks()
    exchange.sim.refuse(QUESTIONS[0], 409, "no such realm", times=None)
    drop(exchange.sim, exchange.client)
    assert dialing.result().call_id == "A"
    exchange.wait_for_end("B")


# -- how long a dial can take ------------------------------------------------------------------------------------------

DESK, MOBILE = devices.phone("+15550100022", timeout=20), devices.phone("+15550100033", timeout=40)
UNSAID = devices.phone("+15550100044")
CONFIRMED = devices.phone("+15550100055", timeout=20, confirm="https://example.test/confirm", confirm_timeout=7)
CONFIRMS = devices.phone("+15550100055", timeout=20, confirm="https://example.test/confirm")


@pytest.mark.parametrize(
    ("groups", "timeout", "seconds"),
    [
        ([[UNSAID]], None, None),
        ([[UNSAID]], 10, 10),
        ([[DESK]], None, 20),
        ([[DESK]], 10, 20),
        ([[DESK, MOBILE]], None, 40),
        ([[DESK], [MOBILE]], None, 60),
        ([[DESK], [UNSAID]], None, 120),
        ([[DESK], [UNSAID]], 15, 35),
        ([[MOBILE], [MOBILE], [MOBILE], [UNSAID]], None, 150),
        ([[CONFIRMED]], None, 27),
        ([[CONFIRMS]], None, None),
        ([[CONFIRMS], [DESK]], None, 120),
        ([[devices.phone("+15550100044", timeout=0)]], None, None),
        ([[{"type": "phone", "params": {"to_number": "+1", "timeout": "soon"}}]], None, None),
    ],
)
def test_how_long_devices_may_ring(groups: Any, timeout: float | None, seconds: float | None) -> None:
    assert patience_of(groups, timeout) == seconds


@pytest.mark.slow
@pytest.mark.parametrize(
    "told",
    [{"timeout": 0.1}, {"devices": [[{"type": "webrtc", "params": {"timeout": 0.1}}]]}],
)
def test_a_dial_waits_no_longer_than_its_devices_may_ring(
    sim: Simulator, client: Callable[..., RelayClient], told: Json
) -> None:
    mute(sim)
    one = client(contexts=None, request_timeout=0.3)
    one.connect()
    given = told if "devices" in told else {"to": "+15550100022", **told}
    with pytest.raises(DialFailed, match=r"within 0.4 s \(the devices' ring time plus request_timeout") as failed:
        Background(lambda: one.dial(**given)).result()
    assert failed.value.reason == "timeout"


def test_dial_timeout_has_the_last_word(exchange: Exchange) -> None:
    with pytest.raises(DialFailed, match=r"within 0.1 s \(dial_timeout\)"):
        exchange.client.dial(to="+15550100022", ring_timeout=60, dial_timeout=0.1)
