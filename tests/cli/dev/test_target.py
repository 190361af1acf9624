"""What ``relay-sync dev`` runs: scripts, clients of modules, Flask's commands, and any command."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from relay_sync.cli import main
from relay_sync.cli.dev.target import Target, find_target
from relay_sync.cli.mistakes import Mistake


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("answer.py", "manage.py"):
        (tmp_path / name).write_text("")


@pytest.mark.parametrize(
    ("words", "name", "command"),
    [
        (["answer.py"], "answer.py", ["answer.py"]),
        (["./answer.py", "--fast", "x"], "answer.py", ["./answer.py", "--fast", "x"]),
        (["manage.py", "relay", "--processes", "2"], "manage.py", ["manage.py", "relay", "--processes", "2"]),
        (["app:client"], "app:client", ["-m", "relay_sync", "run", "app:client"]),
        (["app:make()", "--drain", "5"], "app:make()", ["-m", "relay_sync", "run", "app:make()", "--drain", "5"]),
        (["flask", "--app", "app", "relay", "run"], "flask", ["-m", "flask", "--app", "app", "relay", "run"]),
        (["flask", "run", "--reload"], "flask", ["-m", "flask", "run", "--reload"]),
    ],
)
def test_python_programs_run_with_this_python(words: list[str], name: str, command: list[str]) -> None:
    assert find_target(words) == Target(name, [sys.executable, *command])


def test_any_command_follows_two_dashes() -> None:
    assert find_target(["--", "/bin/sh", "-c", "exit", "--once"]) == Target("sh", ["/bin/sh", "-c", "exit", "--once"])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (
            [],
            "PROGRAM: missing: expected a script such as answer.py, module:client, flask and its arguments, or -- and",
        ),
        (["--"], "PROGRAM: missing: expected a command after --"),
        (["--", "no-such-command"], "PROGRAM: there is no command 'no-such-command'"),
        (["nowhere.py"], "PROGRAM: there is no file nowhere.py in"),
        (["answer"], "PROGRAM: invalid value 'answer': expected a script such as answer.py"),
        (["app:"], "PROGRAM: invalid value 'app:'"),
        (["node", "answer.js"], "or -- and a command"),
        (["answer.py", "--once"], "--once: must stand before the program: relay-sync dev --once answer.py"),
        (["app:client", "--reload"], "--reload: must stand before the program: relay-sync dev --reload app:client"),
    ],
)
def test_a_mistake_is_explained(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Mistake) as raised:
        find_target(words)
    assert complaint in str(raised.value)
    assert main(["dev", *words]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("relay-sync dev: error: argument ")
    assert shown.out == ""


def test_an_option_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["dev", "--nowhere", "answer.py"])
    assert end.value.code == 2
    assert "--nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_that_does_not_exist_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dev", "--port", port, "answer.py"]) == 2
    assert f"--port: invalid value {port}" in capsys.readouterr().err


def test_without_watchfiles_it_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "relay_sync.cli.dev.reload", raising=False)
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    assert main(["dev", "--reload", "answer.py"]) == 1
    assert capsys.readouterr().err == 'relay-sync dev: --reload needs watchfiles: pip install "watchfiles>=1.0"\n'


@pytest.mark.parametrize("command", [["dev"], ["sim"], ["sim", "call"], ["sim", "text"], ["sim", "journal"]])
def test_help_fits_a_terminal(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    assert end.value.code == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize("command", [["dev"], ["simulate"], ["listen"], ["doctor"]])
def test_a_port_that_is_no_number_is_refused_in_the_same_words(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--port", "80x"])
    assert ended.value.code == 2
    assert "error: argument --port: invalid value '80x': expected a number from 0 to 65535" in capsys.readouterr().err
