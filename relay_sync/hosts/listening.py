"""Listening sockets for all of a host's addresses."""

from __future__ import annotations

import errno
import socket
from typing import Any

from .names import bracketed, is_localhost, literal, look_up, unbracketed

__all__ = ["PortInUse", "explained", "is_everywhere", "listen", "shown_address", "url_host"]

_BACKLOG = 1024
_LOOK_UP = 10.0  # maximum time to resolve a host name, in seconds
_ATTEMPTS = 16  # how many free ports to try until one is free in all address families
_EVERYWHERE = ((socket.AF_INET6, ("::", 0)), (socket.AF_INET, ("0.0.0.0", 0)))
_HERE = ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET6, ("::1", 0)))
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)
_Place = tuple[int, tuple[Any, ...]]  # address family and socket address


class PortInUse(OSError):
    """Raised if a port is in use, or all ports of a range are. Its ``errno`` is ``EADDRINUSE``.

    :ivar where: the address, such as ``127.0.0.1:8765``, or a description of the range.
    """

    def __init__(self, where: str, message: str) -> None:
        super().__init__(errno.EADDRINUSE, message)
        self.where: str = where


def listen(host: str, port: int | range) -> list[socket.socket]:
    """Open listening sockets on all addresses of ``host``, using the same port for all of them.

    The hosts ``::``, ``*`` and ``""`` stand for all IPv6 and IPv4 addresses, and ``0.0.0.0`` for all IPv4 addresses.
    ``localhost`` stands for 127.0.0.1 and ::1. Any other name is resolved to all of its addresses. Address families not
    supported by this machine are skipped.

    :param port: the port to listen on; 0 chooses a free port. From a range, the first port that is free in all address
        families is taken, even if other processes choose from the same range at the same time.
    :raises PortInUse: an address is in use, or every port of the range is.
    :raises OSError: no address belongs to this machine, or the name could not be resolved in
        time. The message includes the address and suggests a fix.
    """
    host = _inner(host)
    places = _places(host)
    if isinstance(port, range):
        return _first_free(places, port, host)
    for attempt in range(_ATTEMPTS):
        try:
            return _listen_on(places, port, needed=_needed(host))
        except OSError as error:
            # The port that the system chose for one address family is in use in the other.
            if port or error.errno != errno.EADDRINUSE or attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def shown_address(address: tuple[Any, ...]) -> str:
    """Return a socket address as ``address:port``."""
    return f"{bracketed(str(address[0]))}:{address[1]}"


def url_host(host: str) -> str:
    """Return the URL host for a local server that listens on ``host``."""
    if is_everywhere(host):
        return "[::1]" if ":" in host else "127.0.0.1"
    return bracketed(_inner(host))


def is_everywhere(host: str) -> bool:
    """Return whether ``host`` is a wildcard address, such as ``::`` or ``0.0.0.0``."""
    address = literal(_inner(host) or "0.0.0.0")
    return address is not None and address.is_unspecified  # a host name is not an address


def _inner(host: str) -> str:
    """Return a host without brackets. ``*`` becomes an empty string."""
    return "" if host == "*" else unbracketed(host)


def _places(host: str) -> tuple[_Place, ...]:
    if host in ("", "::"):
        return _EVERYWHERE
    if is_localhost(host):
        return _HERE
    try:
        found = look_up(host, 0, _LOOK_UP, flags=socket.AI_PASSIVE)
    except TimeoutError as error:
        message = f"host {host!r}: it could not be resolved within {_LOOK_UP:g} s"
        raise OSError(errno.ETIMEDOUT, message) from error
    except (socket.gaierror, UnicodeError) as error:
        raise OSError(errno.EADDRNOTAVAIL, f"host {host!r} has no address: {error}") from error
    return tuple(dict.fromkeys((int(family), address) for family, _, _, _, address in found))


def _needed(host: str) -> int | None:
    """Return the address family that this host requires, or ``None`` if any family is enough."""
    return socket.AF_INET6 if host == "::" else None


def explained(error: OSError, address: str) -> OSError:
    """Return a copy of ``error`` with a message that names the address and suggests a fix."""
    if error.errno == errno.EADDRINUSE:
        message = (
            f"{address} is already in use by another process or another server of this process. Give each process a"
            " separate port, or use port=0 for any free port"
        )
        return PortInUse(address, message)
    words = {
        errno.EACCES: "requires privileges: use port 1024 or higher",
        errno.EADDRNOTAVAIL: "is not an address of this machine",
    }
    return OSError(
        error.errno, f"{address} {words.get(error.errno or 0, f'is not available: {error.strerror or error}')}"
    )


def _first_free(places: tuple[_Place, ...], ports: range, host: str) -> list[socket.socket]:
    for port in ports:
        try:
            return _listen_on(places, port, needed=_needed(host))
        except PortInUse:  # at bind() or, if another process bound the port at the same time, at listen()
            continue
    where = f"every port from {ports[0]} to {ports[-1]} of {host or 'this machine'}"
    raise PortInUse(where, f"{where} is already in use")


def _listen_on(places: tuple[_Place, ...], port: int, *, needed: int | None) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in places:
            try:
                listener = socket.create_server((address[0], port, *address[2:]), family=family, backlog=_BACKLOG)
            except OSError as error:
                problem = explained(error, shown_address((address[0], port)).removesuffix(":0"))
                if error.errno not in _NOT_HERE or family == needed:
                    raise problem from error
                missing = problem
                continue
            listeners.append(listener)
            port = listener.getsockname()[1]
            listener.setblocking(False)
        if not listeners:
            raise missing or OSError(errno.EADDRNOTAVAIL, "no address to listen on")
    except BaseException:
        for each in listeners:
            each.close()
        raise
    return listeners
