"""Programs that do it wrong get the sentence that helps, in the terminal and on the page."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.support.commands import run
from tests.support.dev import ANSWER, dev, lines, surroundings

pytestmark = [
    pytest.mark.traced,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are listed only there"),
]
WINS = "arguments to RelayClient win over the environment that dev sets"


def with_arguments(text: str) -> str:
    given = 'RelayClient(contexts=["default"])'
    assert given in ANSWER
    return ANSWER.replace(given, f"RelayClient({text})")


def output_of(folder: Path, program: str, until: str) -> list[str]:
    """The output of a program that is interrupted once it contains a text, and has ended."""
    with dev(folder, "answer.py", program=program) as process:
        process.wait_for_output(until)
        process.process.send_signal(signal.SIGINT)
        process.process.wait(20)
    return lines(process)


def test_credentials_as_arguments(tmp_path: Path) -> None:
    """The client connects to the platform, or tries to, and not to the simulator."""
    program = with_arguments('contexts=["default"], project="p", token="PTx", host="ws://127.0.0.1:9"')
    printed = output_of(tmp_path, program, "no client has connected within 5 s")
    assert (
        "dev|no client has connected within 5 s of the start of answer.py: if it is not still starting, remove project, token"
        f" and host, because {WINS}; the program must also call run() or connect()"
    ) in printed


def test_a_project_of_its_own(tmp_path: Path) -> None:
    program = with_arguments('contexts=["default"], project="p", token="PTx"')
    printed = output_of(tmp_path, program, "before a client connected")
    assert f"dev|a client with other credentials was refused: {WINS}, so remove project and token from them" in printed
    assert f"dev|answer.py ended with exit code 1 before a client connected: {WINS}" in printed


def test_a_host_of_its_own_that_cannot_be_reached(tmp_path: Path) -> None:
    """The client's own error names SIGNALWIRE_SPACE, which is right in the environment of the program."""
    program = with_arguments('contexts=["default"], project="p", token="PTx", host="no-such-space.invalid"')
    printed = output_of(tmp_path, program, "before a client connected")
    assert (
        "dev|answer.py ended with exit code 1 before a client connected: see its output in the terminal; if it could not"
        f" connect, remove project, token and host, because {WINS}"
    ) in printed


def test_another_context(tmp_path: Path) -> None:
    with dev(tmp_path, "answer.py", program=with_arguments('contexts=["sales"]')) as process:
        process.wait_for_output("has connected")
        done = run("sim", "call", "--timeout", "2", cwd=tmp_path, **surroundings(tmp_path))
        assert done.returncode == 1
        process.terminate()
    assert (
        "dev|the call from +15550199 waits: no client has subscribed to context 'default'; clients have subscribed to"
        " 'sales'; call one of these, or add the context to the contexts of RelayClient"
    ) in lines(process)
    assert "is waiting" not in process.output  # The simulator's warning says the same in other words.


def test_a_stream_to_another_host(tmp_path: Path) -> None:
    program = ANSWER.replace("call.answer()\n", 'call.answer()\n    call.stream("wss://audio.example.com/x")\n')
    with dev(tmp_path, "answer.py", program=program) as process:
        process.wait_for_output("has connected")
        run("sim", "call", "--hangs-up-after", "0.5", cwd=tmp_path, **surroundings(tmp_path))
        process.terminate()
    assert (
        "dev|a stream to audio.example.com was not opened, because the simulator connects only to this machine: pass the"
        " URL of an AudioServer without a public_url"
    ) in lines(process)
    assert "allow_remote" not in process.output  # The simulator's warning names an option that dev does not have.


def test_an_exit_before_it_connects(tmp_path: Path) -> None:
    program = ANSWER.partition("if __name__")[0]
    with dev(tmp_path, "answer.py", program=program) as process:
        process.wait_for_output("before a client connected")
        process.terminate()
    assert (
        "dev|answer.py ended with exit code 0 before a client connected: call client.run(), which waits for calls"
    ) in lines(process)
