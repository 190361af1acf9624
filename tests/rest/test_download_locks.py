"""One download at a time grows a file beside the target, from the first look at it until it has its name or is gone."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from relay_sync import ConnectionLost, DownloadFailed, InvalidParameter
from relay_sync.rest import Download, RestClient
from tests.support.background import Background
from tests.support.downloads import WHOLE, part, url_of
from tests.support.forks import exit_code, in_child
from tests.support.scripted_http import Scripted, answer, scripted_client

SIZE = len(WHOLE)
pytestmark = [
    pytest.mark.usefixtures("soon"),
    pytest.mark.skipif(
        sys.platform == "win32", reason="no fork, and files that are open can be neither moved nor removed"
    ),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def fetched(path: str | Path, **options: Any) -> Download:
    """A download that nothing disturbs."""
    with Scripted(part(SIZE)) as server, scripted_client(server) as rest:
        return rest.download(url_of(server), path, **options)


def refused(path: str | Path) -> str:
    """What a download is told that comes while another one is under way."""
    with pytest.raises(DownloadFailed, match="another download is writing to") as caught:
        fetched(path)
    return str(caught.value)


def during(path: Path, act: Callable[[], object]) -> Download:
    """A download, and something that happens in the midst of it."""
    done: list[object] = []

    def once(there: int, total: int | None) -> None:
        if not done:
            done.append(None)
            act()

    found = fetched(path, on_progress=once)
    assert done
    return found


def once_before(patch: pytest.MonkeyPatch, module: Any, name: str, act: Callable[..., object]) -> list[object]:
    """Do something before the first call of a function; what it returned."""
    real = getattr(module, name)
    told: list[object] = []

    def interrupted(*args: Any, **options: Any) -> Any:
        if not told:
            told.append(None)
            told[0] = act(*args)
        return real(*args, **options)

    patch.setattr(module, name, interrupted)
    return told


SPELLINGS: dict[str, Callable[[Path], str | Path]] = {
    "text": lambda path: str(path),
    "relative": lambda path: os.path.relpath(path),
    "by way of the folder above": lambda path: f"{path.parent}/../{path.parent.name}/{path.name}",
    "doubled separator": lambda path: f"{path.parent}//./{path.name}",
    "folder behind a link": lambda path: path.parent / "here" / path.name,
}


@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=SPELLINGS)
def test_another_spelling_of_the_path_is_the_same_file(tmp_path: Path, spelled: Callable[[Path], str | Path]) -> None:
    path = tmp_path / "r.wav"
    (tmp_path / "here").symlink_to(tmp_path, target_is_directory=True)
    during(path, lambda: refused(spelled(path)))
    assert path.read_bytes() == WHOLE


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_another_name_of_the_target_gets_a_file_of_its_own(tmp_path: Path, link: Callable[[Path, Path], None]) -> None:
    path, other = tmp_path / "r.wav", tmp_path / "other.wav"
    path.write_bytes(b"of yesterday")
    link(other, path)
    during(path, lambda: fetched(other))
    assert (path.read_bytes(), other.read_bytes()) == (WHOLE, WHOLE)
    assert sorted(tmp_path.iterdir()) == [other, path]


def test_two_processes(tmp_path: Path) -> None:
    path = tmp_path / "r.wav"
    during(path, lambda: in_child(lambda: refused(path)))
    assert path.read_bytes() == WHOLE


def test_two_threads_where_the_file_system_keeps_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    path = tmp_path / "r.wav"
    during(path, lambda: Background(refused, path).result())
    assert path.read_bytes() == WHOLE
    assert fetched(path).size == SIZE  # and it is let go


def test_the_file_is_kept_until_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that came between would have cut it to nothing, and given it to the first as complete."""
    path = tmp_path / "r.wav"
    told = once_before(monkeypatch, os, "replace", lambda *_: refused(path))
    fetched(path)
    assert told != [None]
    assert path.read_bytes() == WHOLE
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_kept_until_it_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that came between would have lost its file under its hands."""
    path = tmp_path / "r.wav"
    told = once_before(monkeypatch, os, "unlink", lambda *_: refused(path))
    with Scripted(answer(403)) as server, scripted_client(server) as rest, pytest.raises(DownloadFailed, match="403"):
        rest.download(url_of(server), path)
    assert told != [None]
    assert list(tmp_path.iterdir()) == []


def test_the_next_download_keeps_its_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins as soon as the file has left the name, and can be resumed whatever the first one still does."""
    path, real = tmp_path / "r.wav", os.replace

    def next_at_once(*args: Any) -> None:
        real(*args)
        with Scripted(part(100_000)) as server, scripted_client(server, retries=0) as rest:
            with pytest.raises(ConnectionLost):
                rest.download(url_of(server), path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", next_at_once)
        fetched(path)
    assert path.read_bytes() == WHOLE
    assert sorted(each.name for each in tmp_path.iterdir()) == ["r.wav", "r.wav.part", "r.wav.part.json"]


def test_a_target_that_cannot_be_replaced_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    path = tmp_path / "r.wav"
    with Scripted(part(SIZE), answer(416, Content_Range=f"bytes */{SIZE}")) as server, scripted_client(server) as rest:
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", denied)
            with pytest.raises(DownloadFailed, match="Permission denied"):
                rest.download(url_of(server), path)
        found = rest.download(url_of(server), path)
    assert (found.resumed, path.read_bytes()) == (SIZE, WHOLE)


@pytest.mark.parametrize("how", ["moved", "removed", "moved and made anew"])
@pytest.mark.parametrize("when", ["open", "lstat", "flock"])
def test_a_file_that_the_download_before_just_lets_go_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, when: str
) -> None:
    path, beside, real = tmp_path / "r.wav", tmp_path / "r.wav.part", os.open
    beside.write_bytes(b"of the download before")
    gone: list[bool] = []

    def go(*_: object) -> None:
        if gone:
            return
        gone.append(True)
        if how == "removed":
            beside.unlink()
        else:
            beside.rename(tmp_path / "before.wav")
        if how == "moved and made anew":
            beside.write_bytes(b"of a third")

    def opening(name: Any, flags: int, *args: Any, **options: Any) -> int:
        if name == beside and not flags & os.O_EXCL:
            go()
        return real(name, flags, *args, **options)

    with monkeypatch.context() as patch:
        if when == "open":
            patch.setattr(os, "open", opening)
        else:
            once_before(patch, os if when == "lstat" else importlib.import_module("fcntl"), when, go)
        before = open_files()
        fetched(path)
        assert open_files() == before
    assert gone
    assert path.read_bytes() == WHOLE


def open_files() -> int:
    return len(os.listdir("/dev/fd"))


def test_a_file_that_can_be_resumed_is_let_go_while_a_child_lives(tmp_path: Path) -> None:
    """The child has the parent's open file, and with it the lock."""
    path, (ends, goes) = tmp_path / "r.wav", os.pipe()
    children: list[int] = []

    def fork(there: int, total: int | None) -> None:
        if there and not children:
            child = os.fork()
            if child == 0:
                os.close(goes)
                os.read(ends, 1)
                os._exit(0)
            children.append(child)

    with Scripted(part(100_000), part(SIZE, start=100_000)) as server, scripted_client(server, retries=0) as rest:
        with pytest.raises(ConnectionLost):
            rest.download(url_of(server), path, on_progress=fork)
        found = rest.download(url_of(server), path)
    os.close(goes)
    os.close(ends)
    assert exit_code(children[0]) == 0
    assert (found.resumed, path.read_bytes()) == (100_000, WHOLE)


def test_what_a_killed_process_has_left_is_resumed_although_its_child_lives(tmp_path: Path) -> None:
    path, (ends, goes), (lives, is_there) = tmp_path / "r.wav", os.pipe(), os.pipe()

    def killed(rest: RestClient, url: str) -> None:
        def fork(there: int, total: int | None) -> None:
            if there >= 65536:
                if os.fork() == 0:
                    os.close(goes)
                    os.write(is_there, b"!")
                    os.read(ends, 1)
                else:
                    os.read(lives, 1)
                os._exit(0)

        rest.download(url, path, on_progress=fork)

    with Scripted(part(100_000), part(SIZE, start=65536)) as server, scripted_client(server, retries=0) as rest:
        in_child(lambda: killed(rest, url_of(server)))
        found = rest.download(url_of(server), path)
    for each in (goes, ends, lives, is_there):
        os.close(each)
    assert (found.resumed, path.read_bytes()) == (65536, WHOLE)


def test_a_child_that_goes_on_with_the_download_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "r.wav"
    forked: list[int] = []

    def fork(there: int, total: int | None) -> None:
        if there and not forked:
            forked.append(os.fork())
            if forked == [0]:
                raise KeyboardInterrupt  # through everything that tidies up
            assert exit_code(forked[0]) == 0

    with Scripted(part(SIZE)) as server, scripted_client(server) as rest:
        try:
            rest.download(url_of(server), path, on_progress=fork)
        except KeyboardInterrupt:
            os._exit(0)
    assert path.read_bytes() == WHOLE


def test_a_file_that_others_may_not_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a folder or a file that is not to be written; the errors of the system, for root may do everything."""
    real = os.open

    def denied(name: Any, flags: int, *args: Any, **options: Any) -> int:
        if str(name).startswith(str(tmp_path)) and flags & (os.O_CREAT | os.O_RDWR):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(name, flags, *args, **options)

    for resume in (True, False):
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", denied)
            with pytest.raises(DownloadFailed, match=r"r\.wav cannot be written: Permission denied"):
                fetched(tmp_path / "r.wav", resume=resume)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [None, 5, b"r.wav", "", "\0", "half\ud800", ["r.wav"], True])
def test_what_is_no_path(path: Any) -> None:
    with RestClient("p", "t", "ws://127.0.0.1:9") as rest, pytest.raises(InvalidParameter) as caught:
        rest.download("https://files.example.com/r.wav", path)
    assert caught.value.parameter == "path"
