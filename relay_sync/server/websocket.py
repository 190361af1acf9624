"""A WebSocket server: the listening sockets, the HTTP handshake, and the accepted connections.

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

from ..hosts.listening import listen, shown_address
from ..hosts.names import is_loopback
from ..threads import logs
from ..threads.process import watch
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
from .later import Later
from .library import ServerProtocol, State, quiet_logger
from .loop import Loop, LoopStopped, Timer
from .splitting import Splitter

__all__ = ["CloseInfo", "Connection", "Headers", "HttpRequest", "Response", "WebSocketServer"]

_log = logs.get("relay_sync.server").later
MAX_BUFFER = 4 * 2**20  # maximum number of unsent bytes per peer
MAX_OPENING = 512  # maximum number of sockets without a complete request; the oldest are dropped first
LINGER = 2.0  # seconds to keep a refused connection open so that the peer can read the response
SLICE = 256 * 1024  # maximum number of bytes of a long response to buffer at once
STALLED = 30.0  # seconds that a peer may take to read one slice
SLOWEST_BODY = 2**20  # bytes per second; a peer that sends a long body gets this much more time
NO_ROOM = 1013  # close code for a connection that is closed to make room for another
ACCEPT_PAUSE = 0.25  # seconds to wait when the process has no file descriptor left
# OpenSSL errors that indicate another protocol.
_NOT_TLS = ("HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER")


class WebSocketServer:
    """A WebSocket server that starts listening when created. The loop must be running.

    :param host: host to listen on. If the host has several addresses, the server listens on all of them; see
        ``listen``.
    :param port: the port to listen on; 0 chooses a free port, and a range stands for its first free port.
    :param on_bound: called with the port before the first connection is accepted, on the constructing thread.
    :param ssl_context: TLS context for ``wss://``. The TLS handshake runs in the loop.
    :param on_request: called with each request before the upgrade. If it returns a :class:`Response`, such as a refusal
        or a health check reply, the server sends that response. If it returns ``None``, the server accepts an upgrade,
        answers any other GET with 426, and answers any other method with 405. A :class:`Later` promises a response.
    :param on_open: called with each new connection; it sets the connection's ``on_message`` and ``on_close``.
    :param max_message: maximum message size, in bytes, or a function that returns it for a request. A larger message is not
        buffered, and its connection closes with code 1009.
    :param max_connections: maximum number of connections; ``None`` means no limit. At the limit, the server closes the
        oldest unproven connection (see :meth:`Connection.prove`) with code 1013. If all connections are proven, it
        calls ``on_request`` and answers the upgrade with 503. The server also closes an unproven connection when the
        process runs out of file descriptors.
    :param open_timeout: maximum time from accepting the socket to completing the upgrade, in seconds.
    :param on_refused: called for each peer that the server itself refuses or drops, with the peer's address, a short
        name for the problem, and a sentence that describes it. It is not called for responses from ``on_request``.
    :param subprotocols: supported subprotocols. Any others that a client offers are ignored.
    :param max_buffer: maximum number of unsent bytes; a peer that exceeds it is dropped as too slow.
    :param max_body: maximum request body size, in bytes. If it is 0, bodies are neither read nor passed to
        ``on_request``. Otherwise, ``on_request`` is called once the body is complete, and larger bodies are refused. A
        function is called with each request's head. It returns the maximum, or a response that refuses the request
        before its body is read.
    :raises OSError: the address is already in use or not available.
    :raises LoopStopped: the loop is not running.
    """

    def __init__(
        self,
        loop: Loop,
        *,
        host: str = "127.0.0.1",
        port: int | range = 0,
        on_bound: Callable[[int], object] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        on_request: Callable[[HttpRequest], Response | Later | None],
        on_open: Callable[[Connection], object],
        max_message: int | Callable[[HttpRequest], int] = 2**20,
        max_connections: int | None = None,
        open_timeout: float = 10.0,
        on_refused: Callable[[str, str, str], object] | None = None,
        subprotocols: Sequence[str] = (),
        max_buffer: int = MAX_BUFFER,
        max_body: int | Callable[[HttpRequest], int | Response] = 0,
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
        # Sockets without a complete request and the time each was accepted, oldest first.
        self._opening: dict[_Opening, float] = {}
        # Sockets that receive a response instead of an upgrade, oldest first.
        self._answering: dict[_Opening, None] = {}
        # Sockets whose response has been promised.
        self._promised: set[_Opening] = set()
        self._connections: set[Connection] = set()
        # Unproven connections and the time each was accepted, oldest first.
        self._unproven: dict[Connection, float] = {}
        self._closed = False
        self._listeners: list[_Listener] = []
        watch(self)  # before there are sockets that a forked child must close
        self._listeners += [_Listener(self, sock) for sock in listen(host, port)]
        try:
            #: Addresses that the server listens on, each as ``address:port``.
            self.addresses: tuple[str, ...] = tuple(shown_address(each.sock.getsockname()) for each in self._listeners)
            self.port: int = self._listeners[0].sock.getsockname()[1]
            if on_bound is not None:
                on_bound(self.port)
            loop.call(self._listen, timeout=5.0)
        except BaseException:  # including KeyboardInterrupt
            self._withdraw()
            raise

    def __repr__(self) -> str:
        return f"<WebSocketServer port {self.port}, {len(self._connections)} connections>"

    @property
    def connections(self) -> int:
        """Number of open connections, including closing ones."""
        return len(self._connections)

    def close(self, code: int = 1001, reason: str = "going away", timeout: float = 5.0) -> None:
        """Stop listening and close every connection with ``code``. This method is idempotent.

        It returns before the connections have finished closing.

        :raises TimeoutError: the loop did not start closing the connections within ``timeout`` seconds.
        """
        try:
            self._loop.call(self._close, code, reason, timeout=timeout)
        except LoopStopped:
            pass

    def stop_listening(self) -> None:
        """Stop listening and free the port. Open connections stay open."""
        try:
            self._loop.call(self._stop_listening, timeout=5.0)
        except LoopStopped:
            pass

    def after_fork(self) -> None:
        """In a forked child, close the listening sockets, even before the loop watches them."""
        self._closed = True
        for listener in self._listeners:
            listener.sock.close()

    def at_exit(self, timeout: float) -> None:
        """Do nothing: the owner of the loop stops it.

        :param timeout: not used.
        """

    def loop_stopping(self) -> None:
        """Stop listening and drop unfinished requests. The loop closes the connections itself."""
        self._stop_listening()
        self._drop_openings()

    def _withdraw(self) -> None:
        """Undo an incomplete start. If the loop is already listening, it closes the sockets."""
        try:
            self._loop.call(self._stop_listening, timeout=5.0)
        except (LoopStopped, TimeoutError):
            self._closed = True
            for each in self._listeners:
                each.sock.close()

    # -- on the loop thread --------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        if self._closed:  # closed before the loop ran this
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
        for opening in (*self._opening, *self._answering, *self._promised):
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
            except (OSError, ValueError) as error:  # the peer disconnected right after accept()
                sock.close()
                _log.debug("a connection closed before it was established: %s", error)

    def _free_descriptor(self, why: str) -> bool:
        """Free a file descriptor by closing a connection, and return whether a connection was closed.

        The server prefers a peer that already has its response, then the oldest unproven peer, upgraded or not, and
        finally a peer that is still receiving its response.
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
        """Drop the oldest socket that has not sent a complete request."""
        oldest = next(iter(self._opening))
        self._refused(
            oldest.remote,
            "crowd",
            f"too many connections without a complete request ({why}); dropping the oldest",
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

    def _limit(self, request: HttpRequest) -> int | Response:
        """Return the maximum length of a request's body, or the response that refuses the request."""
        if not callable(self.max_body):
            return self.max_body
        try:
            return self.max_body(request)
        except Exception:
            self._loop.fault("max_body of a server failed")
            return Response(500, {}, b"internal server error\n")

    def _longest(self, request: HttpRequest) -> int:
        """Return the maximum size of a message on the WebSocket that a request opens."""
        return self.max_message(request) if callable(self.max_message) else self.max_message

    def _answer(self, request: HttpRequest) -> Response | Later | None:
        """Return the response to send instead of upgrading, a promise of it, or ``None`` to upgrade."""
        try:
            response = self.on_request(request)
        except Exception:
            self._loop.fault("on_request of a server failed")
            return Response(500, {}, b"internal server error\n")
        if response is not None:
            return response
        if request.method != "GET":
            if request.is_upgrade:  # other requests have been handled by on_request
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
        """Close the oldest unproven connection. If there is none, refuse the new one."""
        oldest = next(iter(self._unproven), None)
        if oldest is not None:
            self._dismiss(oldest, f"{self.connections} connections are open")
            return None
        self._refused(request.remote, "full", f"the limit of {self.connections} connections has been reached")
        return Response(503, {"Retry-After": "5"}, b"too many connections\n")

    def _dismiss(self, connection: Connection, why: str) -> None:
        self._refused(
            connection.remote,
            "unproven",
            f"{why}; closing the oldest connection that has not identified itself",
        )
        connection.dismiss(NO_ROOM, "too many connections, and this one has not identified itself")

    def _bad(self, remote: str, error: BadRequest) -> Response:
        """Report an invalid request and return the response to it."""
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
            connection.close(1011, "internal server error")

    def _gone(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._unproven.pop(connection, None)

    def _proven(self, connection: Connection) -> None:
        self._unproven.pop(connection, None)

    def _choose(self, offered: Sequence[str]) -> str | None:
        """Return the first supported subprotocol that the peer offers."""
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
    """An accepted socket before the upgrade or refusal is complete."""

    __slots__ = (
        "_accepted",
        "_answer",
        "_channel",
        "_end",
        "_head",
        "_loop",
        "_on_loopback",
        "_promise",
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
        self._head = bytearray()  # the request head, followed by the body
        self._end = self._wanted = 0  # length of the head; length of the body
        self._request: HttpRequest | None = None
        self._answer = memoryview(b"")
        self._refused = False
        self._promise: Later | None = None
        self._on_loopback = on_loopback
        self._channel = Channel(loop, sock, max_buffer=server.max_buffer, ssl_context=context)
        self._channel.on_data = self._on_data
        self._channel.on_end = self._on_end
        self._channel.on_overflow = self.drop
        self._timer: Timer = loop.call_later(server.open_timeout, self._too_late)

    @property
    def remote(self) -> str:
        """The peer's address, as ``address:port``."""
        return self._channel.remote

    @property
    def answered(self) -> bool:
        """Whether the whole response has been sent and the socket is open only so that the peer can read it."""
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
        self._server._promised.discard(self)
        if self._promise is not None:
            self._promise.abandon()

    def _too_late(self) -> None:
        if self._head:  # browsers open sockets in advance; those are not worth reporting
            self._server._refused(self.remote, "slow", f"no complete request within {self._server.open_timeout:g} s")
        self.drop()

    def _on_end(self, error: Exception | None) -> None:
        if self._promise is not None and error is None:
            self._promise.gone = True  # the peer may still read: it has only ended its side
            return
        if isinstance(error, ssl.SSLError):
            reason = error.reason or "failed"
            _log.debug("TLS handshake with %s failed: %s", self.remote, reason)
            if reason in _NOT_TLS:
                self._server._refused(self.remote, "no TLS", "the peer does not use TLS, but this port requires it")
            elif "EOF" not in reason:  # EOF is usually a port check
                self._server._refused(self.remote, "TLS handshake", _why_no_tls(reason))
        self.drop()

    def _on_data(self, data: bytes) -> None:
        if self._refused or self._promise is not None:
            # Discard the data: closing with unread data would reset the connection, and the peer would lose the
            # response.
            return
        self._head += data
        try:
            request = self._request or self._read_head()
        except BadRequest as error:
            self._refuse(self._server._bad(self.remote, error).serialize())
            return
        if request is None or len(self._head) < self._end + self._wanted:
            return
        with memoryview(self._head) as whole:
            rest = bytes(whole[self._end :])
        if self._wanted:
            request = evolve(request, body=rest[: self._wanted])
        response = self._server._answer(request)
        if response is None:
            self._upgrade(rest, request)
            return
        if isinstance(response, Later):
            self._wait_for(response)
        else:
            self._respond(response)

    def _wait_for(self, promise: Later) -> None:
        """Send the response once it is provided. Until then, the socket is watched only for the end of the peer."""
        self._timer.cancel()
        self._server._opening.pop(self, None)
        self._server._promised.add(self)
        self._head.clear()
        self._promise = promise
        promise.attach(self._loop, self._respond)

    def _respond(self, response: Response) -> None:
        """Send the response to the request, and close the connection."""
        self._promise = None
        self._server._promised.discard(self)
        self._refuse(response.serialize(head_only=self._request is not None and self._request.method == "HEAD"))

    def _read_head(self) -> HttpRequest | None:
        """Return the request, or ``None`` if its head is incomplete or the request has been refused by its head."""
        end = head_end(self._head)
        if end < 0:
            return None
        request = parse_request(bytes(self._head[:end]), self.remote, on_loopback=self._on_loopback)
        self._request, self._end = request, end
        limit = self._server._limit(request)
        if isinstance(limit, Response):
            self._respond(limit)
            return None
        if limit:
            self._wanted = body_length(request, limit)
            self._grant(self._wanted)
        if len(self._head) < end + self._wanted and request.headers.get("expect", "").lower() == "100-continue":
            self._channel.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return request

    def _grant(self, length: int) -> None:
        """Give the peer more time for a long body."""
        if length > SLOWEST_BODY:
            self._timer.cancel()
            more = self._server.open_timeout + length / SLOWEST_BODY
            self._timer = self._loop.call_later(more, self._too_late)

    def _refuse(self, answer: bytes) -> None:
        """Send a response and close the connection.

        A long response is sent in slices, so that the timeout applies to each slice and does not affect slow readers.
        """
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
        # If much of the data is still buffered, on_drain calls this method again once the peer has read it.
        waiting = self._answer or self._channel.high
        self._timer.cancel()
        self._timer = self._loop.call_later(STALLED if waiting else LINGER, self.drop)
        if not self._answer:
            self._channel.finish()

    def _upgrade(self, rest: bytes, request: HttpRequest) -> None:
        server = self._server
        longest = server._longest(request)
        protocol = ServerProtocol(
            select_subprotocol=lambda _, offered: server._choose(offered),  # type: ignore[arg-type, return-value]
            max_size=longest,
            logger=quiet_logger,
        )
        protocol.receive_data(upgrade_head(request, server.subprotocols))
        events = protocol.events_received()
        answer = protocol.accept(events[0])  # type: ignore[arg-type]  # the first event is the request
        protocol.send_response(answer)
        written = b"".join(protocol.data_to_send())
        if protocol.state is not State.OPEN:
            server._refused(self.remote, "upgrade", f"invalid WebSocket upgrade: {protocol.handshake_exc}")
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
            splitter=Splitter(longest),
        )
        server._connections.add(connection)
        server._unproven[connection] = self._accepted
        self._channel.write(written)
        server._opened(connection)
        connection.start(rest, [])


def _why_no_tls(reason: str) -> str:
    """Return a description of a failed TLS handshake, with the most likely fix."""
    words = f"the TLS handshake failed ({reason.lower().replace('_', ' ')})"
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        return (
            f"{words}: the peer does not accept this server's certificate; it must be issued by a public authority for the"
            " host name of public_url, and its file must contain the whole chain"
        )
    return words
