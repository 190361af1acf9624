"""What ended while there was no connection is told after a resume, and what goes on is left as it is.

The clock is moved on by hand, as in ``tests/client/test_resume_check.py``.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from relay_sync import Action, Call, CommandRefused, ConnectionLost, Message, RecordAction, RequestTimeout, WaitTimeout
from relay_sync.call.actions.base import OVERDUE
from relay_sync.client.aftermath import PAUSES
from relay_sync.client.inquiry import AT_ONCE
from relay_sync.client.messages import NEWS_PATIENCE
from relay_sync.devices import phone
from relay_sync.events import RelayEvent
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.far_end import QUESTIONS, mute
from tests.support.lines import FROM, NOWHERE, TO, Line, line
from tests.support.watch_clock import Clock

TTS = {"type": "tts", "params": {"text": "hello"}}
DIGITS = {"max": 2, "digit_timeout": 1.0}


@pytest.fixture
def one(sim: Simulator) -> Iterator[Line]:
    """A call whose actions never end by themselves."""
    with line(sim) as made:
        mute(sim)
        yield made


def louder(call: Call) -> Action[Any]:
    action = call.play_silence(600)
    action.volume(-3)
    return action


def paused(call: Call) -> RecordAction:
    action = call.record()
    action.pause("silence")
    return action


def resumed(call: Call) -> RecordAction:
    action = paused(call)
    action.resume()
    return action


def told(action: Action[Any], command: str, **params: Any) -> Any:
    """The action, after a command about it that no method of it has sent."""
    address = {"node_id": action.call.node_id, "call_id": action.call.call_id, "control_id": action.control_id}
    action.call.client.execute(f"{action.method}.{command}", {**address, **params})
    return action


#: What is asked at once, and how.
ASKED: dict[str, tuple[Callable[[Call], Any], str, dict[str, Any]]] = {
    "playback": (lambda call: call.play_silence(600), "calling.play.volume", {"volume": 0}),
    "playback, quiet": (lambda call: call.play([TTS], volume=-7.5), "calling.play.volume", {"volume": -7.5}),
    "playback, louder": (louder, "calling.play.volume", {"volume": -3}),
    "prompt": (
        lambda call: call.play_and_collect([TTS], {"digits": DIGITS}, volume=2),
        "calling.play_and_collect.volume",
        {"volume": 2},
    ),
    "recording": (lambda call: call.record(), "calling.record.resume", {}),
    "recording, paused": (paused, "calling.record.pause", {"behavior": "silence"}),
    "recording, resumed": (resumed, "calling.record.resume", {}),
    "playback, louder by execute()": (
        lambda call: told(call.play_silence(600), "volume", volume=-3),
        "calling.play.volume",
        {"volume": -3},
    ),
    "prompt, louder by execute()": (
        lambda call: told(call.play_and_collect([TTS], {"digits": DIGITS}), "volume", volume=6),
        "calling.play_and_collect.volume",
        {"volume": 6},
    ),
    "recording, paused by execute()": (
        lambda call: told(call.record(), "pause", behavior="silence"),
        "calling.record.pause",
        {"behavior": "silence"},
    ),
    "recording, resumed by execute()": (
        lambda call: told(paused(call), "resume"),
        "calling.record.resume",
        {},
    ),
}
#: What is told to stop once its time is over.
STOPPED: dict[str, Callable[[Call], Any]] = {
    "detector": lambda call: call.detect_digit(timeout=5),
    "detector without a time": lambda call: call.detect_answering_machine(),
}
#: What cannot be asked about without a change.
LEFT: dict[str, Callable[[Call], Any]] = {
    "stream": lambda call: call.stream(NOWHERE),
    "detector without an end": lambda call: call.detect_digit(timeout=0),
    "keys": lambda call: call.collect(digits=DIGITS, initial_timeout=3),
    "tap": lambda call: call.tap(
        {"type": "audio", "params": {"direction": "both"}}, {"type": "rtp", "params": {"addr": "127.0.0.1", "port": 9}}
    ),
}


def asked(one: Line, action: Action[Any]) -> list[dict[str, Any]]:
    """The commands about an action since the connection came back."""
    entries = [
        entry.frame for entry in one.sim.journal if entry.frame.get("method", "").startswith(("signal", "calling"))
    ]
    last = max(place for place, frame in enumerate(entries) if frame["method"] == "signalwire.connect")
    return [frame for frame in entries[last:] if frame["params"].get("control_id") == action.control_id]


@pytest.mark.parametrize("code", [404, 410])
@pytest.mark.parametrize("kind", ASKED)
def test_an_action_that_the_server_does_not_know_any_more_has_ended(one: Line, kind: str, code: int) -> None:
    start, method, _ = ASKED[kind]
    completed: queue.SimpleQueue[RelayEvent] = queue.SimpleQueue()
    action = start(one.call)
    action._on_completed = completed.put
    waiting = Background(action.wait)
    one.sim.refuse(method, code, "not found", times=None)
    one.drop()
    event = waiting.result()
    assert (event.synthetic, event.reason, action.error) == (True, "call_gone", None)
    assert completed.get(timeout=PATIENCE) is event
    assert one.call.state == "answered"


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("kind", ASKED)
def test_an_action_that_goes_on_is_left_as_it_is(one: Line, kind: str, refused: bool) -> None:
    start, method, params = ASKED[kind]
    action = start(one.call)
    if refused:
        one.sim.refuse(method, 409, "it is so already", times=None)
    clock = Clock(one)
    one.drop()
    clock.settle()
    for _ in range(5):
        clock.advance(1000.0)
    (frame,) = asked(one, action)
    assert frame["method"] == method
    told = {name: value for name, value in frame["params"].items() if name not in ("node_id", "call_id", "control_id")}
    assert told == params
    assert not action.is_done


@pytest.mark.parametrize("kind", STOPPED)
def test_what_was_given_a_time_is_stopped_when_that_is_over(one: Line, kind: str) -> None:
    action: Action[Any] = STOPPED[kind](one.call)
    longest = action._longest_for_certain()
    assert longest is not None
    clock = Clock(one)
    one.sim.refuse(f"{action.method}.stop", 404, "not found")
    one.drop()
    clock.advance(longest)
    assert asked(one, action) == []
    assert not action.is_done
    clock.advance(OVERDUE + 0.1)
    clock.settle()
    assert [frame["method"] for frame in asked(one, action)] == [f"{action.method}.stop"]
    assert action.wait(PATIENCE).reason == "call_gone"


@pytest.mark.parametrize("kind", LEFT)
def test_what_cannot_be_asked_about_is_left_alone(one: Line, kind: str) -> None:
    action: Action[Any] = LEFT[kind](one.call)
    clock = Clock(one)
    one.drop()
    for _ in range(5):
        clock.advance(1000.0)
    assert asked(one, action) == []
    assert not action.is_done


@pytest.mark.parametrize("clock", [True, False, None])
def test_a_collector_that_had_input_is_asked_at_once(one: Line, clock: bool | None) -> None:
    action = one.call.collect(digits=DIGITS, start_input_timers=clock, partial_results=True, continuous=True)
    told = {"call_id": one.call.call_id, "control_id": action.control_id, "final": False}
    with one.call.expect("calling.call.collect", timeout=PATIENCE):
        one.sim.send_event("calling.call.collect", {**told, "result": {"type": "digit", "params": {"digits": "1"}}})
    one.sim.refuse("calling.collect.start_input_timers", 404, "not found")
    one.drop()
    assert action.wait(PATIENCE).reason == "call_gone"


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("continuous", [False, True])
def test_a_collector_without_input_is_asked_when_its_clock_is_over(one: Line, later: bool, continuous: bool) -> None:
    action = one.call.collect(
        digits=DIGITS, initial_timeout=5, start_input_timers=not later, continuous=continuous or None
    )
    if later:
        action.start_input_timers()
    clock = Clock(one)
    one.sim.refuse("calling.collect.start_input_timers", 404, "not found")
    one.drop()
    clock.advance(5.0)
    assert asked(one, action) == []
    clock.advance(OVERDUE + 0.1)
    assert action.wait(PATIENCE).reason == "call_gone"


def test_digits_that_nobody_can_stop_are_over_when_they_must_be(one: Line) -> None:
    action = one.call.send_digits("12w")
    clock = Clock(one)
    one.drop()
    clock.advance(3.0)
    assert not action.is_done
    clock.advance(OVERDUE + 0.1)
    assert action.wait(PATIENCE).reason == "overdue"
    assert asked(one, action) == []


def test_an_event_after_the_resume_says_enough(one: Line) -> None:
    action = one.call.detect_digit(timeout=5)
    clock = Clock(one)
    one.drop()
    told = {"call_id": one.call.call_id, "control_id": action.control_id}
    with one.call.expect("calling.call.detect", timeout=PATIENCE):
        one.sim.send_event("calling.call.detect", {**told, "detect": {"type": "digit", "params": {"event": "1"}}})
    clock.advance(1000.0)
    assert asked(one, action) == []


@pytest.mark.parametrize("what", ["volume", "pause"])
def test_where_it_is_not_known_what_changes_nothing_nothing_is_asked(one: Line, what: str) -> None:
    action: Any = one.call.play([TTS]) if what == "volume" else one.call.record()
    one.sim.drop_reply(f"{action.method}.{what}")
    with one.client.timeout(0.02), pytest.raises(RequestTimeout):
        action.volume(5) if what == "volume" else action.pause()
    clock = Clock(one)
    one.drop()
    for _ in range(5):
        clock.advance(1000.0)
    assert asked(one, action) == []


def test_a_question_without_an_answer_is_asked_again_a_bounded_number_of_times(one: Line) -> None:
    action = one.call.play_silence(600)
    one.sim.drop_reply("calling.play.volume", times=None)
    clock = Clock(one)
    one.drop()
    clock.settle()
    for number in range(10):
        assert len(asked(one, action)) == min(number, len(PAUSES)) + 1
        clock.advance(PAUSES[0] / 2)
        clock.advance(1000.0)
    one.drop()  # begins anew
    clock.settle()
    assert len(asked(one, action)) == 1


def test_many_actions_are_asked_about_by_and_by(one: Line) -> None:
    actions = [one.call.play_silence(600) for _ in range(AT_ONCE + 3)]
    one.sim.hold("calling.play.volume")
    one.drop()
    one.sim.wait_for_held("calling.play.volume", PATIENCE)
    one.client.execute("signalwire.ping")
    assert sum(len(asked(one, action)) for action in actions) == AT_ONCE
    one.sim.release("calling.play.volume")
    one.wait_for_request("calling.play.volume", len(actions))
    assert [len(asked(one, action)) for action in actions] == [1] * len(actions)


def test_actions_whose_questions_get_no_answer_do_not_keep_others_from_theirs(one: Line) -> None:
    silent = [one.call.play_silence(600) for _ in range(AT_ONCE)]
    recording = one.call.record()
    one.sim.drop_reply("calling.play.volume", times=None)
    one.sim.refuse("calling.record.resume", 404, "not found")
    clock = Clock(one)
    one.drop()
    clock.settle()
    for _ in range(len(PAUSES) + 2):
        clock.advance(1000.0)
    assert recording.wait(PATIENCE).reason == "call_gone"
    assert [len(asked(one, action)) for action in silent] == [len(PAUSES) + 1] * AT_ONCE
    assert not any(action.is_done for action in silent)


@pytest.mark.slow
def test_a_playback_that_ended_in_the_gap(sim: Simulator) -> None:
    """As it happens, with nothing of the simulator's own taken away."""
    with line(sim) as made:
        sim.drop_event("calling.call.play", state="finished")
        playing = made.call.play_silence(0.01)
        address = {"node_id": made.call.node_id, "call_id": made.call.call_id, "control_id": playing.control_id}

        def until_over() -> None:
            while made.client.execute("calling.play.volume", {**address, "volume": 0}):
                pass

        with pytest.raises(CommandRefused, match="not found"):
            until_over()
        waiting = Background(playing.wait)
        assert waiting.running
        made.drop()
        assert waiting.result().reason == "call_gone"


def test_what_goes_on_does_not_notice(sim: Simulator) -> None:
    with line(sim) as made:
        actions: list[Any] = [made.call.play_silence(600), made.call.record(), made.call.record()]
        for action in actions[1:]:
            with made.call.expect(action.event_type, lambda event: event.state == "paused", PATIENCE):
                action.pause()
        with made.call.expect("calling.call.record", lambda event: event.state == "recording", PATIENCE):
            actions[1].resume()
        clock = Clock(made)
        heard: list[RelayEvent] = []
        for kind in ("play", "record"):
            made.call.on(f"calling.call.{kind}", heard.append)
        made.drop()
        clock.settle()
        made.wait_for_request("calling.record.pause", 3)
        clock.settle()
        sim.wait_for_acks(PATIENCE)
        assert heard == []
        assert [action.state for action in actions] == ["playing", "recording", "paused"]


# -- answers -----------------------------------------------------------------------------------------------------------


def test_an_answer_that_was_taken_before_the_connection_was_lost_is_told(sim: Simulator) -> None:
    with line(sim, answered=False) as made:
        sim.drop_event("calling.call.state", state="answered")
        waiting = Background(made.call.wait_for_answered)
        made.call.answer()
        made.drop()
        event = waiting.result()
        assert (event.synthetic, event.reason, made.call.state) == (True, "answer_taken", "answered")
        made.call.play_silence(1)


def test_any_event_of_the_call_tells_that_too(sim: Simulator) -> None:
    with line(sim, answered=False) as made:
        sim.drop_event("calling.call.state", state="answered")
        made.call.answer()
        sim.hold(QUESTIONS[0])
        made.drop()
        sim.wait_for_held(QUESTIONS[0], PATIENCE)
        assert made.call.state != "answered"
        made.call.play_silence(1)
        assert made.call.wait_for_answered(PATIENCE).reason == "answer_taken"


def test_a_call_that_ended_unanswered_in_the_gap_was_not_answered(sim: Simulator) -> None:
    with line(sim, answered=False) as made:
        sim.drop_event("calling.call.state", times=None)
        made.call.answer()
        made.phone.hang_up()
        waiting = Background(made.call.wait_for_answered, PATIENCE)
        made.drop()
        with pytest.raises(Exception, match="the call ended"):
            waiting.result()


def test_a_call_that_nobody_answered_still_rings(sim: Simulator) -> None:
    with line(sim, answered=False) as made:
        made.drop()
        Clock(made).settle()
        made.wait_for_request(QUESTIONS[0])
        Clock(made).settle()
        assert made.call.state in ("created", "ringing")


def test_a_leg_that_is_answered_after_the_resume_has_not_won_before_its_dial_says_so(sim: Simulator) -> None:
    with line(sim) as made:
        mute(sim)
        sim.hold(QUESTIONS[0])
        dialing = Background(
            lambda: made.client.dial([[phone(TO, FROM), phone("+15550101", FROM)]], tag="t", dial_timeout=PATIENCE)
        )
        made.wait_for_request("calling.dial")
        leg = {"node_id": made.call.node_id, "tag": "t", "direction": "outbound"}

        def tell(name: str, state: str) -> None:
            sim.send_event("calling.call.state", {**leg, "call_id": name, "call_state": state})

        for name in ("one", "two"):
            tell(name, "ringing")
        sim.wait_for_acks(PATIENCE)
        made.drop()
        sim.wait_for_held(QUESTIONS[0], PATIENCE)
        tell("one", "answered")
        sim.wait_for_acks(PATIENCE)
        assert dialing.running
        won = {**leg, "call_id": "two", "call_state": "answered", "dial_winner": "true"}
        sim.send_event("calling.call.dial", {"tag": "t", "dial_state": "answered", "call": won})
        assert dialing.result().call_id == "two"


# -- messages ----------------------------------------------------------------------------------------------------------


def on_its_way(one: Line) -> Message:
    """A message whose end is not told."""
    for state in ("delivered", "sent"):
        one.sim.drop_event("messaging.state", state=state)
    message = one.client.send_message(to_number=TO, from_number=FROM, body="hello")
    one.sim.wait_for_acks(PATIENCE)
    return message


def test_a_message_of_which_nothing_is_told_after_the_resume_ends_with_an_error(sim: Simulator) -> None:
    with line(sim) as made:
        message = on_its_way(made)
        waiting = Background(message.wait)
        clock = Clock(made)
        made.drop()
        clock.advance(NEWS_PATIENCE - 1)
        assert waiting.running
        clock.advance(2.0)
        with pytest.raises(ConnectionLost, match="its final status may have been missed") as lost:
            waiting.result()
        assert lost.value.sent
        clock.advance(1000.0)


def test_a_message_that_is_heard_of_is_followed_on(sim: Simulator) -> None:
    with line(sim) as made:
        message = on_its_way(made)
        clock = Clock(made)
        made.drop()

        def tell(state: str) -> None:
            sim.send_event("messaging.state", {"message_id": message.message_id, "message_state": state})

        tell("sent")
        sim.wait_for_acks(PATIENCE)
        clock.advance(1000.0)
        assert not message.is_done
        tell("delivered")
        assert message.wait(PATIENCE).params["message_state"] == "delivered"


def test_without_a_gap_a_message_takes_as_long_as_it_takes(sim: Simulator) -> None:
    with line(sim) as made:
        made.drop()
        message = on_its_way(made)
        Clock(made).advance(1000.0)
        with pytest.raises(WaitTimeout):
            message.wait(0.01)
