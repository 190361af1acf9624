"""Downloads: the bytes are those that were asked for, in the right place; what is no recording is refused or waited for."""

from __future__ import annotations

import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from relay_sync import ConnectionLost, DownloadFailed, InvalidParameter
from relay_sync.rest.pages import is_page, page_in
from relay_sync.rest.ranges import Stretch, read_stretch, versions_differ
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.clocks import stopped
from tests.support.downloads import TAG, WHOLE, header, part, url_of
from tests.support.forks import in_child
from tests.support.scripted_http import Act, Scripted, answer, scripted_client

pytestmark = pytest.mark.usefixtures("soon")
SIZE = len(WHOLE)
BROKEN = part(100_000)
REST = WHOLE[100_000:]


def said(status: int, body: bytes, *, length: int | str | None = None, **headers: str) -> Act:
    """An answer whose head says what it likes."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    whole = "\r\n".join([*lines, "Content-Type: audio/wav", "Connection: close", "", ""]).encode() + body
    return lambda peer: peer.sendall(whole)


# -- the right bytes ---------------------------------------------------------------------------------------------------

MISFITS = {
    "a 200 that says it begins elsewhere": said(200, WHOLE[5:], ETag=TAG, Content_Range=f"bytes 5-{SIZE - 1}/{SIZE}"),
    "a 200 with a range that is none": said(200, REST, ETag=TAG, Content_Range="bytes 100000"),
    "a 200 in other units": said(200, REST, ETag=TAG, Content_Range=f"items 0-9/{SIZE}"),
    "a 200 of the length of the rest": said(200, REST),
    "a 200 of the length of the rest, of the same version": said(200, REST, ETag=TAG),
    "a 200 of the same version and another length": said(200, WHOLE[1:], ETag=TAG),
    "a 206 without a range": said(206, REST, ETag=TAG),
    "a 206 that begins elsewhere": said(206, REST, ETag=TAG, Content_Range=f"bytes 99999-{SIZE - 1}/{SIZE}"),
    "a 206 of another version": said(206, REST, ETag='"two"', Content_Range=f"bytes 100000-{SIZE - 1}/{SIZE}"),
    "a 206 of a weak version": said(206, REST, ETag=f"W/{TAG}", Content_Range=f"bytes 100000-{SIZE - 1}/{SIZE}"),
    "a 206 of another whole": said(206, REST, ETag=TAG, Content_Range=f"bytes 100000-{SIZE - 1}/{SIZE + 1}"),
    "a 206 shorter than its range": said(206, REST[:-1], ETag=TAG, Content_Range=f"bytes 100000-{SIZE - 1}/{SIZE}"),
    "a 206 beyond its whole": said(206, REST, ETag=TAG, Content_Range=f"bytes 100000-{SIZE - 1}/{SIZE - 9}"),
    "a 206 backwards": said(206, REST, ETag=TAG, Content_Range=f"bytes 100000-9/{SIZE}"),
    "a 206 of two parts": said(206, REST, ETag=TAG, Content_Range=f"bytes 100000-{SIZE - 1}/{SIZE}, bytes 0-1/{SIZE}"),
    "a 416 of another whole": said(416, b"", Content_Range=f"bytes */{SIZE + 1}"),
    "a 416 that says nothing": said(416, b""),
}


@pytest.mark.parametrize("misfit", MISFITS.values(), ids=MISFITS)
def test_what_does_not_fit_is_fetched_anew_and_never_appended(tmp_path: Path, misfit: Act) -> None:
    with Scripted(BROKEN, misfit, part(SIZE)) as server, scripted_client(server, retries=3) as rest:
        found = rest.download(url_of(server), tmp_path / "r.wav")
        ranges = [header(server.requests.get(), "Range") for _ in range(3)]
    assert (found.path.read_bytes() == WHOLE, found.size) == (True, SIZE)
    assert ranges == ["", "bytes=100000-", ""]


@pytest.mark.parametrize("misfit", MISFITS.values(), ids=MISFITS)
def test_a_server_that_never_sends_what_fits_ends_in_an_error(tmp_path: Path, misfit: Act) -> None:
    again = [BROKEN, misfit] * 4
    with Scripted(*again) as server, scripted_client(server, retries=2) as rest:
        with pytest.raises((DownloadFailed, ConnectionLost)) as caught:
            rest.download(url_of(server), tmp_path / "r.wav")
        assert server.requests.qsize() <= 4  # getting as far as before is no progress
    assert "tell-nobody" not in str(caught.value)
    assert not (tmp_path / "r.wav").exists()


@pytest.mark.parametrize(
    "fit",
    [
        said(200, REST, ETag=TAG, Content_Range=f"bytes 100000-{SIZE - 1}/{SIZE}"),
        said(206, REST, Content_Range=f"bytes 100000-{SIZE - 1}/{SIZE}"),
        said(206, REST, ETag=TAG, Content_Range=f"Bytes 100000-{SIZE - 1}/*"),
        said(206, REST, ETag=TAG, length=f"{len(REST)}, {len(REST)}", Content_Range=f"bytes 100000-{SIZE - 1}/{SIZE}"),
        said(200, WHOLE, ETag='"two"'),
        said(200, WHOLE),
        said(200, WHOLE, ETag=TAG, Content_Range=f"bytes 0-{SIZE - 1}/{SIZE}"),
    ],
    ids=[
        "200",
        "206 without a version",
        "of a whole that is known",
        "length twice",
        "another",
        "whole",
        "whole as a part",
    ],
)
def test_what_fits_is_taken_whatever_the_status_line(tmp_path: Path, fit: Act) -> None:
    with Scripted(BROKEN, fit) as server, scripted_client(server, retries=1) as rest:
        assert rest.download(url_of(server), tmp_path / "r.wav").path.read_bytes() == WHOLE


def test_a_file_in_several_parts_is_put_together(tmp_path: Path) -> None:
    """A server that sends less than was asked for is asked for the rest."""
    steps = [0, 100, 70_000, 200_000, SIZE]
    script = [
        said(206, WHOLE[one:two], ETag=TAG, Content_Range=f"bytes {one}-{two - 1}/{SIZE}")
        for one, two in itertools.pairwise(steps)
    ]
    with Scripted(*script) as server, scripted_client(server, retries=0) as rest:
        assert rest.download(url_of(server), tmp_path / "r.wav").path.read_bytes() == WHOLE
        ranges = [header(server.requests.get(), "Range") for _ in range(4)]
    assert ranges == ["", "bytes=100-", "bytes=70000-", "bytes=200000-"]


def test_parts_of_no_version_are_not_put_together(tmp_path: Path) -> None:
    script = [said(206, WHOLE[:100], Content_Range=f"bytes 0-99/{SIZE}")] * 3
    with Scripted(*script) as server, scripted_client(server, retries=1) as rest:
        with pytest.raises(DownloadFailed, match="a range that does not match"):
            rest.download(url_of(server), tmp_path / "r.wav")
    assert list(tmp_path.iterdir()) == []


def test_a_part_without_its_tag_is_known_by_the_time_of_its_change(tmp_path: Path) -> None:
    one, other = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"
    place = f"bytes 100000-{SIZE - 1}/{SIZE}"
    broken = said(200, WHOLE[:100_000], length=SIZE, ETag=TAG, Last_Modified=one)
    misfit = said(206, bytes(len(REST)), Last_Modified=other, Content_Range=place)
    with Scripted(broken, misfit, part(SIZE)) as server, scripted_client(server) as rest:
        assert rest.download(url_of(server), tmp_path / "a.wav").path.read_bytes() == WHOLE
    fit = said(206, REST, Last_Modified=one, Content_Range=place)
    with Scripted(broken, fit) as server, scripted_client(server, retries=0) as rest:
        with pytest.raises(ConnectionLost):
            rest.download(url_of(server), tmp_path / "b.wav")
        assert rest.download(url_of(server), tmp_path / "b.wav").path.read_bytes() == WHOLE


def test_another_attempt_knows_how_long_the_whole_is(tmp_path: Path) -> None:
    """What is resumed has the length that the first attempt was told, also where the answer that resumes it says ``*``."""
    last = said(206, REST, ETag=TAG, Content_Range=f"bytes 100000-{SIZE - 1}/*")
    with Scripted(BROKEN, last) as server, scripted_client(server, retries=0) as rest:
        with pytest.raises(ConnectionLost):
            rest.download(url_of(server), tmp_path / "r.wav")
        assert json.loads((tmp_path / "r.wav.part.json").read_text())["total"] == SIZE
        assert rest.download(url_of(server), tmp_path / "r.wav").path.read_bytes() == WHOLE


def test_heads_of_answers() -> None:
    def read(status: int, **headers: str) -> Stretch | None:
        return read_stretch(status, {name.replace("_", "-"): value for name, value in headers.items()})

    assert read(200) == Stretch(0, None, None, part=False)
    assert read(200, Content_Length="7") == Stretch(0, 7, 7, part=False)
    assert read(200, Content_Length="7, 8") == Stretch(0, None, None, part=False)
    assert read(206, Content_Range="bytes 3-6/7", Content_Length="4") == Stretch(3, 7, 7, part=True)
    assert read(206, Content_Range="bytes 3-6/*") == Stretch(3, 7, None, part=True)
    for wrong in ("", "bytes 3-6", "bytes */7", "bytes 6-3/7", "bytes 3-7/7", "3-6/7", "bytes 3-6/7x", "bytes -6/7"):
        assert read(206, Content_Range=wrong) is None
    assert read(206, Content_Range="bytes 3-6/7", Content_Length="7") is None
    assert versions_differ('"a"', "", {"ETag": '"b"'})
    assert not versions_differ('"a"', "", {"Last-Modified": "yesterday"})
    assert not versions_differ('"a"', "today", {"ETag": '"a"', "Last-Modified": "yesterday"})  # the tag decides
    assert versions_differ('"a"', "today", {"Last-Modified": "yesterday"})
    assert versions_differ("yesterday", "yesterday", {"Last-Modified": "today"})


# -- what is no recording ----------------------------------------------------------------------------------------------

WORDS = {
    b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>": "XML",
    b"<Error><Code>NoSuchKey</Code></Error>": "XML",
    b"\n<!-- moved --><p>elsewhere</p>": "XML",
    b'{"error": "expired"}': "JSON",
    b'\xef\xbb\xbf [\n  {"message": "no"}]': "JSON",
    b"{}": "JSON",
    b"<html><body>Please log in</body></html>": "an HTML page",
    "\ufeff<!DOCTYPE html><p>Bitte anmelden".encode("utf-16-le"): "an HTML page",
    b"Internal error": "text",
    "\u5f55\u97f3\u4e0d\u5b58\u5728".encode(): "text",
}


@pytest.mark.parametrize("content_type", ["audio/wav", "audio/mpeg", "application/octet-stream", "text/plain", ""])
@pytest.mark.parametrize(("body", "what"), WORDS.items(), ids=list(WORDS.values()))
def test_words_are_no_recording_whatever_they_are_called(
    tmp_path: Path, body: bytes, what: str, content_type: str
) -> None:
    with Scripted(answer(200, body, Content_Type=content_type)) as server, scripted_client(server) as rest:
        with pytest.raises(DownloadFailed, match=f"sent {what} as"):
            rest.download(url_of(server), tmp_path / "r.wav")
    assert list(tmp_path.iterdir()) == []


def test_what_is_taken_for_words() -> None:
    for kind in ("text/html", "Text/CSS; charset=x", "application/json", "image/svg+xml", "multipart/byteranges"):
        assert is_page(kind)
    for kind in ("audio/wav", "video/mp4", "application/octet-stream", "text/plain", "text/plain; charset=utf-8", ""):
        assert not is_page(kind)
    assert page_in(b"Not Found") == page_in(b"<RIFF") == "text"
    assert page_in(b"RIFF\xff\0\0\0WAVE") == page_in(b'{"\0\1') == page_in(b"<a>\xff") == page_in(b"") == ""
    assert page_in(b"ab") == ""  # one sample
    assert page_in(b'{"a": "' + "\u20ac".encode() * 1000) == "JSON"  # cut within a character
    assert page_in(WHOLE) == page_in(b"ID3\4\0\0") == ""


def test_a_file_of_0_bytes_is_no_recording(tmp_path: Path) -> None:
    target = tmp_path / "r.wav"
    target.write_bytes(b"of yesterday")
    for script in (answer(200, b"", Content_Type="audio/wav"), lambda peer: peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")):
        with Scripted(script) as server, scripted_client(server) as rest:
            with pytest.raises(DownloadFailed, match=r"sent a file of 0 bytes; .* wait=30"):
                rest.download(url_of(server), target)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("r.wav", b"of yesterday")]


# -- what is not there yet ---------------------------------------------------------------------------------------------

LATER: dict[str, Act] = {
    "404": answer(404),
    "202": answer(202, b'{"status": "processing"}', Content_Type="application/json"),
    "204": lambda peer: peer.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"),
    "425": answer(425),
    "empty": answer(200, b"", Content_Type="audio/wav"),
    "503": answer(503, Retry_After="0"),
}


@pytest.mark.parametrize(
    "later",
    [pytest.param(act, id=name, marks=[] if name == "202" else pytest.mark.slow) for name, act in LATER.items()],
)
def test_a_recording_that_is_not_there_yet_is_waited_for(tmp_path: Path, later: Act) -> None:
    with Scripted(later, later, part(SIZE)) as server, scripted_client(server, retries=0) as rest:
        assert rest.download(url_of(server), tmp_path / "r.wav", wait=PATIENCE).path.read_bytes() == WHOLE


@pytest.mark.parametrize("name", ["404", "202", "204", "425"])
def test_nobody_waits_unasked(tmp_path: Path, name: str) -> None:
    with Scripted(LATER[name]) as server, scripted_client(server) as rest:
        with pytest.raises(DownloadFailed, match=f"the server answered {name}; .* wait=30"):
            rest.download(url_of(server), tmp_path / "r.wav")
        assert server.requests.qsize() == 1


@pytest.mark.parametrize("status", [401, 403, 410])
def test_what_will_not_come_is_not_waited_for(tmp_path: Path, status: int) -> None:
    with Scripted(answer(status)) as server, scripted_client(server) as rest:
        with pytest.raises(DownloadFailed, match=f"the server answered {status}$"):
            rest.download(url_of(server), tmp_path / "r.wav", wait=PATIENCE)


@pytest.mark.parametrize("limit", [{"wait": 0.5}, {"wait": PATIENCE, "timeout": 0.5}])
def test_the_wait_ends(tmp_path: Path, limit: dict[str, float]) -> None:
    with Scripted(*[answer(404)] * 10) as server, scripted_client(server) as rest:
        with pytest.raises(DownloadFailed, match=r"the server answered 404; the recording was not available within"):
            rest.download(url_of(server), tmp_path / "r.wav", **limit)  # type: ignore[arg-type]
        assert 2 <= server.requests.qsize() <= 4


def test_a_pause_longer_than_the_wait_ends_it_at_once(tmp_path: Path) -> None:
    with Scripted(answer(404, Retry_After="3600")) as server, scripted_client(server) as rest:
        with pytest.raises(DownloadFailed, match="not available within 20 s"):
            rest.download(url_of(server), tmp_path / "r.wav", wait=20)


def test_where_the_clock_stands_still_looking_ends(tmp_path: Path) -> None:
    with Scripted(*[answer(404)] * 9) as server, scripted_client(server) as rest, stopped():
        looking = Background(lambda: rest.download(url_of(server), tmp_path / "r.wav", wait=0.25))
        with pytest.raises(DownloadFailed, match=r"404; the recording was not available within 0\.25 s \(wait\)"):
            looking.result()
        assert server.served == 3  # at once, after 0.2 s, and at the end


@pytest.mark.parametrize("wait", [True, "5", float("nan")])
def test_a_wait_that_is_none(tmp_path: Path, wait: Any) -> None:
    with Scripted() as server, scripted_client(server) as rest, pytest.raises(InvalidParameter) as caught:
        rest.download(url_of(server), tmp_path / "r.wav", wait=wait)
    assert caught.value.parameter == "wait"


# -- files beside the target -------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="there are other kinds of files there")
@pytest.mark.parametrize("name", ["r.wav.part", "r.wav.part.json"])
@pytest.mark.parametrize("how", ["hard link", "symbolic link", "dangling link", "FIFO"])
def test_what_lies_beside_the_target_is_used_only_if_it_is_ours(tmp_path: Path, name: str, how: str) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"not to be touched")
    place = tmp_path / name
    if how == "hard link":
        place.hardlink_to(precious)
    elif how == "FIFO":
        os.mkfifo(place)
    else:
        place.symlink_to(precious if how == "symbolic link" else tmp_path / "nowhere")
    with Scripted(part(SIZE)) as server, scripted_client(server) as rest:
        with pytest.raises(DownloadFailed, match=r"r\.wav cannot be written"):
            rest.download(url_of(server), tmp_path / "r.wav")
    assert precious.read_bytes() == b"not to be touched"
    assert not (tmp_path / "nowhere").exists()
    assert not (tmp_path / "r.wav").exists()
    assert os.path.lexists(place)  # nor is it taken away


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_another_user_s_file_is_not_used(tmp_path: Path) -> None:
    place = tmp_path / "r.wav.part"
    place.write_bytes(b"of another user")
    os.chown(place, 12345, -1)
    with Scripted(part(SIZE)) as server, scripted_client(server) as rest:
        with pytest.raises(DownloadFailed, match=r"r\.wav\.part exists but is not a regular file that you own"):
            rest.download(url_of(server), tmp_path / "r.wav")
    assert place.read_bytes() == b"of another user"


def test_a_file_that_was_exchanged_meanwhile_is_not_the_result(tmp_path: Path) -> None:
    def exchange(there: int, total: int | None) -> None:
        if there == SIZE:
            (tmp_path / "r.wav.part").unlink()
            (tmp_path / "r.wav.part").write_bytes(b"of somebody else")

    with Scripted(part(SIZE)) as server, scripted_client(server) as rest:
        with pytest.raises(DownloadFailed, match="was replaced by another file"):
            rest.download(url_of(server), tmp_path / "r.wav", on_progress=exchange)
    assert not (tmp_path / "r.wav").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there files are not locked")
def test_two_downloads_to_one_path_never_write_into_one_file(tmp_path: Path) -> None:
    """Resuming, the second is refused while the first goes on; else each has a file of its own."""
    told: list[str] = []

    def again(there: int, total: int | None) -> None:
        if there and not told:
            with Scripted(part(SIZE)) as other, scripted_client(other) as rest:
                with pytest.raises(DownloadFailed, match="another download is writing to") as refused:
                    rest.download(url_of(other), tmp_path / "r.wav")
                told.append(str(refused.value))
                rest.download(url_of(other), tmp_path / "r.wav", resume=False)

    with Scripted(part(SIZE)) as server, scripted_client(server) as rest:
        rest.download(url_of(server), tmp_path / "r.wav", on_progress=again)
    assert told
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("r.wav", WHOLE)]


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size there")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("resume", [False, True])
def test_a_full_disk_leaves_nothing_that_cannot_be_resumed(tmp_path: Path, resume: bool) -> None:
    """The disk has room for so many bytes of a file, the note of a part included."""
    rooms = [0, 10, 150, 1000, 70_000, SIZE - 1]
    parts = [tmp_path / "70000.wav.part", tmp_path / "255999.wav.part"] if resume else []

    def rest_of(path: Path) -> Act:
        return lambda peer: part(SIZE, start=path.stat().st_size)(peer)

    with (
        Scripted(*[part(SIZE)] * len(rooms), *map(rest_of, parts)) as server,
        scripted_client(server, retries=0) as rest,
    ):

        def child() -> None:
            import resource
            import signal

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            for room in rooms:
                resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
                with pytest.raises(DownloadFailed, match="cannot be written"):
                    rest.download(url_of(server), tmp_path / f"{room}.wav", resume=resume)

        in_child(child)
        assert sorted(tmp_path.iterdir()) == sorted([*parts, *(path.with_name(f"{path.name}.json") for path in parts)])
        for path in parts:
            found = rest.download(url_of(server), path.with_suffix(""))
            assert found.resumed > 65_000
            assert found.path.read_bytes() == WHOLE


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are others there")
def test_a_file_that_cannot_be_resumed_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "any").touch()
    with Scripted(part(SIZE)) as server, scripted_client(server) as rest:
        rest.download(url_of(server), tmp_path / "r.wav", resume=False)
    assert (tmp_path / "r.wav").stat().st_mode == (tmp_path / "any").stat().st_mode


def test_a_body_in_a_coding_that_nobody_asked_for_is_refused(tmp_path: Path) -> None:
    with Scripted(said(200, WHOLE, Transfer_Encoding="gzip, chunked")) as server, scripted_client(server) as rest:
        with pytest.raises(DownloadFailed, match="compressed the file"):
            rest.download(url_of(server), tmp_path / "r.wav")
    assert list(tmp_path.iterdir()) == []
