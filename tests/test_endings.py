"""How a client's connection ends: whose last word counts, and what ends by a fault of our own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from support import PATIENCE, Background, line

from relay_sync import ClientClosed, ConnectError, ConnectionLost, RelayClient
from relay_sync.protocol.command import Phase
from relay_sync.simulator import Simulator

MakeClient = Callable[..., RelayClient]


# -- the last word of the connection before ------------------------------------------------------------------------------


def late_last_word(client: RelayClient, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """The first connection says that it is closed a tenth of a second after it was found to be the one that is heard."""
    tell, held = getattr(client._board, moment), threading.Event()

    def tell_late(*args: Any) -> None:
        if args[0] is Phase.CLOSED and not held.is_set():
            held.set()
            threading.Event().wait(0.1)  # the subject is time
        tell(*args)

    monkeypatch.setattr(client._board, moment, tell_late)


def test_the_last_word_of_the_connection_before_does_not_end_the_next_one(
    sim: Simulator, client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = client()
    late_last_word(one, monkeypatch, "on_phase")
    one.connect()
    one._drop_loop(one._loop)  # type: ignore[arg-type]  # as connect() does when its time is over
    ready = threading.Event()
    running = Background(lambda: one.run(on_ready=ready.set))
    assert ready.wait(PATIENCE)
    assert (one.state, running.running) == ("connected", True)
    assert one._loop is not None
    assert not one._loop.stopped.wait(0.15)
    assert (one.state, running.running) == ("connected", True)
    one.stop()
    running.result()


def test_connect_right_after_stop_is_connected_and_stays_so(sim: Simulator, client: MakeClient) -> None:
    one = client()
    one.connect()
    for _ in range(5):
        before = one._loop
        one.stop()
        one.connect()
        assert before is not None
        assert before is not one._loop
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
    loop = client._loop
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
    ready = threading.Event()
    running = Background(lambda: one.run(on_ready=ready.set))
    assert ready.wait(PATIENCE)
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
    loop = one._loop
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

    monkeypatch.setattr(one._board, "_call_the_roll", fails)
    one.connect()
    assert one.state == "connected"
    one.disconnect()
    assert one.state == "closed"
