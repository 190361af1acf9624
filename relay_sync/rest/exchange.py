"""Send HTTP requests with deadlines and safe retries, and convert errors.

All requests are retried if no connection was established, because nothing was sent, or if the server rejected them with 429.
Requests that may safely be executed twice, such as GET requests and ``*.stop`` commands, are also retried if the reply was lost
or if the server answered 502, 503 or 504. Other requests are not retried. A repeated dial, for example, would place and bill a
second call.
"""

from __future__ import annotations

import datetime
import email.utils
import random
import re
import socket
import ssl
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import requests
from attrs import frozen
from requests import exceptions
from urllib3 import exceptions as inner

from ..config import Address, Config
from ..constants import AGENT
from ..deadline import Deadline
from ..errors import ClientClosed, ConnectError, ConnectionLost, ConnectTimeout, RelayError, RequestTimeout
from ..hosts.authorities import trust_variables, trusting
from ..hosts.names import place_of
from ..hosts.proxies import Proxy, Unusable, find_proxy
from ..protocol.backoff import retry_delay
from ..text.causes import apart, chain
from ..threads.descriptors import are_lacking, lack, without_descriptors
from ..threads.outcome import wait_for_event
from .sessions import Sessions, detached_session
from .sockets import Admit, has_sent, until

__all__ = ["Answer", "Exchange", "http_url", "read_body", "reading", "retry_after"]

MAX_ANSWER: Final = 2**20
LONGEST_PAUSE: Final = 30.0
_TROUBLED: Final = frozenset({502, 503, 504})
#: The message of http.client for a CONNECT request that the proxy refused.
_TUNNEL: Final = re.compile(r"Tunnel connection failed: ([0-9]{3}) ?(.*)")


def http_url(address: Address) -> str:
    """Return the HTTP URL for a WebSocket address, with ``https`` in place of ``wss``, or ``http`` in place of ``ws``."""
    return "http" + address.url.removeprefix("ws")


@frozen(kw_only=True)
class Answer:
    """Status, headers and body of a reply."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Failed = ConnectError | ConnectionLost | RequestTimeout


class Exchange:
    """Sends HTTP requests for a client. Thread-safe.

    :param config: client's configuration.
    :param read_timeout: timeout for each read, in seconds.
    :param retries: maximum number of retries per request.
    """

    def __init__(self, config: Config, *, read_timeout: float, retries: int) -> None:
        self.base: str = http_url(config.address)
        self._config = config
        self._read_timeout = read_timeout
        self.retries = retries
        self._sessions = Sessions(self._make)

    @property
    def closed(self) -> bool:
        """Whether the client was closed."""
        return self._sessions.closed.is_set()

    def close(self) -> None:
        """Close all threads' connections."""
        self._sessions.close()

    def _make(self) -> requests.Session:
        session = detached_session(lambda: trusting(self._config.ca_file))
        session.headers.update({"User-Agent": AGENT, "Accept": "application/json"})
        return session

    def post(self, path: str, body: bytes, *, what: str, deadline: Deadline, repeatable: bool) -> Answer:
        """Send a POST request, and retry it if that is safe.

        :param path: URL path.
        :param body: request body.
        :param what: name of the command, for error messages.
        :param deadline: deadline for the request including its retries.
        :param repeatable: whether the command may safely be executed twice.
        """
        failures = 0
        while True:
            outcome = self._outcome(path, body, what, deadline)
            retry_in = _retry_in(outcome, failures, repeatable)
            left = deadline.remaining(time.monotonic()) or 0.0
            if retry_in is None or failures >= self.retries or retry_in > min(left, LONGEST_PAUSE):
                if isinstance(outcome, RelayError):
                    raise outcome
                return outcome
            failures += 1
            self.pause(retry_in)

    def _outcome(self, path: str, body: bytes, what: str, deadline: Deadline) -> Answer | Failed:
        try:
            return self._post_once(path, body, what, deadline)
        except (ConnectError, ConnectionLost, RequestTimeout) as error:
            return error

    def pause(self, seconds: float) -> None:
        """Wait before the next attempt.

        :raises ClientClosed: the client was closed before or during the wait.
        """
        if wait_for_event(self._sessions.closed, seconds):
            raise ClientClosed("this RestClient was closed")

    def _post_once(self, path: str, body: bytes, what: str, deadline: Deadline) -> Answer:
        headers = {"Content-Type": "application/json"}
        with self.open("POST", self.base + path, what, deadline, headers=headers, body=body, ours=True) as response:
            with reading(what, sent=True):
                body = read_body(response, MAX_ANSWER)
            return Answer(status=response.status_code, headers=response.headers, body=body)

    @contextmanager
    def open(
        self,
        method: str,
        url: str,
        what: str,
        deadline: Deadline,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        ours: bool,
        admit: Admit | None = None,
    ) -> Iterator[requests.Response]:
        """Send a request, and yield the response before its body is read. Redirects are not followed.

        :param method: HTTP method.
        :param url: the URL.
        :param what: name of the operation, for error messages.
        :param deadline: deadline for the request and for reading the body.
        :param headers: request headers.
        :param body: request body, or ``None``.
        :param ours: whether to send the credentials.
        :param admit: function that returns whether a request may be sent to an address. It is not called behind a proxy.
        :raises NotAdmitted: ``admit`` returned false.
        """
        now = time.monotonic()
        left = deadline.remaining(now)
        if left is not None and left <= 0:
            raise RequestTimeout(f"{what}: the timeout expired")
        connect, read = self._config.connect_timeout, self._read_timeout
        proxy = self._proxy_for(url, what)
        with self._sessions.taken() as session, until(now + (left if left is not None else 1e9), admit):
            with reading(what, sent=False, proxy=proxy):
                response = session.request(
                    method,
                    url,
                    data=body,
                    headers=dict(headers),
                    auth=(self._config.project, self._config.token) if ours else None,
                    timeout=(connect, read) if left is None else (min(connect, left), min(read, left)),
                    allow_redirects=False,
                    stream=True,
                    verify=True,
                    proxies={} if proxy is None else dict.fromkeys(("http", "https"), proxy.url),
                )
            with response:
                if proxy is not None and response.status_code == 407:
                    raise _refused(what, proxy, urlsplit(url).netloc, 407, response.reason)
                yield response

    def time_to_connect(self, deadline: Deadline) -> float:
        """Return the time left to establish a connection, including the DNS lookup, in seconds."""
        left = deadline.remaining(time.monotonic())
        return self._config.connect_timeout if left is None else min(self._config.connect_timeout, left)

    def _proxy_for(self, url: str, what: str) -> Proxy | None:
        place = place_of(url)
        if place is None:
            return None
        try:
            return find_proxy(place.host, place.port, secure=place.scheme == "https", given=self._config.proxy)
        except Unusable as error:
            raise ConnectError(f"{what}: {error}", fatal=True) from None


def _retry_in(outcome: Answer | Failed, failures: int, repeatable: bool) -> float | None:
    """Return the number of seconds to wait before the next attempt, or ``None`` if the request must not be retried."""
    if isinstance(outcome, Answer):
        if outcome.status != 429 and not (outcome.status in _TROUBLED and repeatable):
            return None
        asked = retry_after(outcome.headers.get("Retry-After", ""))
        return retry_delay(failures + 1, random.random()) if asked is None else asked
    if isinstance(outcome, ConnectError):
        return None if outcome.fatal else retry_delay(failures, random.random())
    return retry_delay(failures, random.random()) if repeatable else None


def read_body(response: requests.Response, most: int, *, decode: bool = True) -> bytes:
    """Read the body of a response that was requested with ``stream=True``.

    :param response: the response.
    :param most: maximum size, in bytes. The rest of a longer body is left out.
    :param decode: whether to decompress a compressed body.
    """
    parts: list[bytes] = []
    size = 0
    while size <= most and (part := response.raw.read(65536, decode_content=decode)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)[:most]


@contextmanager
def reading(what: str, *, sent: bool, proxy: Proxy | None = None) -> Iterator[None]:
    """Convert errors raised in the block to this SDK's exceptions. The original errors contain URLs, so they are not chained.

    A :class:`ConnectError` means that nothing was sent. If bytes may have been sent, the exception is :class:`ConnectionLost` or
    :class:`RequestTimeout`.

    :param what: name of the operation, for error messages.
    :param sent: whether the request is known to have reached the server. If false, :func:`has_sent` is used.
    :param proxy: proxy in use, for error messages.
    """
    way = "" if proxy is None else f" through {proxy}"
    handled = sys.exception()
    try:
        yield
    except (Unusable, exceptions.RequestException, inner.HTTPError, OSError) as error:
        apart(error, handled)
        if sent or has_sent():
            raise _after_sending(what, way, error) from None
        raise _before_sending(what, way, proxy, error) from None


def _after_sending(what: str, way: str, error: Exception) -> ConnectionLost | RequestTimeout:
    if _is_timeout(error):
        return RequestTimeout(f"{what}: the server did not reply before the timeout{way and f' (reached{way})'}")
    return ConnectionLost(f"{what}: the connection{way} was lost ({_cause(error)})", sent=True)


def _before_sending(what: str, way: str, proxy: Proxy | None, error: Exception) -> ConnectError:
    # Check for missing file descriptors first. The libraries report them as an unknown host or an unreadable certificate.
    if lack(error) or are_lacking():
        return without_descriptors(what, None)
    if isinstance(error, Unusable):
        return ConnectError(f"{what}: {error}", fatal=True)
    if isinstance(error, exceptions.ProxyError):
        return _by_proxy(what, proxy, error)
    if _is_timeout(error):
        return ConnectTimeout(f"{what}: no connection{way} before the timeout")
    if isinstance(error, exceptions.SSLError):
        return ConnectError(_no_tls(what, way, error), fatal=True)
    return ConnectError(f"{what}: no connection{way} ({_cause(error)})", fatal=_is_unknown_name(_root(error)))


def _is_timeout(error: Exception) -> bool:
    root = _root(error)
    if isinstance(root, inner.NewConnectionError):  # this is not a timeout, although it is a subclass of one
        return False
    kinds = (exceptions.Timeout, inner.TimeoutError, TimeoutError)
    return isinstance(error, kinds) or isinstance(root, kinds)


def _no_tls(what: str, way: str, error: BaseException) -> str:
    """Return the error message for a failed TLS handshake.

    :param way: phrase that names the proxy, or ``""`` if there is none.
    """
    names = trust_variables()  # environment variables that replace the system's certificate authorities
    decided = f"the certificate authorities come from {' and '.join(names)}; " if names else ""
    return f"{what}: no TLS connection{way} ({_cause(error)}); {decided}check host and ca_file"


def _by_proxy(what: str, proxy: Proxy | None, error: exceptions.ProxyError) -> ConnectError:
    """Return the exception for a failed connection to the proxy, or for a request that the proxy refused."""
    root = _root(error)
    if proxy is None:  # requests has selected a proxy
        return ConnectError(f"{what}: no connection through the proxy ({_cause(error)})")
    for each in chain(root):
        if isinstance(each, TimeoutError):
            return ConnectTimeout(f"{what}: {proxy} did not answer before the timeout")
        if isinstance(each, ssl.SSLError):
            return ConnectError(
                _no_tls(what, f" through {proxy}", error), fatal=isinstance(each, ssl.SSLCertVerificationError)
            )
        refused = _TUNNEL.search(str(each))
        if refused is not None:
            return _refused(what, proxy, "the server", int(refused[1]), refused[2])
    if _is_unknown_name(root):
        return ConnectError(f"{what}: {proxy.unknown}", fatal=True)
    return ConnectError(f"{what}: no connection through {proxy} ({_cause(error)})")


def _refused(what: str, proxy: Proxy, target: str, status: int, reason: str) -> ConnectError:
    message, final = proxy.refusal(target, status, reason or "")
    return ConnectError(f"{what}: {message}", fatal=final)


def _root(error: BaseException) -> BaseException:
    """Return the urllib3 exception wrapped in a requests exception, or the exception itself."""
    found: object = error.args[0] if error.args else error
    found = getattr(found, "reason", found)
    return found if isinstance(found, BaseException) else error


def _is_unknown_name(error: BaseException) -> bool:
    """Return whether a host name does not exist. A temporary DNS failure does not count."""
    return any(isinstance(each, socket.gaierror) and each.errno == socket.EAI_NONAME for each in chain(error))


def _cause(error: BaseException) -> str:
    """Return a short description of a failure. The exception's text is not used, because it may contain the URL."""
    *_, deepest = chain(_root(error))
    if isinstance(deepest, OSError) and deepest.strerror:
        return deepest.strerror
    return type(deepest).__name__


def retry_after(text: str) -> float | None:
    """Parse a ``Retry-After`` header, which contains seconds or a date.

    :return: the number of seconds to wait, or ``None`` if the header is missing or invalid.
    """
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.UTC)
    return max(0.0, (when - datetime.datetime.now(datetime.UTC)).total_seconds())
