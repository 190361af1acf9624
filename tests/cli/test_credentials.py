"""The file that tells how to connect to ``relay-sync simulate``: private, whole, and nobody else's is touched."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from relay_sync.cli import main, simulate
from relay_sync.cli.mistakes import Unsuccessful
from relay_sync.simulator import ControlInterface, Simulator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are other kinds of files there")


@contextmanager
def written(path: Path) -> Iterator[None]:
    with Simulator() as sim, ControlInterface(sim) as control, simulate._written(str(path), sim, control):
        yield


@pytest.mark.parametrize(
    "how", ["plain file", "hard link", "symbolic link", "dangling link", "JSON", "deep JSON", "pipe"]
)
def test_no_other_file_is_written_to(tmp_path: Path, how: str) -> None:
    precious, file = tmp_path / "precious", tmp_path / "sim.json"
    precious.write_text("not to be touched")
    if how == "plain file":
        file.write_text("DATABASE_PASSWORD=irreplaceable\n")
    elif how == "hard link":
        file.hardlink_to(precious)
    elif how == "symbolic link":
        file.symlink_to(precious)
    elif how == "dangling link":
        file.symlink_to(tmp_path / "nowhere")
    elif how == "JSON":
        file.write_text('{"project": "p", "token": "t", "host": "h"}')
    elif how == "deep JSON":
        file.write_text("[" * 60_000)
    else:
        os.mkfifo(file)
    before = sorted(tmp_path.iterdir()), os.lstat(file).st_ino, b"" if how == "pipe" else contents(file)
    with pytest.raises(Unsuccessful, match="was not written by relay-sync simulate"):
        with written(file):
            pass
    assert (sorted(tmp_path.iterdir()), os.lstat(file).st_ino, b"" if how == "pipe" else contents(file)) == before
    assert main(["simulate", "--credentials", str(file)]) == 2  # before anything is started


def contents(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def test_a_file_is_private_and_removed_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "sim.json"
    (tmp_path / f".sim.json.{os.getpid()}").write_text("of somebody else")
    with written(file):
        assert json.loads(file.read_text())["control_token"]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == [f".sim.json.{os.getpid()}"]


def test_a_file_that_a_killed_simulator_left_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "sim.json"
    with written(file):
        left = file.read_text()
    file.write_text(left)
    with written(file):
        assert file.read_text() != left
    assert not file.exists()


def test_without_hard_links_it_is_exclusive_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    with written(tmp_path / "sim.json"):
        assert "control_token" in (tmp_path / "sim.json").read_text()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "sim.json").write_text("of somebody else")
    with pytest.raises(Unsuccessful, match="cannot be written"):
        with written(tmp_path / "sim.json"):
            pass
    assert (tmp_path / "sim.json").read_text() == "of somebody else"


def test_what_another_has_written_meanwhile_stays(tmp_path: Path) -> None:
    file = tmp_path / "sim.json"
    with written(file):
        with written(file):
            pass
        file.write_text("of another simulator")
    assert file.read_text() == "of another simulator"


def test_whoever_takes_the_file_of_a_simulator_that_still_runs_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sim.json"
    warning = f"{file} was written by a simulator that is still running; it now contains the credentials of this one"
    with written(file):
        assert not capsys.readouterr().out
        with written(file):
            assert warning in capsys.readouterr().out
        assert not file.exists()
    with written(file):  # nobody runs any more
        assert not capsys.readouterr().out


def test_a_signing_key_that_is_no_text_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIGNALWIRE_SIGNING_KEY", "nobody\udcff")
    assert main(["simulate", "--show-tokens"]) == 2
    shown = capsys.readouterr().err
    assert "$SIGNALWIRE_SIGNING_KEY: invalid value <hidden>: expected" in shown
    assert "nobody" not in shown


@pytest.mark.parametrize("name", ["SIGNALWIRE_PROJECT_ID", "SIGNALWIRE_API_TOKEN", "RELAY_SIMULATOR_CONTROL_TOKEN"])
def test_a_setting_that_is_no_line_of_a_shell_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong in ("tell\nnobody", "tell nobody", "tell\x1bnobody"):
        monkeypatch.setenv(name, wrong)
        assert main(["simulate", "--show-tokens"]) == 2
        shown = capsys.readouterr()
        assert f"${name}: must be printable" in shown.err
        assert "nobody" not in shown.out + shown.err
