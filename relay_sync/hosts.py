"""Host names: which of them can only mean this machine, and how a host is told from its port."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

__all__ = ["is_loopback", "split_port"]

#: A host and its port, as in a Host header or in ``no_proxy``. An IPv6 literal needs brackets where a port follows.
_HOST_AND_PORT: Final = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?")


def is_loopback(host: str | None) -> bool:
    """Whether a host name or literal can only mean this machine.

    These can: 127.0.0.0/8 in four decimal numbers, ``::1``, ``::ffff:127.0.0.0/104``, and ``localhost`` with or without a
    trailing dot. Names below ``localhost`` cannot: some resolvers ask the DNS for them.

    :param host: without a port; an IPv6 literal with or without brackets.
    """
    if not host:
        return False
    if host.lower() in ("localhost", "localhost."):
        return True
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        literal = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        return False
    if isinstance(literal, ipaddress.IPv4Address):
        return literal.is_loopback and not bracketed
    # Python before 3.13 does not look into addresses of the form ::ffff:127.0.0.1.
    return literal.is_loopback or (literal.ipv4_mapped is not None and literal.ipv4_mapped.is_loopback)


def split_port(text: str) -> tuple[str, int | None]:
    """Split ``host``, ``host:port``, ``[literal]:port`` or a bare IPv6 literal.

    :return: the host without brackets, in lower case; and the port, or ``None`` where there is none.
    :raises ValueError: the text has none of these forms.
    """
    found = _HOST_AND_PORT.fullmatch(text)
    if found is None:
        # Two colons and more without brackets: an IPv6 literal, or no host at all.
        return str(ipaddress.IPv6Address(text)), None
    host, port = found[1], None if found[2] is None else int(found[2])
    if host.startswith("["):
        host = str(ipaddress.IPv6Address(host[1:-1]))
    if not host or (port is not None and port > 65535):
        raise ValueError("no host, or no port")
    return host.lower(), port
