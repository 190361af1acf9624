"""The simulator told over HTTP what to let happen: in this process, and as the server that ``relay-sync simulate`` is."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

import relay_sync
from relay_sync import CommandRefused, InvalidParameter, RelayClient
from relay_sync.audio import AudioServer
from relay_sync.cli import main
from relay_sync.hosts.proof import is_proof
from relay_sync.rest import RestClient
from relay_sync.server import websocket
from relay_sync.simulator import ControlInterface, Simulator, speech
from relay_sync.simulator.http.control import interface
from tests.support import PATIENCE
from tests.support.background import Background, until
from tests.support.control import START, Control, raw, simulate, start
from tests.support.lines import FROM, TO, Desk, line
from tests.support.numbers import HUGE, NO_NUMBERS
from tests.support.peers import Hooks, Receiver


@pytest.fixture
def control(sim: Simulator) -> Iterator[Control]:
    with ControlInterface(sim) as server:
        yield Control(server.url, server.key)


# -- in this process ---------------------------------------------------------------------------------------------------


def test_a_call_placed_answered_pressed_and_hung_up(sim: Simulator, control: Control) -> None:
    client = RelayClient(**sim.credentials, contexts=["default"])
    desk = Desk(client)
    try:
        client.connect()
        assert control.get("/clients?count=1") == {"clients": 1}
        placed = control.post("/calls", **{"to": TO, "from": FROM, "says": ["a sentence"], "silent": True})
        assert (placed["number"], placed["state"] in ("created", "ringing")) == (FROM, True)
        path = f"/calls/{placed['id']}"
        call = desk.take()
        assert call.call_id == placed["id"]
        call.answer()
        assert control.get(f"{path}?wait=answered")["state"] == "answered"
        with call.expect("calling.call.collect", timeout=PATIENCE) as collected:
            call.collect(digits={"max": 2})
            control.get(f"{path}?doing=calling.collect")
            control.post(f"{path}/press", digits="42")
        assert collected.value.result["params"]["digits"] == "42"
        call.play_tts("Welcome to this test").wait(PATIENCE)
        assert [item["words"] for item in control.get(f"{path}?heard=Welcome")["heard"]] == ["Welcome to this test"]
        assert [each["id"] for each in control.get("/calls")] == [placed["id"]]
        assert control.post(f"{path}/hang_up", reason="busy")["end_reason"] == "busy"
        call.wait_for_ended(PATIENCE)
        assert control.get(path)["state"] == "ended"  # it is still known
        assert control.get("/calls") == []
    finally:
        desk.closing.set()
        client.disconnect()


def test_a_file_is_spoken(sim: Simulator, control: Control, tmp_path: Path) -> None:
    caller = Path(speech.__file__).parent / "caller.wav"
    client = RelayClient(**sim.credentials, contexts=["default"])
    desk = Desk(client)
    with AudioServer() as audio:
        client.connect()
        try:
            for says in ({"wav": base64.b64encode(caller.read_bytes()).decode()}, {"speech": "caller"}):
                control.post("/calls", **{"to": TO, "from": FROM, "says": says, "hangs_up_after_speaking": True})
                call = desk.take()
                call.answer()
                with audio.listen(call, codec="L16") as stream:
                    stream.wait(PATIENCE)
                told = control.get(f"/calls/{call.call_id}?wait=ended")
                stream.save(tmp_path / "heard.wav")
                spoken = relay_sync.audio.read_wav(caller).pcm
                assert relay_sync.audio.read_wav(tmp_path / "heard.wav").pcm[: len(spoken)] == spoken
                assert told["streams"][0]["frames_sent"]["inbound"] > 10
        finally:
            desk.closing.set()
            client.disconnect()


def test_a_stream_is_waited_for(sim: Simulator, control: Control) -> None:
    with Receiver() as receiver, Hooks() as hooks, line(sim) as it:
        control.get("/calls")
        waiting = Background(control.get, f"/calls/{it.call.call_id}?stream=streaming")
        it.call.stream(receiver.url + "?secret=tell-nobody", name="n", status_url=hooks.url)
        told = waiting.result()
        assert told["streams"][0]["name"] == "n"
        webhooks = control.get("/webhooks?count=1")
        assert (webhooks[0]["method"], webhooks[0]["body"]["params"]["state"]) == ("POST", "streaming")
        assert "tell-nobody" not in json.dumps(told)


def test_the_journal_in_pieces(sim: Simulator, control: Control) -> None:
    with line(sim) as it:
        first = control.get("/journal?method=signalwire.connect&direction=in")
        assert [entry["method"] for entry in first["entries"]] == ["signalwire.connect"]
        text = json.dumps(first)
        assert sim.settings.token not in text
        start = control.get("/journal")["next"]
        waiting = Background(control.get, f"/journal?since={start}&method=calling.end&wait=")
        it.call.hangup()
        found = waiting.result()
        assert found["entries"][0]["frame"]["params"]["reason"] == "hangup"
        assert found["entries"][0]["number"] >= start
        assert control.ask("DELETE", "/journal") is None
        later = control.get("/journal")
        assert all(entry["number"] >= start for entry in later["entries"])


def test_faults_and_connections(sim: Simulator, control: Control) -> None:
    with line(sim) as it:
        control.post("/faults/refuse", method="calling.play", code=402, message="No money", times=1)
        with pytest.raises(CommandRefused, match="No money"):
            it.call.play_silence(1)
        control.post("/faults/refuse", method="calling.play", code="403", times="always")
        control.ask("DELETE", "/faults")
        it.call.play_silence(1)
        with it.call.expect("calling.user_event", timeout=PATIENCE) as seen:
            params = {"call_id": it.call.call_id, "name": "mine"}
            control.post("/events", event_type="calling.user_event", params=params)
        assert seen.value.params["name"] == "mine"
        before = len(sim.journal.requests("signalwire.connect"))
        control.post("/connections/cut")
        sim.journal.wait_for(lambda entry: len(sim.journal.requests("signalwire.connect")) > before, PATIENCE)
        it.client.wait_until_ready(PATIENCE)
        control.post("/connections/ping")


def test_phones_messages_tasks_and_rest(sim: Simulator, control: Control) -> None:
    client = RelayClient(**sim.credentials, contexts=["default"])
    messages: list[Any] = []
    client.on_message(messages.append)
    with client, RestClient(**sim.credentials) as rest:
        client.connect()
        control.post("/phones", number="+15550123", answers_after=3, hangs_up_after=None, times=1)
        control.post("/phones", number="+15550124", declines=True)
        control.post("/sounds", url="https://x.test/a.mp3", sound=0.5)
        call = rest.dial(to="+15550123", from_=TO, url="https://x.test/swml")
        told = control.get(f"/calls/{call.call_id}?wait=answered")
        assert (told["number"], told["state"]) == ("+15550123", "answered")
        assert [(each["command"], each["status"]) for each in control.get("/rest")] == [("dial", 200)]
        assert control.post("/messages", **{"to": TO, "from": FROM, "body": "hello"})["id"]
        sim.wait_for_acks(PATIENCE)
        control.post("/tasks", message={"a": 1})


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/nowhere", None, 404, "GET /"),
        ("PUT", "/calls", {}, 405, "GET or POST"),
        ("GET", "/calls/none", None, 404, "no such call"),
        ("POST", "/calls/none/press", {"digits": "1"}, 404, "no such call"),
        ("POST", "/calls", {"to": TO}, 400, "from"),
        ("POST", "/calls", {"to": TO, "from": FROM, "unheard": 1}, 400, "unheard"),
        ("POST", "/calls", {"to": TO, "from": FROM, "says": __file__}, 400, "base64"),  # no files of the simulator's
        ("POST", "/calls", {"to": TO, "from": FROM, "says": {"wav": "!"}}, 400, "base64"),
        ("POST", "/calls", {"to": TO, "from": FROM, "says": {"speech": "../caller"}}, 400, "'caller' or 'greeting'"),
        ("POST", "/calls", {"to": TO, "from": FROM, "says": {"speech": ["caller"]}}, 400, "'caller' or 'greeting'"),
        ("POST", "/calls", {"to": TO, "from": FROM, "says": {"wav": "AAAA"}}, 400, "WAV"),
        ("POST", "/calls", {"to": TO, "from": FROM, "ring_timeout": 0}, 400, "ring_timeout"),
        ("POST", "/calls", [], 400, "JSON object"),
        ("POST", "/faults/explode", {}, 404, "no such path"),
        ("POST", "/faults/refuse", {}, 400, "method"),
        ("POST", "/faults/refuse", {"method": "calling.plya"}, 400, "perhaps 'calling.play'"),
        ("POST", "/faults/disturb_stream", {"stream": "loudly"}, 400, "wrong codec"),
        ("POST", "/connections/explode", {}, 404, "no such path"),
        ("POST", "/phones", {"number": TO, "busy": True, "declines": True}, 400, "declines"),
        ("GET", "/clients?count=x", None, 400, "count"),
        ("GET", "/clients?count=1&timeout=61", None, 400, "timeout"),
        ("GET", "/clients?count=1&timeout=0.01", None, 504, "the simulator waited"),
        ("GET", "/journal?since=-1", None, 400, "since"),
        ("GET", "/calls/x?colour=red", None, 400, "colour"),
        ("GET", "/clients?count=1&count=2", None, 400, "once"),
        ("POST", "/calls?to=1", {"to": TO, "from": FROM}, 400, "no parameters"),
        ("GET", "/journal?since=%ff", None, 400, "since"),
        ("GET", "/journal?" + "since=1&" * 21, None, 400, "the query is invalid"),
        ("POST", "/connections/refuse_connections", {"how": "tcp"}, 400, "no request can end it"),
    ],
)
def test_what_is_refused(control: Control, method: str, path: str, body: Any, status: int, words: str) -> None:
    got, told = control.refused(method, path, body)
    assert (got, words in told["error"]) == (status, True), told


@pytest.mark.parametrize(
    "raw", [b"{", b"\xff", b"[" * 100_000, *(f'{{"x": [{each}]}}'.encode() for each in (*NO_NUMBERS, HUGE))]
)
def test_bodies_that_are_not_json(control: Control, raw: bytes) -> None:
    assert control.refused("POST", "/calls", raw=raw)[0] == 400


@pytest.mark.parametrize("act", ["press", "say", "answer", "keep_silent"])
def test_a_control_for_another_call_than_this_is_a_conflict(control: Control, act: str) -> None:
    placed = control.post("/calls", **{"to": TO, "from": FROM})
    path = f"/calls/{placed['id']}"
    body = {"press": {"digits": "1"}, "say": {"text": "yes"}}.get(act)
    if act != "keep_silent":
        status, told = control.refused("POST", f"{path}/{act}", body)
        assert (status, "answer" in told["error"]) == (409, True)
    assert control.post(f"{path}/hang_up")["state"] == "ended"
    status, told = control.refused("POST", f"{path}/{act}", body)
    assert (status, "the caller" in told["error"] if act == "answer" else "over" in told["error"]) == (409, True)
    assert control.post(f"{path}/hang_up", reason="busy")["end_reason"] == "hangup"


def test_null_is_not_the_same_as_left_out(sim: Simulator, control: Control) -> None:
    """The phone rings until somebody picks it up; left out, it would be answered at once."""
    control.post("/phones", number=TO, answers_after=None, hangs_up_after=None, says=None, times=None)
    with RelayClient(**sim.credentials) as client:
        for _ in range(2):  # times is null: for all calls
            dialling = Background(lambda: client.dial(to=TO, from_=FROM))
            sim.journal.wait_for(lambda entry: entry.params.get("call_state") == "ringing", PATIENCE)
            sim.journal.clear()
            [ringing] = control.get("/calls")
            assert control.post(f"/calls/{ringing['id']}/answer")["state"] == "answered"
            dialling.result().hangup()


@pytest.mark.parametrize(
    ("path", "body", "parameter"),
    [
        ("/calls", {"to": None, "from": FROM}, "to"),
        ("/calls", {"to": TO, "from": FROM, "context": None}, "context"),
        ("/calls", {"to": TO, "from": FROM, "silent": None}, "silent"),
        ("/calls", {"to": TO, "from": FROM, "ring_timeout": None}, "ring_timeout"),
        ("/phones", {"number": TO, "busy": None}, "busy"),
        ("/phones", {"number": TO, "presses": None}, "presses"),
        ("/messages", {"to": TO, "from": FROM, "body": None}, "body"),
        ("/messages", {"to": TO, "from": FROM, "media": None}, "media"),
        ("/tasks", {"message": None}, "message"),
        ("/faults/refuse", {"method": "calling.play", "code": None}, "code"),
        ("/faults/duplicate_event", {"event_type": "calling.call.play", "copies": None}, "copies"),
        ("/faults/disturb_stream", {"stream": "gap", "at": None}, "at"),
        ("/connections/cut", {"reset": None}, "reset"),
    ],
)
def test_null_is_refused_where_it_means_nothing(control: Control, path: str, body: Any, parameter: str) -> None:
    status, told = control.refused("POST", path, body)
    assert (status, told["parameter"], "null" in told["error"]) == (400, parameter, True)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/calls", {"to": TO, "from": FROM, "says": speech.greeting()}),
        ("/calls", {"to": TO, "from": FROM, "hears": speech.greeting()}),
        ("/calls", {"to": TO, "from": FROM, "says": {"speech": speech.greeting()}}),
        ("/calls", {"to": TO, "from": FROM, "says": {"wav": speech.greeting()}}),
        ("/phones", {"number": TO, "says": speech.greeting()}),
        ("/sounds", {"url": "https://example.com/a.wav", "sound": speech.greeting()}),
        ("/sounds", {"url": "https://example.com/a.wav", "sound": {"wav": speech.greeting()}}),
    ],
)
def test_no_file_of_this_machine_is_read(control: Control, path: str, body: Any) -> None:
    body = json.loads(json.dumps(body, default=str))
    status, told = control.refused("POST", path, body)
    assert (status, told["parameter"]) == (400, next(name for name in ("says", "hears", "sound") if name in body))


@pytest.mark.parametrize(
    ("token", "head", "status"),
    [
        ("wrong", "Content-Length: {length}", 401),
        ("wrong", "Content-Length: {length}\r\nOrigin: https://evil.example", 403),
        ("", "Content-Length: {length}", 413),
        ("", "Content-Length: 1x", 400),
        ("", "Transfer-Encoding: chunked", 411),
    ],
)
def test_a_refusal_is_heard_by_whoever_still_sends(control: Control, token: str, head: str, status: int) -> None:
    lines = f"POST /simulator/calls HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token or control.token}\r\n"
    with socket.create_connection(("127.0.0.1", control.port), timeout=PATIENCE) as peer:
        peer.sendall(f"{lines}{head.format(length=interface.MOST_BODY + 1)}\r\n\r\n".encode())
        for _ in range(8):
            peer.sendall(bytes(2**20))
        peer.shutdown(socket.SHUT_WR)
        told = b"".join(iter(lambda: peer.recv(65536), b""))
    assert told.startswith(f"HTTP/1.1 {status} ".encode())
    assert json.loads(told.partition(b"\r\n\r\n")[2])["error"]


def test_a_refused_request_that_goes_on_for_ever_is_read_for_a_while_only(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "LINGER", 0.05)
    with socket.create_connection(("127.0.0.1", control.port), timeout=PATIENCE) as peer:
        peer.sendall(
            b"POST /simulator/calls HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer wrong\r\n"
            b"Content-Length: 999999999999\r\n\r\n"
        )
        with pytest.raises(ConnectionError):
            peer.sendall(bytes(2**30))


def test_places_are_given_back(control: Control) -> None:
    for _ in range(interface.MOST_WAITING + 1):
        assert control.get("/clients?count=0") == {"clients": 0}


def test_more_requests_than_may_wait_are_refused_and_others_are_not(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interface, "MOST_WAITING", 2)
    with ControlInterface(sim) as server:
        control = Control(server.url, server.key)
        waiting = [Background(control.refused, "GET", "/clients?count=1&timeout=30") for _ in range(2)]
        until(lambda: len(threads("relay-sim-wait")) == 2)
        status, told = control.refused("GET", "/clients?count=1")
        assert (status, told["error"].partition(";")[0]) == (503, "2 requests are already waiting")
        assert control.get("/clients") == {"clients": 0}
    for each in waiting:  # closing ends them
        assert each.result()[0] == 503


def test_a_wait_ends_when_its_client_goes(sim: Simulator, control: Control) -> None:
    with socket.create_connection(("127.0.0.1", control.port), timeout=PATIENCE) as peer:
        lines = f"Host: localhost\r\nAuthorization: Bearer {control.token}"
        peer.sendall(f"GET /simulator/clients?count=1&timeout=60 HTTP/1.1\r\n{lines}\r\n\r\n".encode())
        until(lambda: bool(threads("relay-sim-wait")))
    until(lambda: not threads("relay-sim-wait"))


def threads(name: str) -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith(name)]


def test_all_waits_of_a_request_share_one_timeout(sim: Simulator, control: Control) -> None:
    placed = control.post("/calls", **{"to": TO, "from": FROM})
    phone = sim.phones[-1]
    threading.Timer(0.7, phone.force_state, ["answered"]).start()
    began = time.monotonic()
    assert control.refused("GET", f"/calls/{placed['id']}?wait=answered&heard=hello&timeout=1")[0] == 504
    assert time.monotonic() - began < 1.6


@pytest.mark.parametrize("path", ["/identity?challenge=x", "/openapi.json"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_is_read_into_memory_for_who_has_no_key(control: Control, method: str, path: str) -> None:
    with socket.create_connection(("127.0.0.1", control.port), timeout=PATIENCE) as peer:
        head = f"{method} /simulator{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {interface.MOST_BODY}\r\n\r\n"
        peer.sendall(head.encode())
        status = 200 if method == "GET" else 405
        assert peer.recv(12) == f"HTTP/1.1 {status}".encode()  # before any of the body


def test_a_wait_for_what_cannot_come(sim: Simulator, control: Control) -> None:
    placed = control.post("/calls", **{"to": TO, "from": FROM})
    path = f"/calls/{placed['id']}"
    assert control.refused("GET", f"{path}?wait=sleeping")[0] == 400
    control.post(f"{path}/hang_up")
    assert control.refused("GET", f"{path}?wait=answered")[0] == 409


def test_nothing_without_the_token(sim: Simulator, control: Control) -> None:
    for token in ("", "wrong", f"{control.token}x", "\xe9"):
        assert Control(control.url, token).refused("GET", "/calls")[0] == 401
    with ControlInterface(sim, key="chosen") as server:
        assert Control(server.url, "chosen").get("/calls") == []
        assert "chosen" not in repr(server)
    for key in ("", "two words", "caf\xe9", "line\n", 5):
        with pytest.raises(InvalidParameter, match="printable ASCII"):
            ControlInterface(sim, key=key)  # type: ignore[arg-type]


def test_a_closed_interface_answers_no_more(sim: Simulator) -> None:
    with ControlInterface(sim) as server:
        assert raw(sim.port, "/simulator/calls", {"Authorization": f"Bearer {server.key}"}) == 200
    assert raw(sim.port, "/simulator/calls", {"Authorization": f"Bearer {server.key}"}) == 426  # like any other path
    server.close()


# -- as HTTP -----------------------------------------------------------------------------------------------------------


def talk(
    control: Control, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """The status, the headers and the body of a response, whatever they are."""
    connection = http.client.HTTPConnection("127.0.0.1", control.port, timeout=PATIENCE)
    with closing(connection):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, f"/simulator{path}", body, {"Authorization": f"Bearer {control.token}", **named})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def test_the_methods_of_a_path(control: Control) -> None:
    assert talk(control, "OPTIONS", "/calls")[:2][1]["allow"] == "GET, POST, HEAD, OPTIONS"
    status, headers, body = talk(control, "PATCH", "/journal")
    assert (status, headers["allow"]) == (405, "GET, DELETE, HEAD, OPTIONS")
    assert json.loads(body)["error"] == "use GET or DELETE for this path"
    assert talk(control, "OPTIONS", "/nowhere")[0] == 404
    status, headers, body = talk(control, "HEAD", "/calls")
    assert (status, headers["content-length"], body) == (200, "2", b"")
    assert talk(control, "HEAD", "/phones")[0] == 405
    assert talk(control, "GET", "")[0] == talk(control, "GET", "/")[0] == 200


def test_responses_are_not_kept(control: Control) -> None:
    headers = talk(control, "GET", "/calls")[1]
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Type": "application/json"}, 204),
        ({"Content_Type": "application/json; charset=utf-8"}, 204),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 204),  # curl -d
        ({}, 204),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded", "Origin": "http://127.0.0.1:{port}"}, 415),
        ({"Origin": "http://127.0.0.1:{port}"}, 415),
        ({"Content_Type": "application/json", "Origin": "http://127.0.0.1:{port}"}, 204),
        ({"Content_Type": "application/json", "Sec_Fetch_Site": "same-origin"}, 204),
        ({"Content_Type": "application/json", "Sec_Fetch_Site": "cross-site"}, 403),
        ({"Content_Type": "application/json", "Sec_Fetch_Site": "same-site"}, 403),
    ],
)
def test_what_may_be_written_from_where(control: Control, headers: dict[str, str], status: int) -> None:
    given = {name: value.format(port=control.port) for name, value in headers.items()}
    got, _, body = talk(control, "POST", "/tasks", b'{"message": {}}', **given)
    assert (got, body != b"") == (status, status != 204), body


def test_the_simulator_proves_that_it_is_itself_without_the_key(sim: Simulator, control: Control) -> None:
    stranger = Control(control.url, "")
    for challenge in ("x", "%20%C3%A9", "y" * 256):
        proof = stranger.get(f"/identity?challenge={challenge}")["proof"]
        assert is_proof(proof, sim.instance_id, urllib.parse.unquote(challenge))
        assert not is_proof(proof, sim.instance_id, "another")
    assert sim.instance_id not in json.dumps(stranger.get("/identity?challenge=x"))
    for wrong in ("?challenge=", f"?challenge={'y' * 257}", "?other=x", ""):
        assert stranger.refused("GET", f"/identity{wrong}")[0] == 400
    assert raw(control.port, "/simulator/identity?challenge=x", {"Host": "evil.example"}) == 403
    assert sim.instance_id not in repr(sim)


def test_errors_point_to_the_member(control: Control) -> None:
    for path, body, pointer in (
        ("/calls", {"to": TO, "from": "?"}, "/from"),
        ("/calls", {"to": TO}, "/from"),
        ("/faults/disturb_stream", {"stream": "loudly"}, "/stream"),
        ("/calls", [], ""),
        ("/calls", {"colour": "red"}, ""),
    ):
        status, told = control.refused("POST", path, body)
        assert (status, told["pointer"]) == (400, pointer), told
    assert "pointer" not in control.refused("GET", "/clients?count=x")[1]


@pytest.mark.parametrize("path", ["/simulator", "/simulator/calls", "/simulator/nowhere"])
def test_there_is_no_other_websocket(control: Control, path: str) -> None:
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    upgrade["Sec-WebSocket-Key"] = base64.b64encode(bytes(16)).decode()
    assert raw(control.port, path, upgrade) == 404
    assert raw(control.port, path, {**upgrade, "Origin": "https://evil.example"}) == 403


def test_the_port_that_closes_opens_by_itself(sim: Simulator, control: Control) -> None:
    control.post("/connections/refuse_connections", how="tcp", seconds=0.2)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", control.port), PATIENCE).close()
    until(lambda: is_open(control.port))
    assert control.get("/clients") == {"clients": 0}


def test_refusing_clients_does_not_refuse_the_control_interface(sim: Simulator, control: Control) -> None:
    control.post("/connections/refuse_connections")
    assert raw(sim.port, "/relay", {}) == 503
    control.post("/connections/refuse_connections", refuse=False)
    assert raw(sim.port, "/relay", {}) == 426
    control.post("/connections/refuse_connections", seconds=0.1)
    until(lambda: raw(sim.port, "/relay", {}) == 426)


@pytest.mark.slow
def test_closing_takes_no_longer_than_its_timeout(sim: Simulator) -> None:
    """Requests of both kinds that do not end share the time."""
    ended = threading.Event()
    with ControlInterface(sim) as server:
        for workers in (server._site._quick, server._site._waiting):
            assert workers.offer(lambda: ended.wait(PATIENCE))
        begun = time.monotonic()
        server.close(2.0)
        took = time.monotonic() - begun
        ended.set()
    assert 1.9 < took < 3.5


def is_open(port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), PATIENCE):
        return True
    return False


# -- as a server of its own --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_the_server_runs_a_call_and_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with simulate(tmp_path) as server:
        control = server.control
        project, token, host = (server.told[name] for name in ("project", "token", "host"))
        client = RelayClient(project, token, host=host, contexts=["default"])  # stands for a program in any language
        desk = Desk(client)
        try:
            client.connect()
            control.get("/clients?count=1")
            placed = control.post("/calls", **{"to": TO, "from": FROM})
            call = desk.take()
            with RestClient(project, token, host) as rest, Receiver() as receiver:
                call.answer()
                control.get(f"/calls/{placed['id']}?wait=answered")
                action = rest.call(call.call_id).stream(receiver.url)
                told = control.get(f"/calls/{placed['id']}?stream=streaming")
                assert told["streams"][0]["control_id"] == action.control_id
                control.post(f"/calls/{placed['id']}/hang_up")
                call.wait_for_ended(PATIENCE)
        finally:
            desk.closing.set()
            client.disconnect()
        code, out, error = server.end(number)
    assert (code, error) == (0, "")
    assert out.splitlines()[-1] == "stopped"
    assert f"SIGNALWIRE_SPACE={server.told['host']}" in out
    assert server.told["token"] not in out
    assert server.told["control_token"] not in out


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_pasted_lines_leave_tokens_that_are_not_shown_alone(tmp_path: Path) -> None:
    with simulate(tmp_path) as server:
        code, out, _ = server.end(signal.SIGTERM)
    assert code == 0
    lines = out.splitlines()[:5]
    hidden = ["SIGNALWIRE_API_TOKEN", "RELAY_SIMULATOR_CONTROL_TOKEN"]
    assert [line for line in lines if line.startswith("#")] == [
        f"# {name}: see {tmp_path / 'simulator.json'}" for name in hidden
    ]
    pasted = "\n".join(["set -eu", *lines, 'echo "$SIGNALWIRE_SPACE $SIGNALWIRE_API_TOKEN"'])
    done = subprocess.run(
        ["bash", "-c", pasted], env={**os.environ, "SIGNALWIRE_API_TOKEN": "mine"}, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == (f"{server.told['host']} mine\n", "")


@pytest.mark.slow
def test_tokens_of_the_environment(tmp_path: Path) -> None:
    mine = {
        "SIGNALWIRE_PROJECT_ID": "my-project",
        "SIGNALWIRE_API_TOKEN": "my-token",
        "RELAY_SIMULATOR_CONTROL_TOKEN": "my-control",
    }
    with simulate(tmp_path, **mine) as server:
        assert (server.told["project"], server.told["token"]) == ("my-project", "my-token")
        assert Control(server.told["control"], "my-control").get("/")["project"] == "my-project"
        code, out, _ = server.end(signal.SIGTERM)
    assert code == 0
    assert "my-token" not in out


@pytest.mark.slow
def test_tokens_shown_once() -> None:
    process = start("--show-tokens")
    try:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith("ready"):
            lines.append(process.stdout.readline())
            assert lines[-1], process.communicate()
        told = dict(each.strip().split("=", 1) for each in lines if "=" in each)
        control = Control(told["RELAY_SIMULATOR_CONTROL"], told["RELAY_SIMULATOR_CONTROL_TOKEN"])
        assert control.get("/")["host"] == told["SIGNALWIRE_SPACE"]
        assert told["SIGNALWIRE_API_TOKEN"].startswith("PT")
    finally:
        process.terminate()
        process.communicate(timeout=START)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--show-tokens", "--host", "0.0.0.0"), 2, "--allow-remote"),
        (("--show-tokens", "--port", "70000"), 2, "70000"),
        (("--show-tokens", "--speed", "0"), 2, "speed"),
        (("--show-tokens", "--ping-interval", "-1"), 2, "--ping-interval"),
        (("--show-tokens", "--ping-interval", "nan"), 2, "--ping-interval"),
        (("--show-tokens", "--journal-limit", "-1"), 2, "--journal-limit"),
        (("--credentials", "/nowhere/file"), 2, "the folder /nowhere does not exist"),
    ],
)
def test_mistakes(
    arguments: tuple[str, ...],
    code: int,
    words: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SIGNALWIRE_API_TOKEN", "RELAY_SIMULATOR_CONTROL_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    before = signal.getsignal(signal.SIGTERM)
    assert main(["simulate", *arguments]) == code
    assert words in capfd.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_port_that_is_taken(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["simulate", "--show-tokens", "--port", port]) == 1
    assert f"port {port} is not available" in capfd.readouterr().err


# -- who may come, and how many ----------------------------------------------------------------------------------------

FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Host": "evil.example"},
    {"Host": "evil.example:80", "Origin": "http://evil.example:80"},
    {"Host": "127.0.0.1.evil.example"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_web_page_is_refused(sim: Simulator, control: Control, headers: dict[str, str]) -> None:
    recording = sim.add_recording(b"RIFF").partition("/recordings/")[2]
    for key in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {control.token}"}):
        assert raw(sim.port, "/simulator/calls", headers | key) == 403
    assert raw(sim.port, f"/recordings/{recording}", headers) == 403
    assert raw(sim.port, "/api/calling/calls", headers, "POST") == 403
    given = base64.b64encode(f"{sim.settings.project}:{sim.settings.token}".encode()).decode()
    assert raw(sim.port, f"/recordings/{recording}", headers | {"Authorization": f"Basic {given}"}) == 200


def test_pages_and_hosts_that_are_allowed() -> None:
    with Simulator(origins=["https://app.example"], hosts=["sim.example"]) as sim, ControlInterface(sim) as server:
        key = {"Authorization": f"Bearer {server.key}"}
        page = {"Host": "sim.example", "Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
        assert raw(sim.port, "/simulator/calls", {**page, **key}) == 200
        assert raw(sim.port, "/simulator/calls", page) == 401


def test_a_page_of_the_server_s_own_and_programs_are_not_refused(sim: Simulator, control: Control) -> None:
    recording = sim.add_recording(b"RIFF").partition("/recordings/")[2]
    for host in ("localhost", "127.0.0.1", "[::1]"):
        ours = {"Host": f"{host}:{sim.port}", "Origin": f"http://{host}:{sim.port}"}
        assert raw(sim.port, f"/recordings/{recording}", ours) == 200
        assert raw(sim.port, "/simulator/calls", {**ours, "Authorization": f"bearer {control.token}"}) == 200
    assert raw(sim.port, "/simulator/calls", {}) == 401
    assert raw(sim.port, f"/recordings/{recording}", {}) == 200
    assert raw(sim.port, "/api/calling/calls", {}, "POST") == 401


HALVES = {
    "nothing": b"",
    "half a line": b"GET / HT",
    "half a head": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    "a right key without its body": b"POST /simulator/calls HTTP/1.1\r\n"
    b"Authorization: Bearer %TOKEN%\r\nContent-Length: 5000\r\n\r\n{",
}


@pytest.mark.parametrize("begun", list(HALVES.values()), ids=list(HALVES))
def test_half_finished_requests_take_no_places(control: Control, begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "MAX_OPENING", 16)
    with control.crowd(begun.replace(b"%TOKEN%", control.token.encode())) as idle:
        for _ in range(3):
            assert control.get("/clients") == {"clients": 0}
        with suppress(ConnectionResetError):  # where the server had not read what was sent
            assert idle[0].recv(100) == b""  # the oldest went
        idle[-1].setblocking(False)
        with pytest.raises(BlockingIOError):  # the youngest did not
            idle[-1].recv(100)


def test_a_body_that_ends_early_is_not_carried_out(sim: Simulator, control: Control) -> None:
    with socket.create_connection(("127.0.0.1", control.port), PATIENCE) as sock:
        head = (
            f"DELETE /simulator/journal HTTP/1.1\r\nAuthorization: Bearer {control.token}\r\nContent-Length: 9\r\n\r\n"
        )
        sim.journal.add("in", 1, {"method": "kept"})
        sock.sendall(head.encode() + b"{")
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(100) == b""
    assert [entry.method for entry in sim.journal] == ["kept"]


def test_requests_that_wait_are_not_dropped_for_strangers(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "MAX_OPENING", 16)
    waiting = [Background(control.refused, "GET", "/clients?count=1&timeout=0.5") for _ in range(10)]
    until(lambda: len(threads("relay-sim-wait")) == 10)
    with control.crowd(b"GET / HTTP/1.1\r\n"):
        assert control.get("/")["clients"] == 0
    for each in waiting:
        assert each.result()[0] == 504
