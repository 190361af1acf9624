"""Reconstruct a request's original URL, for signature verification.

A callback's signature covers the URL exactly as the sender wrote it. Web frameworks decode the request path and may encode it
differently when they rebuild the URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

__all__ = ["of_asgi", "of_wsgi"]

#: WSGI keys with the undecoded request target. uWSGI and mod_wsgi set the first one, gunicorn the second, Werkzeug both.
_RAW: Final = ("REQUEST_URI", "RAW_URI")
#: Sets of characters that a sender might leave unencoded in a path, from strict to lenient. The second set follows RFC 3986.
_KEPT: Final = ("/", "/!$&'()*+,;=:@", "/!$&'()*+,;=:@|{}[]^`\"<>\\")


def of_wsgi(environ: Mapping[str, Any], site: str, path: str, shown: str) -> list[str]:
    """Return the possible original URLs of a WSGI request, most likely first.

    :param environ: WSGI environment.
    :param site: scheme and host, such as ``https://example.com``.
    :param path: complete path, decoded.
    :param shown: URL as encoded by the framework.
    """
    query = _text(environ.get("QUERY_STRING") or "")
    raw = next((_text(environ[name]) for name in _RAW if environ.get(name)), "")
    return _written(site, raw, path, query, shown)


def of_asgi(scope: Mapping[str, Any], site: str, path: str, shown: str) -> list[str]:
    """Return the possible original URLs of an ASGI request, most likely first.

    :param scope: ASGI scope.
    :param site: scheme and host, such as ``https://example.com``.
    :param path: complete path, decoded.
    :param shown: URL as encoded by the framework.
    """
    query = bytes(scope.get("query_string") or b"").decode("utf-8", "replace")
    raw = bytes(scope.get("raw_path") or b"").decode("utf-8", "replace")
    return _written(site, raw, path, query, shown)


def _written(site: str, raw: str, path: str, query: str, shown: str) -> list[str]:
    if raw and not raw.startswith("/"):  # Absolute form, as in requests to a proxy.
        raw = "/" + raw.partition("://")[2].partition("/")[2]
    if raw:
        paths = [raw]
    else:
        paths = [quote(path, safe=kept, errors="replace") for kept in _KEPT]
        paths += [_in_lower_case(each) for each in paths]
    tail = f"?{query}" if query and "?" not in raw else ""
    return list(dict.fromkeys([*(f"{site}{each}{tail}" for each in paths), shown]))


def _in_lower_case(path: str) -> str:
    """Return the path with its percent-escapes in lower case."""
    first, *rest = path.split("%")
    return "%".join([first, *(each[:2].lower() + each[2:] for each in rest)])


def _text(written: str) -> str:
    """Decode a WSGI string, whose characters represent the raw bytes as Latin-1."""
    return written.encode("latin-1", "replace").decode("utf-8", "replace")
