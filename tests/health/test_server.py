"""The health server on loopback, with clients of all manners."""

from __future__ import annotations

import os
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from relay_sync.health import server
from relay_sync.health.report import Report
from relay_sync.health.server import MOST_CONNECTIONS, HealthServer
from relay_sync.health.verdicts import Overview
from tests.support import PATIENCE
from tests.support.background import Background, no_threads, until
from tests.support.forks import holds_in_child
from tests.support.health import Answer, ask, overview, process

GOOD = overview(process(0), process(1))


@contextmanager
def serving(look: Callable[[], Overview] = lambda: GOOD, host: str = "127.0.0.1") -> Iterator[str]:
    """A health server, and its address."""
    made = HealthServer(host, 0, look)
    made.start()
    try:
        yield made.addresses[0]
    finally:
        made.close(PATIENCE)


@pytest.fixture
def address() -> Iterator[str]:
    with serving() as found:
        yield found


def connected(address: str, sent: bytes = b"") -> socket.socket:
    host, _, port = address.rpartition(":")
    peer = socket.create_connection((host, int(port)), PATIENCE)
    peer.sendall(sent)
    return peer


def received(peer: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    found = b""
    try:
        while piece := peer.recv(65536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def requests() -> list[str]:
    """Names of the threads that serve requests."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("relay-health-")]


def goes_on(peer: socket.socket) -> bool:
    """Send another header; whether the server is still there."""
    try:
        peer.sendall(b"a: b\r\n")
    except OSError:
        return False
    return True


def test_the_pages(address: str) -> None:
    answers = {path: ask(address, path) for path in ("/live", "/ready", "/metrics", "/ready?from=probe", "/", "/livez")}
    assert {path: answer.status for path, answer in answers.items()} == {
        "/live": 200,
        "/ready": 200,
        "/metrics": 200,
        "/ready?from=probe": 200,
        "/": 404,
        "/livez": 404,
    }
    assert answers["/live"].body == "live\n"
    assert answers["/ready"].body == "2 of 2 processes connected\nprocess 0: connected\nprocess 1: connected\n"
    assert answers["/metrics"].headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answers["/"].body == "not found; available: /live, /ready, /metrics\n"
    for answer in answers.values():
        assert (answer.headers["Server"], answer.headers["Connection"]) == ("relay-sync", "close")


def test_one_thread_accepts_connections_until_the_server_is_closed() -> None:
    with serving():
        assert [thread.name for thread in threading.enumerate()].count("relay-health") == 1
    until(lambda: "relay-health" not in [thread.name for thread in threading.enumerate()])


def test_a_bad_verdict_is_503() -> None:
    with serving(lambda: overview(process(pid=None), process(1, silence=6.0))) as address:
        assert ask(address, "/live") == Answer(
            503, ask(address, "/live").headers, "process 1 (pid 101) has been silent for 6.0 s\n"
        )
        assert ask(address, "/ready").status == 503


def test_head_has_the_same_headers_and_no_body(address: str) -> None:
    got, head = ask(address, "/ready"), ask(address, "/ready", "HEAD")
    assert (head.status, head.body) == (200, "")
    assert head.headers["Content-Length"] == str(len(got.body))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "INVENTED"])
def test_other_methods_are_refused(address: str, method: str) -> None:
    answer = ask(address, "/live", method)
    assert (answer.status, answer.headers["Allow"], answer.body) == (405, "GET, HEAD", "Method Not Allowed\n")


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /live HTTP/9.9\r\n\r\n",
        b"GET /live HTTP/x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /live HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /live HTTP/1.1\r\n" + b"a: b\r\n" * 1000 + b"\r\n",
        b"GET /live HTTP/1.1\r\nx: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET /%0d%0aSet-Cookie:x=<script> HTTP/1.1\r\n\r\n",
        b"GET //evil.example/live HTTP/1.1\r\n\r\n",
    ],
)
def test_nonsense_is_refused_and_not_repeated(address: str, sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with connected(address) as peer:
        try:
            peer.sendall(sent)
            peer.shutdown(socket.SHUT_WR)
        except OSError:  # refused before it was complete
            pass
        got = received(peer)
    assert b"script" not in got
    assert b"evil" not in got
    assert b" 200 " not in got
    assert ask(address, "/live").status == 200
    assert caplog.text == ""


def test_the_name_by_which_it_is_called_does_not_matter(address: str) -> None:
    assert ask(address, "/live", Host="evil.example", Origin="https://evil.example").status == 200


def test_clients_that_say_nothing_neither_block_others_nor_grow_in_number(address: str) -> None:
    with ExitStack() as peers:
        silent = [peers.enter_context(connected(address)) for _ in range(5 * MOST_CONNECTIONS)]
        assert ask(address, "/live").status == 200
        assert len(requests()) <= MOST_CONNECTIONS
        assert received(silent[0]) == b""


def test_a_connection_ends_after_its_time_however_busy_it_is(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DEADLINE", 0.2)
    with connected(address, b"GET /live HTTP/1.1\r\n") as peer:
        until(lambda: not goes_on(peer))
    assert ask(address, "/live").status == 200


def test_a_client_that_does_not_read_is_dropped_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DEADLINE", 0.2)
    lines = tuple("a" * 10_000 for _ in range(2_000))
    with serving(lambda: overview(process(report=None, silence=99.0))) as address:
        monkeypatch.setattr("relay_sync.health.verdicts._problems", lambda process: list(lines))
        with connected(address, b"GET /live HTTP/1.1\r\n\r\n"):
            until(lambda: bool(requests()))
            until(lambda: not requests())


def test_text_that_is_no_unicode_is_shown_all_the_same() -> None:
    report = Report.decode(
        r'{"connected":true,"draining":false,"over":false,"threads":1,"silent":{"\ud800":9},"samples":{}}'
    )
    with serving(lambda: overview(process(report=report))) as address:
        assert ask(address, "/live").body == "process 0 (pid 100): 1 IO thread not answering: ? for 9.0 s\n"


def test_a_check_that_fails_is_an_error_of_the_server(caplog: pytest.LogCaptureFixture) -> None:
    def look() -> Overview:
        raise LookupError("a mistake")

    with serving(look) as address:
        for _ in range(3):
            answer = ask(address, "/metrics")
            assert (answer.status, answer.body) == (500, "internal error; the log contains the traceback\n")
        assert caplog.text.count("LookupError: a mistake") == 1


def test_a_check_that_outlasts_its_connection_does_not_keep_the_accepting_thread_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "DEADLINE", 0.05)
    asked, goes_on, turns = threading.Event(), threading.Event(), [0]
    select = selectors.DefaultSelector.select

    def counted(self: selectors.DefaultSelector, timeout: float | None = None) -> Any:
        turns[0] += 1
        return select(self, timeout)

    def look() -> Overview:
        asked.set()
        goes_on.wait(PATIENCE)
        return GOOD

    monkeypatch.setattr(selectors.DefaultSelector, "select", counted)
    with serving(look) as address, connected(address, b"GET /live HTTP/1.1\r\n\r\n") as peer:
        assert asked.wait(PATIENCE)
        assert received(peer) == b""  # the time of the connection is over
        before = turns[0]
        assert not goes_on.wait(0.5)
        assert turns[0] - before < 10
        goes_on.set()


def test_a_check_that_hangs_holds_up_no_other(address: str) -> None:
    goes_on = threading.Event()

    def look() -> Overview:
        if threading.current_thread().name.endswith("-1"):
            goes_on.wait(PATIENCE)
        return GOOD

    with serving(look) as address:
        hanging = Background(ask, address, "/live")
        until(lambda: "relay-health-1" in requests())
        assert ask(address, "/live").status == 200
        goes_on.set()
        assert hanging.result().status == 200


def test_without_threads_it_goes_on_once_there_are_some(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with no_threads("relay-health-"):
        for _ in range(3):
            with connected(address, b"GET /live HTTP/1.1\r\n\r\n") as peer:
                assert received(peer) == b""
    assert caplog.text.count("the health server cannot start a thread") == 1
    assert ask(address, "/live").status == 200


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_a_forked_child_has_no_health_server_and_disturbs_none() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with serving() as address, connected(address, b"GET /live") as peer:
        until(lambda: bool(requests()))
        holds_in_child(lambda: len(os.listdir("/proc/self/fd")) == before + 1)
        peer.sendall(b" HTTP/1.1\r\n\r\n")
        assert b" 200 " in received(peer)


def test_closing_ends_open_connections_and_frees_the_port() -> None:
    with serving() as address:
        peer = connected(address)
    with peer:
        assert received(peer) == b""
    with pytest.raises(OSError, match="refused"):
        connected(address)
    again = HealthServer("127.0.0.1", int(address.rpartition(":")[2]), lambda: GOOD)
    again.close()


def test_a_port_that_is_taken_is_named(address: str) -> None:
    with pytest.raises(OSError, match=f"{address} is already in use"):
        HealthServer("127.0.0.1", int(address.rpartition(":")[2]), lambda: GOOD)


def test_ipv6() -> None:
    with serving(host="::1") as address:
        assert address.startswith("[::1]:")
        assert ask(address, "/live").status == 200
