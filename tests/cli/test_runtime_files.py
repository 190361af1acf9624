"""Files by which commands find running simulators: private, removed when their process is gone, refused in others' folders."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve

from relay_sync.cli.runtime_files import (
    FolderRefused,
    NoFolder,
    RunningSimulator,
    announced,
    find_files,
    forget,
    prepared_folder,
    runtime_folder,
    write_file,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="other rights and locks there")

MINE = RunningSimulator(
    pid=os.getpid(),
    control="http://127.0.0.1:1/simulator",
    key="the-key",
    id="the-id",
    command="relay-sync dev",
    started=7,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the files, which does not exist yet."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "relay-sync"


def gone() -> int:
    """The ID of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def left_behind(folder: Path, running: RunningSimulator) -> Path:
    """The file of a simulator that was killed."""
    with write_file(running) as path:
        text = path.read_text()
    path.write_text(text)
    return path


def test_a_file_is_private_found_and_removed_at_the_end(folder: Path) -> None:
    assert find_files() == []
    with write_file(MINE) as path:
        assert path == folder / f"{os.getpid()}.json"
        assert [stat.S_IMODE(each.stat().st_mode) for each in (folder, path)] == [0o700, 0o600]
        assert find_files() == [MINE]
        assert json.loads(path.read_text())["control"] == MINE.control
    assert list(folder.iterdir()) == []


def test_the_key_and_the_id_are_not_shown() -> None:
    assert "the-key" not in repr(MINE)
    assert "the-id" not in repr(MINE)


def test_the_newest_is_the_first(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        later = evolve(MINE, pid=other.pid, started=MINE.started + 1)
        with write_file(MINE), write_file(later):
            assert find_files() == [later, MINE]
        assert find_files() == []
        other.communicate()


def test_the_file_of_a_process_that_is_gone_is_removed(folder: Path) -> None:
    path = left_behind(folder, evolve(MINE, pid=gone()))
    assert find_files() == []
    assert not path.exists()


def test_the_file_of_a_process_with_another_program_is_removed_once_it_has_not_answered(folder: Path) -> None:
    """The ID of the process was given to another program."""
    path = left_behind(folder, MINE)
    assert find_files() == [MINE]
    forget(MINE)
    assert not path.exists()
    with write_file(MINE) as path:
        forget(MINE)
        assert path.exists()


def test_a_file_of_another_process_in_its_place_stays(folder: Path) -> None:
    with write_file(MINE) as path:
        path.unlink()
        path.write_text("of a process in another container")
    assert path.read_text() == "of a process in another container"


def test_a_folder_that_others_may_read_is_made_private(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    with write_file(MINE):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", ["symbolic link", "dangling link", "file"])
def test_what_is_no_folder_is_refused(folder: Path, kind: str, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    if kind == "file":
        folder.write_text("a file")
    else:
        if kind == "symbolic link":
            target.mkdir()
        folder.symlink_to(target)
    for use in (find_files, lambda: write_file(MINE).__enter__()):
        with pytest.raises(FolderRefused, match=f"{folder} is"):
            use()
    assert not target.exists() or list(target.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give files to other users")
def test_a_folder_of_another_user_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, -1)
    for use in (find_files, lambda: write_file(MINE).__enter__()):
        with pytest.raises(FolderRefused, match="belongs to another user"):
            use()
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give files to other users")
def test_the_runtime_folder_of_another_user_is_not_used(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After su, the variable still names the folder of the first user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    os.chown(tmp_path, 12345, -1)
    try:
        assert runtime_folder().parent != tmp_path
    finally:
        os.chown(tmp_path, os.getuid(), -1)


@pytest.mark.skipif(sys.platform != "linux", reason="the folder for caches is another one")
@pytest.mark.parametrize("given", ["", "relative", "/does/not/exist"])
def test_without_a_runtime_folder_it_is_the_one_for_caches(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", given)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "made" / "cache"))
    assert runtime_folder() == tmp_path / "made" / "cache" / "relay-sync"
    with write_file(MINE):
        assert find_files() == [MINE]
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert runtime_folder() == tmp_path / ".cache" / "relay-sync"


@pytest.mark.skipif(sys.platform != "linux", reason="other variables name the home folder")
def test_a_user_without_a_home_folder_has_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    unknown = 4_000_000_000  # No user has this ID.
    monkeypatch.setattr(os, "getuid", lambda: unknown)
    assert find_files() == []
    with pytest.raises(NoFolder, match="set XDG_RUNTIME_DIR"):
        prepared_folder()
    said: list[str] = []
    with announced("http://127.0.0.1:1/simulator", "key", "id", "relay-sync dev", said.append):
        pass
    assert "has no home folder" in said[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 60_000,
        '{"pid": 1}',
        "\udcff",
        json.dumps({"pid": "1", "control": "c", "key": "k", "id": "i", "command": "c", "started": 1}),
        json.dumps({"pid": 1, "control": "c", "key": "k", "id": "i", "command": "c", "started": 1, "more": 1}),
        " " * 70_000,
    ],
)
def test_what_is_no_such_file_is_left_and_not_used(folder: Path, text: str) -> None:
    folder.mkdir(mode=0o700)
    path = folder / f"{os.getpid()}.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    assert find_files() == []
    assert path.exists()


def test_pipes_links_and_other_names_are_left_and_not_used(folder: Path, tmp_path: Path) -> None:
    with write_file(MINE) as path:
        text = path.read_text()
    os.mkfifo(path)
    (tmp_path / "target.json").write_text(text)
    (folder / "12.json").symlink_to(tmp_path / "target.json")
    (folder / "notes.json").write_text(text)
    other = folder / f"{os.getppid()}.json"
    other.write_text(text)  # The process has another ID.
    assert find_files() == []
    assert {each.name for each in folder.iterdir()} == {path.name, "12.json", "notes.json", other.name}


def test_without_a_file_the_simulator_runs_and_says_what_is_missing(folder: Path) -> None:
    folder.write_text("a file")
    said: list[str] = []
    with announced("http://127.0.0.1:1/simulator", "the-key", "the-id", "relay-sync dev", said.append):
        (line,) = said
    assert (
        f"--simulator http://127.0.0.1:1/simulator and RELAY_SIMULATOR_CONTROL_TOKEN: {folder} is not a folder" in line
    )
    assert "the-key" not in line
