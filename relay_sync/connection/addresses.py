"""Resolve a host name and open a TCP connection to it (RFC 8305, "Happy Eyeballs").

Connection attempts to a host's addresses start 0.25 s apart and run in parallel. The first established connection is used. An
unreachable address, often an IPv6 address, therefore delays the connection by only 0.25 s.
"""

from __future__ import annotations

import errno
import itertools
import os
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any, Final

from ..deadline import Deadline
from ..errors import ConnectError
from ..hosts.names import is_loopback, unbracketed
from ..threads.descriptors import are_lacking, without_descriptors
from ..threads.timeouts import TimeLeft

__all__ = ["AddressInfo", "connect_any", "open_tcp", "time_left"]

#: Maximum number of unsent bytes that the operating system may buffer for a connection.
UNSENT: Final = 128 * 1024
#: Seconds between the starts of two connection attempts (RFC 8305, section 5).
HEAD_START: Final = 0.25
_UNDER_WAY: Final = frozenset(
    {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY, getattr(errno, "WSAEWOULDBLOCK", 0)}
)

AddressInfo = tuple[Any, Any, int, str, Any]


def time_left(deadline: Deadline) -> float:
    """Return the number of seconds until the deadline, or 30 if there is none.

    :raises TimeoutError: the deadline has passed.
    """
    left = deadline.remaining(time.monotonic())
    if left is not None and left <= 0:
        raise TimeoutError("the timeout for connecting has expired")
    return 30.0 if left is None else left


def open_tcp(
    host: str, port: int, deadline: Deadline, opened: Callable[[socket.socket], None], unknown: str
) -> socket.socket:
    """Resolve a host name and connect to it.

    :param host: host name or address.
    :param port: the port.
    :param deadline: deadline for the connection.
    :param opened: function that is called with each new socket, and repeatedly with the most recent socket while waiting. It
        may raise to cancel the attempt.
    :param unknown: error message if the host name does not exist.
    :return: a connected, non-blocking socket.
    :raises ConnectError: the host name does not exist. ``fatal`` is set.
    :raises OSError: no connection could be established.
    """
    host = unbracketed(host)
    if is_loopback(host):
        host = host.removesuffix(".")  # some resolvers cannot resolve "localhost."
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        # Without free file descriptors, the resolver cannot read its files, and its error is misleading.
        if are_lacking():
            raise without_descriptors("the connection", error) from error
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
            raise ConnectError(unknown, fatal=True) from error
        raise
    if not found:
        raise ConnectionRefusedError(f"no address for {host}")
    return connect_any(found, deadline, opened)


def connect_any(
    found: list[AddressInfo], deadline: Deadline, opened: Callable[[socket.socket], None] = lambda sock: None
) -> socket.socket:
    """Connect to the address that answers first.

    :param found: addresses as returned by ``socket.getaddrinfo``.
    :param deadline: deadline for the connection.
    :param opened: as for :func:`open_tcp`.
    :return: a connected, non-blocking socket.
    :raises OSError: no connection could be established.
    """
    with _Race(opened) as race:
        return race.run(_alternating(found), deadline)


def _alternating(found: list[AddressInfo]) -> list[AddressInfo]:
    """Reorder addresses to alternate between families. An unreachable family then delays the connection only once."""
    families: dict[Any, list[AddressInfo]] = {}
    for info in found:
        families.setdefault(info[0], []).append(info)
    turns = itertools.chain.from_iterable(itertools.zip_longest(*families.values()))
    return [info for info in turns if info is not None]


class _Race:
    """Parallel connection attempts. Leaving the ``with`` block closes all sockets except the connected one."""

    def __init__(self, opened: Callable[[socket.socket], None]) -> None:
        self._opened = opened
        self._selector = selectors.DefaultSelector()
        self._running: list[socket.socket] = []
        self._failure: OSError = TimeoutError("no address answered before the timeout")

    def __enter__(self) -> _Race:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for sock in self._running:
            sock.close()

    def run(self, addresses: list[AddressInfo], deadline: Deadline) -> socket.socket:
        for info in addresses:
            winner = self._begin(info) or self._wait(min(HEAD_START, time_left(deadline)))
            if winner is not None:
                return self._won(winner)
        while self._running:
            self._opened(self._running[-1])  # raises if the attempt was abandoned
            winner = self._wait(min(HEAD_START, time_left(deadline)))
            if winner is not None:
                return self._won(winner)
        raise self._failure

    def _begin(self, info: AddressInfo) -> socket.socket | None:
        family, kind, number, _, target = info
        try:
            sock = socket.socket(family, kind, number)
        except OSError as error:  # this machine does not support the address family
            self._failure = error
            return None
        self._running.append(sock)
        self._opened(sock)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            _hold_little(sock)
            result = sock.connect_ex(target)
        except OSError as error:
            self._lost(sock, error)
            return None
        if result == 0:
            return sock
        if result in _UNDER_WAY:
            self._selector.register(sock, selectors.EVENT_WRITE)
        else:
            self._lost(sock, OSError(result, os.strerror(result)))
        return None

    def _wait(self, seconds: float) -> socket.socket | None:
        """Wait until a socket is connected, all attempts have failed, or the time has elapsed.

        :return: the connected socket, or ``None``.
        """
        left = TimeLeft(seconds)
        while self._running:
            longest = max(0.0, left() or 0.0)
            found = self._selector.select(longest)
            for key, _ in found:
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                self._selector.unregister(sock)
                result = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if result == 0:
                    return sock
                self._lost(sock, OSError(result, os.strerror(result)))
            if not found:
                left.waited(longest)
            if left.over:
                return None
        return None

    def _lost(self, sock: socket.socket, error: OSError) -> None:
        self._failure = error
        self._running.remove(sock)
        sock.close()

    def _won(self, sock: socket.socket) -> socket.socket:
        self._running.remove(sock)
        return sock


def _hold_little(sock: socket.socket) -> None:
    """Limit the operating system's send buffer.

    The timeout for a reply starts when the operating system has accepted the command. A large buffer would start the timeout too
    early.
    """
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)  # not available on Windows
    try:
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, UNSENT)
    except OSError:  # not supported in some sandboxes
        pass
