"""Non-blocking I/O on one socket, plain or TLS.

Data written during one loop iteration is sent in a single write at the end of the iteration. Data that the socket does
not accept is buffered, up to a limit. All methods run on the loop thread.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import struct
from collections.abc import Callable

from ..hosts.authorities import begin_tls
from ..hosts.listening import shown_address
from .loop import RECEIVE_SIZE, Loop

__all__ = ["Channel", "tune"]

_WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
TLS_ROUNDS = 4  # rounds of recv per turn; TLS returns one record of at most 16 KiB at a time


def tune(sock: socket.socket) -> None:
    """Make ``sock`` non-blocking, disable Nagle's algorithm, and enable keep-alive.

    On platforms that support it, keep-alive probes detect a vanished peer within about a minute.
    """
    sock.setblocking(False)
    options = [(socket.IPPROTO_TCP, "TCP_NODELAY", 1), (socket.SOL_SOCKET, "SO_KEEPALIVE", 1)]
    options += [(socket.IPPROTO_TCP, "TCP_KEEPIDLE", 30), (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 10)]
    options += [(socket.IPPROTO_TCP, "TCP_KEEPCNT", 3)]
    for level, name, value in options:
        try:
            sock.setsockopt(level, getattr(socket, name), value)
        except (AttributeError, OSError):
            pass


def _nothing(*_: object) -> None:
    pass


class Channel:
    """One connected socket on a loop.

    All callbacks run on the loop thread.

    :ivar on_ready: called when the connection is ready for data (with TLS, after the handshake).
    :ivar on_data: called with the bytes that were received.
    :ivar on_end: called once when the peer disconnects, with the error, or ``None`` after an orderly shutdown.
    :ivar on_overflow: called when more than ``max_buffer`` bytes are waiting to be sent.
    :ivar on_drain: called when the buffered data falls to ``low_water`` or below after exceeding it.
    """

    __slots__ = (
        "_chunks",
        "_closed",
        "_finishing",
        "_flush_due",
        "_handshaking",
        "_loop",
        "_out",
        "_paused",
        "_pending",
        "_sock",
        "_tls",
        "high",
        "low_water",
        "max_buffer",
        "on_data",
        "on_drain",
        "on_end",
        "on_overflow",
        "on_ready",
        "remote",
    )

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        *,
        max_buffer: int,
        ssl_context: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> None:
        self.remote: str = _address(sock)
        if ssl_context is not None:
            sock = begin_tls(ssl_context, sock, server_hostname)
        self._tls: ssl.SSLSocket | None = sock if isinstance(sock, ssl.SSLSocket) else None
        self._sock = sock
        self._loop = loop
        self._chunks: list[bytes] = []
        self._pending = 0  # bytes in _chunks
        self._out = bytearray()  # data that the socket did not accept
        self._handshaking = self._tls is not None
        self._closed = self._finishing = self._flush_due = self._paused = False
        self.high: bool = False  # low_water was exceeded since the last on_drain
        self.max_buffer: int = max_buffer
        self.low_water: int = 65536
        self.on_ready: Callable[[], object] = _nothing
        self.on_data: Callable[[bytes], object] = _nothing
        self.on_end: Callable[[Exception | None], object] = _nothing
        self.on_overflow: Callable[[], object] = _nothing
        self.on_drain: Callable[[], object] = _nothing

    @property
    def closed(self) -> bool:
        """Whether this side has closed the socket."""
        return self._closed

    @property
    def buffered(self) -> int:
        """Number of bytes not yet accepted by the operating system."""
        return self._pending + len(self._out)

    def open(self) -> None:
        """Start the TLS handshake if TLS is used, then start reading."""
        if self._handshaking:
            self._shake_hands()
        else:
            self._watch()
            self.on_ready()

    def write(self, data: bytes) -> None:
        """Send ``data`` at the end of the current loop iteration."""
        if self._closed or self._finishing:
            return
        self._chunks.append(data)
        self._pending += len(data)
        if self.buffered > self.low_water:
            self.high = True
        if not self._flush_due:
            self._flush_due = True
            self._loop.at_turn_end(self._flush)
        if self._pending > self.max_buffer:  # limit the amount of data queued within one turn
            self._flush()

    def finish(self) -> None:
        """Stop writing, and shut down the sending side once all data has been sent. Data from the peer is still received."""
        if not self._finishing:
            self._finishing = True
            self._flush()

    def pause(self) -> None:
        """Stop reading, so that TCP flow control slows the peer down. While paused, disconnects are not detected."""
        self._paused = True
        self._watch()

    def resume(self) -> None:
        """Resume reading."""
        self._paused = False
        self._watch()
        if self._tls is not None and not self._closed:  # TLS may hold decrypted bytes that the selector cannot see
            self._loop.call_soon(self._receive)

    def drop(self, *, reset: bool = False) -> None:
        """Close the socket immediately. If ``reset`` is true, send a TCP reset instead of closing gracefully."""
        if self._closed:
            return
        if not reset:
            self._flush_quietly()
        self._closed = True
        self._chunks.clear()
        self._out.clear()
        self._pending = 0
        self._loop.watch(self._sock, 0, self._ready)
        if reset:
            try:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                pass
        self._sock.close()

    # -- internals -----------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        if self._closed or self._handshaking:
            return
        events = (0 if self._paused else _READ) | (_WRITE if self._out else 0)
        self._loop.watch(self._sock, events, self._receive if events == _READ else self._ready)

    def _shake_hands(self, _mask: int = 0) -> None:
        if self._closed or self._tls is None:
            return
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._loop.watch(self._sock, _READ, self._shake_hands)
        except ssl.SSLWantWriteError:
            self._loop.watch(self._sock, _WRITE, self._shake_hands)
        except (OSError, ValueError) as error:
            self.on_end(error)
        else:
            self._handshaking = False
            self._watch()
            self.on_ready()
            self._flush()  # data written before the handshake completed
            self._loop.call_soon(self._receive)  # the handshake may have read application data

    def _ready(self, mask: int) -> None:
        if mask & _WRITE:
            self._flush()
        if mask & _READ:
            self._receive()

    def _receive(self, _mask: int = 0) -> None:
        for _ in range(1 if self._tls is None else TLS_ROUNDS):
            if self._closed or self._paused:
                return
            try:
                data = self._sock.recv(RECEIVE_SIZE)
            except _WOULD_BLOCK:
                return
            except (OSError, ValueError) as error:
                self._ended(error)
                return
            if not data:
                self._ended(None)
                return
            self.on_data(data)
        if self._tls is not None and not self._closed:
            self._loop.call_soon(self._receive)

    def _ended(self, error: Exception | None) -> None:
        self._paused = True  # at the end of stream, the socket stays readable
        self._watch()
        self.on_end(error)

    def _flush(self) -> None:
        self._flush_due = False
        if self._closed or self._handshaking:
            return
        try:
            self._transmit()
        except (BrokenPipeError, ConnectionResetError):
            # The peer has disconnected, but received data may remain in the socket. Reading continues until the end of
            # stream.
            self._finishing = True
            self._out.clear()
            return
        except (OSError, ValueError) as error:
            self._ended(error)
            return
        waiting = len(self._out)
        if waiting > self.max_buffer:
            self.on_overflow()
        elif self.high and waiting <= self.low_water:
            self.high = False
            self.on_drain()
        if self._finishing and not self._out and not self._chunks:
            self._half_close()
        self._watch()

    def _transmit(self) -> None:
        chunks = self._chunks
        if chunks:
            data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            chunks.clear()
            self._pending = 0
            if not self._out and self._tls is None:
                sent = self._send(data)
                if sent < len(data):
                    self._out += memoryview(data)[sent:]
                return
            self._out += data
        out = self._out
        while out:
            with memoryview(out) as view, view[:RECEIVE_SIZE] as head:
                sent = self._send(head)
            if not sent:
                return
            del out[:sent]

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self._sock.send(data)
        except _WOULD_BLOCK:
            return 0

    def _flush_quietly(self) -> None:
        try:
            if not self._handshaking:
                self._transmit()
        except (OSError, ValueError):
            pass

    def _half_close(self) -> None:
        if self._closed:
            return
        try:
            if self._tls is not None:
                try:
                    self._tls.unwrap()
                except (OSError, ValueError):
                    pass  # sending close_notify is enough; the peer's reply is not needed
            # On a TLS socket, shutdown() also ends decryption. Any further data is discarded, so this does not matter.
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def _address(sock: socket.socket) -> str:
    try:
        peer = sock.getpeername()
    except OSError:
        return "unknown"
    return shown_address(peer)
