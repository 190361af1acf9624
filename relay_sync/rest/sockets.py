"""Reading that ends at a deadline: the time limits of requests are per read, so a peer that drips could hold a caller for ever.

:func:`until` sets the deadline for what the calling thread reads; connections of :class:`TimedAdapter` keep to it. They
also keep queries out of what urllib3 logs.
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
from typing import Any, Final

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from ..hosts.names import look_up
from ..hosts.proxies import read_proxy

__all__ = ["Admit", "NotAdmitted", "TimedAdapter", "has_sent", "peer", "until"]

#: Interim answers that are passed over before a connection is given up.
MOST_INTERIM: Final = 100
_SHORTEST: Final = 0.001  # seconds; none would mean not to block

_clock = threading.local()
_NOTHING: Final = {"end": None, "admit": None, "peer": None, "sent": False}

Admit = Callable[[str], bool]


class NotAdmitted(Exception):
    """A connection to this address must not be used."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


@contextmanager
def until(end: float, admit: Admit | None = None) -> Iterator[None]:
    """Let nothing that this thread reads inside take beyond ``end`` (``time.monotonic()``).

    :param admit: whether a request may go to an address. It is asked for the address of the connection itself, which no
        second look-up of the name can change, before a byte is sent. Not asked behind a proxy, which looks up the name.
    """
    before = dict(_clock.__dict__)
    try:
        _clock.__dict__.update(end=end, admit=admit, peer=None, sent=False)
        yield
    finally:  # a signal handler may have sent a request in the middle of this thread's own
        _clock.__dict__.update(_NOTHING | before)


def peer() -> str | None:
    """The address that this thread's latest request went to; ``None`` for one through a proxy."""
    found: str | None = getattr(_clock, "peer", None)
    return found


def has_sent() -> bool:
    """Whether a byte of this thread's latest request may have left, so that the server may have carried it out.

    What was said to a proxy, or for TLS, is not the request.
    """
    return bool(getattr(_clock, "sent", False))


class _TimedRaw(io.RawIOBase):
    """A socket's bytes; each read gets the patience of the socket or what is left of the time, whatever is less."""

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
    """A socket whose file reads by the clock; in all else the socket."""

    def __init__(self, sock: Any, end: float) -> None:
        self._sock = sock
        self._end = end

    def makefile(self, *args: Any, **options: Any) -> io.BufferedReader:
        # From the socket's own file, so that closing the one waits for the other as usual.
        return io.BufferedReader(_TimedRaw(self._sock.makefile("rb", buffering=0), self._sock, self._end))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Target(str):
    """A path without its query, which it only carries: urllib3 logs what it asks for, tokens travel there, and some who
    collect logs look at what is to be put into a message.
    """

    whole: str

    def __new__(cls, whole: str) -> _Target:
        path, mark, _ = whole.partition("?")
        made = super().__new__(cls, f"{path}?***" if mark else path)
        made.whole = whole
        return made


class _Discreet:
    """Mixed into a pool: what it logs of a request is without the query."""

    def _make_request(self, conn: Any, method: str, url: str, *args: Any, **options: Any) -> Any:
        return super()._make_request(conn, method, _Target(url), *args, **options)  # type: ignore[misc]


class _FinalAnswer(http.client.HTTPResponse):
    """The answer after the interim ones (RFC 9110, 15.2): http.client passes over 100 alone, and without end."""

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MOST_INTERIM + 1):
            line: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if not 100 <= line[1] < 200 or line[1] == 101:
                return line
            http.client.parse_headers(self.fp)
        self._close_conn()  # type: ignore[attr-defined]
        raise http.client.HTTPException(f"more than {MOST_INTERIM} interim answers")


class _Timed:
    """Mixed into a connection: only to an address that is admitted, the whole target goes out, and the answer is read from a
    timed socket.
    """

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
        if self.sock is None:  # http.client opens it at the first byte
            self.connect()
        if not self._connecting:  # else it is for the proxy
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
        """A connection to the first address that answers: looking up the name and trying them all takes as long as one may."""
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
            raise ConnectTimeoutError(self, "the name was not found in time") from error
        except socket.gaierror as error:
            raise NameResolutionError(host, self, error) from error  # type: ignore[arg-type]
        except UnicodeError:  # no name: urllib3 has its own words for that
            return [host]
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    def _admit(self, sock: Any) -> None:
        if self.proxy is not None:
            return
        try:
            address = str(sock.getpeername()[0])
        except OSError:  # it is closed already
            return
        admit = getattr(_clock, "admit", None)
        if admit is not None and not admit(address):
            raise NotAdmitted(address)
        _clock.peer = address

    def putrequest(self, method: str, url: str, *args: Any, **options: Any) -> Any:
        if self.sock is not None:  # one of the pool, which an earlier request has opened
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
            if self.sock is not None:  # it is where the answer ends with the connection
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
    """For ``requests.Session.mount``: few connections, no retries of its own, and answers that keep to :func:`until`.

    :param trusting: makes the TLS context, once, when it is first needed; it alone says whom to trust.
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
        # The same credentials as for RELAY: requests sends none that lack a password.
        authorization = read_proxy(proxy, "proxy").authorization
        return {"Proxy-Authorization": authorization} if authorization else {}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        # Not that of requests, which adds the authorities of certifi to those of the context.
        if url.lower().startswith("https:"):
            if self._context is None:
                self._context = self._trusting()
            conn.cert_reqs = "CERT_REQUIRED"
            conn.ca_certs = conn.ca_cert_dir = None
            conn.conn_kw["ssl_context"] = self._context
