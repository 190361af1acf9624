"""``examples/control_flask.py`` and ``control_django``: views in one process, calls in another, the platform in this one."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import define, field

from relay_sync.audio import read_wav
from relay_sync.simulator import Simulator, Stream, speech
from relay_sync.simulator.people.phone import Phone
from tests.support import ROOT
from tests.support.background import Background, until
from tests.support.hosting import PATIENCE, Started, environment, launched, wait_for_port
from tests.support.lines import FROM, TO
from tests.support.ports import hold_port
from tests.support.scripted_http import Scripted, answer, hang_up

EXAMPLES: Final = ROOT / "examples"
PROJECT: Final = EXAMPLES / "control_django"
AUDIO_TOKEN, CONTROL_TOKEN = "a-token-of-the-receiver", "a-token-of-the-users-of-the-application"
USER, PASSWORD = "operator", "a password of the tests"
GONE: Final = {"error": "there is no such call, or it has ended"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@define(eq=False)
class Site:
    """The web application as its users see it."""

    url: str
    headers: dict[str, str] = field(factory=dict)
    cookies: CookieJar = field(factory=CookieJar)

    def open(self, method: str, path: str, form: bytes | None = None) -> tuple[int, bytes]:
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        request = urllib.request.Request(self.url + path, form, self.headers, method=method)
        try:
            with opener.open(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read()

    def ask(self, method: str, path: str) -> tuple[int, Any]:
        status, body = self.open(method, path)
        return status, json.loads(body)

    def calls(self) -> list[dict[str, Any]]:
        status, found = self.ask("GET", "/calls")
        assert status == 200
        calls: list[dict[str, Any]] = found["calls"]
        return calls

    def start(self, call_id: str) -> tuple[int, Any]:
        return self.ask("POST", f"/calls/{call_id}/stream")

    def stop(self, call_id: str) -> tuple[int, Any]:
        return self.ask("POST", f"/calls/{call_id}/stream/stop")

    def sign_in(self) -> None:
        """Sign in to the Django project, as a browser does."""
        self.open("GET", "/admin/login/")
        form = {"username": USER, "password": PASSWORD, "csrfmiddlewaretoken": self.csrf_token}
        status, _ = self.open("POST", "/admin/login/?next=/calls", urllib.parse.urlencode(form).encode())
        assert status == 200
        self.headers = {"X-CSRFToken": self.csrf_token}

    @property
    def csrf_token(self) -> str:
        return next(cookie.value or "" for cookie in self.cookies if cookie.name == "csrftoken")


@define(eq=False)
class Application:
    """How one of the two programs is started."""

    sim: Simulator
    folder: Path
    stack: ExitStack
    phones: list[Phone] = field(factory=list)

    def variables(self, **more: str) -> dict[str, str]:
        home = os.pathsep.join(map(str, (ROOT, EXAMPLES, PROJECT)))
        given = {
            "PYTHONPATH": home,
            "PYTHONUNBUFFERED": "1",
            "RELAY_AUDIO_TOKEN": AUDIO_TOKEN,
            "CONTROL_TOKEN": CONTROL_TOKEN,
            "CONTROL_DB": str(self.folder / "control.db"),
            "DJANGO_SECRET_KEY": "of the tests, and of nothing else",
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }
        return environment(self.sim, **given, **more)

    def launch(self, name: str, *command: str, port: int = 0, **more: str) -> Started:
        (self.folder / name).mkdir()
        process = self.stack.enter_context(
            launched(self.folder / name, self.variables(**more), *command, port=port or None)
        )
        self.stack.callback(self._end, process)
        return process

    def _end(self, process: Started) -> None:
        """As a supervisor ends, with its children, once no call is live."""
        for phone in self.phones:
            phone.hang_up()
        if process.process.poll() is None:
            process.terminate()

    def own(self) -> Started:
        """Start two processes that own calls."""
        raise NotImplementedError

    def serve(self, port: int, **more: str) -> Site:
        """Start the web application, with users that may do everything."""
        raise NotImplementedError

    def _gunicorn(self, port: int, target: str, **more: str) -> Site:
        command = ("--bind", f"127.0.0.1:{port}", "--workers", "2", "--threads", "2", target)
        self.launch(f"web-{port}", "-m", "gunicorn", *command, port=port, **more)
        wait_for_port(port)
        return Site(f"http://127.0.0.1:{port}")

    def call(self) -> Phone:
        """A call that an owner has answered and stored."""
        phone = self.sim.call(to=TO, from_=FROM, says=speech.caller())
        self.phones.append(phone)
        phone.wait_until("answered", PATIENCE)
        return phone


class FlaskApplication(Application):
    def own(self) -> Started:
        return self.launch("owner", "-m", "relay_sync", "run", "control_owner:client", "--processes", "2")

    def serve(self, port: int, **more: str) -> Site:
        site = self._gunicorn(port, "control_flask:create_app()", **more)
        site.headers = {"Authorization": f"Bearer {CONTROL_TOKEN}"}
        return site


class DjangoApplication(Application):
    def own(self) -> Started:
        return self.launch("owner", str(PROJECT / "manage.py"), "relay", "--processes", "2")

    def serve(self, port: int, **more: str) -> Site:
        site = self._gunicorn(port, "switchboard.wsgi", **more)
        site.sign_in()
        return site


#: What a reader types once, in one process.
PREPARE: Final = f"""
import os
import django
from django.core.management import call_command

os.environ["DJANGO_SETTINGS_MODULE"] = "switchboard.settings"
django.setup()
call_command("migrate", verbosity=0)
call_command("createsuperuser", interactive=False, username={USER!r}, email="operator@example.com", verbosity=0)
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Django project's database with a user."""
    folder = tmp_path_factory.mktemp("database")
    with Simulator() as sim, ExitStack() as stack:
        variables = Application(sim, folder, stack).variables()
        subprocess.run([sys.executable, "-c", PREPARE], env=variables, check=True, timeout=60)
    return folder / "control.db"


@pytest.fixture(params=[FlaskApplication, DjangoApplication], ids=["flask", "django"])
def application(request: pytest.FixtureRequest, database: Path, tmp_path: Path) -> Iterator[Application]:
    with Simulator() as sim, ExitStack() as stack:
        made: Application = request.param(sim, tmp_path, stack)
        if isinstance(made, DjangoApplication):
            shutil.copy(database, tmp_path / "control.db")
        yield made


@pytest.fixture
def owner(application: Application) -> Started:
    owner = application.own()
    application.sim.wait_for_client(2, timeout=PATIENCE)
    return owner


@pytest.fixture
def site(application: Application, owner: Started, free_port: int) -> Site:
    return application.serve(free_port)


def listed(site: Site, call_id: str) -> dict[str, Any]:
    """The call as the application shows it, once an owner has stored it."""
    until(lambda: any(call["call_id"] == call_id for call in site.calls()))
    return next(call for call in site.calls() if call["call_id"] == call_id)


def children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def wait_for_audio(stream: Stream) -> None:
    """Return once half a second has been sent."""
    until(lambda: len(stream.sent["inbound"]) >= 8000)


def saved(owner: Started, count: int) -> list[str]:
    """The paths that the owner's receivers have printed, once there are so many."""

    def found() -> list[str]:
        return re.findall(r"^saved (\S+),", owner.output, re.MULTILINE)

    until(lambda: len(found()) >= count)
    return found()


def test_a_stream_on_a_call_that_another_process_owns(application: Application, owner: Started, site: Site) -> None:
    phones = [application.call() for _ in range(2)]
    phone, other = phones
    for each in phones:
        call = listed(site, each.call_id)
        assert (call["caller"], call["control_id"]) == (FROM, None)
    for number in (1, 2):  # a stream that was stopped can be followed by another one
        status, call = site.start(phone.call_id)
        assert (status, call["call_id"]) == (201, phone.call_id)
        stream = phone.wait_for_stream(number - 1, timeout=PATIENCE)
        stream.wait_until("streaming", PATIENCE)
        wait_for_audio(stream)
        assert listed(site, phone.call_id)["control_id"] == call["control_id"]
        assert listed(site, other.call_id)["control_id"] is None
        # A second stream is refused, and the first one continues.
        assert site.start(phone.call_id) == (409, {"error": "the call already has a stream: stop it first"})
        assert stream.state == "streaming"
        assert site.stop(phone.call_id) == (200, {**call, "control_id": None})
        stream.wait_until("finished", PATIENCE)
        assert site.stop(phone.call_id) == (200, {**call, "control_id": None})  # stopping twice is no error
        assert len(saved(owner, number)) == number
    for path in saved(owner, 2):
        wav = read_wav(owner.folder / path)
        assert Path(path).name.startswith(phone.call_id)
        assert (wav.channels, any(wav.pcm)) == (2, True)
        assert wav.duration >= 0.4
    for each in phones:
        each.hang_up()
    until(lambda: site.calls() == [])
    assert site.start(phone.call_id) == (404, GONE)
    assert site.stop(phone.call_id) == (404, GONE)
    owner.terminate()


def test_calls_that_are_not_in_the_table_cannot_be_controlled(application: Application, site: Site) -> None:
    for unknown in ("3b2d0c1e-0000-4000-8000-000000000000", "%2e%2e", "x" * 300, "%00"):
        assert site.start(unknown) == (404, GONE)
        assert site.stop(unknown) == (404, GONE)
    assert application.sim.rest_requests == []


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's list of child processes")
def test_a_call_whose_owner_was_killed(application: Application, owner: Started, site: Site) -> None:
    """It remains in the table. REST reaches it as long as it lives, and the first command after that removes it."""
    phone = application.call()
    listed(site, phone.call_id)
    for process in (owner.process.pid, *children(owner.process.pid)):
        os.kill(process, signal.SIGKILL)
    application.sim.wait_until_gone()
    status, call = site.start(phone.call_id)
    assert status == 201  # the platform accepts it, and finds no receiver
    phone.wait_for_stream(timeout=PATIENCE).wait_until("finished", PATIENCE)
    assert site.stop(phone.call_id) == (200, {**call, "control_id": None})
    phone.hang_up()
    assert site.start(phone.call_id) == (404, GONE)
    assert site.calls() == []


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's list of child processes")
def test_a_call_whose_owner_was_killed_during_a_stream(application: Application, owner: Started, site: Site) -> None:
    """Nobody removes the ID of the stream, so a start is refused until the stream is stopped."""
    phone = application.call()
    listed(site, phone.call_id)
    assert site.start(phone.call_id)[0] == 201
    phone.wait_for_stream(timeout=PATIENCE).wait_until("streaming", PATIENCE)
    for process in (owner.process.pid, *children(owner.process.pid)):
        os.kill(process, signal.SIGKILL)
    application.sim.wait_until_gone()
    phone.hang_up()
    phone.wait_until("ended", PATIENCE)
    assert site.start(phone.call_id) == (409, {"error": "the call already has a stream: stop it first"})
    assert site.stop(phone.call_id)[0] == 200
    assert site.start(phone.call_id) == (404, GONE)
    assert site.calls() == []


def test_a_stream_that_ends_on_its_own_makes_room_for_another(application: Application, site: Site) -> None:
    phone = application.call()
    listed(site, phone.call_id)
    assert site.start(phone.call_id)[0] == 201
    stream = phone.wait_for_stream(timeout=PATIENCE)
    stream.wait_until("streaming", PATIENCE)
    stream.cut()
    until(lambda: listed(site, phone.call_id)["control_id"] is None)
    assert site.start(phone.call_id)[0] == 201


def test_a_platform_that_refuses_or_fails(application: Application, site: Site) -> None:
    phone = application.call()
    listed(site, phone.call_id)
    application.sim.refuse("calling.stream", code=422, message="no streams today")
    status, told = site.start(phone.call_id)
    assert (status, "no streams today" in told["error"]) == (502, True)
    assert listed(site, phone.call_id)["control_id"] is None
    # It has started the stream, and its reply is lost: the ID remains, so that the stream can be stopped.
    application.sim.drop_reply("calling.stream")
    status, told = site.start(phone.call_id)
    assert (status, "may have executed it" in told["error"]) == (504, True)
    stream = phone.wait_for_stream(timeout=PATIENCE)
    stream.wait_until("streaming", PATIENCE)
    assert listed(site, phone.call_id)["control_id"] is not None
    assert site.start(phone.call_id)[0] == 409
    assert site.stop(phone.call_id)[0] == 200
    stream.wait_until("finished", PATIENCE)


def test_a_platform_that_cannot_be_reached(application: Application, owner: Started, free_port: int) -> None:
    phone = application.call()
    with hold_port() as elsewhere:
        nowhere = f"http://127.0.0.1:{elsewhere.getsockname()[1]}"
        site = application.serve(free_port, SIGNALWIRE_SPACE=nowhere)
        listed(site, phone.call_id)
        status, told = site.start(phone.call_id)
        assert (status, "nothing was sent" in told["error"]) == (503, True)
        assert listed(site, phone.call_id)["control_id"] is None


def test_a_platform_that_does_not_reply(application: Application, owner: Started, free_port: int) -> None:
    phone = application.call()
    with Scripted(hang_up, *[answer(404, b"{}")] * 2) as platform:
        site = application.serve(free_port, SIGNALWIRE_SPACE=platform.host)
        listed(site, phone.call_id)
        status, told = site.start(phone.call_id)
        assert (status, "may have executed it" in told["error"]) == (504, True)
        control_id = listed(site, phone.call_id)["control_id"]
        assert control_id in platform.requests.get(timeout=PATIENCE).decode()
        assert site.stop(phone.call_id)[0] == 200  # there was no such stream
        assert control_id in platform.requests.get(timeout=PATIENCE).decode()
        assert listed(site, phone.call_id)["control_id"] is None


def test_two_requests_at_the_same_time_start_one_stream(application: Application, site: Site) -> None:
    phone = application.call()
    listed(site, phone.call_id)
    requests = [Background(site.start, phone.call_id) for _ in range(4)]
    answers = sorted(request.result(PATIENCE)[0] for request in requests)
    assert answers == [201, 409, 409, 409]
    assert [entry.command for entry in application.sim.rest_requests] == ["calling.stream"]


def test_a_platform_that_rejects_the_credentials(application: Application, owner: Started, free_port: int) -> None:
    site = application.serve(free_port, SIGNALWIRE_API_TOKEN="PT-wrong")
    phone = application.call()
    listed(site, phone.call_id)
    assert site.start(phone.call_id) == (500, {"error": "this server's settings are wrong: see its log"})
    assert listed(site, phone.call_id)["control_id"] is None


@pytest.mark.parametrize("application", [DjangoApplication], indirect=True)
def test_a_site_behind_a_proxy_with_tls(application: Application, owner: Started, free_port: int) -> None:
    """Django then asks for a Referer or an Origin of the site, which browsers send."""
    phone = application.call()
    site = application.serve(free_port)
    listed(site, phone.call_id)
    with hold_port() as held:
        port = held.getsockname()[1]
        command = ("-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "switchboard.wsgi")
        application.launch("behind", *command, port=port, DJANGO_BEHIND_TLS="1")
        wait_for_port(port)
        headers = {**site.headers, "X-Forwarded-Proto": "https"}
        behind = Site(f"http://127.0.0.1:{port}", headers, site.cookies)
        path = f"/calls/{phone.call_id}/stream"
        assert behind.open("POST", path)[0] == 403
        for name, given, status in (
            ("Referer", "https://elsewhere.example/", 403),
            ("Origin", f"http://127.0.0.1:{port}", 403),
            ("Referer", f"https://127.0.0.1:{port}/", 201),
            ("Origin", f"https://127.0.0.1:{port}", 409),
        ):
            behind.headers = {**headers, name: given}
            assert behind.open("POST", path)[0] == status, (name, given)


def test_only_users_control_calls(application: Application, site: Site) -> None:
    phone = application.call()
    listed(site, phone.call_id)
    headers = dict(site.headers)
    site.headers = {}  # what a form on another site's page sends, with the cookies
    assert site.open("POST", f"/calls/{phone.call_id}/stream")[0] in (401, 403)
    site.headers = {name: f"{value[:-1]}?" for name, value in headers.items()}
    assert site.open("POST", f"/calls/{phone.call_id}/stream")[0] in (401, 403)
    site.headers = headers
    site.cookies.clear()
    if isinstance(application, FlaskApplication):
        site.headers = {}
    for method, path in (("GET", "/calls"), ("POST", f"/calls/{phone.call_id}/stream")):
        assert site.open(method, path)[0] in (401, 403)
    assert application.sim.rest_requests == []
