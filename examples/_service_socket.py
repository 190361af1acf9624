"""A WebSocket to a speech service, for blocking programs: one thread owns the socket, all others use queues.

If one thread writes to a TLS socket while another one reads from it, the connection sometimes drops (python/cpython#77271),
about once in 3,500 messages. Here, only the socket's own thread connects, reads, writes and closes. :meth:`ServiceSocket.send`
appends a message to a queue and wakes the thread. :meth:`ServiceSocket.receive` returns the messages of the service in order.

Every queue is bounded, and every wait has a limit, whatever the service does.
"""

from __future__ import annotations

import contextlib
import queue
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

import websocket

#: Time to connect, including TLS and the upgrade, in seconds.
CONNECT: Final = 10.0
#: Seconds without data after which the service is pinged, and after which the connection is closed.
PING, SILENT = 15.0, 30.0
#: Messages that may wait because the service does not read: a minute of audio, at 20 ms a message.
MOST_UNSENT: Final = 3000
#: Messages that may wait for the program. While this many wait, nothing is read, so that TCP slows the service down.
MOST_UNREAD: Final = 256
#: Largest message in bytes.
MOST_MESSAGE: Final = 1024 * 1024
_CHUNK: Final = 64 * 1024
#: Seconds that :meth:`ServiceSocket.close` gives the thread to send what is queued.
_CLOSING: Final = 1.0
_NOT_NOW: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_ABNF: Final = websocket.ABNF


class ServiceSocket:
    """A connection to a service. The constructor waits up to 10 s until it is open.

    :param url: ``wss://`` URL of the service. ``ws://`` is accepted for addresses of this machine only.
    :param headers: additional headers of the request, such as ``Authorization``. They are never logged.
    :param name: name of the thread.
    :param context: TLS settings; by default, the authorities of the system, or of ``SSL_CERT_FILE``.
    :raises ValueError: the URL or a header is invalid.
    :raises ConnectionError: the service cannot be reached, or refuses the connection.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        name: str = "service-socket",
        context: ssl.SSLContext | None = None,
    ) -> None:
        check(url, headers)
        self.reason: str = ""
        """Why the connection ended; ``""`` while it is open, and if the program closed it."""
        self._ws = websocket.WebSocket(sslopt={"context": context or ssl.create_default_context()})
        self._outbox: deque[bytes] = deque()
        self._inbox: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._closed: float | None = None  # when close() was called
        self._over = False  # set before receive() returns None
        self._connected = False  # whether the connection was open
        self._decided = threading.Event()  # set when that is known
        self._wakes, self._wake = socket.socketpair()
        self._wakes.setblocking(False)
        self._wake.setblocking(False)
        self._thread = threading.Thread(target=self._run, args=(url, dict(headers)), name=name, daemon=True)
        self._thread.start()
        try:
            if not self._decided.wait(CONNECT):
                self._abort(f"the service did not answer within {CONNECT:g} s")
        except BaseException:  # Ctrl-C
            self._abort("")
            raise
        if not self._connected:
            raise ConnectionError(self.reason)

    # -- for any thread ------------------------------------------------------------------------------------------------

    def send(self, text: str) -> bool:
        """Send a message, without waiting until it is written.

        :return: whether the message was queued. Otherwise, the connection has ended, or the service does not read.
        """
        if self._closed is not None or self._over or not self._thread.is_alive() or len(self._outbox) > MOST_UNSENT:
            return False
        self._outbox.append(_frame(text.encode(), _ABNF.OPCODE_TEXT))
        self._ring()
        return True

    @property
    def unsent(self) -> int:
        """Number of messages that wait to be written."""
        return len(self._outbox)

    def receive(self, timeout: float | None = None) -> str | None:
        """Wait for the next message of the service.

        :param timeout: maximum time to wait, in seconds; ``None`` waits until a message arrives or the connection ends.
        :return: the message; ``None`` if the connection has ended.
        :raises TimeoutError: no message arrived within ``timeout``.
        """
        try:
            text = self._inbox.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"the service sent nothing for {timeout:g} s") from None
        if text is None:
            self._inbox.put(None)  # for the next call
        self._ring()  # the thread may be waiting for room
        return text

    def close(self) -> None:
        """Close the connection, and end the thread. Idempotent."""
        if self._closed is None:
            self._closed = time.monotonic()
            self._ring()
        if threading.current_thread() is not self._thread:
            self._thread.join(2 * _CLOSING)

    def _ring(self) -> None:
        with contextlib.suppress(OSError):  # full: the thread will wake up; closed: the thread has ended
            self._wake.send(b"\0")

    def _abort(self, reason: str) -> None:
        """Make the thread's connect() fail. While a name is looked up, there is no socket yet, and the thread ends later."""
        self.reason, self._closed = reason, time.monotonic()
        sock = self._ws.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    # -- the thread of the socket --------------------------------------------------------------------------------------

    def _run(self, url: str, headers: dict[str, str]) -> None:
        try:
            sock = self._connect(url, headers)
            self._connected = True
            self._decided.set()
            self._serve(sock)
        except Exception as error:  # whatever the service sent
            if self._closed is None:
                self.reason = self.reason or _described(error)
        finally:
            self._over = True
            if self._ws.sock is not None:
                self._ws.sock.close()
            self._wakes.close()
            self._wake.close()
            self._inbox.put(None)
            self._decided.set()

    def _connect(self, url: str, headers: dict[str, str]) -> socket.socket:
        # A redirect would send the key to another host.
        options = {"header": headers, "timeout": CONNECT, "redirect_limit": 0, "suppress_origin": True}
        self._ws.connect(url, **options)  # type: ignore[no-untyped-call,unused-ignore]
        if self._ws.getstatus() != 101:
            raise ConnectionError(f"the service answered HTTP {self._ws.getstatus()} instead of a WebSocket")
        sock = self._ws.sock
        assert sock is not None  # after connect()
        sock.setblocking(False)
        return sock

    def _serve(self, sock: socket.socket) -> None:
        """Read and write until the connection ends."""
        parser, unsent = Parser(), bytearray()
        heard = pinged = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(self._wakes, selectors.EVENT_READ)
            selector.register(sock, selectors.EVENT_READ)
            while True:
                now = time.monotonic()
                if self._closed is not None and (now - self._closed > _CLOSING or not (self._outbox or unsent)):
                    sock.send(_frame(b"\x03\xe8", _ABNF.OPCODE_CLOSE))  # "normal closure"; the answer does not matter
                    return
                if len(self._outbox) > MOST_UNSENT:
                    raise ConnectionError(f"the service does not read: {len(self._outbox)} messages wait")
                if now - heard > SILENT:
                    raise ConnectionError(f"the service was silent for {SILENT:g} s")
                if now - max(heard, pinged) > PING:
                    pinged = now
                    self._outbox.append(_frame(b"", _ABNF.OPCODE_PING))
                self._write(sock, unsent)
                has_room = self._inbox.qsize() < MOST_UNREAD
                data = _read(sock) if has_room else None
                if data is not None or not has_room:
                    heard = now
                if data is not None:
                    for opcode, content in parser.feed(data):
                        self._take(opcode, content)
                    continue
                events = (selectors.EVENT_READ if has_room else 0) | (selectors.EVENT_WRITE if unsent else 0)
                self._sleep(selector, sock, events, _CLOSING if self._closed is not None or not has_room else PING)

    def _write(self, sock: socket.socket, unsent: bytearray) -> None:
        while len(unsent) < _CHUNK and self._outbox:
            unsent += self._outbox.popleft()
        if unsent:
            with contextlib.suppress(*_NOT_NOW):
                del unsent[: sock.send(unsent[:_CHUNK])]

    def _sleep(self, selector: selectors.BaseSelector, sock: socket.socket, events: int, longest: float) -> None:
        """Wait until another thread calls, or the socket is ready for one of the events."""
        watched = sock.fileno() in selector.get_map()
        if events:
            (selector.modify if watched else selector.register)(sock, events)
        elif watched:
            selector.unregister(sock)
        selector.select(longest)
        with contextlib.suppress(*_NOT_NOW):
            self._wakes.recv(_CHUNK)

    def _take(self, opcode: int, content: bytes) -> None:
        if opcode == _ABNF.OPCODE_TEXT:
            self._inbox.put(content.decode())
        elif opcode == _ABNF.OPCODE_PING:
            self._outbox.append(_frame(content, _ABNF.OPCODE_PONG))
        elif opcode == _ABNF.OPCODE_CLOSE:
            code, words = int.from_bytes(content[:2], "big"), content[2:].decode("utf-8", "replace")
            raise ConnectionError(f"the service closed the connection (code {code}: {words!r})")


class Parser:
    """Parses what was read, with the classes of websocket-client. A frame may arrive in any number of parts."""

    def __init__(self) -> None:
        self._data = memoryview(b"")
        self._frames = websocket.frame_buffer(self._more, skip_utf8_validation=True)
        self._parts = websocket.continuous_frame(fire_cont_frame=False, skip_utf8_validation=True)
        self._size = 0  # of the message in parts

    def _more(self, size: int) -> bytes:
        if not self._data:
            raise BlockingIOError
        taken, self._data = bytes(self._data[:size]), self._data[size:]
        return taken

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Return the complete messages and control frames: opcode and content."""
        self._data = memoryview(data)
        while True:
            try:
                frame = self._frames.recv_frame()
            except BlockingIOError:
                self._check(self._frames.length or 0)
                return
            self._check(len(frame.data))
            if frame.opcode >= _ABNF.OPCODE_CLOSE:
                yield frame.opcode, _bytes(frame)
                continue
            self._size += len(frame.data) + 1000  # also limits the number of parts
            self._parts.validate(frame)
            self._parts.add(frame)
            if frame.fin:
                self._size = 0
                opcode, whole = self._parts.extract(frame)
                yield opcode, _bytes(whole)

    def _check(self, length: int) -> None:
        if self._size + length > MOST_MESSAGE:
            raise ConnectionError(f"the service sent a message of more than {MOST_MESSAGE} bytes")


def check(url: str, headers: Mapping[str, str]) -> None:
    """Check the parameters of :class:`ServiceSocket`.

    :param url: URL of the service.
    :param headers: additional headers.
    :raises ValueError: the URL or a header is invalid. The message does not contain the value.
    """
    parts = urlsplit(url)
    local = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if not parts.hostname or not (parts.scheme == "wss" or (parts.scheme == "ws" and local)):
        raise ValueError(f"the URL of the service has to start with wss://, not with {parts.scheme}://")
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"the value of the header {name} contains characters that are not printable ASCII")


def _frame(content: bytes, opcode: int) -> bytes:
    return _ABNF.create_frame(content, opcode).format()


def _bytes(frame: websocket.ABNF) -> bytes:
    return frame.data.encode() if isinstance(frame.data, str) else bytes(frame.data)


def _read(sock: socket.socket) -> bytes | None:
    """Return what has arrived, or ``None``.

    :raises ConnectionError: the connection has ended.
    """
    try:
        data = sock.recv(_CHUNK)
    except _NOT_NOW:
        return None
    if not data:
        raise ConnectionError("the connection to the service was lost")
    return data


def _described(error: Exception) -> str:
    """Return why a connection ended. The text of the service's HTTP response may repeat the key, so it is left out."""
    if isinstance(error, websocket.WebSocketBadStatusException):
        return f"the service answered HTTP {error.status_code} instead of a WebSocket"
    if type(error) is ConnectionError:  # raised here
        return str(error)
    return f"the connection to the service failed ({type(error).__name__}: {error})"
