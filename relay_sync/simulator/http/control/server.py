"""The control interface: a simulator told over HTTP what to let happen, for tests in any language.

Small on purpose: JSON in and out, one bearer token, a thread per request, since many of them wait for something. The
paths are in ``docs/simulate.md``; each stands for a method of :class:`~relay_sync.simulator.Simulator` or
:class:`~relay_sync.simulator.Phone` and takes its parameters by their names.
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
from ....hosts.names import is_loopback
from ....hosts.origins import refusal
from ....protocol.depth import is_deeper
from ....server.listening import explained, shown_address
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
_LOOK: Final = 0.1  # seconds between two looks at whether to stop
SLOWEST: Final = 30.0  # seconds for a request to come in, and for its answer to be taken
LINGER: Final = 5.0  # seconds for the rest of a request that was answered before all of it was there


class ControlServer:
    """Serves the control interface of a simulator that runs.

    :param host: address to listen on; whoever reaches it and has the token can have the simulator call and send. :param port:
        0 takes a free one. :param token: what a request must carry as ``Authorization: Bearer ...``; a new one if left out.
    :raises OSError: the address cannot be had.
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
        """Stop listening, and drop what is no whole request yet. Requests that wait end with their own time. Idempotent."""
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
        self._strangers: dict[
            socket.socket, None
        ] = {}  # those without a whole request and a token so far, the oldest first
        self._lock = threading.Lock()  # guards _strangers
        self._troubles = RateLimitedLog(_log)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        try:
            # Not HTTPServer's, which would also ask the resolver for the host's full name: that may take long.
            TCPServer.server_bind(self)
        except OSError as error:
            raise explained(error, shown_address(self.server_address)) from error
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        # More than there is room for wait in the system's queue, but closing does not wait for them.
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
        """Drop the oldest connection without a whole, authorized request; those with one are left to finish."""
        if not self.drop_oldest_stranger():
            return
        self._troubles.warning(
            "room",
            "%d connections to the control interface are open: the oldest without a complete, authorized request is dropped",
            MOST_AT_ONCE,
        )

    def drop_oldest_stranger(self) -> bool:
        """Close a connection without a whole, authorized request. Whether there was one."""
        with self._lock:
            oldest = next(iter(self._strangers), None)
            if oldest is None:
                return False
            del self._strangers[oldest]
            with suppress(OSError):  # it has just left
                oldest.shutdown(socket.SHUT_RDWR)
            return True

    def has_arrived(self, request: socket.socket) -> bool:
        """Keep a connection, now that its token is valid and its request is whole. ``False``: it was dropped already."""
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
    _unread: int | None = None  # bytes of the request still to come; None: nobody knows

    def handle(self) -> None:
        super().handle()
        with suppress(OSError, ValueError):  # gone, or dropped meanwhile
            self._read_off()

    def _read_off(self) -> None:
        """Read and drop the rest of the request: closed with unread bytes, the connection is reset, and our answer is lost."""
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
            status, body = 503, _error("the simulator is being closed")
        except OSError as problem:  # a WAV that is not there
            status, body = 400, _error(f"{problem.filename or 'a file'}: {problem.strerror or problem}")
        except Exception:
            _log.exception("the control interface failed on %s", self.command)
            status, body = 500, _error("the simulator failed; its log says why")
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
            raise Refused(401, "give the control token: Authorization: Bearer <token>")
        # Until all of it is there, a request with a token is dropped for others like one without.
        body = self._body(length)
        if not self.server.has_arrived(self.connection):
            raise Refused(408, "the request took too long to arrive")
        try:
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query, keep_blank_values=True, max_num_fields=20))
        except ValueError:
            raise Refused(400, "the URL cannot be read") from None
        return self.server.desk.work(self.command, parts.path, query, body)

    def _length(self) -> int | None:
        """The length of the body; ``None`` where the request does not say it."""
        length = self.headers.get("Content-Length", "0")
        known = "Transfer-Encoding" not in self.headers and re.fullmatch("[0-9]{1,15}", length)
        return int(length) if known else None

    def _body(self, length: int | None) -> Any:
        if length is None:
            raise Refused(411, "say the length of the body")
        if length > MOST_BODY:
            raise Refused(413, f"more than {MOST_BODY} bytes")
        try:
            body = self.rfile.read(length)
        except OSError:  # too slow, or gone
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
            raise Refused(400, "the body is not JSON") from None

    def _answer(self, status: int, body: Any) -> None:
        told = b"" if status == 204 else json.dumps(body).encode()
        self.send_response(status)
        if told:
            self.send_header("Content-Type", "application/json")
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, format: str, *args: Any) -> None:
        _log.debug("control: " + format, *args)


def _error(message: str) -> dict[str, Any]:
    return {"error": message}
