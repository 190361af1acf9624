"""The proxy that connects to a host.

Proxies are read as requests and curl read them: ``https_proxy`` for TLS, ``http_proxy`` for plain connections, else
``all_proxy``, in lower or upper case; ``no_proxy`` lists the hosts that are reached without one. Where the environment has no
such variable, Windows and macOS are asked for their own settings.
"""

from __future__ import annotations

import binascii
import ipaddress
import os
import re
import sys
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from .names import bare, bracketed, is_loopback, literal, split_port

__all__ = ["Proxy", "Unusable", "find_proxy", "read_proxy"]

_PROXY_FORM: Final = "http://host:port or http://user:password@host:port"
_NOT_ASCII_HOST: Final = r"[^\x21-\x7e]|[%\\]"
#: Statuses of a proxy after which another attempt may succeed.
_MAY_PASS: Final = frozenset({408, 425, 429})


class Unusable(ValueError):
    """An invalid setting in the environment. The message names the setting and contains no password."""


class Proxy:
    """An HTTP proxy. Its ``str`` and ``repr`` are safe to show: they omit the credentials.

    No tuple, whose items are shown by whatever walks one, such as a reporter of errors.

    :ivar source: the variable or parameter that names it.
    """

    __slots__ = ("host", "password", "port", "source", "user")

    def __init__(self, *, host: str, port: int, source: str, user: str = "", password: str = "") -> None:
        self.host = host
        self.port = port
        self.source = source
        self.user = user
        self.password = password

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Proxy) and all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash((self.host, self.port, self.user))

    def __repr__(self) -> str:
        return f"Proxy(host={self.host!r}, port={self.port!r}, source={self.source!r})"

    def __str__(self) -> str:
        return f"the proxy {self.address} ({self.source})"

    @property
    def address(self) -> str:
        """``http://host:port``, without the credentials."""
        return f"http://{bracketed(self.host)}:{self.port}"

    @property
    def url(self) -> str:
        """The whole URL, credentials included: never to be shown."""
        if not self.authorization:
            return self.address
        return self.address.replace("//", f"//{quote(self.user, safe='')}:{quote(self.password, safe='')}@", 1)

    @property
    def authorization(self) -> str:
        """The value of ``Proxy-Authorization``; ``""`` where there are no credentials."""
        if not self.user and not self.password:
            return ""
        return f"Basic {binascii.b2a_base64(f'{self.user}:{self.password}'.encode(), newline=False).decode()}"

    def refusal(self, target: str, status: int, reason: str = "") -> tuple[str, bool]:
        """What its answer to ``CONNECT`` means.

        :param reason: its words, which are shortened here.
        :return: a message, and whether another attempt cannot help.
        """
        words = "".join(filter(str.isprintable, reason)).strip()[:100]
        told = f"HTTP {status}{' ' if words else ''}{words}"
        final = (400 <= status < 500 and status not in _MAY_PASS) or status in (501, 505)
        if status == 407 and self.authorization:
            return f"{self} refused the user and password that {self.source} holds ({told})", True
        if status == 407:
            return f"{self} requires a user and password ({told}): set {self.source} to {_PROXY_FORM}", True
        return f"{self} refused the connection to {target} ({told})", final


def find_proxy(
    host: str, port: int, *, secure: bool, given: str | None = None, environ: Mapping[str, str] | None = None
) -> Proxy | None:
    """The proxy on the way to a host, or ``None``. Loopback is always reached without one.

    :param given: the argument ``proxy``: ``""`` means none, ``None`` that the environment decides.
    :param environ: instead of the environment of the process.
    :raises Unusable: the setting that applies is not of a form that is supported.
    """
    if is_loopback(host):
        return None
    if given is not None:
        return read_proxy(given, "proxy") if given else None
    env = os.environ if environ is None else environ
    scheme = "https" if secure else "http"
    if not any(name.lower().endswith("_proxy") and value for name, value in env.items()):
        return _proxy_of_the_system(bare(host), scheme)
    found = _variable(env, f"{scheme}_proxy") or _variable(env, "all_proxy")
    if found is None or _bypassed(host, port, _no_proxy(env)):
        return None
    name, value = found
    return read_proxy(value, name)


def read_proxy(text: str, source: str) -> Proxy:
    """Read ``http://[user:password@]host[:port]`` or ``[user:password@]host:port``.

    :param source: the variable or parameter, for messages.
    :raises Unusable: it is something else. The message does not quote it: it may hold a password.
    """
    text = text.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname or "", parts.port if parts.port is not None else 80
    except ValueError:
        raise Unusable(f"{source} is not a proxy URL: use {_PROXY_FORM}") from None
    if parts.scheme != "http":
        kind = "a proxy over TLS (https://)" if parts.scheme == "https" else "a proxy of another kind"
        if parts.scheme.startswith("socks"):
            kind = "a SOCKS proxy"
        raise Unusable(f"{source} names {kind}, which is not supported: use {_PROXY_FORM}")
    if not host or not port or re.search(_NOT_ASCII_HOST, host):
        raise Unusable(f"{source} is not a proxy URL: use {_PROXY_FORM}")
    return Proxy(
        host=host,
        port=port,
        source=source,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _variable(env: Mapping[str, str], name: str) -> tuple[str, str] | None:
    """A variable's name as written, and its value. In lower case it wins, even where it is empty: that switches it off."""
    if name in env:
        return (name, env[name]) if env[name].strip() else None
    if name == "http_proxy" and "REQUEST_METHOD" in env:
        return None  # in a CGI script HTTP_PROXY is a header of the request
    return next(((each, value) for each, value in env.items() if each.lower() == name and value.strip()), None)


def _no_proxy(env: Mapping[str, str]) -> str:
    # Unlike the others: an empty one in lower case does not hide the one in upper case.
    values = (value for name, value in sorted(env.items(), reverse=True) if name.lower() == "no_proxy")
    return next((value for value in values if value.strip()), "")


def _bypassed(host: str, port: int, patterns: str) -> bool:
    """Whether ``no_proxy`` names a host: by name or suffix, with or without a port, by address or network, or by ``*``."""
    name = bare(host)
    return any(_matches(name, port, entry) for entry in re.split(r"[,\s]+", patterns) if entry)


def _matches(host: str, port: int, entry: str) -> bool:
    if entry == "*":
        return True
    address = literal(host)
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(
                entry.replace("[", "").replace("]", ""), False
            )
        except ValueError:
            return False
    try:
        name, only = split_port(entry)
    except ValueError:
        return False
    if only not in (None, port):
        return False
    if address is not None:
        return address == literal(name)
    name = name.removeprefix("*").lstrip(".").removesuffix(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _proxy_of_the_system(host: str, scheme: str) -> Proxy | None:
    if os.name != "nt" and sys.platform != "darwin":
        return None
    import urllib.request  # loads http and email: half of the imports of a connection

    if urllib.request.proxy_bypass(host):
        return None
    found = urllib.request.getproxies()
    value = found.get(scheme) or found.get("all")
    return read_proxy(value, "the system's settings") if value else None
