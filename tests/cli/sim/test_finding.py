"""Which simulator the commands use, and that only the simulator that wrote the file receives the key."""

from __future__ import annotations

import gzip
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from relay_sync.cli import main
from relay_sync.cli.runtime_files import RunningSimulator, find_files, write_file
from relay_sync.hosts.proof import proof_of
from relay_sync.simulator import ControlInterface, Simulator
from tests.support.sims import found_by_commands

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="other rights and locks there")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("RELAY_SIMULATOR_CONTROL_TOKEN", raising=False)
    return tmp_path / "relay-sync"


@contextmanager
def impostor(answer: bytes, status: int = 200, **headers: str) -> Iterator[tuple[str, list[str]]]:
    """A program on the port of a simulator that was killed. Yield its URL and the credentials that it received."""
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="test-impostor")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/simulator", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def running(control: str, pid: int = 0) -> RunningSimulator:
    return RunningSimulator(
        pid=pid or os.getppid(), control=control, key="a-key", id="an-id", command="relay-sync simulate", started=9e9
    )


def test_without_a_simulator_it_says_how_to_start_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "calls"]) == 1
    assert capsys.readouterr().err == (
        'relay-sync sim: no simulator is running; start one with "relay-sync dev PROGRAM" or "relay-sync simulate", or'
        " pass --simulator URL\n"
    )


def test_the_newest_is_used_and_named(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    with found_by_commands(sim) as control:
        assert main(["sim", "calls"]) == 0
    shown = capsys.readouterr()
    assert shown.err == f"simulator: {control.url}, process {os.getpid()}: relay-sync dev answer.py\n"
    assert shown.out == "0 calls in progress\n"


@pytest.mark.parametrize("how", ["process", "address", "path", "slash"])
def test_one_can_be_named(how: str, sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    with found_by_commands(sim) as control:
        address = control.url.removesuffix("/simulator")
        named = {"process": str(os.getpid()), "address": address, "path": control.url, "slash": f"{address}/"}
        assert main(["sim", "calls", "--simulator", named[how]]) == 0
    assert f"process {os.getpid()}" in capsys.readouterr().err


def test_one_without_a_file_needs_its_key(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ControlInterface(sim) as control:
        assert main(["sim", "calls", "--simulator", control.url]) == 2
        assert "set RELAY_SIMULATOR_CONTROL_TOKEN to it" in capsys.readouterr().err
        monkeypatch.setenv("RELAY_SIMULATOR_CONTROL_TOKEN", "wrong")
        assert main(["sim", "calls", "--simulator", control.url]) == 1
        assert "refused the key" in capsys.readouterr().err
        monkeypatch.setenv("RELAY_SIMULATOR_CONTROL_TOKEN", control.key)
        assert main(["sim", "calls", "--simulator", control.url]) == 0
        assert control.key not in "".join(capsys.readouterr())


@pytest.mark.parametrize("answer", [b"{}", b"[]", b"5", b'{"entries": 1, "next": "x"}', b"[1]", b'"text"', b""])
@pytest.mark.parametrize("action", [["calls"], ["journal"]])
def test_a_server_that_is_no_simulator(
    answer: bytes, action: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RELAY_SIMULATOR_CONTROL_TOKEN", "a-key")
    with impostor(answer) as (url, _):
        code = main(["sim", *action, "--simulator", url])
    shown = capsys.readouterr().err
    assert code == 1 or (action, answer) == (["calls"], b"{}") or (action, answer) == (["calls"], b"[]")
    assert "Traceback" not in shown
    if code:
        assert "is not" in shown


def test_a_compressed_reply_is_not_decompressed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A short reply could otherwise keep the command busy."""
    monkeypatch.setenv("RELAY_SIMULATOR_CONTROL_TOKEN", "a-key")
    with impostor(gzip.compress(b"[]"), Content_Encoding="gzip") as (url, _):
        assert main(["sim", "calls", "--simulator", url]) == 1
    assert "its reply is not JSON" in capsys.readouterr().err


def test_control_characters_of_others_do_not_reach_the_terminal(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They could change its title, or what was printed before."""
    monkeypatch.setenv("RELAY_SIMULATOR_CONTROL_TOKEN", "a-key")
    with impostor(b'{"error": "odd\\u001b[2J\\nname"}', 400) as (url, _):
        assert main(["sim", "calls", "--simulator", url]) == 1
    assert capsys.readouterr().err.splitlines()[1:] == ["relay-sync sim: odd[2Jname"]
    sim.journal.add("in", 0, {"jsonrpc": "2.0", "method": "odd\x1b[2J\rname", "params": {}})
    with found_by_commands(sim):
        assert main(["sim", "journal"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "  odd[2Jname  {}" in line


def test_a_key_on_the_command_line_is_refused_and_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    for link in ("http://127.0.0.1:9/#key=secret", "http://:secret@127.0.0.1:9", "http://127.0.0.1:9/?key=secret"):
        assert main(["sim", "calls", "--simulator", link]) == 2
        shown = capsys.readouterr().err
        assert "can be read by other users" in shown
        assert "secret" not in shown


@pytest.mark.parametrize("given", ["", "answer.py", "ftp://127.0.0.1", "http://", "http://[", "http://host:port"])
def test_what_is_neither_process_nor_url_is_refused(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "calls", "--simulator", given]) == 2
    assert "expected a process ID, or a URL" in capsys.readouterr().err


def test_a_process_without_a_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "calls", "--simulator", "1"]) == 1
    assert "process 1 is not a simulator of this user" in capsys.readouterr().err


@pytest.mark.parametrize(
    "answer",
    [
        b'{"proof": "0000"}',
        b'{"proof": null}',
        json.dumps({"proof": proof_of("another-id", "x")}).encode(),
        b'{"id": "an-id"}',
        b"[]",
        b"<html>",
        b"",
        b"[" * 100_000,
    ],
)
def test_who_took_the_port_of_a_killed_simulator_does_not_receive_the_key(
    answer: bytes, sim: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    with impostor(answer) as (url, received):
        with write_file(running(url)) as path:
            text = path.read_text()
        path.write_text(text)
        with found_by_commands(sim):
            assert main(["sim", "calls"]) == 0  # with the next one
            assert f"process {os.getpid()}" in capsys.readouterr().err
            assert not path.exists()
            assert len(find_files()) == 1
    assert received == [""]


def test_a_port_that_nobody_listens_on(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        mine = running(f"http://127.0.0.1:{held.getsockname()[1]}/simulator")
        with write_file(mine):
            assert main(["sim", "calls", "--simulator", str(mine.pid)]) == 1
            assert f"the simulator of process {mine.pid} does not answer" in capsys.readouterr().err
            assert find_files() == [mine]  # It is locked, so it may only be busy.


@pytest.mark.slow
def test_one_that_never_answers_is_given_up(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/simulator"
        with write_file(running(url)), found_by_commands(sim):
            assert main(["sim", "calls"]) == 0
    assert f"process {os.getpid()}" in capsys.readouterr().err


def test_a_folder_that_is_refused_is_named(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.symlink_to(tmp_path)
    assert main(["sim", "calls"]) == 1
    assert f"the folder {folder} is a symbolic link" in capsys.readouterr().err
