"""States that are told in another order than they came about: what is known is not taken back, and what has ended stays so."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import Call, CallEnded, RelayClient
from relay_sync.call.call import core_of
from relay_sync.client.messages import Message
from relay_sync.client.pending_dials import PendingDial
from relay_sync.events import parse_event
from relay_sync.protocol.standing import OF_CALLS, OF_MESSAGES, Standing
from tests.support import PATIENCE
from tests.support.far_end import mute
from tests.support.lines import Line
from tests.support.offline import NODE, Json, calls, offer, state

STATES = ["created", "ringing", "answered", "ending"]


@pytest.mark.parametrize("order", [OF_CALLS, OF_MESSAGES])
def test_a_lower_rank_never_replaces_a_higher_one(order: dict[str, int]) -> None:
    for told in itertools.product(order, repeat=3):
        standing = Standing(order)
        for number, one in enumerate(told):
            highest = max([order[each] for each in told[:number]], default=-1)
            assert standing.takes(one) == (order[one] >= highest)


def test_a_state_that_is_not_known_is_taken_and_forgets_nothing() -> None:
    standing = Standing(OF_CALLS, "answered")
    assert standing.takes("parked")
    assert not standing.takes("ringing")
    assert standing.takes("answered")


@pytest.mark.parametrize("told", list(itertools.permutations(STATES[1:])))
def test_a_call_stands_where_it_has_come_to(offline: RelayClient, told: tuple[str, ...]) -> None:
    (call,) = calls(offline, "one")
    reader, so_far = call.events(), ["created"]
    for each in told:
        offline._router.on_event(state("one", each))
        so_far.append(each)
        assert call.state == max(so_far, key=STATES.index)
        assert each in core_of(call).reached
    offline._router.on_event(state("one", "ended"))
    assert [event.params["call_state"] for event in reader] == [*told, "ended"]


def test_what_a_late_event_says_of_a_call_fills_in_what_is_not_known(offline: RelayClient) -> None:
    def device(**params: str) -> Json:
        return {"device": {"type": "phone", "params": params}}

    (call,) = calls(offline, "one")
    offline._router.on_event(state("one", "ending", end_reason="busy", **device(to_number="+15550100")))
    offline._router.on_event(
        state("one", "ringing", end_reason="hangup", **device(to_number="+1", from_number="+15550199"))
    )
    assert (call.state, call.end_reason) == ("ending", "busy")
    assert (call.to_number, call.from_number) == ("+15550100", "+15550199")


def test_a_wait_for_a_state_is_not_misled_by_a_late_one(on_call: Line) -> None:
    mute(on_call.sim)
    address = {"call_id": on_call.call.call_id, "node_id": NODE}
    with on_call.call.expect("calling.call.state", lambda event: event.call_state == "ringing", PATIENCE):
        on_call.sim.send_event("calling.call.state", {**address, "call_state": "ringing"})
    assert on_call.call.state == "answered"
    assert on_call.call.wait_for_answered(0.001).call_state == "answered"


def leg(call_id: str, call_state: str, parent: str, **more: Any) -> Json:
    return state(call_id, call_state, parent={"call_id": parent, "node_id": NODE}, direction="outbound", **more)


LATE: dict[str, Callable[[RelayClient], object]] = {
    "its end was told": lambda client: client._router.on_event(leg("leg", "ended", "one")),
    "it was dropped": lambda client: client._router.cut_off(client.calls["leg"], CallEnded("it was dropped")),
    "the server does not know it": lambda client: client._router.call_gone(client.calls["leg"]),
}


@pytest.mark.parametrize("late", ["created", "ringing", "answered", "ending", "ended"])
@pytest.mark.parametrize("end", LATE)
def test_a_leg_that_is_over_does_not_come_back(offline: RelayClient, end: str, late: str) -> None:
    calls(offline, "one")
    offline._router.on_event(leg("leg", "answered", "one"))
    LATE[end](offline)
    assert list(offline.calls) == ["one"]
    offline._router.on_event(leg("leg", late, "one"))
    assert list(offline.calls) == ["one"]


@pytest.mark.parametrize("late", ["ringing", "answered"])
def test_a_leg_of_an_earlier_dial_is_none_of_a_new_one_with_its_tag(offline: RelayClient, late: str) -> None:
    board = offline._router
    for number in range(2):
        dial = PendingDial("tag", 1)
        board.dials.enter(dial)
        board.on_event(state(f"leg-{number}", "ringing", tag="tag"))
        if not number:
            board.on_event(state("leg-0", "ended", tag="tag"))
            board.on_event({"event_type": "calling.call.dial", "params": {"tag": "tag", "dial_state": "failed"}})
    board.on_event(state("leg-0", late, tag="tag", dial_winner=True))
    told = {"tag": "tag", "call_id": "leg-0", "node_id": NODE, "call_state": "answered", "dial_winner": "true"}
    board.on_event(
        {"event_type": "calling.call.dial", "params": {"tag": "tag", "dial_state": "answered", "call": told}}
    )
    assert list(offline.calls) == ["leg-1"]
    assert [each.call_id for each in dial.legs.snapshot()] == ["leg-1"]
    assert not dial.outcome.done


def test_a_call_may_be_offered_anew_under_an_id_that_was_a_leg_s(offline: RelayClient) -> None:
    calls(offline, "one")
    offline._router.on_event(leg("leg", "ended", "one"))
    offline._router.on_event(offer("leg"))
    assert isinstance(offline.calls["leg"], Call)
    offline._router.on_event(state("leg", "answered"))
    assert offline.calls["leg"].state == "answered"


def test_a_message_stands_where_it_has_come_to() -> None:
    message = Message(state="queued")
    told = ["sent", "initiated", "queued", "delivered", "sent"]
    seen = []
    for each in told:
        event: Any = parse_event(
            {"event_type": "messaging.state", "params": {"message_id": "m", "message_state": each}}
        )
        message._on_event(event)
        seen.append(message.state)
    assert seen == ["sent", "sent", "sent", "delivered", "delivered"]
