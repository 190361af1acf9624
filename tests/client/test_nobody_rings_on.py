"""Dials: a tag is one dial's, nobody is left ringing, and what is sent is what was given."""

from __future__ import annotations

import pytest

import relay_sync
from relay_sync import (
    DialFailed,
    InvalidParameter,
    RelayClient,
    devices,
    parse_event,
)
from relay_sync.simulator import Simulator
from tests.support.exchange import Exchange
from tests.support.far_end import mute


def test_a_tag_is_one_dial_s_and_nobody_is_left_ringing(exchange: Exchange) -> None:
    two = [[devices.phone("+15550100022"), devices.phone("+15550100033")]]
    first = exchange.dial(two, tag="t")
    with pytest.raises(InvalidParameter, match="tag"):
        exchange.client.dial(to="+15550100022", tag="t")
    exchange.leg("t", "loser", "ringing")
    exchange.leg("t", "winner", "answered")
    exchange.answered("t", "winner")
    assert first.result().call_id == "winner"
    exchange.wait_for_end("loser")
    late = exchange.dial(to="+15550100022", tag="late", dial_timeout=0.2)
    exchange.leg("late", "ringing", "ringing")
    with pytest.raises(DialFailed):
        late.result()
    exchange.wait_for_end("ringing")
    assert set(exchange.client.calls) == {"winner"}


def test_units_and_types_that_sources_disagree_on_pass_unchanged(exchange: Exchange) -> None:
    dialling = exchange.dial(to="+15550100022", tag="t", max_duration=30)
    assert exchange.request["max_duration"] == 30
    exchange.answered("t", "c1")
    call = dialling.result()
    call.user_event(event={"type": "x", "number": 1})
    [sent] = exchange.sim.journal.requests("calling.user_event")
    assert sent["params"]["event"] == {"type": "x", "number": 1}
    room = parse_event({"event_type": "calling.conference", "params": {"conference_id": "c", "status": "new-one"}})
    assert room.params["status"] == "new-one"


def test_nobody_is_left_ringing_and_no_late_winner_hears_silence(sim: Simulator) -> None:
    mute(sim)
    with RelayClient(**sim.credentials) as client:
        exchange = Exchange(sim, client)
        dialling = exchange.dial(to="+15550100022", tag="t")
        exchange.leg("t", "rings", "ringing")
        exchange.moved("t", "failed", reason="noAnswer")
        with pytest.raises(relay_sync.DialFailed):
            dialling.result()
        exchange.wait_for_end("rings")
        exchange.leg("t", "late-0", "answered")
        exchange.wait_for_end("late-0")
        exchange.answered("t", "late-1")
        exchange.wait_for_end("late-1")
        # One that has ended already needs no end, and the tag is free for another dial.
        exchange.leg("t", "over", "ended")
        again = exchange.dial(to="+15550100022", tag="t")
        exchange.leg("t", "ours", "answered")
        exchange.answered("t", "ours")
        assert again.result().call_id == "ours"
        # A loser that turns up after the winner is hung up, too, and the winner's news are his own.
        exchange.answered("t", "ours")
        exchange.leg("t", "loser", "ringing")
        exchange.wait_for_end("loser")
        assert set(client.calls) == {"ours"}
        assert set(exchange.ends()) == {"rings", "late-0", "late-1", "loser"}
