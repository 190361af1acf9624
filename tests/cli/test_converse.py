"""``relay-sync converse``: what it prints, and its exit codes."""

from __future__ import annotations

import logging
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay_sync.cli import main
from tests.support import ROOT
from tests.support.commands import PATIENCE, environment, run

EXAMPLE = ROOT / "examples" / "scenario"
PROGRAM = """
from relay_sync import RelayClient

client = RelayClient(contexts=["default"])
elsewhere = RelayClient(project="p", token="t", host="ws://127.0.0.1:1", contexts=["default"])

silent = RelayClient(contexts=["default"])

@client.on_call
def handle(call):
    call.answer()
    call.play_tts("Hello.").wait(10)
    if call.device["params"]["to_number"] == "+15550111":
        raise LookupError("no such customer")
    call.wait_for_ended(30)
"""
QUICK = """
import argparse

from relay_sync import RelayClient

argparse.ArgumentParser().parse_args()

def make():
    rejecting = RelayClient(contexts=["default"])
    rejecting.on_call(lambda call: call.hangup())
    return rejecting

client = RelayClient(contexts=["default"])

@client.on_call
def handle(call):
    call.answer()
    call.play_tts("Hi.").wait(10)
    call.hangup()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(PROGRAM, encoding="utf-8")
    return tmp_path


def converse(folder: Path, scenario: str | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Play a scenario in a process of its own."""
    if scenario is not None:
        (folder / "one.toml").write_text(scenario, encoding="utf-8")
    return run("converse", "one.toml", *arguments, cwd=folder, COLUMNS="100")


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder is the working directory. What the command changes in this process is restored."""
    log = logging.getLogger("relay_sync")
    handlers, level = list(log.handlers), log.level
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("COLUMNS", "100")
    modules = set(sys.modules)
    yield folder
    for name in ("app", "quick"):
        if name not in modules:
            sys.modules.pop(name, None)
    log.handlers[:] = handlers
    log.setLevel(level)


def test_a_scenario_in_this_process(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "quick.py").write_text(QUICK, encoding="utf-8")
    (here / "one.toml").write_text(
        'client = "quick:client"\n[[step]]\nplays = "Hi."\n[[step]]\nends = true\n', encoding="utf-8"
    )
    monkeypatch.setattr(sys, "argv", ["relay-sync", "converse", "one.toml"])
    assert main(["converse", "one.toml"]) == 0
    assert sys.argv == ["relay-sync", "converse", "one.toml"]
    told = capsys.readouterr().out
    assert told.startswith("one.toml: +15550199 calls +15550100, answered by quick:client\n\nseconds  who")
    assert "met: 2 of 2 expectations" in told
    (here / "one.toml").write_text("[[step]]\nhears = true\n", encoding="utf-8")
    assert main(["converse", "one.toml", "quick:make()"]) == 1
    assert "the call ended (hangup) before it was answered" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("[[step]]\nhears = 3\n", "relay-sync converse: one.toml:2: hears is 3"),
        ("[[step]]\nhears = true\n", "argument TARGET: which program?"),
        (
            'client = "app:elsewhere"\n[[step]]\nhears = true\n',
            "not to the simulator: leave project, token and host out",
        ),
        (
            'client = "app:silent"\n[[step]]\nhears = true\n',
            "relay-sync converse: app:silent has no on_call handler, so nothing answers the caller",
        ),
        ('client = "app:client"\n[[step]]\nhears = "x"\n', "one.toml:3: nothing can recognize 'x': pass --recognizer"),
    ],
)
def test_mistakes_in_this_process(here: Path, capsys: pytest.CaptureFixture[str], scenario: str, words: str) -> None:
    (here / "one.toml").write_text(scenario, encoding="utf-8")
    assert main(["converse", "one.toml"]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ("none:client", "client: there is no module 'none' here or on the import path"),
        ("app:clinet", "client: app has no 'clinet'"),
        ("app:PROGRAM", "client: app has no 'PROGRAM'"),
        ("app:__name__", "client: app:__name__ is a str, not a RelayClient"),
    ],
)
def test_a_wrong_client_in_the_file_names_its_line(
    here: Path, capsys: pytest.CaptureFixture[str], client: str, words: str
) -> None:
    (here / "one.toml").write_text(f'# one\nclient = "{client}"\n[[step]]\nhears = true\n', encoding="utf-8")
    assert main(["converse", "one.toml"]) == 2
    assert f"relay-sync converse: one.toml:2: {words}" in capsys.readouterr().err


@pytest.mark.parametrize("code", ["", "0", "2", "'set the key'"])
def test_a_program_that_exits_on_import_fails_the_scenario(
    here: Path, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    (here / "quick.py").write_text(f"import sys\nsys.exit({code})\n", encoding="utf-8")
    (here / "one.toml").write_text("[[step]]\nhears = true\n", encoding="utf-8")
    assert main(["converse", "one.toml", "quick:client"]) == 1
    told = capsys.readouterr().err
    assert "relay-sync converse: quick:client cannot be loaded: the program exits (SystemExit" in told
    assert code.strip("'") in told


@pytest.mark.slow
def test_the_example_is_met(tmp_path: Path) -> None:
    for name in ("opening_hours.py", "opening_hours.toml"):
        shutil.copy(EXAMPLE / name, tmp_path)
    done = run("converse", "opening_hours.toml", cwd=tmp_path, COLUMNS="100")
    assert (done.returncode, done.stderr) == (0, "")
    assert "opening_hours.toml: +15550199 calls +15550100, answered by opening_hours:client" in done.stdout
    assert "ok: open from 9 to 5 (1.00)" in done.stdout
    assert "met: 3 of 3 expectations" in done.stdout


@pytest.mark.slow
def test_an_expectation_that_is_not_met(folder: Path) -> None:
    done = converse(folder, '[[step]]\nplays = "Hello."\n[[step]]\nplays = "Bye."\nwithin = 1\n', "app:client")
    assert done.returncode == 1
    assert "ok: Hello. (1.00)" in done.stdout
    assert "NOT MET: Bye. (0.00)" in done.stdout
    assert "not met: 1 of 2 expectations" in done.stdout
    assert "one.toml:4: the caller heard no words within 1 s" in done.stdout
    assert "relay-sync converse: the scenario was not met (see above)" in done.stderr


@pytest.mark.slow
def test_an_exception_in_the_program_fails_the_scenario(folder: Path) -> None:
    done = converse(
        folder,
        'client = "app:client"\nto = "+15550111"\n[[step]]\nplays = "Hello."\n[[step]]\nends = true\nwithin = 3\n',
    )
    assert done.returncode == 1
    assert "LookupError" in done.stderr


@pytest.mark.slow
def test_handlers_finish_before_the_process_ends(folder: Path) -> None:
    program = PROGRAM.replace(
        "    call.wait_for_ended(30)\n", "    call.wait_for_ended(30)\n    time.sleep(3)\n    print('done')\n"
    )
    (folder / "app.py").write_text(f"import time\n{program}", encoding="utf-8")
    done = converse(folder, '[[step]]\nplays = "Hello."\n', "app:client")
    assert (done.returncode, done.stderr) == (0, "")
    assert "done" in done.stdout


@pytest.mark.slow
def test_it_is_interrupted(folder: Path) -> None:
    (folder / "one.toml").write_text("[[step]]\nends = true\nwithin = 60\n", encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-m", "relay_sync", "converse", "one.toml", "app:client"],
        cwd=folder,
        env=environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert "answered by app:client" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert told.strip().splitlines()[-1] == "relay-sync converse: interrupted"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "arguments", "words"),
    [
        (None, ["app:client"], "one.toml:1: the file cannot be read"),
        ("[[step]]\nhears = 3\n", ["app:client"], "one.toml:2: hears is 3"),
        ('[[step]]\nhears = "Hello"\n', ["app:client"], "one.toml:2: nothing can recognize 'Hello': pass --recognizer"),
        ('[[step]]\nsays = "Hello"\n', ["app:client"], "one.toml:2: nothing can speak 'Hello': pass --voice"),
        ("[[step]]\nhears = true\n", [], "argument TARGET: which program?"),
        ("[[step]]\nhears = true\n", ["app"], "argument TARGET: invalid value 'app'"),
        ("[[step]]\nhears = true\n", ["app:elsewhere"], "connects to ws://127.0.0.1:1, not to the simulator"),
        ("[[step]]\nhears = true\n", ["app:client", "--voice", "x"], "argument --voice: invalid value 'x'"),
        ("[[step]]\nhears = true\n", ["app:client", "--recognizer", "app:x"], "argument --recognizer"),
    ],
)
def test_mistakes(folder: Path, scenario: str | None, arguments: list[str], words: str) -> None:
    done = converse(folder, scenario, *arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
