"""``relay-sync dev``: the program runs beside the simulator, its output has its name, and nothing of it is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from relay_sync.cli.runtime_files import find_files
from tests.support.background import until
from tests.support.commands import run
from tests.support.dev import ANSWER, dev, is_running, lines, surroundings

pytestmark = [
    pytest.mark.traced,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are listed only there"),
]
CONNECTED = "has connected"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_program_that_drains_its_calls(tmp_path: Path, number: int) -> None:
    """The simulator hangs up, so that the program does not wait for a caller that cannot hang up."""
    with dev(tmp_path, "answer.py") as process:
        process.wait_for_output(CONNECTED)
        done = run("sim", "call", "--no-wait", cwd=tmp_path, **surroundings(tmp_path))
        call_id = done.stdout.strip()
        process.wait_for_output(CONNECTED)
        until(lambda: "answered" in run("sim", "calls", cwd=tmp_path, **surroundings(tmp_path)).stdout)
        process.terminate(number)
    assert f"answer.py|handled {call_id}" in lines(process)
    assert "killing" not in process.output


@pytest.mark.parametrize(
    "words",
    [["answer:client"], ["answer:client", "--processes", "2"], ["--", sys.executable, "answer.py"]],
    ids=["client", "processes", "command"],
)
def test_other_kinds_of_programs_take_a_call_and_leave_no_process(tmp_path: Path, words: list[str]) -> None:
    with dev(tmp_path, *words) as process:
        process.wait_for_output(CONNECTED)
        done = run("sim", "call", "--hangs-up-after", "0.1", cwd=tmp_path, **surroundings(tmp_path))
        assert done.returncode == 0, done.stderr
        process.wait_for_output("handled")
        process.terminate()
    assert "killing" not in process.output


STUBBORN = """
import os, signal, subprocess, sys, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
if len(sys.argv) == 1:
    for session in (False, True):
        child = subprocess.Popen([sys.executable, __file__, "child"], start_new_session=session)
        print("child", child.pid, flush=True)
    print("ready", flush=True)
time.sleep(100)
"""


def test_a_second_ctrl_c_kills_all_that_the_program_has_started(tmp_path: Path) -> None:
    with dev(tmp_path, "answer.py", program=STUBBORN) as process:
        process.wait_for_output("ready")
        children = [int(pid) for pid in re.findall(r"child (\d+)", process.output)]
        process.process.send_signal(signal.SIGINT)
        process.wait_for_output("press Ctrl-C again to kill it")
        process.process.send_signal(signal.SIGINT)
        assert process.process.wait(5) == 0, process.output
    assert len(children) == 2
    until(lambda: not any(map(is_running, children)))


def test_what_a_program_leaves_behind_is_ended(tmp_path: Path) -> None:
    """A process in the program's group outlives it, and holds its output open."""
    program = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
print("child", child.pid, flush=True)
"""
    with dev(tmp_path, "answer.py", program=program) as process:
        process.wait_for_output("ended with exit code 0")
        (child,) = re.findall(r"child (\d+)", process.output)
        until(lambda: not is_running(int(child)))
        process.terminate()
    assert "stopping" not in process.output  # There is nothing to kill.


@pytest.mark.parametrize("ends", [True, False])
def test_a_daemon_that_the_program_has_started_is_ended(tmp_path: Path, ends: bool) -> None:
    """It has a session of its own, and the process that started it has ended."""
    program = """
import subprocess, sys, time
START = "import subprocess; print('daemon', subprocess.Popen(['sleep', '100'], start_new_session=True).pid, flush=True)"
subprocess.run([sys.executable, "-c", START], check=True)
"""
    with dev(tmp_path, "answer.py", program=program if ends else f"{program}time.sleep(100)") as process:
        process.wait_for_output("ended with exit code 0" if ends else "daemon")
        (daemon,) = re.findall(r"daemon (\d+)", process.output)
        process.terminate()
    assert not is_running(int(daemon))


def test_each_line_of_the_program_has_its_name(tmp_path: Path) -> None:
    program = r"""
import os, sys
os.write(1, b"one\ntwo\r\n\xff\xfe\n\n")
os.write(2, b"error\n")
os.write(1, b"x" * 200_000 + b"\n")
os.write(1, b"the end")
"""
    with dev(tmp_path, "answer.py", program=program) as process:
        process.wait_for_output("ended with exit code 0")
        process.terminate()
    theirs = [line.removeprefix("answer.py|") for line in lines(process) if line.startswith("answer.py|")]
    assert theirs[:5] == ["one", "two", "��", "", "error"]
    assert "".join(theirs[5:-1]) == "x" * 200_000
    assert theirs[-1] == "the end"


def test_a_program_that_crashes_is_shown_and_changes_the_exit_code(tmp_path: Path) -> None:
    with dev(tmp_path, "answer.py", program="1 / 0") as process:
        process.wait_for_output("before a client connected")
        assert "answer.py|ZeroDivisionError: division by zero" in lines(process)
        process.process.send_signal(signal.SIGINT)
        assert process.process.wait(10) == 1
    assert (
        "dev|answer.py ended with exit code 1 before a client connected: see its output in the terminal; if it could not"
        " connect, remove project, token and host, because arguments to RelayClient win over the environment that dev sets"
    ) in lines(process)


def test_the_program_starts_again_when_a_file_changes(tmp_path: Path) -> None:
    pytest.importorskip("watchfiles")
    (tmp_path / "words.py").write_text("WORDS = 'first'")
    with dev(
        tmp_path, "--reload", "answer.py", program=f"import words\nprint(words.WORDS, flush=True)\n{ANSWER}"
    ) as it:
        it.wait_for_output("answer.py | first")
        it.wait_for_output(CONNECTED)
        (tmp_path / "notes.txt").write_text("no Python")
        (tmp_path / "words.py").write_text("WORDS = 'second'")
        it.wait_for_output("words.py changed: restarting answer.py")
        it.wait_for_output("answer.py | second")
        until(lambda: it.output.count(CONNECTED) == 2)
        (tmp_path / "words.py").write_text("WORDS = 1 / 0")
        it.wait_for_output("it starts again when a file changes")
        (tmp_path / "words.py").write_text("WORDS = 'third'")
        it.wait_for_output("answer.py | third")
        until(lambda: it.output.count(CONNECTED) == 3)
        it.process.send_signal(signal.SIGINT)
        assert it.process.wait(20) == 0, it.output
    assert "notes.txt" not in it.output


def test_the_telephone_is_opened_without_its_key_on_a_command_line(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\ncp "${{1#file://}}" {tmp_path}/page\n')
    browser.chmod(0o755)
    with dev(tmp_path, "--open", "--show-tokens", "answer.py", BROWSER=f"{browser} %s") as process:
        until(lambda: (tmp_path / "page").exists() and bool((tmp_path / "page").read_text()))
        process.wait_for_output(CONNECTED)
        process.terminate()
    (key,) = re.findall(r"#key=(\S+)", process.output)
    assert key in (tmp_path / "page").read_text()
    opened = (tmp_path / "opened").read_text()
    assert key not in opened
    assert not Path(opened.strip().removeprefix("file://")).exists()


def test_the_program_has_the_simulator_s_settings_and_no_others(tmp_path: Path) -> None:
    program = """
import os
for name in sorted(os.environ):
    if name.startswith(("SIGNALWIRE_", "RELAY_", "AUDIO_URL")):
        print(name, flush=True)
"""
    theirs = {"SIGNALWIRE_JWT_TOKEN": "a", "SIGNALWIRE_RELAY_SCHEME": "wss", "SIGNALWIRE_API_TOKEN": "PTtheirs"}
    with dev(tmp_path, "answer.py", program=program, AUDIO_URL="wss://audio.example.com/x", **theirs) as process:
        process.wait_for_output("ended with exit code 0")
        process.terminate()
    shown = {line.removeprefix("answer.py|") for line in lines(process) if line.startswith("answer.py|")}
    assert shown >= {"SIGNALWIRE_API_TOKEN", "SIGNALWIRE_PROJECT_ID", "SIGNALWIRE_SPACE", "RELAY_SIMULATOR_CONTROL"}
    assert not shown & {"SIGNALWIRE_JWT_TOKEN", "SIGNALWIRE_RELAY_SCHEME", "AUDIO_URL"}
    sentence = "AUDIO_URL is not passed to the program, because the simulator does not connect to audio.example.com"
    assert f"dev|{sentence}" in lines(process)


def test_a_port_that_is_taken_is_named(tmp_path: Path, ports: range) -> None:
    with dev(tmp_path, "--port", str(ports.start), "answer.py") as process:
        process.wait_for_output(CONNECTED)
        with dev(tmp_path, "--port", str(ports.start), "answer.py") as other:
            assert other.process.wait(20) == 1
        process.terminate()
    assert f"port {ports.start} is not available" in (tmp_path / "output").read_text()


def test_after_it_was_killed_its_file_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with dev(tmp_path, "answer.py") as process:
        process.wait_for_output(CONNECTED)
        (found,) = find_files()
        (program,) = re.findall(r"answer\.py started, process (\d+)", process.output)
        process.process.kill()
        process.process.wait()
        until(lambda: not is_running(int(program)))
    assert found.pid == process.process.pid
    done = run("sim", "calls", cwd=tmp_path, **surroundings(tmp_path))
    assert (done.returncode, "no simulator is running" in done.stderr) == (1, True)
    assert list((tmp_path / "relay-sync").glob("*.json")) == []


def test_if_it_is_killed_nothing_of_the_program_is_left(tmp_path: Path) -> None:
    """Processes that ignore signals or have sessions of their own are killed, and the page with the key is deleted."""
    program = STUBBORN.replace("for number in", "for number in () and")
    with dev(tmp_path, "--open", "answer.py", program=program, BROWSER="/bin/true %s") as process:
        process.wait_for_output("ready")
        children = [int(pid) for pid in re.findall(r"child (\d+)", process.output)]
        (it,) = re.findall(r"answer\.py started, process (\d+)", process.output)
        folder = tmp_path / "relay-sync"
        until(lambda: len(list(folder.glob("telephone-*.html"))) == 1)
        process.process.kill()
        process.process.wait()
        until(lambda: not any(map(is_running, [int(it), *children])))
        until(lambda: not list(folder.glob("telephone-*.html")))
    assert len(children) == 2


def test_only_a_terminal_shows_the_key(tmp_path: Path) -> None:
    main, terminal = os.openpty()
    (tmp_path / "answer.py").write_text(ANSWER, encoding="utf-8")
    command = [sys.executable, "-m", "relay_sync", "dev", "answer.py"]
    with (
        os.fdopen(main, "rb") as shown,
        subprocess.Popen(command, cwd=tmp_path, env=surroundings(tmp_path), stdout=terminal) as process,
    ):
        os.close(terminal)
        assert re.search(rb"telephone: http://127\.0\.0\.1:\d+/#key=\S+\r\n", shown.readline())
        process.terminate()
        assert process.wait(20) == 0
    with dev(tmp_path, "answer.py") as other:
        other.wait_for_output(CONNECTED)
        other.terminate()
    assert "key=" not in other.output
    assert re.search(r"telephone: http://127\.0\.0\.1:\d+/, whose key is not written", other.output)


def test_a_browser_that_cannot_be_started_is_reported(tmp_path: Path) -> None:
    with dev(tmp_path, "--open", "answer.py", BROWSER="/no/such/browser", PATH="/nowhere") as process:
        process.wait_for_output("no browser could be opened; open the link of the telephone")
        process.wait_for_output(CONNECTED)
        process.terminate()
