"""HTTP connections that enforce a deadline for all reads, for use with requests.

The timeouts in requests apply to each individual read, so a slow peer could block a caller indefinitely. :func:`until` sets a
deadline for all reads on the calling thread, and the connections of :class:`TimedAdapter` enforce it. The connections also keep
query strings out of urllib3's logs.
"""

from __future__ import annotations

import http.client
import io
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Final

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

try:
    from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
except ImportError as _error:  # requests accepts urllib3 1.26, too
    raise ImportError(
        f"relay_sync.rest needs urllib3 2 or newer, found {version('urllib3')}: pip install --upgrade urllib3"
    ) from _error

from ..hosts.names import look_up
from ..hosts.proxies import read_proxy

__all__ = ["Admit", "NotAdmitted", "TimedAdapter", "has_sent", "peer", "until"]

#: Maximum number of interim responses to skip. The request fails if there are more.
MOST_INTERIM: Final = 100
_SHORTEST: Final = 0.001  # minimum timeout in seconds, because 0 would make the socket non-blocking

_clock = threading.local()
_NOTHING: Final = {"end": None, "admit": None, "peer": None, "sent": False}

Admit = Callable[[str], bool]


class NotAdmitted(Exception):
    """Connections to this address are not allowed."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


@contextmanager
def until(end: float, admit: Admit | None = None) -> Iterator[None]:
    """Set the deadline for all reads that this thread performs in the block.

    :param end: the deadline, as a ``time.monotonic()`` value.
    :param admit: function that returns whether a request may be sent to an address. It is called with the established
        connection's address before any byte is sent, so a second DNS lookup cannot change the address. It is not called behind a
        proxy, which resolves the name itself.
    """
    before = dict(_clock.__dict__)
    try:
        _clock.__dict__.update(end=end, admit=admit, peer=None, sent=False)
        yield
    finally:  # restore the values of an outer request, which a signal handler may have interrupted
        _clock.__dict__.update(_NOTHING | before)


def peer() -> str | None:
    """Return the address to which this thread sent its latest request, or ``None`` if it used a proxy."""
    found: str | None = getattr(_clock, "peer", None)
    return found


def has_sent() -> bool:
    """Return whether any bytes of this thread's latest request may have been sent. If so, the server may have executed it.

    TLS handshake bytes and CONNECT requests to a proxy do not count.
    """
    return bool(getattr(_clock, "sent", False))


class _TimedRaw(io.RawIOBase):
    """A socket's raw stream. Reads are limited by both the deadline and the socket's timeout."""

    def __init__(self, raw: Any, sock: Any, end: float) -> None:
        self._raw = raw
        self._sock = sock
        self._end = end
        self._patience = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left if self._patience is None else min(self._patience, left))
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _TimedSocket:
    """Wrapper around a socket whose ``makefile`` returns a reader with a deadline."""

    def __init__(self, sock: Any, end: float) -> None:
        self._sock = sock
        self._end = end

    def makefile(self, *args: Any, **options: Any) -> io.BufferedReader:
        # Wrap a file of the socket, so that the socket stays open until the file is closed.
        return io.BufferedReader(_TimedRaw(self._sock.makefile("rb", buffering=0), self._sock, self._end))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Target(str):
    """A request target whose query is masked. The complete target is in ``whole``.

    urllib3 logs the target, and its query may contain tokens. The target itself is masked, rather than the log message, because
    some log collectors store the arguments of log calls.
    """

    whole: str

    def __new__(cls, whole: str) -> _Target:
        path, mark, _ = whole.partition("?")
        made = super().__new__(cls, f"{path}?***" if mark else path)
        made.whole = whole
        return made


class _Discreet:
    """Mix-in for connection pools that keeps queries out of the logs."""

    def _make_request(self, conn: Any, method: str, url: str, *args: Any, **options: Any) -> Any:
        return super()._make_request(conn, method, _Target(url), *args, **options)  # type: ignore[misc]


class _FinalAnswer(http.client.HTTPResponse):
    """Response that skips interim responses (RFC 9110, section 15.2), up to a limit.

    The base class skips only status 100, and has no limit.
    """

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MOST_INTERIM + 1):
            line: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if not 100 <= line[1] < 200 or line[1] == 101:
                return line
            http.client.parse_headers(self.fp)
        self._close_conn()  # type: ignore[attr-defined]
        raise http.client.HTTPException(f"more than {MOST_INTERIM} interim responses")


class _Timed:
    """Mix-in for connections that checks the peer's address and reads the response with a deadline."""

    sock: Any
    proxy: Any
    port: Any
    timeout: Any
    _dns_host: str
    response_class: Any = _FinalAnswer
    _connecting = False

    def connect(self) -> None:
        self._connecting = True
        try:
            super().connect()  # type: ignore[misc]
        finally:
            self._connecting = False

    def send(self, data: Any) -> None:
        if self.sock is None:  # http.client connects when it sends the first byte
            self.connect()
        if not self._connecting:  # otherwise these are bytes of a CONNECT request to the proxy
            _clock.sent = True
        super().send(data)  # type: ignore[misc]

    def _new_conn(self) -> Any:
        sock = self._connected()
        try:
            self._admit(sock)
        except BaseException:
            sock.close()
            raise
        return sock

    def _connected(self) -> Any:
        """Connect to the first address that answers. The connect timeout covers the DNS lookup and all attempts."""
        host, patience = self._dns_host, self.timeout
        end = min(getattr(_clock, "end", None) or math.inf, time.monotonic() + patience)
        failure: Exception | None = None
        try:
            for address in self._addresses(end - time.monotonic()):
                self._dns_host, self.timeout = address, max(end - time.monotonic(), _SHORTEST)
                try:
                    return super()._new_conn()  # type: ignore[misc]
                except (ConnectTimeoutError, NewConnectionError) as error:
                    failure = error
        finally:
            self._dns_host, self.timeout = host, patience
        raise failure or NewConnectionError(self, "the name has no address")  # type: ignore[arg-type]

    def _addresses(self, within: float) -> list[str]:
        host: str = self._dns_host
        try:
            found = look_up(host, self.port, within)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "the name lookup did not finish before the timeout") from error
        except socket.gaierror as error:
            raise NameResolutionError(host, self, error) from error  # type: ignore[arg-type]
        except UnicodeError:  # the name is invalid, so let urllib3 raise its error
            return [host]
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    def _admit(self, sock: Any) -> None:
        if self.proxy is not None:
            return
        try:
            address = str(sock.getpeername()[0])
        except OSError:  # the peer has already closed the connection
            return
        admit = getattr(_clock, "admit", None)
        if admit is not None and not admit(address):
            raise NotAdmitted(address)
        _clock.peer = address

    def putrequest(self, method: str, url: str, *args: Any, **options: Any) -> Any:
        if self.sock is not None:  # this is a pooled connection that an earlier request opened
            self._admit(self.sock)
        return super().putrequest(method, getattr(url, "whole", url), *args, **options)  # type: ignore[misc]

    def getresponse(self, *args: Any, **options: Any) -> Any:
        end, sock = getattr(_clock, "end", None), self.sock
        if end is None or sock is None:
            return super().getresponse(*args, **options)  # type: ignore[misc]
        self.sock = _TimedSocket(sock, end)
        try:
            return super().getresponse(*args, **options)  # type: ignore[misc]
        finally:
            if self.sock is not None:  # it is None if the end of the connection marks the end of the response
                self.sock = sock


class _Plain(_Timed, HTTPConnection):
    pass


class _Secure(_Timed, HTTPSConnection):
    pass


class _PlainPool(_Discreet, HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(_Discreet, HTTPSConnectionPool):
    ConnectionCls = _Secure


class TimedAdapter(HTTPAdapter):
    """Adapter for ``requests.Session.mount`` whose connections enforce the deadline set by :func:`until`.

    :param trusting: function that creates the TLS context. It is called for the first https request. The context determines
        which certificate authorities are trusted.
    """

    def __init__(self, trusting: Callable[[], ssl.SSLContext]) -> None:
        self._trusting = trusting
        self._context: ssl.SSLContext | None = None
        super().__init__(pool_connections=4, pool_maxsize=2, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        # Build the header as for RELAY connections. requests would drop credentials that have no password.
        authorization = read_proxy(proxy, "proxy").authorization
        return {"Proxy-Authorization": authorization} if authorization else {}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        # This replaces the method of requests, which adds the certificate authorities of certifi to the context.
        if url.lower().startswith("https:"):
            if self._context is None:
                self._context = self._trusting()
            conn.cert_reqs = "CERT_REQUIRED"
            conn.ca_certs = conn.ca_cert_dir = None
            conn.conn_kw["ssl_context"] = self._context
