"""Check which web pages may connect to a server without a token.

A page in a developer's browser can reach every server on the developer's machine. The browser sends the page's origin
in the ``Origin`` header, which the page cannot change. A page can make its own host name resolve to 127.0.0.1 (DNS
rebinding). Its origin then matches ``Host``, but ``Host`` does not name this machine. Non-browser clients send no
``Origin`` and are accepted.

Connections with a valid token are not checked. A web page does not have the token, and a proxy in front of the server
may rewrite both headers.
"""

from __future__ import annotations

from collections.abc import Collection

from .names import USUAL_PORTS, bare, is_loopback, place_of, split_port

__all__ = ["read_host", "read_origin", "refusal"]

_SCHEMES = ("http", "https")
_WEB = {"ws": "http", "wss": "https", "http": "http", "https": "https"}
_SHOWN = 100  # maximum length of a header value in a message
_Origin = tuple[str, str, int]  # scheme, host, port


def refusal(
    origin: str | None,
    host: str | None,
    *,
    on_loopback: bool,
    public_url: str | None = None,
    origins: Collection[str] = (),
    hosts: Collection[str] = (),
) -> str | None:
    """Return the reason to refuse a request that has no token, or ``None`` to accept it.

    The server answers a refused request with status 403.

    :param origin: ``Origin`` header, or ``None``.
    :param host: ``Host`` header, or ``None``.
    :param on_loopback: whether the server listens on loopback addresses only.
    :param public_url: the server's public address, if known.
    :param origins: additional accepted origins, as returned by :func:`read_origin`.
    :param hosts: additional accepted host names, as returned by :func:`read_host`.
    :return: one sentence for the log, with both header values and the parameter that would allow the request.
    """
    if host and not host.endswith("::"):
        host = host.removesuffix(":")  # RFC 3986 allows an empty port after the colon
    if on_loopback and host and not _is_ours(host, public_url, hosts):
        return (
            f"Host {_shown(host)} is not a name of this machine (Origin: {_shown(origin)}), which may be a DNS rebinding"
            " attack; if the name is yours, add it to hosts="
        )
    if origin and not _may_come(origin, host, public_url, origins):
        return (
            f"Origin {_shown(origin)} does not match Host {_shown(host)}; if that web page may connect to this server,"
            " add its origin to origins="
        )
    return None


def read_origin(text: str) -> str | None:
    """Return an origin or ``null`` in the form that :func:`refusal` expects, or ``None`` if ``text`` is neither."""
    origin = _origin(text)
    if origin is None:
        return text if text == "null" else None
    return _written(origin)


def read_host(text: str) -> str | None:
    """Return a host name, with or without a port, in the form that :func:`refusal` expects, or ``None`` if it is invalid."""
    split = _split(text)
    return None if split is None else _with_port(*split)


def _is_ours(host: str, public_url: str | None, hosts: Collection[str]) -> bool:
    split = _split(host)
    if split is None:
        return False
    name, port = split
    if is_loopback(name) or name in hosts or _with_port(name, port) in hosts:
        return True
    public = None if public_url is None else place_of(public_url)
    return public is not None and name == public.host


def _may_come(text: str, host: str | None, public_url: str | None, origins: Collection[str]) -> bool:
    # Browsers never send ws:// or wss://, but other clients do.
    origin = _origin(f"http{text[2:]}" if text.lower().startswith(("ws://", "wss://")) else text)
    if origin is None:
        return text == "null" and text in origins
    scheme, name, port = origin
    if _written(origin) in origins:
        return True
    asked = _split(host) if host else None
    if asked is not None and (name, port) == (asked[0], asked[1] or USUAL_PORTS[scheme]):
        return True
    return public_url is not None and origin == _origin_of(public_url)


def _origin(text: str) -> _Origin | None:
    """Return an origin as written by browsers, or ``None`` for ``null`` and invalid origins."""
    scheme, separator, rest = text.lower().partition("://")
    split = _split(rest)
    if not separator or scheme not in _SCHEMES or split is None:
        return None
    return scheme, split[0], split[1] or USUAL_PORTS[scheme]


def _origin_of(url: str) -> _Origin | None:
    """Return the origin of web pages at a ``wss://`` or ``https://`` address."""
    place = place_of(url)
    scheme = None if place is None else _WEB.get(place.scheme)
    return None if place is None or scheme is None else (scheme, place.host, place.port)


def _split(text: str) -> tuple[str, int | None] | None:
    """Return the normalized host and the port, or ``None`` if they are invalid."""
    if not text.isascii() or not text.isprintable() or any(each in text for each in " /?#@,*\\"):
        return None
    try:
        name, port = split_port(text)
    except ValueError:
        return None
    return bare(name), port


def _with_port(name: str, port: int | None) -> str:
    return name if port is None else f"{name} {port}"


def _written(origin: _Origin) -> str:
    return " ".join(map(str, origin))


def _shown(value: str | None) -> str:
    """Return a header value for the log, truncated and without characters that could forge a log line."""
    if not value:
        return "none"
    return "".join(each if each.isprintable() and each.isascii() else "?" for each in value[:_SHOWN])
