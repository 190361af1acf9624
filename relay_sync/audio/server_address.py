"""The address of a server of streams: for the carrier, and for error messages."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from attrs import define

from ..errors import InvalidParameter
from ..hosts.names import is_loopback
from ..params import values
from ..server.listening import url_host

__all__ = ["ServerAddress", "check_path", "check_public_url"]


@define(eq=False)
class ServerAddress:
    """The address of an :class:`~relay_sync.audio.AudioServer`, before, while and after it listens. Nothing here starts the
    server or raises, because messages are built from it.

    :ivar host: where it listens, or will listen.
    :ivar wanted_port: the requested port; 0 for any free port.
    :ivar path: the path that accepts streams.
    :ivar public_url: where the carrier reaches it, if that is another address.
    :ivar tls: whether it serves ``wss://`` itself.
    :ivar port: the port it listens on; ``None`` while it does not listen.
    :ivar closed: whether it was closed.
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
        """What the carrier is given: ``public_url``, or this machine's own address."""
        if self.public_url is not None:
            return self.public_url
        port = self.wanted_port if self.port is None else self.port
        return f"{'wss' if self.tls else 'ws'}://{url_host(self.host)}:{port}{self.path}"

    @property
    def why_silent(self) -> str:
        """Why nothing listens there, in words; ``""`` if the server does."""
        if self.closed:
            return "is closed"
        return "" if self.port is not None else "is not started: use its url, or call start()"

    @property
    def near(self) -> bool:
        """Whether only this machine reaches it, as far as it tells."""
        public = None if self.public_url is None else urlsplit(self.public_url).hostname
        return is_loopback(self.host) and (public is None or is_loopback(public))

    @property
    def hint(self) -> str:
        """What to look at where no socket comes, in brackets."""
        if is_loopback(urlsplit(self.url).hostname):
            return " (from this machine, as the simulator does; a real account needs public_url=)"
        return " (DNS, firewall, proxy, certificate)"


def check_public_url(url: Any) -> str:
    """Give *url* back if a carrier can be sent there.

    :raises InvalidParameter: it cannot.
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
    """The path where streams are taken: as given, or that of the public address.

    :raises InvalidParameter: it is none.
    """
    if path is not None and not isinstance(path, str):
        raise InvalidParameter("path", path, "a path that begins with /")
    found = path or (urlsplit(public_url).path if public_url else "") or ("/" if public_url else "/audio")
    if not found.startswith("/"):
        raise InvalidParameter("path", path, "a path that begins with /")
    return found
