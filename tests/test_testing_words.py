"""What a test is told: handlers that raised, commands that were sent instead, misspelt names, and calls that nobody hears."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from relay_sync import Call, DialFailed, InvalidParameter, WaitTimeout, testing
from relay_sync.audio import AudioServer, AudioStream
from relay_sync.simulator import ControlInterface, Simulator
from relay_sync.simulator.core.method_table import METHODS
from relay_sync.simulator.core.names import ACTIVITIES
from relay_sync.testing import faster, handler_errors, simulated
from relay_sync.threads import callback_errors
from tests.support import PATIENCE
from tests.support.carrier import Carrier
from tests.support.control import Control
from tests.support.lines import FROM, TO
from tests.support.peers import connected
from tests.support.users_tests import run_pytest

# -- handlers that raise -------------------------------------------------------------------------------------------------

RAISING = """
import pytest

def raising(call):
    call.answer()
    raise LookupError("no such customer")

def ring(simulator):
    simulator.call(to="+15550100", from_="+15550199").wait_until("answered")

def test_handler(relay_simulator, relay_client):
    relay_client.on_call(raising)
    ring(relay_simulator)

def test_client_of_its_own(relay_simulator):
    from relay_sync import RelayClient
    with RelayClient(contexts=["default"]) as client:
        client.on_call(raising)
        phone = relay_simulator.call(to="+15550100", from_="+15550199")
        phone.wait_until("ended")  # the handler has raised: a client that is closed sooner makes it raise something else

def test_listener(relay_simulator, relay_client):
    def handle(call):
        call.on("calling.call.state", lambda event: 1 / 0)
        call.answer()
    relay_client.on_call(handle)
    ring(relay_simulator)

def test_message(relay_simulator, relay_client):
    def told(message):
        assert message.body == "bye"
    relay_client.on_message(told)
    relay_simulator.message(to="+15550100", from_="+15550199", body="hello")
    relay_simulator.wait_for_acks()

def test_expected(relay_simulator, relay_client, relay_errors):
    relay_client.on_call(raising)
    ring(relay_simulator)
    assert isinstance(relay_errors.wait().error, LookupError)
    assert "on_call handler" in relay_errors[0].where

@pytest.mark.usefixtures("relay_errors")
def test_of_no_interest(relay_simulator, relay_client):
    relay_client.on_call(raising)
    ring(relay_simulator)

def test_hung_up(relay_simulator, relay_client):
    def handle(call):
        call.answer()
        call.wait_for("calling.call.collect")
    relay_client.on_call(handle)
    ring(relay_simulator)

def test_caller_hangs_up(relay_simulator, relay_client):
    def handle(call):
        call.answer()
        call.wait_for("calling.call.collect")
    relay_client.on_call(handle)
    phone = relay_simulator.call(to="+15550100", from_="+15550199")
    phone.wait_until("answered")
    phone.hang_up()
"""


@pytest.mark.traced
def test_a_handler_that_raises_fails_its_test(tmp_path: Path) -> None:
    (tmp_path / "test_users.py").write_text(RAISING, encoding="utf-8")
    told = run_pytest(tmp_path)
    assert "8 passed, 4 errors" in told, told
    for name in ("handler", "client_of_its_own", "listener", "message"):
        assert f"ERROR test_users.py::test_{name}" in told, told
    assert "LookupError: no such customer" in told
    assert "raise LookupError" in told  # with its traceback
    assert "relay_errors" in told  # and how to say otherwise


def test_errors_are_collected_without_pytest() -> None:
    def raising(call: Call) -> None:
        call.answer()
        raise LookupError(call.call_id)

    with handler_errors() as errors, simulated() as (sim, client):
        client.on_call(raising)
        phone = sim.call(to=TO, from_=FROM)
        assert isinstance(errors.wait(PATIENCE).error, LookupError)
    assert [str(each.error) for each in errors] == [phone.call_id]
    with pytest.raises(WaitTimeout), handler_errors() as none:
        none.wait(0.001)


# -- time ----------------------------------------------------------------------------------------------------------------


QUESTION: dict[str, Any] = {"digits": {"max": 1}, "initial_timeout": 60}
TTS = {"type": "tts", "params": {"text": "?"}}


@pytest.mark.parametrize(
    "ask",
    [
        lambda call: call.collect(**QUESTION, start_input_timers=True).wait().type,
        lambda call: call.play_and_collect([TTS], QUESTION).wait().type,
        lambda call: call.collect(speech={}, initial_timeout=60, start_input_timers=True).wait().type,
        lambda call: call.record({"initial_timeout": 60}).wait().state,
    ],
    ids=["keys", "prompt", "words", "recording"],
)
def test_the_platform_s_own_timeouts_are_over_sooner(ask: Callable[[Call], str]) -> None:
    seen: list[str] = []
    done = threading.Event()

    def handle(call: Call) -> None:
        call.answer()
        seen.append(ask(call))
        done.set()

    with simulated() as (sim, client), faster(1000):
        client.on_call(handle)
        sim.call(to=TO, from_=FROM)
        assert done.wait(PATIENCE)
    assert seen == ["no_input"]


def test_ringing_is_over_sooner() -> None:
    with simulated() as (sim, client), faster(100):
        sim.expect_phone(TO, answers_after=None)
        started = time.monotonic()
        with pytest.raises(DialFailed):
            client.dial(to=TO, from_=FROM, ring_timeout=60)
        assert time.monotonic() - started < PATIENCE


FASTER = """
from relay_sync.threads import timeouts
from relay_sync.simulator.core import pace as simulated

def test_block(relay_time):
    with relay_time(100):
        assert (timeouts.factor, simulated.hurry) == (100, 100)
        with relay_time(1000):
            assert timeouts.factor == 1000
        assert timeouts.factor == 100
    assert (timeouts.factor, simulated.hurry) == (1, 1)
    relay_time(50)
    with relay_time(7):
        assert timeouts.factor == 7
    assert timeouts.factor == 50

def test_after():
    assert (timeouts.factor, simulated.hurry) == (1, 1)
"""


@pytest.mark.traced
def test_time_is_faster_until_a_block_or_the_test_ends(tmp_path: Path) -> None:
    (tmp_path / "test_users.py").write_text(FASTER, encoding="utf-8")
    told = run_pytest(tmp_path)
    assert "2 passed" in told, told


# -- what was sent -------------------------------------------------------------------------------------------------------


def test_what_was_sent_instead_is_shown() -> None:
    def handle(call: Call) -> None:
        call.answer()
        call.stream("ws://127.0.0.1:9/a", track="outbound", authorization_bearer_token="hush-hush")

    with simulated() as (sim, client):
        client.on_call(handle)
        phone = sim.call(to=TO, from_=FROM)
        found = phone.sent("calling.stream")
        assert found
        assert found == True  # noqa: E712
        sent = phone.sent("calling.stream", within=0, track="inbound_track")
        assert not sent
        assert sent == False  # noqa: E712
        told = repr(sent)
        assert "not sent: calling.stream track='inbound_track'" in told
        assert "calling.answer" in told
        assert "track='outbound_track'" in told
        assert "hush-hush" not in told
        assert "calling.stream" in repr(found)
        assert [method for method, _ in phone.commands] == ["calling.answer", "calling.stream"]


def test_nothing_sent_is_shown_as_such() -> None:
    with Simulator() as sim, connected(sim):
        phone = sim.call(to=TO, from_=FROM)
        assert "sent: nothing" in repr(phone.sent("calling.answer", within=0))


# -- names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("calling.play_and_colect", "calling.play_and_collect"),
        ("play_and_collect", "calling.play_and_collect"),
        ("calling.recrod", "calling.record"),
        ("Calling.Play", "one of|calling.play"),
        ("calling.hold", "one of|calling"),
        ("calling.stream", "one of|calling"),
        ("", "one of"),
    ],
)
def test_what_a_call_cannot_be_doing_is_not_waited_for(given: str, meant: str) -> None:
    with Simulator() as sim, connected(sim):
        phone = sim.call(to=TO, from_=FROM)
        with pytest.raises(InvalidParameter, match=meant):
            phone.wait_until_doing(given)
    assert METHODS.keys() >= ACTIVITIES


@pytest.mark.parametrize("given", ["calling.play_and_colect", "play", "calling.answr", "signalwire.conect"])
def test_misspelt_methods_are_refused_everywhere(given: str) -> None:
    with Simulator() as sim, connected(sim):
        phone = sim.call(to=TO, from_=FROM)
        takers: list[Callable[[str], object]] = [
            phone.sent,
            sim.refuse,
            sim.fail,
            sim.drop_reply,
            sim.hold,
            sim.release,
            sim.wait_for_held,
            sim.break_action,
        ]
        for take in takers:
            with pytest.raises(InvalidParameter, match="perhaps"):
                take(given)
        sim.refuse("calling.teleport")  # not known yet, which is no mistake


@pytest.mark.parametrize("given", ["calling.call.recieve", "calling.call.stat", "state", "messaging.stat"])
def test_misspelt_events_are_refused_everywhere(given: str) -> None:
    with Simulator() as sim:
        for take in (sim.drop_event, sim.duplicate_event, lambda name: sim.delay_event(name, 1.0)):
            with pytest.raises(InvalidParameter, match="perhaps"):
                take(given)
        sim.drop_event("calling.call.teleported")


@pytest.mark.parametrize("given", ["answerd", "finishd", "conected", 7])
def test_misspelt_states_are_refused_everywhere(given: Any) -> None:
    with Simulator() as sim:
        for spoil in (sim.drop_event, sim.duplicate_event):
            with pytest.raises(InvalidParameter, match=r"^Invalid state="):
                spoil("calling.call.state", state=given)
        with pytest.raises(InvalidParameter, match=r"^Invalid state="):
            sim.delay_event("calling.call.state", 1, state=given)
        sim.drop_event("calling.call.state", state="not known yet")


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "1", None, True])
def test_a_delay_that_is_none_is_refused(seconds: Any) -> None:
    with Simulator() as sim, pytest.raises(InvalidParameter, match=r"^Invalid seconds="):
        sim.delay_event("calling.call.state", seconds)


# -- contexts ------------------------------------------------------------------------------------------------------------


def test_a_call_that_nobody_hears_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "relay_sync.simulator")
    with Simulator() as sim, connected(sim, contexts=["sales", "help"]):
        for _ in range(3):
            phone = sim.call(to=TO, from_=FROM, context="sale")
        reason = "no client has subscribed to context 'sale'; clients have subscribed to 'help', 'sales'"
        lines = [record.getMessage() for record in caplog.records if "has subscribed" in record.getMessage()]
        assert len(lines) == 1
        assert reason in lines[0]
        assert phone.waits_because == reason
        waits: list[Callable[[], object]] = [
            lambda: phone.wait_until("answered", 0.001),
            lambda: phone.wait_until_heard("Welcome", 0.001),
            lambda: phone.wait_until_doing("calling.play", 0.001),
            lambda: phone.wait_for_stream(timeout=0.001),
            lambda: phone.wait_for_two_way_stream(timeout=0.001),
        ]
        for wait in waits:
            with pytest.raises(WaitTimeout, match="no client has subscribed to context 'sale'"):
                wait()
        assert reason in repr(phone.sent("calling.answer", within=0))
        with ControlInterface(sim) as control:
            told = Control(control.url, control.key).get(f"/calls/{phone.call_id}")
        assert told["waits"] == reason


def test_a_message_and_a_task_that_nobody_hears_say_so_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "relay_sync.simulator")
    with Simulator() as sim, connected(sim, contexts=["sales"]):
        for _ in range(3):
            sim.message(to=TO, from_=FROM, body="hi", context="sale")
            sim.task({"a": 1}, context="sale")
            sim.call(to=TO, from_=FROM, context="sale")
            sim.task({"a": 1}, context="sales")
    reason = "no client has subscribed to context 'sale'; clients have subscribed to 'sales'"
    lines = [record.getMessage() for record in caplog.records if "has subscribed" in record.getMessage()]
    waiting = (f"the message from {FROM} to {TO}", "the task", f"the call from {FROM} to {TO}")
    assert lines == [f"{what} is waiting: {reason}" for what in waiting]


def test_a_call_that_comes_before_its_client_is_no_mistake(caplog: pytest.LogCaptureFixture) -> None:
    with Simulator() as sim:
        phone = sim.call(to=TO, from_=FROM)
        assert phone.waits_because == "no client has subscribed to context 'default'; no client is connected"
        with pytest.raises(WaitTimeout, match="no client is connected"):
            phone.wait_until("ringing", 0.001)
        with connected(sim) as peer:
            peer.event("calling.call.receive")
            assert phone.waits_because == ""
    assert not [record for record in caplog.records if "subscribed" in record.getMessage()]


def test_the_state_in_a_failed_wait_is_the_last_one() -> None:
    with Simulator() as sim, connected(sim) as peer:
        phone = sim.call(to=TO, from_=FROM)
        peer.event("calling.call.receive")
        phone.wait_until("ringing")
        with pytest.raises(WaitTimeout, match="it is ringing"):
            phone.wait_until("answered", 0.001)


# -- handlers that outlive their test --------------------------------------------------------------------------------------


def test_what_an_earlier_handler_raises_is_no_mistake_of_a_later_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testing, "HANDLER_PATIENCE", 0.01)
    go, entered = threading.Event(), threading.Event()

    def late() -> None:
        entered.set()
        go.wait(PATIENCE)
        callback_errors.tell("the on_call handler of a call", ValueError("late"))

    thread = threading.Thread(target=late, name="relay-call-0")

    def run() -> None:
        thread.start()
        assert entered.wait(PATIENCE)

    try:
        with (
            pytest.warns(RuntimeWarning, match=r"1 handler still running .*relay-call-0"),
            testing.handler_errors() as first,
        ):
            run()
        with testing.handler_errors() as second:
            go.set()
            thread.join(PATIENCE)
            callback_errors.tell("the on_call handler of another call", ValueError("now"))
    finally:
        go.set()
    assert list(first) == []
    assert [str(each.error) for each in second] == ["now"]


def test_what_an_earlier_callback_raises_is_no_mistake_of_a_later_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testing, "HANDLER_PATIENCE", 0.01)
    with testing.simulated() as (_, client):
        go, entered = threading.Event(), threading.Event()

        def late(error: Exception) -> None:
            entered.set()
            assert go.wait(PATIENCE)
            raise error

        def begin() -> None:
            for _ in range(2):  # one runs, one waits
                client._router.callback(None, "test callback", late, ValueError("late"))
            assert entered.wait(PATIENCE)

        with (
            pytest.warns(RuntimeWarning, match=r"^1 callback still running 0\.01 s .*relay-lane-"),
            testing.handler_errors() as first,
        ):
            begin()
        with testing.handler_errors() as second:
            go.set()
            assert testing.wait_for_handlers(PATIENCE)
            client._router.callback(None, "test callback", late, ValueError("now"))
            assert str(second.wait(PATIENCE).error) == "now"
    assert list(first) == []
    assert len(second) == 1


@pytest.mark.slow
def test_what_an_earlier_handler_of_a_stream_raises_is_no_mistake_of_a_later_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(testing, "HANDLER_PATIENCE", 0.01)
    go, entered = threading.Event(), threading.Event()

    def late(stream: AudioStream) -> None:
        entered.set()
        assert go.wait(PATIENCE)
        raise ValueError("late")

    with AudioServer(on_stream=late) as audio:
        carriers: list[Carrier] = []

        def begin() -> None:
            carriers.append(Carrier(audio.url).start())
            assert entered.wait(PATIENCE)

        with (
            pytest.warns(RuntimeWarning, match=r"^1 handler still running 0\.01 s .*relay-audio-\d+-stream-"),
            testing.handler_errors() as first,
        ):
            begin()
        with testing.handler_errors() as second:
            go.set()
            assert testing.wait_for_handlers(PATIENCE)
        carriers[0].ws.shutdown()  # type: ignore[no-untyped-call]
    assert list(first) == list(second) == []


def test_a_handler_whose_thread_is_just_being_started_hurts_no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is listed already, and cannot be joined yet."""
    listed = [threading.Thread(name="relay-call-0"), *threading.enumerate()]
    monkeypatch.setattr(threading, "enumerate", lambda: listed)
    with handler_errors() as errors:
        testing.wait_for_handlers(PATIENCE)
    assert not errors


def test_a_client_that_lives_longer_costs_no_time_where_nothing_runs() -> None:
    with testing.simulated() as (_, client):
        ran = threading.Event()
        begun = time.monotonic()
        for _ in range(3):
            with handler_errors() as errors:
                ran.clear()
                client._router.callback(None, "test", ran.set)
                assert ran.wait(PATIENCE)
            assert not errors
        assert time.monotonic() - begun < testing.HANDLER_PATIENCE


def test_what_a_callback_raises_late_is_collected() -> None:
    with testing.simulated() as (_, client), handler_errors() as errors:
        begun, gate = threading.Event(), threading.Event()

        def late() -> None:
            begun.set()
            gate.wait(0.05)
            raise ZeroDivisionError

        client._router.callback(None, "test callback", late)
        assert begun.wait(PATIENCE)
    assert len(errors) == 1


@pytest.mark.parametrize("method", [[], {}, None, 5])
def test_what_is_no_name_of_an_activity_is_refused_with_words(method: Any) -> None:
    with Simulator() as sim:
        phone = sim.call(to=TO, from_=FROM)
        with pytest.raises(InvalidParameter, match=r"method=.*play"):
            phone.wait_until_doing(method)
