"""What may be shown of a URL. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["place"]


def place(url: str) -> str:
    """Scheme, host and port of a URL: what may be logged of it, since paths and queries may hold secrets."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}"
    except ValueError:
        return "<no URL>"
