"""Find the HTTP proxy for a connection.

The environment variables match those of requests and curl. ``https_proxy`` applies to TLS and ``http_proxy`` to plain
connections; ``all_proxy`` is the fallback for both. The names may be lowercase or uppercase. ``no_proxy`` lists hosts
to connect to directly. If none of these variables is set, the Windows or macOS system settings apply.
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
#: Status codes after which a retry may succeed.
_MAY_PASS: Final = frozenset({408, 425, 429})


class Unusable(ValueError):
    """Raised for an invalid setting in the environment. The message names the setting and never contains a password."""


class Proxy:
    """An HTTP proxy. Its ``str`` and ``repr`` omit the credentials and are safe to show.

    This class is not a tuple, because error reporters and similar tools show a tuple's items.

    :ivar host: the proxy's host.
    :ivar port: the proxy's port.
    :ivar source: name of the variable or parameter that specifies the proxy.
    :ivar user: user name, or ``""``.
    :ivar password: the password, or ``""``.
    """

    __slots__ = ("host", "password", "port", "source", "user")

    def __init__(self, *, host: str, port: int, source: str, user: str = "", password: str = "") -> None:
        self.host: str = host
        self.port: int = port
        self.source: str = source
        self.user: str = user
        self.password: str = password

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
        """The URL ``http://host:port`` without credentials."""
        return f"http://{bracketed(self.host)}:{self.port}"

    @property
    def url(self) -> str:
        """The URL including credentials. Do not show or log it."""
        if not self.authorization:
            return self.address
        return self.address.replace("//", f"//{quote(self.user, safe='')}:{quote(self.password, safe='')}@", 1)

    @property
    def authorization(self) -> str:
        """The value of the ``Proxy-Authorization`` header, or ``""`` if there are no credentials."""
        if not self.user and not self.password:
            return ""
        return f"Basic {binascii.b2a_base64(f'{self.user}:{self.password}'.encode(), newline=False).decode()}"

    @property
    def unknown(self) -> str:
        """The error message for a host name that does not exist."""
        return f"there is no host named {self.host!r}, the host of {self}: check {self.source}"

    def refusal(self, target: str, status: int, reason: str = "") -> tuple[str, bool]:
        """Return an error message for the proxy's response to ``CONNECT``.

        :param target: host and port that the client connects to.
        :param status: the response's HTTP status.
        :param reason: the response's reason phrase, which is shortened for the message.
        :return: the message, and whether the failure is permanent.
        """
        words = "".join(filter(str.isprintable, reason)).strip()[:100]
        answer = f"HTTP {status}{' ' if words else ''}{words}"
        final = (400 <= status < 500 and status not in _MAY_PASS) or status in (501, 505)
        if status == 407 and self.authorization:
            return f"{self} refused the user and password of {self.source} ({answer})", True
        if status == 407:
            return f"{self} requires a user and password ({answer}): set {self.source} to {_PROXY_FORM}", True
        return f"{self} refused the connection to {target} ({answer})", final


def find_proxy(
    host: str, port: int, *, secure: bool, given: str | None = None, environ: Mapping[str, str] | None = None
) -> Proxy | None:
    """Return the proxy for a connection to a host, or ``None``. Loopback addresses are always reached directly.

    :param host: host to connect to.
    :param port: port to connect to.
    :param secure: whether the connection uses TLS.
    :param given: the ``proxy`` argument: ``""`` for no proxy, ``None`` for the proxy from the environment.
    :param environ: environment variables; the default is the process's environment.
    :raises Unusable: the applicable setting has an unsupported form.
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
    """Parse ``http://[user:password@]host[:port]`` or ``[user:password@]host:port``.

    :param text: text to parse.
    :param source: variable or parameter, for error messages.
    :raises Unusable: the text is not a valid proxy URL. The message does not quote it, because it may contain a
        password.
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
    """Return the name and value of an environment variable, or ``None``. The name is matched case-insensitively.

    A lowercase variable takes precedence even if it is empty, which disables the proxy.
    """
    if name in env:
        return (name, env[name]) if env[name].strip() else None
    if name == "http_proxy" and "REQUEST_METHOD" in env:
        return None  # in a CGI script, HTTP_PROXY is a request header
    return next(((each, value) for each, value in env.items() if each.lower() == name and value.strip()), None)


def _no_proxy(env: Mapping[str, str]) -> str:
    # Unlike for the other variables, an empty lowercase variable does not hide the uppercase one.
    values = (value for name, value in sorted(env.items(), reverse=True) if name.lower() == "no_proxy")
    return next((value for value in values if value.strip()), "")


def _bypassed(host: str, port: int, patterns: str) -> bool:
    """Return whether ``no_proxy`` lists a host.

    An entry may be a name or a suffix, with or without a port, an address, a network, or ``*``.
    """
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
    import urllib.request  # imports http and email, which account for half of the imports of a connection

    if urllib.request.proxy_bypass(host):
        return None
    found = urllib.request.getproxies()
    value = found.get(scheme) or found.get("all")
    return read_proxy(value, "the system's settings") if value else None
