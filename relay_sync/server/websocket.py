"""A WebSocket server: a listening socket, the HTTP around the upgrade, and the connections it accepts.

Callbacks run on the loop thread and must not block.
"""

from __future__ import annotations

import errno
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Sequence

from attrs import evolve

from ..hosts.names import is_loopback
from ..threads import logs
from .channel import Channel, tune
from .connection import CloseInfo, Connection
from .http import (
    BadRequest,
    Headers,
    HttpRequest,
    Response,
    body_length,
    check_upgrade,
    head_end,
    parse_request,
    upgrade_head,
)
from .library import ServerProtocol, State, quiet_logger
from .listening import listen, shown_address
from .loop import Loop, LoopStopped, Timer
from .splitting import Splitter

__all__ = ["CloseInfo", "Connection", "Headers", "HttpRequest", "Response", "WebSocketServer"]

_log = logs.get("relay_sync.server").later
MAX_BUFFER = 4 * 2**20  # bytes a peer may leave unread
MAX_OPENING = 512  # sockets that have not finished their request; the oldest go when more come
LINGER = 2.0  # seconds a refused peer gets to read why
SLICE = 256 * 1024  # bytes of a long answer that wait for the peer at once
STALLED = 30.0  # seconds a peer may take for a slice
NO_ROOM = 1013  # the close code of a connection that has to make room for another
ACCEPT_PAUSE = 0.25  # seconds, when the process has no file descriptor left
_NOT_TLS = ("HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER")  # what OpenSSL says of other protocols


class WebSocketServer:
    """Listens on *host*:*port* (0: any free port) from its creation on; the loop must be running.

    :param host: all of its addresses are used, see :func:`~relay_sync.server.listening.listen`.
    :param ssl_context: serve ``wss://``; the handshake happens in the loop.
    :param on_request: receives each request before the upgrade. If it returns a :class:`Response` (a refusal, or the reply to
        a health check), that is sent. If it returns ``None``, an upgrade is accepted, any other GET is answered 426, and any
        other method 405.
    :param on_open: receives each new connection, and sets its ``on_message`` and ``on_close``.
    :param max_message: bytes; a longer message closes its connection (1009) before it is buffered.
    :param max_connections: at this limit the oldest connection that has not proven itself
        (:meth:`~relay_sync.server.Connection.prove`) is closed with 1013. If all have, the upgrade is answered 503, after
        ``on_request`` was called. ``None``: no limit. An unproven connection is also closed when the process has no file
        descriptor left for a new one.
    :param open_timeout: seconds from accepting the socket to the end of the upgrade.
    :param on_refused: called for each peer that the server itself refuses or drops, with its address, the kind of problem in
        two words, and a sentence. Not called for responses of ``on_request``.
    :param subprotocols: subprotocols that are agreed to if offered; other offers are ignored.
    :param max_buffer: unsent bytes after which a peer is dropped as too slow.
    :param max_body: bytes; 0 accepts no bodies: they are not read, and ``on_request`` does not receive them. Otherwise it is
        called when the body is complete, and a longer body is refused.
    :raises OSError: the address is already in use or not available.
    :raises LoopStopped: the loop is not running.
    """

    def __init__(
        self,
        loop: Loop,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        on_request: Callable[[HttpRequest], Response | None],
        on_open: Callable[[Connection], object],
        max_message: int = 2**20,
        max_connections: int | None = None,
        open_timeout: float = 10.0,
        on_refused: Callable[[str, str, str], object] | None = None,
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
        self.on_refused = on_refused
        self.subprotocols = subprotocols
        self.max_buffer = max_buffer
        self.max_body = max_body
        # Without a complete request: when they were accepted, the oldest first.
        self._opening: dict[_Opening, float] = {}
        self._answering: dict[_Opening, None] = {}  # that are sent an answer instead of an upgrade, the oldest first
        self._connections: set[Connection] = set()
        self._unproven: dict[Connection, float] = {}  # the same
        self._closed = False
        self._listeners = [_Listener(self, sock) for sock in listen(host, port)]
        try:
            #: Where it listens, each as ``address:port``.
            self.addresses: tuple[str, ...] = tuple(shown_address(each.sock.getsockname()) for each in self._listeners)
            self.port: int = self._listeners[0].sock.getsockname()[1]
            loop.call(self._listen, timeout=5.0)
        except BaseException:  # Ctrl-C as well
            self._withdraw()
            raise

    def __repr__(self) -> str:
        return f"<WebSocketServer port {self.port}, {len(self._connections)} connections>"

    @property
    def connections(self) -> int:
        """Number of open connections, including closing ones."""
        return len(self._connections)

    def close(self, code: int = 1001, reason: str = "going away", timeout: float = 5.0) -> None:
        """Stop listening and close every connection with *code*. Idempotent; the connections close soon after.

        :raises TimeoutError: the loop did not run this within *timeout* seconds.
        """
        try:
            self._loop.call(self._close, code, reason, timeout=timeout)
        except LoopStopped:
            pass

    def stop_listening(self) -> None:
        """Free the port; open connections stay open."""
        try:
            self._loop.call(self._stop_listening, timeout=5.0)
        except LoopStopped:
            pass

    def loop_stopping(self) -> None:
        """Part of :class:`~relay_sync.server.loop.LoopUser`: the loop notifies the connections directly."""
        self._stop_listening()
        self._drop_openings()

    def _withdraw(self) -> None:
        """Undo an incomplete start. The loop may already be listening: it then closes the sockets."""
        try:
            self._loop.call(self._stop_listening, timeout=5.0)
        except (LoopStopped, TimeoutError):
            self._closed = True
            for each in self._listeners:
                each.sock.close()

    # -- on the loop thread --------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        if self._closed:  # closed in the meantime
            return
        self._loop.host(self)
        self._watch(selectors.EVENT_READ)

    def _watch(self, events: int) -> None:
        for listener in self._listeners:
            self._loop.watch(listener.sock, events, listener.ready)

    def _stop_listening(self) -> None:
        if not self._closed:
            self._closed = True
            self._watch(0)
            for listener in self._listeners:
                listener.sock.close()
            self._loop.release(self)

    def _close(self, code: int, reason: str) -> None:
        self._stop_listening()
        self._drop_openings()
        for connection in list(self._connections):
            connection.close(code, reason)

    def _drop_openings(self) -> None:
        for opening in (*self._opening, *self._answering):
            opening.drop()

    def _accept(self, listener: _Listener) -> None:
        for _ in range(64):
            if self._closed:
                return
            try:
                sock, _address = listener.sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE) and self._free_descriptor(str(error)):
                    continue
                self._pause_accepting(error)
                return
            tune(sock)
            if len(self._opening) >= MAX_OPENING:
                self._drop_oldest(f"more than {MAX_OPENING} are open")
            try:
                _Opening(self, self._loop, sock, self._ssl_context, on_loopback=listener.on_loopback).begin()
            except (OSError, ValueError) as error:  # gone before it began
                sock.close()
                _log.debug("a connection closed before it was established: %s", error)

    def _free_descriptor(self, why: str) -> bool:
        """Close a connection: a peer that already has its response, else the oldest unproven peer, upgraded or not, else a peer
        that is still being answered.

        :return: whether there was one.
        """
        answered = next((each for each in self._answering if each.answered), None)
        opening, unproven = next(iter(self._opening.items()), None), next(iter(self._unproven.items()), None)
        if answered is not None:
            answered.drop()
        elif unproven is not None and (opening is None or unproven[1] <= opening[1]):
            self._dismiss(unproven[0], why)
        elif opening is not None:
            self._drop_oldest(why)
        elif self._answering:
            next(iter(self._answering)).drop()
        else:
            return False
        return True

    def _drop_oldest(self, why: str) -> None:
        """Make room: of the sockets without a complete request the oldest goes."""
        oldest = next(iter(self._opening))
        self._refused(
            oldest.remote,
            "crowd",
            f"too many connections without a complete request ({why}): the oldest of them are dropped",
        )
        oldest.drop()

    def _pause_accepting(self, error: OSError) -> None:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            self._refused(
                f"all peers on port {self.port}", "files", f"{error} (raise the limit on open files of this process)"
            )
        else:
            self._refused(f"all peers on port {self.port}", "accept", str(error))
        self._watch(0)
        self._loop.call_later(ACCEPT_PAUSE, self._accept_again)

    def _accept_again(self) -> None:
        if not self._closed:
            self._watch(selectors.EVENT_READ)

    def _answer(self, request: HttpRequest) -> Response | None:
        """What to send instead of upgrading, or ``None``."""
        try:
            response = self.on_request(request)
        except Exception:
            self._loop.fault("on_request of a server failed")
            return Response(500, {}, b"the server failed to look at this request\n")
        if response is not None:
            return response
        if request.method != "GET":
            if request.is_upgrade:  # else it is a mere request, and who looks at requests has seen it
                self._refused(request.remote, "method", "an upgrade to WebSocket needs the method GET")
            return Response(405, {"Allow": "GET"}, b"only GET, with an upgrade to WebSocket\n")
        if not request.is_upgrade:
            return Response(
                426, {"Upgrade": "websocket", "Connection": "Upgrade, close"}, b"connect with a WebSocket\n"
            )
        try:
            check_upgrade(request)
        except BadRequest as error:
            return self._bad(request.remote, error)
        if self.max_connections is not None and len(self._connections) >= self.max_connections:
            return self._make_place(request)
        return None

    def _make_place(self, request: HttpRequest) -> Response | None:
        """Close the oldest connection that has shown nothing; where all have, refuse the new one."""
        oldest = next(iter(self._unproven), None)
        if oldest is not None:
            self._dismiss(oldest, f"{self.connections} connections are open")
            return None
        self._refused(request.remote, "full", f"{self.connections} connections are open already, as many as allowed")
        return Response(503, {"Retry-After": "5"}, b"too many connections\n")

    def _dismiss(self, connection: Connection, why: str) -> None:
        self._refused(
            connection.remote,
            "unproven",
            f"{why}, and it has shown neither a token nor what it is: it is closed to make room, as the oldest of those",
        )
        connection.dismiss(NO_ROOM, "too many connections, and this one has shown nothing")

    def _bad(self, remote: str, error: BadRequest) -> Response:
        """The answer to what is no proper request, and a word about it."""
        self._refused(remote, error.kind, str(error))
        more = {"Sec-WebSocket-Version": "13"} if error.status == 426 else {}
        return Response(error.status, more, f"{error}\n".encode())

    def _refused(self, remote: str, kind: str, why: str) -> None:
        if self.on_refused is not None:
            self.on_refused(remote, kind, why)

    def _opened(self, connection: Connection) -> None:
        try:
            self.on_open(connection)
        except Exception:
            self._loop.fault("on_open of a server failed")
            connection.close(1011, "the server failed to take this connection")

    def _gone(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._unproven.pop(connection, None)

    def _proven(self, connection: Connection) -> None:
        self._unproven.pop(connection, None)

    def _choose(self, offered: Sequence[str]) -> str | None:
        """The first of our subprotocols that the peer offers."""
        return next((name for name in self.subprotocols if name in offered), None)


class _Listener:
    """A listening socket of a server."""

    __slots__ = ("_server", "on_loopback", "sock")

    def __init__(self, server: WebSocketServer, sock: socket.socket) -> None:
        self._server = server
        self.sock = sock
        self.on_loopback = is_loopback(sock.getsockname()[0])

    def ready(self, _mask: int) -> None:
        self._server._accept(self)


class _Opening:
    """An accepted socket on its way to the upgrade, or to a refusal."""

    __slots__ = (
        "_accepted",
        "_answer",
        "_channel",
        "_end",
        "_head",
        "_loop",
        "_on_loopback",
        "_refused",
        "_request",
        "_server",
        "_timer",
        "_wanted",
    )

    def __init__(
        self,
        server: WebSocketServer,
        loop: Loop,
        sock: socket.socket,
        context: ssl.SSLContext | None,
        *,
        on_loopback: bool,
    ) -> None:
        self._server = server
        self._loop = loop
        self._accepted = time.monotonic()
        self._head = bytearray()  # and the body behind it
        self._end = self._wanted = 0  # where the head ends; the bytes of body behind it
        self._request: HttpRequest | None = None
        self._answer = memoryview(b"")
        self._refused = False
        self._on_loopback = on_loopback
        self._channel = Channel(loop, sock, max_buffer=server.max_buffer, ssl_context=context)
        self._channel.on_data = self._on_data
        self._channel.on_end = self._on_end
        self._channel.on_overflow = self.drop
        self._timer: Timer = loop.call_later(server.open_timeout, self._too_late)

    @property
    def remote(self) -> str:
        """The peer, as ``address:port``."""
        return self._channel.remote

    @property
    def answered(self) -> bool:
        """Whether it has been sent its answer, and is open only so that the peer can read it."""
        return self._refused and not self._answer and not self._channel.buffered

    def begin(self) -> None:
        self._server._opening[self] = self._accepted
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
        self._server._opening.pop(self, None)
        self._server._answering.pop(self, None)

    def _too_late(self) -> None:
        if self._head:  # else it asked for nothing: browsers open sockets in advance
            self._server._refused(
                self.remote, "slow", f"no complete request came within {self._server.open_timeout:g} s"
            )
        self.drop()

    def _on_end(self, error: Exception | None) -> None:
        if isinstance(error, ssl.SSLError):
            reason = error.reason or "failed"
            _log.debug("TLS handshake with %s failed: %s", self.remote, reason)
            if reason in _NOT_TLS:
                self._server._refused(self.remote, "no TLS", "no TLS on a port with TLS")
            elif "EOF" not in reason:  # a port check
                self._server._refused(self.remote, "TLS handshake", _why_no_tls(reason))
        self.drop()

    def _on_data(self, data: bytes) -> None:
        if self._refused:
            return  # read and thrown away, so that closing does not turn into a reset that eats our answer
        self._head += data
        try:
            request = self._request or self._read_head()
        except BadRequest as error:
            self._refuse(self._server._bad(self.remote, error).serialize())
            return
        if request is None or len(self._head) < self._end + self._wanted:
            return
        rest = bytes(self._head[self._end :])
        if self._wanted:
            request = evolve(request, body=rest[: self._wanted])
        response = self._server._answer(request)
        if response is not None:
            self._refuse(response.serialize(head_only=request.method == "HEAD"))
        else:
            self._upgrade(rest, request)

    def _read_head(self) -> HttpRequest | None:
        end = head_end(self._head)
        if end < 0:
            return None
        request = parse_request(bytes(self._head[:end]), self.remote, on_loopback=self._on_loopback)
        if self._server.max_body:
            self._wanted = body_length(request, self._server.max_body)
        if len(self._head) < end + self._wanted and request.headers.get("expect", "").lower() == "100-continue":
            self._channel.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._request, self._end = request, end
        return request

    def _refuse(self, answer: bytes) -> None:
        """Send an answer and end; a long one goes in slices, so that a peer that reads slowly is no peer that hangs."""
        self._refused = True
        answering = self._server._answering
        self._server._opening.pop(self, None)
        if len(answering) >= MAX_OPENING:
            next(iter(answering)).drop()
        answering[self] = None
        self._head.clear()
        self._answer = memoryview(answer)
        self._channel.on_drain = self._send_on
        self._send_on()

    def _send_on(self) -> None:
        part, self._answer = self._answer[:SLICE], self._answer[SLICE:]
        if part:
            self._channel.write(bytes(part))
        # Where much of it waits for the peer, this is called again once the peer has taken that.
        waiting = self._answer or self._channel.high
        self._timer.cancel()
        self._timer = self._loop.call_later(STALLED if waiting else LINGER, self.drop)
        if not self._answer:
            self._channel.finish()

    def _upgrade(self, rest: bytes, request: HttpRequest) -> None:
        server = self._server
        protocol = ServerProtocol(
            select_subprotocol=lambda _, offered: server._choose(offered),  # type: ignore[arg-type, return-value]
            max_size=server.max_message,
            logger=quiet_logger,
        )
        protocol.receive_data(upgrade_head(request, server.subprotocols))
        events = protocol.events_received()
        answer = protocol.accept(events[0])  # type: ignore[arg-type]  # the first event is the request
        protocol.send_response(answer)
        written = b"".join(protocol.data_to_send())
        if protocol.state is not State.OPEN:
            server._refused(self.remote, "upgrade", f"no proper upgrade to WebSocket: {protocol.handshake_exc}")
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
            on_gone=server._gone,
            on_proven=server._proven,
            splitter=Splitter(server.max_message),
        )
        server._connections.add(connection)
        server._unproven[connection] = self._accepted
        self._channel.write(written)
        server._opened(connection)
        connection.start(rest, [])


def _why_no_tls(reason: str) -> str:
    """A failed handshake in words, with what usually mends it."""
    words = f"the TLS handshake failed ({reason.lower().replace('_', ' ')})"
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        return (
            f"{words}: the peer does not accept this server's certificate; it must be issued by a public authority for the"
            " host name of public_url, and its file must hold the whole chain"
        )
    return words
