"""Handler for HTTP requests on the RELAY port.

Recordings and REST commands are served here. Other requests are passed on to the WebSocket server. Requests from web pages are
refused, because any page in a developer's browser can connect to servers on the same machine.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from attrs import define, field, frozen

from ...server.http import HttpRequest, Response
from ...threads.rate_limited_log import RateLimitedLog
from ..core.journal import masked
from ..core.world import World
from .recordings import PLACE as RECORDINGS
from .recordings import Recordings
from .rest import PLACE as COMMANDS
from .rest import Rest

__all__ = ["Door", "RestEntry"]


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
    """

    _world: World = field(repr=False)
    _rest: Rest = field(repr=False)
    _recordings: Recordings = field(repr=False)
    _troubles: RateLimitedLog = field(repr=False)
    refusing: bool = field(default=False, init=False)
    entries: deque[RestEntry] = field(factory=lambda: deque(maxlen=1_000), init=False, repr=False)

    def answer(self, request: HttpRequest) -> Response | None:
        """Return the response to a request, or ``None`` to continue with the WebSocket handshake."""
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
