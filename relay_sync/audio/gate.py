"""Who may open a media socket: path, bearer token, one-time tokens. Decided before the upgrade."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time

from attrs import define, field

from ..runtime.flag import Flag
from ..server import Headers, Request, Response
from .stream import AudioStream
from .troubles import Troubles

__all__ = ["Expected", "Gate"]

HEALTH_PATH = "/healthz"


def _digest(token: str) -> bytes:
    # Tokens are kept and compared as digests: what the time of a look-up could tell is worth nothing then.
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


@define(eq=False)
class Expected:
    """A stream that somebody waits for.

    :ivar two_way: whether the carrier plays what is sent back. :ivar sample_rate: wanted for its frames, if any.
    :ivar awaited: whether somebody waits for the stream itself,
        so that it is not handed out like others.
    :ivar changed: set at each step: the socket came, the stream began, the socket ended without one.
    """

    digest: bytes = field(repr=False)
    expires: float
    two_way: bool = False
    awaited: bool = True
    sample_rate: int | None = None
    changed: threading.Event = field(factory=Flag)
    arrived: bool = False
    stream: AudioStream | None = None
    over: bool = False


class Gate:
    """Checks requests.

    :param path: the only path where sockets are taken.
    :param token: the bearer token all sockets must show, unless they show a one-time token; ``None``: none needed.
    """

    def __init__(self, path: str, token: str | None, troubles: Troubles) -> None:
        self.path = path
        self._token = None if token is None else _digest(token)
        self._troubles = troubles
        self._lock = threading.Lock()
        self._expected: dict[bytes, Expected] = {}

    def expect(
        self, seconds: float, *, two_way: bool = False, awaited: bool = True, sample_rate: int | None = None
    ) -> tuple[str, Expected]:
        """A new one-time token, good for one socket within *seconds*, and what will be told of that socket."""
        token, now = secrets.token_urlsafe(32), time.monotonic()
        expected = Expected(_digest(token), now + seconds, two_way, awaited, sample_rate)
        with self._lock:
            for old in [each for each in self._expected.values() if each.expires < now and not each.awaited]:
                del self._expected[old.digest]
            self._expected[expected.digest] = expected
        return token, expected

    def forget(self, expected: Expected) -> None:
        """Its token is worthless from now on."""
        with self._lock:
            self._expected.pop(expected.digest, None)

    def check(self, request: Request) -> Response | None:
        """``None`` to let the request pass, or the answer to give instead."""
        if request.path == HEALTH_PATH and request.method in ("GET", "HEAD") and not request.is_upgrade:
            return Response(200, {"Cache-Control": "no-store"}, b"ok\n")
        if not request.is_upgrade:
            if request.path == self.path:
                self._troubles.tell(
                    "http",
                    "a plain HTTP request from %s to the path of streams got no stream: give call.stream a wss:// address,"
                    " and let a proxy pass the upgrade on (probes have %s)",
                    request.remote,
                    HEALTH_PATH,
                )
            if request.path != self.path and request.method != "GET":
                return Response(404, {}, b"nothing here\n")
            return None  # the server says what it is for
        if request.path != self.path:
            self._troubles.tell(
                "path",
                "a socket from %s for another path than %s got 404: check the URL",
                request.remote,
                self.path,
            )
            return Response(404, {}, b"nothing here\n")
        token = _bearer(request.headers)
        if self._allows(token):
            return None
        if token is None:
            self._troubles.tell(
                "no token",
                "a socket from %s without a bearer token got 401: give call.stream authorization_bearer_token, and let a"
                " proxy pass the Authorization header on",
                request.remote,
            )
        else:
            self._troubles.tell(
                "token",
                "a socket from %s without the right bearer token got 401: is authorization_bearer_token the token of this"
                " server, and did a one-time token come in time?",
                request.remote,
            )
        return Response(401, {"WWW-Authenticate": "Bearer"}, b"a bearer token is needed\n")

    def stranger(self, remote: str, what: str) -> None:
        """Somebody speaks TLS to a plain port, or the other way round."""
        if what == "TLS":
            advice = "TLS to this plain port: give AudioServer an ssl_context, or put a proxy that ends TLS before it"
        else:
            advice = "without TLS to this TLS port: use wss://, and let a proxy before it speak TLS, too"
        self._troubles.tell("tls", "%s spoke " + advice, remote)

    def claim(self, headers: Headers) -> Expected | None:
        """Use up the one-time token of a socket that was let in, if it showed one."""
        token = _bearer(headers)
        if token is None:
            return None
        with self._lock:
            return self._expected.pop(_digest(token), None)

    def _allows(self, token: str | None) -> bool:
        if token is None:
            return self._token is None
        digest = _digest(token)
        with self._lock:
            expected = self._expected.get(digest)
        if expected is not None:
            return time.monotonic() < expected.expires
        # A token nobody here knows is a mistake, or a one-time token that is spent: never let it in.
        return self._token is not None and hmac.compare_digest(digest, self._token)


def _bearer(headers: Headers) -> str | None:
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None
