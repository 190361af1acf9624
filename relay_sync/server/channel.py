"""Bytes over one non-blocking socket, plain or TLS, on a loop: the only part that calls a connection's socket.

What is written in one turn of the loop leaves in one write at its end. What the peer does not take stays buffered, up
to a limit. All of it runs on the loop thread.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import struct
from collections.abc import Callable

from ..hosts.authorities import begin_tls
from .listening import shown_address
from .loop import RECEIVE_SIZE, Loop

__all__ = ["Channel", "tune"]

_WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
TLS_ROUNDS = 4  # TLS hands out one record (at most 16 KiB) at a time


def tune(sock: socket.socket) -> None:
    """Non-blocking, no Nagle, and keep-alive probes that find a vanished peer within about a minute where supported."""
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

    Callbacks, all on the loop thread: ``on_ready()`` when bytes may flow (after the TLS handshake), ``on_data(bytes)``,
    ``on_end(error)`` once when the peer is gone (``None`` for a proper end of stream), ``on_overflow()`` when more than
    *max_buffer* bytes wait for a peer that does not read, ``on_drain()`` when what waits has fallen under ``low_water``
    after having been over it.
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
        self._out = bytearray()  # what the socket would not take
        self._handshaking = self._tls is not None
        self._closed = self._finishing = self._flush_due = self._paused = False
        self.high: bool = False  # has been over low_water since on_drain
        self.max_buffer: int = max_buffer
        self.low_water: int = 65536
        self.on_ready: Callable[[], object] = _nothing
        self.on_data: Callable[[bytes], object] = _nothing
        self.on_end: Callable[[Exception | None], object] = _nothing
        self.on_overflow: Callable[[], object] = _nothing
        self.on_drain: Callable[[], object] = _nothing

    @property
    def closed(self) -> bool:
        """Whether the socket has been closed on our side."""
        return self._closed

    @property
    def buffered(self) -> int:
        """Bytes not yet taken by the operating system."""
        return self._pending + len(self._out)

    def open(self) -> None:
        """Begin: the TLS handshake where there is one, then reading."""
        if self._handshaking:
            self._shake_hands()
        else:
            self._watch()
            self.on_ready()

    def write(self, data: bytes) -> None:
        """Send *data* at the end of this turn."""
        if self._closed or self._finishing:
            return
        self._chunks.append(data)
        self._pending += len(data)
        if self.buffered > self.low_water:
            self.high = True
        if not self._flush_due:
            self._flush_due = True
            self._loop.at_turn_end(self._flush)
        if self._pending > self.max_buffer:  # one turn must not pile up without limit either
            self._flush()

    def finish(self) -> None:
        """Stop writing: half-close once all is sent. Data from the peer is still received."""
        if not self._finishing:
            self._finishing = True
            self._flush()

    def pause(self) -> None:
        """Stop reading; TCP slows the peer down. While paused, the end of the connection is not noticed."""
        self._paused = True
        self._watch()

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        self._watch()
        if self._tls is not None and not self._closed:  # bytes may wait inside TLS, where the selector cannot see them
            self._loop.call_soon(self._receive)

    def drop(self, *, reset: bool = False) -> None:
        """Close the socket now; *reset* makes the peer see a reset connection rather than an orderly end."""
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

    # -- inside --------------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        if self._closed or self._handshaking:
            return
        events = (0 if self._paused else _READ) | (_WRITE if self._out else 0)
        self._loop.watch(self._sock, events, self._ready)

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
            self._flush()  # what was written too early
            self._loop.call_soon(self._receive)  # the handshake may have read ahead

    def _ready(self, mask: int) -> None:
        if mask & _WRITE:
            self._flush()
        if mask & _READ:
            self._receive()

    def _receive(self) -> None:
        for _ in range(1 if self._tls is None else TLS_ROUNDS):
            if self._closed or self._paused:
                return
            buffer = self._loop.buffer
            try:
                count = self._sock.recv_into(buffer, RECEIVE_SIZE)
            except _WOULD_BLOCK:
                return
            except (OSError, ValueError) as error:
                self._ended(error)
                return
            if not count:
                self._ended(None)
                return
            self.on_data(bytes(buffer[:count]))
        if self._tls is not None and not self._closed:
            self._loop.call_soon(self._receive)

    def _ended(self, error: Exception | None) -> None:
        self._paused = True  # an end of stream is readable forever
        self._watch()
        self.on_end(error)

    def _flush(self) -> None:
        self._flush_due = False
        if self._closed or self._handshaking:
            return
        try:
            self._transmit()
        except (BrokenPipeError, ConnectionResetError):
            # The peer is gone, but its data may still be in the socket: reading finds the end.
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
                    pass  # it only has to have sent its goodbye
            # On a TLS socket this also makes the rest arrive undecrypted, which is as good: it is thrown away.
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def _address(sock: socket.socket) -> str:
    try:
        peer = sock.getpeername()
    except OSError:
        return "unknown"
    return shown_address(peer)
