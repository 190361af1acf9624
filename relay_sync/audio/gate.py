"""Authorize media connections by path, bearer token and one-time token before the WebSocket upgrade."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

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
_UNAUTHORIZED = Response(401, {"WWW-Authenticate": "Bearer"}, b"a bearer token is required\n")
_ANOTHER_PROCESS = Response(403, {}, b"unknown bearer token; another process may know it\n")
_BEARER = re.compile(r"bearer(?!\S)", re.IGNORECASE)
_CREDENTIAL = re.compile(r"bearer +([\x21-\x7e]+)", re.IGNORECASE)


def check_token(token: Any) -> str | None:
    """Check that a bearer token can be sent in a header, and return the token.

    :raises InvalidParameter: the token contains invalid characters.
    """
    if token is not None and (
        not isinstance(token, str) or not token or not token.isascii() or not token.isprintable() or " " in token
    ):
        raise InvalidParameter("token", token, "printable ASCII without spaces", secret=True)
    return token


def _digest(token: str) -> bytes:
    # Only digests are stored and compared, so the timing of a lookup reveals nothing about a token.
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


@define(eq=False)
class Expected:
    """State of a stream that was requested with ``listen``, ``connect`` or ``device``.

    :ivar digest: one-time token's digest.
    :ivar expires: monotonic time at which the token expires; infinite if a caller is waiting for the stream.
    :ivar two_way: whether the stream is two-way.
    :ivar realtime: whether the platform plays audio with minimal delay.
    :ivar awaited: whether a caller is waiting for the stream. If so, ``accept`` and ``on_stream`` do not deliver it.
    :ivar trial: whether the stream is a test of the way to this server. It is neither recorded nor shown to observers.
    :ivar sample_rate: requested sample rate for frames in Hz, if any.
    :ivar refusals: number of peers refused before this stream was requested, by kind.
    :ivar changed: set when the platform connects, the stream starts, or the connection closes without a start.
    """

    digest: bytes = field(repr=False)
    expires: float
    two_way: bool = False
    realtime: bool = False
    awaited: bool = True
    trial: bool = False
    sample_rate: int | None = None
    refusals: Mapping[str, int] = field(factory=dict)
    changed: threading.Event = field(factory=Flag)
    arrived: bool = False
    stream: AudioStream | None = None
    core: StreamCore | None = field(default=None, repr=False)
    over: bool = False
    given_up: bool = False

    def began(self, stream: AudioStream, core: StreamCore) -> None:
        """Store the started stream. If the caller has given up, close the stream."""
        self.core, self.stream = core, stream
        if self.given_up:  # checked after the assignment, so either this method or give_up() closes the stream
            core.hang_up(False)
        self.changed.set()

    def give_up(self) -> None:
        """Close the stream, now or as soon as it starts, because the caller is no longer waiting for it."""
        self.given_up = True
        if self.core is not None:
            self.core.hang_up(False)


#: Descriptions of refused peers for error messages: singular, plural, and a question that suggests the cause.
_REFUSALS = {
    "token": ("connection with an unknown token", "connections with unknown tokens", "does the proxy route by path?"),
    "no token": (
        "connection without a token",
        "connections without a token",
        "does the proxy forward the Authorization header?",
    ),
    "malformed": (
        "connection with a malformed Authorization header",
        "connections with a malformed Authorization header",
        "does the proxy change the header?",
    ),
    "path": ("connection for another path", "connections for another path", "is path= the path that arrives here?"),
    "no Upgrade header": (
        "connection without an Upgrade header",
        "connections without an Upgrade header",
        "does the proxy forward the upgrade?",
    ),
    "http": ("plain HTTP request", "plain HTTP requests", "does the proxy forward the upgrade?"),
    "TLS": ("connection with TLS to this plain port", "connections with TLS to this plain port", "use ssl_context="),
    "no TLS": (
        "connection without TLS to this TLS port",
        "connections without TLS to this TLS port",
        "does the proxy speak TLS to this server?",
    ),
}
#: All kinds of refused peers: those above, those of the gate and those of the WebSocket server.
REFUSAL_KINDS: Final = frozenset(
    {
        *_REFUSALS,
        *("page", "accept", "crowd", "files", "full", "method", "slow", "unproven", "upgrade", "TLS handshake"),
        *("PROXY", "HTTP version", "WebSocket version", "bad header", "bad key", "large head", "no Connection header"),
        "not HTTP",
    }
)
#: Log messages for refused peers, where AudioServer can give better advice than the WebSocket server.
_ADVICE = {
    "TLS": "sent TLS to this plain port: pass ssl_context to AudioServer, or put a proxy that terminates TLS in front of it",
    "no TLS": (
        "connected without TLS to this TLS port: use wss://, and have the proxy connect with TLS (without the PROXY"
        " protocol)"
    ),
}


class Gate:
    """Access control for an audio server.

    :param token: bearer token that a connection must present unless it presents a one-time token; ``None`` requires no token.
    :param troubles: rate-limited log for refused requests.
    :param shared: whether the port is one of a range, so that the token that this process does not know may be that of another
        process. A proxy can then try the next process, which is why such a token is answered with 403 instead of 401.
    :param origins: additional web page origins to accept, as for ``refusal``.
    :param hosts: additional host names to accept, as for ``refusal``.
    :ivar path: path for media connections, see :meth:`serve`. Connections to other paths are refused.
    :ivar tokenless: whether connections without a token are accepted if the server has no bearer token.
    :ivar trials_only: whether only the connections of a diagnosis are accepted; see :attr:`Expected.trial`.
    """

    def __init__(
        self,
        token: str | None,
        troubles: RateLimitedLog,
        *,
        shared: bool = False,
        origins: Collection[str] = (),
        hosts: Collection[str] = (),
    ) -> None:
        self.path: str = ""
        self._token = None if token is None else _digest(token)
        self._troubles = troubles
        self._shared = shared
        self._public_url: str | None = None
        self._origins = origins
        self._hosts = hosts
        self.tokenless = True
        self.trials_only: bool = False
        self._lock = threading.RLock()
        self._expected: dict[bytes, Expected] = {}
        # Number of refused peers by kind, modified only by the loop thread. Connections without a token are counted even if they
        # are accepted, because they cannot be the stream that a caller waits for.
        self._refusals: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()  # the same without accepted connections

    def serve(self, path: str, public_url: str | None) -> None:
        """Set the addresses, which are known when the server has its port, before it accepts connections.

        :param path: path for media connections.
        :param public_url: the server's public URL, as for ``refusal``.
        """
        self.path, self._public_url = path, public_url

    def expect(
        self,
        seconds: float = math.inf,
        *,
        two_way: bool = False,
        realtime: bool = False,
        awaited: bool = True,
        trial: bool = False,
        sample_rate: int | None = None,
    ) -> tuple[str, Expected]:
        """Create a one-time token for one connection.

        If a caller is waiting for the stream, the token has no time limit and is invalidated when the wait ends. A time limit
        could expire too early, because the command may have to wait for the session before it is sent.

        :param seconds: token lifetime in seconds.
        :param two_way: whether the stream is two-way.
        :param realtime: whether the platform plays audio with minimal delay.
        :param awaited: whether a caller is waiting for the stream.
        :param trial: whether the stream is a test, which is neither recorded nor shown to observers.
        :param sample_rate: requested sample rate for frames in Hz, if any.
        :return: the token and the stream's state.
        """
        token, now = secrets.token_urlsafe(32), time.monotonic()
        expected = Expected(
            _digest(token),
            now + seconds,
            two_way=two_way,
            realtime=realtime,
            awaited=awaited,
            trial=trial,
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
        self, *, two_way: bool = False, realtime: bool = False, trial: bool = False, sample_rate: int | None = None
    ) -> Iterator[tuple[str, Expected]]:
        """Create a one-time token, as :meth:`expect` does, for a caller that waits for the stream inside the ``with`` block.

        The token is invalidated on exit. If the block raises an exception, the stream is closed, now or as soon as it starts.
        """
        token, expected = self.expect(two_way=two_way, realtime=realtime, trial=trial, sample_rate=sample_rate)
        try:
            yield token, expected
        except BaseException:
            expected.give_up()
            raise
        finally:
            self.forget(expected)

    def forget(self, expected: Expected) -> None:
        """Invalidate the token of an expected stream."""
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
                "rejected %s with 404: the path is not %s; check the URL, or pass path= if the proxy changes the path",
                request.remote,
                self.path,
            )
            return Response(404, {}, b"nothing here\n")
        if _is_malformed(request.headers):
            self._refuse(
                "malformed",
                "rejected %s with 401: the Authorization header does not have the form Bearer TOKEN; check what the proxy"
                " does to it",
                request.remote,
            )
            return _UNAUTHORIZED
        token = _bearer(request.headers)
        if token is None:
            return self._without_token(request)
        return None if self._allows(token) else self._unknown_token(request)

    def _unknown_token(self, request: HttpRequest) -> Response:
        if not self._shared:
            self._refuse(
                "token",
                "rejected %s with 401: unknown bearer token; is authorization_bearer_token the token of this"
                " server, was a one-time token used before it expired, and did this process create it?",
                request.remote,
            )
            return _UNAUTHORIZED
        self._count("token")
        self._troubles.info(
            "token",
            "rejected %s with 403: unknown bearer token; another process of the port range may have created it (does the proxy"
            " route by path?)",
            request.remote,
        )
        return _ANOTHER_PROCESS

    def _no_upgrade(self, request: HttpRequest) -> Response | None:
        if "sec-websocket-key" in request.headers:
            self._refuse(
                "no Upgrade header",
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
        return None  # the WebSocket server responds with 426 or 405

    def _without_token(self, request: HttpRequest) -> Response | None:
        if self._token is not None:
            self._refuse(
                "no token",
                "rejected %s with 401: no bearer token; pass authorization_bearer_token to call.stream, and have the"
                " proxy forward the Authorization header",
                request.remote,
            )
            return _UNAUTHORIZED
        if not self.tokenless or self.trials_only:
            self._refuse(
                "no token",
                "rejected %s with 401: no bearer token, and streams without one are not enabled; use listen(), give"
                " AudioServer a token or an on_stream, or call accept() first",
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
        return Response(403, {}, b"web pages from other origins may not connect to this server\n")

    def refused(self, remote: str, kind: str, why: str) -> None:
        """Count and log a peer that the server refused or dropped before it sent a request.

        :param remote: peer address.
        :param kind: kind of refusal.
        :param why: reason to log.
        """
        if kind in _ADVICE:
            self._refuse(kind, "%s %s", remote, _ADVICE[kind])
        else:
            self._refuse(kind, "refused %s: %s", remote, why)

    def _refuse(self, kind: str, message: str, *args: object) -> None:
        self._count(kind)
        self._troubles.warning(kind, message, *args)

    def _count(self, kind: str) -> None:
        self._refusals[kind] += 1
        self._refused[kind] += 1

    def refusals(self) -> dict[str, int]:
        """Return the number of refused peers by kind, for :class:`.stats.AudioServerStats`. There are only a few kinds."""
        found: Counter[str] = Counter()
        for kind, number in dict(self._refused).items():
            found[kind.replace(" ", "_").lower() if kind in REFUSAL_KINDS else "other"] += number
        return dict(found)

    def refused_since(self, expected: Expected) -> str:
        """Describe the peers that were refused since a stream was requested.

        This includes accepted connections that presented no token.

        :return: text to append to an error message, with a leading period; ``""`` if no peers were refused.
        """
        counts = [_count(kind, number) for kind, number in self.kinds_since(expected).most_common()]
        return f". {'; '.join(counts)}" if counts else ""

    def kinds_since(self, expected: Expected) -> Counter[str]:
        """Return the number of peers that :meth:`refused_since` describes, by kind of refusal."""
        since = Counter(dict(self._refusals))
        since.subtract(expected.refusals)
        return +since

    @staticmethod
    def shows_token(headers: Headers) -> bool:
        """Return whether an accepted connection presented a token. Such a token is always valid."""
        return _bearer(headers) is not None

    def claim(self, headers: Headers) -> Expected | None:
        """Invalidate an accepted connection's one-time token and return the expected stream.

        :return: the stream; ``None`` if the connection did not present a one-time token.
        """
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
        if self.trials_only and (expected is None or not expected.trial):
            return False
        if expected is not None:
            return time.monotonic() < expected.expires
        # Refuse an unknown token even if no token is required. It is a mistake, or a one-time token that was used before.
        return self._token is not None and hmac.compare_digest(digest, self._token)


def _bearer(headers: Headers) -> str | None:
    """Return the bearer token; ``None`` if there is none, as with credentials of another scheme, which a proxy may add."""
    found = _CREDENTIAL.fullmatch(headers.get("authorization", "").strip())
    return found[1] if found else None


def _is_malformed(headers: Headers) -> bool:
    """Return whether the ``Authorization`` header names the bearer scheme but contains no token, or more than a token."""
    return _BEARER.match(headers.get("authorization", "").strip()) is not None and _bearer(headers) is None


def _count(kind: str, number: int) -> str:
    one, several, question = _REFUSALS.get(kind, (f"refused connection ({kind})", f"refused connections ({kind})", ""))
    return f"{number} {one if number == 1 else several} arrived" + (f": {question}" if question else ", see the log")
