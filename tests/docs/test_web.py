"""The pages on webhooks, REST and the simulator as a server: their programs run, as processes of their own."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from relay_sync import Call, RelayClient
from relay_sync.audio import read_wav
from relay_sync.rest import RemoteCall, RestClient
from relay_sync.simulator import Simulator
from relay_sync.simulator.http.control.requests import CONNECTIONS, FAULTS
from relay_sync.simulator.http.control.routes import ROUTES
from relay_sync.testing import variables_of
from tests.support import PATIENCE, ROOT
from tests.support.callbacks import KEY
from tests.support.control import simulate
from tests.support.lines import line
from tests.support.pages import blocks
from tests.support.peers import Receiver

START = 30.0


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def programs(name: str) -> list[str]:
    return blocks(page(name))


@contextmanager
def running(program: str, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=START)


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    text = process.stdout.readline().rstrip("\n")
    assert text, process.communicate(timeout=START)
    return text


@pytest.mark.slow
def test_a_stream_started_and_told_of_by_other_processes(tmp_path: pathlib.Path) -> None:
    """One process owns the call, one starts and stops the stream by REST, one takes the webhooks."""
    hooks, (stream, *_) = programs("webhooks.md")[0], programs("rest.md")
    with (
        Simulator(media="fast", signing_key=KEY) as sim,
        Receiver() as receiver,
        running(hooks, "0", SIGNALWIRE_SIGNING_KEY=KEY) as listening,
        line(sim) as it,
    ):
        port = re.fullmatch(r"listening on port (\d+)", line_of(listening))
        assert port is not None
        # The page's program has no status_url: it is put in where a reader would.
        stream = stream.replace('track="both"', f'track="both", status_url="http://127.0.0.1:{port[1]}/status"')
        with it.call.expect("calling.call.stream", lambda event: event.state == "finished", START):
            with running(stream, it.call.call_id, receiver.url, "0.1", **variables_of(sim)) as commanding:
                first = re.fullmatch(rf"call {it.call.call_id} is answered; stream (\S+) runs", line_of(commanding))
                assert first is not None
                assert line_of(commanding) == "stopped"
                assert commanding.wait(START) == 0
        for state in ("streaming", "finished"):
            assert line_of(listening) == f"stream {first[1]}: {state}"
            assert line_of(listening) == f"  call {it.call.call_id}, the signature is valid"
        it.phone.hang_up()
        it.call.wait_for_ended(PATIENCE)
        with running(stream, it.call.call_id, receiver.url, "0.1", **variables_of(sim)) as late:
            _, error = late.communicate(timeout=START)
            assert (late.returncode, "no stream: calling.stream was refused" in error) == (1, True)


def test_the_server_for_webhooks_takes_nothing_from_web_pages() -> None:
    with running(programs("webhooks.md")[0], "0", SIGNALWIRE_SIGNING_KEY=KEY) as listening:
        port = line_of(listening).removeprefix("listening on port ")
        for origin in ("https://evil.example", "null", f"http://127.0.0.1:{port}"):
            request = urllib.request.Request(f"http://127.0.0.1:{port}/", b"{}", {"Origin": origin})
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(request, timeout=PATIENCE)


def test_a_recording_is_made_and_downloaded(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = programs("rest.md")[2]
    assert "sys.argv[1]" in program
    monkeypatch.chdir(tmp_path)
    with Simulator(media="fast") as sim, line(sim) as it:
        action = it.call.record({"format": "wav"})
        it.call.play_silence(2).wait(PATIENCE)
        action.stop()
        action.wait(PATIENCE)
        for name, value in variables_of(sim).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["download.py", action.url])
        exec(program, {})
        assert capsys.readouterr().out == f"{action.size} bytes\n"
    assert (tmp_path / "call.wav").stat().st_size == action.size
    assert read_wav(tmp_path / "call.wav").sample_rate == 8000


@pytest.mark.slow
def test_a_program_is_checked_from_outside(tmp_path: pathlib.Path) -> None:
    program = programs("simulate.md")[0]
    with simulate(tmp_path) as server:
        client = RelayClient(
            server.told["project"], server.told["token"], host=server.told["host"], contexts=["default"]
        )

        @client.on_call
        def handle(call: Call) -> None:
            call.answer()
            call.play_tts("Welcome to Example Inc.").wait(PATIENCE)
            call.wait_for_ended(PATIENCE)

        with client:
            client.connect()
            with running(program, str(tmp_path / "simulator.json")) as checking:
                assert line_of(checking) == "the caller heard: Welcome to Example Inc."
                assert line_of(checking) == "the call: hangup"
                assert checking.wait(START) == 0
            with running(program) as checking:
                assert checking.communicate(timeout=START)[1] == "usage: python check.py simulator.json\n"
                assert checking.returncode == 1
        server.process.terminate()
        server.process.communicate(timeout=START)


#: What stands for the last part of a path in the table.
KINDS = {"faults": "<kind>", "connections": "<what>"}


def test_every_path_and_fault_is_on_the_page() -> None:
    text = page("simulate.md")
    for route in ROUTES:
        shown = re.sub(r"^/(faults|connections)/.*", lambda match: f"/{match[1]}/{KINDS[match[1]]}", route.path)
        assert f"`{route.method} {shown.replace('{id}', '<id>')}`" in text
    for name in (*FAULTS, *CONNECTIONS):
        assert f"`{name}`" in text


def test_every_command_is_on_the_page() -> None:
    text = page("rest.md")
    names = {name for kind in RemoteCall.__mro__ for name in vars(kind) if not name.startswith("_")}
    for name in names - {"call_id", "info"}:
        assert f"`{name}`" in text
    for name in ("dial", "command", "download", "call"):
        assert f"rest.{name}(" in text
        assert hasattr(RestClient, name)


def test_a_stream_is_not_begun_for_a_time_that_is_no_number() -> None:
    with Simulator(media="fast") as sim, line(sim) as it:
        with running(
            programs("rest.md")[0], it.call.call_id, "ws://127.0.0.1:9/", "soon", **variables_of(sim)
        ) as given:
            _, error = given.communicate(timeout=START)
        assert (given.returncode, error.splitlines()[-1]) == (
            1,
            "ValueError: could not convert string to float: 'soon'",
        )
        assert sim.rest_requests == []


def test_a_stream_whose_time_is_broken_off_is_stopped() -> None:
    program = programs("rest.md")[0]
    with Simulator(media="fast") as sim, Receiver() as receiver, line(sim) as it:
        with running(program, it.call.call_id, receiver.url, "nan", **variables_of(sim)) as given:
            _, error = given.communicate(timeout=START)
        assert (given.returncode, "ValueError" in error) == (1, True)
        assert [entry.command for entry in sim.rest_requests] == ["calling.stream", "calling.stream.stop"]
