"""Timeouts are read in one way everywhere: nothing left is a look without waiting, what is no number is refused."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import pytest

from relay_sync import (
    Action,
    Call,
    ConnectTimeout,
    DetectAction,
    DialFailed,
    InvalidParameter,
    Message,
    RelayClient,
    RequestTimeout,
    WaitTimeout,
    testing,
)
from relay_sync.audio import AudioServer, AudioStream, Playback
from relay_sync.audio.speech import Conversation
from relay_sync.rest import RestClient
from relay_sync.simulator import ControlInterface, ExpectedPhone, Journal, LiveVoice, Phone, Simulator, Stream
from relay_sync.simulator.people.heard import PlayedSoFar
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.lines import Line, line

NONE_LEFT = [0, 0.0, -1, -0.001, -math.inf, -(10**400)]
NO_TIME = [math.nan, "5", True, Fraction(1, 2), object(), [1]]
Wait = Callable[[Line, Any], object]
CREDENTIALS: dict[str, Any] = {"project": "p", "token": "t", "host": "127.0.0.1:9"}
#: What waits. The times in the parameters of verbs and commands are the platform's, not ours.
WHO_WAITS = [
    Action,
    AudioServer,
    AudioStream,
    Call,
    ControlInterface,
    Conversation,
    DetectAction,
    ExpectedPhone,
    PlayedSoFar,
    Journal,
    Message,
    Phone,
    Playback,
    RelayClient,
    RestClient,
    Simulator,
    Stream,
    testing.HandlerErrors,
]
OURS = {"timeout", "dial_timeout", "within", "drain", "wait", "patience"}
#: Times of the platform on functions that wait: nothing left is no time, and what cannot be is refused as well.
PLATFORMS: dict[str, Wait] = {
    "RelayClient.dial, timeout": lambda on, time: on.client.dial(to="+15550100022", timeout=time),
    "RelayClient.dial, ring_timeout": lambda on, time: on.client.dial(to="+15550100022", ring_timeout=time),
    "RelayClient.dial, timeout beside dial_timeout": lambda on, time: on.client.dial(
        to="+15550100022", timeout=time, dial_timeout=0
    ),
}
VERBS = ("relay_sync.call.verbs", "relay_sync.rest.commands", "relay_sync.rest.media")


@pytest.fixture(scope="module")
def scene() -> Iterator[Line]:
    with Simulator() as sim, line(sim) as one:
        yield one


#: What nobody has made happen.
NOT_YET: dict[str, Wait] = {
    "Action.wait": lambda on, left: on.call.play_silence(600).wait(left),
    "DetectAction.wait_for_result": lambda on, left: on.call.detect_digit(timeout=600).wait_for_result(left),
    "Call.wait_for": lambda on, left: on.call.wait_for("calling.call.play", timeout=left),
    "Call.wait_for_ending": lambda on, left: on.call.wait_for_ending(left),
    "Call.wait_for_ended": lambda on, left: on.call.wait_for_ended(left),
    "Call.expect": lambda on, left: _leave(on.call.expect("calling.call.play", timeout=left)),
    "RelayClient.execute": lambda on, left: on.client.execute("signalwire.ping", timeout=left),
    "Message.wait": lambda on, left: _undelivered(on).wait(left),
    "Simulator.wait_for_client": lambda on, left: on.sim.wait_for_client(9, timeout=left),
    "Simulator.wait_until_gone": lambda on, left: on.sim.wait_until_gone(left),
    "Simulator.wait_for_held": lambda on, left: on.sim.wait_for_held(timeout=left),
    "Journal.wait_for": lambda on, left: on.sim.journal.wait_for(lambda entry: False, left),
    "Journal.wait_until": lambda on, left: on.sim.journal.wait_until(lambda entries: False, left),
    "Phone.wait_until": lambda on, left: on.phone.wait_until("ended", left),
    "Phone.wait_for_stream": lambda on, left: on.phone.wait_for_stream(7, left),
    "Phone.wait_for_two_way_stream": lambda on, left: on.phone.wait_for_two_way_stream(7, left),
    "Phone.wait_until_heard": lambda on, left: on.phone.wait_until_heard("nothing", left),
    "Phone.wait_until_doing": lambda on, left: on.phone.wait_until_doing("calling.record", left),
    "ExpectedPhone.wait_for_call": lambda on, left: on.sim.expect_phone("+15550199123").wait_for_call(timeout=left),
    "WebhookSender.wait_for": lambda on, left: on.sim.webhooks.wait_for(99, left),
    "AudioServer.accept": lambda on, left: _with_audio(lambda audio: audio.accept(left)),
    "HandlerErrors.wait": lambda on, left: _with_errors(lambda errors: errors.wait(left)),
    "RestClient.command": lambda on, left: RestClient(project="p", token="t", host="a.example").command(
        "calling.x", timeout=left
    ),
}
#: What comes to nothing in another way than by ``WaitTimeout``, or takes what is there.
OTHERWISE: dict[str, tuple[Wait, type[Exception] | bool | None]] = {
    "RelayClient.connect": (lambda on, left: RelayClient(**CREDENTIALS).connect(left), ConnectTimeout),
    "RelayClient.connect, connected": (lambda on, left: on.client.connect(left), None),
    "RelayClient.wait_until_ready": (lambda on, left: on.client.wait_until_ready(left), None),
    "RelayClient.dial": (lambda on, left: on.client.dial(to="+15550100022", dial_timeout=left), DialFailed),
    "RelayClient.disconnect": (lambda on, left: RelayClient(**CREDENTIALS).disconnect(left), None),
    "RelayClient.close": (lambda on, left: RelayClient(**CREDENTIALS).close(left), None),
    "Call.wait_for_answered": (lambda on, left: on.call.wait_for_answered(left).synthetic, False),
    "Call.wait_for_ringing": (lambda on, left: on.call.wait_for_ringing(left).synthetic, False),
    "Phone.sent": (lambda on, left: bool(on.phone.sent("calling.hold", within=left)), False),
    "PlayedSoFar.__call__": (lambda on, left: on.phone.heard("nothing", within=left), False),
    "Phone.wait_until, there": (lambda on, left: on.phone.wait_until("answered", left), None),
    "wait_for_handlers": (lambda on, left: testing.wait_for_handlers(left), False),
    "Simulator.close": (lambda on, left: Simulator().close(left), None),
    "RelayClient.drain": (lambda on, left: RelayClient(**CREDENTIALS).drain(left), True),
    "AudioServer.close": (lambda on, left: AudioServer().close(left), None),
}


def _undelivered(on: Line) -> Message:
    on.sim.expect_message("+15550100033", ends="queued")
    return on.client.send_message(to_number="+15550100033", from_number="+15550100034", body="x")


def _leave(expected: Any) -> None:
    with expected:
        pass


def _with_audio(do: Callable[[AudioServer], object]) -> None:
    with AudioServer() as audio:
        do(audio)


def _with_errors(do: Callable[[Any], object]) -> None:
    with testing.handler_errors() as errors:
        do(errors)


#: These act within a time, and are refused before they do.
ACTING: dict[str, Wait] = {
    "Simulator.cut": lambda on, time: on.sim.cut(timeout=time),
    "Simulator.forget_sessions": lambda on, time: on.sim.forget_sessions(timeout=time),
    "Simulator.ping": lambda on, time: on.sim.ping(timeout=time),
    "Simulator.release": lambda on, time: on.sim.release(timeout=time),
    "Simulator.renew_authorization": lambda on, time: on.sim.renew_authorization(timeout=time),
    "Simulator.restart": lambda on, time: on.sim.restart(timeout=time),
    "Simulator.stop_reading": lambda on, time: on.sim.stop_reading(timeout=time),
    "Simulator.wait_for_acks": lambda on, time: on.sim.wait_for_acks(timeout=time),
    "Simulator.call": lambda on, time: on.sim.call(to="+15550100001", from_="+15550100002", timeout=time),
    "Simulator.add_call": lambda on, time: on.sim.add_call(
        session=on.sim.sessions[0].session_id, to="+15550100001", from_="+15550100002", timeout=time
    ),
    "Simulator.send_frame": lambda on, time: on.sim.send_frame({}, timeout=time),
    "Simulator.message": lambda on, time: on.sim.message(
        to="+15550100001", from_="+15550100002", body="x", timeout=time
    ),
    "Simulator.task": lambda on, time: on.sim.task({"a": 1}, timeout=time),
    "Simulator.send_event": lambda on, time: on.sim.send_event("calling.x", {}, timeout=time),
    "Simulator.send_raw": lambda on, time: on.sim.send_raw("{}", timeout=time),
    "Simulator.restart, patience": lambda on, time: on.sim.restart(patience=time),
    "Phone.hang_up": lambda on, time: on.phone.hang_up(timeout=time),
    "Phone.force_state": lambda on, time: on.phone.force_state("answered", timeout=time),
    "Phone.press": lambda on, time: on.phone.press("1", timeout=time),
    "Phone.listen": lambda on, time: on.phone.listen(timeout=time),
    "Phone.on_state": lambda on, time: on.phone.on_state(print, timeout=time),
    "Phone.speak": lambda on, time: on.phone.speak(LiveVoice(), timeout=time),
    "Simulator.slow_down": lambda on, time: on.sim.slow_down(0, timeout=time),
    "Phone.say": lambda on, time: on.phone.say("yes", timeout=time),
    "Phone.keep_silent": lambda on, time: on.phone.keep_silent(timeout=time),
    "Phone.wait_until_idle": lambda on, time: on.phone.wait_until_idle(time),
    "RelayClient.run": lambda on, time: RelayClient(**CREDENTIALS).run(drain=time),
    "AudioServer.listen": lambda on, time: _with_audio(lambda audio: audio.listen(on.call, timeout=time)),
    "AudioServer.connect": lambda on, time: _with_audio(lambda audio: audio.connect(on.call, timeout=time)),
    "RestClient.download": lambda on, time: RestClient(project="p", token="t", host="a.example").download(
        "https://a.example/c.wav", "unwritten.wav", timeout=time
    ),
}


@pytest.mark.parametrize("name", NOT_YET)
def test_no_time_left_is_a_wait_timeout(scene: Line, name: str) -> None:
    for left in NONE_LEFT:
        with pytest.raises(WaitTimeout):
            NOT_YET[name](scene, left)


@pytest.mark.parametrize("name", OTHERWISE)
def test_no_time_left_is_a_look(scene: Line, name: str) -> None:
    do, outcome = OTHERWISE[name]
    for left in NONE_LEFT:
        if isinstance(outcome, type):
            with pytest.raises(outcome):
                do(scene, left)
        else:
            assert do(scene, left) is outcome


@pytest.mark.parametrize("name", [*NOT_YET, *OTHERWISE, *ACTING])
def test_what_is_no_time_is_refused_by_name(scene: Line, name: str) -> None:
    do = OTHERWISE[name][0] if name in OTHERWISE else {**NOT_YET, **ACTING}[name]
    for value in NO_TIME:
        with pytest.raises(InvalidParameter, match=r"(timeout|within|drain|patience).*a number of seconds"):
            do(scene, value)


@pytest.mark.parametrize("name", PLATFORMS)
def test_what_is_no_time_of_the_platform_is_refused_by_name(scene: Line, name: str) -> None:
    named = name.split()[1]
    for value in (*NO_TIME, b"5", "", [], {}, 10**400, math.inf, -1):
        with pytest.raises(InvalidParameter) as refused:
            PLATFORMS[name](scene, value)
        assert refused.value.parameter in (named, named.removeprefix("ring_"))
    assert not scene.sim.journal.requests("calling.dial")


#: Looked at in tests of their own: below, and with streams (``tests/audio``, ``tests/simulator/methods``).
ON_THEIR_OWN = {
    *("ControlInterface.close", "Phone.answer"),
    *(
        f"AudioStream.{name}"
        for name in ("close", "read", "read_dtmf", "read_frame", "read_mark", "utterances", "wait")
    ),
    *("AudioStream.play", "AudioStream.wait_for_mark", "Conversation.wait_until_said", "Playback.wait"),
    *(f"Stream.{name}" for name in ("cut", "wait_for", "wait_for_speech", "wait_until")),
}


#: Functions that take more than one time; each of those is in a table.
SEVERAL = {
    "AudioStream.play": ["timeout", "wait"],
    "RelayClient.dial": ["dial_timeout", "ring_timeout", "timeout"],
    "RestClient.download": ["timeout", "wait"],
    "Simulator.call": ["ring_timeout", "timeout"],
    "Simulator.restart": ["patience", "timeout"],
}


def test_whatever_waits_is_in_the_tables() -> None:
    tables = {**NOT_YET, **OTHERWISE, **ACTING, **PLATFORMS}
    tried = {name.partition(",")[0] for name in tables} | ON_THEIR_OWN
    missing = [
        f"{each.__name__}.{name}"
        for each in WHO_WAITS
        for name, function in inspect.getmembers(each, inspect.isfunction)
        if (not name.startswith("_") or name == "__call__")
        and name != "at_exit"  # not for users
        and not function.__module__.startswith(VERBS)
        and OURS & set(inspect.signature(function).parameters)
        and not any(f"{base.__name__}.{function.__name__}" in tried for base in each.__mro__)
    ]
    assert not missing
    # Where there are several, each is one: a time that is looked at for another one is easily forgotten.
    several = {
        f"{each.__name__}.{name}": sorted(found)
        for each in WHO_WAITS
        for name, function in inspect.getmembers(each, inspect.isfunction)
        if not name.startswith("_") and not function.__module__.startswith(VERBS)
        if len(found := {one for one in inspect.signature(function).parameters if one in OURS or "timeout" in one}) > 1
    }
    assert several == SEVERAL


def test_infinity_and_more_wait_without_a_limit(scene: Line) -> None:
    for endless in (math.inf, 10**400, 1e308):
        waiting = Background(scene.call.wait_for, "calling.call.denoise", None, endless)
        assert waiting.running
        scene.call.denoise()
        assert waiting.result().event_type == "calling.call.denoise"
        scene.call.denoise_stop()


def test_what_is_there_is_returned_without_time(scene: Line) -> None:
    action = scene.call.play_silence(600)
    action.stop()
    action.wait(PATIENCE)
    for left in NONE_LEFT:
        assert action.wait(left).state == "finished"


def test_a_command_without_time_is_not_sent(scene: Line) -> None:
    before = len(scene.sim.journal.requests("signalwire.ping"))
    with pytest.raises(RequestTimeout, match="was not sent"):
        scene.client.execute("signalwire.ping", timeout=0)
    with pytest.raises(DialFailed, match="was not sent") as failed:
        scene.client.dial(to="+15550100022", dial_timeout=-1)
    assert failed.value.reason == "timeout"
    scene.client.execute("signalwire.ping")
    assert len(scene.sim.journal.requests("signalwire.ping")) == before + 1
    assert not scene.sim.journal.requests("calling.dial")


def test_a_control_interface_closes_without_waiting(scene: Line) -> None:
    control = ControlInterface(scene.sim)
    with pytest.raises(InvalidParameter, match="timeout"):
        control.close("5")  # type: ignore[arg-type]
    control.close(-1)


def test_a_phone_that_rings_wants_a_time_for_its_answer(sim: Simulator) -> None:
    phone = sim.expect_phone("+15550199125", answers_after=None)
    with line(sim) as one:
        dialling = Background(lambda: one.client.dial(to="+15550199125", dial_timeout=PATIENCE))
        rung = phone.wait_for_call()
        with pytest.raises(InvalidParameter, match="timeout"):
            rung.answer("5")  # type: ignore[arg-type]
        rung.hang_up()
        with pytest.raises(DialFailed):
            dialling.result()
