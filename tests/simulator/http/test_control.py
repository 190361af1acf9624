"""The simulator told over HTTP what to let happen: in this process, and as the server that ``relay-sync simulate`` is."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import relay_sync
from relay_sync import CommandRefused, RelayClient
from relay_sync.audio import AudioServer
from relay_sync.cli import main
from relay_sync.rest import RestClient
from relay_sync.simulator import Simulator, speech
from relay_sync.simulator.http.control import server as remote
from relay_sync.simulator.http.control.server import ControlServer
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.control import START, Control, raw, simulate, start
from tests.support.lines import FROM, TO, Desk, line
from tests.support.numbers import HUGE, NO_NUMBERS
from tests.support.peers import Hooks, Receiver


@pytest.fixture
def control(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Control]:
    monkeypatch.setattr(remote, "_LOOK", 0.01)  # closing takes so long
    with ControlServer(sim) as server:
        yield Control(server.url, server.token)


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
            for says in (str(caller), {"wav": base64.b64encode(caller.read_bytes()).decode()}, {"speech": "caller"}):
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
        ("POST", "/calls", {"to": TO, "from": FROM, "says": "/nowhere.wav"}, 400, "nowhere"),
        ("POST", "/calls", {"to": TO, "from": FROM, "says": {"wav": "!"}}, 400, "base64"),
        ("POST", "/calls", {"to": TO, "from": FROM, "says": {"speech": "../caller"}}, 400, "'caller' or 'greeting'"),
        ("POST", "/calls", {"to": TO, "from": FROM, "says": {"speech": ["caller"]}}, 400, "'caller' or 'greeting'"),
        ("POST", "/calls", {"to": TO, "from": FROM, "says": {"wav": "AAAA"}}, 400, "WAV"),
        ("POST", "/calls", {"to": TO, "from": FROM, "ring_timeout": 0}, 400, "ring_timeout"),
        ("POST", "/calls", [], 400, "JSON object"),
        ("POST", "/faults/explode", {}, 404, "one of"),
        ("POST", "/faults/refuse", {}, 400, "method"),
        ("POST", "/faults/refuse", {"method": "calling.plya"}, 400, "perhaps 'calling.play'"),
        ("POST", "/faults/disturb_stream", {"stream": "loudly"}, 400, "kind"),
        ("POST", "/connections/explode", {}, 404, "one of"),
        ("POST", "/phones", {"number": TO, "busy": True, "declines": True}, 400, "declines"),
        ("GET", "/clients?count=x", None, 400, "count"),
        ("GET", "/clients?count=1&timeout=61", None, 400, "timeout"),
        ("GET", "/clients?count=1&timeout=0.01", None, 504, "the simulator waited"),
        ("GET", "/journal?since=-1", None, 400, "since"),
        ("GET", "/calls/x?colour=red", None, 404, ""),
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
    ("token", "head", "status"),
    [
        ("wrong", "Content-Length: {length}", 401),
        ("wrong", "Content-Length: {length}\r\nOrigin: https://evil.example", 403),
        ("", "Content-Length: {length}", 413),
        ("", "Content-Length: 1x", 411),
        ("", "Transfer-Encoding: chunked", 411),
    ],
)
def test_a_refusal_is_heard_by_whoever_still_sends(control: Control, token: str, head: str, status: int) -> None:
    length = remote.MOST_BODY + 1
    lines = f"POST /calls HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token or control.token}\r\n"
    with socket.create_connection(("127.0.0.1", control.port), timeout=PATIENCE) as peer:
        peer.sendall(f"{lines}{head.format(length=length)}\r\n\r\n".encode())
        for _ in range(length // 2**20):
            peer.sendall(bytes(2**20))
        peer.shutdown(socket.SHUT_WR)
        told = b"".join(iter(lambda: peer.recv(65536), b""))
    assert told.startswith(f"HTTP/1.0 {status} ".encode())
    assert told.endswith(b"}")


def test_a_refused_request_that_goes_on_for_ever_is_read_for_a_while_only(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "LINGER", 0.05)
    with socket.create_connection(("127.0.0.1", control.port), timeout=PATIENCE) as peer:
        peer.sendall(
            b"POST /calls HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer wrong\r\nContent-Length: 999999999999\r\n\r\n"
        )
        with pytest.raises(ConnectionError):
            peer.sendall(bytes(2**30))


def test_places_are_given_back(control: Control) -> None:
    for _ in range(remote.MOST_AT_ONCE + 1):
        assert control.get("/clients") == {"clients": 0}


def test_a_wait_for_what_cannot_come(sim: Simulator, control: Control) -> None:
    placed = control.post("/calls", **{"to": TO, "from": FROM})
    path = f"/calls/{placed['id']}"
    assert control.refused("GET", f"{path}?wait=sleeping")[0] == 400
    control.post(f"{path}/hang_up")
    assert control.refused("GET", f"{path}?wait=answered")[0] == 409


def test_nothing_without_the_token(sim: Simulator, control: Control) -> None:
    for token in ("", "wrong", f"{control.token}x", "\xe9"):
        assert Control(control.url, token).refused("GET", "/calls")[0] == 401
    with ControlServer(sim, token="chosen") as server:
        assert Control(server.url, "chosen").get("/calls") == []
        assert "chosen" not in repr(server)


def test_bodies_without_length_and_beyond_measure(control: Control) -> None:
    port = int(control.url.rpartition(":")[2])
    for lines, status in (
        ("Transfer-Encoding: chunked", 411),
        ("Content-Length: 999999999", 413),
        ("Content-Length: x", 411),
    ):
        head = f"POST /calls HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {control.token}\r\n{lines}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as peer:
            peer.sendall(head.encode())
            assert peer.recv(65536).startswith(f"HTTP/1.0 {status} ".encode())


def test_a_full_house_does_not_hold_up_the_end(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MOST_AT_ONCE", 1)
    server = ControlServer(sim)
    with socket.create_connection(("127.0.0.1", server.port)) as first:
        end = time.monotonic() + PATIENCE
        while all(thread.name != "relay-sim-control-request" for thread in threading.enumerate()):
            assert time.monotonic() < end
            time.sleep(0.01)
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as second:
            closing = Background(server.close)
            with suppress(ConnectionResetError):
                assert second.recv(1) == b""
            closing.result()
        first.shutdown(socket.SHUT_WR)
        assert first.recv(1) == b""


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
        ((), 2, "clients have no way to get"),
        (("--show-tokens", "--host", "0.0.0.0"), 2, "--allow-remote"),
        (("--show-tokens", "--port", "70000"), 2, "70000"),
        (("--show-tokens", "--speed", "0"), 2, "speed"),
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


@pytest.mark.parametrize("option", ["--port", "--control-port"])
def test_a_port_that_is_taken(option: str, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["simulate", "--show-tokens", option, port]) == 1
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
def test_a_web_page_is_refused_where_it_knows_no_token(sim: Simulator, headers: dict[str, str]) -> None:
    recording = sim.add_recording(b"RIFF").partition("/recordings/")[2]
    with ControlServer(sim) as server:
        bearer = {"Authorization": f"Bearer {server.token}"}
        assert raw(server.port, "/", headers) == 403
        assert raw(server.port, "/", headers | {"Authorization": "Bearer wrong"}) == 403
        assert raw(server.port, "/", headers | bearer) == 200  # a proxy in front rewrites both headers
        assert raw(sim.port, f"/recordings/{recording}", headers) == 403
        assert raw(sim.port, "/api/calling/calls", headers, "POST") == 403
        given = base64.b64encode(f"{sim.settings.project}:{sim.settings.token}".encode()).decode()
        assert raw(sim.port, f"/recordings/{recording}", headers | {"Authorization": f"Basic {given}"}) == 200


def test_a_page_of_the_server_s_own_and_programs_are_not_refused(sim: Simulator) -> None:
    recording = sim.add_recording(b"RIFF").partition("/recordings/")[2]
    with ControlServer(sim) as server:
        for host in ("localhost", "127.0.0.1", "[::1]"):
            ours = {"Host": f"{host}:{sim.port}", "Origin": f"http://{host}:{sim.port}"}
            assert raw(sim.port, f"/recordings/{recording}", ours) == 200
        assert raw(server.port, "/", {}) == 401
        assert raw(sim.port, f"/recordings/{recording}", {}) == 200
        assert raw(sim.port, "/api/calling/calls", {}, "POST") == 401


HALVES = {
    "nothing": b"",
    "half a line": b"GET / HT",
    "half a head": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    "a right token without its body": b"POST /calls HTTP/1.1\r\nAuthorization: Bearer %TOKEN%\r\nContent-Length: 5000\r\n\r\n{",
    "a wrong token": b"POST /calls HTTP/1.1\r\nAuthorization: Bearer no\r\nContent-Length: 5000\r\n",
}


@pytest.mark.parametrize("begun", list(HALVES.values()), ids=list(HALVES))
def test_half_finished_requests_take_no_places(
    control: Control, begun: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with control.crowd(begun.replace(b"%TOKEN%", control.token.encode())) as idle:
        for _ in range(3):
            assert control.get("/clients") == {"clients": 0}
        assert idle[0].recv(100) == b""  # the oldest went
        idle[-1].setblocking(False)
        with pytest.raises(BlockingIOError):  # the youngest did not
            idle[-1].recv(100)
    lines = [record for record in caplog.records if "control interface" in record.getMessage()]
    assert len(lines) == 1


def test_a_body_that_ends_early_is_not_carried_out(control: Control) -> None:
    with socket.create_connection(("127.0.0.1", control.port), PATIENCE) as sock:
        head = f"POST /messages HTTP/1.1\r\nAuthorization: Bearer {control.token}\r\nContent-Length: 5000\r\n\r\n"
        sock.sendall(head.encode() + b'{"to": "+15550100", "from": "+15550199", "body": "hi"}')
        sock.shutdown(socket.SHUT_WR)
        assert b" 408 " in sock.makefile("rb").readline()


@pytest.mark.slow
def test_requests_that_wait_are_not_dropped_for_strangers(control: Control) -> None:
    waiting = [Background(control.get, "/clients?count=1&timeout=1.5") for _ in range(10)]
    with control.crowd(b"GET / HTTP/1.1\r\n"):
        assert control.get("/")["clients"] == 0
        assert all(each.running for each in waiting)
    for each in waiting:
        with pytest.raises(urllib.error.HTTPError) as caught:
            each.result()
        assert caught.value.code == 504
        caught.value.close()


def test_a_request_cut_off_by_its_dropping_is_not_carried_out(sim: Simulator) -> None:
    with ControlServer(sim) as server, socket.create_connection(("127.0.0.1", server.port), PATIENCE) as sock:
        sock.sendall(f"DELETE /journal HTTP/1.1\r\nAuthorization: Bearer {server.token}\r\n".encode())
        inner = server._server
        while not inner._strangers:
            time.sleep(0.001)
        sim.journal.add("in", 1, {"method": "kept"})
        inner._make_room()
        assert sock.recv(100) == b""
        for thread in threading.enumerate():
            if thread.name == "relay-sim-control-request":
                thread.join(PATIENCE)
    assert [entry.method for entry in sim.journal] == ["kept"]
