"""The part of a URL that may be shown. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["place"]


def place(url: str) -> str:
    """Return scheme, host and port of a URL, the part that may be logged: paths and queries may contain secrets."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}"
    except ValueError:
        return "<invalid URL>"
