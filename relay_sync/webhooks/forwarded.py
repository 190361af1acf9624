"""Parse the ``Forwarded`` (RFC 7239) and ``X-Forwarded-*`` headers set by proxies.

Any client can send these headers, so they must only be trusted if the peer is a known proxy.
:class:`relay_sync.webhooks.Webhooks` checks this.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from ..errors import InvalidParameter
from ..hosts.names import split_authority, unbracketed, without_port

__all__ = ["NAMES", "Networks", "Place", "contains", "networks", "places"]

#: The names of the headers, in lower case. Repeated headers are joined to one list.
NAMES: Final = frozenset({"forwarded", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"})
#: Maximum number of list elements to read from a header.
MOST: Final = 8

#: A scheme, and a host with an optional port. Each is ``""`` if unknown.
Place: TypeAlias = tuple[str, str]
Networks: TypeAlias = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# RFC 7239 requires quotes around values with a colon or brackets, but some proxies omit them.
_PAIR: Final = re.compile(rf'({_TOKEN})=("(?:[^"\\]|\\.)*"|[^\s,;"]+)')
_BLANKS: Final = re.compile(r"[ \t]*")
# IPv6 literals with a zone are rejected as well, because zones have a meaning on one machine only.
_NO_HOST: Final = re.compile(r"[\s/?#@\\,\"<>]|^\[.*%")


def places(headers: Mapping[str, str]) -> list[Place]:
    """Return the schemes and hosts to which the client may have sent the request.

    Each proxy in the chain contributes one entry. The first entry belongs to the outermost proxy.

    :param headers: headers of the request, with lower-case names.
    """
    found = [_place(element) for element in _elements(headers.get("forwarded", ""))]
    schemes, hosts, ports = (_listed(headers, f"x-forwarded-{what}") for what in ("proto", "host", "port"))
    for index in range(min(MOST, max(len(schemes), len(hosts), len(ports)))):
        scheme, host, port = (_at(each, index) for each in (schemes, hosts, ports))
        if host and not _host(host):
            continue
        found += [(_scheme(scheme), each) for each in _with_port(_host(host), port)]
    return [place for place in dict.fromkeys(found) if any(place)]


def _listed(headers: Mapping[str, str], name: str) -> list[str]:
    return [each.strip() for each in headers.get(name, "").split(",") if each.strip()]


def _at(values: list[str], index: int) -> str:
    """Return an element of a list, or the last one if the list is too short.

    Lists may have different lengths, because not every proxy appends to every header.
    """
    return values[min(index, len(values) - 1)] if values else ""


def _with_port(host: str, port: str) -> list[str]:
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        return [host]
    name = without_port(host)
    # Some proxies send two different ports. The port in the host header is more likely to be correct.
    return [f"{host}:{port}"] if name == host else [host, f"{name}:{port}"]


def _elements(text: str) -> list[dict[str, str]]:
    """Parse a ``Forwarded`` header's elements. Return an empty list if any part of the header is malformed."""
    found: list[dict[str, str]] = [{}]
    position = _blanks(text, 0)
    while position < len(text):
        pair = _PAIR.match(text, position)
        if pair is not None:
            name, value = pair[1].lower(), pair[2]
            if name in found[-1]:
                return []
            found[-1][name] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
            position = _blanks(text, pair.end())
        if position < len(text):
            if text[position] not in ",;":
                return []
            if text[position] == ",":
                found.append({})
            position = _blanks(text, position + 1)
    return found[:MOST]


def _blanks(text: str, position: int) -> int:
    found = _BLANKS.match(text, position)
    return position if found is None else found.end()


def _place(element: Mapping[str, str]) -> Place:
    return _scheme(element.get("proto", "")), _host(element.get("host", ""))


def _scheme(text: str) -> str:
    return text.lower() if text.lower() in ("http", "https") else ""


def _host(text: str) -> str:
    """Return a host unchanged if it is valid in a URL, otherwise ``""``."""
    if _NO_HOST.search(text) or not text.isprintable():
        return ""
    try:
        split_authority(text)
    except ValueError:
        return ""
    return text


def networks(given: Any) -> Networks:
    """Parse the addresses and networks of trusted proxies.

    :raises InvalidParameter: an entry is neither an address nor a network.
    """
    accepted = "addresses or networks of your proxies, such as 10.0.0.0/8 or ::1"
    if given is None:
        return ()
    try:
        each_of = (given,) if isinstance(given, str) else tuple(given)
        if not all(isinstance(each, str) for each in each_of):
            raise ValueError
        return tuple(_unmapped(ipaddress.ip_network(each)) for each in each_of)
    except (TypeError, ValueError):
        raise InvalidParameter("trusted_proxies", given, accepted) from None


def _unmapped(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Convert an IPv4-mapped IPv6 network to an IPv4 network. Return other networks unchanged.

    Dual-stack servers report IPv4 addresses in this notation.
    """
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        first = network.network_address.ipv4_mapped
        if first is not None:
            return ipaddress.ip_network((first, network.prefixlen - 96))
    return network


def contains(trusted: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network], peer: str) -> bool:
    """Return whether any of the networks contains an address. Return ``False`` if the address is invalid."""
    try:
        address = ipaddress.ip_address(unbracketed(peer).partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in trusted)
