"""The page on calls of other processes: its programs run, and its commands start the applications as a reader types them."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from relay_sync.audio import AudioServer, read_wav
from relay_sync.rest import RestClient
from relay_sync.simulator import Simulator, speech
from relay_sync.simulator.people.phone import Phone
from tests.support import ROOT
from tests.support.background import until
from tests.support.hosting import PATIENCE, Started, environment, launched, wait_for_port
from tests.support.lines import FROM, TO, line
from tests.support.nginx import replaced
from tests.support.pages import blocks

PASSWORD: Final = "of-the-tests"
PAGE: Final = (ROOT / "docs" / "control.md").read_text(encoding="utf-8")
OWN, STOP, START, *EXCERPTS = blocks(PAGE)
FILES: Final = ("control_owner.py", "control_flask.py", "control_django/switchboard/views.py")


def run(program: str, sim: Simulator, folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", program, *arguments]
    variables = environment(sim, **more)
    return subprocess.run(
        words, cwd=folder, env=variables, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@pytest.mark.slow
def test_the_programs_of_the_page(tmp_path: Path) -> None:
    with Simulator() as sim, launched(tmp_path, environment(sim), "-u", "-c", OWN) as owner:
        sim.wait_for_client(timeout=PATIENCE)
        phone = sim.call(to=TO, from_=FROM, says=speech.caller())
        until(lambda: "\n" in owner.output)
        call_id, control_id = owner.output.split()
        assert call_id == phone.call_id
        assert run(STOP, sim, tmp_path, call_id, control_id).returncode == 0
        owner.wait_for_output("the stream has stopped\n")
        # The other way round: a stream that the owner receives, and has not started.
        with AudioServer(token="of-both") as audio:
            done = run(START, sim, tmp_path, call_id, audio.url, RELAY_AUDIO_TOKEN="of-both")
            assert done.returncode == 0, done.stderr
            with audio.accept(PATIENCE) as stream:
                assert stream.call_id == call_id
                assert stream.action is None
                assert stream.custom_parameters == {"control_id": done.stdout.strip()}
                assert run(STOP, sim, tmp_path, call_id, done.stdout.strip()).returncode == 0
                assert stream.wait(PATIENCE)
                assert stream.end_reason == "stopped"
        assert "Traceback" not in owner.output
        phone.hang_up()
        owner.process.send_signal(signal.SIGTERM)
        assert owner.process.wait(PATIENCE) == 0, owner.output


def test_what_the_page_shows_of_the_examples_is_in_them() -> None:
    for excerpt, name in zip(EXCERPTS, FILES, strict=True):
        text = (ROOT / "examples" / name).read_text(encoding="utf-8")
        assert excerpt in text or textwrap.indent(excerpt, "    ") in text, name
        assert f"`examples/{name}`" in PAGE


@pytest.mark.slow
def test_a_stream_goes_to_relay_sync_listen(tmp_path: Path) -> None:
    """The owner of the call neither starts nor receives it."""
    token = {"RELAY_AUDIO_TOKEN": "of-both"}
    command = ("-m", "relay_sync", "listen", "--port", "0", "--save", "recordings")
    with (
        Simulator() as sim,
        launched(tmp_path, environment(sim, PYTHONUNBUFFERED="1", **token), *command) as receiver,
        line(sim, says=speech.caller()) as it,
    ):
        receiver.wait_for_output("listening on ")
        url = receiver.output.split()[2].rstrip(",;")
        done = run(START, sim, tmp_path, it.call.call_id, url, **token)
        assert done.returncode == 0, done.stderr
        stream = it.phone.wait_for_stream(timeout=PATIENCE)
        until(lambda: len(stream.sent["inbound"]) >= 8000)
        assert run(STOP, sim, tmp_path, it.call.call_id, done.stdout.strip()).returncode == 0
        stream.wait_until("finished", PATIENCE)
        receiver.process.send_signal(signal.SIGTERM)
        assert receiver.process.wait(PATIENCE) == 0, receiver.output
    (path,) = (tmp_path / "recordings").glob("*.wav")
    assert any(read_wav(path).pcm)


def test_what_the_owner_sees_when_its_stream_is_stopped(sim: Simulator) -> None:
    completed: list[str] = []
    with line(sim) as it, AudioServer() as audio, RestClient(**sim.credentials) as rest:
        with audio.listen(it.call, on_completed=lambda event: completed.append(event.state)) as stream:
            assert stream.action is not None
            rest.call(it.call.call_id).stream_stop(stream.action.control_id)
            assert stream.wait(PATIENCE)
            assert stream.end_reason == "stopped"
            assert stream.action.wait(PATIENCE).state == "finished"
            until(lambda: completed == ["finished"])


# -- as a reader types it ----------------------------------------------------------------------------------------------


def shells(*words: str) -> list[str]:
    """The page's shell blocks with these words."""
    return [block for block in blocks(PAGE, "sh") if all(word in block for word in words)]


@contextmanager
def terminal(folder: Path, sim: Simulator, name: str, script: str) -> Iterator[Started]:
    """A reader's terminal, in a folder that looks like the checkout, with the simulator's settings."""
    log = folder / name
    log.mkdir()
    variables = environment(sim, PYTHONUNBUFFERED="1", DJANGO_SUPERUSER_PASSWORD=PASSWORD)
    with (log / "output").open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-euc", script],
            cwd=folder,
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Started(process, log, 0)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(PATIENCE)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def placed(sim: Simulator) -> Phone:
    sim.wait_for_client(2, timeout=PATIENCE)
    phone = sim.call(to=TO, from_=FROM, says=speech.caller())
    phone.wait_until("answered", PATIENCE)
    return phone


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_flask_application_as_typed(checkout: Path, free_port: int) -> None:
    (secrets,) = shells("CONTROL_TOKEN=")
    (own,) = shells("control_owner:client")
    (serve,) = shells("control_flask:create_app()")
    (ask,) = shells("$CALL_ID", "$CONTROL_TOKEN")
    here = f"127.0.0.1:{free_port}"
    with Simulator() as sim, ExitStack() as stack:
        owner = stack.enter_context(terminal(checkout, sim, "owner", f"{secrets}exec {own}"))
        phone = placed(sim)
        stack.enter_context(terminal(checkout, sim, "web", f"{secrets}exec {serve.replace('127.0.0.1:8000', here)}"))
        wait_for_port(free_port)
        for command, shown in zip(ask.splitlines(), ('"since"', '"control_id":"', '"control_id":null'), strict=True):
            command = command.replace("127.0.0.1:8000", here).replace("curl", "curl -s --fail-with-body")
            with terminal(checkout, sim, shown, f"{secrets}CALL_ID={phone.call_id}\n{command}") as curl:
                assert curl.process.wait(PATIENCE) == 0, curl.output
                assert shown in curl.output
        phone.hang_up()
        owner.wait_for_output(f"saved {phone.call_id}.wav")
        assert (checkout / "examples" / f"{phone.call_id}.wav").exists()


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_django_application_as_typed(checkout: Path, free_port: int) -> None:
    here = f"127.0.0.1:{free_port}"
    (begin,) = shells("DJANGO_SECRET_KEY=")
    (commands,) = shells("manage.py createsuperuser")
    (serve,) = shells("switchboard.wsgi")
    (ask,) = shells("cookies.txt")
    # The terminal of a test answers no questions.
    commands = commands.replace("createsuperuser", "createsuperuser --noinput --username op --email op@example.com")
    *prepare, own = commands.splitlines()
    ask = replaced(
        ask, {"127.0.0.1:8000": here, "NAME": "op", "PASSWORD": PASSWORD, "curl": "curl -s --fail-with-body"}
    )
    with Simulator() as sim, ExitStack() as stack:
        with terminal(checkout, sim, "prepare", "\n".join((begin, *prepare))) as preparing:
            assert preparing.process.wait(PATIENCE) == 0, preparing.output
        owner = stack.enter_context(terminal(checkout, sim, "owner", f"{begin}\nexec {own}"))
        phone = placed(sim)
        web = stack.enter_context(
            terminal(checkout, sim, "web", f"{begin}\nexec {serve.replace('127.0.0.1:8000', here)}")
        )
        wait_for_port(free_port)
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            urllib.request.urlopen(f"http://{here}/calls", timeout=PATIENCE)
        with refused.value as answer:
            assert b"sign in as staff" in answer.read(), web.output
        with terminal(checkout, sim, "curl", f"CALL_ID={phone.call_id}\n{ask}") as curl:
            assert curl.process.wait(PATIENCE) == 0, curl.output + web.output
        assert curl.output.count('"since"') == 3, curl.output  # the list, the start and the stop
        phone.hang_up()
        owner.wait_for_output(f"saved {phone.call_id}.wav")
