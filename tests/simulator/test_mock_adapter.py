"""The control interface that public RELAY suites call (``tests/support/mock_adapter.py``), as a process of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from attrs import frozen

from relay_sync import Call, RelayClient
from tests.support import PATIENCE, ROOT
from tests.support.background import Background
from tests.support.foreign import Relay
from tests.support.lines import FROM, TO, Desk


@frozen
class Adapter:
    """Where the process listens."""

    ws_port: int
    http_port: int

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", data, PATIENCE) as answer:
            return json.load(answer)

    def client(self) -> RelayClient:
        host = f"ws://127.0.0.1:{self.ws_port}"
        return RelayClient(project="any", token="thing", host=host, contexts=["default"])


@contextmanager
def adapting(*options: str) -> Iterator[Adapter]:
    command = [sys.executable, "-m", "tests.support.mock_adapter", "--ws-port", "0", "--http-port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            yield Adapter(**json.loads(process.stdout.readline()))
        finally:
            process.terminate()


def session_of(client: RelayClient) -> str:
    """The id that the interface gives to a client's session: sockets of clients before it may not have gone yet."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, client.relay_protocol))


def inbound(client: RelayClient, call_id: str) -> dict[str, Any]:
    """What to ask for to have somebody call a client."""
    return {"session_id": session_of(client), "call_id": call_id, "to_number": TO, "from_number": FROM}


def take(desk: Desk, call_id: str) -> Call:
    """The call of an id: what clients before this one did not answer is offered to it as well."""
    while (call := desk.take()).call_id != call_id:
        pass
    return call


@pytest.fixture(scope="module")
def adapter() -> Iterator[Adapter]:
    with adapting("--media", "fast") as one:
        yield one


def test_it_is_healthy_and_knows_its_paths(adapter: Adapter) -> None:
    assert adapter.ask("/health")["status"] == "ok"
    assert adapter.ask("/__mock__/health") == adapter.ask("/health")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        adapter.ask("/nowhere")


def test_any_project_has_a_session_that_the_journal_names(adapter: Adapter) -> None:
    with adapter.client() as client:
        assert client.execute("signalwire.ping", {"payload": "x"})["payload"] == "x"
        assert session_of(client) in [each["id"] for each in adapter.ask("/sessions")["sessions"]]
        journal = adapter.ask(f"/journal?session_id={session_of(client)}")
        assert ("recv", "signalwire.ping") in [(entry["direction"], entry["method"]) for entry in journal]
    assert adapter.ask("/journal?session_id=nobody") == []


@pytest.mark.parametrize("given", [{"project": "p", "token": "t" * 200}, {"jwt_token": "a.j.wt"}], ids=str)
def test_the_journal_shows_the_suites_the_credentials_that_they_have_presented(
    adapter: Adapter, given: dict[str, str]
) -> None:
    with Relay(f"ws://127.0.0.1:{adapter.ws_port}", **given) as client:
        journal = adapter.ask(f"/journal?session_id={client.session}")
        [sent] = [entry for entry in journal if (entry["direction"], entry["method"]) == ("recv", "signalwire.connect")]
        assert sent["frame"]["params"]["authentication"] == given


def test_a_call_of_a_given_id_comes_in_and_goes_through_its_states(adapter: Adapter) -> None:
    client = adapter.client()
    desk = Desk(client)
    with client:
        states = {"auto_states": ["created", "answered", "ended"], "delay_ms": 1}
        asking = Background(adapter.ask, "/inbound_call", {**inbound(client, "c-1"), **states})
        call = take(desk, "c-1")
        assert call.from_number == FROM
        call.wait_for_ended(PATIENCE)
        told = asking.result()
        assert (told["call_id"], told["sent_to"], told["count"]) == ("c-1", [session_of(client)], 1)
        desk.closing.set()


def test_events_follow_a_method_as_they_are_scripted(adapter: Adapter) -> None:
    client = adapter.client()
    desk = Desk(client)
    with client:
        adapter.ask("/inbound_call", inbound(client, "c-2"))
        call = take(desk, "c-2")
        script = [{"emit": {"state": "playing"}}, {"delay_ms": 1, "emit": {"state": "finished"}}]
        assert adapter.ask(f"/scenarios/calling.play?session_id={session_of(client)}", script)["status"] == "ok"
        assert call.play_silence(600).wait(PATIENCE).state == "finished"
        desk.closing.set()


def test_a_pushed_event_arrives(adapter: Adapter) -> None:
    client = adapter.client()
    desk = Desk(client)
    with client:
        adapter.ask("/inbound_call", inbound(client, "c-3"))
        call = take(desk, "c-3")
        body = {"event_type": "calling.call.refer", "params": {"call_id": "c-3", "number": 1}}
        frame = {"jsonrpc": "2.0", "id": "p-1", "method": "signalwire.event", "params": body}
        mine = session_of(client)
        with call.expect("calling.call.refer", timeout=PATIENCE) as seen:
            assert adapter.ask(f"/push?session_id={mine}", {"frame": frame}) == {"sent_to": [mine], "count": 1}
        assert seen.value.params["number"] == 1
        at_once = [{"event_type": "calling.call.refer", "emit": {"call_id": "c-3", "number": 2}}]
        with call.expect("calling.call.refer", timeout=PATIENCE) as seen:
            adapter.ask(f"/scenarios/_unconditional?session_id={mine}", at_once)
        assert seen.value.params["number"] == 2
        desk.closing.set()


def test_a_scripted_dial_is_won_by_the_leg_that_the_script_names(adapter: Adapter) -> None:
    script = {"winner_call_id": "w", "losers": [{"call_id": "l"}], "device": {"type": "phone", "params": {}}}
    with adapter.client() as client:
        adapter.ask(f"/scenarios/dial?session_id={session_of(client)}", script)
        call = client.dial(to=TO, from_=FROM)
        assert (call.call_id, call.state) == ("w", "answered")


def test_what_is_of_a_session_is_reset_for_this_session_only(adapter: Adapter) -> None:
    with adapter.client() as one, adapter.client() as other:
        mine, theirs = (f"?session_id={session_of(each)}" for each in (one, other))
        for each in (mine, theirs):
            adapter.ask(f"/scenarios/messaging.send{each}", [{"emit": {"message_state": "sent", "reason": each}}])
        adapter.ask(f"/journal/reset{mine}", {})
        adapter.ask(f"/scenarios/reset{mine}", {})
        assert adapter.ask(f"/journal{mine}") == []
        assert "signalwire.connect" in [entry["method"] for entry in adapter.ask(f"/journal{theirs}")]
        told = []
        for client in (one, other):
            message = client.send_message(to_number=TO, from_number=FROM, body="x")
            told.append(message.wait(PATIENCE).message_state if client is one else message.message_id)
        assert told[0] == "delivered"
        [sent] = [each for each in adapter.ask(f"/journal{theirs}") if "message_state" in json.dumps(each["frame"])]
        assert sent["frame"]["params"]["params"]["reason"] == theirs
        assert sent["frame"]["params"]["params"]["message_id"] == told[1]


@pytest.mark.slow
def test_the_simulator_ends_with_the_adapter() -> None:
    with adapting("--passive") as one:
        socket.create_connection(("127.0.0.1", one.ws_port), PATIENCE).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", one.ws_port), PATIENCE).close()


def test_a_played_scenario_waits_for_what_the_client_sends(adapter: Adapter) -> None:
    with adapter.client() as client:
        wanted = {"session_id": session_of(client), "method": "signalwire.receive"}
        assert adapter.ask("/scenario_play", [{"sleep_ms": 1}])["status"] == "completed"
        assert adapter.ask("/scenario_play", [{"expect_recv": {**wanted, "timeout_ms": 1}}])["status"] == "timeout"
        playing = Background(adapter.ask, "/scenario_play", [{"expect_recv": wanted}])
        while playing.running:
            client.receive(["other"])
        assert playing.result() == {"status": "completed", "steps": 1}
