"""``examples/_service_socket.py``: one thread owns the socket, and no service hangs a caller."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import _service_socket
import pytest
import websocket
from _service_socket import ServiceSocket
from hypothesis import given
from hypothesis import strategies as st
from websockets.sync.server import ServerConnection

from relay_sync.connection.upgrade import accept_value
from tests.support import PATIENCE, ROOT
from tests.support.background import Background, until
from tests.support.services import RawService, ScriptedService, trusting

KEY = "a-key-that-stays-secret"
HEADERS = {"Authorization": f"Bearer {KEY}"}
Connect = Callable[[str], ServiceSocket]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connects to a service; at the end, the connections are closed and their threads have ended."""
    made: list[ServiceSocket] = []

    def make(url: str) -> ServiceSocket:
        made.append(ServiceSocket(url, headers=HEADERS, name="test-service-socket", context=trusting()))
        return made[-1]

    yield make
    for each in made:
        each.close()
    until(lambda: not threads())


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "test-service-socket"]


def upgrade(peer: socket.socket, head: bytes = b"") -> None:
    """Answer the request for a WebSocket."""
    request = head
    while not request.endswith(b"\r\n\r\n"):
        part = peer.recv(1000)
        if not part:
            raise ConnectionError
        request += part
    (key,) = (line[19:] for line in request.decode().split("\r\n") if line.startswith("Sec-WebSocket-Key: "))
    peer.sendall(
        f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_value(key)}\r\n\r\n".encode()
    )


def wait_for_end(service: ServiceSocket) -> str:
    """Wait until the connection has ended. Return why."""
    while service.receive(PATIENCE) is not None:
        pass
    until(lambda: not threads())
    return service.reason


# -- both ways ---------------------------------------------------------------------------------------------------------


def exchange(connect: Connect, up: int, down: int) -> None:
    """Send messages both ways at once, and check that all of them arrive in order."""

    def script(connection: ServerConnection) -> None:
        def send() -> None:
            for number in range(down):
                connection.send(f"down {number} {'x' * 300}")

        sender = Background(send)
        for number in range(up):
            text = connection.recv(PATIENCE)
            assert isinstance(text, str)
            assert text.startswith(f"up {number} ")
        sender.result()
        connection.send("all")
        connection.recv(PATIENCE)  # raises when the other side closes

    with ScriptedService(script) as scripted:
        service = connect(scripted.url)

        def send() -> None:
            for number in range(up):
                while service.unsent > 500:
                    time.sleep(0.001)
                assert service.send(f"up {number} {'x' * 220}"), service.reason

        sending = Background(send)
        for number in range(down):
            text = service.receive(PATIENCE)
            assert text is not None, service.reason
            assert text.startswith(f"down {number} ")
        sending.result(600)
        assert service.receive(PATIENCE) == "all"
        service.close()
        assert service.receive(PATIENCE) is None
        assert service.reason == ""


def test_messages_arrive_in_order_both_ways_over_tls(connect: Connect) -> None:
    exchange(connect, 2_000, 500)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_long_conversation_over_tls_is_not_dropped(connect: Connect) -> None:
    """66 minutes of audio in one direction, and many events in the other."""
    exchange(connect, 200_000, 20_000)


def test_a_message_in_parts_and_pings_between_them(connect: Connect) -> None:
    answered: list[bytes] = []

    def script(peer: socket.socket) -> None:
        upgrade(peer)
        peer.sendall(b"\x01\x02ab" + b"\x89\x01!" + b"\x00\x02cd" + b"\x80\x01e" + b"\x81\x01f")
        while data := peer.recv(100):
            answered.append(data)

    with RawService(script) as raw:
        service = connect(raw.url)
        assert [service.receive(PATIENCE) for _ in range(2)] == ["abcde", "f"]
        until(lambda: bool(answered))
        assert answered[0][:2] == b"\x8a\x81"  # a pong with one byte


@given(st.lists(st.text(max_size=200), min_size=1, max_size=8), st.data())
def test_messages_are_parsed_however_they_are_split(texts: list[str], data: st.DataObject) -> None:
    raw = b""
    for text in texts:
        content = text.encode()
        cut = data.draw(st.integers(0, len(content)))
        for first, part, fin in ((True, content[:cut], 0), (False, content[cut:], 1)):
            opcode = websocket.ABNF.OPCODE_TEXT if first else websocket.ABNF.OPCODE_CONT
            raw += unmasked(part, opcode, fin)
    parser = _service_socket.Parser()
    found = []
    while raw:
        size = data.draw(st.integers(1, len(raw)))
        found += [content.decode() for _, content in parser.feed(raw[:size])]
        raw = raw[size:]
    assert found == texts


def unmasked(content: bytes, opcode: int, fin: int) -> bytes:
    """A frame of a server."""
    size = len(content)
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    return bytes([fin << 7 | opcode]) + length + content


# -- services that refuse ----------------------------------------------------------------------------------------------


def answering(response: bytes) -> Callable[[socket.socket], object]:
    def script(peer: socket.socket) -> None:
        peer.recv(10_000)
        peer.sendall(response)
        peer.recv(1)

    return script


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (f"HTTP/1.1 401 No\r\nContent-Length: {len(KEY)}\r\n\r\n{KEY}", "the service answered HTTP 401"),
        ("HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:9/\r\n\r\n", "Redirect"),
        ("HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "Invalid WebSocket Header"),
        ("HTTP/1.1 401 No\r\nContent-Length: x\r\n\r\n", "failed"),
        ("\x00\xff\r\n\r\n", "failed"),
        ("", "failed"),
    ],
    ids=["401", "redirect", "no key", "bad length", "garbage", "nothing"],
)
def test_a_refusal_is_explained_without_the_key(connect: Connect, response: str, said: str) -> None:
    with (
        RawService(answering(response.encode("latin-1")) if response else lambda peer: None) as raw,
        pytest.raises(ConnectionError) as refused,
    ):
        connect(raw.url)
    assert said in str(refused.value)
    for text in (str(refused.value), repr(refused.value), repr(refused.value.__cause__)):
        assert KEY not in text
    until(lambda: not threads())


def test_a_response_that_arrives_byte_by_byte_is_not_awaited(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_service_socket, "CONNECT", 0.3)

    def script(peer: socket.socket) -> None:
        peer.recv(10_000)
        while True:
            peer.sendall(b"H")
            time.sleep(0.01)

    with RawService(script) as raw, pytest.raises(ConnectionError, match=r"did not answer within 0\.3 s"):
        connect(raw.url)
    until(lambda: not threads())


def test_a_port_without_a_service(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ConnectionError, match="Connection refused"):
        connect(f"ws://127.0.0.1:{port}/")


@pytest.mark.parametrize("url", ["http://localhost/", "ws://example.com/", "wss://", "localhost"])
def test_keys_are_only_sent_over_tls(connect: Connect, url: str) -> None:
    with pytest.raises(ValueError, match="wss://"):
        connect(url)
    assert not threads()


@pytest.mark.parametrize("value", ["Bearer a\r\nX: y", "Bearer \N{EURO SIGN}", "Bearer a\0"])
def test_a_header_that_is_no_header(value: str) -> None:
    with pytest.raises(ValueError, match="header Authorization") as refused:
        ServiceSocket("ws://127.0.0.1:9/", headers={"Authorization": value}, name="test-service-socket")
    assert value not in str(refused.value)
    assert not threads()


# -- services that misbehave later -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", "the connection to the service was lost"),
        (b"\x88\x05\x0f\xa1bad", "(code 4001: 'bad')"),
        (b"\x81\xfe\xff", "lost"),
        (b"\x83\x01x", "Invalid opcode"),
        (b"\xf1\x01x", "rsv"),
        (b"\x80\x01x", "Illegal frame"),
        (b"\x81\x02\xff\xfe", "UnicodeDecodeError"),
        (b"\x81\x7f\x00\x00\x00\x10\x00\x00\x00\x00", "more than 1048576 bytes"),
        (b"\x01\x00" + b"\x00\x00" * 2_000_000, "more than 1048576 bytes"),
    ],
    ids=["closes", "close", "half", "opcode", "rsv", "part", "utf-8", "huge", "parts"],
)
def test_a_broken_service_ends_its_connection(connect: Connect, sent: bytes, said: str) -> None:
    def script(peer: socket.socket) -> None:
        upgrade(peer)
        peer.sendall(sent)

    with RawService(script) as raw:
        service = connect(raw.url)
        assert said in wait_for_end(service)
        assert not service.send("x")


def test_a_service_that_does_not_read(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_service_socket, "MOST_UNSENT", 200)
    over = threading.Event()

    def script(peer: socket.socket) -> None:
        upgrade(peer)
        over.wait(PATIENCE)

    with RawService(script) as raw:
        service = connect(raw.url)
        while service.send("x" * 10_000):
            time.sleep(0)
        assert "does not read: " in wait_for_end(service)
        over.set()


def test_a_service_that_falls_silent(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_service_socket, "PING", 0.05)
    monkeypatch.setattr(_service_socket, "SILENT", 0.3)
    pings: list[bytes] = []

    def script(peer: socket.socket) -> None:
        upgrade(peer)
        while data := peer.recv(100):
            pings.append(data)

    with RawService(script) as raw:
        service = connect(raw.url)
        assert wait_for_end(service) == "the service was silent for 0.3 s"
        assert pings[0][0] == 0x89


def test_a_quiet_service_that_answers_pings_is_kept(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_service_socket, "PING", 0.02)
    monkeypatch.setattr(_service_socket, "SILENT", 0.5)
    with ScriptedService(lambda connection: connection.recv()) as scripted:
        service = connect(scripted.url)
        with pytest.raises(TimeoutError, match="sent nothing for 1 s"):
            service.receive(1.0)
        assert service.send("still there")
        service.close()


def test_a_flood_waits_until_the_program_reads_and_delays_nothing_else(connect: Connect) -> None:
    text = "y" * 10_000
    count = 0
    arrived: list[int] = []

    def script(peer: socket.socket) -> None:
        upgrade(peer)

        def flood() -> None:
            nonlocal count
            with suppress(OSError):
                while True:
                    peer.sendall(unmasked(text.encode(), websocket.ABNF.OPCODE_TEXT, 1))
                    count += 1

        flooding = Background(flood)
        while data := peer.recv(100):
            arrived.append(len(data))
        peer.shutdown(socket.SHUT_RDWR)
        flooding.result()

    with RawService(script) as raw:
        service = connect(raw.url)
        until(lambda: count > 0)
        before = 0
        while count != before:  # until the service can send no more
            before = count
            time.sleep(0.2)
        assert 0 < before < 3_000  # what the queue holds, and the buffers of the system
        assert service.send("hello")
        until(lambda: sum(arrived) == 2 + 4 + len("hello"))
        wanted = before + 500
        assert sum(service.receive(PATIENCE) == text for _ in range(wanted)) == wanted
        service.close()


def test_closing_while_the_service_floods(connect: Connect) -> None:
    def script(connection: ServerConnection) -> None:
        while True:
            connection.send("x" * 1000)

    with ScriptedService(script) as scripted:
        service = connect(scripted.url)
        assert service.receive(PATIENCE) is not None
        service.close()
        assert not threads()
        assert wait_for_end(service) == ""


def test_a_thread_that_waits_is_woken_by_the_end(connect: Connect) -> None:
    with ScriptedService(lambda connection: connection.recv()) as scripted:
        service = connect(scripted.url)
        waiting = Background(service.receive)
        service.close()
        assert waiting.result() is None
        assert service.receive() is None


#: Sends to a service until SIGINT.
INTERRUPTED = """
import sys, threading, _thread
sys.path.append("examples")
from _service_socket import ServiceSocket
service = ServiceSocket(sys.argv[1], headers={})
threading.Timer(0.2, _thread.interrupt_main).start()
try:
    while True:
        service.send("x")
except KeyboardInterrupt:
    service.close()
    print([each.name for each in threading.enumerate() if each.name.startswith("service")], service.send("y"))
"""


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_behind() -> None:
    def script(peer: socket.socket) -> None:
        upgrade(peer)
        while peer.recv(100_000):
            pass

    with RawService(script) as raw:
        done = subprocess.run(
            [sys.executable, "-c", INTERRUPTED, raw.url],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert (done.stdout, done.stderr) == ("[] False\n", "")


def test_the_key_is_in_no_repr(connect: Connect) -> None:
    def shown(thing: Any) -> str:
        return f"{thing!r} {thing!s}"

    with ScriptedService(lambda connection: connection.recv()) as scripted:
        service = connect(scripted.url)
        assert KEY not in shown(service)
        assert not [value for value in vars(service).values() if KEY in shown(value)]
