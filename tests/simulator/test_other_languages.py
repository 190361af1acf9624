"""A suite in another language: it drives ``relay-sync simulate`` by HTTP and WebSocket only, without our package."""

from __future__ import annotations

import ast
import base64
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import websocket
from attrs import frozen

from tests.support import PATIENCE, ROOT
from tests.support.background import until
from tests.support.foreign import Relay, opened
from tests.support.mock_adapter import Control, Refused, simulating
from tests.support.pages import blocks

PROJECT, TOKEN = "project-of-the-suite", "token-of-the-suite"
TO, FROM = "+15550100", "+15550199"
DEVICE = {"type": "phone", "params": {"to_number": TO, "from_number": FROM}}
CLIENTS = ("tests/support/foreign.py", "tests/support/mock_adapter.py")


@frozen
class Server:
    """The process: where it is, and what it is asked."""

    url: str
    control: Control

    def client(self) -> Relay:
        return Relay(self.url, project=PROJECT, token=TOKEN)

    def journal(self, **wanted: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.control.get("/journal", **wanted)["entries"]
        return found

    def answered(self, client: Relay) -> dict[str, Any]:
        """The address of a call that the client has answered."""
        call_id = str(uuid.uuid4())
        self.control.post("/calls", id=call_id, session=client.session, to=TO, from_=FROM)
        offer = client.event("calling.call.receive", call_id=call_id)
        about = {"call_id": call_id, "node_id": offer["node_id"]}
        client.result("calling.answer", **about)
        client.event("calling.call.state", call_id=call_id, call_state="answered")
        return about

    def refusal(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        with pytest.raises(Refused) as refused:
            self.control.ask(method, path, body)
        return refused.value.status, str(refused.value)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with simulating("--fast", "--ping-interval", "0", project=PROJECT, token=TOKEN) as (url, control):
        yield Server(url, control)


@pytest.fixture
def client(server: Server) -> Iterator[Relay]:
    with server.client() as one:
        yield one


@pytest.fixture
def other(server: Server) -> Iterator[Relay]:
    with server.client() as one:
        yield one


def test_the_clients_import_nothing_of_the_package() -> None:
    for path in CLIENTS:
        tree = ast.parse((ROOT / path).read_text())
        named = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        named |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert "json" in named
        assert not [name for name in named if name.partition(".")[0] in ("relay_sync", "tests", "None")]


# -- credentials -------------------------------------------------------------------------------------------------------


def test_projects_tokens_and_jwts_come_and_go(server: Server) -> None:
    second = {"project": "second", "token": "its-token"}
    with Relay(server.url, **second) as before:
        assert before.told["error"]["code"] == -32002
    server.control.post("/projects", **second, jwt_token="its-jwt")
    assert server.control.get("/projects") == {"projects": [PROJECT, "second"]}
    for given in (second, {"jwt_token": "its-jwt"}):
        with Relay(server.url, **given) as one:
            assert [each["project"] for each in server.control.get("/sessions") if each["id"] == one.session] == [
                "second"
            ]
    server.control.post("/projects/remove", **second)
    with Relay(server.url, **second) as after, Relay(server.url, jwt_token="its-jwt") as still:
        assert (after.told["error"]["code"], still.told["result"]["authorization"]["project"]) == (-32002, "second")
    server.control.post("/projects/remove", project="second")
    assert server.refusal("POST", "/projects/remove", {"project": "second"})[0] == 404
    status, said = server.refusal("POST", "/projects", {"project": "third", "token": ""})
    assert (status, "/token" in said) == (400, True)


def test_any_credentials_are_accepted_once_that_is_said(server: Server) -> None:
    with Relay(server.url, project="any", token="thing") as before:
        assert before.told["error"]["code"] == -32002
    try:
        assert server.control.post("/modes", accept_any_credentials=True)["accept_any_credentials"] is True
        with Relay(server.url, project="any", token="thing") as one, Relay(server.url, jwt_token="any.j.wt") as two:
            assert one.told["result"]["authorization"]["project"] == "any"
            assert two.told["result"]["authorization"]["project"] == PROJECT
    finally:
        server.control.post("/modes", accept_any_credentials=False)
    with Relay(server.url, project="any", token="thing") as after:
        assert after.told["error"]["code"] == -32002


@pytest.mark.slow
def test_any_credentials_and_acknowledgments_by_option() -> None:
    options = ("--accept-any-credentials", "--acknowledge-only", "--dial-winner", "boolean", "--journal-limit", "3")
    with simulating(*options, project=PROJECT, token=TOKEN) as (url, control):
        assert control.get("/modes") == {"acknowledge_only": True, "accept_any_credentials": True}
        with Relay(url, project="any", token="thing") as one:
            assert one.result("calling.dial", tag="t", devices=[[DEVICE]])["code"] == "200"
            control.post("/dials", winner={"id": "w"})
            one.result("calling.dial", tag="t", devices=[[DEVICE]])
            assert one.event("calling.call.dial", dial_state="answered")["call"]["dial_winner"] is True
            assert len(control.get("/journal")["entries"]) == 3


# -- calls -------------------------------------------------------------------------------------------------------------


def test_a_call_has_the_id_that_it_is_given(server: Server, client: Relay) -> None:
    body = {"id": "given", "session": client.session, "to": TO, "from": FROM}
    assert server.control.ask("POST", "/calls", body)["id"] == "given"
    assert client.event("calling.call.receive", call_id="given")["device"] == DEVICE
    status, said = server.refusal("POST", "/calls", body)
    assert (status, "an ID that no call in progress has" in said) == (409, True)
    server.control.post("/calls/given/hang_up")
    assert server.control.get("/calls/given")["state"] == "ended"
    assert server.control.ask("POST", "/calls", body)["id"] == "given"  # it is free again
    assert server.control.get("/calls/given")["state"] == "ringing"
    server.control.post("/calls/given/hang_up")


def test_a_call_and_an_event_for_one_session(server: Server, client: Relay, other: Relay) -> None:
    for number in range(3):
        server.control.post("/calls", id=f"aimed-{number}", session=other.session, to=TO, from_=FROM, rings=False)
        other.event("calling.call.receive", call_id=f"aimed-{number}")
        assert server.control.get(f"/calls/aimed-{number}")["state"] == "created"
    server.control.post("/events", event_type="calling.user_event", params={"n": 1}, session=other.session)
    other.event("calling.user_event", n=1)
    client.result("signalwire.ping")
    assert client.events("calling.call.receive") == client.events("calling.user_event") == []
    for number in range(3):
        server.control.post(f"/calls/aimed-{number}/hang_up")
    for path, body in (
        ("/calls", {"to": TO, "from": FROM, "session": "nobody"}),
        ("/events", {"event_type": "calling.user_event", "params": {}, "session": "nobody"}),
        ("/frames", {"frame": {}, "session": "nobody"}),
    ):
        status, said = server.refusal("POST", path, body)
        assert (status, "the ID of a session" in said) == (404, True)


def test_a_call_that_only_the_test_reports(server: Server, client: Relay) -> None:
    path = f"/sessions/{client.session}/calls"
    added = server.control.post(path, id="added", node_id="a-node", to=TO, from_=FROM)
    assert (added["id"], added["node_id"], added["state"]) == ("added", "a-node", "answered")
    about = {"call_id": "added", "node_id": "a-node"}
    assert client.result("calling.hold", **about)["code"] == "200"
    assert client.events("calling.call.receive") == []
    assert server.control.post("/calls/added/state", state="ending", announce=False)["state"] == "ending"
    assert server.control.post("/calls/added/state", state="ended", announce=False)["state"] == "ended"
    assert client.result("calling.unhold", **about)["code"] == "404"
    assert client.events("calling.call.state") == []
    assert server.refusal("POST", path, {"to": TO, "from": FROM, "state": "ended"})[0] == 400
    assert server.refusal("POST", "/sessions/nobody/calls", {"to": TO, "from": FROM})[0] == 404
    assert server.refusal("POST", "/calls/nobody/state", {"state": "ended"})[0] == 404


def test_what_cannot_be_a_number_is_refused(server: Server, client: Relay) -> None:
    for path, name, usual in (
        ("/calls", "to", {"from": FROM}),
        ("/calls", "from", {"to": TO}),
        (f"/sessions/{client.session}/calls", "to", {"from": FROM}),
        ("/phones", "number", {}),
        ("/messages", "to", {"from": FROM}),
    ):
        for wrong in ("call me", "", "+1 (555) 0100", "٣"):
            status, said = server.refusal("POST", path, {**usual, name: wrong})
            assert (status, name in said) == (400, True), (path, wrong)
    for wrong in ("call me", "", "+1 (555) 0100"):
        device = {"type": "phone", "params": {"to_number": wrong, "from_number": FROM}}
        assert client.result("calling.dial", tag="t", devices=[[device]])["code"] == "400"
        body = f'{{"command": "dial", "params": {{"to": "{wrong}", "from": "{FROM}", "url": "https://x.test/"}}}}'
        assert by_rest(server, body.encode()) == 422


def by_rest(server: Server, body: bytes) -> int:
    place = f"http{server.url.removeprefix('ws')}/api/calling/calls"
    given = base64.b64encode(f"{PROJECT}:{TOKEN}".encode()).decode()
    headers = {"Authorization": f"Basic {given}", "Content-Type": "application/json"}
    request = urllib.request.Request(place, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


# -- frames, the journal, sessions -------------------------------------------------------------------------------------


def test_any_frame_goes_to_a_session_and_into_the_journal(server: Server, client: Relay, other: Relay) -> None:
    frame = {"jsonrpc": "2.0", "id": "pushed", "method": "signalwire.event", "params": {"event_type": "odd", "x": [1]}}
    assert server.control.post("/frames", frame=frame, session=client.session) == {"sent": 1}
    while client.read() != frame:
        pass
    [sent] = server.journal(direction="out", event_type="odd", session=client.session)
    assert (sent["frame"], sent["session"]) == (frame, client.session)
    assert server.control.post("/frames", frame=["no", "request"])["sent"] >= 2
    unusual: Any = ["no", "request"]
    while other.read() != unusual:
        pass


def test_sessions_are_listed_and_name_the_journal(server: Server, client: Relay, other: Relay) -> None:
    listed = {each["id"]: each for each in server.control.get("/sessions")}
    assert {client.session, other.session} <= listed.keys()
    assert (listed[client.session]["project"], listed[client.session]["contexts"]) == (PROJECT, ["default"])
    client.result("signalwire.ping", payload="mine")
    mine = server.journal(session=client.session, direction="in")
    assert [each["method"] for each in mine if each["method"]] == ["signalwire.connect", "signalwire.ping"]
    assert {each["connection"] for each in mine} == {listed[client.session]["connection"]}
    assert mine[0]["time"] <= mine[-1]["time"]
    page = server.control.get("/journal", since=999_999_999)
    assert page["entries"] == []
    client.result("signalwire.ping", payload="next")
    later = server.journal(since=page["end"], session=client.session, method="signalwire.ping")
    assert [each["frame"]["params"]["payload"] for each in later] == ["next"]
    assert server.journal(session="nobody") == []


def test_the_journal_has_custom_parameters_and_stream_settings(server: Server, client: Relay) -> None:
    about = server.answered(client)
    settings = {
        "url": "ws://127.0.0.1:9/audio",
        "codec": "L16@16000h",
        "track": "both_tracks",
        "name": "mine",
        "custom_parameters": {"one-time": "password"},
    }
    client.result("calling.stream", **about, control_id="s", **settings, authorization_bearer_token="a-bearer-token")
    [entry] = server.journal(method="calling.stream", session=client.session)
    shown = entry["frame"]["params"]
    assert {name: shown[name] for name in settings} == settings
    assert shown["authorization_bearer_token"] == "<hidden>"
    [stream] = server.control.get(f"/calls/{about['call_id']}")["streams"]
    assert (stream["codec"], stream["rate"], stream["tracks"]) == ("L16", 16000, ["inbound", "outbound"])
    assert stream["custom_parameters"] == settings["custom_parameters"]
    stranger = Control(server.control.place.geturl(), "wrong-key")
    with pytest.raises(Refused) as refused:
        stranger.get("/journal")
    assert (refused.value.status, "password" in str(refused.value)) == (401, False)


def test_live_events_report_what_the_test_has_done(server: Server, client: Relay) -> None:
    key = server.control.headers["Authorization"].removeprefix("Bearer ")
    with opened(f"ws{server.control.place.geturl().removeprefix('http')}/live") as live:
        live.send(json.dumps({"key": key, "kinds": ["call"]}))
        call_id = str(uuid.uuid4())
        seen: list[dict[str, Any]] = []
        # The WebSocket reports what happens once it has taken the key, so there are further calls until it does.
        live.settimeout(0.2)

        def reports() -> bool:
            server.control.post(f"/sessions/{client.session}/calls", to=TO, from_=FROM)
            with suppress(websocket.WebSocketTimeoutException):
                seen.append(json.loads(live.recv()))
            return bool(seen)

        until(reports)
        live.settimeout(PATIENCE)
        server.control.post("/calls", id=call_id, session=client.session, to=TO, from_=FROM, rings=False)
        server.control.post(f"/calls/{call_id}/state", state="answered")
        server.control.post(f"/calls/{call_id}/state", state="ended", announce=False)
        while (seen[-1]["data"]["id"], seen[-1]["data"]["state"]) != (call_id, "ended"):
            seen.append(json.loads(live.recv()))
    states = [each["data"]["state"] for each in seen if each["data"]["id"] == call_id]
    assert states == ["created", "answered", "ended"]


# -- scripts -----------------------------------------------------------------------------------------------------------


def test_events_follow_a_method_in_their_times(server: Server, client: Relay, other: Relay) -> None:
    mine, theirs = server.answered(client), server.answered(other)
    media = {"play": [{"type": "silence", "params": {"duration": 600}}]}
    events = [{"params": {"state": "playing"}, "at": 0.001}, {"params": {"state": "finished"}, "at": 0.005}]
    server.control.post("/scripts", method="calling.play", events=events, session=client.session)
    assert client.result("calling.play", **mine, control_id="once", **media)["code"] == "200"
    client.event("calling.call.play", control_id="once", state="finished")
    told = client.events("calling.call.play", control_id="once")
    assert [each["state"] for each in told] == ["playing", "finished"]
    always = {"method": "calling.play", "reply": {"code": "200", "message": "scripted"}, "times": "always"}
    server.control.post("/scripts", **always)
    for number in range(3):
        assert client.result("calling.play", **mine, control_id=str(number), **media)["message"] == "scripted"
    assert other.result("calling.play", **theirs, control_id="x", **media)["message"] == "scripted"
    server.control.ask("DELETE", "/scripts")
    assert client.result("calling.play", **mine, control_id="real", **media)["message"] == "Playing"
    client.event("calling.call.play", control_id="real", state="playing")
    for wrong, words in (
        ({"method": "calling.plya"}, "calling.play"),
        ({"method": "calling.play", "events": [{"at": -1}]}, "/events"),
        ({"method": "calling.play", "events": [{"state": "playing"}]}, "params, at and event_type"),
        ({"method": "calling.play", "events": {}}, "a list of events"),
    ):
        status, said = server.refusal("POST", "/scripts", wrong)
        assert (status, words in said) == (400, True), said


@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("bash") is None, reason="needs curl and bash")
def test_the_commands_of_the_page(server: Server, client: Relay) -> None:
    [typed] = [block for block in blocks((ROOT / "docs" / "simulate.md").read_text(), "sh") if "ask()" in block]
    settings = {
        "RELAY_SIMULATOR_CONTROL": server.control.place.geturl(),
        "RELAY_SIMULATOR_CONTROL_TOKEN": server.control.headers["Authorization"].removeprefix("Bearer "),
    }
    command = ["bash", "-euc", typed]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **settings}) as typing:
        try:
            offer = client.event("calling.call.receive", call_id="call-1")
            about = {"call_id": "call-1", "node_id": offer["node_id"]}
            client.result("calling.answer", **about)
            media = {"play": [{"type": "tts", "params": {"text": "shown in the end"}}]}
            client.result("calling.play", **about, control_id="c", **media)
            client.event("calling.call.play", control_id="c", state="finished")
            told = client.events("calling.call.play", control_id="c")
            assert [each["state"] for each in told] == ["playing", "finished"]
            output = typing.communicate(timeout=PATIENCE)[0]
            assert (typing.returncode, "shown in the end" in output) == (0, True), output
        finally:
            typing.kill()
    server.control.post("/calls/call-1/hang_up")


def test_a_dial_goes_as_it_is_scripted(server: Server, client: Relay) -> None:
    winner = {"id": "winner", "states": ["created", "ringing", "answered"], "at": 0.001, "delay": 0.002}
    losers = [{"id": "loser", "states": ["created", "ended"], "at": 0.002}]
    about = {"node_id": "a-node", "delay": 0.001, "session": client.session}
    server.control.post("/dials", winner=winner, losers=losers, **about)
    assert client.result("calling.dial", tag="my-tag", devices=[[DEVICE]])["code"] == "200"
    told = client.event("calling.call.dial", dial_state="answered")
    assert (told["tag"], told["call"]["call_id"], told["call"]["node_id"]) == ("my-tag", "winner", "a-node")
    states = [(each["call_id"], each["call_state"]) for each in client.events("calling.call.state", tag="my-tag")]
    assert [state for leg, state in states if leg == "winner"] == ["created", "ringing", "answered"]
    assert [state for leg, state in states if leg == "loser"] == ["created", "ended"]
    assert client.result("calling.end", call_id="winner", node_id="a-node")["code"] == "200"
    client.event("calling.call.state", call_id="winner", call_state="ended")
    server.control.ask("POST", "/dials", {"winner": None, "losers": [], "reason": "busy"})
    client.result("calling.dial", tag="lost", devices=[[DEVICE]])
    assert client.event("calling.call.dial", tag="lost", dial_state="failed")["reason"] == "busy"
    assert server.refusal("POST", "/dials", {"winner": {"id": "x", "states": ["asleep"]}})[0] == 400


@pytest.mark.traced
def test_requests_are_only_acknowledged(server: Server, client: Relay) -> None:
    about = server.answered(client)
    try:
        assert server.control.post("/modes", acknowledge_only=True)["acknowledge_only"] is True
        media = {"play": [{"type": "silence", "params": {"duration": 600}}]}
        assert client.result("calling.play", **about, control_id="c", **media)["code"] == "200"
        assert client.result("calling.end", **about)["code"] == "200"
        there = server.control.get(f"/calls/{about['call_id']}")
        assert (there["state"], there["activities"]) == ("answered", [])
        assert client.events("calling.call.play") == []
    finally:
        server.control.post("/modes", acknowledge_only=False)
    client.result("calling.end", **about)
    client.event("calling.call.state", call_id=about["call_id"], call_state="ended")
