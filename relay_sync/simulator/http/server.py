"""The simulator's door for HTTP: what is asked for on its port other than a WebSocket, and who answers it.

Recordings and call commands are answered here; all that is left opens a WebSocket, if it asks for one. Web pages, which a
browser leads to any port of a developer's machine, are kept out.
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
    """One HTTP request and its response status.

    :ivar authorized: whether it had an ``Authorization`` header.
    :ivar body: its JSON body, secrets included; ``None`` if there was none.
    """

    method: str
    path: str
    authorized: bool
    body: Any = field(repr=masked)
    status: int

    @property
    def command(self) -> str:
        """The command, or ``""``."""
        value = self.body.get("command") if isinstance(self.body, dict) else None
        return value if isinstance(value, str) else ""

    @property
    def params(self) -> dict[str, Any]:
        """Its parameters, or ``{}``."""
        value = self.body.get("params") if isinstance(self.body, dict) else None
        return value if isinstance(value, dict) else {}


@define(eq=False, kw_only=True)
class Door:
    """Answers HTTP requests. Runs on the loop's thread.

    :ivar refusing: whether every request is answered with 503, because a test wants that.
    :ivar entries: the last requests that were no WebSockets, oldest first.
    """

    _world: World = field(repr=False)
    _rest: Rest = field(repr=False)
    _recordings: Recordings = field(repr=False)
    _troubles: RateLimitedLog = field(repr=False)
    refusing: bool = field(default=False, init=False)
    entries: deque[RestEntry] = field(factory=lambda: deque(maxlen=1_000), init=False, repr=False)

    def answer(self, request: HttpRequest) -> Response | None:
        """What to answer; ``None`` where a WebSocket may be opened."""
        if self.refusing:
            return Response(503, {"Retry-After": "1"}, b"refused on request\n")
        return self._judge(request) or self._route(request)

    def _judge(self, request: HttpRequest) -> Response | None:
        """Keep web pages out, which can reach this port on a developer's machine; who shows credentials is none."""
        if "authorization" in request.headers and not request.is_upgrade:
            return None
        why = self._world.settings.page_refusal(request)
        if why is None:
            return None
        self._troubles.warning("page", "refused %s: %s of Simulator", request.remote, why)
        return Response(403, {}, b"web pages of other sites may not talk to this server\n")

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
        """Refuse a web page without credentials, by the origin that its browser sends."""
        ours = request.path.startswith((COMMANDS, RECORDINGS))
        if not ours or request.is_upgrade or self._rest.knows_credentials(request):
            return None
        page = self._world.settings.page_refusal(request)
        if page is None:
            return None
        return Response(403, {}, f"{page.partition(';')[0]}\n".encode())
