"""An audio server's address, for the platform and for error messages."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from attrs import define

from ..errors import InvalidParameter
from ..hosts.listening import url_host
from ..hosts.names import is_loopback
from ..params import values

__all__ = ["ServerAddress", "check_path", "check_public_url"]


@define(eq=False)
class ServerAddress:
    """An :class:`AudioServer`'s address and state.

    The attributes can be read at any time. Unlike the server's own attributes, they never start the server or
    raise exceptions, because error messages are built from them.

    :ivar host: the address to listen on.
    :ivar wanted_port: the requested port; 0 for any free port.
    :ivar path: the path that accepts streams.
    :ivar public_url: the URL at which the platform reaches the server; ``None`` for the server's own address.
    :ivar tls: whether the server accepts ``wss://`` connections directly.
    :ivar port: the port that the server listens on; ``None`` before it is started.
    :ivar closed: whether the server was closed.
    """

    host: str
    wanted_port: int
    path: str
    public_url: str | None
    tls: bool
    port: int | None = None
    closed: bool = False

    @property
    def url(self) -> str:
        """The URL for the platform: ``public_url``, or a URL with the server's own address."""
        if self.public_url is not None:
            return self.public_url
        port = self.wanted_port if self.port is None else self.port
        return f"{'wss' if self.tls else 'ws'}://{url_host(self.host)}:{port}{self.path}"

    @property
    def why_silent(self) -> str:
        """Why the server is not listening, as a sentence fragment; ``""`` if it is listening."""
        if self.closed:
            return "is closed"
        return "" if self.port is not None else "is not started: use its url, or call start()"

    @property
    def near(self) -> bool:
        """Whether only this machine can reach the server, judging by its addresses."""
        public = None if self.public_url is None else urlsplit(self.public_url).hostname
        return is_loopback(self.host) and (public is None or is_loopback(public))

    @property
    def hint(self) -> str:
        """Possible reasons why the platform cannot connect, in parentheses, for error messages."""
        if is_loopback(urlsplit(self.url).hostname):
            return " (an address that only this machine can reach; a real account needs public_url=)"
        return " (DNS, firewall, proxy, certificate)"


def check_public_url(url: Any) -> str:
    """Validate a ``public_url``.

    :return: the URL.
    :raises InvalidParameter: the URL is invalid, or is a ``ws://`` URL for another machine.
    """
    accepted = "wss://host[:port]/path without query, credentials or fragment (ws:// for this machine only)"
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        fine = parts.port != 0 and bool(parts.hostname)
    except ValueError:
        raise InvalidParameter("public_url", url, accepted, secret=values.may_hold_secrets(url)) from None
    fine = (
        fine
        and parts.username is None
        and parts.password is None
        and not parts.query
        and not parts.fragment
        and re.fullmatch(r"[\x21-\x7e]+", url) is not None
    )
    secure = parts.scheme == "wss" or (parts.scheme == "ws" and is_loopback(parts.hostname))
    if not fine or not secure:
        raise InvalidParameter("public_url", url, accepted, secret=values.may_hold_secrets(url))
    return str(url)


def check_path(path: Any, public_url: str | None) -> str:
    """Return the path that accepts streams: ``path``, or by default the path of ``public_url``.

    :raises InvalidParameter: the path is invalid.
    """
    if path is not None and not isinstance(path, str):
        raise InvalidParameter("path", path, "a path that begins with /")
    found = path or (urlsplit(public_url).path if public_url else "") or ("/" if public_url else "/audio")
    if not found.startswith("/"):
        raise InvalidParameter("path", path, "a path that begins with /")
    return found
