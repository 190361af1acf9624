"""What the package offers to tests of its users: fixtures, a context manager, assertions, and faster time."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from relay_sync import Call, InvalidParameter, RelayClient, WaitTimeout
from relay_sync.simulator import Simulator
from relay_sync.testing import faster, simulated
from relay_sync.threads import timeouts
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.lines import FROM, TO
from tests.support.users_tests import run_pytest


def menu(call: Call) -> None:
    """A program as users write it."""
    call.answer()
    call.play_tts("Welcome to the shop").wait()
    call.hangup()


def test_a_program_is_tested_without_pytest() -> None:
    before = dict(os.environ)
    with simulated(contexts=["sales"]) as (sim, client):
        client.on_call(menu)
        phone = sim.call(to=TO, from_=FROM, context="sales")
        assert phone.heard("Welcome")
        assert phone.sent("calling.end", reason="hangup")
        with RelayClient() as other:  # from the environment
            assert other.project == sim.settings.project
    assert client.state == "closed"
    assert dict(os.environ) == before


def test_the_environment_leads_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALWIRE_JWT_TOKEN", "another")
    monkeypatch.setenv("SIGNALWIRE_API_TOKEN", "another")
    with simulated() as (sim, _), RelayClient() as client:
        assert client.token == sim.settings.token
    assert os.environ["SIGNALWIRE_JWT_TOKEN"] == os.environ["SIGNALWIRE_API_TOKEN"] == "another"


def test_calls_end_with_the_block_also_when_it_raises() -> None:
    phones = []

    def scene() -> None:
        with simulated() as (sim, client):
            client.on_call(lambda call: call.answer())
            phones.append(sim.call(to=TO, from_=FROM))
            phones[0].wait_until("answered")
            raise LookupError

    with pytest.raises(LookupError):
        scene()
    assert phones[0].state == "ended"


# -- assertions --------------------------------------------------------------------------------------------------------


def test_assertions_wait_for_what_is_about_to_happen() -> None:
    go = threading.Event()

    def slow(call: Call) -> None:
        call.answer()
        go.wait(PATIENCE)
        call.play_tts("Welcome back")
        call.wait_for_ended()

    with simulated() as (sim, client):
        client.on_call(slow)
        phone = sim.call(to=TO, from_=FROM)
        phone.wait_until("answered")
        assert not phone.heard("Welcome", within=0)
        assert not phone.sent("calling.play", within=0)
        waiting: list[Background[Any]] = [Background(phone.heard, "Welcome"), Background(phone.sent, "calling.play")]
        go.set()
        assert [one.result() for one in waiting] == [True, True]
        assert phone.heard("back")  # it is heard word by word
        assert not phone.sent("calling.play", within=0, volume=3)
        assert [item.text for item in phone.heard] == ["Welcome back"]
        assert repr(phone.heard) == "<heard ['Welcome back']>"


def test_assertions_do_not_wait_for_a_call_that_is_over() -> None:
    with simulated() as (sim, client):
        client.on_call(lambda call: call.hangup("busy"))
        phone = sim.call(to=TO, from_=FROM)
        phone.wait_until("ended")
        assert phone.sent("calling.end", reason="busy")
        started = time.monotonic()
        assert not phone.heard("Welcome", within=60)
        assert not phone.sent("calling.play", within=60)
        assert time.monotonic() - started < 30


def test_another_call_s_commands_do_not_count() -> None:
    with simulated() as (sim, client):
        client.on_call(lambda call: call.hangup() if call.device["params"]["to_number"] == "+1" else call.answer())
        other, mine = sim.call(to="+1", from_=FROM), sim.call(to=TO, from_=FROM)
        assert other.sent("calling.end")
        assert not mine.sent("calling.end", within=0.01)


def test_what_was_sent_to_a_number_that_was_dialled() -> None:
    with simulated() as (sim, client):
        expected = sim.expect_phone(TO, answers_after=0.01)
        call = client.dial(to=TO, from_=FROM)
        call.play_tts("Good morning")
        phone = expected.wait_for_call()
        assert phone.sent("calling.dial")
        assert phone.heard("morning")


# -- time --------------------------------------------------------------------------------------------------------------


def test_waits_give_up_sooner_and_commands_do_not() -> None:
    with simulated() as (sim, client), faster(1000):
        calls: list[Call] = []
        client.on_call(calls.append)
        sim.call(to=TO, from_=FROM).wait_until("ringing")
        while not calls:
            time.sleep(0.001)
        (call,) = calls
        call.answer()
        started = time.monotonic()
        with pytest.raises(WaitTimeout, match=r"60"):
            call.wait_for_ended(timeout=60)
        with pytest.raises(WaitTimeout, match=r"60"):
            call.record().wait(timeout=60)
        with pytest.raises(WaitTimeout), call.expect("calling.call.play", timeout=60):
            pass
        assert time.monotonic() - started < 20
        sim.hold("calling.denoise")
        answering = Background(call.denoise)
        sim.wait_for_held("calling.denoise")
        assert answering.running
        sim.release()
        answering.result()
    assert timeouts.factor == 1.0


@pytest.mark.parametrize("factor", [0, 0.5, -1, float("nan"), "2", True])
def test_time_does_not_pass_more_slowly(factor: float) -> None:
    with pytest.raises(InvalidParameter), faster(factor):
        pass


# -- pytest ------------------------------------------------------------------------------------------------------------

USERS_TESTS = """
import pytest
from relay_sync import RelayClient, WaitTimeout

def test_fixtures(relay_simulator, relay_client):
    relay_client.on_call(lambda call: (call.answer(), call.play_tts("Welcome")))
    phone = relay_simulator.call(to="+15550100", from_="+15550199")
    assert phone.heard("Welcome")

def test_client_from_the_environment(relay_simulator):
    with RelayClient() as client:
        assert client.state == "connected"

@pytest.mark.relay_simulator(project="a-project", contexts=["sales"])
class TestMarked:
    @pytest.mark.relay_simulator(contexts=["help"])
    def test_the_closest_wins(self, relay_simulator, relay_client):
        assert relay_simulator.settings.project == "a-project"
        assert relay_client.contexts == ["help"]

def test_time(relay_simulator, relay_client, relay_time):
    relay_time(1000)
    seen = []
    def handle(call):
        with pytest.raises(WaitTimeout):
            call.wait_for_answered(timeout=600)
        call.hangup("busy")
    relay_client.on_call(handle)
    phone = relay_simulator.call(to="+15550100", from_="+15550199")
    phone.wait_until("ended")
    assert phone.end_reason == "busy"

def test_that_fails(relay_simulator, relay_client):
    relay_client.on_call(lambda call: (call.answer(), call.play_tts("Goodbye").wait(), call.hangup()))
    phone = relay_simulator.call(to="+15550100", from_="+15550199")
    assert phone.heard("Welcome")
"""


@pytest.mark.traced
def test_the_fixtures_are_there_wherever_the_package_is(tmp_path: Path) -> None:
    (tmp_path / "test_users.py").write_text(USERS_TESTS, encoding="utf-8")
    told = run_pytest(tmp_path)
    assert "4 passed" in told, told
    assert "1 failed" in told
    assert "<heard ['Goodbye']>" in told  # what the assertion shows


@pytest.mark.traced
def test_the_plugin_imports_nothing_before_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "test_none.py").write_text(
        "import sys\n\ndef test_nothing():\n    ours = {name for name in sys.modules if name.split('.')[0] == 'relay_sync'}\n"
        "    assert ours == {'relay_sync', 'relay_sync._version', 'relay_sync.pytest_plugin'}\n"
        "    assert 'attrs' not in sys.modules\n"
        "    assert 'websockets' not in sys.modules\n",
        encoding="utf-8",
    )
    assert "1 passed" in run_pytest(tmp_path)


def test_the_simulator_s_own_repr_names_no_secret() -> None:
    with Simulator() as sim:
        assert sim.settings.token not in repr(sim) + repr(sim.settings)


TESTS_IN_ORDER = """
import os, threading, time
import pytest
from relay_sync import RelayClient, testing

testing.HANDLER_PATIENCE = 0.2
go = threading.Event()

def test_takes_its_token_away(monkeypatch, relay_simulator):
    monkeypatch.delenv("SIGNALWIRE_API_TOKEN")

def test_sets_another(monkeypatch, relay_simulator):
    monkeypatch.setenv("SIGNALWIRE_SPACE", "elsewhere.example")
    monkeypatch.setenv("SIGNALWIRE_JWT_TOKEN", "a.b.c")

def test_nothing_is_left():
    assert [name for name in os.environ if name.startswith("SIGNALWIRE_")] == ["SIGNALWIRE_RELAY_CA_FILE"]

def test_a_handler_that_goes_on(relay_simulator, relay_client):
    @relay_client.on_call
    def handler(call):
        call.answer()
        go.wait(30)
        raise LookupError("of the test before")
    relay_simulator.call(to="+15550100", from_="+15550199").wait_until("answered")
    os.environ["BEGAN"] = "1"

def test_after_it(relay_simulator, relay_client):
    go.set()

def test_a_handler_that_reports_late(relay_simulator, relay_client):
    begun = threading.Event()
    @relay_client.on_call
    def handler(call):
        call.answer()
        begun.set()
        try:
            call.wait_for_ended(30)
        finally:
            time.sleep(0.05)
            with RelayClient() as client:
                client.send_message(to_number="+15550101", from_number="+15550100", body="done", context="default")
                reported.append(relay_simulator.credentials["project"])
    relay_simulator.call(to="+15550100", from_="+15550199").wait_until("answered")
    assert begun.wait(5)

reported = []

def test_it_reported():
    assert len(reported) == 1
"""


@pytest.mark.traced
def test_nothing_of_a_test_goes_on_in_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SIGNALWIRE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SIGNALWIRE_RELAY_CA_FILE", "of the user")
    (tmp_path / "test_users.py").write_text(TESTS_IN_ORDER, encoding="utf-8")
    told = run_pytest(tmp_path)
    assert "7 passed, 1 error" in told, told
    assert "ERROR at teardown of test_a_handler_that_goes_on" in told
    assert "1 handler still running 0.2 s after the test's end (relay-call-" in told


def test_waits_of_the_package_are_not_hurried(caplog: pytest.LogCaptureFixture) -> None:
    with simulated() as (sim, client):
        client.on_call(lambda call: call.answer())
        sim.call(to=TO, from_=FROM).wait_until("answered")
        sim.delay_event("calling.call.state", 0.1, state="ended")
        with faster(100):  # 2 s are 0.02 s
            client.disconnect(hangup_calls=True)
    assert "no confirmation that call" not in caplog.text
