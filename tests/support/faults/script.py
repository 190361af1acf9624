"""A WebSocket server that sends exactly what it is told to: frames no sane server sends, or bytes that are no frames at all."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import queue
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from relay_sync.simulator.server import Credentials
from tests.support import PATIENCE

__all__ = ["Peer", "ScriptedServer", "frame"]

PROTOCOL: Final = "signalwire_ab_cd_p"
STATE: Final = "QUJD:eHl6"
_numbers = itertools.count(1)
Json = dict[str, Any]


def frame(payload: bytes | str, *, opcode: int = 1, fin: bool = True, announced: int | None = None) -> bytes:
    """A WebSocket frame as servers send it, unmasked; ``announced`` is a length other than the true one."""
    data = payload.encode() if isinstance(payload, str) else payload
    size = len(data) if announced is None else announced
    head = bytes([(0x80 if fin else 0) | opcode])
    if size < 126:
        head += bytes([size])
    elif size < 65536:
        head += b"\x7e" + struct.pack(">H", size)
    else:
        head += b"\x7f" + struct.pack(">Q", size)
    return head + data


class Peer:
    """One client's connection, upgraded, in a thread of its own: the script reads what came and writes what it likes."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self._sock = sock
        self.number = number
        self._unread = b""

    # -- reading -------------------------------------------------------------------------------------------------

    def _take(self, count: int) -> bytes:
        while len(self._unread) < count:
            data = self._sock.recv(65536)
            if not data:
                raise ConnectionError("the client closed the connection")
            self._unread += data
        taken, self._unread = self._unread[:count], self._unread[count:]
        return taken

    def head(self) -> bytes:
        """A request up to its empty line."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._take(1)
        return head

    def upgrade(self) -> None:
        """Answer the upgrade as RFC 6455 wants it."""
        head = self.head()
        [key] = [line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:")]
        digest = hashlib.sha1(key.split(b":", 1)[1].strip() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        self.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
        )

    def message(self) -> tuple[int, bytes]:
        """The next frame of the client: opcode and payload."""
        first, second = self._take(2)
        size = second & 0x7F
        if size == 126:
            [size] = struct.unpack(">H", self._take(2))
        elif size == 127:
            [size] = struct.unpack(">Q", self._take(8))
        mask = self._take(4)
        data = self._take(size)
        return first & 0x0F, bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))

    def receive(self) -> Json:
        """The next text of the client, as JSON. Answers to our own requests count, too."""
        while True:
            opcode, payload = self.message()
            if opcode == 1:
                found: Json = json.loads(payload)
                return found
            if opcode == 8:
                raise ConnectionError("the client said goodbye")

    def request(self, method: str) -> Json:
        """The next request of a method; what comes before it is read and dropped."""
        while True:
            found = self.receive()
            if found.get("method") == method:
                return found

    # -- writing -------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._sock.sendall(data)

    def say(self, value: Any) -> None:
        """Send a value as JSON, or a text as it is, in a frame as it should be."""
        self.write(frame(value if isinstance(value, (str, bytes)) else json.dumps(value)))

    def answer(self, request: Json, result: Any) -> None:
        """Answer a request."""
        self.say({"jsonrpc": "2.0", "id": request["id"], "result": result})

    def event(self, event_type: str, params: Any, **members: Any) -> str:
        """Send an event; its frame's id."""
        number = f"event-{next(_numbers)}"
        payload = {"event_type": event_type, "event_channel": PROTOCOL, "timestamp": 1767225600.4, "params": params}
        request = {"jsonrpc": "2.0", "id": number, "method": "signalwire.event", "params": {**payload, **members}}
        self.say(request)
        return number

    def welcome(self, protocol: str = PROTOCOL) -> Json:
        """Upgrade and authenticate like a server that is sane; the client's ``signalwire.connect``."""
        self.upgrade()
        connect = self.request("signalwire.connect")
        self.answer(connect, {"protocol": protocol, "identity": "u1@u2.local", "authorization": {}, "ice_servers": []})
        self.event("signalwire.authorization.state", {"authorization_state": STATE})
        return connect

    def until_closed(self) -> None:
        """Read until the client closes the connection."""
        try:
            while self._sock.recv(65536):
                pass
        except OSError:
            pass


class ScriptedServer:
    """Runs a function for each connection, in a thread each; all end with :meth:`close`.

    An exception other than one of the connection is raised by :meth:`close`: a script's assertions count.
    """

    def __init__(self, script: Callable[[Peer], object]) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []
        self.errors: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
        self._closing = False
        self._thread = threading.Thread(target=self._accept, name=f"faults-script-{next(_numbers)}", daemon=True)
        self._thread.start()

    @property
    def credentials(self) -> Credentials:
        """For a client; a script may check them, or not."""
        return {"project": "p", "token": "t", "host": f"ws://127.0.0.1:{self.port}"}

    def _accept(self) -> None:
        for number in itertools.count(1):
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if self._closing:
                sock.close()
                return
            sock.settimeout(PATIENCE)
            self._socks.append(sock)
            name = f"{self._thread.name}.{number}"
            thread = threading.Thread(target=self._serve, args=(sock, number), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with sock:
            try:
                self._script(Peer(sock, number))
            except OSError:  # the client went, or did not come: its test will say what it thinks of it
                pass
            except BaseException as error:
                self.errors.put(error)

    def close(self) -> None:
        """Take no more, end what runs. :raises BaseException: what a script raised."""
        if not self._closing:
            self._closing = True
            socket.create_connection(("127.0.0.1", self.port)).close()  # closing alone wakes no accept()
            self._thread.join(PATIENCE)
            self._listener.close()
            for sock in self._socks:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            for thread in self._threads:
                thread.join(PATIENCE)
                assert not thread.is_alive(), f"the script of {thread.name} does not end"
        if not self.errors.empty():
            raise self.errors.get()

    def __enter__(self) -> ScriptedServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            try:
                self.close()
            except BaseException:
                pass
