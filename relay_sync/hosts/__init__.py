"""Hosts and the ways to them, read by one rule for RELAY and REST, servers and webhooks.

``names``
    what a host is, with and without its port, and whether it can only mean this machine.
``proxies``
    the proxy on the way to a host, from an argument or the environment.
``authorities``
    whose certificates are trusted; TLS begins here.
``origins``
    which web pages may talk to a server.
"""

from .authorities import begin_tls, trust_variables, trusting
from .names import (
    USUAL_PORTS,
    Place,
    bare,
    bracketed,
    is_localhost,
    is_loopback,
    is_name,
    literal,
    look_up,
    place_of,
    split_authority,
    split_port,
    unbracketed,
    without_port,
)
from .proxies import Proxy, Unusable, find_proxy, read_proxy

__all__ = [
    "USUAL_PORTS",
    "Place",
    "Proxy",
    "Unusable",
    "bare",
    "begin_tls",
    "bracketed",
    "find_proxy",
    "is_localhost",
    "is_loopback",
    "is_name",
    "literal",
    "look_up",
    "place_of",
    "read_proxy",
    "split_authority",
    "split_port",
    "trust_variables",
    "trusting",
    "unbracketed",
    "without_port",
]
