"""Where a redirect may lead: never from a public host to this machine or a private network.

The address of the connection decides. A name can resolve to any address, and to a different one at each lookup. A number such
as ``2130706433`` or ``0177.1`` is an address to the resolver, though not to a URL parser.
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
    """Return the addresses of a name or literal, as found by the system's resolver; an empty list if it finds none.

    :param within: seconds for the lookup.
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

    :ivar host: the host name in the URL.
    :ivar address: the address of the connection; ``None`` behind a proxy, which looks up the name itself.
    :ivar resolve: returns the addresses of a name. Its exceptions propagate: a name that was not found may point anywhere.
    """

    host: str
    address: str | None
    resolve: Callable[[str], list[str]] = addresses

    @property
    def zone(self) -> Zone:
        """The zone of the host. Only ``localhost`` and loopback literals count as loopback: any name can resolve there."""
        if is_loopback(self.host):
            return "loopback"
        found = {zone(each) for each in ([self.address] if self.address else self.resolve(self.host))}
        return found.pop() if len(found) == 1 and "loopback" not in found else "public"

    def may_lead_to(self, host: str, address: str) -> bool:
        """Whether a redirect to a host at this address is followed."""
        there = zone(address)
        return there == "public" or there in _INWARD[self.zone] or (host, address) == (self.host, self.address)

    def forbidden(self, host: str) -> str:
        """The first address of a host that a redirect must not lead to, or ``""``."""
        return next((each for each in self.resolve(host) if not self.may_lead_to(host, each)), "")


def zone(address: str) -> Zone:
    """Return the zone of an address. Special addresses that are neither public nor loopback count as private."""
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
    """Return the IPv4 address that an IPv6 address embeds, if it is reached through that; else the address itself."""
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
