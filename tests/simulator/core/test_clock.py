"""When things happen in the simulator: in the order of the story, whatever the pace, however late its thread is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from relay_sync import Call, RelayClient, devices
from relay_sync.server import Loop
from relay_sync.simulator import Phone, Simulator
from relay_sync.simulator.core.clock import Clock
from relay_sync.simulator.methods.operation import NetworkOperation
from relay_sync.testing import faster
from tests.support import PATIENCE
from tests.support.lines import FROM, TO, Desk, Line, line

ONE = "+15550101"


def silence(seconds: float) -> dict[str, Any]:
    return {"type": "silence", "params": {"duration": seconds}}


Ring = Callable[..., tuple[Phone, Call]]


@pytest.fixture
def ring(sim: Simulator) -> Iterator[Ring]:
    """Have somebody call, and answer. ``answer`` has the parameters of that."""
    client = RelayClient(**sim.credentials, contexts=["default"])
    desk = Desk(client)
    client.connect()

    def ring(answer: dict[str, Any] | None = None, **caller: Any) -> tuple[Phone, Call]:
        phone = sim.call(to=TO, from_=FROM, **caller)
        call = desk.take()
        call.answer(**(answer or {}))
        return phone, call

    yield ring
    desk.closing.set()
    client.disconnect()


@pytest.fixture
def late(sim: Simulator) -> Simulator:
    """A simulator whose thread gets round to things 20 ms late at most, which are 20 seconds of the story."""
    selector = sim._world.loop._selector
    select = selector.select

    def late(timeout: float | None = None) -> Any:
        events = select(timeout)
        time.sleep(0.02)
        return events

    selector.select = late  # type: ignore[method-assign]
    return sim


# -- order -------------------------------------------------------------------------------------------------------------


def test_what_follows_from_a_step_is_timed_from_the_moment_when_that_was_due() -> None:
    loop, order = Loop("relay-test-clock"), []
    clock = Clock(loop)

    def first() -> None:
        time.sleep(0.03)  # longer than all that follows
        order.append("first")
        clock.after(0.004, order.append, "third")

    def begin() -> None:
        clock.after(0.001, first)
        clock.after(0.004, order.append, "second")
        clock.after(0.008, order.append, "fourth")

    loop.start()
    try:
        loop.call(begin, timeout=PATIENCE)
        end = time.monotonic() + PATIENCE
        while len(order) < 4 and time.monotonic() < end:
            pass
    finally:
        loop.stop(PATIENCE)
    assert order == ["first", "second", "third", "fourth"]


def test_a_step_that_fails_leaves_the_clock_right() -> None:
    loop = Loop("relay-test-clock")
    clock = Clock(loop)
    loop.start()
    try:
        loop.call(lambda: clock.after(0, lambda: 1 / 0), timeout=PATIENCE)
        first = loop.call(lambda: clock.now, timeout=PATIENCE)
        end = time.monotonic() + PATIENCE
        while loop.call(lambda: clock.now, timeout=PATIENCE) == first:
            assert time.monotonic() < end
    finally:
        loop.stop(PATIENCE)


def test_a_machine_is_ready_before_the_detector_gives_up(late: Simulator, ring: Ring) -> None:
    _, call = ring(answered_by="machine")
    detector = call.detect_answering_machine(timeout=8)
    detector.wait(PATIENCE)
    events = [each["detect"]["params"]["event"] for each in late.journal.events("calling.call.detect")]
    assert events == ["MACHINE", "READY", "finished"]


def test_a_machine_is_not_ready_when_the_detector_has_given_up(late: Simulator, ring: Ring) -> None:
    _, call = ring(answered_by="machine")
    call.detect_answering_machine(timeout=4).wait(PATIENCE)
    events = [each["detect"]["params"]["event"] for each in late.journal.events("calling.call.detect")]
    assert events == ["MACHINE", "finished"]


def test_a_recording_that_is_full_before_its_silence_is_over(late: Simulator, ring: Ring) -> None:
    """Half a second until he speaks, two of speech, four of silence: 6.5; and seven at most."""
    _, call = ring(says=["x" * 30])
    recording = call.record({"end_silence_timeout": 4, "max_length": 7})
    recording.wait(PATIENCE)
    assert recording.duration == 6.5


def test_a_phone_rings_until_it_is_answered_just_in_time(late: Simulator, ring: Ring) -> None:
    late.expect_phone(ONE, answers_after=9)
    late.expect_phone("+15550102", answers_after=9.5)
    with RelayClient(**late.credentials) as client:
        call = client.dial([[devices.phone("+15550102"), devices.phone(ONE, timeout=10)]])
        assert call.device["params"]["to_number"] == ONE


def test_keys_come_before_the_time_for_the_next_one_is_over(late: Simulator, ring: Ring) -> None:
    _, call = ring(presses=["1", "2"])
    first = call.collect(digits={"max": 3, "digit_timeout": 1}, initial_timeout=0.6, start_input_timers=True)
    first.wait(PATIENCE)
    assert first.digits == "1"


# -- the time of a call ------------------------------------------------------------------------------------------------

ACTIVITIES: dict[str, Callable[[Call], Any]] = {
    "a playback": lambda call: call.play([silence(30)]),
    "many playbacks": lambda call: call.play([silence(0.5)], loop=60),
    "a recording": lambda call: call.record({"max_length": 30}),
    "a detector": lambda call: call.detect_fax(timeout=30),
    "a prompt": lambda call: call.play_and_collect([silence(30)], {"digits": {"max": 1}}),
    "keys": lambda call: call.send_digits("W" * 30),
    "a fax": lambda call: call.send_fax("https://files.example.test/1.pdf"),
}
EXPECTED = {"leaves": "hangup", "longest": "maxDuration"}


@pytest.mark.parametrize("what", ACTIVITIES.values(), ids=ACTIVITIES)
@pytest.mark.parametrize("end", EXPECTED)
def test_a_call_ends_in_the_middle_of_what_goes_on(ring: Ring, what: Callable[[Call], Any], end: str) -> None:
    phone, call = ring(hangs_up_after=4) if end == "leaves" else ring({"max_duration": 4})
    what(call)
    phone.wait_until("ended", 0.5)  # not after four seconds
    assert phone.end_reason == EXPECTED[end]


def test_a_recording_is_as_long_as_the_call_was(sim: Simulator, ring: Ring) -> None:
    _, call = ring(hangs_up_after=20)
    recording = call.record({"max_length": 60})
    recording.wait(PATIENCE)
    assert recording.duration == pytest.approx(20, abs=0.5)


def test_a_party_that_is_silent_lets_the_time_of_its_call_pass(ring: Ring) -> None:
    phone, call = ring({"max_duration": 4}, silent=True)
    call.collect(digits={"max": 1}, initial_timeout=60, start_input_timers=True)
    phone.wait_until("ended", 0.5)
    assert phone.end_reason == "maxDuration"


def test_a_short_prompt_does_not_use_up_the_time_of_a_call(ring: Ring) -> None:
    phone, call = ring({"max_duration": 60}, hangs_up_after=60)
    call.play([silence(3)], loop=3).wait(PATIENCE)
    assert 50 < sixty(phone, "leaving") < 51.1
    assert 50 < sixty(phone, "max_duration") < 51.1


def sixty(phone: Phone, name: str) -> float:
    """Seconds of the clock that are left, where nothing goes on."""
    timer = phone._call.clock._alarms[name].timer
    assert timer is not None
    return timer.when - time.monotonic()


def test_music_without_an_end_leaves_the_time_to_the_clock(ring: Ring) -> None:
    phone, call = ring({"max_duration": 60}, hangs_up_after=60)
    call.play([silence(3)], loop=0)
    phone.wait_until_doing("calling.play", PATIENCE)
    assert sixty(phone, "leaving") > 50
    assert sixty(phone, "max_duration") > 50


def test_a_hurry_of_ours_shortens_the_longest_time_but_no_prompt(ring: Ring) -> None:
    with faster(1000):
        phone, call = ring({"max_duration": 60})
        call.play([silence(3)], loop=3).wait(1000 * PATIENCE)
        phone.wait_until("ended", PATIENCE)
    assert phone.end_reason == "maxDuration"


@pytest.mark.parametrize("wanted", [{"silent": True}, {"presses": "1"}, {"says": ["yes"]}], ids=str)
def test_what_waits_for_somebody_else_takes_its_time(sim: Simulator, wanted: dict[str, Any], ring: Ring) -> None:
    sim.expect_phone(ONE)
    _, waiting = ring(**wanted)
    waiting.queue_enter("support", wait_time=120)
    _, bridged = ring(**wanted)
    with bridged.expect("calling.call.connect", lambda event: event.connect_state == "connected", PATIENCE):
        bridged.connect([[devices.phone(ONE)]], max_duration=120)
    _, held = ring(**wanted)
    held.ai(prompt={"text": "be kind"})
    held.ai_hold(timeout=120)
    now = time.monotonic()
    for phone, name in zip(sim.phones, ("wait_time", "max_duration", "", "hold"), strict=True):
        if name:
            (operation,) = phone._call.operations
            assert isinstance(operation, NetworkOperation)
            timer = operation._timers[name].timer
            assert timer is not None
            assert timer.when - now > 100


def test_one_who_keeps_silent_stays_in_the_queue(ring: Ring) -> None:
    phone, call = ring()
    call.queue_enter("support", wait_time=120)
    phone.keep_silent()
    assert phone.activities == ["calling.queue.enter"]


# -- pauses ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def one() -> Iterator[Line]:
    with Simulator(speed=300.0) as sim, line(sim) as found:
        yield found


def events(one: Line, kind: str) -> list[str]:
    return [each["state"] for each in one.sim.journal.events(f"calling.call.{kind}")]


def test_a_recording_does_not_get_longer_while_it_is_paused(one: Line) -> None:
    recording = one.call.record({"max_length": 20, "initial_timeout": 15, "format": "wav"})
    recording.pause()
    one.call.play([silence(40)]).wait(PATIENCE)
    assert events(one, "record") == ["recording", "paused"]
    recording.resume()
    recording.wait(PATIENCE)
    assert events(one, "record")[:3] == ["recording", "paused", "recording"]
    assert recording.state == "no_input"


def test_a_recording_that_is_paused_in_silence_goes_on(one: Line) -> None:
    recording = one.call.record({"max_length": 20, "format": "wav"})
    recording.pause(behavior="silence")
    recording.wait(PATIENCE)
    assert events(one, "record") == ["recording", "paused", "finished"]
    assert recording.duration == 20


def test_the_length_of_a_recording_is_without_its_pauses(one: Line) -> None:
    recording = one.call.record({"max_length": 10})
    recording.pause()
    one.call.play([silence(20)]).wait(PATIENCE)
    one.phone.say("nobody records this")
    recording.resume()
    recording.wait(PATIENCE)
    assert recording.duration == 10


def test_a_playback_that_is_paused_waits(one: Line) -> None:
    playback = one.call.play([silence(20)])
    playback.pause()
    one.call.play([silence(40)]).wait(PATIENCE)
    assert not playback.is_done
    playback.resume()
    playback.wait(PATIENCE)
    assert events(one, "play").count("finished") == 2


def test_what_is_paused_carries_no_time(ring: Ring) -> None:
    phone, call = ring(hangs_up_after=3000)  # 3 s until both are paused, or the party leaves
    playback, recording = call.play([silence(3600)]), call.record({"max_length": 3600})
    playback.pause()
    recording.pause()
    left = sixty(phone, "leaving")
    assert left > 3.1
    assert not phone._call.clock._busy


def test_speed_is_that_of_all_clocks() -> None:
    with Simulator(speed=100.0) as sim:
        phone = sim.call(to=TO, from_=FROM, ring_timeout=20)
        phone.wait_until("ended", 1)
        assert phone.end_reason == "abandoned"
