"""Names, addresses and ports of hosts: how each is written, which of them are the same, and which can only mean this machine."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from ..threads.starting import in_time

__all__ = [
    "USUAL_PORTS",
    "Place",
    "bare",
    "bracketed",
    "is_localhost",
    "is_loopback",
    "is_name",
    "literal",
    "look_up",
    "place_of",
    "split_authority",
    "split_port",
    "unbracketed",
    "without_port",
]

#: The port of a scheme, where a URL has none.
USUAL_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443, "ws": 80, "wss": 443}
# Matches in only one way, so that other texts are rejected without backtracking.
_AUTHORITY: Final = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?")
_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


class Place(NamedTuple):
    """The target of a URL, in a form that can be compared.

    :ivar scheme: the scheme, in lower case.
    :ivar host: the host, as returned by :func:`bare`.
    :ivar port: the port; defaults to that of the scheme.
    """

    scheme: str
    host: str
    port: int


def is_localhost(host: str) -> bool:
    """Whether a host is the name ``localhost``, with or without the dot that ends a full name, in any case."""
    return host.lower() in ("localhost", "localhost.")


def is_loopback(host: str | None) -> bool:
    """Whether a host name or literal can only mean this machine.

    These can: 127.0.0.0/8 in four decimal numbers, ``::1``, ``::ffff:127.0.0.0/104``, and ``localhost`` with or without a
    trailing dot. Names below ``localhost`` cannot: some resolvers ask the DNS for them.

    :param host: without a port; an IPv6 literal with or without brackets.
    """
    if not host:
        return False
    if is_localhost(host):
        return True
    address = literal(host)
    if address is None or isinstance(address, ipaddress.IPv4Address):
        return address is not None and address.is_loopback
    # Python before 3.13 does not look into addresses of the form ::ffff:127.0.0.1.
    return address.is_loopback or (address.ipv4_mapped is not None and address.ipv4_mapped.is_loopback)


def is_name(host: str) -> bool:
    """Whether a host is a name that can be asked for: labels of ASCII letters, digits, ``_`` and ``-``, 253 characters at most.

    A dot may end it. Numbers with dots, such as an IPv4 address, are one as well.
    """
    name = host.removesuffix(".")
    return len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.split("."))


def literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is, an IPv6 one with or without brackets; ``None`` for a name, and for what is neither."""
    inner = unbracketed(host)
    try:
        return ipaddress.ip_address(inner) if inner == host else ipaddress.IPv6Address(inner)
    except ValueError:
        return None


def unbracketed(host: str) -> str:
    """A host without the brackets that an IPv6 literal has in a URL: as sockets and resolvers take it."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def bracketed(host: str) -> str:
    """Return a host as written in a URL or before a port: IPv6 literals in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def bare(host: str) -> str:
    """A host as hosts are compared: in lower case, without brackets and the dot that ends a full name, IPv6 in its short form."""
    inner = unbracketed(host)
    if ":" in inner and (address := literal(inner)) is not None:
        return str(address).lower()
    name = inner.lower()
    return name if name.endswith("..") else name.removesuffix(".")  # no name ends with two, so it is none of another


def split_authority(text: str) -> tuple[str, int | None]:
    """Split ``host``, ``host:port``, ``[literal]`` or ``[literal]:port``, as written in a URL without user info.

    :return: the host without brackets, in lower case, an IPv6 literal in its short form; and the port, or ``None`` where there
        is none.
    :raises ValueError: the text has none of these forms.
    """
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        raise ValueError("no host, or no port")
    host, port = found[1], None if found[2] is None else int(found[2])
    if host.startswith("["):
        host = str(ipaddress.IPv6Address(host[1:-1]))
    if not host or (port is not None and port > 65535):
        raise ValueError("no host, or no port")
    return host.lower(), port


def split_port(text: str) -> tuple[str, int | None]:
    """The same, and a bare IPv6 literal, as lists of hosts have it: two colons and more are no port.

    :raises ValueError: the text has none of these forms.
    """
    if text.count(":") > 1 and not text.startswith("["):
        return str(ipaddress.IPv6Address(text)).lower(), None
    return split_authority(text)


def without_port(text: str) -> str:
    """Return an authority without its port, otherwise unchanged."""
    return text if text.endswith("]") or ":" not in text else text.rpartition(":")[0]


def place_of(url: str) -> Place | None:
    """Where a URL leads; ``None`` where it names no host, or a port that there cannot be."""
    try:
        parts = urlsplit(url)
        host, port = bare(parts.hostname or ""), parts.port
    except ValueError:
        return None
    return Place(parts.scheme, host, port or USUAL_PORTS.get(parts.scheme, 80)) if host else None


def look_up(host: str, port: int | None, within: float, *, flags: int = 0) -> list[Any]:
    """``socket.getaddrinfo`` for TCP. Nothing can interrupt it, so it looks in a thread of its own; an address needs none.

    :param host: with or without brackets.
    :param within: seconds.
    :raises TimeoutError: it looks longer.
    :raises OSError: (gaierror) there is no such name.
    :raises UnicodeError: this can be no name.
    """
    import socket

    host = unbracketed(host)

    def ask() -> list[Any]:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags))

    return in_time(ask, within, "relay-look-up") if literal(host) is None else ask()
