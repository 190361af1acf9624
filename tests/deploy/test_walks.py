"""The pages on Flask and Django, from their steps for a server: calls, website, TLS and metrics work as they stand."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from relay_sync.audio import read_wav
from relay_sync.simulator import Simulator
from tests.support import ROOT, deploy_files
from tests.support.hosting import PATIENCE, environment, launched, wait_for_port
from tests.support.lines import FROM, TO
from tests.support.nginx import NAME, Nginx, Places, machine, nginx, replaced, trusting
from tests.support.pages import blocks
from tests.support.ports import hold_port
from tests.support.prometheus import prometheus, wait_for
from tests.support.walks import install, steps

PORTS = deploy_files.port_range()
WWW = "www.example.com"
SETTINGS = """
INSTALLED_APPS += ["shop", "relay_sync.contrib.django"]
RELAY_SYNC = {"contexts": ["default"]}
"""


def named_blocks(page: str) -> dict[str, str]:
    """The programs of a page by the names of their files."""
    found = {}
    for block in blocks((ROOT / "docs" / page).read_text(encoding="utf-8")):
        name = re.match(r"# ([\w/]+\.py)\n", block)
        if name is not None:
            found[name[1]] = block
    return found


def flask_checkout(folder: Path) -> None:
    (folder / "app.py").write_text(named_blocks("flask.md")["app.py"], encoding="utf-8")


def django_checkout(folder: Path) -> None:
    for words in (["startproject", "project", "."], ["startapp", "shop"]):
        subprocess.run([sys.executable, "-m", "django", *words], cwd=folder, check=True, timeout=30)
    with (folder / "project" / "settings.py").open("a", encoding="utf-8") as settings:
        settings.write(SETTINGS)
    for name, block in named_blocks("django.md").items():
        if name != "project/settings.py":
            (folder / name).write_text(block, encoding="utf-8")


CHECKOUTS: Mapping[str, Callable[[Path], None]] = {"flask.md": flask_checkout, "django.md": django_checkout}


def get(proxy: Nginx, path: str) -> tuple[int, bytes]:
    """What the website answers, through nginx and TLS."""
    connection = http.client.HTTPSConnection(WWW, context=trusting())
    connection.sock = proxy.connect(WWW)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def ready(page: str, health: str) -> str:
    """What the command of the page prints that waits for a process."""
    (command,) = (line for line in steps(page) if line.startswith("curl ") and line.endswith("/ready"))
    done = subprocess.run(
        shlex.split(command.replace("127.0.0.1:9700", health)), capture_output=True, text=True, check=True, timeout=60
    )
    assert not done.stderr
    return done.stdout


def until(ready: Callable[[], object], what: Callable[[], str]) -> None:
    end = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < end, what()
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("page", CHECKOUTS)
def test_the_steps_lead_to_a_working_server(page: str, tmp_path: Path) -> None:
    checkout, root = tmp_path / "checkout", tmp_path / "root"
    checkout.mkdir()
    CHECKOUTS[page](checkout)
    with ExitStack() as stack:
        installed = install(page, checkout, root)
        here = stack.enter_context(machine(PORTS))
        health_port, web_port = (stack.enter_context(hold_port()).getsockname()[1] for _ in range(2))
        conf = root / "etc/nginx/conf.d"
        assert (conf / "relay.conf").read_text(encoding="utf-8") == deploy_files.text("nginx.conf")
        website = replaced((conf / "web.conf").read_text(encoding="utf-8"), {"127.0.0.1:8000": f"127.0.0.1:{web_port}"})
        proxy = stack.enter_context(nginx(Places(here=here), beside=website))
        sim = stack.enter_context(Simulator(media_ssl_context=trusting()))
        (address,) = re.findall(r"^AUDIO_URL=(.+)$", (root / "etc/relay/relay.env").read_text(), re.MULTILINE)
        own = {"AUDIO_URL": address.replace(NAME, f"localhost:{proxy.port}"), "AUDIO_HOST": here}
        given = environment(sim, PYTHONPATH=f"{root}/srv/relay:{ROOT}", PYTHONUNBUFFERED="1", **own)
        health = f"127.0.0.1:{health_port}"
        command = [word.replace("127.0.0.1:9700", health) for word in installed.unit("relay.service")]
        relay = stack.enter_context(launched(root / "var/lib/relay", given, *command))
        command = [word.replace("127.0.0.1:8000", f"127.0.0.1:{web_port}") for word in installed.unit("web.service")]
        (root / "var/lib/web").mkdir()
        web = stack.enter_context(launched(root / "var/lib/web", given, *command))

        assert re.match(r"[12] of 2 processes connected\nprocess 0: ", ready(page, health)), relay.output
        sim.wait_for_client(2, timeout=PATIENCE)
        phones = [sim.call(to=TO, from_=FROM, says=bytes(32000), hangs_up_after_speaking=True) for _ in range(2)]
        for phone in phones:
            phone.wait_until("ended", PATIENCE)
        files = [root / "var/lib/relay" / f"{phone.call_id}.wav" for phone in phones]
        until(lambda: all(file.exists() for file in files), lambda: relay.output)
        until(lambda: relay.output.count("saved") == 2, lambda: relay.output)
        for phone in phones:
            assert f"call {phone.call_id} is taken by this client" in relay.output
        assert [read_wav(file).duration for file in files] == [pytest.approx(2.0, abs=0.2)] * 2
        assert {urllib.parse.urlsplit(phone.streams[0].url).port for phone in phones} == {proxy.port}
        assert len({phone.streams[0].url for phone in phones}) == 2, "each process has a path"

        wait_for_port(web_port)
        if page == "django.md":  # with the tables that the steps have created
            assert get(proxy, "/admin/login/")[0] == 200, web.output
            assert (root / "var/lib/relay/db.sqlite3").exists()
        status, body = get(proxy, "/relay/health")
        assert (status, json.loads(body)["state"]) == (200, "idle"), web.output

        (query,) = re.findall(r"^curl \S+query=(\w+)", "\n".join(steps(page)), re.MULTILINE)
        often = {"127.0.0.1:9700": health, "scrape_interval: 15s": "scrape_interval: 1s"}
        text = replaced((root / "etc/prometheus/prometheus.yml").read_text(encoding="utf-8"), often)
        (tmp_path / "prometheus.yml").write_text(text, encoding="utf-8")
        shutil.copy(root / "etc/prometheus/alerts.yml", tmp_path)
        wait_for(stack.enter_context(prometheus(tmp_path)), query, {"0": 1, "1": 1}, tmp_path)
        web.terminate()
        relay.terminate()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_shipped_program_takes_calls_in_both_processes_of_the_unit(tmp_path: Path) -> None:
    """With the command of the unit, and so of the image, and the address that ``env.example`` names."""
    (address,) = re.findall(r"^AUDIO_URL=(.+)$", deploy_files.text("env.example"), re.MULTILINE)
    with ExitStack() as stack:
        here = stack.enter_context(machine(PORTS))
        health = f"127.0.0.1:{stack.enter_context(hold_port()).getsockname()[1]}"
        proxy = stack.enter_context(nginx(Places(here=here)))
        sim = stack.enter_context(Simulator(media_ssl_context=trusting()))
        own = {"AUDIO_URL": address.replace(NAME, f"localhost:{proxy.port}"), "AUDIO_HOST": here}
        given = environment(sim, PYTHONPATH=f"{deploy_files.FOLDER}:{ROOT}", PYTHONUNBUFFERED="1", **own)
        _, *arguments = shlex.split(deploy_files.setting("ExecStart"))
        arguments = [word.replace("127.0.0.1:9700", health) for word in arguments]
        relay = stack.enter_context(launched(tmp_path, given, "-m", "relay_sync", *arguments))
        sim.wait_for_client(2, timeout=PATIENCE)
        phones = [sim.call(to=TO, from_=FROM, says=bytes(32000), hangs_up_after_speaking=True) for _ in range(2)]
        for phone in phones:
            phone.wait_until("ended", PATIENCE)
        until(lambda: relay.output.count("saved") == 2, lambda: relay.output)
        assert len({phone.streams[0].url for phone in phones}) == 2
        files = [tmp_path / f"{phone.call_id}.wav" for phone in phones]
        assert [read_wav(file).duration for file in files] == [pytest.approx(2.0, abs=0.2)] * 2
        for path, answer in (("live", ""), ("ready", "2 of 2 processes connected")):
            with urllib.request.urlopen(f"http://{health}/{path}", timeout=PATIENCE) as response:
                assert answer in response.read().decode()
        relay.terminate()


@pytest.mark.parametrize("page", CHECKOUTS)
def test_the_steps_name_what_is_shipped(page: str) -> None:
    text = "\n".join(steps(page))
    named = set(re.findall(r"examples/deploy/([\w.-]+)", text))
    assert named == {
        "env.example",
        "relay.service",
        "web.service",
        "nginx.conf",
        "web.conf",
        "prometheus.yml",
        "alerts.yml",
        "as-relay",
    }
    # What sed replaces is there.
    for words, file in re.findall(r"sed 's\|([^|]+)\|[^|]*\|' examples/deploy/(\S+)", text):
        assert words in deploy_files.text(file)


@pytest.mark.parametrize("page", CHECKOUTS)
def test_the_commands_by_hand_are_those_of_the_units(page: str) -> None:
    typed = [
        shlex.split(line.removeprefix("sudo as-relay ")) for line in steps(page) if line.startswith("sudo as-relay ")
    ]
    for name in ("relay.service", "web.service"):
        text = deploy_files.text(name)
        for old, new in re.findall(
            rf"^sed 's\|([^|]+)\|([^|]*)\|' examples/deploy/{name}", "\n".join(steps(page)), re.MULTILINE
        ):
            text = replaced(text, {old: new})
        program, *arguments = shlex.split(deploy_files.setting("ExecStart", text))
        assert [Path(program).name, *arguments] in typed
