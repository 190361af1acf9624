"""How actions end: by what their events carry, with what carries them, and when the last event is lost."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pytest

import relay_sync
from relay_sync import (
    Call,
    ClientClosed,
    CollectAction,
    CommandRefused,
    ConnectionLost,
    RelayEvent,
    StreamEvent,
)
from relay_sync.call.call import core_of
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.far_end import mute, settle, tell
from tests.support.lines import NOWHERE, Line, line


def test_fax_and_pay_end_by_what_their_events_carry(muted: Line) -> None:
    fax = muted.call.send_fax("https://example.com/a.pdf")
    pay = muted.call.pay("https://example.com/pay")
    tell(muted, fax, "calling.call.fax", {"fax": {"type": "page", "params": {"direction": "send", "number": 1}}})
    tell(muted, pay, "calling.call.pay", {"event": "collecting"})
    settle(muted)
    assert not fax.is_done
    assert not pay.is_done
    tell(muted, fax, "calling.call.fax", {"fax": {"type": "finished", "params": {"pages": 1, "success": True}}})
    tell(muted, pay, "calling.call.pay", {"result": "success"})
    assert fax.wait(PATIENCE).params["fax"]["type"] == "finished"
    assert pay.wait(PATIENCE).result == "success"


def test_detect_and_collect_do_not_end_on_intermediate_results(muted: Line) -> None:
    detect = muted.call.detect_answering_machine()
    collect = muted.call.collect(speech={}, partial_results=True)
    for word in ("MACHINE", "NOT_READY"):
        told = {"detect": {"type": "machine", "params": {"event": word}}}
        tell(muted, detect, "calling.call.detect", told)
    tell(muted, collect, "calling.call.collect", {"result": {"type": "start_of_input"}})
    tell(
        muted,
        collect,
        "calling.call.collect",
        {"final": False, "result": {"type": "speech", "params": {"text": "y"}}},
    )
    settle(muted)
    assert not detect.is_done
    assert not collect.is_done
    tell(muted, detect, "calling.call.detect", {"detect": {"type": "machine", "params": {"event": "finished"}}})
    tell(
        muted,
        collect,
        "calling.call.collect",
        {"final": True, "result": {"type": "speech", "params": {"text": "yes"}}},
    )
    detect.wait(PATIENCE)
    collect.wait(PATIENCE)
    assert detect.wait_for_result(0).event == "MACHINE"


@pytest.mark.parametrize("end", ["the call", "the session", "the client"])
def test_open_actions_end_with_what_carries_them(end: str) -> None:
    with Simulator(media="fast", on_bad_resume="fresh") as sim, line(sim) as one:
        mute(sim)
        ended: queue.SimpleQueue[RelayEvent] = queue.SimpleQueue()
        action = one.call.play_silence(600, on_completed=ended.put)
        waiting = Background(action.wait)
        if end == "the call":
            one.phone.hang_up()
            assert waiting.result().reason == "call_ended"
            # An event that comes after all is for nobody, and does no harm.
            tell(one, action, "calling.call.play", {"state": "finished"})
            sim.wait_for_acks(PATIENCE)
        elif end == "the session":
            sim.forget_sessions()
            one.drop()
            with pytest.raises(ConnectionLost):
                waiting.result()
        else:
            one.client.disconnect()
            with pytest.raises(ClientClosed):
                waiting.result()
        assert ended.get(timeout=PATIENCE).synthetic
        assert action.is_done
    assert ended.empty()


def test_a_prompt_that_cannot_be_played_ends_and_cannot_be_paused(muted: Line) -> None:
    action = muted.call.prompt_tts("how many?", {"digits": {"max": 1}})
    assert isinstance(action, CollectAction)
    assert not hasattr(action, "pause")
    assert not hasattr(action, "resume")
    tell(muted, action, "calling.call.play", {"state": "error"})
    with pytest.raises(relay_sync.RelayError):
        action.wait(PATIENCE)
    assert action.is_done


def test_on_completed_runs_on_a_call_that_has_ended(muted: Line) -> None:
    muted.phone.hang_up()
    muted.call.wait_for_ended(PATIENCE)
    ended: queue.SimpleQueue[RelayEvent] = queue.SimpleQueue()
    action = muted.call.play_silence(1, on_completed=ended.put)
    event = ended.get(timeout=PATIENCE)
    assert (event.event_type, event.synthetic, event.reason) == ("calling.call.play", True, "call_ended")
    assert action.is_done


def test_an_empty_result_is_a_success_and_a_refusal_is_raised_once(muted: Line) -> None:
    def empty(request: Any) -> None:
        request.reply({})

    platform = muted.sim._platform
    platform.handlers = {**platform.handlers, "calling.play": empty}
    action = muted.call.play_silence(1)
    assert not action.is_done
    tell(muted, action, "calling.call.play", {"state": "finished"})
    assert action.wait(PATIENCE).state == "finished"
    completed: list[RelayEvent] = []
    muted.sim.refuse("calling.play", 400, "no such voice")
    with pytest.raises(CommandRefused, match="no such voice"):
        muted.call.play_silence(1, on_completed=completed.append)
    settle(muted)
    assert completed == []


def test_wait_ends_when_the_final_event_fell_into_a_reconnection(sim: Simulator) -> None:
    with line(sim) as one:
        sim.drop_event("calling.call.stream", state="finished", times=None)
        action = one.call.stream(NOWHERE)
        waiting = Background(action.wait)
        one.drop()
        one.phone.hang_up()
        event = waiting.result()
        assert event.synthetic
        assert event.reason == "call_ended"


def test_wait_ends_when_the_session_was_replaced_meanwhile() -> None:
    with Simulator(media="fast", on_bad_resume="fresh") as sim, line(sim) as one:
        sim.drop_event("calling.call.stream", state="finished", times=None)
        waiting = Background(one.call.stream(NOWHERE).wait)
        sim.forget_sessions()
        one.drop()
        with pytest.raises(ConnectionLost):
            waiting.result()


@pytest.mark.parametrize("same_id", [True, False])
def test_a_repeated_event_is_heard_once(sim: Simulator, same_id: bool) -> None:
    """Repeated with its frame's id it is the same event; with another id it is one more, and a state is reached once only."""
    heard: list[str] = []
    done = threading.Event()
    with line(sim) as one:
        one.call.on("calling.call.state", lambda event: heard.append(event.call_state))
        one.call.on("calling.x.last", lambda event: done.set())
        ends: list[StreamEvent] = []
        action = one.call.stream(NOWHERE, on_completed=ends.append)
        action.wait(PATIENCE)
        sim.duplicate_event("calling.call.state", same_id=same_id)
        one.phone.hang_up()
        one.call.wait_for_ended(PATIENCE)
        sim.wait_for_acks()
        core_of(one.call).callback("fence", done.set)
        assert done.wait(PATIENCE)
        if same_id:
            assert heard == ["ending", "ended"]
        assert heard.count("ended") == 1
        assert ends == [action.result]


def test_wait_ends_when_the_end_of_the_call_fell_into_a_reconnection(sim: Simulator) -> None:
    """Nothing tells of the end, neither then nor later: it has to be asked for."""
    with line(sim) as one:
        sim.drop_event("calling.call.stream", state="finished", times=None)
        sim.drop_event("calling.call.state", state="ending", times=None)
        sim.drop_event("calling.call.state", state="ended", times=None)
        action = one.call.stream(NOWHERE)
        stream, call = Background(action.wait), Background(one.call.wait_for_ended)
        one.phone.hang_up()
        one.drop()
        events = [stream.result(), call.result()]
        assert [(event.synthetic, event.reason) for event in events] == [(True, "call_ended"), (True, "call_gone")]
        assert one.client.calls == {}


def test_a_call_that_lives_is_only_asked_about(sim: Simulator) -> None:
    with line(sim) as one:
        one.drop()
        asked = one.wait_for_request("calling.clear_digit_bindings")
        assert asked == {"node_id": one.call.node_id, "call_id": one.call.call_id, "realm": asked["realm"]}
        sim.wait_for_acks(PATIENCE)
        assert one.client.execute("signalwire.ping") is not None  # the answer to the question came before this one
        assert one.call.wait_for_answered(PATIENCE).params
        one.phone.hang_up()
        assert not one.call.wait_for_ended(PATIENCE).synthetic


def test_a_404_that_is_about_something_else_ends_no_call(sim: Simulator) -> None:
    """What a realm that is not known gets is not documented."""
    with line(sim) as one:
        sim.refuse("calling.clear_digit_bindings", 404, "No such realm")
        one.drop()
        again = one.wait_for_request("calling.answer", 2)  # changes nothing for a call that was answered
        assert again == {"node_id": one.call.node_id, "call_id": one.call.call_id}
        assert one.client.execute("signalwire.ping") is not None  # the answer came before this one
        assert list(one.client.calls) == [one.call.call_id]
        one.phone.hang_up()
        assert not one.call.wait_for_ended(PATIENCE).synthetic


def test_actions_end_by_what_their_events_carry(muted: Line) -> None:
    call: Call = muted.call
    address = {"call_id": call.call_id, "node_id": call.node_id}
    fax, pay, collect = call.receive_fax(), call.pay("https://example.com/pay"), call.collect(speech={})
    told: list[tuple[Any, str, dict[str, Any]]] = [
        (collect, "calling.call.collect", {"result": {"type": "start_of_input"}}),
        (fax, "calling.call.fax", {"fax": {"type": "finished", "params": {"pages": 1}}}),
        (pay, "calling.call.pay", {"result": "success"}),
    ]
    for action, event_type, params in told:
        muted.sim.send_event(event_type, {**address, "control_id": action.control_id, **params})
    assert fax.wait(PATIENCE).type == "finished"
    assert pay.wait(PATIENCE).result == "success"
    assert not collect.is_done
