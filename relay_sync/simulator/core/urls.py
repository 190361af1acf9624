"""Redaction of URLs for logging."""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["place"]


def place(url: str) -> str:
    """Return the scheme, host and port of a URL. Paths and queries are removed, because they may contain secrets."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}"
    except ValueError:
        return "<invalid URL>"
