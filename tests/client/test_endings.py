"""How a client's connection ends: whose last word counts, and what ends by a fault of our own."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import Call, ClientClosed, ConnectError, ConnectionLost, Message, RelayClient
from relay_sync.contrib import hosting
from relay_sync.protocol.command import Phase
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.lines import FROM, TO, line, run

MakeClient = Callable[..., RelayClient]


# -- the last word of the connection before ------------------------------------------------------------------------------


def late_last_word(client: RelayClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first connection says that it is closed a tenth of a second after it was found to be the one that is heard."""
    tell, held = client._router.on_phase, threading.Event()

    def tell_late(phase: Phase, *args: Any) -> None:
        if phase is Phase.CLOSED and not held.is_set():
            held.set()
            threading.Event().wait(0.1)  # the subject is time
        tell(phase, *args)

    monkeypatch.setattr(client._router, "on_phase", tell_late)


def test_the_last_word_of_the_connection_before_does_not_end_the_next_one(
    sim: Simulator, client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = client()
    late_last_word(one, monkeypatch)
    one.connect()
    one._link.drop(one._link.loop)  # type: ignore[arg-type]  # as connect() does when its time is over
    running = run(one)
    assert (one.state, running.running) == ("connected", True)
    assert one._link.loop is not None
    assert not one._link.loop.stopped.wait(0.15)
    assert (one.state, running.running) == ("connected", True)
    one.stop()
    running.result()


def test_connect_right_after_stop_is_connected_and_stays_so(sim: Simulator, client: MakeClient) -> None:
    one = client()
    one.connect()
    for _ in range(5):
        before = one._link.loop
        one.stop()
        one.connect()
        assert before is not None
        assert before is not one._link.loop
        assert before.join(PATIENCE)
        assert one.state == "connected"
        assert one.execute("signalwire.ping") is not None


def test_stop_ends_a_client_at_once_for_whoever_comes_behind_it(client: MakeClient) -> None:
    one = client()
    one.connect()
    one.stop()
    with pytest.raises(ClientClosed):
        one.execute("signalwire.ping")


# -- a fault of our own --------------------------------------------------------------------------------------------------


def break_selector(client: RelayClient, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """The system refuses to wait for the connection from now on."""
    loop = client._link.loop
    assert loop is not None

    def fails(timeout: float | None = None) -> Any:
        raise error

    monkeypatch.setattr(loop._selector, "select", fails)
    loop.poke()


@pytest.mark.parametrize("error", [OSError(9, "Bad file descriptor"), MemoryError(), SystemExit(3)], ids=repr)
def test_run_raises_what_ended_the_connection_by_our_own_fault(
    client: MakeClient, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    states: list[str] = []
    one = client(on_state=states.append)
    running = run(one)
    break_selector(one, monkeypatch, error)
    with pytest.raises(ConnectionLost, match=f"internal errors.*{type(error).__name__}"):
        running.result()
    assert states == ["connecting", "connected", "reconnecting", "failed"]


def test_waits_and_commands_end_with_the_error_and_the_client_can_be_used_again(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with line(sim) as one:
        waiting = Background(one.call.wait_for_ended)
        sim.drop_reply("calling.denoise")
        asking = Background(one.call.denoise)
        one.wait_for_request("calling.denoise")
        break_selector(one.client, monkeypatch, OSError(9, "Bad file descriptor"))
        for wait in (waiting, asking):
            with pytest.raises(ConnectionLost) as caught:
                wait.result()
            assert caught.value.sent == (wait is asking)
        assert one.client.state == "failed"
        one.client.connect()
        assert one.client.state == "connected"


def test_a_session_that_raises_at_every_turn_fails_too(client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    one = client()
    one.connect()
    loop = one._link.loop
    assert loop is not None

    def fails(now: float) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(loop.session, "tick", fails)
    loop.poke()
    assert loop.stopped.wait(PATIENCE)
    assert (one.state, loop.session.phase) == ("failed", Phase.FAILED)


def test_a_first_connection_that_our_own_fault_ends_is_a_connect_error(
    client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    import selectors

    def fails(self: object, timeout: float | None = None) -> Any:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(selectors.DefaultSelector, "select", fails)
    one = client()
    with pytest.raises(ConnectError, match="internal errors"):
        one.connect(PATIENCE)
    assert one.state == "failed"


def test_a_fault_while_the_state_is_told_leaves_the_state_right(
    client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = client()

    def fails(phase: Phase) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(one._router, "_call_the_roll", fails)
    one.connect()
    assert one.state == "connected"
    one.disconnect()
    assert one.state == "closed"


# -- handlers that still have something to do -----------------------------------------------------------------------------


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that closes waits for so long that a test would notice."""
    monkeypatch.setattr("relay_sync.client.link.DRAIN_PATIENCE", 60.0)
    monkeypatch.setattr("relay_sync.client.run.HANGUP_PATIENCE", 0.05)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay_sync.client.link.DRAIN_PATIENCE", 0.05)


def tidies_up(client: RelayClient, done: list[str], *, begun: threading.Event, gate: threading.Event) -> None:
    """Have the client take calls with a handler that has something to do at its end."""

    @client.on_call
    def handle(call: Call) -> None:
        call.answer()
        begun.set()
        try:
            call.wait_for_ended()
        finally:
            done.append("begun")
            gate.wait(PATIENCE)
            done.append("done")


Ending = Callable[[RelayClient, Callable[[], object]], object]


def by_stop(client: RelayClient, meanwhile: Callable[[], object]) -> None:
    running = Background(client.run)
    meanwhile()
    client.stop()
    running.result()


def by_disconnect(client: RelayClient, meanwhile: Callable[[], object]) -> None:
    client.connect()
    meanwhile()
    client.disconnect(60)


def by_leaving_a_block(client: RelayClient, meanwhile: Callable[[], object]) -> None:
    with client:
        meanwhile()


def by_stopping_all(client: RelayClient, meanwhile: Callable[[], object]) -> None:
    hosted = hosting.Hosted(lambda: client)
    hosted.client.connect()
    meanwhile()
    hosting.stop_all(0)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("end", [by_stop, by_disconnect, by_leaving_a_block, by_stopping_all])
def test_what_a_handler_does_at_its_end_is_waited_for(sim: Simulator, client: MakeClient, end: Ending) -> None:
    done: list[str] = []
    begun, gate = threading.Event(), threading.Event()
    one = client()
    tidies_up(one, done, begun=begun, gate=gate)

    def call() -> None:
        sim.wait_for_client()
        sim.call(to=TO, from_=FROM)
        assert begun.wait(PATIENCE)

    ending = Background(end, one, call)
    assert begun.wait(PATIENCE)  # not for the client, which may have come and gone by now
    assert begun.wait(PATIENCE)
    sim.wait_until_gone(PATIENCE)
    assert ending.running
    gate.set()
    ending.result()
    assert done == ["begun", "done"]


@pytest.mark.usefixtures("hasty")
def test_what_does_not_end_is_named_once_and_left_alone(
    sim: Simulator, client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []
    begun, gate, heard = threading.Event(), threading.Event(), threading.Event()
    one = client()
    tidies_up(one, done, begun=begun, gate=gate)

    @one.on_message
    def read(message: Message) -> None:
        heard.set()
        gate.wait(PATIENCE)

    one.connect()
    phone = sim.call(to=TO, from_=FROM)
    sim.message(to=TO, from_=FROM, body="hello")
    assert begun.wait(PATIENCE)
    assert heard.wait(PATIENCE)
    one.disconnect()
    one.disconnect()
    (told, again) = [
        record.getMessage() for record in caplog.records if record.getMessage().startswith("closing: still running")
    ]
    assert f"handle of call {phone.call_id}" in told
    assert "on_message handler" in told
    assert "read" in told
    assert "on_call" not in again  # a message's handler is waited for again: it may have others behind it
    gate.set()


@pytest.mark.usefixtures("patient")
def test_handlers_that_close_the_client_do_not_wait_for_each_other(sim: Simulator, client: MakeClient) -> None:
    together, done = threading.Barrier(2), [threading.Event(), threading.Event()]
    one = client()

    @one.on_call
    def handle(call: Call) -> None:
        number = together.wait(PATIENCE)
        one.disconnect(60)
        done[number].set()

    one.connect()
    for _ in done:
        sim.call(to=TO, from_=FROM)
    assert all(each.wait(PATIENCE) for each in done)


AT_EXIT = """
from relay_sync import RelayClient
from relay_sync.simulator import Simulator
import threading, time

begun = threading.Event()
sim = Simulator(media="fast").start()
client = RelayClient(**sim.credentials, contexts=["default"])

@client.on_call
def handle(call):
    try:
        begun.set()
        call.wait_for_ended()
    finally:
        time.sleep(0.05)
        print("done", flush=True)

client.connect()
sim.call(to="+15550100", from_="+15550199")
begun.wait(10)
"""


def test_handlers_end_properly_where_the_program_just_ends() -> None:
    ended = subprocess.run([sys.executable, "-c", AT_EXIT], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "done\n"
