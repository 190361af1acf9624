"""What a test sees of the simulator, and what is in the journal by then: first the event, then the state, then who waits."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from attrs import frozen

from relay_sync.audio import AudioServer
from relay_sync.simulator import Entry, Simulator
from relay_sync.simulator.people.party import Memory
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.lines import FROM, NOWHERE, TO, Line, line

TTS = {"type": "tts", "params": {"text": "Good morning"}}
#: A wait that returned too early did so in one of three rounds.
ROUNDS = 15


@frozen(kw_only=True)
class Moment:
    """Something that a test waits for, again and again on one call.

    :ivar begin: leads up to it; :ivar act: brings it about, given what ``begin`` returned. :ivar wait: returns when it is so.
    :ivar event: the event that tells of it, and :ivar said: the value that is in it.
    """

    begin: Callable[[Line], Any] = lambda one: None
    act: Callable[[Line, Any], object]
    wait: Callable[[Line], object]
    event: str
    said: Any


def idle(one: Line) -> None:
    one.phone.wait_until_idle(PATIENCE)


def doing(method: str) -> Callable[[Line], None]:
    def wait(one: Line) -> None:
        one.phone.wait_until_doing(method, PATIENCE)

    return wait


def seen(look: Callable[[Line], object]) -> Callable[[Line], None]:
    """Whoever looks at a state all the time, without a wait of the simulator's."""

    def wait(one: Line) -> None:
        end = time.monotonic() + PATIENCE
        while not look(one):
            assert time.monotonic() < end

    return wait


def stop(one: Line, action: Any) -> None:
    action.stop()


def asked(one: Line) -> object:
    """The id of the stream that was asked for since the journal was cleared."""
    return next((each["params"]["control_id"] for each in one.sim.journal.requests("calling.stream")), None)


SILENCE = {"type": "silence", "params": {"duration": 600}}
MOMENTS = {
    "a playback ends": Moment(
        begin=lambda one: one.call.play([SILENCE], loop=0),
        act=stop,
        wait=idle,
        event="calling.call.play",
        said="finished",
    ),
    "a playback is no activity any more": Moment(
        begin=lambda one: one.call.play([SILENCE], loop=0),
        act=stop,
        wait=seen(lambda one: not one.phone.activities),
        event="calling.call.play",
        said="finished",
    ),
    "a recording ends": Moment(
        begin=lambda one: one.call.record({"format": "mp3"}),
        act=stop,
        wait=idle,
        event="calling.call.record",
        said="finished",
    ),
    "a collector gets what it wants": Moment(
        begin=lambda one: one.call.collect(digits={"max": 1}),
        act=lambda one, _: one.phone.press("1"),
        wait=seen(lambda one: not one.phone.activities),
        event="calling.call.collect",
        said="digit",
    ),
    "a tap ends": Moment(
        begin=lambda one: one.call.tap(
            {"type": "audio", "params": {"direction": "both"}},
            {"type": "rtp", "params": {"addr": "192.0.2.9", "port": 4000}},
        ),
        act=stop,
        wait=idle,
        event="calling.call.tap",
        said="finished",
    ),
    "a place in a queue is left": Moment(
        begin=lambda one: one.call.queue_enter("support"),
        act=stop,
        wait=idle,
        event="calling.call.queue",
        said="leave",
    ),
    "a live transcription ends": Moment(
        begin=lambda one: one.call.live_transcribe({"start": {"lang": "en", "direction": ["remote-caller"]}}),
        act=lambda one, _: one.call.live_transcribe("stop"),
        wait=seen(lambda one: not one.phone.activities),
        event="calling.ai.transcribe.conversation_log",
        said=None,
    ),
    "a sidecar ends": Moment(
        begin=lambda one: one.call.ai_sidecar("en-US"),
        act=lambda one, _: one.call.ai_sidecar_stop(),
        wait=seen(lambda one: not one.phone.activities),
        event="calling.ai.sidecar",
        said="final",
    ),
    "a stream fails": Moment(
        act=lambda one, _: one.call.stream(NOWHERE),
        wait=seen(lambda one: asked(one) in {each.control_id for each in one.phone.streams if each.over}),
        event="calling.call.stream",
        said="finished",
    ),
    "a call is on hold": Moment(
        begin=lambda one: one.phone.on_hold and one.call.unhold(),
        act=lambda one, _: one.call.hold(),
        wait=seen(lambda one: one.phone.on_hold),
        event="calling.call.hold",
        said="hold",
    ),
}


def values(params: Any) -> list[Any]:
    """All that is in an event."""
    if not isinstance(params, dict):
        return [params]
    return [None, *(found for value in params.values() for found in values(value))]


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_the_event_of_what_can_be_seen_is_in_the_journal(sim: Simulator, moment: Moment) -> None:
    with line(sim) as one:
        for _ in range(ROUNDS):
            given = moment.begin(one)
            sim.journal.clear()
            acting = Background(moment.act, one, given)
            moment.wait(one)
            assert any(moment.said in values(event) for event in sim.journal.events(moment.event))
            acting.result()


def told(sim: Simulator, call_id: str) -> list[str]:
    return [event["call_state"] for event in sim.journal.events("calling.call.state") if event["call_id"] == call_id]


@pytest.mark.parametrize("state", ["ringing", "answered", "ending", "ended"])
def test_the_state_of_a_call_is_in_the_journal_when_the_wait_for_it_returns(sim: Simulator, state: str) -> None:
    with line(sim) as one:
        one.client.on_call(lambda call: (call.answer(), call.hangup()))
        for _ in range(ROUNDS):
            phone = sim.call(to=TO, from_=FROM)
            phone.wait_until(state)
            assert state in told(sim, phone.call_id)
            phone.wait_until("ended")
            assert phone.call_id not in {each.call_id for each in sim.phones}


def test_a_call_that_is_gone_from_the_list_of_calls_has_ended_in_the_journal(sim: Simulator) -> None:
    with line(sim) as one:
        one.client.on_call(lambda call: call.hangup())
        for _ in range(ROUNDS):
            phone = sim.call(to=TO, from_=FROM)
            while phone.call_id in sim._platform.network.calls:
                pass
            assert told(sim, phone.call_id)[-1] == "ended"


def test_a_call_that_was_dialed_has_its_states_in_the_journal(sim: Simulator) -> None:
    expected = sim.expect_phone(TO, busy=True)
    with line(sim) as one:
        for number in range(ROUNDS):
            dialing = Background(lambda: one.client.dial(to=TO, from_=FROM))
            phone = expected.wait_for_call(number)
            assert told(sim, phone.call_id)[:1] == ["created"]
            phone.wait_until("ended")
            assert told(sim, phone.call_id) == ["created", "ending", "ended"]
            with pytest.raises(Exception, match="busy"):
                dialing.result()


def says_answered(call_id: str, entry: Entry) -> bool:
    return (entry.params.get("call_id"), entry.params.get("call_state")) == (call_id, "answered")


def test_a_frame_in_the_journal_has_done_its_work_when_the_wait_for_it_returns(sim: Simulator) -> None:
    with line(sim) as one:
        for _ in range(ROUNDS):
            phone = sim.call(to=TO, from_=FROM)
            call = one.desk.take()
            answering = Background(call.answer)
            sim.journal.wait_for(functools.partial(says_answered, call.call_id))
            assert phone.state == "answered"
            answering.result()
            phone.hang_up()


def test_a_stream_that_finished_says_so_in_the_journal(sim: Simulator) -> None:
    with line(sim) as one, AudioServer() as audio:
        for number in range(ROUNDS):
            with audio.listen(one.call):
                stream = one.phone.wait_for_stream(number)
                stream.wait_until("streaming")
                events = sim.journal.events("calling.call.stream")
                assert [each["state"] for each in events if each["control_id"] == stream.control_id] == ["streaming"]
                leaving = Background(one.sim._do, stream.finish, "of itself")
                stream.wait_until("finished")
                events = sim.journal.events("calling.call.stream")
                assert [each["state"] for each in events if each["control_id"] == stream.control_id][-1] == "finished"
                leaving.result()


# -- looked at without a wait ------------------------------------------------------------------------------------------


def held_up(patch: pytest.MonkeyPatch, kind: type, name: str) -> threading.Event:
    """Have the loop's thread stop for a moment before it does something for the first time. Set when it is there."""
    there, real = threading.Event(), getattr(kind, name)

    def slow(self: Any, *args: Any, **options: Any) -> Any:
        if not there.is_set():
            there.set()
            threading.Event().wait(0.05)
        return real(self, *args, **options)

    patch.setattr(kind, name, slow)
    return there


def test_what_was_just_heard_to_its_end_is_neither_missed_nor_there_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is on its way from what is being heard to what was heard."""
    with Simulator(media="fast") as sim, line(sim) as it:
        there = held_up(monkeypatch, Memory, "add")
        it.call.play_tts("Welcome back")
        assert there.wait(PATIENCE)
        assert [item.text for item in it.phone.heard] == ["Welcome back"]
        assert len(it.phone.heard) == 1
        assert it.phone.heard[0].text == "Welcome back"


def test_what_was_heard_is_told_after_the_end_of_the_simulator() -> None:
    with Simulator(media="fast") as sim, line(sim) as it:
        it.call.play_tts("Welcome back").wait(PATIENCE)
        phone = it.phone
    assert [item.text for item in phone.heard] == ["Welcome back"]
    assert (phone.activities, phone.digits) == ([], "")
