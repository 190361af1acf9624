"""Who may open a socket of an ``AudioServer``, who keeps it when many come, and what its operator reads of the others."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from typing import Any

import pytest
import websocket

from relay_sync import InvalidParameter, StreamFailed, WaitTimeout
from relay_sync.audio import AudioServer
from relay_sync.audio.messages import MediaFormat, start_message
from relay_sync.hosts import listening
from relay_sync.simulator import Simulator
from relay_sync.testing import simulated
from tests.support import PATIENCE
from tests.support.upgrades import EVIL, KEY, Misrouted, ask, is_taken


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# -- web pages ---------------------------------------------------------------------------------------------------------


def test_a_web_page_of_another_site_gets_no_socket(caplog: pytest.LogCaptureFixture) -> None:
    with AudioServer() as audio:
        for _ in range(3):
            assert not is_taken(audio.port, f"Origin: {EVIL}")
        (line,) = _warnings(caplog)  # once, not three times
        for piece in ("403", EVIL, f"127.0.0.1:{audio.port}", "origins="):
            assert piece in line
        assert is_taken(audio.port)
        assert is_taken(audio.port, f"Origin: http://127.0.0.1:{audio.port}")
        assert not is_taken(audio.port, "Origin: null")


def test_a_name_that_leads_here_by_dns_rebinding_gets_no_socket(caplog: pytest.LogCaptureFixture) -> None:
    with AudioServer() as audio:
        assert not is_taken(audio.port, f"Host: evil.example:{audio.port}", f"Origin: http://evil.example:{audio.port}")
        (line,) = _warnings(caplog)
        for piece in ("evil.example", "Origin", "hosts="):
            assert piece in line
        for name in ("localhost", "LOCALHOST.", "[::1]", "127.0.0.1", "127.1.2.3"):
            assert is_taken(audio.port, f"Host: {name}:{audio.port}")
            assert is_taken(audio.port, f"Host: {name}:")  # no port, as RFC 3986 allows
        assert not is_taken(audio.port, "Host: evil.example:")


def test_what_the_user_allows() -> None:
    with AudioServer(
        public_url="wss://audio.example.com/audio", origins=["https://app.example.com"], hosts=["dev.example.com"]
    ) as audio:
        for line in ("Origin: https://app.example.com", "Origin: https://audio.example.com", "Host: audio.example.com"):
            assert is_taken(audio.port, line)
        assert is_taken(audio.port, "Host: dev.example.com:99")
        assert not is_taken(audio.port, f"Origin: {EVIL}")
        assert not is_taken(audio.port, "Host: other.example.com")


def test_on_all_addresses_any_name_may_be_asked_for_but_pages_stay_out() -> None:
    with AudioServer("0.0.0.0", on_stream=lambda stream: None) as audio:
        assert is_taken(audio.port, "Host: telephone.example.com")
        assert is_taken(audio.port, "Host: telephone.example.com", "Origin: https://telephone.example.com")
        assert not is_taken(audio.port, "Host: telephone.example.com", f"Origin: {EVIL}")


def test_who_shows_a_valid_token_is_not_judged() -> None:
    bad = (f"Origin: {EVIL}", "Host: evil.example")
    with AudioServer(token="right") as audio:
        assert is_taken(audio.port, *bad, "Authorization: Bearer right")
        assert " 401 " in ask(audio.port, *bad, "Authorization: Bearer wrong")
        assert " 401 " in ask(audio.port, *bad)
    with AudioServer() as audio:
        one_time = audio.device()["params"]["authorization_bearer_token"]
        assert " 401 " in ask(audio.port, *bad, "Authorization: Bearer invented")
        assert is_taken(audio.port, *bad, f"Authorization: Bearer {one_time}")
        assert " 401 " in ask(audio.port, *bad, f"Authorization: Bearer {one_time}")  # spent


def test_probes_are_not_judged() -> None:
    with AudioServer() as audio, socket.create_connection(("127.0.0.1", audio.port), PATIENCE) as peer:
        peer.sendall(b"GET /healthz HTTP/1.1\r\nHost: pod-7\r\n\r\n")
        assert peer.recv(4096).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(("name", "value"), [("origins", ["app.example.com"]), ("origins", "x"), ("hosts", ["a/b"])])
def test_what_cannot_be_allowed(name: str, value: Any) -> None:
    for kind in (AudioServer, Simulator):
        with pytest.raises(InvalidParameter) as caught:
            kind(**{name: value})
        assert caught.value.parameter == name


def test_the_simulator_keeps_web_pages_out_as_well(caplog: pytest.LogCaptureFixture) -> None:
    with simulated() as (sim, client):
        assert client.state == "connected"
        assert not is_taken(sim.port, f"Origin: {EVIL}", path="/")
        assert not is_taken(sim.port, "Host: evil.example", path="/api/relay/ws")
        assert is_taken(sim.port, path="/")
        assert [line for line in _warnings(caplog) if EVIL in line and "origins=" in line]
    with Simulator(origins=["https://app.example.com"], hosts=["sim.example.com"]) as sim:
        assert is_taken(sim.port, "Origin: https://app.example.com", path="/")
        assert is_taken(sim.port, "Host: sim.example.com", path="/")


# -- crowds ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_seven_hundred_half_requests_do_not_keep_a_good_one_waiting(peers: list[Any]) -> None:
    """As many as it takes to fill the places of those that have not asked yet: the good one comes after 200 ones more."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else max(soft, 8192), hard))
    try:
        with AudioServer(start_timeout=60) as audio:
            for _ in range(700):
                peer = socket.create_connection(("127.0.0.1", audio.port), PATIENCE)
                peer.sendall(b"GET /audio HTTP/1.1\r\n")
                peers.append(peer)
            # The server gives up on half a request after 10 s only.
            peers.append(websocket.create_connection(audio.url, timeout=5))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _socket(audio: AudioServer, peers: list[Any], *, token: str | None = None) -> websocket.WebSocket:
    header = {} if token is None else {"Authorization": f"Bearer {token}"}
    peer = websocket.create_connection(audio.url, timeout=PATIENCE, header=header)
    peers.append(peer)
    return peer


def _start(peer: websocket.WebSocket, call_id: str) -> None:
    form = MediaFormat("audio/x-mulaw")
    peer.send(start_message(stream_id="s", account_id="a", call_id=call_id, tracks=["inbound"], media_format=form))


@pytest.mark.slow
def test_sockets_on_which_no_start_comes_make_room_for_others(
    peers: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    with AudioServer(max_connections=4) as audio:
        started = _socket(audio, peers)
        _start(started, "first")
        stream = audio.accept(PATIENCE)
        expected = _socket(audio, peers, token=audio.device()["params"]["authorization_bearer_token"])
        idle = [_socket(audio, peers) for _ in range(2)]
        for number in range(6):
            _start(_socket(audio, peers), f"call-{number}") if number < 2 else None
        assert {audio.accept(PATIENCE).call_id for _ in range(2)} == {"call-0", "call-1"}
        for peer in idle:
            assert peer.recv_data()[1][:2] == (1013).to_bytes(2, "big")
        _start(expected, "expected")  # one that had shown its token has kept its place
        assert audio.accept(PATIENCE).call_id == "expected"
        assert not stream.ended
        assert " 503 " in ask(audio.port)  # all have shown what they are
    lines = _warnings(caplog)
    assert len([line for line in lines if "has not identified itself" in line]) == 1
    assert not [line for line in lines if "no start" in line or "before start was received" in line]
    assert [line for line in lines if "connections has been reached" in line]


def test_in_the_simulator_sockets_that_do_not_authenticate_make_room(peers: list[Any]) -> None:
    with simulated(max_connections=2) as (sim, client):
        for _ in range(5):
            peers.append(websocket.create_connection(sim.url, timeout=PATIENCE))
        assert peers[0].recv_data()[1][:2] == (1013).to_bytes(2, "big")
        assert client.execute("signalwire.ping", {}) is not None


# -- what a listen() tells ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize(
    ("lines", "path", "times", "words"),
    [
        (
            ("Authorization: Bearer of-another-process",),
            "/audio",
            3,
            "3 connections with unknown tokens arrived: does the proxy route by path?",
        ),
        (
            ("Authorization: Bearer of-another-process",),
            "/audio",
            1,
            "1 connection with an unknown token arrived: does the proxy route by path?",
        ),
        ((), "/audio", 1, "1 connection without a token arrived: does the proxy forward the Authorization header?"),
        ((), "/elsewhere", 2, "2 connections for another path arrived: is path= the path that arrives here?"),
        (("Connection: close",), "/audio", 0, ""),
    ],
)
def test_a_listen_in_vain_counts_whom_the_server_refused(
    lines: tuple[str, ...], path: str, times: int, words: str, ends: bool
) -> None:
    with AudioServer() as audio:
        ask(audio.port, "Authorization: Bearer earlier")  # of no concern to the next one
        call = Misrouted(audio.port, lines, path, times, ends)
        with pytest.raises(StreamFailed) as caught:
            audio.listen(call, timeout=0.2)
    text = str(caught.value)
    assert text.endswith(words) if words else "connection" not in text
    assert ("another process answers there" in text) is ends


def test_refusals_of_the_server_itself_count_as_well() -> None:
    with AudioServer() as audio:

        class Plain(Misrouted):
            def stream(self, **options: Any) -> Misrouted:
                with socket.create_connection(("127.0.0.1", audio.port), PATIENCE) as peer:
                    peer.sendall(b"\x16\x03\x01\x02\0")
                    peer.recv(100)
                with socket.create_connection(("127.0.0.1", audio.port), PATIENCE) as peer:
                    peer.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\n")
                    peer.recv(100)
                return self

        with pytest.raises(StreamFailed) as caught:
            audio.listen(Plain(audio.port, ()), timeout=0.2)
    assert "1 connection with TLS to this plain port arrived" in str(caught.value)
    assert "1 refused connection (PROXY) arrived" in str(caught.value)


# -- what is read of refusals and addresses ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ("GET /audio HTTP/1.0\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" + KEY, "proxy_http_version 1.1"),
        ("GET /audio HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n", "Sec-WebSocket-Key"),
        ("GET /audio HTTP/1.1\r\nConnection: upgrade\r\n" + KEY, "the Upgrade header is missing"),
        ("GET /audio HTTP/1.1\r\nUpgrade: websocket\r\n" + KEY, "Connection: Upgrade"),
        ("GET /audio HTTP/1.1\r\n", "plain HTTP request"),
        ("GET / HTTP/1.1\r\n", "plain HTTP request"),
        ("POST /audio HTTP/1.1\r\n", "plain HTTP request"),
        ("POST /audio HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" + KEY, "the method GET"),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\n", "PROXY protocol"),
        ("\r\n\r\n\0\r\nQUIT\n!\x11\0\0", "PROXY protocol"),
        ("GET /audio HTTP/1.1\r\nX: " + "y" * 17000, "16384"),
        ("GET /audio HTTP/3\r\n", "HTTP/1.1"),
        ("GET /else HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" + KEY, "404"),
        ("\x16\x03\x01\x02\0", "TLS to this plain port"),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", "not an HTTP request"),
    ],
)
def test_every_refusal_is_a_line_of_the_log_once(request_: str, words: str, caplog: pytest.LogCaptureFixture) -> None:
    with AudioServer() as audio:
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", audio.port), PATIENCE) as peer:
                peer.sendall((request_ + "\r\n").encode("latin-1"))
                assert peer.recv(4096).startswith(b"HTTP/1.1 4") or "HTTP/3" in request_
        (line,) = _warnings(caplog)
        assert words in line
        assert "127.0.0.1:" in line


def test_the_text_of_an_audio_server_says_where_it_listens(caplog: pytest.LogCaptureFixture) -> None:
    assert repr(AudioServer()) == "<AudioServer for 127.0.0.1, port any, not started>"
    assert repr(AudioServer("", 8765)) == "<AudioServer for all addresses, port 8765, not started>"
    with caplog.at_level(logging.INFO, "relay_sync.audio"), AudioServer("0.0.0.0") as audio:
        assert repr(audio) == f"<AudioServer listening on 0.0.0.0:{audio.port}>"
        assert f"listening on 0.0.0.0:{audio.port}" in caplog.text
    assert repr(audio) == "<AudioServer closed>"
    with AudioServer("localhost") as audio:
        assert f"127.0.0.1:{audio.port}" in repr(audio)
        assert audio.url == f"ws://localhost:{audio.port}/audio"
        websocket.create_connection(audio.url, timeout=PATIENCE).shutdown()  # type: ignore[no-untyped-call]
    with Simulator(host="localhost") as sim:
        assert f"127.0.0.1:{sim.port}" in repr(sim)


# -- who gets in without a token -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"public_url": "wss://audio.example.com/audio"}, {"host": "0.0.0.0"}])
def test_nobody_gets_in_without_a_token_before_somebody_asks(
    options: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with AudioServer(**options) as audio:  # type: ignore[arg-type]
        for _ in range(3):
            assert " 401 " in ask(audio.port)
        (line,) = _warnings(caplog)
        assert "streams without one are not enabled" in line
        with pytest.raises(WaitTimeout):
            audio.accept(0)
        assert " 101 " in ask(audio.port)


@pytest.mark.parametrize("more", [{"on_stream": lambda stream: None}, {"origins": ["https://a.example"]}, {}])
def test_who_is_asked_for_gets_in_without_a_token(more: dict[str, Any]) -> None:
    public = "wss://audio.example.com/audio" if more else None
    with AudioServer(public_url=public, **more) as audio:
        assert " 101 " in ask(audio.port)


def test_a_one_time_token_gets_in_where_nobody_else_does() -> None:
    with AudioServer(public_url="wss://audio.example.com/audio") as audio:
        one_time = audio.device()["params"]["authorization_bearer_token"]
        assert " 101 " in ask(audio.port, f"Authorization: Bearer {one_time}")


# -- addresses, and what the system cannot give ------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["*", "", "0.0.0.0", "::", "[::]", "0:0:0:0:0:0:0:0"])
def test_the_address_of_a_server_on_all_addresses_can_be_used(host: str) -> None:
    with AudioServer(host) as audio:
        audio.device()  # it is an address of this machine
        websocket.create_connection(
            audio.url,
            timeout=PATIENCE,
            header={"Authorization": f"Bearer {audio.device()['params']['authorization_bearer_token']}"},
        ).shutdown()  # type: ignore[no-untyped-call]
    with Simulator(host=host, token="a-token-of-ours") as sim:
        websocket.create_connection(sim.url, timeout=PATIENCE).shutdown()  # type: ignore[no-untyped-call]


def test_a_name_that_the_system_looks_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked = threading.Event(), threading.Event()

    def look(*_: object, **__: object) -> list[Any]:
        asked.set()
        assert found.wait(PATIENCE)
        return []

    monkeypatch.setattr(listening, "_LOOK_UP", 0.05)
    monkeypatch.setattr(socket, "getaddrinfo", look)
    audio = AudioServer("media.example.com")
    with pytest.raises(OSError, match=r"host 'media\.example\.com': it could not be resolved within 0\.05 s"):
        audio.start()
    assert asked.is_set()
    found.set()
    monkeypatch.undo()
    audio.close()


def test_a_system_that_accepts_nobody_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures, enough = 0, threading.Event()

    def accept(_: socket.socket) -> Any:
        nonlocal failures
        failures += 1
        if failures == 5:
            enough.set()
        raise OSError(errno.ENOBUFS, "no buffer space available")

    monkeypatch.setattr("relay_sync.server.websocket.ACCEPT_PAUSE", 0.001)
    with AudioServer() as audio:
        with monkeypatch.context() as patched:
            patched.setattr(socket.socket, "accept", accept)
            peer = socket.create_connection(("127.0.0.1", audio.port), PATIENCE)
            assert enough.wait(PATIENCE)
        peer.close()
        (line,) = _warnings(caplog)
        assert "no buffer space available" in line
        assert is_taken(audio.port)
