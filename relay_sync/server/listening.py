"""The addresses that a server listens on: all that its host stands for, on one port."""

from __future__ import annotations

import errno
import socket
from typing import Any

from ..hosts.names import bracketed, is_localhost, literal, look_up, unbracketed

__all__ = ["explained", "is_everywhere", "listen", "shown_address", "url_host"]

_BACKLOG = 1024
_LOOK_UP = 10.0  # seconds for the system to find the addresses of a name
_ATTEMPTS = 16  # ports to try where any free one will do, until one is free for all families
_EVERYWHERE = ((socket.AF_INET6, ("::", 0)), (socket.AF_INET, ("0.0.0.0", 0)))
_HERE = ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET6, ("::1", 0)))
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)
_Place = tuple[int, tuple[Any, ...]]  # family and socket address


def listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets for all addresses of *host*, with one port.

    ``::``, ``*`` and ``""`` are all addresses of both families, ``0.0.0.0`` those of IPv4. ``localhost`` is 127.0.0.1 and ::1,
    and any other name all of its addresses, as far as this machine has them.

    :param port: 0 for any that is free.
    :raises OSError: an address is in use, or none of them is one of this machine, or the name was not found in time. The text
        names it, and says what to do.
    """
    host = _inner(host)
    places = _places(host)
    for attempt in range(_ATTEMPTS):
        try:
            return _listen_on(places, port, needed=_needed(host))
        except OSError as error:
            # The system chose a port for one family that is taken in the other.
            if port or error.errno != errno.EADDRINUSE or attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def shown_address(address: tuple[Any, ...]) -> str:
    """The address of a socket, as ``address:port``."""
    return f"{bracketed(str(address[0]))}:{address[1]}"


def url_host(host: str) -> str:
    """What stands for *host* in the URL of a server on this machine."""
    if is_everywhere(host):
        return "[::1]" if ":" in host else "127.0.0.1"
    return bracketed(_inner(host))


def is_everywhere(host: str) -> bool:
    """Whether *host* is all addresses of this machine, of one family at least."""
    address = literal(_inner(host) or "0.0.0.0")
    return address is not None and address.is_unspecified  # a name is none


def _inner(host: str) -> str:
    """A host without brackets; nothing for all addresses."""
    return "" if host == "*" else unbracketed(host)


def _places(host: str) -> tuple[_Place, ...]:
    if host in ("", "::"):
        return _EVERYWHERE
    if is_localhost(host):
        return _HERE
    try:
        found = look_up(host, 0, _LOOK_UP, flags=socket.AI_PASSIVE)
    except TimeoutError as error:
        told = f"host {host!r}: looking it up took longer than {_LOOK_UP:g} s"
        raise OSError(errno.ETIMEDOUT, told) from error
    except (socket.gaierror, UnicodeError) as error:
        raise OSError(errno.EADDRNOTAVAIL, f"host {host!r} has no address: {error}") from error
    return tuple(dict.fromkeys((int(family), address) for family, _, _, _, address in found))


def _needed(host: str) -> int | None:
    """The family without which listening there makes no sense."""
    return socket.AF_INET6 if host == "::" else None


def explained(error: OSError, address: str) -> OSError:
    """Return the same error with a message for the user who chose the address."""
    words = {
        errno.EADDRINUSE: "is already in use by another process or another server of this process. Give each process a"
        " separate port, or use port=0 for any free port",
        errno.EACCES: "requires privileges: use port 1024 or higher",
        errno.EADDRNOTAVAIL: "is not an address of this machine",
    }
    return OSError(
        error.errno, f"{address} {words.get(error.errno or 0, f'is not available: {error.strerror or error}')}"
    )


def _listen_on(places: tuple[_Place, ...], port: int, *, needed: int | None) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in places:
            try:
                listener = socket.create_server((address[0], port, *address[2:]), family=family, backlog=_BACKLOG)
            except OSError as error:
                told = explained(error, shown_address((address[0], port)).removesuffix(":0"))
                if error.errno not in _NOT_HERE or family == needed:
                    raise told from error
                missing = told
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
