"""The control interface, which lets programs in any language control a simulator over HTTP.

It is served on the simulator's own port, below ``/simulator``. Bodies are JSON, and clients authenticate with one key. Each path
corresponds to a method of :class:`relay_sync.simulator.Simulator` or :class:`relay_sync.simulator.Phone` and accepts its
parameters by name; ``docs/simulate.md`` lists the paths.

==============  ======================================================================================================
``routes``      the operations, by topic
``router``      finds the operation of a request and checks the request
``requests``    members of request bodies
``responses``   response bodies
``workers``     threads that carry out requests
``replies``     HTTP responses, errors included
``guard``       decides who may send requests
``sockets``     WebSockets, whose first message is the key
``live``        the WebSocket of live events
==============  ======================================================================================================

The loop thread only checks requests. Every route runs on another thread, so that it may block. Requests that wait for something
have threads of their own, and do not hold up the others.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from functools import partial
from types import TracebackType
from typing import Any, Final
from urllib.parse import quote

from ....errors import InvalidParameter
from ....protocol.depth import is_deeper
from ....server.connection import Connection
from ....server.http import BadRequest, HttpRequest, Response, body_length
from ....server.later import Later
from ....text.json_text import read_strictly
from ....threads.timeouts import TimeLeft
from ...core.noticeboard import broken_off, seconds_to_wait
from ...server import Simulator
from ..telephone.line import PATH as TELEPHONE
from ..telephone.line import open_telephone
from ..telephone.page import serve_page
from . import live
from .guard import Guard
from .known_calls import KnownCalls
from .replies import as_response, error, failure
from .router import Ask, Refused, Route, Router, allow
from .routes import ROUTES
from .sockets import Opener, Sockets
from .workers import Workers

__all__ = ["MOST_BODY", "MOST_WAITING", "SEGMENT", "ControlInterface"]

#: First segment of all paths.
SEGMENT: Final = "simulator"
#: Maximum size of a request body: an audio file of 64 MiB in base64, and what is around it.
MOST_BODY: Final = 88 * 2**20
#: Maximum nesting depth of a request body.
DEEPEST: Final = 64
#: Maximum number of requests that wait for something at the same time.
MOST_WAITING: Final = 64
#: Maximum number of threads for other requests, and of requests that wait for one of them.
MOST_THREADS: Final = 8
MOST_QUEUED: Final = 256


class ControlInterface:
    """HTTP interface that controls a running simulator, on the simulator's own port.

    ::

        with Simulator() as sim, ControlInterface(sim) as control:
            print(control.url, control.key)

    :param simulator: the simulator, which must be listening.
    :param key: key that clients must send; ``None`` generates one. Any program that can connect to the simulator and has the
        key can control it.
    :raises InvalidParameter: the key is not printable ASCII text without spaces.

    :ivar url: address of the interface, such as ``http://127.0.0.1:PORT/simulator``.
    """

    def __init__(self, simulator: Simulator, *, key: str | None = None) -> None:
        self._key = _checked(secrets.token_urlsafe(24) if key is None else key)
        self.url: str = f"http{simulator.url.removeprefix('ws')}/{SEGMENT}"
        self._sim = simulator
        self._site = _Site(simulator, self._key)
        simulator.mount(SEGMENT, self._site)
        serve_page(simulator)

    def __repr__(self) -> str:
        return f"<ControlInterface {self.url}>"

    @property
    def key(self) -> str:
        """The key that clients must send."""
        return self._key

    @property
    def link(self) -> str:
        """Address of the telephone in the browser. It contains the key, in a part that browsers do not send."""
        return f"{self.url.removesuffix(SEGMENT)}#key={quote(self.key, safe='')}"

    def close(self, timeout: float = 5.0) -> None:
        """Stop serving requests, and end the requests that wait for something. Idempotent.

        :param timeout: maximum time to wait for requests in progress, in seconds.
        :raises InvalidParameter: the timeout is invalid.
        """
        timeout = seconds_to_wait(timeout)
        self._sim.mount(SEGMENT, None)
        serve_page(self._sim, False)
        self._site.close(max(0.0, timeout))

    def __enter__(self) -> ControlInterface:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _checked(key: Any) -> str:
    if not isinstance(key, str) or not key or not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidParameter("key", key, "printable ASCII text without spaces", secret=True)
    return key


class _Site:
    """The paths below ``/simulator``. Runs on the loop thread, except for the requests' own work."""

    def __init__(self, simulator: Simulator, key: str) -> None:
        self._sim = simulator
        self._guard = Guard(simulator.settings, key, open={route.path for route in ROUTES if route.open})
        self._calls = KnownCalls(simulator)
        self._router = Router(ROUTES)
        self._sockets = Sockets(key, _openers(simulator))
        self._quick = Workers(name="relay-sim-control", threads=MOST_THREADS, queued=MOST_QUEUED)
        self._waiting = Workers(name="relay-sim-wait", threads=MOST_WAITING, queued=0)
        self._closed = False

    @property
    def sockets(self) -> Collection[str]:
        """Paths at which WebSockets are accepted."""
        return self._sockets.paths

    def limit(self, request: HttpRequest) -> int | Response:
        """Refuse a request that may not be sent, before its body is read."""
        try:
            if request.is_upgrade:
                self._guard.check_page(request)
                return 0
            path = self._path(request)
            self._guard.check(request, path)
            if path in self._guard.open:  # needs no key, and no body either
                return 0
            body_length(request, MOST_BODY)
        except Refused as refused:
            return failure(refused)
        except BadRequest as bad:
            return error(bad.status, str(bad))
        return MOST_BODY

    def _path(self, request: HttpRequest) -> str:
        """Return the path of a request below ``/simulator``."""
        return request.path.removeprefix(f"/{SEGMENT}") or "/"

    def answer(self, request: HttpRequest) -> Response | Later | None:
        """Answer a request, or start to carry it out."""
        path = self._path(request)
        try:
            if request.is_upgrade:
                if request.path in self._sockets.paths:
                    return None
                raise Refused(404, f"no WebSocket at this path; there is one at {' and '.join(self._sockets.paths)}")
            if request.method == "OPTIONS" and (methods := self._router.methods(path)):
                return Response(204, {"Allow": allow(methods)})
            route, parts = self._router.find(request.method, path)
            query = route.read_query(request.query)
        except (Refused, InvalidParameter) as refused:
            return failure(refused)
        return self._start(route, parts, query, request)

    def _start(
        self, route: Route, path: dict[str, str], query: dict[str, Any], request: HttpRequest
    ) -> Response | Later:
        later = Later()

        def work() -> None:
            try:
                with broken_off(lambda: later.gone or self._closed):
                    given = route.read_body(_read(request.body))
                    status, body = route.work(
                        Ask(sim=self._sim, calls=self._calls, path=path, query=query, given=given)
                    )
                    response = as_response(status, body)
            except BaseException as problem:
                response = failure(problem, members=route.body, closing=self._closed)
            later.provide(response)

        waits = route.must_wait(query)
        if (self._waiting if waits else self._quick).offer(work):
            return later
        if self._closed:
            return error(503, "the simulator is closing")
        many = MOST_WAITING if waits else MOST_QUEUED
        return error(503, f"{many} requests are already waiting; try again when one has ended", {"Retry-After": "1"})

    def opened(self, connection: Connection) -> None:
        """Take over a new WebSocket."""
        self._sockets.opened(connection)

    def close(self, timeout: float) -> None:
        """End all requests and WebSockets. For any thread."""
        self._closed = True
        self._sockets.close()
        left = TimeLeft(timeout)
        for workers in (self._quick, self._waiting):
            workers.close(left() or 0.0)


def _openers(simulator: Simulator) -> dict[str, Opener]:
    return {f"/{SEGMENT}/live": live.opener(simulator), TELEPHONE: partial(open_telephone, simulator)}


def _read(body: bytes) -> Any:
    """Return the JSON value in a request body. An empty body is an empty object."""
    if not body:
        return {}
    try:
        if is_deeper(body, DEEPEST):
            raise ValueError
        return read_strictly(body.decode())
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not valid JSON") from None
