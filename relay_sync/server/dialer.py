"""Open client WebSocket connections without blocking the loop."""

from __future__ import annotations

import itertools
import os
import re
import selectors
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from ..hosts.names import USUAL_PORTS, is_localhost, literal
from .channel import Channel, tune
from .connection import Connection
from .http import BadRequest, Headers, head_end, parse_status
from .library import ClientProtocol, Frame, State, parse_uri, quiet_logger
from .loop import Loop, LoopStopped
from .websocket import MAX_BUFFER

__all__ = ["OpenFailed", "dial"]

Step = Literal["url", "resolve", "connect", "tls", "upgrade", "timeout", "stopped"]
_numbers = itertools.count(1)


class OpenFailed(ConnectionError):
    """A WebSocket connection could not be opened.

    :ivar step: the step that failed: ``url``, ``resolve``, ``connect``, ``tls``, ``upgrade``, ``timeout``, or
        ``stopped`` if the loop stopped.
    :ivar status: the HTTP status if the server answered with a status other than 101, otherwise ``None``.
    """

    def __init__(self, step: Step, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.step: Step = step
        self.status = status


def dial(
    loop: Loop,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    timeout: float,
    on_open: Callable[[Connection], object],
    on_failed: Callable[[Exception], object],
    max_message: int = 2**20,
    max_buffer: int = MAX_BUFFER,
) -> None:
    """Start opening a client connection to a ``ws`` or ``wss`` URL, and return immediately.

    The loop thread calls either ``on_open`` with the connection or ``on_failed`` with an :class:`OpenFailed`. Proxies
    are not used. Host names are resolved in a short-lived thread, except ``localhost``, which is tried as 127.0.0.1 and
    then as ``::1``.

    :param headers: additional headers for the upgrade request.
    :param ssl_context: TLS context for ``wss``; the default verifies the server's certificate.
    :param timeout: maximum time to open the connection, in seconds.
    :param max_message: maximum size of a received message, in bytes.
    :param max_buffer: maximum number of unsent bytes before the connection is dropped.
    :raises LoopStopped: the loop has been stopped, so no callback would ever run.
    """
    if loop.stopped:
        raise LoopStopped(f"{loop.name} was stopped")
    attempt = _Attempt(
        loop, url, dict(headers or {}), ssl_context, on_open, on_failed, max_message=max_message, max_buffer=max_buffer
    )
    loop.call_soon(attempt.begin, timeout)


class _Attempt:
    """One attempt to open a connection, from name resolution to the upgrade."""

    def __init__(
        self,
        loop: Loop,
        url: str,
        headers: dict[str, str],
        ssl_context: ssl.SSLContext | None,
        on_open: Callable[[Connection], object],
        on_failed: Callable[[Exception], object],
        *,
        max_message: int,
        max_buffer: int,
    ) -> None:
        self._loop = loop
        self._url = url
        self._headers = headers
        self._ssl_context = ssl_context
        self._on_open = on_open
        self._on_failed = on_failed
        self._max_message = max_message
        self._max_buffer = max_buffer
        self._done = False
        self._addresses: list[tuple[int, tuple[Any, ...]]] = []
        self._sock: socket.socket | None = None
        self._channel: Channel | None = None
        self._head = bytearray()
        self._ready = False

    def begin(self, timeout: float) -> None:
        self._loop.host(self)
        self._timer = self._loop.call_later(
            timeout, lambda: self._fail(OpenFailed("timeout", f"the connection was not open within {timeout:g} s"))
        )
        try:
            self._target = _parse(self._url)
            _check(self._headers)
            if self._target.scheme == "wss" and self._ssl_context is None:
                self._ssl_context = ssl.create_default_context()
            self._protocol = ClientProtocol(parse_uri(self._url), max_size=self._max_message, logger=quiet_logger)
        except Exception as error:
            self._fail(OpenFailed("url", str(error)))
            return
        host, port = self._target.hostname or "", self._target.port or USUAL_PORTS[self._target.scheme]
        known = _addresses_without_lookup(host, port)
        if known is not None:
            self._resolved(known, None)
            return
        args = (host, port)
        thread = threading.Thread(target=self._resolve, args=args, name=f"relay-resolve-{next(_numbers)}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._fail(OpenFailed("resolve", f"{host} could not be resolved: {error}"))

    def loop_stopping(self) -> None:
        self._fail(OpenFailed("stopped", "the loop was stopped"))

    # -- name resolution -----------------------------------------------------------------------------------------------

    def _resolve(self, host: str, port: int) -> None:
        found: list[tuple[int, tuple[Any, ...]]] = []
        problem: BaseException | None = None
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found = [(int(family), address) for family, _, _, _, address in infos]
        except BaseException as error:  # always report the failure, because the loop waits for it
            problem = error
        self._loop.call_soon(self._resolved, found, problem)

    def _resolved(self, addresses: list[tuple[int, tuple[Any, ...]]], problem: BaseException | None) -> None:
        if self._done:
            return
        if not addresses:
            self._fail(OpenFailed("resolve", f"{self._target.hostname} could not be resolved: {problem}"))
            return
        self._addresses = addresses
        self._connect_next(None)

    # -- TCP -----------------------------------------------------------------------------------------------------------

    def _connect_next(self, problem: OSError | None) -> None:
        if not self._addresses:
            self._fail(OpenFailed("connect", f"{self._target.netloc} cannot be reached: {problem}"))
            return
        family, address = self._addresses.pop(0)
        try:
            self._sock = sock = socket.socket(family, socket.SOCK_STREAM)
            tune(sock)
            sock.connect(address)
        except (BlockingIOError, InterruptedError):
            self._loop.watch(sock, selectors.EVENT_WRITE, self._connected)
        except OSError as error:
            self._drop_socket()
            self._connect_next(error)
        else:
            self._connected(0)

    def _connected(self, _mask: int) -> None:
        sock = self._sock
        if self._done or sock is None:
            return
        self._loop.watch(sock, 0, self._connected)
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._drop_socket()
            self._connect_next(OSError(number, _words(number)))
            return
        try:
            secure = self._target.scheme == "wss"
            self._channel = channel = Channel(
                self._loop,
                sock,
                max_buffer=self._max_buffer,
                ssl_context=self._ssl_context if secure else None,
                server_hostname=self._target.hostname if secure else None,
            )
        except (OSError, ValueError) as error:
            self._fail(OpenFailed("tls", str(error)))
            return
        self._sock = None  # the channel owns the socket now
        channel.on_ready = self._ask
        channel.on_data = self._on_data
        channel.on_end = self._on_end
        channel.open()

    # -- the upgrade ---------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        self._ready = True
        request = self._protocol.connect()
        for name, value in self._headers.items():
            request.headers[name] = value
        self._protocol.send_request(request)
        for chunk in self._protocol.data_to_send():
            self._channel_or_fail().write(chunk)

    def _channel_or_fail(self) -> Channel:
        if self._channel is None:
            raise RuntimeError("no channel yet")
        return self._channel

    def _on_data(self, data: bytes) -> None:
        if self._done:
            return
        self._head += data
        try:
            end = head_end(self._head)
            if end < 0:
                return
            status, headers = parse_status(bytes(self._head[:end]))
        except BadRequest as error:
            self._fail(OpenFailed("upgrade", f"{self._target.netloc} did not send a valid HTTP response: {error}"))
            return
        if status != 101:
            message = f"{self._target.netloc} refused the upgrade with HTTP status {status}"
            self._fail(OpenFailed("upgrade", message, status=status))
            return
        self._protocol.receive_data(bytes(self._head[:end]))
        events = self._protocol.events_received()
        if self._protocol.handshake_exc is not None or self._protocol.state is State.CONNECTING or not events:
            message = f"{self._target.netloc} sent an invalid response to the upgrade: {self._protocol.handshake_exc}"
            self._fail(OpenFailed("upgrade", message))
            return
        frames = [event for event in events[1:] if isinstance(event, Frame)]
        self._open(bytes(self._head[end:]), frames, headers)

    def _open(self, rest: bytes, frames: list[Frame], headers: Headers) -> None:
        channel = self._channel_or_fail()
        self._settle()
        connection = Connection(
            self._loop,
            channel,
            self._protocol,
            path=self._target.path or "/",
            query=self._target.query,
            headers=headers,
            on_gone=lambda _: None,
        )
        try:
            self._on_open(connection)
        except BaseException:
            connection.close(1011)
            raise
        finally:
            connection.start(rest, frames)

    def _on_end(self, error: Exception | None) -> None:
        step: Step = "upgrade" if self._ready else "tls"
        words = str(error) if error is not None else "the server closed the connection"
        failed = OpenFailed(step, f"{self._target.netloc}: {words}")
        failed.__cause__ = error
        self._fail(failed)

    # -- end of the attempt --------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        self._done = True
        self._timer.cancel()
        self._loop.release(self)

    def _drop_socket(self) -> None:
        if self._sock is not None:
            self._loop.watch(self._sock, 0, self._connected)
            self._sock.close()
            self._sock = None

    def _fail(self, error: OpenFailed) -> None:
        if self._done:
            return
        self._settle()
        self._drop_socket()
        if self._channel is not None:
            self._channel.drop()
        self._on_failed(error)


def _parse(url: str) -> SplitResult:
    if not re.fullmatch(r"[\x21-\x7e]+", url):
        raise ValueError("the URL must be printable ASCII without spaces")
    target = urlsplit(url)
    if target.scheme not in ("ws", "wss") or not target.hostname:
        raise ValueError("the URL must be ws://host... or wss://host...")
    if target.username is not None or target.password is not None or "#" in url:
        raise ValueError("the URL must not contain credentials or a fragment")
    if target.port == 0:
        raise ValueError("the URL's port must not be 0")
    return target


def _check(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not re.fullmatch(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+", name) or not re.fullmatch(r"[\t\x20-\x7e]*", value):
            raise ValueError(f"the header {name!r} contains invalid characters")


def _addresses_without_lookup(host: str, port: int) -> list[tuple[int, tuple[Any, ...]]] | None:
    if is_localhost(host):
        return [(socket.AF_INET, ("127.0.0.1", port)), (socket.AF_INET6, ("::1", port))]
    address = literal(host)
    if address is None:
        return None
    return [(socket.AF_INET6 if address.version == 6 else socket.AF_INET, (host, port))]


def _words(number: int) -> str:
    return os.strerror(number)
