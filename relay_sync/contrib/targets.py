"""The URL of a request as its sender wrote it, which is what signatures are computed over.

Frameworks decode the path, and write it again in their own way. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

__all__ = ["of_asgi", "of_wsgi"]

#: Where servers put the request's target as it came: uWSGI, mod_wsgi and Werkzeug; gunicorn and Werkzeug.
_RAW: Final = ("REQUEST_URI", "RAW_URI")
#: What senders leave as it is in a path, each more than the one before: what they must, what RFC 3986 lets them, what they can.
_KEPT: Final = ("/", "/!$&'()*+,;=:@", "/!$&'()*+,;=:@|{}[]^`\"<>\\")


def of_wsgi(environ: Mapping[str, Any], site: str, path: str, shown: str) -> list[str]:
    """How the URL of a request may have been written, the likeliest first.

    :param site: scheme and host. :param path: the whole path, decoded. :param shown: the URL as the framework writes it.
    """
    query = _text(environ.get("QUERY_STRING") or "")
    raw = next((_text(environ[name]) for name in _RAW if environ.get(name)), "")
    return _written(site, raw, path, query, shown)


def of_asgi(scope: Mapping[str, Any], site: str, path: str, shown: str) -> list[str]:
    """The same for ASGI."""
    query = bytes(scope.get("query_string") or b"").decode("utf-8", "replace")
    raw = bytes(scope.get("raw_path") or b"").decode("utf-8", "replace")
    return _written(site, raw, path, query, shown)


def _written(site: str, raw: str, path: str, query: str, shown: str) -> list[str]:
    if raw and not raw.startswith("/"):  # with scheme and host, as proxies are asked
        raw = "/" + raw.partition("://")[2].partition("/")[2]
    if raw:
        paths = [raw]
    else:
        paths = [quote(path, safe=kept, errors="replace") for kept in _KEPT]
        paths += [_in_lower_case(each) for each in paths]
    tail = f"?{query}" if query and "?" not in raw else ""
    return list(dict.fromkeys([*(f"{site}{each}{tail}" for each in paths), shown]))


def _in_lower_case(path: str) -> str:
    """A path with its escapes in lower case."""
    first, *rest = path.split("%")
    return "%".join([first, *(each[:2].lower() + each[2:] for each in rest)])


def _text(written: str) -> str:
    """WSGI has bytes as the characters of Latin-1."""
    return written.encode("latin-1", "replace").decode("utf-8", "replace")
