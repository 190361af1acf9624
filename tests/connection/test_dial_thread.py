"""Dialing: names, certificates, proxies, upgrades, and peers that are not what they should be."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import queue
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from relay_sync.config import Address, Config
from relay_sync.connection import transport as module
from relay_sync.connection.addresses import _alternating
from relay_sync.connection.dial_thread import ConnectAttempt
from relay_sync.connection.transport import FedWebSocket, as_error, dial
from relay_sync.deadline import Deadline
from relay_sync.errors import ConnectError, ConnectTimeout
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.tls import CERTIFICATE, tls_context

SECRET = "hunter2"
Handler = Callable[[socket.socket], None]


def read_head(conn: socket.socket) -> bytes:
    """A request up to its empty line."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = conn.recv(1)
        if not byte:
            return head
        head += byte
    return head


def upgrade(conn: socket.socket, after: bytes = b"") -> bytes:
    """Answer a WebSocket's upgrade as RFC 6455 wants it; the request's head."""
    head = read_head(conn)
    lines = [line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key: ")]
    key = lines[0].split(b": ")[1] if lines else b""
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    conn.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + after
    )
    return head


def until_closed(conn: socket.socket) -> None:
    try:
        while conn.recv(4096):
            pass
    except OSError:
        pass


class Peer:
    """Takes one connection on loopback and hands it to a function, in a thread of its own."""

    def __init__(self, handler: Handler, *, tls: bool = False) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self.port = self._listener.getsockname()[1]
        self._handler = handler
        self._tls = tls
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="test-peer", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            conn, _ = self._listener.accept()
        except OSError:
            return
        with conn:
            conn.settimeout(PATIENCE)
            try:
                if self._tls:
                    context = tls_context()
                    with context.wrap_socket(conn, server_side=True) as secure:
                        self._handler(secure)
                else:
                    self._handler(conn)
            except OSError:
                pass  # the client went away
            except BaseException as error:
                self.error = error

    def close(self) -> None:
        # A connection to itself ends an accept that nobody came to.
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE).close()
        except OSError:
            pass
        self._thread.join(PATIENCE)
        self._listener.close()
        assert not self._thread.is_alive()
        assert self.error is None, self.error


@pytest.fixture
def peer() -> Iterator[Callable[..., Peer]]:
    made: list[Peer] = []

    def make(handler: Handler, **options: Any) -> Peer:
        made.append(Peer(handler, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def config(port: int, *, host: str = "127.0.0.1", secure: bool = False, **options: Any) -> Config:
    return Config(address=Address(host, port, secure), project="p", token=SECRET, **options)


class Attempt:
    """One dial, and the sockets it told of."""

    def __init__(self, given: Config, patience: float = PATIENCE) -> None:
        self.config = given
        self.opened: list[socket.socket] = []
        self._told = threading.Condition()
        self._deadline = Deadline.after(time.monotonic(), patience)

    def _note(self, sock: socket.socket) -> None:
        with self._told:
            self.opened.append(sock)
            self._told.notify_all()

    def wait_until_told(self, times: int) -> socket.socket:
        with self._told:
            assert self._told.wait_for(lambda: len(self.opened) >= times, PATIENCE)
        return self.opened[-1]

    def __call__(self) -> FedWebSocket:
        return dial(self.config, self._deadline, self._note)

    def fails(self) -> ConnectError:
        """Dial in vain; the error as the user sees it. Nothing stays open, and no secret is in it."""
        with pytest.raises((OSError, ValueError)) as caught:
            self().discard()
        assert all(sock.fileno() == -1 for sock in self.opened)
        found = as_error(caught.value, self.config.address.url)
        chain: BaseException | None = found
        while chain is not None:
            assert SECRET not in f"{chain!s} {chain!r}"
            chain = chain.__cause__
        return found


# -- what goes well ----------------------------------------------------------------------------------------------------


def test_an_upgrade_over_plain_tcp(peer: Callable[..., Peer]) -> None:
    heads: list[bytes] = []
    server = peer(lambda conn: heads.append(upgrade(conn)))
    connection = Attempt(config(server.port))()
    assert connection.socket.gettimeout() == 0.0
    assert connection.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert connection.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    connection.discard()
    server.close()
    (head,) = heads
    assert head.startswith(b"GET / HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}\r\n".encode() in head
    # Secrets travel in frames, never in a request that proxies and servers log.
    assert SECRET.encode() not in head
    assert b"Origin" not in head
    assert b"Cookie" not in head


def test_the_first_frames_may_come_together_with_the_answer(peer: Callable[..., Peer]) -> None:
    def handler(conn: socket.socket) -> None:
        upgrade(conn, after=b"\x81\x05first\x81\x06second")
        until_closed(conn)

    connection = Attempt(config(peer(handler).port))()
    connection.socket.settimeout(PATIENCE)
    messages: list[str] = []
    while len(messages) < 2:
        data = connection.read(65536)
        assert data
        messages += connection.feed(data)[0]
    assert messages == ["first", "second"]
    connection.discard()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_an_upgrade_over_tls_with_an_authority_of_ones_own(peer: Callable[..., Peer], host: str) -> None:
    def handler(conn: socket.socket) -> None:
        upgrade(conn, after=b"\x81\x05first")
        until_closed(conn)

    server = peer(handler, tls=True)
    attempt = Attempt(config(server.port, host=host, secure=True, ca_file=str(CERTIFICATE)))
    connection = attempt()
    assert connection.secure
    # Each socket that another thread might have to shut down was told of, the last one being the one in use.
    assert attempt.opened[-1] is connection.socket
    connection.socket.settimeout(PATIENCE)
    assert connection.read(3) == b"\x81\x05f"
    assert connection.holds_bytes
    connection.discard()


def test_a_context_of_the_user_decides_what_is_trusted(peer: Callable[..., Peer]) -> None:
    context = ssl.create_default_context(cafile=CERTIFICATE)
    server = peer(upgrade, tls=True)
    Attempt(config(server.port, secure=True, ssl_context=context))().discard()


def test_loopback_never_goes_through_a_proxy(peer: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server = peer(upgrade)
    Attempt(config(server.port, proxy="http://127.0.0.1:9"))().discard()


# -- names and certificates --------------------------------------------------------------------------------------------


def test_a_name_that_does_not_exist_is_fatal_where_the_system_can_tell() -> None:
    error = Attempt(config(443, host="no-such-host.invalid", secure=True)).fails()
    cause = error.__cause__
    assert isinstance(cause, socket.gaierror)
    # Without a network a resolver can often only say "try again", and then trying again is right.
    unknown = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
    assert error.fatal is (cause.errno in unknown)
    assert "no-such-host.invalid" in str(error)


@pytest.mark.parametrize("number", [socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_FAIL])
def test_what_the_resolver_says_decides_whether_to_try_again(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(number, "as told")

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    error = Attempt(config(443, host="name.example", secure=True)).fails()
    assert error.fatal is (number == socket.EAI_NONAME)
    if error.fatal:
        assert "check host (SIGNALWIRE_SPACE)" in str(error)


@pytest.mark.parametrize("failure", [UnicodeError("label too long"), OverflowError("port")])
def test_other_faults_of_the_resolver_are_errors_of_the_connection(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(*_: Any, **__: Any) -> Any:
        raise failure

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    with pytest.raises(type(failure)) as caught:
        Attempt(config(443, host="name.example", secure=True))()
    assert isinstance(as_error(caught.value, "wss://name.example"), ConnectError)


def test_a_certificate_that_is_not_trusted_is_fatal_and_says_what_to_do(peer: Callable[..., Peer]) -> None:
    server = peer(until_closed, tls=True)
    error = Attempt(config(server.port, host="localhost", secure=True)).fails()
    assert error.fatal
    assert "certificate of localhost is not trusted" in str(error)
    # And which one that is, so that a proxy's or an old one is told apart.
    assert "'relay-sync test certificate'" in str(error)
    assert "valid from" in str(error)
    assert "ca_file (SIGNALWIRE_RELAY_CA_FILE)" in str(error)


def test_a_certificate_for_another_name_is_not_trusted_either(
    peer: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = peer(until_closed, tls=True)
    there = socket.getaddrinfo("127.0.0.1", server.port, type=socket.SOCK_STREAM)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: there)
    monkeypatch.setattr(module, "proxy_for", lambda _: None)
    error = Attempt(config(server.port, host="other.example", secure=True, ca_file=str(CERTIFICATE))).fails()
    assert error.fatal
    assert "other.example" in str(error)


def test_a_ca_file_that_is_none_is_fatal(peer: Callable[..., Peer], tmp_path: Path) -> None:
    broken = tmp_path / "ca.pem"
    broken.write_text("not a certificate")
    server = peer(until_closed)
    for path in (broken, tmp_path / "gone.pem"):
        error = Attempt(config(server.port, secure=True, ca_file=str(path))).fails()
        assert error.fatal
        assert str(path) in str(error)


def test_tls_to_a_server_without_it_is_fatal_and_says_so(peer: Callable[..., Peer]) -> None:
    server = peer(lambda conn: conn.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    error = Attempt(config(server.port, secure=True)).fails()
    assert error.fatal
    assert f"wss://127.0.0.1:{server.port} does not speak TLS on this port" in str(error)


# -- addresses ---------------------------------------------------------------------------------------------------------


def test_a_refused_connection_may_be_tried_again(closed_port: int) -> None:
    error = Attempt(config(closed_port)).fails()
    assert not error.fatal
    assert isinstance(error.__cause__, ConnectionRefusedError)


def test_the_next_address_is_tried(
    peer: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    server = peer(upgrade)
    name_with(monkeypatch, *(("127.0.0.1", port) for port in (closed_port, server.port)))
    attempt = Attempt(config(server.port))
    attempt().discard()
    assert len(set(attempt.opened)) == 2


class Silent:
    """A listener whose queue is full: it answers no SYN."""

    def __init__(self) -> None:
        self._sock = socket.socket()
        self._sock.bind(("127.0.0.1", 0))
        self._sock.listen(0)
        self.address = self._sock.getsockname()
        self._crowd = []
        for _ in range(8):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(self.address)
            self._crowd.append(one)

    def close(self) -> None:
        for one in (self._sock, *self._crowd):
            one.close()


@pytest.fixture
def silent() -> Iterator[Silent]:
    if sys.platform != "linux":
        pytest.skip("how a full queue is silent differs between systems")
    listener = Silent()
    yield listener
    listener.close()


def name_with(monkeypatch: pytest.MonkeyPatch, *addresses: Any, families: Any = ()) -> None:
    """Make every name have these addresses on loopback."""
    found = [
        (family, socket.SOCK_STREAM, 6, "", address)
        for family, address in itertools.zip_longest(families, addresses, fillvalue=socket.AF_INET)
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


def test_an_address_that_is_silent_costs_a_moment_and_not_the_time_for_all(
    peer: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch, silent: Silent
) -> None:
    """A host with a dead IPv6 address is reached by IPv4 at once."""
    server = peer(upgrade)
    name_with(monkeypatch, silent.address, silent.address, ("127.0.0.1", server.port))
    attempt = Attempt(config(server.port), patience=60.0)
    started = time.monotonic()
    connection = attempt()
    assert time.monotonic() - started < 15
    assert connection.socket.getpeername() == ("127.0.0.1", server.port)
    # Those that lost are closed.
    assert [sock.fileno() for sock in attempt.opened if sock is not connection.socket] == [-1, -1]
    connection.discard()


def test_an_address_that_was_passed_over_still_counts(
    monkeypatch: pytest.MonkeyPatch, silent: Silent, closed_port: int
) -> None:
    """The first has its say while the others are tried, and after they have failed."""
    name_with(monkeypatch, silent.address, ("127.0.0.1", closed_port))
    attempt = Attempt(config(silent.address[1]), patience=60.0)
    dialing = Background(attempt)
    attempt.wait_until_told(3)  # twice of a new one, and again of the first, which is the last one left
    silent.close()  # what waits is reset: an answer, if not a good one
    with pytest.raises((OSError, ConnectError)):
        dialing.result()


def test_families_take_turns() -> None:
    four, six = socket.AF_INET, socket.AF_INET6
    found = [(family, 1, 6, "", number) for number, family in enumerate((six, six, six, four, four))]
    assert [info[4] for info in _alternating(found)] == [0, 3, 1, 4, 2]


def test_a_family_that_this_machine_does_not_know_is_passed_over(
    peer: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = peer(upgrade)
    name_with(monkeypatch, ("nowhere", 1), ("127.0.0.1", server.port), families=(9999, socket.AF_INET))
    Attempt(config(server.port))().discard()


def test_a_race_that_is_given_up_ends_with_all_its_sockets(monkeypatch: pytest.MonkeyPatch, silent: Silent) -> None:
    name_with(monkeypatch, silent.address, silent.address)
    outcomes: queue.SimpleQueue[Any] = queue.SimpleQueue()
    dialing = ConnectAttempt(config(silent.address[1]), "relay-dial-test", lambda _, outcome: outcomes.put(outcome))
    dialing.start()
    while len(dialing._socks) < 2:
        assert outcomes.empty()
    dialing.abandon()
    assert isinstance(outcomes.get(timeout=PATIENCE), ConnectError)
    assert [sock.fileno() for sock in dialing._socks] == [-1, -1]


def test_a_dial_that_is_given_up_does_not_wait_for_the_answer(peer: Callable[..., Peer]) -> None:
    asked, over = threading.Event(), threading.Event()

    def silent(conn: socket.socket) -> None:
        read_head(conn)
        asked.set()
        assert over.wait(2 * PATIENCE)

    outcomes: queue.SimpleQueue[Any] = queue.SimpleQueue()
    given = config(peer(silent).port, connect_timeout=3 * PATIENCE)
    dialing = ConnectAttempt(given, "relay-dial-test", lambda _, outcome: outcomes.put(outcome))
    dialing.start()
    assert asked.wait(PATIENCE)
    dialing.abandon()
    try:
        assert isinstance(outcomes.get(timeout=PATIENCE), ConnectError)
    finally:
        over.set()


def test_no_address_at_all_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    assert not Attempt(config(1)).fails().fatal


# -- answers that are no upgrade ---------------------------------------------------------------------------------------


def answering(answer: bytes) -> Handler:
    def handler(conn: socket.socket) -> None:
        read_head(conn)
        conn.sendall(answer)

    return handler


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "answered HTTP 401 instead of a WebSocket"),
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\nnoise", "HTTP 401"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", "HTTP 503"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "HTTP 200"),
        (b"HTTP/1.1 404 noise\r\nContent-Length: -5\r\n\r\n", ""),
        (b"HTTP/1.1 404 Not\r\nContent-Length: noise\r\n\r\n", ""),
        (b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:9/\r\n\r\n", "HTTP 302"),
        (b"HTTP/1.1 301 Moved\r\n\r\n", "HTTP 301"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "did not answer as a WebSocket"),
        (
            b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
            "did not answer",
        ),
        (b"HTTP/1.1 noise\r\n\r\n", "did not answer as a WebSocket"),
        (b"SSH-2.0-noise\r\n", "did not answer as a WebSocket"),
        (b"noise\r\nnoise\r\n\r\n", "did not answer as a WebSocket"),
        (b"HTTP/1.1 101 x\r\nnoise\r\n\r\n", "did not answer as a WebSocket"),
        (b"HTTP/1.1 101 x\r\nSet-Cookie: \xff\r\n\r\n", "did not answer as a WebSocket"),
        (b"\x00\xff\xfe\r\n\r\n", "did not answer as a WebSocket"),
        (b"\r\n\r\n", ""),
        (b"", "did not answer as a WebSocket"),
        (b"HTTP/1.1 101 Switch", "did not answer as a WebSocket"),
    ],
)
def test_what_is_no_upgrade_is_an_error_that_may_pass(peer: Callable[..., Peer], answer: bytes, words: str) -> None:
    error = Attempt(config(peer(answering(answer)).port)).fails()
    assert "noise" not in str(error)
    assert not error.fatal
    assert words in str(error)
    assert "127.0.0.1" in str(error)


def test_a_redirect_is_not_followed(peer: Callable[..., Peer]) -> None:
    visited = threading.Event()
    elsewhere = peer(lambda conn: visited.set() if read_head(conn) else None)
    answer = f"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:{elsewhere.port}/\r\n\r\n".encode()
    Attempt(config(peer(answering(answer)).port)).fails()
    assert not visited.is_set()


# -- peers that take their time ----------------------------------------------------------------------------------------


def test_a_server_that_says_nothing_is_a_timeout(peer: Callable[..., Peer]) -> None:
    error = Attempt(config(peer(until_closed).port), patience=0.05).fails()
    assert isinstance(error, ConnectTimeout)
    assert not error.fatal


def test_a_server_that_starts_no_tls_is_a_timeout(peer: Callable[..., Peer]) -> None:
    error = Attempt(config(peer(until_closed).port, secure=True), patience=0.05).fails()
    assert isinstance(error, ConnectTimeout)


def drip(conn: socket.socket) -> None:
    """Bytes that never make an answer, each in time for the reader not to give up."""
    read_head(conn)
    conn.sendall(b"HTTP/1.1 101 Switching Protocols\r\n")
    conn.settimeout(0.002)
    while True:
        conn.sendall(b"X-Drip: drop\r\n")
        try:
            if not conn.recv(1):
                return
        except TimeoutError:
            pass


def test_a_server_that_drips_is_ended_by_a_shutdown_from_outside(peer: Callable[..., Peer]) -> None:
    attempt = Attempt(config(peer(drip).port))
    dialing = Background(attempt)
    sock = attempt.wait_until_told(2)  # before and after it was connected
    assert dialing.running
    sock.shutdown(socket.SHUT_RDWR)
    with pytest.raises((OSError, ConnectError)):
        dialing.result()
    assert sock.fileno() == -1


def test_a_tls_handshake_is_ended_by_a_shutdown_from_outside(peer: Callable[..., Peer]) -> None:
    attempt = Attempt(config(peer(until_closed).port, secure=True))
    dialing = Background(attempt)
    sock = attempt.wait_until_told(3)
    assert isinstance(sock, ssl.SSLSocket)
    socket.socket.shutdown(sock, socket.SHUT_RDWR)
    with pytest.raises((OSError, ConnectError)):
        dialing.result()


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_a_dial_that_was_given_up_leaves_nothing_open(peer: Callable[..., Peer], moment: int) -> None:
    """Before it is connected, after that, and before the TLS handshake."""
    opened: list[socket.socket] = []

    def given_up(sock: socket.socket) -> None:
        opened.append(sock)
        if len(opened) >= moment:
            raise TimeoutError("given up")

    with pytest.raises(TimeoutError):
        dial(config(peer(until_closed).port, secure=True), Deadline(None), given_up)
    assert len(opened) == moment
    assert [sock.fileno() for sock in opened] == [-1] * len(opened)


def test_a_deadline_that_has_passed_is_a_timeout(peer: Callable[..., Peer]) -> None:
    assert isinstance(Attempt(config(peer(until_closed).port), patience=-1.0).fails(), ConnectTimeout)


# -- proxies -----------------------------------------------------------------------------------------------------------

FAR = "relay.example.com"


@pytest.fixture(autouse=True)
def no_proxies_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)


def through(proxy: str, **options: Any) -> Attempt:
    return Attempt(config(443, host=FAR, secure=True, proxy=proxy, **options))


def test_a_tunnel_through_a_proxy(peer: Callable[..., Peer]) -> None:
    requests: list[bytes] = []

    def handler(conn: socket.socket) -> None:
        requests.append(read_head(conn))
        conn.sendall(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
        context = tls_context()
        with context.wrap_socket(conn, server_side=True) as secure:
            upgrade(secure)
            until_closed(secure)

    proxy = peer(handler)
    context = ssl.create_default_context(cafile=CERTIFICATE)
    context.check_hostname = False  # the test's certificate is for loopback
    url = f"http://us%40er:p%3A{SECRET}@127.0.0.1:{proxy.port}"
    connection = through(url, ssl_context=context)()
    assert connection.secure
    connection.discard()
    (request,) = requests
    credentials = base64.b64encode(f"us@er:p:{SECRET}".encode())
    assert request == (
        f"CONNECT {FAR}:443 HTTP/1.1\r\nHost: {FAR}:443\r\nProxy-Authorization: Basic ".encode()
        + credentials
        + b"\r\n\r\n"
    )


def test_a_proxy_without_credentials_gets_none(peer: Callable[..., Peer]) -> None:
    requests: list[bytes] = []
    proxy = peer(lambda conn: requests.append(read_head(conn)))
    through(f"http://127.0.0.1:{proxy.port}").fails()
    proxy.close()
    assert b"Authorization" not in requests[0]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407 Proxy"),
        (b"HTTP/1.0 403 Forbidden\r\n\r\n", "403 Forbidden"),
        (b"HTTP/1.1 502 a\x1b[31m\nb\r\n\r\n", "502"),
        (b"HTTP/1.1\r\n\r\n", "did not answer as a proxy"),
        (b"\r\n\r\n", "did not answer as a proxy"),
        (b"SSH-2.0-x\r\n\r\n", "did not answer as a proxy"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "answered with TLS"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "404 Not Found"),
        (b"HTTP/1.1 429 Slow\r\n\r\n", "429 Slow"),
        (b"", "did not answer as a proxy"),
        (b"HTTP/1.1 200 OK", "did not answer as a proxy"),
        (b"x" * 300_000, "did not answer as a proxy"),
    ],
)
def test_a_proxy_that_does_not_connect_is_told_apart(peer: Callable[..., Peer], answer: bytes, words: str) -> None:
    proxy = peer(answering(answer))
    error = through(f"http://user:{SECRET}@127.0.0.1:{proxy.port}").fails()
    assert words in str(error)
    assert f"the proxy http://127.0.0.1:{proxy.port} (proxy)" in str(error)
    assert str(error).isprintable()
    # Refused for good: nothing but another configuration helps.
    assert error.fatal == (words in ("407 Proxy", "403 Forbidden", "404 Not Found", "answered with TLS"))


def test_a_proxy_that_is_not_there(closed_port: int) -> None:
    url = f"http://user:{SECRET}@127.0.0.1:{closed_port}"
    error = Attempt(config(443, host=FAR, secure=True, proxy=url)).fails()
    assert isinstance(error.__cause__, ConnectionRefusedError)


def test_a_proxy_that_drips_is_a_timeout(peer: Callable[..., Peer]) -> None:
    proxy = peer(drip)
    attempt = Attempt(config(443, host=FAR, secure=True, proxy=f"http://127.0.0.1:{proxy.port}"), patience=0.1)
    error = attempt.fails()
    assert isinstance(error, ConnectTimeout)


@pytest.mark.parametrize(
    ("env", "secure", "expected"),
    [
        ({}, True, None),
        ({"https_proxy": "http://p:1"}, True, ("p", 1, "")),
        ({"HTTPS_PROXY": "http://p:1"}, True, ("p", 1, "")),
        ({"https_proxy": "http://p:1"}, False, None),
        ({"http_proxy": "http://p:2"}, False, ("p", 2, "")),
        ({"http_proxy": "http://p:2"}, True, None),
        ({"all_proxy": "http://p:3"}, True, ("p", 3, "")),
        ({"https_proxy": "p:4"}, True, ("p", 4, "")),
        ({"https_proxy": "http://p"}, True, ("p", 80, "")),
        ({"https_proxy": "http://u:w@p:5"}, True, ("p", 5, "Basic " + base64.b64encode(b"u:w").decode())),
        ({"https_proxy": "http://u@p:5"}, True, ("p", 5, "Basic " + base64.b64encode(b"u:").decode())),
        ({"https_proxy": "http://p:1", "no_proxy": "example.com"}, True, None),
        ({"https_proxy": "http://p:1", "no_proxy": "*"}, True, None),
        ({"https_proxy": "http://p:1", "no_proxy": "other.com"}, True, ("p", 1, "")),
        ({"https_proxy": ""}, True, None),
    ],
)
def test_the_proxy_of_the_environment(
    env: dict[str, str], secure: bool, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    found = module.proxy_for(config(443, host=FAR, secure=secure))
    assert found == expected if found is None else (found.host, found.port, found.authorization) == expected


def test_a_given_proxy_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://p:1")
    monkeypatch.setenv("no_proxy", "*")
    found = module.proxy_for(config(443, host=FAR, secure=True, proxy="http://q:2"))
    assert found is not None
    assert (found.address, found.source) == ("http://q:2", "proxy")
    assert module.proxy_for(config(443, host=FAR, secure=True, proxy="")) is None


@pytest.mark.parametrize(
    "url",
    [
        f"socks5://user:{SECRET}@p:1",
        f"https://user:{SECRET}@p:1",
        f"http://user:{SECRET}/x@p:1",
        f"http://user:{SECRET}@p:port",
        f"http://user:{SECRET}@p:99999",
        f"http://[{SECRET}",
        f"http://user:{SECRET}@",
        "http://",
    ],
)
def test_a_proxy_of_the_environment_that_cannot_be_used_is_fatal_and_unseen(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", url)
    error = Attempt(config(443, host=FAR, secure=True)).fails()
    assert error.fatal
    assert "http://host:port" in str(error)


# -- what the user is told ---------------------------------------------------------------------------------------------


def test_failures_become_errors_with_their_cause() -> None:
    already = ConnectError("told", fatal=True)
    assert as_error(already, "wss://x") is already
    late = TimeoutError()
    assert isinstance(as_error(late, "wss://x"), ConnectTimeout)
    assert as_error(late, "wss://x").__cause__ is late
    other = OSError(113, os.strerror(113))
    assert str(as_error(other, "wss://x")).startswith("wss://x cannot be reached: ")
