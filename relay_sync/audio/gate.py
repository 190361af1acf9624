"""Who may open a media socket: path, bearer token, one-time tokens. Decided before the upgrade."""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from attrs import define, field

from ..errors import InvalidParameter
from ..hosts.origins import refusal
from ..server import Headers, HttpRequest, Response
from ..threads.flag import Flag
from ..threads.rate_limited_log import RateLimitedLog
from .stream import AudioStream
from .stream_core import StreamCore

__all__ = ["Expected", "Gate", "check_token"]

HEALTH_PATH = "/healthz"
_UNAUTHORIZED = Response(401, {"WWW-Authenticate": "Bearer"}, b"a bearer token is needed\n")


def check_token(token: Any) -> str | None:
    """Return a bearer token if a header can carry it.

    :raises InvalidParameter: it cannot.
    """
    if token is not None and (
        not isinstance(token, str) or not token or not token.isascii() or not token.isprintable() or " " in token
    ):
        raise InvalidParameter("token", token, "printable ASCII without blanks", secret=True)
    return token


def _digest(token: str) -> bytes:
    # Tokens are kept and compared as digests: what the time of a look-up could tell is worth nothing then.
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


@define(eq=False)
class Expected:
    """A stream that a caller of ``listen``, ``connect`` or ``device`` expects.

    :ivar two_way: whether the carrier plays the audio that is sent.
    :ivar realtime: whether it plays it with as little delay as possible.
    :ivar sample_rate: requested for its frames, if any.
    :ivar awaited: whether a caller waits for the stream itself, so that it is not delivered by ``accept`` or ``on_stream``.
    :ivar refusals: number of peers refused before, by kind.
    :ivar expires: when its token expires; never while a caller waits for it.
    :ivar changed: set at each step: the carrier connected, the stream started, the connection closed without a start.
    """

    digest: bytes = field(repr=False)
    expires: float
    two_way: bool = False
    realtime: bool = False
    awaited: bool = True
    sample_rate: int | None = None
    refusals: Mapping[str, int] = field(factory=dict)
    changed: threading.Event = field(factory=Flag)
    arrived: bool = False
    stream: AudioStream | None = None
    core: StreamCore | None = field(default=None, repr=False)
    over: bool = False
    given_up: bool = False

    def began(self, stream: AudioStream, core: StreamCore) -> None:
        """Store the started stream, or close it if the caller has given up."""
        self.core, self.stream = core, stream
        if self.given_up:  # in this order it is seen either here or in give_up()
            core.hang_up(False)
        self.changed.set()

    def give_up(self) -> None:
        """The caller no longer waits: close the stream, now or as soon as it starts."""
        self.given_up = True
        if self.core is not None:
            self.core.hang_up(False)


#: What a refusal says to who waits for a stream: one, several, and the question that leads to the cause.
_REFUSALS = {
    "token": ("connection with an unknown token", "connections with unknown tokens", "does the proxy route by path?"),
    "no token": (
        "connection without a token",
        "connections without a token",
        "does the proxy forward the Authorization header?",
    ),
    "path": ("connection for another path", "connections for another path", "is path= the path that arrives here?"),
    "http": ("plain HTTP request", "plain HTTP requests", "does the proxy forward the upgrade?"),
    "TLS": ("connection with TLS to this plain port", "connections with TLS to this plain port", "use ssl_context="),
    "no TLS": (
        "connection without TLS to this TLS port",
        "connections without TLS to this TLS port",
        "does the proxy speak TLS to this server?",
    ),
}
#: What helps a peer that the server refuses, where AudioServer has a better word for it than the server.
_ADVICE = {
    "TLS": "sent TLS to this plain port: pass ssl_context to AudioServer, or put a proxy that terminates TLS in front of it",
    "no TLS": (
        "connected without TLS to this TLS port: use wss://, and have the proxy connect with TLS (without the PROXY"
        " protocol)"
    ),
}


class Gate:
    """Checks requests.

    :param path: the only path where sockets are taken.
    :param token: the bearer token all sockets must show, unless they show a one-time token; ``None``: none needed.
    :ivar strangers: whether connections without a token are wanted, if no token is required.
    :param public_url: see :func:`~relay_sync.hosts.origins.refusal`.
    :param origins: the same.
    :param hosts: the same.
    """

    def __init__(
        self,
        path: str,
        token: str | None,
        troubles: RateLimitedLog,
        *,
        public_url: str | None = None,
        origins: Collection[str] = (),
        hosts: Collection[str] = (),
    ) -> None:
        self.path = path
        self._token = None if token is None else _digest(token)
        self._troubles = troubles
        self._public_url = public_url
        self._origins = origins
        self._hosts = hosts
        self.strangers = True
        self._lock = threading.RLock()
        self._expected: dict[bytes, Expected] = {}
        # By kind; only the loop thread writes. A socket without a token counts even where it was let in: it is none of those
        # that are waited for.
        self._refusals: Counter[str] = Counter()

    def expect(
        self,
        seconds: float = math.inf,
        *,
        two_way: bool = False,
        realtime: bool = False,
        awaited: bool = True,
        sample_rate: int | None = None,
    ) -> tuple[str, Expected]:
        """Return a new one-time token, valid for one connection within *seconds*, and the state of that connection.

        A token that a caller waits for needs no time limit: it expires when the wait ends. The wait may start later, after a
        command that had to wait for its session.
        """
        token, now = secrets.token_urlsafe(32), time.monotonic()
        expected = Expected(
            _digest(token),
            now + seconds,
            two_way=two_way,
            realtime=realtime,
            awaited=awaited,
            sample_rate=sample_rate,
            refusals=dict(self._refusals),
        )
        with self._lock:
            for old in [each for each in self._expected.values() if each.expires < now and not each.awaited]:
                self._expected.pop(old.digest, None)
            self._expected[expected.digest] = expected
        return token, expected

    @contextmanager
    def expecting(
        self, *, two_way: bool = False, realtime: bool = False, sample_rate: int | None = None
    ) -> Iterator[tuple[str, Expected]]:
        """Like :meth:`expect`, for a caller that waits for the stream itself: the token is valid until the context ends.
        An exception in the context closes the stream, now or as soon as it starts.
        """
        token, expected = self.expect(two_way=two_way, realtime=realtime, sample_rate=sample_rate)
        try:
            yield token, expected
        except BaseException:
            expected.give_up()
            raise
        finally:
            self.forget(expected)

    def forget(self, expected: Expected) -> None:
        """Invalidate its token."""
        with self._lock:
            self._expected.pop(expected.digest, None)

    def check(self, request: HttpRequest) -> Response | None:
        """Return ``None`` to accept the request, or the response that rejects it."""
        if request.path == HEALTH_PATH and request.method in ("GET", "HEAD") and not request.is_upgrade:
            return Response(200, {"Cache-Control": "no-store"}, b"ok\n")
        if not request.is_upgrade:
            return self._no_upgrade(request)
        if request.path != self.path:
            self._refuse(
                "path",
                "rejected %s with 404: the path is not %s; check the URL",
                request.remote,
                self.path,
            )
            return Response(404, {}, b"nothing here\n")
        token = _bearer(request.headers)
        if token is None:
            return self._without_token(request)
        if self._allows(token):
            return None
        self._refuse(
            "token",
            "rejected %s with 401: unknown bearer token; is authorization_bearer_token the token of this"
            " server, was a one-time token used before it expired, and did this process create it?",
            request.remote,
        )
        return _UNAUTHORIZED

    def _no_upgrade(self, request: HttpRequest) -> Response | None:
        if "sec-websocket-key" in request.headers:
            self._refuse(
                "http",
                "rejected %s: the Upgrade header is missing; have the proxy forward it (nginx:"
                " proxy_set_header Upgrade $http_upgrade;)",
                request.remote,
            )
        else:
            self._refuse(
                "http",
                "rejected a plain HTTP request from %s: pass a wss:// address to call.stream, and have the proxy forward the"
                " upgrade (health checks use %s)",
                request.remote,
                HEALTH_PATH,
            )
        if request.path != self.path and request.method != "GET":
            return Response(404, {}, b"nothing here\n")
        return None  # the server says what it is for

    def _without_token(self, request: HttpRequest) -> Response | None:
        if self._token is not None:
            self._refuse(
                "no token",
                "rejected %s with 401: no bearer token; pass authorization_bearer_token to call.stream, and have the"
                " proxy forward the Authorization header",
                request.remote,
            )
            return _UNAUTHORIZED
        if not self.strangers:
            self._refuse(
                "no token",
                "rejected %s with 401: no bearer token, and streams without one are not enabled; use listen(), give"
                " AudioServer a token or an on_stream, or call accept() before",
                request.remote,
            )
            return _UNAUTHORIZED
        headers = request.headers
        why = refusal(
            headers.get("origin"),
            headers.get("host"),
            on_loopback=request.on_loopback,
            public_url=self._public_url,
            origins=self._origins,
            hosts=self._hosts,
        )
        if why is None:
            return None
        self._refuse("page", "rejected %s with 403: %s of AudioServer", request.remote, why)
        return Response(403, {}, b"web pages of other sites may not talk to this server\n")

    def refused(self, remote: str, kind: str, why: str) -> None:
        """The server has refused or dropped a peer before it asked for anything."""
        if kind in _ADVICE:
            self._refuse(kind, "%s %s", remote, _ADVICE[kind])
        else:
            self._refuse(kind, "refused %s: %s", remote, why)

    def _refuse(self, kind: str, message: str, *args: object) -> None:
        self._refusals[kind] += 1
        self._troubles.warning(kind, message, *args)

    def refused_since(self, expected: Expected) -> str:
        """Return the peers that this server has refused since the caller started waiting, as a sentence with a leading blank.

        If the server accepts connections without a token, these are counted as well.
        """
        since = Counter(dict(self._refusals))
        since.subtract(expected.refusals)
        told = [_count(kind, number) for kind, number in since.most_common() if number > 0]
        return f". {'; '.join(told)}" if told else ""

    @staticmethod
    def shows_token(headers: Headers) -> bool:
        """Whether a socket that was let in has shown a token, which then was a right one."""
        return _bearer(headers) is not None

    def claim(self, headers: Headers) -> Expected | None:
        """Consume the one-time token of an accepted socket, if it presented one."""
        token = _bearer(headers)
        if token is None:
            self._refusals["no token"] += 1
            return None
        with self._lock:
            return self._expected.pop(_digest(token), None)

    def _allows(self, token: str) -> bool:
        digest = _digest(token)
        with self._lock:
            expected = self._expected.get(digest)
        if expected is not None:
            return time.monotonic() < expected.expires
        # An unknown token is a mistake, or a used one-time token: always refuse it.
        return self._token is not None and hmac.compare_digest(digest, self._token)


def _bearer(headers: Headers) -> str | None:
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


def _count(kind: str, number: int) -> str:
    one, several, question = _REFUSALS.get(kind, (f"refused connection ({kind})", f"refused connections ({kind})", ""))
    return f"{number} {one if number == 1 else several} came" + (f": {question}" if question else ", see the log")
