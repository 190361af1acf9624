"""Downloads: whole or not there, taken up where they broke, limited, and with credentials for nobody else."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import logging
import os
import random
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay_sync import ConnectError, ConnectionLost, DownloadFailed, InvalidParameter, RequestTimeout
from relay_sync.protocol.backoff import FIRST_JITTER
from relay_sync.rest import Download, RestClient
from relay_sync.rest.progress import shown
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.downloads import TAG, WHOLE, header, part, url_of
from tests.support.scripted_http import Act, Scripted, answer, drip, hang_up, scripted_client


@pytest.fixture
def rest(sim: Simulator) -> Iterator[RestClient]:
    with RestClient(**sim.credentials) as made:
        yield made


def test_a_recording_of_the_simulator(sim: Simulator, rest: RestClient, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    target = tmp_path / "call.wav"
    target.write_bytes(b"what was there before")
    found = rest.download(
        sim.add_recording(WHOLE), target, on_progress=lambda there, total: seen.append((there, total))
    )
    assert found == Download(path=target, size=len(WHOLE), content_type="audio/wav", resumed=0)
    assert target.read_bytes() == WHOLE
    assert list(tmp_path.iterdir()) == [target]
    assert seen[0] == (0, len(WHOLE))
    assert seen[-1] == (len(WHOLE), len(WHOLE))
    assert sorted(seen) == seen
    assert sim.rest_requests[-1].authorized  # it is our own host


def test_a_break_is_taken_up_where_it_was(tmp_path: Path) -> None:
    script = [part(100_000), part(50_000, start=100_000), part(len(WHOLE), start=150_000)]
    with Scripted(*script) as server, scripted_client(server, retries=1) as rest:
        found = rest.download(url_of(server), tmp_path / "r.wav")
        requests = [server.requests.get() for _ in range(3)]
    assert (found.path.read_bytes(), found.resumed) == (WHOLE, 0)
    assert [header(request, "Range") for request in requests] == ["", "bytes=100000-", "bytes=150000-"]
    assert [header(request, "If-Range") for request in requests] == ["", TAG, TAG]
    assert {header(request, "Accept-Encoding") for request in requests} == {"identity"}


def test_a_weak_tag_does_not_tell_which_bytes_there_were(tmp_path: Path) -> None:
    script = [part(100_000, tag='W/"one"'), part(len(WHOLE), tag='W/"one"')]
    with Scripted(*script) as server, scripted_client(server) as rest:
        assert rest.download(url_of(server), tmp_path / "r.wav").path.read_bytes() == WHOLE
        requests = [server.requests.get() for _ in range(2)]
    assert [(header(each, "Range"), header(each, "If-Range")) for each in requests] == [("", "")] * 2


def test_what_is_known_of_a_file_takes_the_place_of_what_was_known_of_another(tmp_path: Path) -> None:
    """Whichever takes more room."""
    script = [part(1000, tag=f'"{"x" * 200}"'), part(2000), part(len(WHOLE), start=2000)]
    with Scripted(*script) as server, scripted_client(server, retries=0) as rest:
        for _ in range(2):
            with pytest.raises(ConnectionLost):
                rest.download(url_of(server), tmp_path / "r.wav")
        assert rest.download(url_of(server), tmp_path / "r.wav").resumed == 2000
        requests = [server.requests.get() for _ in range(3)]
    assert [header(each, "Range") for each in requests] == ["", "bytes=1000-", "bytes=2000-"]
    assert (tmp_path / "r.wav").read_bytes() == WHOLE


def test_another_attempt_later_goes_on_too(tmp_path: Path) -> None:
    with Scripted(part(100_000), part(len(WHOLE), start=100_000)) as server, scripted_client(server, retries=0) as rest:
        with pytest.raises(ConnectionLost, match="the connection was lost") as caught:
            rest.download(url_of(server), tmp_path / "r.wav")
        assert "tell-nobody" not in str(caught.value)
        assert not (tmp_path / "r.wav").exists()
        left = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
        assert left["r.wav.part"] == WHOLE[:100_000]
        assert b"tell-nobody" not in left["r.wav.part.json"]
        found = rest.download(url_of(server), tmp_path / "r.wav")
        assert (found.resumed, found.path.read_bytes()) == (100_000, WHOLE)
        assert list(tmp_path.iterdir()) == [found.path]


@pytest.mark.parametrize(
    ("left", "note"),
    [
        (b"of another file", {"origin": "another", "validator": TAG}),
        (b"without a note", None),
        (b"with a broken note", "{"),
        (b"with a note that is none", []),
        (b"without a validator", {"validator": ""}),
    ],
)
def test_what_cannot_be_taken_up_is_fetched_anew(tmp_path: Path, left: bytes, note: Any) -> None:
    (tmp_path / "r.wav.part").write_bytes(left)
    with Scripted(part(len(WHOLE))) as server, scripted_client(server) as rest:
        if isinstance(note, dict) and "origin" not in note:
            note["origin"] = hashlib.sha256(url_of(server).encode()).hexdigest()
        if note is not None:
            (tmp_path / "r.wav.part.json").write_text(note if isinstance(note, str) else json.dumps(note))
        found = rest.download(url_of(server), tmp_path / "r.wav")
        assert header(server.requests.get(), "Range") == ""
    assert found.path.read_bytes() == WHOLE
    assert list(tmp_path.iterdir()) == [found.path]


def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(tmp_path: Path) -> None:
    other = WHOLE[::-1]
    with Scripted(part(1000), part(len(other), whole=other, tag='"two"')) as server, scripted_client(server) as rest:
        found = rest.download(url_of(server), tmp_path / "r.wav")
    assert found.path.read_bytes() == other


def test_a_part_that_does_not_fit_is_not_sewn_on(tmp_path: Path) -> None:
    script = [part(1000), part(10, start=500), part(len(WHOLE))]
    with Scripted(*script) as server, scripted_client(server, retries=3) as rest:
        found = rest.download(url_of(server), tmp_path / "r.wav")
        assert [header(server.requests.get(), "Range") for _ in range(3)] == ["", "bytes=1000-", ""]
    assert found.path.read_bytes() == WHOLE


def test_all_of_it_was_there_already(tmp_path: Path) -> None:
    past = answer(416, b"", Content_Range=f"bytes */{len(WHOLE)}")
    with Scripted(past) as server, scripted_client(server) as rest:
        note = {"origin": hashlib.sha256(url_of(server).encode()).hexdigest(), "validator": TAG}
        (tmp_path / "r.wav.part").write_bytes(WHOLE)
        (tmp_path / "r.wav.part.json").write_text(json.dumps(note))
        found = rest.download(url_of(server), tmp_path / "r.wav")
        assert header(server.requests.get(), "Range") == f"bytes={len(WHOLE)}-"
    assert (found.path.read_bytes(), found.resumed) == (WHOLE, len(WHOLE))


def test_more_was_there_than_there_is(tmp_path: Path) -> None:
    past = answer(416, b"", Content_Range=f"bytes */{len(WHOLE)}")
    with Scripted(past, part(len(WHOLE))) as server, scripted_client(server) as rest:
        note = {"origin": hashlib.sha256(url_of(server).encode()).hexdigest(), "validator": TAG}
        (tmp_path / "r.wav.part").write_bytes(WHOLE + b"more")
        (tmp_path / "r.wav.part.json").write_text(json.dumps(note))
        assert rest.download(url_of(server), tmp_path / "r.wav").path.read_bytes() == WHOLE


def test_without_resuming_each_attempt_has_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "r.wav.part").write_bytes(b"somebody else's")
    with Scripted(part(10), part(len(WHOLE))) as server, scripted_client(server, retries=0) as rest:
        with pytest.raises(ConnectionLost):
            rest.download(url_of(server), tmp_path / "r.wav", resume=False)
        assert [each.name for each in tmp_path.iterdir()] == ["r.wav.part"]
        assert rest.download(url_of(server), tmp_path / "r.wav", resume=False).path.read_bytes() == WHOLE
    assert (tmp_path / "r.wav.part").read_bytes() == b"somebody else's"


# -- limits and refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_that_is_too_large(tmp_path: Path, announced: bool) -> None:
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + WHOLE
    act: Act = part(0) if announced else lambda peer: peer.sendall(endless)
    with Scripted(act) as server, scripted_client(server) as rest:
        with pytest.raises(DownloadFailed, match=r"more than 100000 bytes \(max_bytes\)") as caught:
            rest.download(url_of(server), tmp_path / "r.wav", max_bytes=100_000)
        assert caught.value.url == url_of(server, "/recordings/r.wav")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_the_server_does_not_give_out(tmp_path: Path, status: int) -> None:
    with Scripted(answer(status, b"no")) as server, scripted_client(server) as rest:
        with pytest.raises(DownloadFailed, match=f"the server answered {status}"):
            rest.download(url_of(server), tmp_path / "r.wav")
    assert list(tmp_path.iterdir()) == []


def test_a_busy_server_gets_its_time(tmp_path: Path) -> None:
    script = [answer(503, Retry_After="0"), answer(429, Retry_After="0"), part(len(WHOLE))]
    with Scripted(*script) as server, scripted_client(server) as rest:
        assert rest.download(url_of(server), tmp_path / "r.wav").size == len(WHOLE)


def test_a_pause_that_the_time_does_not_allow_is_not_made(tmp_path: Path) -> None:
    with Scripted(answer(503, Retry_After="3"), part(len(WHOLE))) as server, scripted_client(server) as rest:
        with pytest.raises(DownloadFailed, match="answered 503"):
            rest.download(url_of(server), tmp_path / "r.wav", timeout=2)
        assert server.served == 1


def test_a_server_that_stays_busy(tmp_path: Path) -> None:
    with Scripted(*[answer(503, Retry_After="0")] * 3) as server, scripted_client(server, retries=2) as rest:
        with pytest.raises(DownloadFailed, match="answered 503"):
            rest.download(url_of(server), tmp_path / "r.wav")


def test_a_server_that_drips(tmp_path: Path) -> None:
    act = drip(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n")
    with Scripted(act) as server, scripted_client(server) as rest, pytest.raises(RequestTimeout):
        rest.download(url_of(server), tmp_path / "r.wav", timeout=0.3)
    assert list(tmp_path.iterdir()) == []


PAGE = b"\xef\xbb\xbf\n<!DOCTYPE html><html><body>Please log in</body></html>"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html", PAGE),
        ("Text/HTML; charset=utf-8", b"a page without a doctype"),
        ("application/xhtml+xml", b"<x/>"),
        ("application/json", b'{"error": "expired"}'),
        ("application/problem+json", b"{}"),
        ("text/xml", b"<Error/>"),
    ],
)
def test_a_page_is_no_recording(tmp_path: Path, content_type: str, body: bytes) -> None:
    """Where somebody has to log in, or a link is too old, some answer 200 with words instead of sound."""
    target = tmp_path / "r.wav"
    target.write_bytes(b"of yesterday")
    with Scripted(answer(200, body, Content_Type=content_type)) as server, scripted_client(server) as rest:
        with pytest.raises(DownloadFailed, match=f"sent {re.escape(content_type)} instead of a recording") as caught:
            rest.download(url_of(server), target)
        assert "tell-nobody" not in str(caught.value)
        assert server.requests.qsize() == 1  # nor is it asked again
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("r.wav", b"of yesterday")]


@pytest.mark.parametrize("said", [{"Content_Type": "audio/wav"}, {}])
@pytest.mark.parametrize("body", [PAGE, b"<HTML lang=en>", b"  <html>", b"<!doctype HTML PUBLIC>"])
def test_a_page_that_is_called_a_recording_is_none(tmp_path: Path, said: dict[str, str], body: bytes) -> None:
    named = said.get("Content_Type", "a file without a content type")
    with Scripted(answer(200, body, ETag=TAG, **said)) as server, scripted_client(server) as rest:
        with pytest.raises(DownloadFailed, match=f"sent an HTML page as {named}"):
            rest.download(url_of(server), tmp_path / "r.wav")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content_type", ["audio/wav", "video/mp4", "application/octet-stream", "text/plain", "", "x"])
def test_what_may_be_a_recording_is_kept(tmp_path: Path, content_type: str) -> None:
    with Scripted(answer(200, b"<RIFF\0", Content_Type=content_type)) as server, scripted_client(server) as rest:
        found = rest.download(url_of(server), tmp_path / "r.wav")
    assert (found.content_type, found.path.read_bytes()) == (content_type, b"<RIFF\0")


def test_a_page_in_between_does_not_cost_what_was_there(tmp_path: Path) -> None:
    """The first attempt broke, at the second somebody had to log in, the third goes on where the first was."""
    script = [part(100_000), answer(200, PAGE, Content_Type="text/html"), part(len(WHOLE), start=100_000)]
    with Scripted(*script) as server, scripted_client(server, retries=0) as rest:
        for error in (ConnectionLost, DownloadFailed):
            with pytest.raises(error):
                rest.download(url_of(server), tmp_path / "r.wav")
        found = rest.download(url_of(server), tmp_path / "r.wav")
    assert (found.resumed, found.path.read_bytes()) == (100_000, WHOLE)


def test_a_server_that_compresses(tmp_path: Path) -> None:
    act = answer(200, b"\x1f\x8b", Content_Encoding="gzip")
    with (
        Scripted(act) as server,
        scripted_client(server) as rest,
        pytest.raises(DownloadFailed, match="compressed the file"),
    ):
        rest.download(url_of(server), tmp_path / "r.wav")


@pytest.mark.parametrize(
    ("url", "path", "parameter"),
    [
        ("", "r.wav", "url"),
        ("ftp://h/x", "r.wav", "url"),
        ("http://files.example.com/x?token=tell-nobody", "r.wav", "url"),
        ("https://user:tell-nobody@files.example.com/x", "r.wav", "url"),
        ("https://files.example.com/x", "", "path"),
        ("https://files.example.com/x", "nowhere/r.wav", "path"),
    ],
)
def test_arguments_that_cannot_be_right(
    sim: Simulator, rest: RestClient, tmp_path: Path, url: str, path: str, parameter: str
) -> None:
    with pytest.raises(InvalidParameter) as caught:
        rest.download(url, tmp_path / path)
    assert caught.value.parameter == parameter
    assert "tell-nobody" not in f"{caught.value}{caught.value!r}"


@pytest.mark.skipif(sys.platform == "win32", reason="there are other reasons there")
def test_a_place_that_cannot_be_written(sim: Simulator, rest: RestClient, tmp_path: Path) -> None:
    (tmp_path / "r.wav.part").mkdir()
    with pytest.raises(DownloadFailed, match="cannot be written"):
        rest.download(sim.add_recording(WHOLE), tmp_path / "r.wav")


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="links are followed here")
@pytest.mark.parametrize("name", ["r.wav.part", "r.wav.part.json"])
def test_links_that_others_have_left_are_not_followed(tmp_path: Path, name: str) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"not to be touched")
    (tmp_path / name).symlink_to(precious)
    with Scripted(part(len(WHOLE))) as server, scripted_client(server) as rest:
        with pytest.raises(DownloadFailed, match=r"r\.wav cannot be written"):
            rest.download(url_of(server), tmp_path / "r.wav")
    assert precious.read_bytes() == b"not to be touched"
    assert not (tmp_path / "r.wav").exists()


@pytest.mark.parametrize("name", ["x" * 300, "nul\0"])
def test_names_that_no_file_can_have(rest: RestClient, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidParameter, match=r"Invalid path=.+: expected a file's path"):
        rest.download("https://files.example/r.wav", tmp_path / name)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "no room for what the callback writes"),
        ConnectionLost("its own"),
        RequestTimeout("its own"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_callback_raises_is_no_failure_of_the_download(tmp_path: Path, error: Exception) -> None:
    def refuse(there: int, total: int | None) -> None:
        raise error

    with Scripted(*[part(len(WHOLE))] * 3) as server, scripted_client(server) as rest:
        with pytest.raises(type(error)) as caught:
            rest.download(url_of(server), tmp_path / "r.wav", on_progress=refuse)
        assert caught.value is error
        assert server.served == 1


def test_what_a_callback_raises_is_passed_on(sim: Simulator, rest: RestClient, tmp_path: Path) -> None:
    def refuse(there: int, total: int | None) -> None:
        if there:
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        rest.download(sim.add_recording(WHOLE), tmp_path / "r.wav", on_progress=refuse)
    assert not (tmp_path / "r.wav").exists()


# -- other hosts -------------------------------------------------------------------------------------------------------


def test_another_host_gets_no_credentials(
    sim: Simulator, rest: RestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password tell-nobody\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with Scripted(part(len(WHOLE))) as other:
        rest.download(url_of(other), tmp_path / "r.wav")
        assert header(other.requests.get(), "Authorization") == ""


def test_no_log_has_the_secrets(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Scripted(part(1000), part(len(WHOLE), start=1000)) as server, scripted_client(server) as rest:
        assert rest.download(url_of(server), tmp_path / "r.wav").size == len(WHOLE)
        assert server.requests.get().startswith(b"GET /recordings/r.wav?token=tell-nobody HTTP/1.1\r\n")
        authorization = header(server.requests.get(), "Authorization").removeprefix("Basic ")
    assert "GET /recordings/r.wav?***" in caplog.text  # it is logged, by urllib3
    assert "tell-nobody" not in caplog.text
    assert authorization
    assert authorization not in caplog.text


def test_a_redirect_takes_no_credentials_along(sim: Simulator, rest: RestClient, tmp_path: Path) -> None:
    with Scripted(part(len(WHOLE))) as other, Scripted(answer(302, Location=url_of(other))) as ours:
        with scripted_client(ours) as rest:
            assert rest.download(url_of(ours), tmp_path / "r.wav").size == len(WHOLE)
        assert header(ours.requests.get(), "Authorization").startswith("Basic ")
        assert header(other.requests.get(), "Authorization") == ""


@pytest.mark.parametrize(
    "location", ["http://files.example.com/x", "file:///etc/passwd", "https://u:p@h/x", "http://[::"]
)
def test_redirects_that_are_not_followed(tmp_path: Path, location: str) -> None:
    with Scripted(answer(302, Location=location)) as server, scripted_client(server) as rest:
        with pytest.raises(DownloadFailed, match="redirected to a URL that is not accepted"):
            rest.download(url_of(server), tmp_path / "r.wav")


def test_a_circle_of_redirects_is_left(tmp_path: Path) -> None:
    with Scripted(*[answer(307, Location="/again")] * 6) as server, scripted_client(server) as rest:
        with pytest.raises(DownloadFailed, match="more than 5 times"):
            rest.download(url_of(server), tmp_path / "r.wav")


def test_nobody_listens(tmp_path: Path) -> None:
    with Scripted() as server:
        url = url_of(server)
    with scripted_client(server, retries=1) as rest, pytest.raises(ConnectError) as caught:
        rest.download(url, tmp_path / "r.wav")
    assert "tell-nobody" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


# -- progress ----------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("with_rich", [True, False])
def test_progress_on_a_terminal(
    sim: Simulator, rest: RestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_rich: bool
) -> None:
    if with_rich:
        pytest.importorskip("rich")
    else:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    rest.download(sim.add_recording(WHOLE), tmp_path / "call.wav", progress=True)
    assert "call.wav" in screen.getvalue()
    assert with_rich or "100 %" in screen.getvalue()


def test_progress_in_plain_text_is_written_when_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with shown("r.wav") as report:
        for there in (0, 1, 9, 10, 11, 999, 1000):
            report(there, 1000)
        report(2**20, None)
    percents = (f"\rr.wav {each:3d} %" for each in (0, 1, 99, 100))
    assert screen.getvalue() == "".join([*percents, "\rr.wav 1.0 MiB", "\n"])


def test_no_progress_where_nobody_looks(
    sim: Simulator, rest: RestClient, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rest.download(sim.add_recording(WHOLE), tmp_path / "call.wav", progress=True)
    assert capfd.readouterr() == ("", "")


def test_there_is_a_pause_after_each_break(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short one after the first, when the server may be there again at once."""
    monkeypatch.setattr(random, "random", lambda: 0.9)
    with Scripted(hang_up, part(len(WHOLE))) as server, scripted_client(server) as rest:
        began = time.monotonic()
        rest.download(url_of(server), tmp_path / "r.wav")
        assert time.monotonic() - began >= 0.9 * FIRST_JITTER


def test_a_hang_up_before_the_answer_is_tried_again(tmp_path: Path) -> None:
    with Scripted(hang_up, part(len(WHOLE))) as server, scripted_client(server) as rest:
        assert rest.download(url_of(server), tmp_path / "r.wav").size == len(WHOLE)
        assert server.requests.get(timeout=PATIENCE)
