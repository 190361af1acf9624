"""Check redirect targets. A redirect must not lead from a public host to this machine or a private network.

The check uses the connection's address, because host names are not reliable. A name can resolve to a different address at each
lookup. Resolvers also accept numbers such as ``2130706433`` or ``0177.1``, which URL parsers do not recognize as addresses.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Final, Literal

from attrs import frozen

from ..hosts.names import is_loopback, look_up

__all__ = ["Origin", "Zone", "addresses", "zone"]

Zone = Literal["public", "private", "link-local", "loopback"]

_LOOK_UP: Final = 10.0  # seconds
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
_THIS_HOST: Final = ipaddress.IPv4Network("0.0.0.0/8")
_INWARD: Final[dict[Zone, frozenset[Zone]]] = {
    "public": frozenset(),
    "private": frozenset({"private"}),
    "link-local": frozenset({"link-local"}),
    "loopback": frozenset({"loopback", "private"}),
}


def addresses(host: str, within: float = _LOOK_UP) -> list[str]:
    """Resolve a host name or address literal with the system's resolver. Return an empty list if it does not exist.

    :param within: timeout for the lookup, in seconds.
    :raises TimeoutError: the lookup did not finish before the timeout.
    """
    try:
        found = look_up(host, None, within)
    except TimeoutError:
        raise
    except (OSError, UnicodeError):
        return []
    return [str(entry[4][0]) for entry in found]


@frozen
class Origin:
    """The host that sent a redirect.

    :ivar host: host name in the URL.
    :ivar address: connection's address, or ``None`` behind a proxy, which resolves the name itself.
    :ivar resolve: function that resolves a name. Its exceptions propagate, because an unresolved name could lead anywhere.
    """

    host: str
    address: str | None
    resolve: Callable[[str], list[str]] = addresses

    @property
    def zone(self) -> Zone:
        """The host's zone.

        Only ``localhost`` and loopback literals are in the loopback zone, because any other name could also resolve to a loopback
        address.
        """
        if is_loopback(self.host):
            return "loopback"
        found = {zone(each) for each in ([self.address] if self.address else self.resolve(self.host))}
        return found.pop() if len(found) == 1 and "loopback" not in found else "public"

    def may_lead_to(self, host: str, address: str) -> bool:
        """Return whether a redirect to this host at this address is allowed."""
        there = zone(address)
        return there == "public" or there in _INWARD[self.zone] or (host, address) == (self.host, self.address)

    def forbidden(self, host: str) -> str:
        """Return a host's first address to which a redirect is not allowed, or ``""`` if there is none."""
        return next((each for each in self.resolve(host) if not self.may_lead_to(host, each)), "")


def zone(address: str) -> Zone:
    """Return an address's zone. Multicast, reserved and other special addresses count as private."""
    found = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    if found.is_loopback or found.is_unspecified or (found.version == 4 and found in _THIS_HOST):
        return "loopback"
    if found.is_link_local:
        return "link-local"
    special = found.is_multicast or found.is_reserved or (found.version == 6 and found.is_site_local)
    return "public" if found.is_global and not special else "private"


def _unwrapped(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the IPv4 address embedded in an IPv6 address, such as a mapped or NAT64 address. Return others unchanged."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
