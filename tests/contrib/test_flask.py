"""Flask: an application with calls, webhooks and health, in one process and as ``flask`` and gunicorn start it."""

from __future__ import annotations

import io
import json
import logging
import queue
import re
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask, current_app, g, request

from relay_sync import Call, InvalidParameter, RelayClient
from relay_sync.audio import AudioServer
from relay_sync.contrib.flask import Relay
from relay_sync.contrib.hosting import cut_calls
from relay_sync.simulator import Simulator
from relay_sync.webhooks import Callback, StreamStatus, Webhooks
from relay_sync.webhooks.signatures import sign_form, sign_json
from tests.support import ROOT
from tests.support.background import Background
from tests.support.hosting import PATIENCE, call_in, started
from tests.support.lines import FROM, TO


@pytest.fixture
def app(sim: Simulator) -> Iterator[Flask]:
    app = Flask("shop")
    app.config["RELAY_SYNC"] = {**sim.credentials, "contexts": ["default"], "connect_timeout": PATIENCE}
    yield app
    served = app.extensions.get("relay_sync")
    if served is not None:
        served.hosted.stop(0)


def test_handlers_run_inside_the_app_context(sim: Simulator, app: Flask) -> None:
    relay, seen = Relay(app), queue.SimpleQueue[tuple[str, str]]()

    @app.teardown_appcontext
    def teardown(error: BaseException | None) -> None:
        if "call_id" in g:
            seen.put(("teardown", g.call_id))

    @relay.on_call
    def handle(call: Call) -> None:
        g.call_id = call.call_id
        call.answer()
        seen.put((current_app.name, call.call_id))

    assert relay.start(app) is True
    assert relay.start(app) is True  # harmless
    sim.wait_for_client()
    phone = sim.call(to=TO, from_=FROM)
    assert seen.get(timeout=PATIENCE) == ("shop", phone.call_id)
    assert seen.get(timeout=PATIENCE) == ("teardown", phone.call_id)
    relay.stop(app, drain=0)
    assert phone.end_reason == "hangup"
    sim.wait_until_gone()


def test_a_handler_that_comes_late_is_taken(sim: Simulator, app: Flask) -> None:
    relay, seen = Relay(app), queue.SimpleQueue[str]()
    with app.app_context():
        relay.client.connect()
    relay.on_call(lambda call: seen.put(current_app.name))
    sim.call(to=TO, from_=FROM)
    assert seen.get(timeout=PATIENCE) == "shop"


def test_one_extension_serves_many_applications_and_each_has_its_client(sim: Simulator) -> None:
    relay = Relay(contexts=["sales"])
    apps = []
    for name in ("one", "two"):
        app = Flask(name)
        app.config["RELAY_SYNC"] = dict(sim.credentials)
        relay.init_app(app)
        apps.append(app)
    clients = []
    for app in apps:
        with app.app_context():
            clients.append(relay.client)
            assert relay.client is relay.client
    assert clients[0] is not clients[1]
    assert [client.contexts for client in clients] == [["sales"], ["sales"]]
    assert all(client.state == "idle" for client in clients)  # nothing connects before it is used


def test_arguments_win_over_settings_and_settings_over_the_environment(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNALWIRE_PROJECT_ID", "from-environment")
    monkeypatch.setenv("SIGNALWIRE_API_TOKEN", "from-environment")
    monkeypatch.setenv("SIGNALWIRE_SPACE", "environment.example")
    app = Flask("shop")
    app.config["RELAY_SYNC"] = {"project": "from-settings", "host": "settings.example"}
    relay = Relay(app, project="from-argument")
    with app.app_context():
        assert (relay.client.project, relay.client.host) == ("from-argument", "settings.example")
        assert relay.client.token == "from-environment"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"projct": "x"}, r"app\.config\['RELAY_SYNC'\]\['projct'\]"),
        (["project"], r"app\.config\['RELAY_SYNC'\]"),
        ({"contexts": "default"}, "contexts"),
        ({"webhooks": {"colour": 1}}, r"\['webhooks'\].*colour"),
        ({"webhooks": {"strict": True}}, "signing_key"),
    ],
)
def test_settings_that_cannot_be_right_are_told_when_the_client_is_needed(settings: Any, said: str) -> None:
    app = Flask("shop")
    app.config["RELAY_SYNC"] = settings
    relay = Relay(app, project="p", token="t")
    with app.app_context(), pytest.raises(InvalidParameter, match=said):
        _ = relay.client


def test_what_is_missing_is_said(app: Flask) -> None:
    relay = Relay()
    with pytest.raises(RuntimeError, match="context"):
        _ = relay.client
    with app.app_context(), pytest.raises(RuntimeError, match="init_app"):
        _ = relay.client
    relay.init_app(app)
    with pytest.raises(RuntimeError, match="already"):
        Relay(app)

    async def coroutine(call: Call) -> None:
        """Never run."""

    with pytest.raises(InvalidParameter, match="async"):
        relay.on_call(coroutine)


def test_the_worker_comes_up_while_the_platform_is_out_of_reach(
    sim: Simulator, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    app.config["RELAY_SYNC"]["connect_timeout"] = 0.2
    sim.refuse_connections()
    relay = Relay(app)
    relay.start(app)
    while not any("this process receives no calls yet" in record.message for record in caplog.records):
        time.sleep(0.01)
    sim.refuse_connections(False)
    sim.wait_for_client(timeout=PATIENCE)


def test_a_start_right_after_a_stop_counts(sim: Simulator, app: Flask) -> None:
    relay = Relay(app)
    sim.refuse_connections()
    for _ in range(10):
        relay.start(app)
        relay.stop(app, drain=0)
    hosted = app.extensions["relay_sync"].hosted
    assert not hosted._starter.is_alive()
    # One that is told to stop and has not ended yet.
    relay.start(app)
    hosted._stopping.set()
    relay.start(app)
    sim.refuse_connections(False)
    sim.wait_for_client(timeout=PATIENCE)
    hosted._starter.join(PATIENCE)
    with app.app_context():
        assert relay.client.state == "connected"


def test_calls_have_their_time_while_the_connection_is_being_repaired(sim: Simulator, app: Flask) -> None:
    relay, calls = Relay(app), queue.SimpleQueue[Call]()

    @relay.on_call
    def handle(call: Call) -> None:
        call.answer()
        calls.put(call)

    relay.start(app)
    sim.wait_for_client()
    phone = sim.call(to=TO, from_=FROM)
    calls.get(timeout=PATIENCE).wait_for_answered(PATIENCE)
    sim.refuse_connections()
    sim.cut()
    client = app.extensions["relay_sync"].hosted.client
    while client.state != "reconnecting":
        time.sleep(0.01)
    stopping = Background(lambda: relay.stop(app, drain=PATIENCE))
    while not client._router.draining:
        assert stopping.running
        time.sleep(0.01)
    sim.refuse_connections(False)
    sim.wait_for_client(timeout=PATIENCE)
    phone.hang_up()
    stopping.result(PATIENCE)
    assert phone.end_reason == "hangup"
    assert not client._router.calls


def test_refused_credentials_are_said_and_not_tried_for_ever(
    sim: Simulator, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    app.config["RELAY_SYNC"]["token"] = "PTwrong"
    relay = Relay(app)
    relay.start(app)
    app.extensions["relay_sync"].hosted._starter.join(PATIENCE)
    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert any("this process receives no calls" in message for message in errors)
    assert not any("PTwrong" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("environment", "arguments", "debug", "starts"),
    [
        ({}, [], True, True),
        ({"FLASK_RUN_FROM_CLI": "true"}, [], False, True),
        ({"FLASK_RUN_FROM_CLI": "true"}, [], True, False),
        ({"FLASK_RUN_FROM_CLI": "true", "WERKZEUG_RUN_MAIN": "true"}, [], True, True),
        ({"FLASK_RUN_FROM_CLI": "true"}, ["--no-reload"], True, True),
    ],
)
def test_the_reloaders_parent_starts_nothing(
    sim: Simulator,
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    arguments: list[str],
    debug: bool,
    starts: bool,
) -> None:
    for name in ("FLASK_RUN_FROM_CLI", "WERKZEUG_RUN_MAIN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["flask", "run", *arguments])
    app.debug = debug
    assert Relay(app).start(app) is starts


# -- the web -----------------------------------------------------------------------------------------------------------


EVENT = {
    "event_type": "calling.call.stream",
    "timestamp": 1767323045.5,
    "project_id": "p",
    "params": {"call_id": "c", "node_id": "n", "control_id": "s", "state": "finished", "url": "wss://a.example/x"},
}


def test_status_callbacks_are_read_and_handed_over(app: Flask) -> None:
    relay, seen = Relay(app), queue.SimpleQueue[Callback]()
    app.register_blueprint(relay.blueprint(), url_prefix="/relay")
    relay.on_status(seen.put)
    web = app.test_client()
    assert web.post("/relay/status", json=EVENT).status_code == 204
    callback = seen.get(timeout=PATIENCE)
    assert isinstance(callback, StreamStatus)
    assert (callback.state, callback.control_id, callback.verified) == ("finished", "s", None)
    assert web.post("/relay/status", data=b"\xff", content_type="application/json").status_code == 400
    assert web.delete("/relay/status").status_code == 405
    app.testing = False
    relay.on_status(lambda callback: 1 / 0)
    assert web.post("/relay/status", json=EVENT).status_code == 500


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_callback_whose_handler_failed_is_not_repeated_when_it_comes_again(app: Flask, place: str) -> None:
    relay, seen, failing = Relay(app), list[bool](), [True, True]
    app.register_blueprint(relay.blueprint())
    app.testing = False

    def note(callback: Callback) -> None:
        seen.append(callback.repeated)

    def fails(callback: Callback) -> None:
        if failing:
            failing.pop()
            raise LookupError("the database is down")

    for handler in (fails, note) if place == "first" else (note, fails):
        relay.on_status(handler)
    web = app.test_client()
    assert [web.post("/status", json=EVENT).status_code for _ in range(4)] == [500, 500, 204, 204]
    assert seen == ([False, True] if place == "first" else [False, False, False, True])


def test_what_the_first_two_requests_bring_at_once_is_remembered(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    relay, seen, first = Relay(app), list[bool](), [True]
    app.register_blueprint(relay.blueprint())
    relay.on_status(lambda callback: seen.append(callback.repeated))
    another = {**EVENT, "timestamp": 77.0}

    def slow(**options: Any) -> Webhooks:
        made = Webhooks(**options)
        if first:
            first.clear()
            assert app.test_client().post("/status", json=another).status_code == 204
        return made

    monkeypatch.setattr("relay_sync.contrib.hosting.Webhooks", slow)
    for event in (EVENT, EVENT, another):
        assert app.test_client().post("/status", json=event).status_code == 204
    assert seen == [False, False, True, True]


def test_a_callback_that_comes_again_while_it_is_handled_is_handled_too(app: Flask) -> None:
    """The first may still fail, and nobody would send it again after this one was answered well."""
    relay, seen = Relay(app), list[bool]()
    app.register_blueprint(relay.blueprint())

    def handle(callback: Callback) -> None:
        seen.append(callback.repeated)
        if len(seen) == 1:
            assert app.test_client().post("/status", json=EVENT).status_code == 204

    relay.on_status(handle)
    assert app.test_client().post("/status", json=EVENT).status_code == 204
    assert app.test_client().post("/status", json=EVENT).status_code == 204
    assert seen == [False, False, True]


def test_strict_settings_refuse_what_is_not_signed(app: Flask) -> None:
    app.config["RELAY_SYNC"]["webhooks"] = {"signing_key": "PSKx", "strict": True}
    relay = Relay(app)
    app.register_blueprint(relay.blueprint())
    assert app.test_client().post("/status", json=EVENT).status_code == 403


class Endless(io.RawIOBase):
    """A body without end."""

    def __init__(self) -> None:
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.taken += len(buffer)
        assert self.taken < 10 * 2**20
        buffer[:] = b"x" * len(buffer)
        return len(buffer)


@pytest.mark.parametrize("length", [10**12, None])
def test_no_more_of_a_body_is_read_than_it_may_have(app: Flask, length: int | None) -> None:
    relay = Relay(app)
    app.register_blueprint(relay.blueprint())
    body = Endless()
    answer = app.test_client().post(
        "/status",
        content_type="application/json",
        environ_overrides={
            "wsgi.input": body,
            "wsgi.input_terminated": length is None,
            "CONTENT_LENGTH": "" if length is None else str(length),
        },
    )
    assert answer.status_code == 413
    assert body.taken <= 2**20 + 2 * 65536


@pytest.mark.parametrize(
    "look", [lambda: request.form, lambda: request.get_data(), lambda: request.get_json(silent=True)]
)
@pytest.mark.parametrize(
    "how", [{"json": EVENT}, {"data": {"CallSid": "c", "StreamSid": "s", "StreamEvent": "stream-started"}}]
)
def test_bodies_that_the_application_has_looked_at_before(
    app: Flask, look: Callable[[], object], how: dict[str, Any]
) -> None:
    relay, seen = Relay(app), queue.SimpleQueue[Callback]()
    app.register_blueprint(relay.blueprint())
    relay.on_status(seen.put)

    @app.before_request
    def before() -> None:
        look()

    assert app.test_client().post("/status", **how).status_code == 204
    assert seen.get(timeout=PATIENCE).call_id == "c"


def test_health(sim: Simulator, app: Flask) -> None:
    relay = Relay(app)
    app.register_blueprint(relay.blueprint(), url_prefix="/relay")
    web = app.test_client()
    answer = web.get("/relay/health")
    assert (answer.status_code, answer.get_json()) == (200, {"state": "idle", "calls": 0})
    with app.app_context():
        relay.client.connect()
    assert web.get("/relay/health").get_json() == {"state": "connected", "calls": 0}
    relay.stop(app, drain=0)
    answer = web.get("/relay/health")
    assert (answer.status_code, answer.get_json()["state"]) == (503, "closed")


# -- as people start it ------------------------------------------------------------------------------------------------

APP = """
import os
from flask import Flask
from relay_sync.audio import AudioServer
from relay_sync.contrib.flask import Relay

relay = Relay(contexts=["default"], connect_timeout=30)
log = open(os.environ["TEST_LOG"], "a", buffering=1)

@relay.on_call
def handle(call):
    call.answer()
    with AudioServer(port=0) as audio, audio.listen(
        call, status_url=os.environ["TEST_STATUS_URL"] or None
    ) as stream:
        heard = sum(frame.samples for frame in stream)
    log.write(f"heard {heard}\\n")
    call.wait_for_ended()
    log.write("ended\\n")

@relay.on_status
def status(callback):
    log.write(f"status {callback.state}\\n")

def create_app():
    app = Flask(__name__)
    relay.init_app(app)
    app.register_blueprint(relay.blueprint(), url_prefix="/relay")
    return app

app = create_app()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APP, encoding="utf-8")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["1", "2"])
def test_flask_relay_run(sim: Simulator, folder: Path, processes: str) -> None:
    command = ("-m", "flask", "--app", "shop", "relay", "run", "--processes", processes)
    with started(sim, folder, *command) as flask:
        sim.wait_for_client(int(processes), timeout=PATIENCE)
        call_in(sim)
        flask.terminate()
    assert flask.lines == ["heard 8000", "ended"]
    sim.wait_until_gone()


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_second_ctrl_c_lets_the_handler_finish(sim: Simulator, folder: Path, processes: str) -> None:
    command = ("-m", "flask", "--app", "shop", "relay", "run", "--processes", processes)
    with started(sim, folder, *command) as flask:
        sim.wait_for_client(int(processes), timeout=PATIENCE)
        sim.call(to=TO, from_=FROM).wait_for_stream(timeout=PATIENCE).wait_until("streaming", PATIENCE)
        assert flask.interrupt_twice() == 130
    assert flask.lines[-1] == "ended"


@pytest.mark.slow
@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["", "preload"])
@pytest.mark.parametrize("worker", ["gthread", "sync", "gevent"])
def test_gunicorn(sim: Simulator, folder: Path, worker: str, preload: tuple[str, ...], free_port: int) -> None:
    command = (
        *("-m", "gunicorn", "--bind", f"127.0.0.1:{free_port}", "--workers", "1", "--threads", "4"),
        *("--worker-class", worker, "--config", "python:relay_sync.contrib.gunicorn", *preload, "shop:app"),
    )
    with started(sim, folder, *command, port=free_port) as gunicorn:
        sim.wait_for_client(timeout=PATIENCE)
        call_in(sim)
        sim.webhooks.wait_for(2, PATIENCE)
        with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/relay/health", timeout=PATIENCE) as answer:
            assert json.load(answer)["state"] == "connected"
        assert "relay: connected" in gunicorn.output
        gunicorn.terminate()
    assert sorted(gunicorn.lines) == ["ended", "heard 8000", "status finished", "status streaming"]
    sim.wait_until_gone()


def test_options_are_the_clients() -> None:
    with pytest.raises(TypeError, match="projct"):
        RelayClient(projct="p")  # type: ignore[call-arg]


def test_the_doctor_names_where_values_came_from(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    given = sim.credentials
    monkeypatch.setenv("SIGNALWIRE_API_TOKEN", given["token"])
    app = Flask("shop")
    app.config["RELAY_SYNC"] = {"host": given["host"], "project": given["project"], "contexts": ["overruled"]}
    Relay(app, contexts=["sales"])
    done = app.test_cli_runner().invoke(args=["relay", "doctor"])
    assert done.exit_code == 0, done.output
    lines = [" ".join(line.split()) for line in done.output.splitlines()]
    assert f"host {sim.url} app.config['RELAY_SYNC']" in lines
    assert f"project {given['project']} app.config['RELAY_SYNC']" in lines
    assert f"token set, {len(given['token'])} characters $SIGNALWIRE_API_TOKEN" in lines
    assert "contexts sales Relay(...)" in lines
    assert "max_active_calls 1000 default" in lines
    assert "No problems found." in lines
    assert given["token"] not in done.output
    sim.wait_until_gone()


@pytest.mark.usefixtures("collected")
def test_the_doctor_finds_the_receivers_of_the_application(sim: Simulator) -> None:
    app = Flask("shop")
    app.config["RELAY_SYNC"] = sim.credentials
    Relay(app)
    audio = AudioServer()
    done = app.test_cli_runner().invoke(args=["relay", "doctor", "--audio", "--silence", "0.1"])
    assert done.exit_code == 0, done.output
    assert "ok    audio out: " in done.output
    assert "ok    audio silence: " in done.output
    assert repr(audio) == "<AudioServer closed>"
    sim.wait_until_gone()


def test_the_doctor_says_what_is_wrong(app: Flask) -> None:
    Relay(app)
    app.config["RELAY_SYNC"]["token"] = "PTwrong-and-secret"
    runner = app.test_cli_runner()
    done = runner.invoke(args=["relay", "doctor"])
    assert (done.exit_code, "BAD   credentials: " in done.output) == (1, True), done.output
    assert "PTwrong" not in done.output
    done = runner.invoke(args=["relay", "doctor", "--call", TO])
    assert (done.exit_code, "pass --call and --from together" in done.output) == (2, True)
    other = Flask("other")
    other.config["RELAY_SYNC"] = {"hots": "a typo"}
    Relay(other)
    done = other.test_cli_runner().invoke(args=["relay", "doctor"])
    assert (done.exit_code, "BAD   configuration: " in done.output, "hots" in done.output) == (1, True, True)


def event(name: str, **params: object) -> dict[str, Any]:
    return {"json": {"event_type": name, "params": {"call_id": "c", **params}}}


def form(**fields: str) -> dict[str, Any]:
    return {"data": {"CallSid": "c", **fields}}


#: A callback of each kind in each dialect, as a request, with what a handler reads from it.
KINDS: list[tuple[dict[str, Any], str, str, str]] = [
    (event("calling.call.stream", state="streaming", control_id="k"), "stream", "streaming", "k"),
    (event("calling.call.record", state="finished", control_id="k"), "recording", "finished", "k"),
    (event("calling.call.state", call_state="answered"), "call", "answered", ""),
    (event("calling.call.play", state="playing", control_id="k"), "call", "playing", "k"),
    (event("messaging.state", message_state="delivered"), "message", "delivered", ""),
    (event("queuing.something", state=7), "other", "", ""),
    (form(StreamEvent="stream-stopped", StreamSid="s"), "stream", "finished", ""),
    (form(RecordingStatus="completed", RecordingSid="r"), "recording", "finished", ""),
    (form(CallStatus="ringing"), "call", "ringing", ""),
    (form(MessageStatus="sent", CallStatus="completed"), "message", "sent", ""),
    (form(SmsStatus="sent"), "message", "sent", ""),
    (form(FaxStatus="received"), "other", "received", ""),
    (form(Unknown="x"), "other", "", ""),
]


@pytest.mark.parametrize(("request_", "kind", "state", "control_id"), KINDS)
def test_the_page_s_handler_reads_callbacks_of_every_kind(
    app: Flask, capsys: pytest.CaptureFixture[str], request_: dict[str, Any], kind: str, state: str, control_id: str
) -> None:
    page = (ROOT / "docs" / "flask.md").read_text(encoding="utf-8")
    found = re.search(r"@relay\.on_status\n(def status.+?)\n\n", page, re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {}
    exec(found[1], names)
    relay, seen = Relay(app), queue.SimpleQueue[Callback]()
    app.register_blueprint(relay.blueprint())
    relay.on_status(seen.put)
    relay.on_status(names["status"])
    assert app.test_client().post("/status", **request_).status_code == 204
    assert capsys.readouterr().out == f"{kind} is {state}\n"
    callback = seen.get(timeout=PATIENCE)
    assert (callback.kind, callback.state, callback.control_id, callback.call_id) == (kind, state, control_id, "c")
    assert callback.error == ""


def test_callbacks_that_nobody_takes_are_told_of_once_for_each_kind(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    relay = Relay(app)
    app.register_blueprint(relay.blueprint())
    for request_ in (KINDS[1][0], KINDS[1][0], KINDS[2][0]):
        assert app.test_client().post("/status", **request_).status_code == 204
    told = [record.getMessage() for record in caplog.records if "without a handler" in record.getMessage()]
    assert [each.partition("(")[2].partition(")")[0] for each in told] == ["recording", "call"]
    assert all("relay.on_status" in each for each in told)


def test_the_address_of_a_proxy_reaches_the_reader(app: Flask) -> None:
    url = "https://hooks.example.com/status"
    fields = [("CallSid", "c"), ("CallStatus", "ringing")]
    headers = {
        "X-SignalWire-Signature": sign_form("PSKx", url, fields),
        "Forwarded": "proto=https;host=hooks.example.com",
    }
    app.config["RELAY_SYNC"]["webhooks"] = {"signing_key": "PSKx", "strict": True, "trusted_proxies": "10.0.0.0/8"}
    app.register_blueprint(Relay(app).blueprint())
    for peer, status in (("10.0.0.7", 204), ("203.0.113.9", 403)):
        answer = app.test_client().post(
            "/status", data=dict(fields), headers=headers, environ_overrides={"REMOTE_ADDR": peer}
        )
        assert answer.status_code == status


QUERIES = [
    "",
    "who=a%20b",
    "who=a+b",
    "who=J%C3%BCrgen",
    "who=J%c3%bcrgen",
    "next=%2Fcalls%3Fid",
    "ticket=%7B%22id%22%3A1%7D",
    "list=[1]",
    "a|b={c}",
    "%41=~%7E",
    "x=%25",
]
PATHS = ["/status", "/%73tatus", "/st%61tus"]


def signed(url: str, body: bytes) -> dict[str, str]:
    return {"X-SignalWire-Signature": sign_json("PSKx", url, body)}


@pytest.mark.parametrize("raw", ["REQUEST_URI", "RAW_URI", "absolute", "without a query"])
def test_signatures_are_over_what_was_sent(app: Flask, raw: str) -> None:
    app.config["RELAY_SYNC"]["webhooks"] = {"signing_key": "PSKx", "strict": True}
    app.register_blueprint(Relay(app).blueprint())
    body = json.dumps(EVENT).encode()
    for path in PATHS:
        for query in QUERIES:
            target = f"{path}?{query}" if query else path
            seen = {"REQUEST_URI": target, "RAW_URI": target, "absolute": f"http://inner:80{target}"}.get(raw, path)
            environ = {"REQUEST_URI": seen, "RAW_URI": seen, "QUERY_STRING": query}
            if raw == "RAW_URI":
                environ["REQUEST_URI"] = ""
            for url, status in ((f"http://localhost{target}", 204), (f"http://localhost{target}x", 403)):
                answer = app.test_client().post(
                    "/status",
                    data=body,
                    headers=signed(url, body),
                    content_type="application/json",
                    environ_overrides=environ,
                )
                assert answer.status_code == status, (path, query)


@pytest.mark.parametrize(
    "path",
    ["/a b", "/J\xfcrgen", "/{id}", "/a|b", "/a:b@c", "/50%", "/a'b"],
)
@pytest.mark.parametrize("kept", ["/", "/!$&'()*+,;=:@", "/!$&'()*+,;=:@|{}[]^`\"<>\\"])
def test_where_the_target_is_not_known_every_way_to_write_it_is_tried(app: Flask, path: str, kept: str) -> None:
    app.config["RELAY_SYNC"]["webhooks"] = {"signing_key": "PSKx", "strict": True}
    relay = Relay(app)
    app.add_url_rule("/<path:where>", "anywhere", lambda where: relay._status(), methods=["POST"])
    body = json.dumps(EVENT).encode()
    written = quote(path, safe=kept)
    for url in {written, re.sub("%..", lambda found: found[0].lower(), written)}:
        answer = app.test_client().post(
            "/anything",
            data=body,
            headers=signed(f"http://localhost{url}/on?a=%7b", body),
            content_type="application/json",
            environ_overrides={
                "REQUEST_URI": "",
                "RAW_URI": "",
                "QUERY_STRING": "a=%7b",
                "PATH_INFO": f"{path}/on".encode().decode("latin-1"),
            },
        )
        assert answer.status_code == 204


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["1", "3"])
def test_wrong_settings_are_told_once_by_flask(sim: Simulator, folder: Path, processes: str) -> None:
    (folder / "shop.py").write_text(APP.replace('contexts=["default"]', 'contexts="default"'), encoding="utf-8")
    with started(sim, folder, "-m", "flask", "--app", "shop", "relay", "run", "--processes", processes) as flask:
        assert flask.process.wait(PATIENCE) == 2
    assert flask.output.count("contexts='default'") == 1
    assert "Traceback" not in flask.output


@pytest.mark.parametrize("reloader", [True, False])
def test_the_end_of_a_process_names_the_calls_that_it_cuts(
    sim: Simulator, app: Flask, monkeypatch: pytest.MonkeyPatch, reloader: bool
) -> None:
    monkeypatch.setenv("WERKZEUG_RUN_MAIN", "true" if reloader else "")
    monkeypatch.delenv("RUN_MAIN", raising=False)
    relay, answered = Relay(app), queue.SimpleQueue[Call]()

    @relay.on_call
    def handle(call: Call) -> None:
        call.answer()
        answered.put(call)
        call.wait_for_ended()

    relay.start(app)
    sim.wait_for_client()
    assert cut_calls() == ""
    phone = sim.call(to=TO, from_=FROM)
    answered.get(timeout=PATIENCE)
    told = cut_calls()
    assert told.startswith("the development server reloads" if reloader else "this process exits")
    assert f"1 live call is cut off from the handlers, and the callers hear silence ({phone.call_id})" in told
    relay.stop(app, drain=0)
    assert cut_calls() == ""
