"""A WebSocket server: a listening socket, the HTTP around the upgrade, and the connections it accepts.

Callbacks run on the loop thread and must not block.
"""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import ssl
from collections.abc import Callable, Sequence

from attrs import evolve

from .channel import Channel, tune
from .connection import CloseInfo, Connection
from .http import BadRequest, Headers, Request, Response, body_length, head_end, parse_request
from .library import ServerProtocol, State, quiet_logger
from .loop import Loop, LoopStopped, Timer
from .splitting import Splitter

__all__ = ["CloseInfo", "Connection", "Headers", "Request", "Response", "WebSocketServer"]

_log = logging.getLogger("relay_sync.server")
MAX_BUFFER = 4 * 2**20  # bytes a peer may leave unread
MAX_OPENING = 512  # sockets that have not finished their upgrade; more wait in the system's queue
LINGER = 2.0  # seconds a refused peer gets to read why
SLICE = 256 * 1024  # bytes of a long answer that wait for the peer at once
STALLED = 30.0  # seconds a peer may take for a slice
ACCEPT_PAUSE = 0.25  # seconds, when the process has no file descriptor left


class WebSocketServer:
    """Listens on *host*:*port* (0: any free one) as soon as it is made; the loop must be running.

    :param ssl_context: serve ``wss://``; the handshake happens in the loop.
    :param on_request: sees each request before the upgrade. A :class:`Response` is sent instead of upgrading (a
        refusal, or the answer to a health check); ``None`` goes on: an upgrade is accepted, any other GET is answered
        426, any other method 405.
    :param on_open: gets each new connection, and sets its ``on_message`` and ``on_close``.
    :param max_message: bytes; longer messages end their connection (1009) before they are buffered.
    :param max_connections: more upgrades are answered 503, after ``on_request`` has had its say; ``None``: no limit.
    :param open_timeout: seconds from accepting the socket to the end of the upgrade.
    :param on_stranger: called with a peer and what it speaks, when that is no WebSocket on this kind of port: ``TLS`` on a
        plain one, ``no TLS`` on one with *ssl_context*.
    :param subprotocols: those that are agreed to where offered; offers of others are ignored.
    :param max_buffer: unsent bytes after which a peer is dropped as too slow.
    :param max_body: bytes; 0 takes no bodies: they are not read, and ``on_request`` does not see them. Else it is called
        when the body is complete, and a longer one is refused.
    :raises OSError: the address cannot be had.
    :raises LoopStopped: the loop is not running.
    """

    def __init__(
        self,
        loop: Loop,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        on_request: Callable[[Request], Response | None],
        on_open: Callable[[Connection], object],
        max_message: int = 2**20,
        max_connections: int | None = None,
        open_timeout: float = 10.0,
        on_stranger: Callable[[str, str], object] | None = None,
        subprotocols: Sequence[str] = (),
        max_buffer: int = MAX_BUFFER,
        max_body: int = 0,
    ) -> None:
        self._loop = loop
        self._ssl_context = ssl_context
        self.on_request = on_request
        self.on_open = on_open
        self.max_message = max_message
        self.max_connections = max_connections
        self.open_timeout = open_timeout
        self.on_stranger = on_stranger
        self.subprotocols = subprotocols
        self.max_buffer = max_buffer
        self.max_body = max_body
        self._opening: set[_Opening] = set()
        self._connections: set[Connection] = set()
        self._closed = False
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=1024)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        try:
            loop.call(self._listen, timeout=5.0)
        except BaseException:
            self._listener.close()
            raise

    def __repr__(self) -> str:
        return f"<WebSocketServer port {self.port}, {len(self._connections)} connections>"

    @property
    def connections(self) -> int:
        """How many connections are open, those that are just closing included."""
        return len(self._connections)

    def close(self, code: int = 1001, reason: str = "going away") -> None:
        """Stop listening and close every connection with *code*. Idempotent; the connections end by themselves soon."""
        try:
            self._loop.call(self._close, code, reason, timeout=5.0)
        except LoopStopped:
            pass

    def stop_listening(self) -> None:
        """Free the port; open connections go on."""
        try:
            self._loop.call(self._stop_listening, timeout=5.0)
        except LoopStopped:
            pass

    def loop_stopping(self) -> None:
        """Part of :class:`~relay_sync.server.loop.Hosted`: the connections are told by the loop themselves."""
        self._stop_listening()
        for opening in list(self._opening):
            opening.drop()

    # -- on the loop thread --------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        self._loop.host(self)
        self._loop.watch(self._listener, selectors.EVENT_READ, self._accept)

    def _stop_listening(self) -> None:
        if not self._closed:
            self._closed = True
            self._loop.watch(self._listener, 0, self._accept)
            self._listener.close()
            self._loop.release(self)

    def _close(self, code: int, reason: str) -> None:
        self._stop_listening()
        for opening in list(self._opening):
            opening.drop()
        for connection in list(self._connections):
            connection.close(code, reason)

    def _accept(self, _mask: int) -> None:
        for _ in range(64):
            if self._closed:
                return
            if len(self._opening) >= MAX_OPENING:
                self._loop.watch(self._listener, 0, self._accept)
                return
            try:
                sock, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError as error:
                self._pause_accepting(error)
                return
            tune(sock)
            try:
                _Opening(self, self._loop, sock, self._ssl_context).begin()
            except (OSError, ValueError) as error:  # gone before it began
                sock.close()
                _log.debug("a connection ended before it began: %s", error)

    def _pause_accepting(self, error: OSError) -> None:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            _log.warning("port %d accepts nobody for now: %s (raise the limit on open files)", self.port, error)
        self._loop.watch(self._listener, 0, self._accept)
        self._loop.call_later(ACCEPT_PAUSE, self._accept_again)

    def _accept_again(self) -> None:
        if not self._closed:
            self._loop.watch(self._listener, selectors.EVENT_READ, self._accept)

    def _answer(self, request: Request) -> Response | None:
        """What to send instead of upgrading, or ``None``."""
        try:
            response = self.on_request(request)
        except Exception:
            _log.exception("on_request failed for %s", request.remote)
            return Response(500, {}, b"the server failed to look at this request\n")
        if response is not None:
            return response
        if request.method != "GET":
            return Response(405, {"Allow": "GET"}, b"only GET, with an upgrade to WebSocket\n")
        if not request.is_upgrade:
            return Response(
                426, {"Upgrade": "websocket", "Connection": "Upgrade, close"}, b"connect with a WebSocket\n"
            )
        if self.max_connections is not None and len(self._connections) >= self.max_connections:
            _log.warning(
                "port %d refused %s: %d connections are open already", self.port, request.remote, self.connections
            )
            return Response(503, {"Retry-After": "5"}, b"too many connections\n")
        return None

    def _opened(self, connection: Connection) -> None:
        try:
            self.on_open(connection)
        except Exception:
            _log.exception("on_open failed for %s", connection.remote)
            connection.close(1011, "the server failed to take this connection")

    def _strange(self, remote: str, what: str) -> None:
        if self.on_stranger is not None:
            self.on_stranger(remote, what)

    def _choose(self, offered: Sequence[str]) -> str | None:
        """The first of our subprotocols that the peer offers."""
        return next((name for name in self.subprotocols if name in offered), None)


class _Opening:
    """An accepted socket on its way to the upgrade, or to a refusal."""

    __slots__ = (
        "_answer",
        "_channel",
        "_end",
        "_head",
        "_loop",
        "_refused",
        "_request",
        "_server",
        "_timer",
        "_wanted",
    )

    def __init__(
        self, server: WebSocketServer, loop: Loop, sock: socket.socket, context: ssl.SSLContext | None
    ) -> None:
        self._server = server
        self._loop = loop
        self._head = bytearray()  # and the body behind it
        self._end = self._wanted = 0  # where the head ends; the bytes of body behind it
        self._request: Request | None = None
        self._answer = memoryview(b"")
        self._refused = False
        self._channel = Channel(loop, sock, max_buffer=server.max_buffer, ssl_context=context)
        self._channel.on_data = self._on_data
        self._channel.on_end = self._on_end
        self._channel.on_overflow = self.drop
        self._timer: Timer = loop.call_later(server.open_timeout, self.drop)

    def begin(self) -> None:
        self._server._opening.add(self)
        self._loop.host(self)
        self._channel.open()

    def loop_stopping(self) -> None:
        self.drop()

    def drop(self) -> None:
        self._release()
        self._channel.drop()

    def _release(self) -> None:
        self._timer.cancel()
        self._loop.release(self)
        self._server._opening.discard(self)
        self._server._accept_again()

    def _on_end(self, error: Exception | None) -> None:
        if isinstance(error, ssl.SSLError):
            _log.info("no TLS handshake with %s: %s", self._channel.remote, error.reason or "failed")
            if error.reason in ("HTTP_REQUEST", "WRONG_VERSION_NUMBER"):
                self._server._strange(self._channel.remote, "no TLS")
        self.drop()

    def _on_data(self, data: bytes) -> None:
        if self._refused:
            return  # read and thrown away, so that closing does not turn into a reset that eats our answer
        self._head += data
        try:
            request = self._request or self._read_head()
        except BadRequest as error:
            if self._head[:2] == b"\x16\x03":  # a TLS handshake
                self._server._strange(self._channel.remote, "TLS")
            self._refuse(Response(error.status, {}, f"{error}\n".encode()).serialize())
            return
        if request is None or len(self._head) < self._end + self._wanted:
            return
        head, rest = bytes(self._head[: self._end]), bytes(self._head[self._end :])
        if self._wanted:
            request = evolve(request, body=rest[: self._wanted])
        response = self._server._answer(request)
        if response is not None:
            self._refuse(response.serialize(head_only=request.method == "HEAD"))
        else:
            self._upgrade(head, rest, request)

    def _read_head(self) -> Request | None:
        end = head_end(self._head)
        if end < 0:
            return None
        request = parse_request(bytes(self._head[:end]), self._channel.remote)
        if self._server.max_body:
            self._wanted = body_length(request, self._server.max_body)
        if len(self._head) < end + self._wanted and request.headers.get("expect", "").lower() == "100-continue":
            self._channel.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._request, self._end = request, end
        return request

    def _refuse(self, answer: bytes) -> None:
        """Send an answer and end; a long one goes in slices, so that a peer that reads slowly is no peer that hangs."""
        self._refused = True
        self._head.clear()
        self._answer = memoryview(answer)
        self._channel.on_drain = self._send_on
        self._send_on()

    def _send_on(self) -> None:
        if not self._answer:
            return
        part, self._answer = self._answer[:SLICE], self._answer[SLICE:]
        self._timer.cancel()
        self._timer = self._loop.call_later(STALLED if self._answer else LINGER, self.drop)
        self._channel.write(bytes(part))
        if not self._answer:
            self._channel.finish()

    def _upgrade(self, head: bytes, rest: bytes, request: Request) -> None:
        server = self._server
        protocol = ServerProtocol(
            select_subprotocol=lambda _, offered: server._choose(offered),  # type: ignore[arg-type, return-value]
            max_size=server.max_message,
            logger=quiet_logger,
        )
        protocol.receive_data(head)
        events = protocol.events_received()
        if not events:
            self._refuse(Response(400, {}, b"not a WebSocket upgrade\n").serialize())
            return
        answer = protocol.accept(events[0])  # type: ignore[arg-type]  # the first event is the request
        protocol.send_response(answer)
        written = b"".join(protocol.data_to_send())
        if protocol.state is not State.OPEN:
            self._refuse(written)
            return
        self._release()
        connection = Connection(
            self._loop,
            self._channel,
            protocol,
            path=request.path,
            query=request.query,
            headers=request.headers,
            on_gone=server._connections.discard,
            splitter=Splitter(server.max_message),
        )
        server._connections.add(connection)
        self._channel.write(written)
        server._opened(connection)
        connection.start(rest, [])
