"""Django: a real project with a real database, in this process and as ``manage.py`` and gunicorn start it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import settings

from relay_sync import Call, InvalidParameter, WaitTimeout
from relay_sync.audio import AudioServer
from relay_sync.simulator import Simulator
from relay_sync.webhooks import Webhooks
from relay_sync.webhooks.signatures import sign_json
from tests.support.hosting import PATIENCE, call_in, environment, started, wait_for_port
from tests.support.lines import FROM, TO
from tests.support.web_programs import HOOKS, PATCH

SETTINGS = """
from pathlib import Path

SECRET_KEY = "for tests"
DEBUG = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["relay_sync.contrib.django", "shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(__file__).parent.parent / "db.sqlite3",
    "OPTIONS": {"timeout": 20}}}
USE_TZ = True
RELAY_SYNC = {"contexts": ["default"], "connect_timeout": 30, "runserver": True}
"""
MODELS = """
from django.db import models

class Line(models.Model):
    text = models.TextField()
"""
CALLS = """
import os
from django.dispatch import receiver
from relay_sync.audio import AudioServer
from relay_sync.contrib.django import on_call
from relay_sync.contrib.django.signals import call_ended, call_received, stream_status
from shop.models import Line

log = open(os.environ["TEST_LOG"], "a", buffering=1)

@on_call
def handle(call):
    call.answer()
    with AudioServer(port=0) as audio, audio.listen(call, status_url=os.environ["TEST_STATUS_URL"] or None) as stream:
        heard = sum(frame.samples for frame in stream)
    Line.objects.create(text=f"heard {heard}")
    log.write(f"heard {Line.objects.get().text}\\n")

@receiver(call_received)
def received(sender, call, **kwargs):
    log.write("received\\n")

@receiver(call_ended)
def ended(sender, call, event, **kwargs):
    log.write(f"ended {event.end_reason}\\n")

@receiver(stream_status)
def status(sender, callback, **kwargs):
    log.write(f"status {callback.state}\\n")
"""
URLS = """
from django.urls import include, path

urlpatterns = [path("relay/", include("relay_sync.contrib.django.urls"))]
"""
MANAGE = """
import os, sys
from django.core.management import execute_from_command_line

os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
execute_from_command_line(sys.argv)
"""
WSGI = """
import os
from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
application = get_wsgi_application()
"""


# -- in this process ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Django is set up once in a process."""
    database = tmp_path_factory.mktemp("django") / "db.sqlite3"
    settings.configure(
        SECRET_KEY="for tests",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="relay_sync.contrib.django.urls",
        INSTALLED_APPS=["relay_sync.contrib.django"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database}},
        USE_TZ=True,
        RELAY_SYNC={},
    )
    django.setup()


@pytest.fixture
def world(project: None, sim: Simulator) -> Iterator[Any]:
    """The handlers' module, with the simulator in the settings and nothing registered."""
    from django.test import override_settings

    from relay_sync.contrib.django import handlers

    with override_settings(RELAY_SYNC={**sim.credentials, "contexts": ["default"]}):
        yield handlers
        handlers.hosted.stop(0)
    handlers.hosted._client = None
    handlers._handlers.clear()


def test_database_connections_are_closed_around_handlers(world: Any, sim: Simulator) -> None:
    from django.db import connections

    seen: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def handle(call: Call) -> None:
        call.answer()
        connection = connections["default"]
        with connection.cursor() as cursor:
            cursor.execute("select 7")
            seen.put((connection, cursor.fetchone()))

    world.on_call(handle)
    world.hosted.start()
    sim.wait_for_client()
    sim.call(to=TO, from_=FROM)
    connection, row = seen.get(timeout=PATIENCE)
    assert row == (7,)
    world.hosted.client.drain(0.01)
    assert connection.connection is None


def test_signals_tell_of_calls_and_a_receiver_that_raises_is_logged(
    world: Any, sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    from relay_sync.contrib.django.signals import call_ended, call_received

    seen: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()

    def received(sender: type, call: Call, **kwargs: Any) -> None:
        call.answer()
        seen.put(("received", call.call_id))

    def ended(sender: type, call: Call, event: Any, **kwargs: Any) -> None:
        seen.put(("ended", event.end_reason))
        raise LookupError("in a receiver")

    call_received.connect(received)
    call_ended.connect(ended)
    try:
        client = world.get_client()
        client.connect()
        phone = sim.call(to=TO, from_=FROM)
        assert seen.get(timeout=PATIENCE) == ("received", phone.call_id)
        phone.wait_until("answered")
        phone.hang_up()
        assert seen.get(timeout=PATIENCE) == ("ended", "hangup")
        client.disconnect()
    finally:
        call_received.disconnect(received)
        call_ended.disconnect(ended)
    assert any("a receiver of a relay_sync signal raised" in record.message for record in caplog.records)


def test_a_call_that_is_over_before_its_handler_begins_has_both_signals(
    world: Any, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from relay_sync.contrib.django.signals import call_ended, call_received

    seen: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    slow, over = threading.Event(), threading.Event()

    def look_at_connections() -> None:  # as Django does before anything of ours
        slow.set()
        assert over.wait(PATIENCE)

    def received(sender: type, call: Call, **kwargs: Any) -> None:
        seen.put(("received", call.call_id))

    def ended(sender: type, call: Call, event: Any, **kwargs: Any) -> None:
        seen.put(("ended", event.end_reason))

    monkeypatch.setattr(world, "close_old_connections", look_at_connections)
    call_received.connect(received)
    call_ended.connect(ended)
    try:
        client = world.get_client()
        client.connect()
        phone = sim.call(to=TO, from_=FROM)
        assert slow.wait(PATIENCE)
        phone.hang_up()
        phone.wait_until("ended")
        client.execute("signalwire.ping")  # its answer comes behind the event
        over.set()
        assert seen.get(timeout=PATIENCE) == ("received", phone.call_id)
        assert seen.get(timeout=PATIENCE) == ("ended", "hangup")
        client.disconnect()
        assert seen.empty()
    finally:
        call_received.disconnect(received)
        call_ended.disconnect(ended)


@pytest.mark.parametrize("contexts", [["default"], []], ids=["contexts", "receive"])
def test_a_receiver_that_is_connected_late_gets_calls(world: Any, sim: Simulator, contexts: list[str]) -> None:
    from django.test import override_settings

    from relay_sync.contrib.django.signals import call_received

    seen: queue.SimpleQueue[str] = queue.SimpleQueue()

    def received(sender: type, call: Call, **kwargs: Any) -> None:
        seen.put(call.call_id)
        call.hangup()

    with override_settings(RELAY_SYNC={**sim.credentials, "contexts": contexts}):
        client = world.get_client()
        client.connect()
        client.receive(["default"])
        call_received.connect(received)
        try:
            phone = sim.call(to=TO, from_=FROM)
            assert seen.get(timeout=PATIENCE) == phone.call_id
        finally:
            call_received.disconnect(received)


def test_calls_that_nobody_takes_are_passed_back_and_told_of_once(
    world: Any, sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    world.unheard._told_of_calls = False
    world.get_client().connect()
    for _ in range(2):
        phone = sim.call(to=TO, from_=FROM)
        sim.journal.wait_for(
            lambda entry, call_id=phone.call_id: (  # type: ignore[misc]
                entry.method == "calling.pass" and entry.params["call_id"] == call_id
            ),
            PATIENCE,
        )
    told = [each.getMessage() for each in caplog.records if "no handler or receiver is registered" in each.getMessage()]
    assert len(told) == 1


def test_a_handler_registered_late_is_taken_and_a_coroutine_is_not(world: Any, sim: Simulator) -> None:
    seen: queue.SimpleQueue[str] = queue.SimpleQueue()
    world.get_client().connect()
    world.on_call(lambda call: seen.put(call.call_id))
    phone = sim.call(to=TO, from_=FROM)
    assert seen.get(timeout=PATIENCE) == phone.call_id

    async def coroutine(call: Call) -> None:
        """Never run."""

    with pytest.raises(InvalidParameter, match="async"):
        world.on_call(coroutine)


EVENT = {
    "event_type": "calling.call.stream",
    "timestamp": 1767323045.5,
    "params": {"call_id": "c", "node_id": "n", "control_id": "s", "state": "finished", "url": "wss://a.example/x"},
}


def test_the_webhook_view_needs_no_csrf_token_and_sends_a_signal(world: Any) -> None:
    from django.test import Client, override_settings

    from relay_sync.contrib.django.signals import stream_status

    seen: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def told(sender: type, callback: Any, **kwargs: Any) -> None:
        seen.put(callback)

    stream_status.connect(told)
    web = Client(enforce_csrf_checks=True)
    try:
        assert web.post("/status", json.dumps(EVENT), content_type="application/json").status_code == 204
        assert seen.get_nowait().state == "finished"
        assert web.post("/status", b"\xff", content_type="application/json").status_code == 400
        assert web.delete("/status").status_code == 405
        with override_settings(RELAY_SYNC={"webhooks": {"signing_key": "PSKx", "strict": True}}):
            assert web.post("/status", json.dumps(EVENT), content_type="application/json").status_code == 403
        assert seen.empty()
    finally:
        stream_status.disconnect(told)


@pytest.mark.parametrize(
    ("name", "params", "kind"),
    [
        ("calling.call.stream", {"state": "finished"}, "stream"),
        ("calling.call.record", {"state": "finished"}, "recording"),
        ("calling.call.state", {"call_state": "ended"}, "call"),
        ("calling.call.collect", {"state": "finished"}, "call"),
        ("messaging.state", {"message_state": "delivered"}, "message"),
        ("queuing.whatever", {}, "other"),
    ],
)
def test_every_kind_of_callback_has_a_signal(
    world: Any, caplog: pytest.LogCaptureFixture, name: str, params: dict[str, str], kind: str
) -> None:
    from django.test import Client

    from relay_sync.contrib.django import handlers, signals

    seen: list[tuple[str, Any]] = []
    body = json.dumps({"event_type": name, "params": {"call_id": "c", **params}})
    handlers.unheard._told.clear()

    def send() -> None:
        assert Client().post("/status", body, content_type="application/json").status_code == 204

    send()
    send()
    unheard = [record.getMessage() for record in caplog.records if "without a handler" in record.getMessage()]
    assert len(unheard) == 1
    assert f"{kind}_status" in unheard[0]

    receivers = {}
    for each in (*signals.of_kind, None):
        signal = signals.status_received if each is None else signals.of_kind[each]

        def receive(sender: type, callback: Any, each: Any = each, **kwargs: Any) -> None:
            seen.append((each or "all", callback))

        signal.connect(receive)
        receivers[signal] = receive
    try:
        send()
    finally:
        for signal, receiver in receivers.items():
            signal.disconnect(receiver)
    assert [where for where, _ in seen] == [kind, "all"]
    assert {callback.kind for _, callback in seen} == {kind}
    assert seen[0][1].state == next(iter(params.values()), "")


def test_a_receiver_that_raises_is_logged_once_and_the_others_hear(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from django.test import Client

    from relay_sync.contrib.django.signals import recording_status, status_received

    seen: list[Any] = []

    def fails(sender: type, **kwargs: Any) -> None:
        raise LookupError("in a receiver")

    def hears(sender: type, callback: Any, **kwargs: Any) -> None:
        seen.append(callback)

    recording_status.connect(fails)
    recording_status.connect(hears)
    status_received.connect(hears)
    body = json.dumps({"event_type": "calling.call.record", "params": {"state": "finished"}})
    try:
        assert Client().post("/status", body, content_type="application/json").status_code == 204
    finally:
        for signal, receiver in ((recording_status, fails), (recording_status, hears), (status_received, hears)):
            signal.disconnect(receiver)
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [(record.name, record.exc_info is not None) for record in errors] == [("relay_sync", True)]
    assert "fails" in errors[0].getMessage()
    assert len(seen) == 2


def test_what_the_first_two_requests_bring_at_once_is_remembered(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.test import Client

    from relay_sync.contrib.django.signals import status_received

    seen: list[bool] = []
    first = [True]

    def hears(sender: type, callback: Any, **kwargs: Any) -> None:
        seen.append(callback.repeated)

    def post(number: int) -> None:
        body = json.dumps({"event_type": "calling.call.record", "timestamp": number, "params": {"state": "finished"}})
        assert Client().post("/status", body, content_type="application/json").status_code == 204

    def slow(**options: Any) -> Any:
        made = Webhooks(**options)
        if first:
            first.clear()
            post(2)
        return made

    monkeypatch.setattr("relay_sync.contrib.hosting.Webhooks", slow)
    status_received.connect(hears)
    try:
        for number in (1, 1, 2):
            post(number)
    finally:
        status_received.disconnect(hears)
    assert seen == [False, False, True, True]


def test_a_callback_whose_receiver_raised_is_not_repeated_when_it_comes_again(world: Any) -> None:
    from django.test import Client

    from relay_sync.contrib.django.signals import recording_status, status_received

    seen: list[bool] = []
    failing = [True, True]

    def fails(sender: type, **kwargs: Any) -> None:
        if failing:
            failing.pop()
            raise LookupError("the database is down")

    def hears(sender: type, callback: Any, **kwargs: Any) -> None:
        seen.append(callback.repeated)

    recording_status.connect(fails)
    status_received.connect(hears)
    body = json.dumps({"event_type": "calling.call.record", "timestamp": 22.5, "params": {"state": "finished"}})
    try:
        for _ in range(4):
            Client().post("/status", body, content_type="application/json")
    finally:
        recording_status.disconnect(fails)
        status_received.disconnect(hears)
    assert seen == [False, False, False, True]


def test_a_body_that_a_middleware_has_read_is_no_failure(world: Any) -> None:
    from django.test import RequestFactory

    from relay_sync.contrib.django.views import status

    request = RequestFactory().post("/relay/status", {"a": "b"})  # multipart
    assert request.POST["a"] == "b"
    assert status(request).status_code == 415


@pytest.mark.parametrize("server", ["with a raw target", "without", "asgi", "asgi without"])
@pytest.mark.parametrize(
    "target", ["/status?a|b={c}", "/status?who=J%c3%bcrgen&n=%7B1%7D", "/%73tatus?x=[1]", "/status"]
)
def test_signatures_are_over_what_was_sent(world: Any, server: str, target: str) -> None:
    from django.test import override_settings
    from django.test.client import AsyncRequestFactory, RequestFactory

    from relay_sync.contrib.django.views import status

    body = json.dumps(EVENT).encode()
    path, _, query = target.partition("?")
    if "without" in server:
        path = "/status"
    whole = f"{path}?{query}" if query else path
    with override_settings(RELAY_SYNC={"webhooks": {"signing_key": "PSKx", "strict": True}}):
        for url, code in ((f"http://testserver{whole}", 204), (f"http://testserver{whole}x", 403)):
            headers = {"x-signalwire-signature": sign_json("PSKx", url, body)}
            if server.startswith("asgi"):
                request: Any = AsyncRequestFactory().post(
                    "/status", body, content_type="application/json", headers=headers
                )
                request.scope["query_string"] = query.encode()
                request.META["QUERY_STRING"] = query
                request.scope.pop("raw_path", None)
                if server == "asgi":
                    request.scope["raw_path"] = path.encode()
            else:
                request = RequestFactory().post("/status", body, content_type="application/json", headers=headers)
                request.META["QUERY_STRING"] = query
                if server == "with a raw target":
                    request.META["RAW_URI"] = whole
            assert status(request).status_code == code


def test_health(world: Any) -> None:
    from django.test import Client

    web = Client()
    assert web.get("/health").json() == {"state": "idle", "calls": 0}
    world.get_client().connect()
    answer = web.get("/health")
    assert (answer.status_code, answer.json()["state"]) == (200, "connected")
    world.hosted.stop(0)
    assert web.get("/health").status_code == 503
    assert web.post("/health").status_code == 405


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({"project": "p", "token": "t"}, []),
        ({}, ["relay_sync.W001"]),
        ({"project": "p"}, ["relay_sync.W001"]),
        ({"project": "p", "token": "t", "hots": "x"}, ["relay_sync.E001"]),
        ({"project": "p", "token": "t", "host": "a b"}, ["relay_sync.E001"]),
        ({"project": "p", "token": "t", "webhooks": {"strict": True}}, ["relay_sync.E001"]),
        ({"project": "p", "token": "t", "webhooks": {"colour": 1}}, ["relay_sync.E001"]),
        ({"project": "p", "token": "t", "webhooks": ["strict"]}, ["relay_sync.E001"]),
        ({"webhooks": {"colour": 1}}, ["relay_sync.W001", "relay_sync.E001"]),  # credentials may be elsewhere
        ("project", ["relay_sync.E001"]),
        ({"project": "p", "token": "t", "runserver": "yes"}, ["relay_sync.E001"]),
        ({"project": "p", "token": "t", "runserver": 1}, ["relay_sync.E001"]),
        ({"project": "p", "token": "t", "runserver": None}, []),
        ({"project": "p", "token": "t", "contexts": []}, ["relay_sync.W003"]),
        ({"project": "p", "token": "t", "contexts": "default"}, ["relay_sync.E001"]),
    ],
)
def test_system_checks(project: None, monkeypatch: pytest.MonkeyPatch, given: Any, ids: list[str]) -> None:
    from django.core.checks import run_checks
    from django.test import override_settings

    for name in ("PROJECT_ID", "API_TOKEN", "JWT_TOKEN", "SIGNING_KEY"):
        monkeypatch.delenv(f"SIGNALWIRE_{name}", raising=False)
    with override_settings(RELAY_SYNC=given):
        assert [one.id for one in run_checks(tags=["relay_sync"])] == ids


def test_a_name_that_webhooks_do_not_know_is_named(project: None) -> None:
    from django.core.checks import run_checks
    from django.test import override_settings

    with override_settings(RELAY_SYNC={"project": "p", "token": "t", "webhooks": {"strct": True}}):
        (found,) = run_checks(tags=["relay_sync"])
    assert "settings.RELAY_SYNC['webhooks']['strct']" in found.msg
    assert "a known key: " in found.msg
    assert "__init__" not in found.msg


def test_checks_that_fail_end_the_command_as_a_wrong_configuration(project: None) -> None:
    from django.core.management import call_command
    from django.core.management.base import SystemCheckError
    from django.test import override_settings

    with (
        override_settings(RELAY_SYNC={"project": "p", "token": "t", "contexts": "default"}),
        pytest.raises(SystemCheckError) as failed,
    ):
        call_command("relay", "--processes", "2", skip_checks=False)
    assert failed.value.returncode == 2


def test_the_doctor_names_where_values_came_from(
    project: None, sim: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from django.core.management import CommandError, call_command
    from django.test import override_settings

    from relay_sync.contrib.django import handlers

    given = sim.credentials
    monkeypatch.setattr(handlers.hosted, "_client", None)
    monkeypatch.setenv("SIGNALWIRE_API_TOKEN", given["token"])
    chosen = {"host": given["host"], "project": given["project"], "contexts": ["sales"], "runserver": True}
    with override_settings(RELAY_SYNC=chosen):
        call_command("relay_doctor")
        told = capsys.readouterr().out
        lines = [" ".join(line.split()) for line in told.splitlines()]
        assert f"host {sim.url} settings.RELAY_SYNC" in lines
        assert "contexts sales settings.RELAY_SYNC" in lines
        assert f"token set, {len(given['token'])} characters $SIGNALWIRE_API_TOKEN" in lines
        assert "max_active_calls 1000 default" in lines
        assert lines[-1] == "No problems found."
        assert given["token"] not in told
        sim.wait_until_gone()
        with pytest.raises(CommandError, match="pass --call and --from together") as caught:
            call_command("relay_doctor", "--call", TO)
        assert caught.value.returncode == 2
    monkeypatch.setattr(handlers.hosted, "_client", None)
    with override_settings(RELAY_SYNC={"hots": "a typo"}), pytest.raises(SystemExit) as ended:
        call_command("relay_doctor")
    assert ended.value.code == 1
    assert "BAD   configuration: " in capsys.readouterr().out


@pytest.mark.usefixtures("project", "collected")
def test_the_doctor_finds_the_receivers_of_the_project(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from django.core.management import call_command
    from django.test import override_settings

    from relay_sync.contrib.django import handlers

    monkeypatch.setattr(handlers.hosted, "_client", None)
    audio = AudioServer()
    with override_settings(RELAY_SYNC={**sim.credentials, "runserver": True}):
        call_command("relay_doctor", "--audio")
    told = capsys.readouterr().out
    assert "ok    audio out: " in told
    assert repr(audio) == "<AudioServer closed>"
    sim.wait_until_gone()


def test_production_wants_signed_callbacks(project: None) -> None:
    from django.test import override_settings

    from relay_sync.contrib.django.checks import check_webhooks

    with override_settings(RELAY_SYNC={}):
        assert [one.id for one in check_webhooks()] == ["relay_sync.W002"]
    with override_settings(RELAY_SYNC={"webhooks": {"signing_key": "PSKx", "strict": True}}):
        assert check_webhooks() == []


# -- as people start it ------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, sim: Simulator) -> Path:
    shop = tmp_path / "shop"
    shop.mkdir()
    files = {"settings": SETTINGS, "models": MODELS, "calls": CALLS, "urls": URLS, "wsgi": WSGI, "__init__": ""}
    for name, text in files.items():
        (shop / f"{name}.py").write_text(text, encoding="utf-8")
    (tmp_path / "manage.py").write_text(MANAGE, encoding="utf-8")
    migrated = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--run-syncdb"],
        cwd=tmp_path,
        env=environment(sim, TEST_LOG=str(tmp_path / "log"), TEST_STATUS_URL=""),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert migrated.returncode == 0, migrated.stderr
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["1", "2"])
def test_manage_py_relay(sim: Simulator, folder: Path, processes: str) -> None:
    with started(sim, folder, "manage.py", "relay", "--processes", processes) as relay:
        sim.wait_for_client(int(processes), timeout=PATIENCE)
        call_in(sim)
        relay.terminate()
    assert sorted(relay.lines) == ["ended hangup", "heard heard 8000", "received"]
    sim.wait_until_gone()


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_second_ctrl_c_lets_the_handler_finish(sim: Simulator, folder: Path, processes: str) -> None:
    with started(sim, folder, "manage.py", "relay", "--processes", processes) as relay:
        sim.wait_for_client(int(processes), timeout=PATIENCE)
        sim.call(to=TO, from_=FROM).wait_for_stream(timeout=PATIENCE).wait_until("streaming", PATIENCE)
        assert relay.interrupt_twice() == 130
    assert "ended hangup" in relay.lines


@pytest.mark.slow
def test_manage_py_relay_tells_mistakes_in_a_line(sim: Simulator, folder: Path) -> None:
    with started(sim, folder, "manage.py", "relay", "--processes", "0") as relay:
        assert relay.process.wait(PATIENCE) == 2
    assert "CommandError: argument --processes: invalid value 0: expected at least 1" in relay.output


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["1", "3"])
def test_wrong_settings_are_told_once_by_manage_py_relay(sim: Simulator, folder: Path, processes: str) -> None:
    file = folder / "shop" / "settings.py"
    file.write_text(SETTINGS.replace('"contexts": ["default"]', '"contexts": "default"'), encoding="utf-8")
    with started(sim, folder, "manage.py", "relay", "--skip-checks", "--processes", processes) as relay:
        assert relay.process.wait(PATIENCE) == 2
    assert relay.output.count("contexts='default'") == 1
    assert "Traceback" not in relay.output


@pytest.mark.slow
@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["", "preload"])
@pytest.mark.parametrize("worker", ["gthread", "gevent"])
def test_gunicorn(sim: Simulator, folder: Path, worker: str, preload: tuple[str, ...], free_port: int) -> None:
    # With preload, Django is imported before gunicorn's worker patches it: then its connections are shared by all.
    hooks = PATCH + HOOKS if worker == "gevent" and preload else HOOKS
    (folder / "hooks.py").write_text(hooks, encoding="utf-8")
    command = (
        *("-m", "gunicorn", "--bind", f"127.0.0.1:{free_port}", "--workers", "1", "--threads", "4"),
        *("--worker-class", worker, "--config", "hooks.py", *preload, "shop.wsgi"),
    )
    with started(sim, folder, *command, port=free_port) as gunicorn:
        take_a_call(sim, free_port)
        assert "relay: connected" in gunicorn.output
        gunicorn.terminate()
    assert sorted(gunicorn.lines) == EVERYTHING
    sim.wait_until_gone()


@pytest.mark.slow
@pytest.mark.parametrize("reload", [(), ("--noreload",)], ids=["", "noreload"])
def test_runserver(sim: Simulator, folder: Path, reload: tuple[str, ...], free_port: int) -> None:
    with started(sim, folder, "manage.py", "runserver", f"127.0.0.1:{free_port}", *reload, port=free_port) as server:
        take_a_call(sim, free_port)
        assert len(sim.journal.requests("signalwire.connect")) == 1  # the process that watches files does not
        server.wait_for_lines(len(EVERYTHING))
        server.terminate(signal.SIGINT)  # Django's server ends cleanly by Ctrl-C; SIGTERM is not for it
    assert sorted(server.lines) == EVERYTHING
    sim.wait_until_gone()


EVERYTHING = ["ended hangup", "heard heard 8000", "received", "status finished", "status streaming"]


def take_a_call(sim: Simulator, port: int) -> None:
    sim.wait_for_client(timeout=PATIENCE)
    wait_for_port(port)  # runserver begins to listen after that
    call_in(sim)
    sim.webhooks.wait_for(2, PATIENCE)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/relay/health", timeout=PATIENCE) as answer:
        assert json.load(answer)["state"] == "connected"


def test_the_supported_versions_of_django_are_tested() -> None:
    """5.2 with Python 3.11, which 6 does not support, and the newest elsewhere."""
    assert django.VERSION[:2] == (5, 2) if sys.version_info < (3, 12) else django.VERSION >= (5, 2)


@pytest.mark.slow
def test_the_autoreloader_names_the_calls_that_it_cuts(sim: Simulator, folder: Path, free_port: int) -> None:
    file = folder / "shop" / "calls.py"
    file.write_text(CALLS.replace("    call.answer()\n", "    call.answer()\n    call.wait_for_ended()\n", 1), "utf-8")
    with started(sim, folder, "manage.py", "runserver", f"127.0.0.1:{free_port}", port=free_port) as server:
        sim.wait_for_client(timeout=PATIENCE)
        wait_for_port(free_port)
        phone = sim.call(to=TO, from_=FROM)
        phone.wait_until("answered", PATIENCE)
        # A change that comes before the reloader's first look at the files is none to it.
        for number in range(1, 20):
            os.utime(file, (1e9 + number, 1e9 + number))
            with contextlib.suppress(WaitTimeout):
                sim.journal.wait_for(lambda entry: len(sim.journal.requests("signalwire.connect")) >= 2, 3)
                break
        phone.hang_up()
        server.terminate(signal.SIGINT)
    told = [line for line in server.output.splitlines() if "the development server reloads" in line]
    assert len(told) == 1
    assert phone.call_id in told[0]
