"""HTTP server for the control API, which lets tests in any language control a simulator.

The design is deliberately simple. Bodies are JSON, clients authenticate with one bearer token, and each connection is served by
its own thread, because many requests block. The paths are documented in ``docs/simulate.md``. Each path corresponds to a method
of :class:`relay_sync.simulator.Simulator` or :class:`relay_sync.simulator.Phone` and accepts its parameters by name.
"""

from __future__ import annotations

import hmac
import itertools
import json
import re
import secrets
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from ....errors import CallEnded, CommandRefused, InvalidParameter, SimulatorClosed, WaitTimeout
from ....hosts.listening import explained, shown_address
from ....hosts.names import is_loopback
from ....hosts.origins import refusal
from ....protocol.depth import is_deeper
from ....text.json_text import read_strictly
from ....threads.logs import get as log_of
from ....threads.rate_limited_log import RateLimitedLog
from ...core.noticeboard import seconds_to_wait
from ...server import Simulator
from .routes import Desk, Refused, Reply

__all__ = ["ControlServer"]

_log = log_of("relay_sync.simulator").later
_numbers = itertools.count(1)

MOST_BODY: Final = 32 * 2**20
DEEPEST: Final = 64
MOST_AT_ONCE: Final = 64
_PIECE: Final = 65536
_LOOK: Final = 0.1  # interval between checks for shutdown, in seconds
SLOWEST: Final = 30.0  # socket timeout while receiving a request or sending its response, in seconds
LINGER: Final = 5.0  # maximum time to read the rest of a request after an early response, in seconds


class ControlServer:
    """HTTP server that controls a running simulator.

    :param host: address to listen on. Any client that can connect to it and has the token can control the simulator.
    :param port: port to listen on; 0 selects a free port.
    :param token: bearer token that clients must send; ``None`` generates one.
    :raises OSError: the address is already in use or not available.
    """

    def __init__(
        self, simulator: Simulator, *, host: str = "127.0.0.1", port: int = 0, token: str | None = None
    ) -> None:
        self.token: str = token or secrets.token_urlsafe(24)
        self._server = _Server((host, port), simulator, self.token)
        self.port: int = self._server.server_address[1]
        self.url: str = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
        number = next(_numbers)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_LOOK,), name=f"relay-sim-control-{number}", daemon=True
        )
        self._thread.start()

    def __repr__(self) -> str:
        return f"<ControlServer {self.url}>"

    def close(self, timeout: float = 5.0) -> None:
        """Stop listening, and close connections that have not sent a complete request. Idempotent.

        Requests that are being handled continue until they finish or time out.

        :param timeout: maximum time to wait for the listening thread, in seconds.
        """
        timeout = seconds_to_wait(timeout)
        self._server.closing = True
        self._server.shutdown()
        self._server.server_close()
        while self._server.drop_oldest_stranger():
            pass
        self._thread.join(max(0.0, timeout))

    def __enter__(self) -> ControlServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], simulator: Simulator, token: str) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.desk = Desk(simulator)
        self.token = token
        self.on_loopback = is_loopback(address[0])
        self.closing = False
        self._room = threading.BoundedSemaphore(MOST_AT_ONCE)
        # Connections that have not sent a complete, authorized request, oldest first.
        self._strangers: dict[socket.socket, None] = {}
        self._lock = threading.Lock()  # guards _strangers
        self._troubles = RateLimitedLog(_log)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        try:
            # Skip HTTPServer.server_bind(), which can block while it looks up the host's fully qualified domain name.
            TCPServer.server_bind(self)
        except OSError as error:
            raise explained(error, shown_address(self.server_address)) from error
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        # When the limit is reached, stop accepting until a connection closes. Stop waiting if the server is closing.
        if not self._room.acquire(blocking=False):
            self._make_room()
            while not self._room.acquire(timeout=_LOOK):
                if self.closing:
                    self.shutdown_request(request)
                    return
                self._make_room()
        with self._lock:
            self._strangers[request] = None
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._leave(request)
            raise

    def _make_room(self) -> None:
        """Close the oldest connection that has not sent a complete, authorized request, if there is one, and log a warning."""
        if not self.drop_oldest_stranger():
            return
        self._troubles.warning(
            "room",
            "%d connections to the control interface are open: dropping the oldest without a complete, authorized request",
            MOST_AT_ONCE,
        )

    def drop_oldest_stranger(self) -> bool:
        """Close the oldest connection that has not sent a complete, authorized request. Return whether one was closed."""
        with self._lock:
            oldest = next(iter(self._strangers), None)
            if oldest is None:
                return False
            del self._strangers[oldest]
            with suppress(OSError):  # already closed
                oldest.shutdown(socket.SHUT_RDWR)
            return True

    def has_arrived(self, request: socket.socket) -> bool:
        """Record that a connection has sent a complete, authorized request. Return ``False`` if the connection was already
        dropped.
        """
        with self._lock:
            return self._strangers.pop(request, self) is not self

    def _leave(self, request: socket.socket) -> None:
        with self._lock:
            self._strangers.pop(request, None)
        self._room.release()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        threading.current_thread().name = "relay-sim-control-request"
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._leave(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        _log.debug("a control request ended early", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = SLOWEST
    server_version = "relay-sync"
    sys_version = ""
    _unread: int | None = None  # remaining bytes of the request body; None if unknown

    def handle(self) -> None:
        super().handle()
        with suppress(OSError, ValueError):  # the connection was closed or dropped
            self._read_off()

    def _read_off(self) -> None:
        """Read and discard the rest of the request.

        Closing a socket with unread data resets the connection, and the client may then lose the response.
        """
        self.wfile.flush()
        if self._unread != 0:
            self.connection.shutdown(socket.SHUT_WR)
        end = time.monotonic() + LINGER
        while self._unread != 0 and (left := end - time.monotonic()) > 0:
            self.connection.settimeout(left)
            dropped = len(self.rfile.read1(_PIECE))
            if not dropped:
                return
            if self._unread is not None:
                self._unread = max(0, self._unread - dropped)

    def _serve(self) -> None:
        try:
            status, body = self._work()
        except Refused as refused:
            status, body = refused.status, _error(str(refused))
        except InvalidParameter as wrong:
            status, body = 400, {**_error(wrong.message), "parameter": wrong.parameter}
        except (CallEnded, CommandRefused) as conflict:
            status, body = 409, _error(conflict.message)
        except WaitTimeout as late:
            status, body = 504, _error(late.message)
        except (SimulatorClosed, TimeoutError):
            status, body = 503, _error("the simulator is closing")
        except OSError as problem:  # such as a missing WAV file
            status, body = 400, _error(f"{problem.filename or 'a file'}: {problem.strerror or problem}")
        except Exception:
            _log.exception("the control interface failed to handle a %s request", self.command)
            status, body = 500, _error("internal error; see the simulator's log")
        self._answer(status, body)

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = _serve

    def _work(self) -> Reply:
        length = self._length()
        self._unread = length
        given = self.headers.get("Authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, f"Bearer {self.server.token}".encode()):
            page = refusal(self.headers.get("Origin"), self.headers.get("Host"), on_loopback=self.server.on_loopback)
            if page is not None:
                raise Refused(403, page.partition(";")[0])
            raise Refused(401, "the control token is missing or invalid; send Authorization: Bearer <token>")
        # Even with a valid token, the connection may be dropped until the request is complete.
        body = self._body(length)
        if not self.server.has_arrived(self.connection):
            raise Refused(408, "the request took too long to arrive")
        try:
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query, keep_blank_values=True, max_num_fields=20))
        except ValueError:
            raise Refused(400, "the URL is invalid") from None
        return self.server.desk.work(self.command, parts.path, query, body)

    def _length(self) -> int | None:
        """Return the length of the request body in bytes, or ``None`` if it is not specified."""
        length = self.headers.get("Content-Length", "0")
        known = "Transfer-Encoding" not in self.headers and re.fullmatch("[0-9]{1,15}", length)
        return int(length) if known else None

    def _body(self, length: int | None) -> Any:
        if length is None:
            raise Refused(411, "Content-Length is required")
        if length > MOST_BODY:
            raise Refused(413, f"the body is larger than {MOST_BODY} bytes")
        try:
            body = self.rfile.read(length)
        except OSError:  # timed out, or closed
            body = b""
        self._unread = length - len(body)
        if len(body) < length:
            raise Refused(408, "the body ended before its Content-Length, or took too long to arrive")
        if not body:
            return {}
        try:
            if is_deeper(body, DEEPEST):
                raise ValueError
            return read_strictly(body.decode())
        except ValueError:
            raise Refused(400, "the body is not valid JSON") from None

    def _answer(self, status: int, body: Any) -> None:
        content = b"" if status == 204 else json.dumps(body).encode()
        self.send_response(status)
        if content:
            self.send_header("Content-Type", "application/json")
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        _log.debug("control: " + format, *args)


def _error(message: str) -> dict[str, Any]:
    return {"error": message}
