"""A call: its states, waiting for them, events, and the verbs that answer, hang up and pass on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any, Final

import pytest

from relay_sync import (
    Call,
    CallEnded,
    CallStateEvent,
    CommandRefused,
    EventPending,
    InvalidParameter,
    QueueFull,
    RelayClient,
    WaitTimeout,
)
from relay_sync.call.call import core_of
from relay_sync.call.core import READER_LIMIT
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.lines import FROM, NOWHERE, TO, Desk, Line, line

STATE: Final = "calling.call.state"


@pytest.fixture
def ringing(sim: Simulator) -> Iterator[Line]:
    with line(sim, answered=False) as one:
        yield one


def test_an_inbound_call_knows_who_it_is(ringing: Line) -> None:
    call = ringing.call
    assert call.call_id == ringing.phone.call_id
    assert call.node_id == ringing.phone.node_id
    assert call.project_id == ringing.sim.settings.project
    assert call.context == "default"
    assert call.direction == "inbound"
    assert call.device["params"]["from_number"] == FROM
    assert call.device["params"]["to_number"] == TO
    assert call.state in ("created", "ringing")
    assert call.client is ringing.client
    assert ringing.client.calls == {call.call_id: call}


def test_answer_sends_the_call_s_address_and_nothing_else(ringing: Line) -> None:
    result = ringing.call.answer()
    assert result["code"] == "200"
    assert ringing.wait_for_request("calling.answer") == {
        "node_id": ringing.phone.node_id,
        "call_id": ringing.phone.call_id,
    }
    ringing.call.wait_for_answered(PATIENCE)
    assert ringing.call.state == "answered"


def test_answer_passes_unknown_parameters_on(ringing: Line) -> None:
    ringing.call.answer(extra={"brand_new": 60})
    assert ringing.wait_for_request("calling.answer")["brand_new"] == 60
    with pytest.raises(InvalidParameter, match="call_id"):
        ringing.call.answer(extra={"call_id": "other"})


@pytest.mark.parametrize("reason", ["hangup", "busy", "decline"])
def test_hangup(ringing: Line, reason: str) -> None:
    ringing.call.hangup(reason)
    assert ringing.wait_for_request("calling.end")["reason"] == reason
    event = ringing.call.wait_for_ended(PATIENCE)
    assert isinstance(event, CallStateEvent)
    assert event.end_reason == reason
    assert ringing.call.end_reason == reason
    assert ringing.phone.end_reason == reason


def test_hangup_with_an_unknown_reason_is_refused(ringing: Line) -> None:
    with pytest.raises(InvalidParameter, match="reason='tired'"):
        ringing.call.hangup("tired")
    assert not ringing.sim.journal.requests("calling.end")


def test_pass_offers_the_call_to_somebody_else(ringing: Line) -> None:
    with RelayClient(**ringing.sim.credentials, contexts=["default"]) as other:
        desk = Desk(other)
        ringing.sim.wait_for_client(2)
        waiting = Background(ringing.call.wait_for_ended)
        ringing.call.pass_()
        assert desk.take().call_id == ringing.call.call_id
        desk.closing.set()
        # Nothing more is told of it here, and nobody here may end what others handle now.
        with pytest.raises(CallEnded, match="returned to the platform"):
            waiting.result()
        assert ringing.client.calls == {}
        assert ringing.call.hangup() == {}
        ringing.desk.closing.set()
        assert ringing.client.drain(PATIENCE) is True
        ringing.client.disconnect(hangup_calls=True)
        assert not ringing.sim.journal.requests("calling.end")


def test_a_call_that_was_passed_may_be_offered_again(ringing: Line) -> None:
    ringing.call.pass_()
    offer = {"call_id": ringing.call.call_id, "node_id": ringing.call.node_id, "call_state": "ringing"}
    params = {"event_type": "calling.call.receive", "context": "default", "params": offer}
    ringing.sim.send_raw(json.dumps({"jsonrpc": "2.0", "id": "e2", "method": "signalwire.event", "params": params}))
    again = ringing.desk.take()
    assert (again.call_id, again is ringing.call) == (ringing.call.call_id, False)


@pytest.mark.parametrize("code", [404, 410])
def test_a_call_that_is_gone_makes_verbs_do_nothing(ringing: Line, code: int) -> None:
    for method in ("calling.answer", "calling.end", "calling.pass"):
        ringing.sim.refuse(method, code, "gone")
    assert ringing.call.answer() == {}
    assert ringing.call.hangup() == {}
    assert ringing.call.pass_() == {}


def test_other_refusals_raise(ringing: Line) -> None:
    ringing.sim.refuse("calling.answer", 409, "busy bridging")
    with pytest.raises(CommandRefused, match="busy bridging") as caught:
        ringing.call.answer()
    assert caught.value.code == 409
    assert caught.value.call_id == ringing.call.call_id


def test_verbs_on_an_ended_call_send_nothing(on_call: Line) -> None:
    on_call.phone.hang_up()
    on_call.call.wait_for_ended(PATIENCE)
    before = len(on_call.sim.journal.requests("calling.end"))
    assert on_call.call.hangup() == {}
    assert on_call.call.answer() == {}
    assert len(on_call.sim.journal.requests("calling.end")) == before
    assert on_call.client.calls == {}


# -- waiting for states ------------------------------------------------------------------------------------------------


def test_every_state_can_be_waited_for_before_and_after(ringing: Line) -> None:
    waits = {
        "ringing": ringing.call.wait_for_ringing,
        "answered": ringing.call.wait_for_answered,
        "ending": ringing.call.wait_for_ending,
        "ended": ringing.call.wait_for_ended,
    }
    before = {state: Background(wait, PATIENCE) for state, wait in waits.items()}
    ringing.call.answer()
    ringing.call.wait_for_answered(PATIENCE)
    ringing.phone.hang_up()
    for state, waiting in before.items():
        event = waiting.result()
        assert isinstance(event, CallStateEvent), state
    after = [wait(0.001) for wait in waits.values()]
    assert [event.params["call_state"] for event in after] == ["ringing", "answered", "ending", "ended"]


def test_a_wait_that_timed_out_can_be_repeated(on_call: Line) -> None:
    for _ in range(3):
        with pytest.raises(WaitTimeout):
            on_call.call.wait_for_ended(0.01)
    waiting = Background(on_call.call.wait_for_ended)
    on_call.phone.hang_up()
    assert isinstance(waiting.result(), CallStateEvent)


def test_answered_raises_on_a_call_that_ended_unanswered(ringing: Line) -> None:
    waiting = Background(ringing.call.wait_for_answered)
    ringing.phone.hang_up("cancel")
    with pytest.raises(CallEnded) as caught:
        waiting.result()
    assert caught.value.end_reason == "cancel"
    with pytest.raises(CallEnded):
        ringing.call.wait_for_answered()


def test_a_skipped_state_does_not_hang(ringing: Line) -> None:
    ringing.sim.drop_event(STATE, state="ending")
    waiting = Background(ringing.call.wait_for_ending)
    ringing.phone.hang_up()
    event = waiting.result()
    assert event.params["call_state"] == "ended"


def test_a_state_already_reached_returns_at_once(on_call: Line) -> None:
    event = on_call.call.wait_for(STATE, lambda e: e.call_state == "answered", timeout=0.001)
    assert event.params["call_state"] == "answered"
    assert on_call.call.wait_for_answered(0.001) is event


def test_wait_for_ends_with_the_call(on_call: Line) -> None:
    waiting = Background(on_call.call.wait_for, "calling.call.play")
    on_call.phone.hang_up()
    with pytest.raises(CallEnded):
        waiting.result()


def test_wait_for_without_predicate_wants_the_next_event(on_call: Line) -> None:
    waiting = Background(on_call.call.wait_for, STATE)
    with pytest.raises(WaitTimeout):
        on_call.call.wait_for(STATE, timeout=0.01)
    on_call.phone.hang_up()
    assert waiting.result().params["call_state"] == "ending"


@pytest.mark.parametrize("timeout", [float("nan"), "5", True])
def test_a_wrong_timeout_is_refused(on_call: Line, timeout: Any) -> None:
    with pytest.raises(InvalidParameter, match="timeout"):
        on_call.call.wait_for_ended(timeout)


# -- expect and events -------------------------------------------------------------------------------------------------


def test_expect_sees_an_event_that_came_before_the_verb_returned(ringing: Line) -> None:
    ringing.sim.hold("calling.answer")
    releasing = Background(_release_when_answered, ringing)
    with ringing.call.expect(STATE, lambda e: e.call_state == "answered", timeout=PATIENCE) as seen:
        ringing.call.answer()
        assert ringing.call.state == "answered"
    assert seen.value.call_state == "answered"
    releasing.result()


def _release_when_answered(one: Line) -> None:
    one.phone.wait_until("answered")
    one.sim.release()


def test_expect_raises_on_leaving_when_nothing_came(on_call: Line) -> None:
    with pytest.raises(WaitTimeout, match=r"calling\.call\.play"):
        with on_call.call.expect("calling.call.play", timeout=0.01):
            pass


def test_expect_raises_when_the_call_ends(on_call: Line) -> None:
    with pytest.raises(CallEnded):
        with on_call.call.expect("calling.call.play"):
            on_call.phone.hang_up()


def test_expect_lets_the_body_s_exception_through_at_once(on_call: Line) -> None:
    with pytest.raises(ZeroDivisionError):
        with on_call.call.expect("calling.call.play"):
            raise ZeroDivisionError


def test_expect_has_no_value_before_its_block_is_left(on_call: Line) -> None:
    with on_call.call.expect(STATE, timeout=PATIENCE) as seen:
        with pytest.raises(EventPending, match="after the with block"):
            _ = seen.value
        on_call.phone.hang_up()
    assert seen.value.call_state == "ending"


def test_predicates_run_on_the_waiting_thread(on_call: Line) -> None:
    threads: list[str] = []

    def predicate(event: Any) -> bool:
        threads.append(threading.current_thread().name)
        return True

    with on_call.call.expect(STATE, predicate, PATIENCE):
        on_call.phone.hang_up()
    assert threads == [threading.current_thread().name]


async def _asynchronous(event: Any) -> bool:
    return True


@pytest.mark.parametrize("predicate", [5, "answered", lambda: True, lambda event, other: True, _asynchronous])
def test_what_is_no_predicate_is_refused_before_anything_is_waited_for(on_call: Line, predicate: Any) -> None:
    with pytest.raises(InvalidParameter) as caught:
        on_call.call.wait_for(STATE, predicate)
    assert caught.value.parameter == "predicate"
    with pytest.raises(InvalidParameter, match="predicate"):
        on_call.call.expect(STATE, predicate)


def test_a_predicate_that_raises_hurts_only_its_caller(on_call: Line) -> None:
    def predicate(event: Any) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        with on_call.call.expect(STATE, predicate, PATIENCE):
            on_call.phone.hang_up()
    assert isinstance(on_call.call.wait_for_ended(PATIENCE), CallStateEvent)


def test_events_gives_everything_from_now_on_until_the_call_ends(ringing: Line) -> None:
    ringing.call.wait_for_ringing(PATIENCE)
    readers = [ringing.call.events() for _ in range(3)]
    reading: list[Background[list[Any]]] = [Background(list, reader) for reader in readers]
    ringing.call.answer()
    action = ringing.call.stream(NOWHERE)
    action.wait(PATIENCE)
    ringing.phone.hang_up()
    for one in reading:
        told = [
            (event.event_type, event.params.get("call_state") or event.params.get("state")) for event in one.result()
        ]
        assert told == [
            (STATE, "answered"),
            ("calling.call.stream", "finished"),
            (STATE, "ending"),
            (STATE, "ended"),
        ]


class _Heard:
    def __call__(self, event: Any) -> None: ...


def test_a_reader_may_fall_ten_thousand_events_behind() -> None:
    assert READER_LIMIT == 10_000


def readers(call: Call) -> int:
    return len(core_of(call).readers)


def test_a_reader_that_is_closed_or_forgotten_is_dropped(on_call: Line) -> None:
    reader = on_call.call.events()
    forgotten = on_call.call.events()
    assert readers(on_call.call) == 2
    reader.close()
    assert list(reader) == []
    assert readers(on_call.call) == 1
    del forgotten
    last = on_call.call.events()
    assert readers(on_call.call) == 1
    last.close()


def test_a_reader_that_falls_too_far_behind_gets_what_was_kept_and_then_an_error(
    on_call: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("relay_sync.call.core.READER_LIMIT", 3)
        reader = on_call.call.events()
    address = {"call_id": on_call.call.call_id, "node_id": on_call.call.node_id}
    with on_call.call.expect("calling.call.play", lambda e: e.params["n"] == 4, PATIENCE):
        for number in range(3):
            on_call.sim.send_event("calling.call.record", {**address, "n": number})
        on_call.sim.send_event("calling.call.play", {**address, "n": 4})
    assert [next(reader).params["n"] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(QueueFull):
        next(reader)


def test_on_hears_every_event_of_a_type_in_order(on_call: Line) -> None:
    heard: list[str] = []
    done = threading.Event()

    @on_call.call.on(STATE)
    def listener(event: CallStateEvent) -> None:
        heard.append(event.call_state)
        if event.call_state == "ended":
            done.set()

    on_call.call.on(STATE, lambda event: heard.append(event.call_state.upper()))
    on_call.phone.hang_up()
    assert done.wait(PATIENCE)
    on_call.client.disconnect()
    assert heard == ["ending", "ENDING", "ended", "ENDED"]


@pytest.mark.parametrize("listener", [5, lambda: None, lambda event, other: None])
def test_a_listener_that_cannot_take_an_event_is_refused(on_call: Line, listener: Any) -> None:
    with pytest.raises(InvalidParameter, match="handler") as caught:
        on_call.call.on(STATE, listener)
    assert caught.value.accepted in ("a function", "a function that accepts event")


@pytest.mark.parametrize("listener", [print, [].append, lambda *events: None, lambda event, more=1: None, _Heard()])
def test_whatever_can_take_an_event_may_listen(on_call: Line, listener: Any) -> None:
    assert on_call.call.on("calling.x.y", listener) is listener


@pytest.mark.parametrize("event_type", ["", None, 5])
def test_on_refuses_what_is_no_event_type(on_call: Line, event_type: Any) -> None:
    with pytest.raises(InvalidParameter, match="event_type"):
        on_call.call.on(event_type, print)


def test_a_coroutine_listener_is_refused(on_call: Line) -> None:
    async def listener(event: Any) -> None: ...

    with pytest.raises(InvalidParameter, match="remove async"):
        on_call.call.on(STATE, listener)


def test_a_call_shows_itself(on_call: Line) -> None:
    assert repr(on_call.call) == f"<Call {on_call.call.call_id} inbound answered>"


def test_hostile_event_params_do_not_disturb_a_call(on_call: Line) -> None:
    address: dict[str, Any] = {"call_id": on_call.call.call_id, "node_id": on_call.call.node_id}
    for params in (
        {**address, "call_state": 5},
        {**address, "call_state": None, "device": []},
        {**address, "control_id": ["x"]},
        {**address, "control_id": {}},
        {"call_id": ["x"]},
        {"call_id": None},
    ):
        for event_type in (STATE, "calling.call.stream"):
            on_call.sim.send_event(event_type, params)
    on_call.phone.hang_up()
    assert on_call.call.wait_for_ended(PATIENCE).params["call_state"] == "ended"


def test_calls_can_be_told_apart(on_call: Line) -> None:
    phone, other = on_call.another()
    assert isinstance(other, Call)
    assert set(on_call.client.calls) == {on_call.call.call_id, other.call_id}
    phone.hang_up()
    other.wait_for_ended(PATIENCE)
    assert on_call.call.state == "answered"
    assert set(on_call.client.calls) == {on_call.call.call_id}
