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
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from ....errors import CallEnded, CommandRefused, InvalidParameter, WaitTimeout
from ....hosts import is_loopback
from ....origins import refusal
from ....protocol.depth import is_deeper
from ....server.listening import explained, shown_address
from ....server.loop import LoopStopped
from ....text.json_text import read_strictly
from ....threads.logs import get as log_of
from ....threads.rate_limited_log import RateLimitedLog
from ...core.noticeboard import seconds_to_wait
from ...people.phone import Phone
from ...server import Simulator
from . import requests as orders
from . import responses as views

__all__ = ["ControlServer"]

_log = log_of("relay_sync.simulator").later
_numbers = itertools.count(1)

MOST_BODY: Final = 32 * 2**20
DEEPEST: Final = 64
MOST_AT_ONCE: Final = 64
MOST_TOLD: Final = 1_000
LONGEST_WAIT: Final = 60.0
PATIENCE: Final = 10.0
_PIECE: Final = 65536
_LOOK: Final = 0.1  # seconds between two looks at whether to stop
SLOWEST: Final = 30.0  # seconds for a request to come in, and for its answer to be taken
LINGER: Final = 5.0  # seconds for the rest of a request that was answered before all of it was there

Reply = tuple[int, Any]
Work = Callable[..., Reply]


class _Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ControlServer:
    """Serves the control interface of a simulator that runs.

    :param host: address to listen on; whoever reaches it and has the token can have the simulator call and send. :param port:
        0 takes a free one. :param token: what a request must carry as ``Authorization: Bearer ...``; a new one if left out.
    :raises OSError: the address cannot be had.
    """

    def __init__(
        self, simulator: Simulator, *, host: str = "127.0.0.1", port: int = 0, token: str | None = None
    ) -> None:
        self.token = token or secrets.token_urlsafe(24)
        self._server = _Server((host, port), simulator, self.token)
        self.port: int = self._server.server_address[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
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
        self.desk = _Desk(simulator)
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
        except _Refused as refused:
            status, body = refused.status, _error(str(refused))
        except InvalidParameter as wrong:
            status, body = 400, {**_error(wrong.message), "parameter": wrong.parameter}
        except (CallEnded, CommandRefused) as conflict:
            status, body = 409, _error(conflict.message)
        except WaitTimeout as late:
            status, body = 504, _error(late.message)
        except (LoopStopped, TimeoutError):
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
                raise _Refused(403, page.partition(";")[0])
            raise _Refused(401, "give the control token: Authorization: Bearer <token>")
        # Until all of it is there, a request with a token is dropped for others like one without.
        body = self._body(length)
        if not self.server.has_arrived(self.connection):
            raise _Refused(408, "the request took too long to arrive")
        try:
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query, keep_blank_values=True, max_num_fields=20))
        except ValueError:
            raise _Refused(400, "the URL cannot be read") from None
        return self.server.desk.work(self.command, parts.path, query, body)

    def _length(self) -> int | None:
        """The length of the body; ``None`` where the request does not say it."""
        length = self.headers.get("Content-Length", "0")
        known = "Transfer-Encoding" not in self.headers and re.fullmatch("[0-9]{1,15}", length)
        return int(length) if known else None

    def _body(self, length: int | None) -> Any:
        if length is None:
            raise _Refused(411, "say the length of the body")
        if length > MOST_BODY:
            raise _Refused(413, f"more than {MOST_BODY} bytes")
        try:
            body = self.rfile.read(length)
        except OSError:  # too slow, or gone
            body = b""
        self._unread = length - len(body)
        if len(body) < length:
            raise _Refused(408, "the body ended before its Content-Length, or took too long to arrive")
        if not body:
            return {}
        try:
            if is_deeper(body, DEEPEST):
                raise ValueError
            return read_strictly(body.decode())
        except ValueError:
            raise _Refused(400, "the body is not JSON") from None

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


class _Desk:
    """Carries requests out. Used from many threads, as the simulator may be."""

    def __init__(self, simulator: Simulator) -> None:
        self._sim = simulator
        self._known: dict[str, Phone] = {}  # those asked for, so that they can be looked at when they are over
        one = "([^/]+)"
        table: list[tuple[str, str, Work]] = [
            ("GET", "/", self._overview),
            ("GET", "/calls", self._calls),
            ("POST", "/calls", self._call),
            ("GET", f"/calls/{one}", self._look),
            ("POST", f"/calls/{one}/(press|say|hang_up|answer|keep_silent)", self._act),
            ("POST", "/phones", self._phone),
            ("POST", "/sounds", self._sound),
            ("POST", "/messages", self._message),
            ("POST", "/tasks", self._task),
            ("GET", "/clients", self._clients),
            ("GET", "/journal", self._journal),
            ("DELETE", "/journal", self._forget),
            ("GET", "/webhooks", self._webhooks),
            ("GET", "/rest", self._rest),
            ("POST", f"/faults/{one}", self._fault),
            ("DELETE", "/faults", self._no_faults),
            ("POST", f"/connections/{one}", self._connection),
            ("POST", "/events", self._event),
        ]
        self._table = [(method, re.compile(path), work) for method, path, work in table]

    def work(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Reply:
        """Do what a request asks for."""
        allowed = []
        for known, pattern, work in self._table:
            match = pattern.fullmatch(path)
            if match is not None and known == method:
                return work(*map(unquote, match.groups()), query=query, body=body)
            if match is not None:
                allowed.append(known)
        if allowed:
            raise _Refused(405, f"here it is {' or '.join(allowed)}")
        raise _Refused(404, "there is no such path; GET / tells of all")

    # -- what there is -------------------------------------------------------------------------------------------------

    def _overview(self, query: Mapping[str, str], body: Any) -> Reply:
        sim = self._sim
        paths = sorted({f"{method} {path.pattern.replace('([^/]+)', '<id>')}" for method, path, _ in self._table})
        return 200, {
            "host": sim.credentials["host"],
            "project": sim.credentials["project"],
            "clients": sim.clients,
            "calls": len(sim.phones),
            "paths": paths,
        }

    def _calls(self, query: Mapping[str, str], body: Any) -> Reply:
        return 200, [views.call(self._remember(phone)) for phone in self._sim.phones]

    def _look(self, call_id: str, query: Mapping[str, str], body: Any) -> Reply:
        phone = self._find(call_id)
        wait, timeout = _only(query, "wait", "heard", "doing", "stream"), _timeout(query)
        if "wait" in wait:
            phone.wait_until(wait["wait"], timeout)
        if "heard" in wait:
            phone.wait_until_heard(wait["heard"], timeout)
        if "doing" in wait:
            phone.wait_until_doing(wait["doing"], timeout)
        if "stream" in wait:
            phone.wait_for_stream(timeout=timeout).wait_until(wait["stream"], timeout)
        return 200, views.call(phone)

    def _clients(self, query: Mapping[str, str], body: Any) -> Reply:
        wanted = _whole(_only(query, "count"), "count", 0)
        if wanted:
            self._sim.wait_for_client(wanted, _timeout(query))
        return 200, {"clients": self._sim.clients}

    def _journal(self, query: Mapping[str, str], body: Any) -> Reply:
        asked = _only(query, "since", "direction", "method", "event_type", "wait")
        since = _whole(asked, "since", 0)
        journal = self._sim.journal
        wanted = {name: asked[name] for name in ("direction", "method", "event_type") if asked.get(name)}

        def fits(number: int, entry: Any) -> bool:
            return number >= since and all(getattr(entry, name) == value for name, value in wanted.items())

        if "wait" in asked:
            journal._wait_for(fits, _timeout(query))
        entries = [(number, entry) for number, entry in journal.numbered() if fits(number, entry)]
        following = max([since, *(number + 1 for number, _ in entries[:MOST_TOLD])])
        return 200, {"entries": [views.entry(*each) for each in entries[:MOST_TOLD]], "next": following}

    def _forget(self, query: Mapping[str, str], body: Any) -> Reply:
        self._sim.journal.clear()
        return 204, None

    def _webhooks(self, query: Mapping[str, str], body: Any) -> Reply:
        count = _whole(_only(query, "count"), "count", 0)
        return 200, [views.delivery(each) for each in self._sim.webhooks.wait_for(count, _timeout(query))]

    def _rest(self, query: Mapping[str, str], body: Any) -> Reply:
        return 200, [views.rest_request(each) for each in self._sim.rest_requests]

    # -- what happens --------------------------------------------------------------------------------------------------

    def _call(self, query: Mapping[str, str], body: Any) -> Reply:
        return 201, views.call(self._remember(self._sim.call(**orders.bind(orders.CALL, body))))

    def _act(self, call_id: str, what: str, query: Mapping[str, str], body: Any) -> Reply:
        phone = self._find(call_id)
        members = {"press": orders.PRESS, "say": orders.SAY, "hang_up": orders.HANG_UP}.get(what, {})
        getattr(phone, what)(**orders.bind(members, body))
        return 200, views.call(phone)

    def _phone(self, query: Mapping[str, str], body: Any) -> Reply:
        self._sim.expect_phone(**orders.bind(orders.PHONE, body))
        return 204, None

    def _sound(self, query: Mapping[str, str], body: Any) -> Reply:
        self._sim.expect_sound(**orders.bind(orders.SOUND, body))
        return 204, None

    def _message(self, query: Mapping[str, str], body: Any) -> Reply:
        return 201, {"id": self._sim.message(**orders.bind(orders.MESSAGE, body))}

    def _task(self, query: Mapping[str, str], body: Any) -> Reply:
        self._sim.task(**orders.bind(orders.TASK, body))
        return 204, None

    def _fault(self, name: str, query: Mapping[str, str], body: Any) -> Reply:
        return self._do(orders.FAULTS, name, body)

    def _connection(self, name: str, query: Mapping[str, str], body: Any) -> Reply:
        return self._do(orders.CONNECTIONS, name, body)

    def _do(self, known: Mapping[str, Any], name: str, body: Any) -> Reply:
        if name not in known:
            raise _Refused(404, f"one of {', '.join(known)}")
        getattr(self._sim, name)(**orders.bind(known[name], body))
        return 204, None

    def _no_faults(self, query: Mapping[str, str], body: Any) -> Reply:
        self._sim.clear_faults()
        return 204, None

    def _event(self, query: Mapping[str, str], body: Any) -> Reply:
        self._sim.send_event(**orders.bind(orders.EVENT, body))
        return 204, None

    # -- calls by id ---------------------------------------------------------------------------------------------------

    def _remember(self, phone: Phone) -> Phone:
        known = self._known.setdefault(phone.call_id, phone)
        while len(self._known) > MOST_TOLD:
            self._known.pop(next(iter(self._known)), None)
        return known

    def _find(self, call_id: str) -> Phone:
        phone = self._known.get(call_id)
        if phone is None:
            phone = next((each for each in self._sim.phones if each.call_id == call_id), None)
        if phone is None:
            raise _Refused(404, "there is no such call")
        return self._remember(phone)


def _only(query: Mapping[str, str], *names: str) -> dict[str, str]:
    for name in query:
        if name not in (*names, "timeout"):
            raise InvalidParameter("query", name, f"made of {', '.join((*names, 'timeout'))}")
    return {name: query[name] for name in names if name in query}


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not re.fullmatch("[0-9]{1,9}", text):
        raise InvalidParameter(name, text, "a whole number of at least 0")
    return int(text)


def _timeout(query: Mapping[str, str]) -> float:
    text = query.get("timeout", str(PATIENCE))
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", text) or float(text) > LONGEST_WAIT:
        raise InvalidParameter("timeout", text, f"seconds, at most {LONGEST_WAIT:g}")
    return float(text)
