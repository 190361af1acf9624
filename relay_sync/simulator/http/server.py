"""Handler for HTTP requests on the RELAY port.

Recordings and REST commands are served here. Other requests are passed on to the WebSocket server. Requests from web pages are
refused, because any page in a developer's browser can connect to servers on the same machine.

Other parts of the simulator, such as the control interface, mount a :class:`Site`. It serves all paths with the same first
segment, and checks who may use it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Any, Final, Protocol

from attrs import define, field, frozen

from ...server.http import HttpRequest, Response
from ...server.later import Later
from ...server.websocket import Connection
from ...threads.rate_limited_log import RateLimitedLog
from ..core.journal import masked
from ..core.world import World
from .recordings import PLACE as RECORDINGS
from .recordings import Recordings
from .rest import MOST_BODY, Rest
from .rest import PLACE as COMMANDS

__all__ = ["MOST_MESSAGE", "Door", "RestEntry", "Site"]

#: Maximum size of a message on the WebSockets of sites, in bytes. The first message is buffered before the key is known. The
#: longest messages are audio of a telephone: this is 2.7 s at 48 kHz.
MOST_MESSAGE: Final = 2**18


class Site(Protocol):
    """A part of the simulator that serves HTTP requests and WebSockets on the RELAY port. Called on the loop thread."""

    @property
    def sockets(self) -> Collection[str]:
        """Paths at which the site accepts WebSockets."""

    def limit(self, request: HttpRequest) -> int | Response:
        """Return the maximum length of a request's body, or a response that refuses the request before its body is read."""

    def answer(self, request: HttpRequest) -> Response | Later | None:
        """Return the response to a complete request. ``None`` accepts a WebSocket at a path in :attr:`sockets`. At other paths,
        it leaves the request to the RELAY server.
        """

    def opened(self, connection: Connection) -> None:
        """Take over a WebSocket that :meth:`answer` has accepted."""


@frozen(kw_only=True)
class RestEntry:
    """HTTP request and its response status.

    :ivar authorized: whether the request had an ``Authorization`` header.
    :ivar body: parsed JSON body, including secrets; ``None`` if there was none.
    """

    method: str
    path: str
    authorized: bool
    body: Any = field(repr=masked)
    status: int

    @property
    def command(self) -> str:
        """The REST command; ``""`` if there is none."""
        value = self.body.get("command") if isinstance(self.body, dict) else None
        return value if isinstance(value, str) else ""

    @property
    def params(self) -> dict[str, Any]:
        """The command's parameters; ``{}`` if there are none."""
        value = self.body.get("params") if isinstance(self.body, dict) else None
        return value if isinstance(value, dict) else {}


@define(eq=False, kw_only=True)
class Door:
    """Handler for HTTP requests on the RELAY port. Runs on the loop thread.

    :ivar refusing: whether all requests are refused with status 503, as set by ``Simulator.refuse_connections()``.
    :ivar entries: most recent requests other than WebSocket handshakes, oldest first.
    :ivar sites: sites by the first segment of their paths.
    """

    _world: World = field(repr=False)
    _rest: Rest = field(repr=False)
    _recordings: Recordings = field(repr=False)
    _troubles: RateLimitedLog = field(repr=False)
    refusing: bool = field(default=False, init=False)
    entries: deque[RestEntry] = field(factory=lambda: deque(maxlen=1_000), init=False, repr=False)
    sites: dict[str, Site] = field(factory=dict, init=False, repr=False)

    def _site(self, path: str) -> Site | None:
        return self.sites.get(path.split("/", 2)[1]) if path.startswith("/") else None

    def limit(self, request: HttpRequest) -> int | Response:
        """Return the maximum length of a request's body, or a response that refuses the request before its body is read."""
        site = self._site(request.path)
        return MOST_BODY if site is None else site.limit(request)

    def longest(self, request: HttpRequest) -> int:
        """Return the maximum size of a message on the WebSocket that a request opens, in bytes."""
        site = self._site(request.path)
        is_theirs = site is not None and request.path in site.sockets
        return MOST_MESSAGE if is_theirs else self._world.settings.max_frame

    def opened(self, connection: Connection) -> bool:
        """Pass a new WebSocket on to the site of its path. Return whether the site has taken it over."""
        site = self._site(connection.path)
        if site is None or connection.path not in site.sockets:
            return False
        site.opened(connection)
        return True

    def answer(self, request: HttpRequest) -> Response | Later | None:
        """Return the response to a request, or ``None`` to continue with the WebSocket handshake."""
        site = self._site(request.path)
        if site is not None:
            response = site.answer(request)
            if response is not None or (request.is_upgrade and request.path in site.sockets):
                return response
        if self.refusing:
            return Response(503, {"Retry-After": "1"}, b"refused: the simulator is set to refuse connections\n")
        return self._judge(request) or self._route(request)

    def _judge(self, request: HttpRequest) -> Response | None:
        """Refuse requests from web pages.

        Requests with an ``Authorization`` header are not refused here. :meth:`_of_a_page` handles them if their credentials are
        invalid.
        """
        if "authorization" in request.headers and not request.is_upgrade:
            return None
        why = self._world.settings.page_refusal(request)
        if why is None:
            return None
        self._troubles.warning("page", "refused %s: %s of Simulator", request.remote, why)
        return Response(403, {}, b"requests from web pages of other sites are refused\n")

    def _route(self, request: HttpRequest) -> Response | None:
        response, body = self._of_a_page(request) or self._recordings.answer(request), None
        if response is None:
            if request.path != COMMANDS:
                return None
            body, response = self._rest.answer(request)
        entry = RestEntry(
            method=request.method,
            path=request.path,
            authorized="authorization" in request.headers,
            body=body,
            status=response.status,
        )
        self.entries.append(entry)
        self._world.board.changed()
        return response

    def _of_a_page(self, request: HttpRequest) -> Response | None:
        """Refuse requests from web pages to the REST API and to recordings, unless they have valid credentials."""
        ours = request.path.startswith((COMMANDS, RECORDINGS))
        if not ours or request.is_upgrade or self._rest.knows_credentials(request):
            return None
        page = self._world.settings.page_refusal(request)
        if page is None:
            return None
        return Response(403, {}, f"{page.partition(';')[0]}\n".encode())
