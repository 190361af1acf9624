"""Serves the browser telephone: the page at ``/`` and its files below ``/telephone/``.

The files contain no secret, so they need no key. The page reads the key from the fragment of the link, which browsers do not
send. ``Host`` must name this machine, and the page's policy allows it to load and to connect to nothing but this server.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from attrs import define

from ....server.http import HttpRequest, Response
from ...core.settings import Settings
from ...server import Simulator

__all__ = ["FILES", "SEGMENTS", "TelephonePage", "serve_page"]

#: First segments of the page's paths.
SEGMENTS: Final = ("", "telephone")
#: Media types of the page's files.
FILES: Final[Mapping[str, str]] = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "app.js": "text/javascript; charset=utf-8",
    "line.js": "text/javascript; charset=utf-8",
    "sound.js": "text/javascript; charset=utf-8",
    "worklet.js": "text/javascript; charset=utf-8",
    "panels.js": "text/javascript; charset=utf-8",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


@cache
def _content(name: str) -> bytes:
    return files(__package__).joinpath(name).read_bytes()


@define(eq=False)
class TelephonePage:
    """The page's files. Runs on the loop thread.

    :ivar sockets: empty: the page's WebSockets belong to the control interface.
    """

    _settings: Settings
    sockets: Collection[str] = ()

    def limit(self, request: HttpRequest) -> int | Response:
        """Allow no request body.

        :param request: the request.
        """
        return 0

    def answer(self, request: HttpRequest) -> Response | None:
        """Return a file. A WebSocket at ``/`` is left to the RELAY server.

        :param request: the request.
        """
        if request.is_upgrade:
            return None
        name = "index.html" if request.path == "/" else request.path.removeprefix("/telephone/")
        if request.path != "/" and (name == "index.html" or name not in FILES):
            return Response(404, {}, b"no such file\n")
        if request.method not in ("GET", "HEAD"):
            return Response(405, {"Allow": "GET, HEAD"}, b"use GET for this path\n")
        refused = self._settings.page_refusal(request)
        if refused is not None:
            return Response(403, {}, f"{refused.partition(';')[0]}\n".encode())
        return Response(200, {"Content-Type": FILES[name], **_HEADERS}, _content(name))

    def opened(self, connection: object) -> None:
        """Do nothing, because no WebSocket is accepted.

        :param connection: not used.
        """


def serve_page(simulator: Simulator, on: bool = True) -> None:
    """Serve the page, or stop to serve it.

    :param simulator: the simulator.
    :param on: whether to serve it.
    """
    page = TelephonePage(simulator.settings) if on else None
    for segment in SEGMENTS:
        simulator.mount(segment, page)
