"""Server and dialled connections over real sockets; the peer is websocket-client, or bytes written by hand."""

from __future__ import annotations

import errno
import os
import queue
import socket
import ssl
import stat
import struct
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import websocket
from attrs import define, field

from relay_sync.hosts import listening as places
from relay_sync.server import (
    CloseInfo,
    Connection,
    HttpRequest,
    Later,
    Loop,
    LoopStopped,
    OpenFailed,
    Response,
    WebSocketServer,
    dial,
)
from relay_sync.server import websocket as listening
from tests.support import PATIENCE
from tests.support.background import until
from tests.support.forks import holds_in_child, needs_fork, quiet_fork
from tests.support.ports import needs_ipv6
from tests.support.tls import CERTIFICATE, tls_context

UPGRADE = (
    b"GET /x?q=1 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@define(eq=False)
class End:
    """One end of a connection, with what happened to it."""

    messages: queue.SimpleQueue[str | bytes] = field(factory=queue.SimpleQueue)
    closed: queue.SimpleQueue[CloseInfo] = field(factory=queue.SimpleQueue)
    opened: queue.SimpleQueue[Connection] = field(factory=queue.SimpleQueue)
    failed: queue.SimpleQueue[Exception] = field(factory=queue.SimpleQueue)

    def open(self, connection: Connection) -> None:
        connection.on_message = self.messages.put
        connection.on_close = self.closed.put
        self.opened.put(connection)

    def connection(self) -> Connection:
        return self.opened.get(timeout=PATIENCE)

    def message(self) -> str | bytes:
        return self.messages.get(timeout=PATIENCE)

    def close_info(self) -> CloseInfo:
        return self.closed.get(timeout=PATIENCE)


@pytest.fixture
def end() -> End:
    return End()


MakeServer = Callable[..., WebSocketServer]


@pytest.fixture
def serve(loop: Loop, end: End) -> MakeServer:
    def make(**options: Any) -> WebSocketServer:
        return WebSocketServer(loop, **{"on_request": lambda request: None, "on_open": end.open, **options})

    return make


def _client(server: WebSocketServer, peers: list[Any], path: str = "/x", **options: Any) -> Any:
    peer = websocket.create_connection(f"ws://127.0.0.1:{server.port}{path}", timeout=PATIENCE, **options)
    peers.append(peer)
    return peer


def _raw(server: WebSocketServer, peers: list[Any], first: bytes) -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    peers.append(peer)
    peer.sendall(first)
    return peer


def _read_head(peer: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        part = peer.recv(1)
        if not part:
            break
        data += part
    return data


def _read_all(peer: socket.socket) -> bytes:
    parts = []
    while part := peer.recv(65536):
        parts.append(part)
    return b"".join(parts)


def _is_over(peer: socket.socket) -> bool:
    """Whether the other side ends it without a word; a reset where it had not read all, which is a matter of timing."""
    try:
        return peer.recv(1) == b""
    except ConnectionResetError:
        return True


def _frame(opcode: int, payload: bytes, *, fin: bool = True, length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    head = bytes([opcode | (0x80 if fin else 0)])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65536:
        head += bytes([0x80 | 126]) + struct.pack("!H", size)
    else:
        head += bytes([0x80 | 127]) + struct.pack("!Q", size)
    return head + b"\0\0\0\0" + payload  # a mask of zeros changes nothing


# -- the accepting side ------------------------------------------------------------------------------------------------


def test_messages_both_ways(serve: MakeServer, end: End, peers: list[Any]) -> None:
    server = serve()
    peer = _client(server, peers, "/p?a=b", header={"X-Who": "me"})
    connection = end.connection()
    assert (connection.path, connection.query, connection.headers["x-who"]) == ("/p", "a=b", "me")
    assert connection.remote == "{}:{}".format(*peer.sock.getsockname())
    for text in ("", "héllo \N{TELEPHONE RECEIVER}", "x" * 70_000):
        peer.send(text)
        assert end.message() == text
        assert connection.send(text)
        assert peer.recv() == text
    peer.send_binary(b"\0\xff")
    assert end.message() == b"\0\xff"


def test_the_peer_closes(serve: MakeServer, end: End, loop: Loop, peers: list[Any]) -> None:
    peer = _client(serve(), peers)
    connection = end.connection()
    peer.send("last")
    peer.close(4001, b"bye")
    assert end.message() == "last"
    assert end.close_info() == CloseInfo(4001, "bye", True)
    assert not connection.is_open
    assert not connection.send("too late")
    assert not loop.call(connection.send, "too late", timeout=PATIENCE)


def test_we_close(serve: MakeServer, end: End, peers: list[Any]) -> None:
    peer = _client(serve(), peers)
    connection = end.connection()
    connection.send("before")
    connection.close(1008, "é" * 100)  # cut at 123 bytes, between characters
    connection.close(1000)
    assert peer.recv() == "before"
    opcode, data = peer.recv_data()
    assert (opcode, data) == (8, struct.pack("!H", 1008) + "é".encode() * 61)
    assert end.close_info() == CloseInfo(1008, "é" * 61, True)
    assert end.closed.empty()


def test_what_another_thread_has_sent_comes_before_the_end(
    serve: MakeServer, end: End, loop: Loop, peers: list[Any]
) -> None:
    peer = _client(serve(), peers)
    connection = end.connection()
    with _standing(loop):
        loop.call_soon(connection.close, 1000)  # begun before, and on the loop's thread
        assert connection.send("before")
    assert peer.recv() == "before"
    assert peer.recv_data()[0] == 8


def test_a_peer_that_never_answers_a_close_is_given_up(serve: MakeServer, end: End, peers: list[Any]) -> None:
    peer = _raw(serve(), peers, UPGRADE)
    connection = end.connection()
    connection.close_timeout = 0.05
    connection.close(1000, "over")
    assert end.close_info() == CloseInfo(1000, "over", False)
    assert _read_all(peer).endswith(struct.pack("!H", 1000) + b"over")


def test_the_socket_just_ends(serve: MakeServer, end: End, peers: list[Any]) -> None:
    peer = _raw(serve(), peers, UPGRADE + _frame(1, b"received"))
    end.connection()
    assert end.message() == "received"
    peer.close()
    info = end.close_info()
    assert (info.code, info.clean) == (None, False)


def test_the_socket_is_reset(serve: MakeServer, end: End, peers: list[Any]) -> None:
    peer = _raw(serve(), peers, UPGRADE)
    end.connection()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    info = end.close_info()
    assert (info.code, info.clean) == (None, False)
    assert info.reason


@pytest.mark.parametrize("reset", [False, True])
def test_abort(serve: MakeServer, end: End, peers: list[Any], reset: bool) -> None:
    peer = _raw(serve(), peers, UPGRADE)
    connection = end.connection()
    _read_head(peer)
    connection.abort(reset)
    assert end.close_info() == CloseInfo(None, "aborted", False)
    if reset:
        with pytest.raises(ConnectionResetError):
            peer.recv(1)
    else:
        assert peer.recv(1) == b""


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (_frame(1, b"\xff\xfe"), 1007),
        (_frame(1, b"\xe2\x82", fin=False) + _frame(0, b"x"), 1007),
        (_frame(1, b"", length=2**40), 1009),
        (_frame(1, b"", length=1001), 1009),
        (_frame(1, b"x" * 600, fin=False) + _frame(0, b"x" * 600), 1009),
        (_frame(3, b""), 1002),
        (_frame(0, b"continues nothing"), 1002),
        (_frame(9, b"x" * 126), 1002),
        (b"\x81\x01x", 1002),  # not masked
        (_frame(8, b"\x03"), 1002),
        (_frame(8, b"\x03\xe8\xff"), 1007),
    ],
)
def test_breaches_of_the_protocol(serve: MakeServer, end: End, peers: list[Any], sent: bytes, code: int) -> None:
    def wait_long(connection: Connection) -> None:
        end.open(connection)
        connection.close_timeout = 60.0  # that the peer keeps its socket holds up nobody

    peer = _raw(serve(max_message=1000, on_open=wait_long), peers, UPGRADE + _frame(1, b"good") + sent)
    _read_head(peer)
    assert end.message() == "good"
    answer = _read_all(peer)
    assert answer[0] == 0x88
    assert struct.unpack("!H", answer[2:4]) == (code,)
    assert end.close_info().code == code


def test_fragments_with_a_ping_between(serve: MakeServer, end: End, peers: list[Any]) -> None:
    sent = _frame(1, "Grü".encode()[:3], fin=False) + _frame(9, b"still there?") + _frame(0, b"", fin=False)
    peer = _raw(serve(), peers, UPGRADE + sent + _frame(0, "ü".encode()[1:] + b"n"))
    _read_head(peer)
    assert end.message() == "Grün"
    assert peer.recv(100) == b"\x8a\x0cstill there?"


def test_what_is_sent_in_one_turn_leaves_in_one_write(
    serve: MakeServer, end: End, loop: Loop, peers: list[Any]
) -> None:
    peer = _raw(serve(), peers, UPGRADE)
    connection = end.connection()
    _read_head(peer)
    loop.call(lambda: [connection.send("x") for _ in range(100)], timeout=PATIENCE)
    assert peer.recv(1000) == b"\x81\x01x" * 100


def test_text_and_bytes_are_sent_as_such_from_any_thread(
    serve: MakeServer, end: End, loop: Loop, peers: list[Any]
) -> None:
    peer = _client(serve(), peers)
    connection = end.connection()
    for send in (connection.send, lambda message: loop.call(connection.send, message, timeout=PATIENCE)):
        assert send("text")
        assert send(b"\xff\0")
        assert peer.recv_data() == (websocket.ABNF.OPCODE_TEXT, b"text")
        assert peer.recv_data() == (websocket.ABNF.OPCODE_BINARY, b"\xff\0")


def test_threads_send_in_their_own_order(serve: MakeServer, end: End, peers: list[Any]) -> None:
    peer = _client(serve(), peers)
    connection = end.connection()
    threads = [
        threading.Thread(target=lambda who=who: [connection.send(f"{who} {n}") for n in range(300)]) for who in range(4)
    ]
    for thread in threads:
        thread.start()
    got = [peer.recv().split() for _ in range(1200)]
    for thread in threads:
        thread.join(PATIENCE)
    for who in range(4):
        assert [int(n) for whose, n in got if int(whose) == who] == list(range(300))


def test_what_another_thread_has_just_sent_is_not_drained(
    serve: MakeServer, end: End, loop: Loop, peers: list[Any]
) -> None:
    _client(serve(), peers)
    connection = end.connection()
    drained: queue.SimpleQueue[int] = queue.SimpleQueue()
    connection.on_drain = lambda: drained.put(connection.buffered)
    stands, go = threading.Event(), threading.Event()

    def send_and_stand() -> None:
        connection.send("x" * 70_000)  # which the peer's system takes at the end of this turn
        stands.set()
        go.wait(PATIENCE)

    loop.call_soon(send_and_stand)
    assert stands.wait(PATIENCE)
    assert connection.send("x" * 70_000)
    go.set()
    assert drained.get(timeout=PATIENCE) <= connection.low_water


def test_a_slow_peer_fills_the_buffer_and_draining_is_told(
    serve: MakeServer, end: End, loop: Loop, peers: list[Any]
) -> None:
    server = serve()
    server._listeners[0].sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    peer = _client(server, peers, sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)])
    connection = end.connection()
    drained: queue.SimpleQueue[int] = queue.SimpleQueue()
    connection.on_drain = lambda: drained.put(connection.buffered)
    sent = 0
    while connection.buffered < connection.low_water * 2:
        assert loop.call(connection.send, "x" * 10_000, timeout=PATIENCE)
        sent += 1
    assert drained.empty()
    for _ in range(sent):
        assert peer.recv() == "x" * 10_000
    assert drained.get(timeout=PATIENCE) <= connection.low_water
    # The peer may have the last bytes before the loop has counted them.
    assert loop.call(lambda: connection.buffered, timeout=PATIENCE) == 0
    connection.send("little")
    assert peer.recv() == "little"
    assert drained.empty()  # once, and not again before it has been full again


def test_a_peer_that_does_not_read_is_dropped(
    serve: MakeServer, end: End, loop: Loop, peers: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(max_buffer=200_000)
    peer = _client(server, peers, sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)])
    connection = end.connection()

    def pour() -> None:  # on the loop thread, where nothing is counted twice
        if connection.send("x" * 50_000):
            loop.call_soon(pour)

    loop.call_soon(pour)
    info = end.close_info()
    assert info.code is None
    assert "too slow" in info.reason
    assert not connection.send("x")
    assert "too slow" in caplog.text
    with pytest.raises(ConnectionResetError):
        _read_all(peer.sock)


def test_one_turn_cannot_pile_up_without_limit(serve: MakeServer, end: End, loop: Loop, peers: list[Any]) -> None:
    _client(serve(max_buffer=200_000), peers, sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)])
    connection = end.connection()
    taken = loop.call(lambda: [connection.send("x" * 50_000) for _ in range(400)], timeout=PATIENCE)
    assert not taken[-1]
    assert "too slow" in end.close_info().reason


def test_another_thread_cannot_pile_up_without_limit(serve: MakeServer, end: End, loop: Loop, peers: list[Any]) -> None:
    _client(serve(max_buffer=100_000), peers)
    connection = end.connection()
    gate = threading.Event()
    loop.call_soon(gate.wait, PATIENCE)  # the loop takes nothing meanwhile
    sent = 0
    while connection.send("x" * 10_000):
        sent += 1
    gate.set()
    assert sent == 10
    assert "too slow" in end.close_info().reason


def test_a_paused_reader_gets_everything_later(serve: MakeServer, end: End, loop: Loop, peers: list[Any]) -> None:
    peer = _client(serve(), peers)
    connection = end.connection()
    first = threading.Event()

    def pause_at_once(message: str | bytes) -> None:
        end.messages.put(message)
        if not first.is_set():
            first.set()
            connection.pause_reading()

    connection.on_message = pause_at_once
    for number in range(1000):
        peer.send(str(number))
    assert first.wait(PATIENCE)
    peer.send_close(1000, b"done")
    for _ in range(3):
        loop.call(int, timeout=PATIENCE)
    assert end.closed.empty()
    connection.resume_reading()
    assert [end.message() for _ in range(1000)] == [str(number) for number in range(1000)]
    assert end.close_info() == CloseInfo(1000, "done", True)


@contextmanager
def _standing(loop: Loop) -> Iterator[None]:
    """The loop does nothing meanwhile: what is sent arrives in one read."""
    go, stands = threading.Event(), threading.Event()
    loop.call_soon(stands.set)
    loop.call_soon(go.wait, PATIENCE)
    assert stands.wait(PATIENCE)
    try:
        yield
    finally:
        go.set()


def _pauses_at_every_message(end: End, connection: Connection) -> None:
    def pause(message: str | bytes) -> None:
        end.messages.put(message)
        connection.pause_reading()

    connection.on_message = pause


_BOTH_KINDS = [message for number in range(20) for message in (f"text {number}", b"\xff binary %d" % number)]


def _frames(messages: list[str | bytes]) -> bytes:
    return b"".join(_frame(1, each.encode()) if isinstance(each, str) else _frame(2, each) for each in messages)


@pytest.mark.parametrize("close", [_frame(8, b"\x03\xe8") + _frame(1, b"after the end"), b""], ids=["closed", "cut"])
@pytest.mark.parametrize("takes_texts", [False, True])
def test_a_reader_that_pauses_at_every_message_gets_one_at_a_time(
    serve: MakeServer, end: End, loop: Loop, peers: list[Any], close: bytes, takes_texts: bool
) -> None:
    peer = _raw(serve(), peers, UPGRADE)
    connection = end.connection()
    _read_head(peer)
    _pauses_at_every_message(end, connection)
    if takes_texts:
        connection.on_text = lambda text: False
    with _standing(loop):
        peer.sendall(_frames(_BOTH_KINDS) + close)
        peer.shutdown(socket.SHUT_WR)
    for message in _BOTH_KINDS:
        assert end.message() == message
        for _ in range(3):
            loop.call(int, timeout=PATIENCE)
        assert end.messages.empty()
        assert end.closed.empty()  # it is paused: neither the rest nor the end
        connection.resume_reading()
    info = end.close_info()
    assert (info.code, info.clean) == ((1000, True) if close else (None, False))
    assert end.messages.empty()


def test_a_reader_may_pause_before_its_first_message(serve: MakeServer, end: End, loop: Loop, peers: list[Any]) -> None:
    def open_and_pause(connection: Connection) -> None:
        end.open(connection)
        connection.pause_reading()

    _raw(serve(on_open=open_and_pause), peers, UPGRADE + _frames(_BOTH_KINDS))
    connection = end.connection()
    loop.call(int, timeout=PATIENCE)
    assert end.messages.empty()
    connection.resume_reading()
    assert [end.message() for _ in _BOTH_KINDS] == _BOTH_KINDS


def test_a_paused_reader_is_told_of_the_end_when_the_loop_stops(end: End, peers: list[Any]) -> None:
    loop = Loop("relay-test-stopping")
    loop.start()
    server = WebSocketServer(loop, on_request=lambda request: None, on_open=end.open)
    peer = _raw(server, peers, UPGRADE)
    connection = end.connection()
    connection.close_timeout = 0.01
    connection.on_message = lambda _: connection.pause_reading()
    with _standing(loop):
        peer.sendall(_frames(_BOTH_KINDS) + _frame(8, b"\x03\xe8bye"))
    while server.connections:  # the peer does not end its socket, so that ours is closed after the timeout
        loop.call(int, timeout=PATIENCE)
    assert end.closed.empty()
    loop.stop(PATIENCE)
    assert end.close_info() == CloseInfo(1000, "bye", True)
    assert end.closed.empty()


def test_a_paused_reader_is_told_at_once_where_its_own_side_aborts(
    serve: MakeServer, end: End, loop: Loop, peers: list[Any]
) -> None:
    peer = _raw(serve(), peers, UPGRADE)
    connection = end.connection()
    connection.on_message = lambda _: connection.pause_reading()
    with _standing(loop):
        peer.sendall(_frames(_BOTH_KINDS))
    connection.abort()
    assert end.close_info() == CloseInfo(None, "aborted", False)


def test_a_paused_reader_costs_no_time(serve: MakeServer, end: End, loop: Loop, peers: list[Any]) -> None:
    peer = _client(serve(), peers)
    connection = end.connection()
    connection.pause_reading()
    loop.call(int, timeout=PATIENCE)
    peer.send("unread")
    turns: list[float] = []
    select = loop._selector.select

    def count(timeout: float | None = None) -> Any:
        turns.append(time.monotonic())
        return select(timeout)

    loop._selector.select = count  # type: ignore[method-assign]
    quiet = threading.Event()
    loop.call_later(0.05, quiet.set)
    assert quiet.wait(PATIENCE)
    assert len(turns) < 10
    assert end.messages.empty()


def test_closing_works_while_paused(serve: MakeServer, end: End, peers: list[Any]) -> None:
    peer = _client(serve(), peers)
    connection = end.connection()
    connection.pause_reading()
    connection.close()
    assert peer.recv_data()[0] == 8
    peer.send_close(1000)
    assert end.close_info().clean


def test_closing_works_for_a_reader_that_pauses_at_every_message(
    serve: MakeServer, end: End, loop: Loop, peers: list[Any]
) -> None:
    peer = _raw(serve(), peers, UPGRADE)
    connection = end.connection()
    _read_head(peer)
    _pauses_at_every_message(end, connection)
    with _standing(loop):
        peer.sendall(_frames(_BOTH_KINDS))
    assert end.message() == "text 0"
    connection.close(1000, "enough")
    assert peer.recv(100) == b"\x88\x08\x03\xe8enough"
    peer.sendall(_frames(["late"]) + _frame(8, b"\x03\xe8enough"))
    assert end.close_info() == CloseInfo(1000, "enough", True)
    assert [end.message() for _ in _BOTH_KINDS] == [*_BOTH_KINDS[1:], "late"]


class _Owner:
    """Whoever uses a connection, and is known to it by its callbacks alone."""

    def __init__(self, end: End, connection: Connection) -> None:
        self.connection = connection
        self._end = end
        connection.on_message = self.take
        connection.on_close = self.closed

    def take(self, message: str | bytes) -> None:
        self._end.messages.put(message)

    def closed(self, info: CloseInfo) -> None:
        self._end.closed.put(info)


def test_who_is_gone_leaves_nothing_behind(
    serve: MakeServer, end: End, loop: Loop, peers: list[Any], closed_port: int
) -> None:
    owners: queue.SimpleQueue[weakref.ref[_Owner]] = queue.SimpleQueue()
    server = serve(on_open=lambda connection: owners.put(weakref.ref(_Owner(end, connection))))
    closing, cut, reset, silent = (_raw(server, peers, UPGRADE) for _ in range(4))
    for peer in (closing, cut, reset, silent):
        _read_head(peer)
    asking, half = _raw(server, peers, b"GET / HTTP/1.1\r\n\r\n"), _raw(server, peers, b"GET ")
    dialled = _dial(loop, f"ws://127.0.0.1:{server.port}/", timeout=60.0)
    assert _failure(loop, f"ws://127.0.0.1:{closed_port}/", timeout=60.0).step == "connect"
    there = dialled.connection()
    known = [owners.get(timeout=PATIENCE) for _ in range(5)]
    assert not any(owner() is None for owner in known)
    closing.sendall(_frame(8, b"\x03\xe8"))
    there.close(1000)
    reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    _read_all(asking)
    _read_all(closing)
    for peer in (closing, cut, reset, asking, half):
        peer.close()
    owner = known[3]()
    assert owner is not None
    owner.connection.abort()
    del owner
    for _ in known:
        end.close_info()
    assert dialled.close_info().clean
    end_of_patience = time.monotonic() + PATIENCE

    def left() -> list[object]:
        assert loop._wake_up is not None
        watched = {key.fileobj for key in loop._selector.get_map().values()}
        found: list[object] = [timer for _, _, timer in loop._timers if timer._fn is not None]
        found += [*loop._hosted - {server}, *watched - {loop._wake_up.receiver, server._listeners[0].sock}]
        return [*found, *server._connections, *server._unproven, *server._opening, *server._answering]

    while remaining := loop.call(left, timeout=PATIENCE):
        assert time.monotonic() < end_of_patience, remaining
    assert [owner() for owner in known] == [None] * 5


def test_callbacks_that_raise_do_not_end_a_connection(
    serve: MakeServer, end: End, peers: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    peer = _client(serve(), peers)
    connection = end.connection()

    def fail_once(message: str | bytes) -> None:
        connection.on_message = end.messages.put
        raise ValueError(message)

    connection.on_message = fail_once
    peer.send("first")
    peer.send("second")
    assert end.message() == "second"
    assert "on_message" in caplog.text


def test_callbacks_that_always_raise_are_told_of_once(
    serve: MakeServer, end: End, peers: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    peer = _client(serve(), peers)
    connection = end.connection()

    def fail(message: str | bytes) -> None:
        if message == "last":
            end.messages.put(message)
        raise ValueError(message)

    connection.on_message = fail
    for _ in range(50):
        peer.send("another")
    peer.send("last")
    assert end.message() == "last"
    assert caplog.text.count("on_message of a connection failed") == 1


def test_texts_can_be_taken_as_bytes(serve: MakeServer, end: End, peers: list[Any]) -> None:
    peer = _client(serve(), peers)
    connection = end.connection()
    taken: list[bytes] = []

    def take(text: bytes) -> bool:
        taken.append(text)
        return text.startswith(b"mine")

    connection.on_text = take
    for text in ("mine", "yours", "mine " + "x" * 200, "yours " + "x" * 200):
        peer.send(text)
    peer.send_binary(b"mine")
    peer.send("the end " + "\u20ac" * 100)
    assert [end.message() for _ in range(4)] == [
        "yours",
        "yours " + "x" * 200,
        b"mine",
        "the end " + "\u20ac" * 100,
    ]
    assert [len(text) for text in taken] == [4, 5, 205, 206, 308]


def test_what_is_not_utf8_ends_the_connection_unless_it_was_taken(
    serve: MakeServer, end: End, peers: list[Any]
) -> None:
    peer = _client(serve(), peers)
    connection = end.connection()
    connection.on_text = lambda text: text.startswith(b"mine")
    peer.send(b"mine" + b"\xff" * 200, opcode=websocket.ABNF.OPCODE_TEXT)
    peer.send("a text")
    assert end.message() == "a text"  # so that the next one comes alone
    peer.send(b"yours" + b"\xff" * 200, opcode=websocket.ABNF.OPCODE_TEXT)
    assert end.close_info().code == 1007
    assert end.messages.empty()


def test_taking_texts_may_fail_without_ending_a_connection(
    serve: MakeServer, end: End, peers: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    peer = _client(serve(), peers)
    connection = end.connection()

    def fail_once(text: bytes) -> bool:
        connection.on_text = None
        raise ValueError(text)

    connection.on_text = fail_once
    peer.send("x" * 200)
    peer.send("second")
    assert end.message() == "second"
    assert "on_text" in caplog.text


def test_a_message_within_a_message_is_none(serve: MakeServer, end: End, loop: Loop, peers: list[Any]) -> None:
    """Parts of a message arrive alone, and look exactly like the message before."""
    peer = _client(serve(), peers)
    connection = end.connection()
    connection.on_text = lambda text: False
    before = websocket.ABNF.create_frame("x" * 300, websocket.ABNF.OPCODE_TEXT).format()
    for _ in range(2):
        peer.sock.sendall(before)
        assert end.message() == "x" * 300
    mask = before[4:8]
    body = b"y" * 400 + bytes(byte ^ mask[place % 4] for place, byte in enumerate(2 * before))
    whole = websocket.ABNF(1, 0, 0, 0, websocket.ABNF.OPCODE_BINARY, 1, body)
    whole.get_mask_key = lambda size: mask
    wire = whole.format()
    assert wire.endswith(2 * before)
    for part in (wire[: -2 * len(before)], before, before):
        peer.sock.sendall(part)
        loop.call(int, timeout=PATIENCE)  # by then it has been read
    assert end.message() == body
    peer.sock.sendall(before)
    assert end.message() == "x" * 300


# -- the HTTP around it ------------------------------------------------------------------------------------------------


def _answer(request: HttpRequest) -> Response | None:
    if request.path == "/healthz":
        return Response(200, {}, b"ok\n")
    if request.path == "/broken":
        raise ValueError("a bug")
    if request.headers.get("authorization") == "no":
        return Response(401, {"WWW-Authenticate": "Bearer"}, b"who?\n")
    return None


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        (b"GET /healthz HTTP/1.0\r\n\r\n", b"200 OK", b"\r\n\r\nok\n"),
        (b"HEAD /healthz HTTP/1.1\r\n\r\n", b"200 OK", b"Content-Length: 3"),
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"426 Upgrade Required", b"Upgrade: websocket"),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", b"405 ", b"Allow: GET"),
        (b"GET /broken HTTP/1.1\r\n\r\n", b"500 ", b"Content-Length"),
        (UPGRADE.replace(b"Host", b"Authorization: no\r\nHost"), b"401 ", b"WWW-Authenticate: Bearer"),
        (UPGRADE.replace(b"Version: 13", b"Version: 8"), b"4", b""),
        (UPGRADE.replace(b"Sec-WebSocket-Key", b"X-Key"), b"400 ", b""),
        (b"nonsense\r\n\r\n", b"400 ", b""),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 3000, b"431 ", b""),
    ],
)
def test_answers_without_an_upgrade(
    serve: MakeServer, end: End, peers: list[Any], request_: bytes, status: bytes, words: bytes
) -> None:
    answer = _read_all(_raw(serve(on_request=_answer), peers, request_))
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert words in answer
    assert answer.endswith(b"\r\n\r\n") == request_.startswith(b"HEAD")
    assert end.opened.empty()


def test_an_answer_ends_with_its_last_byte(
    serve: MakeServer, loop: Loop, peers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "LINGER", 60.0)
    whole = bytes(range(256)) * 1000
    server = serve(on_request=lambda request: Response(200, {}, whole))
    server._listeners[0].sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # most of it has to wait
    peer = _raw(server, peers, b"GET / HTTP/1.1\r\n\r\n")
    assert _read_head(peer).startswith(b"HTTP/1.1 200 ")
    for _ in range(3):
        loop.call(int, timeout=PATIENCE)
    assert _read_all(peer) == whole


def test_a_request_in_drips(serve: MakeServer, end: End, peers: list[Any]) -> None:
    peer = _raw(serve(), peers, b"")
    for byte in UPGRADE + _frame(1, b"slowly"):
        peer.send(bytes([byte]))
    assert end.message() == "slowly"


def test_a_peer_that_never_finishes_its_request_is_dropped(serve: MakeServer, peers: list[Any]) -> None:
    peer = _raw(serve(open_timeout=0.05), peers, b"GET / HTTP/1.1\r\n")
    assert _is_over(peer)


def test_no_more_connections_than_allowed(serve: MakeServer, end: End, peers: list[Any]) -> None:
    server = serve(max_connections=1, on_request=_answer)
    peer = _client(server, peers)
    server._loop.call(end.connection().prove, timeout=PATIENCE)
    assert _read_all(_raw(server, peers, UPGRADE)).startswith(b"HTTP/1.1 503 ")
    assert _read_all(_raw(server, peers, b"GET /healthz HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    peer.close()
    end.close_info()
    while server.connections:  # the socket ends a moment after the WebSocket
        server._loop.call(int, timeout=PATIENCE)
    _client(server, peers)
    end.connection()


def test_a_crowd_that_does_not_finish_does_not_shut_others_out(
    serve: MakeServer, end: End, peers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "MAX_OPENING", 3)
    told: queue.SimpleQueue[tuple[str, ...]] = queue.SimpleQueue()
    server = serve(open_timeout=60.0, on_refused=lambda *trouble: told.put(trouble))
    crowd = [_raw(server, peers, b"GET ") for _ in range(8)]
    _client(server, peers)
    end.connection()
    remote, kind, words = told.get(timeout=PATIENCE)
    assert (remote, kind) == (f"127.0.0.1:{crowd[0].getsockname()[1]}", "crowd")  # the oldest goes first
    assert "more than 3 are open" in words
    assert _is_over(crowd[0])
    crowd[-1].sendall(UPGRADE.removeprefix(b"GET "))  # the newest have kept their places
    assert _read_head(crowd[-1]).startswith(b"HTTP/1.1 101 ")


def test_an_answer_on_its_way_is_no_half_request(
    serve: MakeServer, end: End, peers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "MAX_OPENING", 3)
    whole = bytes(8 * 2**20)
    server = serve(on_request=lambda request: Response(200, {}, whole) if request.path == "/long" else None)
    reader = _raw(server, peers, b"GET /long HTTP/1.1\r\n\r\n")
    head = _read_head(reader)
    for _ in range(8):
        _raw(server, peers, b"GET ")
    _client(server, peers)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert len(_read_all(reader)) == len(whole)


@contextmanager
def _three_descriptors(peers: list[Any]) -> Iterator[list[socket.socket]]:
    """Twelve sockets to connect with, while the server may have three."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiting = [socket.socket() for _ in range(12)]  # made beforehand: the limit is for both ends
    peers.extend(waiting)
    for peer in waiting:
        peer.settimeout(PATIENCE)
    used: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, waiting[-1].fileno() + 20), hard))
    try:
        try:
            while True:
                used.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            for _ in range(3):
                os.close(used.pop())
        yield waiting
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in used:
            os.close(each)


def test_where_descriptors_run_out_the_oldest_half_request_goes(serve: MakeServer, end: End, peers: list[Any]) -> None:
    told: queue.SimpleQueue[tuple[str, ...]] = queue.SimpleQueue()
    server = serve(open_timeout=60.0, on_refused=lambda *trouble: told.put(trouble))
    with _three_descriptors(peers) as waiting:
        for peer in waiting:
            peer.connect(("127.0.0.1", server.port))
            peer.sendall(b"GET ")
        waiting[-1].sendall(UPGRADE.removeprefix(b"GET "))
        assert _read_head(waiting[-1]).startswith(b"HTTP/1.1 101 ")
    _, kind, words = told.get(timeout=PATIENCE)
    assert kind == "crowd"
    assert "Too many open files" in words


def test_where_descriptors_run_out_the_oldest_connection_that_has_shown_nothing_goes(
    serve: MakeServer, end: End, peers: list[Any]
) -> None:
    told: queue.SimpleQueue[tuple[str, ...]] = queue.SimpleQueue()
    server = serve(on_refused=lambda *trouble: told.put(trouble))
    with _three_descriptors(peers) as waiting:
        for peer in waiting:
            peer.connect(("127.0.0.1", server.port))
            peer.sendall(UPGRADE)
            assert _read_head(peer).startswith(b"HTTP/1.1 101 ")
            if peer is waiting[0]:
                server._loop.call(end.connection().prove, timeout=PATIENCE)
        assert _read_all(waiting[1])[2:4] == struct.pack("!H", 1013)
        waiting[0].sendall(_frame(1, b"still here"))
        assert end.message() == "still here"
    remote, kind, words = told.get(timeout=PATIENCE)
    assert (remote, kind) == (f"127.0.0.1:{waiting[1].getsockname()[1]}", "unproven")
    assert "Too many open files" in words


def test_where_descriptors_run_out_who_has_an_answer_already_makes_room_before_who_just_came(
    serve: MakeServer, end: End, loop: Loop, peers: list[Any]
) -> None:
    server = serve(on_request=lambda request: None if "authorization" in request.headers else Response(401))
    with _three_descriptors(peers) as waiting:
        *refused, good, another = waiting[:5]
        for peer in refused:
            peer.connect(("127.0.0.1", server.port))
            peer.sendall(UPGRADE)
            assert _read_head(peer).startswith(b"HTTP/1.1 401 ")
        go = threading.Event()
        loop.call_soon(go.wait, PATIENCE)  # so that both are accepted in one turn
        for peer in (good, another):
            peer.connect(("127.0.0.1", server.port))
        good.sendall(UPGRADE.replace(b"Host", b"Authorization: x\r\nHost"))
        go.set()
        assert _read_head(good).startswith(b"HTTP/1.1 101 ")


def test_the_oldest_connection_that_has_shown_nothing_makes_room(serve: MakeServer, end: End, peers: list[Any]) -> None:
    told: queue.SimpleQueue[tuple[str, ...]] = queue.SimpleQueue()
    server = serve(max_connections=3, on_refused=lambda *trouble: told.put(trouble))
    first, second, third = (_client(server, peers) for _ in range(3))
    server._loop.call(end.connection().prove, timeout=PATIENCE)
    _client(server, peers)
    assert second.recv_data()[1][:2] == struct.pack("!H", 1013)
    assert told.get(timeout=PATIENCE)[1] == "unproven"
    _client(server, peers)
    assert third.recv_data()[1][:2] == struct.pack("!H", 1013)
    assert server.connections == 3
    first.send("still here")
    assert end.message() == "still here"
    for _ in range(4):
        server._loop.call(end.connection().prove, timeout=PATIENCE)
    assert _read_all(_raw(server, peers, UPGRADE)).startswith(b"HTTP/1.1 503 ")
    kinds = [told.get(timeout=PATIENCE)[1] for _ in range(2)]
    assert kinds == ["unproven", "full"]


PROXY_2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12)


@pytest.mark.parametrize(
    ("request_", "status", "kind", "words"),
    [
        (UPGRADE.replace(b"HTTP/1.1", b"HTTP/1.0"), b"400", "HTTP version", "proxy_http_version 1.1"),
        (UPGRADE.replace(b"GET ", b"POST "), b"405", "method", "the method GET"),
        (UPGRADE.replace(b"GET ", b"HEAD "), b"405", "method", "the method GET"),
        (UPGRADE.replace(b"HTTP/1.1", b"HTTP/2.0"), b"505", "HTTP version", "only HTTP/1.1"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"505", "HTTP version", "only HTTP/1.1"),
        (UPGRADE.replace(b"Connection: Upgrade\r\n", b""), b"400", "no Connection header", "Connection: Upgrade"),
        (UPGRADE.replace(b"Connection: Upgrade", b"Connection: close"), b"400", "no Connection header", "proxy"),
        (UPGRADE.replace(b"Sec-WebSocket-Key", b"X-Key"), b"400", "bad key", "Sec-WebSocket-Key"),
        (UPGRADE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short"), b"400", "bad key", "Sec-WebSocket-Key"),
        (UPGRADE.replace(b"Version: 13", b"Version: 8"), b"426", "WebSocket version", "version 13"),
        (UPGRADE.replace(b"Sec-WebSocket-Version: 13\r\n", b""), b"426", "WebSocket version", "version 13"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\n" + UPGRADE, b"400", "PROXY", "PROXY protocol"),
        (b"PROXY UNKNOWN\r\n", b"400", "PROXY", "PROXY protocol"),
        (PROXY_2 + UPGRADE, b"400", "PROXY", "PROXY protocol"),
        (b"GET / HTTP/1.1\r\nCookie: " + b"x" * 17000, b"431", "large head", "16384"),
        (b"\x16\x03\x01\x02\0", b"400", "TLS", "TLS"),
        (b"\0\1\2", b"400", "not HTTP", "not HTTP"),
        (b"nonsense\r\n\r\n", b"400", "not HTTP", "not an HTTP request"),
        (UPGRADE.replace(b"Host: h", b"Ho st: h"), b"400", "bad header", "header line"),
    ],
)
def test_every_refusal_is_told(
    serve: MakeServer, end: End, peers: list[Any], request_: bytes, status: bytes, kind: str, words: str
) -> None:
    told: queue.SimpleQueue[tuple[str, ...]] = queue.SimpleQueue()
    server = serve(on_refused=lambda *trouble: told.put(trouble))
    peer = _raw(server, peers, request_)
    answer = _read_all(peer)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert (b"Sec-WebSocket-Version: 13" in answer) == (status == b"426")
    remote, known_as, why = told.get(timeout=PATIENCE)
    assert (remote, known_as) == (f"127.0.0.1:{peer.getsockname()[1]}", kind)
    assert words in why
    assert told.empty()
    assert end.opened.empty()


def test_a_head_that_comes_too_slowly_is_told_and_a_socket_that_asks_for_nothing_is_not(
    serve: MakeServer, peers: list[Any]
) -> None:
    told: queue.SimpleQueue[tuple[str, ...]] = queue.SimpleQueue()
    server = serve(on_refused=lambda *trouble: told.put(trouble), open_timeout=0.05)
    assert _is_over(_raw(server, peers, b""))
    assert _is_over(_raw(server, peers, b"GET / HTTP/1.1\r\n"))
    assert told.get(timeout=PATIENCE)[1] == "slow"
    assert told.empty()


@pytest.mark.parametrize("request_", [b"GET / HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n"])
def test_who_asks_for_no_websocket_is_no_trouble_to_tell(serve: MakeServer, peers: list[Any], request_: bytes) -> None:
    told: list[tuple[str, ...]] = []
    server = serve(on_refused=lambda *trouble: told.append(trouble))
    assert _read_all(_raw(server, peers, request_)).startswith(b"HTTP/1.1 4")
    assert told == []


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01"])
def test_who_only_looks_whether_a_tls_port_is_open_is_no_trouble_to_tell(
    serve: MakeServer, peers: list[Any], server_context: ssl.SSLContext, first: bytes
) -> None:
    told: list[tuple[str, ...]] = []
    peer = _raw(serve(ssl_context=server_context, on_refused=lambda *trouble: told.append(trouble)), peers, first)
    peer.shutdown(socket.SHUT_WR)
    _read_all(peer)  # an alert of TLS at most
    assert told == []


def test_who_is_refused_is_not_answered_again(serve: MakeServer, loop: Loop, peers: list[Any]) -> None:
    asked: list[HttpRequest] = []

    def refuse(request: HttpRequest) -> Response:
        asked.append(request)
        return Response(401, {}, b"who?\n")

    peer = _raw(serve(on_request=refuse), peers, UPGRADE)
    assert _read_all(peer).startswith(b"HTTP/1.1 401 ")
    peer.sendall(UPGRADE)
    for _ in range(3):
        loop.call(int, timeout=PATIENCE)
    assert len(asked) == 1


def test_a_certificate_that_the_peer_does_not_accept_is_told(serve: MakeServer, server_context: ssl.SSLContext) -> None:
    told: queue.SimpleQueue[tuple[str, ...]] = queue.SimpleQueue()
    server = serve(ssl_context=server_context, on_refused=lambda *trouble: told.put(trouble))
    with pytest.raises(ssl.SSLError), socket.create_connection(("127.0.0.1", server.port), PATIENCE) as peer:
        ssl.create_default_context().wrap_socket(peer, server_hostname="localhost")
    _, kind, why = told.get(timeout=PATIENCE)
    assert kind == "TLS handshake"
    assert "does not accept this server's certificate" in why
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as peer:
        peer.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\n" + UPGRADE)
        assert told.get(timeout=PATIENCE)[1] == "no TLS"


@pytest.mark.parametrize(
    "more",
    [
        b"Sec-WebSocket-Protocol:\r\n",
        b"Sec-WebSocket-Protocol: \r\n",
        b"Sec-WebSocket-Protocol: ,\r\n",
        b"Sec-WebSocket-Protocol: a b, <c>\r\n",
        b"Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol:\r\n",
        b"Sec-WebSocket-Extensions:\r\n",
        b"Sec-WebSocket-Extensions: ;;=\r\n",
        b"Upgrade: h2c\r\n",
        b"Connection: keep-alive\r\n",
        b"Origin:\r\n",
        b"X-Long: " + b"y" * 12000 + b"\r\n",
        b"".join(b"X-%d: y\r\n" % number for number in range(300)),
    ],
)
def test_what_an_upgrade_does_not_need_is_no_reason_to_refuse_it(
    serve: MakeServer, end: End, peers: list[Any], more: bytes
) -> None:
    peer = _raw(serve(subprotocols=("mine",)), peers, UPGRADE[:-2] + more + b"\r\n" + _frame(1, b"hello"))
    assert _read_head(peer).startswith(b"HTTP/1.1 101 ")
    assert end.message() == "hello"


@pytest.mark.parametrize(
    ("offered", "agreed"), [(b"a, b", b"b"), (b"c, a", b"a"), (b"c", None)], ids=["ours first", "the other", "none"]
)
def test_of_the_subprotocols_that_are_offered_the_server_chooses(
    serve: MakeServer, peers: list[Any], offered: bytes, agreed: bytes | None
) -> None:
    request = UPGRADE[:-2] + b"Sec-WebSocket-Protocol: " + offered + b"\r\n\r\n"
    lines = _read_head(_raw(serve(subprotocols=("b", "a")), peers, request)).split(b"\r\n")
    chosen = [line for line in lines if line.startswith(b"Sec-WebSocket-Protocol: ")]
    assert chosen == ([b"Sec-WebSocket-Protocol: " + agreed] if agreed else [])


@pytest.mark.parametrize("target", [b"http://h/x?q=1", b"wss://h:443/x?q=1", b"HTTP://h/x?q=1"])
def test_a_target_in_absolute_form_is_its_path(serve: MakeServer, end: End, peers: list[Any], target: bytes) -> None:
    _read_head(_raw(serve(), peers, UPGRADE.replace(b"/x?q=1", target)))
    connection = end.connection()
    assert (connection.path, connection.query) == ("/x", "q=1")


# -- where it listens --------------------------------------------------------------------------------------------------


@needs_ipv6
@pytest.mark.parametrize(
    ("host", "addresses", "reached"),
    [
        ("::", ["[::]", "0.0.0.0"], ["127.0.0.1", "::1"]),
        ("", ["[::]", "0.0.0.0"], ["127.0.0.1", "::1"]),
        ("localhost", ["127.0.0.1", "[::1]"], ["127.0.0.1", "::1"]),
        ("LOCALHOST.", ["127.0.0.1", "[::1]"], ["127.0.0.1", "::1"]),
        ("127.0.0.1", ["127.0.0.1"], ["127.0.0.1"]),
        ("0.0.0.0", ["0.0.0.0"], ["127.0.0.1"]),
        ("::1", ["[::1]"], ["::1"]),
        ("[::1]", ["[::1]"], ["::1"]),
        ("[::]", ["[::]", "0.0.0.0"], ["127.0.0.1", "::1"]),
    ],
)
def test_all_addresses_of_a_host_are_listened_on(
    serve: MakeServer, peers: list[Any], host: str, addresses: list[str], reached: list[str]
) -> None:
    server = serve(host=host)
    assert server.addresses == tuple(f"{address}:{server.port}" for address in addresses)
    for address in reached:
        peer = socket.create_connection((address, server.port), timeout=PATIENCE)
        peers.append(peer)
        peer.sendall(UPGRADE)
        assert _read_head(peer).startswith(b"HTTP/1.1 101 ")
    for address in {"127.0.0.1", "::1"} - set(reached):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, server.port), timeout=PATIENCE)
    server.close()
    for address in reached:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, server.port), timeout=PATIENCE)


@needs_ipv6
def test_a_port_that_one_of_the_families_has_taken_is_not_half_taken(serve: MakeServer) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            serve(host="localhost", port=port)
        with pytest.raises(ConnectionRefusedError):  # nothing was left behind
            socket.create_connection(("127.0.0.1", port))


def _failing(
    monkeypatch: pytest.MonkeyPatch, family: socket.AddressFamily, number: int, times: int
) -> Callable[[], int]:
    """The system refuses to listen in a family so many times; returned is what tells how often it was asked."""
    asked = 0
    create = socket.create_server

    def create_server(address: Any, **options: Any) -> socket.socket:
        nonlocal asked
        if options["family"] == family:
            asked += 1
            if asked <= times:
                raise OSError(number, os.strerror(number))
        return create(address, **options)

    monkeypatch.setattr(socket, "create_server", create_server)
    return lambda: asked


@needs_ipv6
@pytest.mark.parametrize("host", ["localhost", "", "::"])
def test_another_port_is_tried_where_the_one_found_is_taken_in_the_other_family(
    serve: MakeServer, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    asked = _failing(monkeypatch, socket.AF_INET6 if host == "localhost" else socket.AF_INET, errno.EADDRINUSE, 1)
    server = serve(host=host)
    assert asked() == 2
    assert len(server.addresses) == 2


@pytest.mark.parametrize(
    ("host", "reached"), [("localhost", "127.0.0.1"), ("", "0.0.0.0"), ("::", None), ("::1", None)]
)
@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_a_machine_without_ipv6_serves_what_does_not_need_it(
    serve: MakeServer, monkeypatch: pytest.MonkeyPatch, host: str, reached: str | None, number: int
) -> None:
    _failing(monkeypatch, socket.AF_INET6, number, 99)
    if reached is None:
        with pytest.raises(OSError) as caught:
            serve(host=host)
        assert caught.value.errno == number
    else:
        server = serve(host=host)
        assert server.addresses == (f"{reached}:{server.port}",)


@needs_ipv6
def test_a_trouble_that_is_not_the_lack_of_ipv6_is_told(serve: MakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    _failing(monkeypatch, socket.AF_INET6, errno.EACCES, 99)
    with pytest.raises(PermissionError):
        serve(host="localhost")


def test_a_host_whose_addresses_are_not_found_in_time(serve: MakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(places, "_LOOK_UP", 0.01)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: go.wait(PATIENCE))
    with pytest.raises(TimeoutError, match=r"it could not be resolved within 0\.01 s"):
        serve(host="slow.test")
    go.set()


def test_a_server_for_a_loop_that_is_over_leaves_its_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        port = placeholder.getsockname()[1]
    loop = Loop("relay-test-over")
    loop.stop()
    with pytest.raises(LoopStopped):
        WebSocketServer(loop, port=port, on_request=lambda request: None, on_open=print)
    socket.create_server(("127.0.0.1", port)).close()


def test_accepting_pauses_where_it_fails_and_goes_on(
    serve: MakeServer, peers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "ACCEPT_PAUSE", 0.02)
    asked: list[float] = []
    accept = socket.socket.accept

    def fail_at_first(self: socket.socket) -> Any:
        asked.append(time.monotonic())
        if len(asked) <= 2:
            raise OSError(errno.EMFILE if len(asked) == 1 else errno.ENOBUFS, "no room")
        return accept(self)

    monkeypatch.setattr(socket.socket, "accept", fail_at_first)
    told: queue.SimpleQueue[tuple[str, ...]] = queue.SimpleQueue()
    server = serve(on_refused=lambda *trouble: told.put(trouble))
    assert _read_head(_raw(server, peers, UPGRADE)).startswith(b"HTTP/1.1 101 ")
    assert asked[1] - asked[0] >= 0.02
    assert asked[2] - asked[1] >= 0.02
    assert [told.get(timeout=PATIENCE)[:2] for _ in range(2)] == [
        (f"all peers on port {server.port}", kind) for kind in ("files", "accept")
    ]


@pytest.mark.parametrize("host", ["192.0.2.1", "nothing.invalid", "a..b", "x" * 300])
def test_a_host_that_is_none_of_this_machine(serve: MakeServer, host: str) -> None:
    with pytest.raises(OSError):
        serve(host=host)


def test_who_asks_on_loopback_is_known(serve: MakeServer, peers: list[Any]) -> None:
    seen: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def look(request: HttpRequest) -> Response:
        seen.put(request.on_loopback)
        return Response(200)

    for host, on_loopback in (("127.0.0.1", True), ("0.0.0.0", False), ("localhost", True)):
        _raw(serve(host=host, on_request=look), peers, b"GET / HTTP/1.1\r\n\r\n")
        assert seen.get(timeout=PATIENCE) is on_loopback


def test_an_on_open_that_raises_closes_the_connection(serve: MakeServer, peers: list[Any]) -> None:
    def fail(connection: Connection) -> None:
        raise ValueError("a bug")

    peer = _client(serve(on_open=fail), peers)
    opcode, data = peer.recv_data()
    assert (opcode, data[:2]) == (8, struct.pack("!H", 1011))


def test_closing_the_server_tells_everybody(serve: MakeServer, end: End, peers: list[Any]) -> None:
    server = serve()
    peer = _client(server, peers)
    end.connection()
    server.close()
    server.close()
    assert peer.recv_data() == (8, struct.pack("!H", 1001) + b"going away")
    peer.send_close(1001)
    assert end.close_info().code == 1001
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


def test_stopping_the_loop_tells_everybody(end: End, peers: list[Any]) -> None:
    loop = Loop("relay-test-stopping")
    loop.start()
    server = WebSocketServer(loop, on_request=lambda request: None, on_open=end.open)
    peer = _client(server, peers)
    waiting = _raw(server, peers, b"GET ")
    end.connection()
    loop.stop(PATIENCE)
    assert end.close_info() == CloseInfo(1001, "going away", False)
    assert peer.recv_data()[0] == 8
    assert _is_over(waiting)
    server.close()


def test_a_port_that_is_taken(serve: MakeServer) -> None:
    server = serve()
    with pytest.raises(OSError, match="in use"):
        serve(port=server.port)


def test_secrets_never_reach_the_log(
    serve: MakeServer, end: End, loop: Loop, peers: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(0):
        peer = _client(serve(), peers, "/p?t=tell-nobody", header={"Authorization": "Bearer tell-nobody"})
        peer.send("tell-nobody")
        connection = end.connection()
        assert end.message() == "tell-nobody"
        peer.close()
        end.close_info()
        there = _dial(loop, f"ws://127.0.0.1:{serve().port}/", headers={"Authorization": "Bearer tell-nobody"})
        for side in (there, end):
            side.connection().send("tell-nobody")
        assert end.message() == there.message() == "tell-nobody"
    ours = [record.getMessage() for record in caplog.records if record.name != "websocket"]
    assert not any("tell-nobody" in line for line in ours)
    assert "tell-nobody" not in repr(connection)


# -- the dialling side -------------------------------------------------------------------------------------------------


def _dial(loop: Loop, url: str, **options: Any) -> End:
    end = End()
    dial(loop, url, **{"timeout": PATIENCE, "on_open": end.open, "on_failed": end.failed.put, **options})
    return end


def _failure(loop: Loop, url: str, **options: Any) -> OpenFailed:
    error = _dial(loop, url, **options).failed.get(timeout=PATIENCE)
    assert isinstance(error, OpenFailed)
    return error


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", pytest.param("[::1]", marks=needs_ipv6)])
def test_dialling(serve: MakeServer, end: End, loop: Loop, host: str) -> None:
    server = serve(host=host)
    there = _dial(loop, f"ws://{host}:{server.port}/p?x=y", headers={"Authorization": "Bearer t"})
    ours, theirs = there.connection(), end.connection()
    assert (theirs.path, theirs.query, theirs.headers["authorization"]) == ("/p", "x=y", "Bearer t")
    assert "sec-websocket-extensions" not in theirs.headers
    ours.send("up")
    assert end.message() == "up"
    theirs.send("down")
    assert there.message() == "down"
    ours.close(1000, "enough")
    assert there.close_info() == end.close_info() == CloseInfo(1000, "enough", True)


def test_small_messages_go_out_at_once_and_a_peer_that_vanished_is_found(
    serve: MakeServer, end: End, loop: Loop
) -> None:
    there = _dial(loop, f"ws://127.0.0.1:{serve().port}/")
    for connection in (there.connection(), end.connection()):
        sock = connection._channel._sock
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_name_is_looked_up_and_its_addresses_are_tried_in_turn(
    serve: MakeServer, end: End, loop: Loop, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, asked = serve(), []

    def known(host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        asked.append(host)
        places = [("127.0.0.1", closed_port), ("255.255.255.255", port), ("127.0.0.1", port)]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]

    monkeypatch.setattr(socket, "getaddrinfo", known)
    there = _dial(loop, f"ws://app.test:{server.port}/")
    ours, _ = there.connection(), end.connection()
    assert asked == ["app.test"]
    ours.close(1000)
    assert there.close_info().clean


def test_a_name_that_is_found_too_late_is_not_dialled(
    serve: MakeServer, end: End, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, go = serve(), threading.Event()

    def late(host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        go.wait(PATIENCE)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", late)
    there = _dial(loop, f"ws://app.test:{server.port}/", timeout=0.01)
    error = there.failed.get(timeout=PATIENCE)
    assert isinstance(error, OpenFailed)
    assert error.step == "timeout"
    watched = loop.call(lambda: len(loop._selector.get_map()), timeout=PATIENCE)
    go.set()
    for thread in threading.enumerate():
        if thread.name.startswith("relay-resolve-"):
            thread.join(PATIENCE)
    assert loop.call(lambda: len(loop._selector.get_map()), timeout=PATIENCE) == watched
    assert there.opened.empty()
    assert there.failed.empty()


def test_a_dialled_connection_has_a_path_and_a_limit(serve: MakeServer, end: End, loop: Loop) -> None:
    there = _dial(loop, f"ws://127.0.0.1:{serve().port}", max_message=1000)
    ours, theirs = there.connection(), end.connection()
    assert ours.path == theirs.path == "/"
    theirs.send("x" * 1000)
    assert there.message() == "x" * 1000
    theirs.send("x" * 1001)
    assert there.close_info().code == end.close_info().code == 1009


def test_an_on_open_that_raises_closes_what_was_dialled(serve: MakeServer, end: End, loop: Loop) -> None:
    def fail(connection: Connection) -> None:
        raise ValueError("a bug")

    there = _dial(loop, f"ws://127.0.0.1:{serve().port}/", on_open=fail)
    assert end.close_info().code == 1011
    assert there.failed.empty()


def test_what_comes_with_the_upgrade_is_not_lost(loop: Loop) -> None:
    end = End()

    def greet(connection: Connection) -> None:
        end.open(connection)
        for number in range(100):
            connection.send(str(number))
        connection.close(1000)

    server = WebSocketServer(loop, on_request=lambda request: None, on_open=greet)
    there = _dial(loop, f"ws://127.0.0.1:{server.port}/")
    assert [there.message() for _ in range(100)] == [str(number) for number in range(100)]
    assert there.close_info().clean


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "ws:///path",
        "ws://user:pass@127.0.0.1/",
        "ws://127.0.0.1/#fragment",
        "ws://127.0.0.1:0/",
        "ws://127.0.0.1:99999/",
        "ws://127.0.0.1/a b",
        "ws://127.0.0.1/\r\nX: y",
        "nonsense",
    ],
)
def test_urls_that_cannot_be_dialled(loop: Loop, url: str) -> None:
    error = _failure(loop, url)
    assert (error.step, error.status) == ("url", None)


def test_headers_cannot_smuggle(loop: Loop) -> None:
    error = _failure(loop, "ws://127.0.0.1:9/", headers={"Authorization": "x\r\ntell-nobody: y"})
    assert error.step == "url"
    assert "tell-nobody" not in str(error)


def test_dialling_where_nobody_listens(loop: Loop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        port = placeholder.getsockname()[1]
    assert _failure(loop, f"ws://localhost:{port}/").step == "connect"


def test_dialling_a_name_that_does_not_exist(loop: Loop) -> None:
    assert _failure(loop, "ws://nothing.invalid/").step == "resolve"


@pytest.mark.parametrize("status", [200, 401, 503])
def test_a_refused_upgrade_tells_its_status(serve: MakeServer, loop: Loop, status: int) -> None:
    server = serve(on_request=lambda request: Response(status, {}, b"no"))
    error = _failure(loop, f"ws://127.0.0.1:{server.port}/")
    assert (error.step, error.status) == ("upgrade", status)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n",
        b"x" * 20_000,
        b"",
    ],
)
def test_servers_that_answer_nonsense(loop: Loop, peers: list[Any], answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        end = _dial(loop, f"ws://127.0.0.1:{listener.getsockname()[1]}/")
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(PATIENCE)
            _read_head(peer)
            peer.sendall(answer)
            if not answer:
                peer.close()
            error = end.failed.get(timeout=PATIENCE)
    assert isinstance(error, OpenFailed)
    assert (error.step, error.status) == ("upgrade", None)


def test_a_server_that_says_nothing_is_given_up(loop: Loop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        error = _failure(loop, f"ws://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.05)
    assert error.step == "timeout"


def test_stopping_the_loop_ends_a_dial() -> None:
    loop = Loop("relay-test-stopping")
    loop.start()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        end = _dial(loop, f"ws://127.0.0.1:{listener.getsockname()[1]}/")
        listener.settimeout(PATIENCE)
        peer, _ = listener.accept()
        with peer:
            loop.stop(PATIENCE)
    error = end.failed.get(timeout=PATIENCE)
    assert isinstance(error, OpenFailed)
    assert error.step == "stopped"
    with pytest.raises(RuntimeError, match="stopped"):
        _dial(loop, "ws://127.0.0.1:9/")


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def server_context() -> ssl.SSLContext:
    return tls_context()


@pytest.fixture
def client_context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(CERTIFICATE))


@pytest.mark.parametrize("host", ["localhost", "localhost."])
def test_tls_both_ways(
    serve: MakeServer, end: End, loop: Loop, server_context: ssl.SSLContext, client_context: ssl.SSLContext, host: str
) -> None:
    server = serve(ssl_context=server_context)
    there = _dial(loop, f"wss://{host}:{server.port}/", ssl_context=client_context)
    ours, theirs = there.connection(), end.connection()
    for size in (1, 16_384, 500_000):
        ours.send("u" * size)
        assert end.message() == "u" * size
        theirs.send("d" * size)
        assert there.message() == "d" * size
    for number in range(500):
        ours.send(f"{number} " + "x" * number * 7)
    assert [str(end.message()).split()[0] for _ in range(500)] == [str(number) for number in range(500)]
    theirs.close(1000, "enough")
    assert there.close_info() == end.close_info() == CloseInfo(1000, "enough", True)


def test_tls_with_websocket_client(
    serve: MakeServer, end: End, peers: list[Any], server_context: ssl.SSLContext
) -> None:
    server = serve(ssl_context=server_context)
    peer = websocket.create_connection(
        f"wss://localhost:{server.port}/", timeout=PATIENCE, sslopt={"ca_certs": str(CERTIFICATE)}
    )
    peers.append(peer)
    peer.send("over TLS")
    assert end.message() == "over TLS"
    end.connection().send("x" * 300_000)
    assert peer.recv() == "x" * 300_000
    peer.close()
    assert end.close_info().clean


def test_a_slow_reader_over_tls_gets_everything(
    serve: MakeServer, end: End, peers: list[Any], server_context: ssl.SSLContext
) -> None:
    server = serve(ssl_context=server_context)
    peer = websocket.create_connection(
        f"wss://localhost:{server.port}/",
        timeout=PATIENCE,
        sslopt={"ca_certs": str(CERTIFICATE)},
        sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)],
    )
    peers.append(peer)
    connection = end.connection()
    for number in range(200):
        connection.send(f"{number:>10000}")
    assert [int(peer.recv()) for _ in range(200)] == list(range(200))


class _ReadsAhead(ssl.SSLSocket):
    """TLS that takes whatever the socket has, as a library may; the OpenSSL of most systems stops behind each record."""

    def _over_memory(self, step: Callable[..., Any], *args: Any) -> Any:
        try:
            while part := socket.socket.recv(self, 65536):
                self._incoming.write(part)
        except BlockingIOError:
            pass
        try:
            return step(*args)
        finally:
            if self._outgoing.pending:
                socket.socket.send(self, self._outgoing.read())

    def do_handshake(self, block: bool = False) -> None:
        if not hasattr(self, "_inside"):
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._inside = self.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._over_memory(self._inside.do_handshake)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        return bytes(self._over_memory(self._inside.read, buflen))

    def send(self, data: Any, flags: int = 0) -> int:
        return int(self._over_memory(self._inside.write, data))


@pytest.fixture(params=[ssl.SSLSocket, _ReadsAhead])
def reading_context(request: pytest.FixtureRequest, server_context: ssl.SSLContext) -> ssl.SSLContext:
    """Of a server, with each way of reading."""
    server_context.sslsocket_class = request.param
    return server_context


class _Secret:
    """A client whose TLS is apart from its socket, so that it says what goes out together."""

    def __init__(self, port: int, context: ssl.SSLContext, peers: list[Any]) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        peers.append(self._sock)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        while True:
            try:
                return self._tls.do_handshake()
            except ssl.SSLWantReadError:  # before its last words: what ends the handshake stays here
                self.flush()
                self._take()

    def write(self, data: bytes) -> None:
        self._tls.write(data)

    def flush(self) -> None:
        self._sock.sendall(self._outgoing.read())

    def read_head(self) -> bytes:
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            try:
                data += self._tls.read(1)
            except ssl.SSLWantReadError:
                self._take()
        return data

    def _take(self) -> None:
        part = self._sock.recv(65536)
        assert part, "the server has ended the connection"
        self._incoming.write(part)


def test_the_end_of_an_answer_over_tls_is_no_truncation(
    serve: MakeServer, peers: list[Any], server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    plain = _raw(serve(ssl_context=server_context), peers, b"")
    peer = client_context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False)
    peers.append(peer)
    peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert _read_all(peer).startswith(b"HTTP/1.1 426 ")


def test_a_request_that_comes_with_the_end_of_the_handshake_is_read(
    serve: MakeServer,
    end: End,
    peers: list[Any],
    reading_context: ssl.SSLContext,
    client_context: ssl.SSLContext,
) -> None:
    peer = _Secret(serve(ssl_context=reading_context).port, client_context, peers)
    for record in (UPGRADE, *(_frames([message]) for message in _BOTH_KINDS)):  # more than one turn of the loop reads
        peer.write(record)
    peer.flush()
    assert peer.read_head().startswith(b"HTTP/1.1 101 ")
    assert [end.message() for _ in _BOTH_KINDS] == _BOTH_KINDS


def test_a_reader_over_tls_that_was_paused_gets_what_had_come_by_then(
    serve: MakeServer,
    end: End,
    loop: Loop,
    peers: list[Any],
    reading_context: ssl.SSLContext,
    client_context: ssl.SSLContext,
) -> None:
    peer = _Secret(serve(ssl_context=reading_context).port, client_context, peers)
    peer.write(UPGRADE)
    peer.flush()
    peer.read_head()
    _pauses_at_every_message(end, connection := end.connection())
    with _standing(loop):
        for message in _BOTH_KINDS:
            peer.write(_frames([message]))  # a record of its own
        peer.flush()
    for message in _BOTH_KINDS:
        assert end.message() == message
        loop.call(int, timeout=PATIENCE)
        assert end.messages.empty()
        connection.resume_reading()


def test_a_certificate_that_is_not_trusted(serve: MakeServer, loop: Loop, server_context: ssl.SSLContext) -> None:
    server = serve(ssl_context=server_context)
    error = _failure(loop, f"wss://localhost:{server.port}/")
    assert error.step == "tls"
    assert "certificate" in str(error)


def test_plain_talk_to_a_tls_port_and_the_other_way_round(
    serve: MakeServer,
    loop: Loop,
    peers: list[Any],
    server_context: ssl.SSLContext,
    client_context: ssl.SSLContext,
) -> None:
    secure, plain = serve(ssl_context=server_context), serve()
    assert _failure(loop, f"ws://127.0.0.1:{secure.port}/").step == "upgrade"
    assert _failure(loop, f"wss://127.0.0.1:{plain.port}/", ssl_context=client_context).step == "tls"


def test_a_tls_handshake_that_stalls_is_dropped(
    serve: MakeServer, peers: list[Any], server_context: ssl.SSLContext
) -> None:
    peer = _raw(serve(ssl_context=server_context, open_timeout=0.05), peers, b"\x16\x03\x01")
    assert _is_over(peer)


# -- plain HTTP --------------------------------------------------------------------------------------------------------


def test_a_body_is_read_in_whatever_pieces_it_comes(serve: MakeServer, peers: list[Any]) -> None:
    seen: queue.SimpleQueue[HttpRequest] = queue.SimpleQueue()

    def look(request: HttpRequest) -> Response:
        seen.put(request)
        return Response(200, {}, request.body[::-1])

    server = serve(on_request=look, max_body=100)
    peer = _raw(server, peers, b"POST /p HTTP/1.1\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n")
    assert _read_head(peer) == b"HTTP/1.1 100 Continue\r\n\r\n"
    peer.sendall(b"abc")
    peer.sendall(b"defg")  # one byte too many, which belongs to nothing
    assert _read_all(peer).endswith(b"\r\n\r\nfedcba")
    request = seen.get(timeout=PATIENCE)
    assert (request.method, request.body) == ("POST", b"abcdef")
    assert "abcdef" not in repr(request)


def test_a_body_that_is_too_long_is_refused_unread(serve: MakeServer, peers: list[Any]) -> None:
    server = serve(max_body=100)
    peer = _raw(server, peers, b"POST /p HTTP/1.1\r\nContent-Length: 101\r\n\r\n")
    assert _read_all(peer).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_does_not_come_ends_with_the_time_for_opening(serve: MakeServer, peers: list[Any]) -> None:
    server = serve(max_body=100, open_timeout=0.1)
    assert _is_over(_raw(server, peers, b"POST /p HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc"))


def test_without_a_limit_bodies_are_not_looked_at(serve: MakeServer, peers: list[Any]) -> None:
    peer = _raw(serve(), peers, b"POST /p HTTP/1.1\r\nContent-Length: 5\r\n\r\n")
    assert _read_all(peer).startswith(b"HTTP/1.1 405 ")


def test_the_head_decides_how_long_a_body_may_be(serve: MakeServer, peers: list[Any]) -> None:
    def limit(request: HttpRequest) -> int | Response:
        if request.path == "/broken":
            raise ZeroDivisionError
        return Response(401, {}, b"who are you?") if request.path == "/secret" else 10

    server = serve(on_request=lambda request: Response(200, {}, request.body), max_body=limit)
    for path, length, answer in (
        ("/", 5, b"200"),
        ("/", 11, b"413"),
        ("/secret", 9**9, b"401"),
        ("/broken", 1, b"500"),
    ):
        head = f"POST {path} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n"
        assert _read_all(_raw(server, peers, head.encode() + b"12345")).startswith(b"HTTP/1.1 " + answer), path
    peer = _raw(server, peers, b"HEAD /secret HTTP/1.1\r\n\r\n")
    assert _read_all(peer).endswith(b"\r\n\r\n")


def test_a_long_body_has_more_time(serve: MakeServer, peers: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "SLOWEST_BODY", 10)
    server = serve(on_request=lambda request: Response(200), max_body=10**6, open_timeout=0.1)
    peer = _raw(server, peers, b"POST /p HTTP/1.1\r\nContent-Length: 100\r\n\r\n")
    peer.settimeout(0.5)
    with pytest.raises(TimeoutError):  # 0.1 s and 100 bytes at 10 bytes per second
        peer.recv(1)
    peer.settimeout(PATIENCE)
    peer.sendall(bytes(100))
    assert _read_all(peer).startswith(b"HTTP/1.1 200 ")


# -- a response that comes later ---------------------------------------------------------------------------------------


@pytest.fixture
def promises() -> queue.SimpleQueue[Later]:
    return queue.SimpleQueue()


@pytest.fixture
def promising(serve: MakeServer, promises: queue.SimpleQueue[Later]) -> WebSocketServer:
    """A server that promises its responses."""

    def promise(request: HttpRequest) -> Later | Response:
        if request.path == "/now":
            return Response(200, {}, b"now")
        later = Later()
        promises.put(later)
        if request.path == "/provided":
            later.provide(Response(200, {}, b"before it was attached"))
        return later

    return serve(on_request=promise, max_body=100, open_timeout=0.2)


GET = b"GET /later HTTP/1.1\r\n\r\n"


def test_a_response_comes_later(
    promising: WebSocketServer, promises: queue.SimpleQueue[Later], peers: list[Any]
) -> None:
    peer = _raw(promising, peers, GET + b"more, which nobody reads")
    later = promises.get(timeout=PATIENCE)
    assert _read_all(_raw(promising, peers, b"GET /now HTTP/1.1\r\n\r\n")).endswith(b"now")
    peer.settimeout(0.5)
    with pytest.raises(TimeoutError):  # longer than a request may take to arrive
        peer.recv(1)
    assert not later.gone
    peer.settimeout(PATIENCE)
    later.provide(Response(200, {}, b"later"))
    later.provide(Response(500, {}, b"too late"))
    assert _read_all(peer).endswith(b"\r\n\r\nlater")
    assert _read_all(_raw(promising, peers, b"GET /provided HTTP/1.1\r\n\r\n")).endswith(b"before it was attached")


def test_a_head_is_enough_later_as_well(
    promising: WebSocketServer, promises: queue.SimpleQueue[Later], peers: list[Any]
) -> None:
    peer = _raw(promising, peers, GET.replace(b"GET", b"HEAD"))
    promises.get(timeout=PATIENCE).provide(Response(200, {}, b"12345"))
    answer = _read_all(peer)
    assert b"Content-Length: 5\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_whoever_ends_only_its_side_is_answered(
    promising: WebSocketServer, promises: queue.SimpleQueue[Later], peers: list[Any]
) -> None:
    peer = _raw(promising, peers, GET)
    later = promises.get(timeout=PATIENCE)
    peer.shutdown(socket.SHUT_WR)
    until(lambda: later.gone)
    later.provide(Response(200, {}, b"later"))
    assert _read_all(peer).endswith(b"later")


def test_nobody_is_answered_who_has_gone(
    promising: WebSocketServer, promises: queue.SimpleQueue[Later], peers: list[Any], loop: Loop
) -> None:
    peer = _raw(promising, peers, GET)
    later = promises.get(timeout=PATIENCE)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    until(lambda: later.gone)
    later.provide(Response(200))
    assert _read_all(_raw(promising, peers, b"GET /now HTTP/1.1\r\n\r\n")).endswith(b"now")
    peer = _raw(promising, peers, GET)
    later = promises.get(timeout=PATIENCE)
    promising.close()
    until(lambda: later.gone)
    later.provide(Response(200))
    assert _is_over(peer)


def test_a_loop_that_stops_ends_promises(
    promising: WebSocketServer, promises: queue.SimpleQueue[Later], peers: list[Any], loop: Loop
) -> None:
    peer = _raw(promising, peers, GET)
    later = promises.get(timeout=PATIENCE)
    loop.stop(PATIENCE)
    assert later.gone
    assert _is_over(peer)
    later.provide(Response(200))


def test_a_long_answer_reaches_a_peer_that_reads_slowly(serve: MakeServer, peers: list[Any]) -> None:
    whole = bytes(range(256)) * 40_000  # 10 MB: more than may wait, and more than the kernel keeps
    server = serve(on_request=lambda request: Response(200, {}, whole), max_buffer=2**20)
    peer = _raw(server, peers, b"GET / HTTP/1.1\r\n\r\n")
    _read_head(peer)
    assert _read_all(peer) == whole


@pytest.mark.parametrize("size", [200_000, 600_000])
def test_a_peer_that_pauses_while_it_reads_gets_the_whole_answer(
    serve: MakeServer, loop: Loop, peers: list[Any], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(listening, "LINGER", 0.05)
    server = serve(on_request=lambda request: Response(200, {}, bytes(size)), open_timeout=0.05)
    server._listeners[0].sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    peer = socket.socket()
    peers.append(peer)
    peer.settimeout(PATIENCE)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.connect(("127.0.0.1", server.port))
    peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
    _read_head(peer)
    waited = threading.Event()
    loop.call_later(0.15, waited.set)
    assert waited.wait(PATIENCE)
    assert len(_read_all(peer)) == size


# -- forks -------------------------------------------------------------------------------------------------------------


def _listening_ports() -> set[int]:
    """The ports that open sockets of this process listen on."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            if not stat.S_ISSOCK(os.stat(f"/proc/self/fd/{name}").st_mode):
                continue
        except OSError:  # the descriptor of the listing
            continue
        with socket.socket(fileno=os.dup(int(name))) as copy:
            if copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                found.add(copy.getsockname()[1])
    return found


@needs_fork
@quiet_fork
@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs Linux's list of descriptors")
def test_a_child_does_not_keep_the_port_of_a_server_that_was_just_starting(serve: MakeServer) -> None:
    """Otherwise, the port would stay taken after the end of this process, with nobody there."""
    forked: list[int] = []

    def fork(port: int) -> None:
        assert port in _listening_ports()
        holds_in_child(lambda: port not in _listening_ports())
        forked.append(port)

    server = serve(on_bound=fork)
    assert forked == [server.port]
    assert server.port in _listening_ports()
    holds_in_child(lambda: server.port not in _listening_ports())
