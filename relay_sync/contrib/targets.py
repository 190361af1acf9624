"""Reconstruct the URL of a request as the sender wrote it, because signatures cover it. Pure.

Frameworks decode the path and may encode it differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

__all__ = ["of_asgi", "of_wsgi"]

#: Where servers store the undecoded request target: uWSGI, mod_wsgi and Werkzeug; gunicorn and Werkzeug.
_RAW: Final = ("REQUEST_URI", "RAW_URI")
#: Characters that senders do not encode in a path, in three increasingly lenient sets; the second is that of RFC 3986.
_KEPT: Final = ("/", "/!$&'()*+,;=:@", "/!$&'()*+,;=:@|{}[]^`\"<>\\")


def of_wsgi(environ: Mapping[str, Any], site: str, path: str, shown: str) -> list[str]:
    """Return the ways in which the sender may have written the URL of a WSGI request, the likeliest first.

    :param environ: the WSGI environment.
    :param site: the scheme and host.
    :param path: the whole path, decoded.
    :param shown: the URL as the framework encodes it.
    """
    query = _text(environ.get("QUERY_STRING") or "")
    raw = next((_text(environ[name]) for name in _RAW if environ.get(name)), "")
    return _written(site, raw, path, query, shown)


def of_asgi(scope: Mapping[str, Any], site: str, path: str, shown: str) -> list[str]:
    """Return the same as :func:`of_wsgi` for the scope of an ASGI request."""
    query = bytes(scope.get("query_string") or b"").decode("utf-8", "replace")
    raw = bytes(scope.get("raw_path") or b"").decode("utf-8", "replace")
    return _written(site, raw, path, query, shown)


def _written(site: str, raw: str, path: str, query: str, shown: str) -> list[str]:
    if raw and not raw.startswith("/"):  # with scheme and host, as in requests to proxies
        raw = "/" + raw.partition("://")[2].partition("/")[2]
    if raw:
        paths = [raw]
    else:
        paths = [quote(path, safe=kept, errors="replace") for kept in _KEPT]
        paths += [_in_lower_case(each) for each in paths]
    tail = f"?{query}" if query and "?" not in raw else ""
    return list(dict.fromkeys([*(f"{site}{each}{tail}" for each in paths), shown]))


def _in_lower_case(path: str) -> str:
    """Return a path with its percent-escapes in lower case."""
    first, *rest = path.split("%")
    return "%".join([first, *(each[:2].lower() + each[2:] for each in rest)])


def _text(written: str) -> str:
    """Decode a WSGI string, which holds bytes as Latin-1 characters."""
    return written.encode("latin-1", "replace").decode("utf-8", "replace")
