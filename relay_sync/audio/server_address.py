"""An audio server's address, for the platform and for error messages."""

from __future__ import annotations

import os
import re
import socket
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import define

from ..errors import InvalidParameter
from ..hosts.listening import PortInUse, url_host
from ..hosts.names import is_label, is_loopback
from ..params import values

__all__ = ["ServerAddress"]

#: Environment variable with the value of ``{hostname}``; by default, it is the machine's host name.
HOSTNAME: Final = "RELAY_HOSTNAME"
#: The port range that error messages suggest.
SUGGESTED: Final = "port=range(8765, 8773)"
_PORT: Final = "{port}"
#: A path as requests contain it: printable ASCII without ``#`` and ``?``.
_ARRIVING: Final = re.compile(r"/[!\"$->@-~]*")
#: A port in brackets would be part of an IPv6 address.
_PORT_IN_ADDRESS: Final = re.compile(r"\[[^\]/]*\{port\}")
_PLACEHOLDER: Final = re.compile(r"\{(?:port|hostname)\}")


@define(eq=False)
class ServerAddress:
    """An :class:`AudioServer`'s address and state.

    The attributes can be read at any time. Unlike the server's own attributes, they never start the server or
    raise exceptions, because error messages are built from them.

    :ivar host: the address to listen on.
    :ivar wanted: the requested port, 0 for any free port, or the range of ports to choose from.
    :ivar path_pattern: the path that accepts streams. It may contain ``{port}``.
    :ivar public_pattern: the URL at which the platform reaches the server; ``None`` for the server's own address. It may
        contain ``{port}``.
    :ivar tls: whether the server accepts ``wss://`` connections directly.
    :ivar port: the port that the server listens on; ``None`` before it is started.
    :ivar closed: whether the server was closed.
    """

    host: str
    wanted: int | range
    path_pattern: str
    public_pattern: str | None
    tls: bool
    port: int | None = None
    closed: bool = False

    @classmethod
    def of(cls, host: str, port: int | range, *, public_url: str | None, path: str | None, tls: bool) -> ServerAddress:
        """Check the parameters of an ``AudioServer``, and return its address.

        :param host: address to listen on.
        :param port: port to listen on, or a range of ports.
        :param public_url: URL at which the platform reaches the server. It may contain ``{port}`` and ``{hostname}``.
        :param path: path that accepts streams. It may contain ``{port}`` and ``{hostname}``.
        :param tls: whether the server accepts ``wss://`` connections directly.
        :raises InvalidParameter: a parameter is invalid.
        """
        if host != "":  # all addresses, as for sockets
            values.text("host", host, optional=False)
        port = _check_port(port)
        public_url = None if public_url is None else _check_public_url(public_url, port)
        return cls(host, port, _check_path(path, public_url, port), public_url, tls)

    @property
    def url(self) -> str:
        """The URL for the platform. Before the start, it contains the first port of the range."""
        return self.url_at(_first(self.wanted) if self.port is None else self.port)

    @property
    def shown_ports(self) -> str:
        """The requested port or ports, for ``repr``."""
        wanted = self.wanted
        return f"{wanted[0]} to {wanted[-1]}" if isinstance(wanted, range) else str(wanted or "any")

    @property
    def chooses(self) -> bool:
        """Whether the server chooses a port from a range, so that other processes may own the other ports."""
        return isinstance(self.wanted, range)

    @property
    def routed_by_port(self) -> bool:
        """Whether the URL contains the port, so that a proxy can find the process by the URL."""
        return self.public_pattern is None or _PORT in self.public_pattern

    @property
    def why_silent(self) -> str:
        """Why the server is not listening, as a sentence fragment; ``""`` if it is listening."""
        if self.closed:
            return "is closed"
        return "" if self.port is not None else "is not started: use its url, or call start()"

    @property
    def near(self) -> bool:
        """Whether only this machine can reach the server, judging by its addresses."""
        return is_loopback(self.host) and is_loopback(urlsplit(self.url).hostname)

    @property
    def hint(self) -> str:
        """Possible reasons why the platform cannot connect, in parentheses, for error messages."""
        if is_loopback(urlsplit(self.url).hostname):
            return " (an address that only this machine can reach; a real account needs public_url=)"
        return " (DNS, firewall, proxy, certificate)"

    def path_at(self, port: int) -> str:
        """Return the path that accepts streams if the server listens on this port."""
        return _with_port(self.path_pattern, port)

    def public_url_at(self, port: int) -> str | None:
        """Return ``public_url`` if the server listens on this port; ``None`` if there is none."""
        return None if self.public_pattern is None else _with_port(self.public_pattern, port)

    def url_at(self, port: int) -> str:
        """Return the URL for the platform if the server listens on this port."""
        own = f"{'wss' if self.tls else 'ws'}://{url_host(self.host)}:{port}{self.path_at(port)}"
        return self.public_url_at(port) or own

    def urls_like(self, url: str) -> set[str]:
        """Return the URL, or before the start those with each port of the range that ``url`` contains."""
        found = {self.url}
        if self.port is None and isinstance(self.wanted, range):
            numbers = map(int, re.findall(r"[0-9]{1,5}", url))
            found.update(self.url_at(port) for port in numbers if port in self.wanted)
        return found

    def explained(self, error: PortInUse) -> PortInUse:
        """Return a copy of the error that suggests a port range, or a larger one."""
        if self.chooses:
            message = (
                f"{error.where} is already in use: each process needs a port of its own, and a rolling restart needs twice"
                " as many ports as processes"
            )
        else:
            message = (
                f"{error.where} is already in use by another process or another server of this process. For several"
                f" processes, use {SUGGESTED} and {_PORT} in public_url, or use port=0 for any free port"
            )
        return PortInUse(error.where, message)


def _check_port(port: Any) -> int | range:
    """Check a port, 0, or a range of ports.

    :raises InvalidParameter: the value is neither a port nor a range of ports.
    """
    if isinstance(port, range):
        if port and port.step == 1 and port[0] >= 1 and port[-1] <= 65535:
            return range(int(port.start), int(port.stop))
    elif isinstance(port, int) and not isinstance(port, bool) and 0 <= port <= 65535:
        return port
    raise InvalidParameter(
        "port",
        port,
        "a port from 0 to 65535, or an ascending range of ports from 1 to 65535 without gaps, such as range(8765, 8773)",
    )


def _check_public_url(url: Any, port: int | range) -> str:
    """Validate a ``public_url``, and fill in ``{hostname}``.

    :param url: the value to check. It may contain ``{port}`` and ``{hostname}``.
    :param port: the server's port or ports.
    :return: the URL, in which ``{port}`` is the only placeholder.
    :raises InvalidParameter: the URL is invalid, or is a ``ws://`` URL for another machine.
    """
    accepted = "wss://host[:port]/path without query, credentials or fragment (ws:// for this machine only)"
    pattern = _pattern("public_url", url, port) if isinstance(url, str) else ""
    ends = (port[0], port[-1]) if isinstance(port, range) else (port,)  # the last port may have one more digit
    if _PORT_IN_ADDRESS.search(pattern) or not all(_is_public(_with_port(pattern, each)) for each in ends):
        raise InvalidParameter("public_url", url, accepted, secret=values.may_hold_secrets(url))
    return pattern


def _is_public(url: str) -> bool:
    """Whether this is a URL that ``public_url`` may have when its placeholders are filled in."""
    try:
        parts = urlsplit(url)
        if parts.port == 0 or not parts.hostname:
            return False
    except ValueError:
        return False
    secure = parts.scheme == "wss" or (parts.scheme == "ws" and is_loopback(parts.hostname))
    return (
        secure
        and parts.username is None
        and parts.password is None
        and not parts.query
        and not parts.fragment
        and re.fullmatch(r"[\x21-\x7e]+", url) is not None
    )


def _check_path(path: Any, public_url: str | None, port: int | range) -> str:
    """Return the path that accepts streams: ``path``, or by default the path of ``public_url``.

    :param path: the value to check. It may contain ``{port}`` and ``{hostname}``.
    :param public_url: the URL returned by :func:`_check_public_url`.
    :param port: the server's port or ports.
    :return: the path, in which ``{port}`` is the only placeholder.
    :raises InvalidParameter: the path is invalid.
    """
    if path is not None and (not isinstance(path, str) or (path and not _ARRIVING.fullmatch(path))):
        raise InvalidParameter("path", path, "a percent-encoded path that begins with /, without query or fragment")
    if path:
        return _pattern("path", path, port)
    return (urlsplit(public_url).path or "/") if public_url else "/audio"


def _pattern(name: str, text: str, port: int | range) -> str:
    """Fill in ``{hostname}``, and check that the placeholders are known and have a value."""
    secret = values.may_hold_secrets(text)
    if re.search(r"[{}]", _PLACEHOLDER.sub("", text)):
        raise InvalidParameter(
            name, text, "no braces except those of the placeholders {port} and {hostname}", secret=secret
        )
    if _PORT in text and port == 0:
        raise InvalidParameter(name, text, f"{_PORT} only together with a fixed port or {SUGGESTED}", secret=secret)
    return text.replace("{hostname}", _hostname()) if "{hostname}" in text else text


def _hostname() -> str:
    name = os.environ.get(HOSTNAME) or socket.gethostname()
    if not is_label(name):
        raise InvalidParameter(
            HOSTNAME, name, "a single DNS label such as 'media-1' for {hostname} (by default, this machine's host name)"
        )
    return name


def _first(port: int | range) -> int:
    return port[0] if isinstance(port, range) else port


def _with_port(pattern: str, port: int) -> str:
    return pattern.replace(_PORT, str(port))
