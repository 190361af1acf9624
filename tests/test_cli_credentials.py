"""The file that tells how to connect to ``relay-sync simulate``: private, whole, and nobody else's is touched."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from relay_sync.cli import simulate
from relay_sync.cli.mistakes import Unsuccessful
from relay_sync.simulator import Simulator
from relay_sync.simulator.remote import ControlServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are other kinds of files there")


@contextmanager
def written(path: Path) -> Iterator[None]:
    with Simulator() as sim, ControlServer(sim) as control, simulate._written(str(path), sim, control):
        yield


@pytest.mark.parametrize("how", ["hard link", "symbolic link", "the name that was used before"])
def test_no_other_file_is_written_to(tmp_path: Path, how: str) -> None:
    precious, file = tmp_path / "precious", tmp_path / "sim.json"
    precious.write_text("not to be touched")
    if how == "hard link":
        file.hardlink_to(precious)
    elif how == "symbolic link":
        file.symlink_to(precious)
    else:
        (tmp_path / f".sim.json.{os.getpid()}").hardlink_to(precious)
    with written(file):
        assert "control_token" in file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert not file.is_symlink()
    assert precious.read_text() == "not to be touched"
    assert not file.exists()
    assert {each.name for each in tmp_path.iterdir()} <= {"precious", f".sim.json.{os.getpid()}"}
    assert how != "the name that was used before" or (tmp_path / f".sim.json.{os.getpid()}").exists()


def test_what_another_has_written_meanwhile_stays(tmp_path: Path) -> None:
    file = tmp_path / "sim.json"
    with written(file):
        with written(file):
            pass
        file.write_text("of another simulator")
    assert file.read_text() == "of another simulator"


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unsuccessful, match="is not a regular file"):
        with written(tmp_path / "pipe"):
            pass
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
