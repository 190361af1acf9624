"""The failures measured in the official SDK, by their numbers: the ones that have no better place."""

from __future__ import annotations

import pathlib
import re

import pytest
from support import NOWHERE, PATIENCE, Background, line

from relay_sync import ConnectionLost, InvalidParameter
from relay_sync.simulator import Simulator

LESSONS = range(1, 16)


def test_each_lesson_has_a_test() -> None:
    named = set()
    for path in pathlib.Path(__file__).parent.glob("test_*.py"):
        named |= {int(number) for number in re.findall(r"def test_lesson_(\d\d)_", path.read_text())}
    assert named >= set(LESSONS)


def test_lesson_02_wait_ends_when_the_final_event_fell_into_a_reconnection(sim: Simulator) -> None:
    with line(sim) as one:
        sim.drop_event("calling.call.stream", state="finished", times=None)
        action = one.call.stream(NOWHERE)
        waiting = Background(action.wait)
        one.drop()
        one.phone.hang_up()
        event = waiting.result()
        assert event.synthetic
        assert event.reason == "call_ended"


def test_lesson_02_wait_ends_when_the_session_was_replaced_meanwhile() -> None:
    with Simulator(media="fast", on_bad_resume="fresh") as sim, line(sim) as one:
        sim.drop_event("calling.call.stream", state="finished", times=None)
        waiting = Background(one.call.stream(NOWHERE).wait)
        sim.forget_sessions()
        one.drop()
        with pytest.raises(ConnectionLost):
            waiting.result()


def test_lesson_14_nonsense_does_not_go_to_the_wire(sim: Simulator) -> None:
    with line(sim) as one:
        with pytest.raises(InvalidParameter, match="url='not a url'"):
            one.call.stream("not a url", track="sideways")
        with pytest.raises(InvalidParameter, match="track='sideways'"):
            one.call.stream("wss://example.com/audio", track="sideways")
        with pytest.raises(TypeError):
            one.call.stream("wss://example.com/audio", trakc="inbound")  # type: ignore[call-arg]
        assert not sim.journal.requests("calling.stream")
        assert one.call.wait_for_answered(PATIENCE).params


def test_lesson_02_wait_ends_when_the_end_of_the_call_fell_into_a_reconnection(sim: Simulator) -> None:
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


def test_lesson_02_a_call_that_lives_is_only_asked_about(sim: Simulator) -> None:
    with line(sim) as one:
        one.drop()
        asked = one.wait_for_request("calling.clear_digit_bindings")
        assert asked == {"node_id": one.call.node_id, "call_id": one.call.call_id, "realm": asked["realm"]}
        sim.wait_for_acks(PATIENCE)
        assert one.client.execute("signalwire.ping") is not None  # the answer to the question came before this one
        assert one.call.wait_for_answered(PATIENCE).params
        one.phone.hang_up()
        assert not one.call.wait_for_ended(PATIENCE).synthetic
