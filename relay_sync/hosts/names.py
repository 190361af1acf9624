"""Parsing and comparison of host names, addresses and ports."""

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
    "is_label",
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

#: Default ports of URL schemes.
USUAL_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443, "ws": 80, "wss": 443}
# There is only one way to match this pattern, so invalid input is rejected without backtracking.
_AUTHORITY: Final = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?")
_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


class Place(NamedTuple):
    """The normalized scheme, host and port of a URL.

    :ivar scheme: scheme in lowercase.
    :ivar host: host as returned by :func:`bare`.
    :ivar port: the port; the default is the scheme's port.
    """

    scheme: str
    host: str
    port: int


def is_localhost(host: str) -> bool:
    """Return whether a host is ``localhost``, ignoring case and a trailing dot."""
    return host.lower() in ("localhost", "localhost.")


def is_loopback(host: str | None) -> bool:
    """Return whether a host name or address can only refer to this machine.

    The result is true for 127.0.0.0/8 in dotted decimal notation, ``::1``, ``::ffff:127.0.0.0/104``, and ``localhost``
    with or without a trailing dot. It is false for subdomains of ``localhost``, because some resolvers look them up in
    DNS.

    :param host: host without a port. An IPv6 address may be in brackets.
    """
    if not host:
        return False
    if is_localhost(host):
        return True
    address = literal(host)
    if address is None or isinstance(address, ipaddress.IPv4Address):
        return address is not None and address.is_loopback
    # Python before 3.13 does not recognize ::ffff:127.0.0.1 as a loopback address.
    return address.is_loopback or (address.ipv4_mapped is not None and address.ipv4_mapped.is_loopback)


def is_label(text: str) -> bool:
    """Return whether a string is a single label of a name: 1 to 63 ASCII letters, digits, ``_`` and ``-``."""
    return _LABEL.fullmatch(text) is not None


def is_name(host: str) -> bool:
    """Return whether a host is a valid name: labels of ASCII letters, digits, ``_`` and ``-``, at most 253 characters.

    A trailing dot is allowed. IPv4 addresses are valid names as well.
    """
    name = host.removesuffix(".")
    return len(name) <= 253 and all(is_label(label) for label in name.split("."))


def literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that ``host`` represents, or ``None`` if it is a name or invalid. IPv6 may be in brackets."""
    inner = unbracketed(host)
    try:
        return ipaddress.ip_address(inner) if inner == host else ipaddress.IPv6Address(inner)
    except ValueError:
        return None


def unbracketed(host: str) -> str:
    """Return a host without IPv6 brackets, as sockets and resolvers expect it."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def bracketed(host: str) -> str:
    """Return a host as written in a URL or before a port, with an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def bare(host: str) -> str:
    """Return a host in normalized form: lowercase, no brackets, no trailing dot, and IPv6 in its short form."""
    inner = unbracketed(host)
    if ":" in inner and (address := literal(inner)) is not None:
        return str(address).lower()
    name = inner.lower()
    return name if name.endswith("..") else name.removesuffix(".")  # two trailing dots are invalid, so keep them


def split_authority(text: str) -> tuple[str, int | None]:
    """Split ``host``, ``host:port``, ``[address]`` or ``[address]:port``, as written in a URL without user info.

    :return: the host in lowercase and without brackets, with IPv6 in its short form, and the port or ``None``.
    :raises ValueError: the text does not have one of these forms.
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
    """Split an authority like :func:`split_authority`, but also accept an IPv6 address without brackets.

    Host lists may contain such addresses. A string with two or more colons and no brackets is therefore parsed as an
    IPv6 address.

    :raises ValueError: the text does not have one of these forms.
    """
    if text.count(":") > 1 and not text.startswith("["):
        return str(ipaddress.IPv6Address(text)).lower(), None
    return split_authority(text)


def without_port(text: str) -> str:
    """Return an authority without its port."""
    return text if text.endswith("]") or ":" not in text else text.rpartition(":")[0]


def place_of(url: str) -> Place | None:
    """Return the normalized scheme, host and port of a URL, or ``None`` if it has no host or an invalid port."""
    try:
        parts = urlsplit(url)
        host, port = bare(parts.hostname or ""), parts.port
    except ValueError:
        return None
    return Place(parts.scheme, host, port or USUAL_PORTS.get(parts.scheme, 80)) if host else None


def look_up(host: str, port: int | None, within: float, *, flags: int = 0) -> list[Any]:
    """Resolve a host name with ``socket.getaddrinfo`` for TCP.

    The call runs on a separate thread, because it cannot be interrupted. IP addresses are resolved directly.

    :param host: the host, with or without brackets.
    :param port: the port.
    :param within: maximum time to wait, in seconds.
    :param flags: flags for ``getaddrinfo``.
    :raises TimeoutError: the lookup took too long.
    :raises OSError: (gaierror) the name does not exist.
    :raises UnicodeError: the host is not a valid name.
    """
    import socket

    host = unbracketed(host)

    def ask() -> list[Any]:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags))

    return in_time(ask, within, "relay-look-up") if literal(host) is None else ask()
