"""Decides who may send requests to the control interface.

A request needs the key. In addition, ``Host`` must name this machine, so that a web page cannot use a host name of its own that
resolves to this machine (DNS rebinding), and requests from pages of other sites are refused even with the key. There is no CORS:
browsers keep responses from other sites' pages.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from attrs import define, field

from ....hosts.proof import same_secret
from ....server.http import HttpRequest
from ....threads.logs import get as log_of
from ....threads.rate_limited_log import RateLimitedLog
from ...core.settings import Settings
from .router import Refused

__all__ = ["Guard"]

_log = log_of("relay_sync.simulator").later
#: Media types of bodies. curl sends the second by default.
_JSON: Final = "application/json"
_CURL: Final = "application/x-www-form-urlencoded"


@define(eq=False)
class Guard:
    """Checks the head of requests. Runs on the loop thread.

    :ivar open: paths that need no key.
    """

    _settings: Settings
    _key: str = field(repr=False)
    open: Collection[str]
    _troubles: RateLimitedLog = field(factory=lambda: RateLimitedLog(_log), init=False, repr=False)

    def check(self, request: HttpRequest, path: str) -> None:
        """Check a request that is not a WebSocket.

        :param path: path below ``/simulator``.
        :raises Refused: the request may not be sent.
        """
        self.check_page(request)
        if path in self.open:
            return
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not same_secret(given.strip(), self._key):
            raise Refused(
                401, "the key is missing or wrong; send Authorization: Bearer <key>", {"WWW-Authenticate": "Bearer"}
            )
        self._check_type(request)

    def check_page(self, request: HttpRequest) -> None:
        """Refuse requests from web pages of other sites.

        :raises Refused: a page of another site sent the request.
        """
        headers = request.headers
        why = self._settings.page_refusal(request)
        other = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        if why is None and other and headers.get("origin") is None:
            why = "a page of another site sent it; if that page may send requests, add its origin to origins="
        if why is None:
            return
        self._troubles.warning("page", "refused %s: %s of Simulator", request.remote, why)
        raise Refused(403, why.partition(";")[0])

    def _check_type(self, request: HttpRequest) -> None:
        headers = request.headers
        if headers.get("content-length", "0") == "0":
            return
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        accepted = (_JSON,) if "origin" in headers else (_JSON, _CURL, "")
        if kind not in accepted:
            raise Refused(415, f"the body must be {_JSON}", {"Accept": _JSON})
