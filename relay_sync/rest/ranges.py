"""Parse a file's byte range and version from response headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from attrs import frozen

__all__ = ["Stretch", "changed", "read_stretch", "size_past_the_end", "validator", "versions_differ"]

_RANGE: Final = re.compile(r"bytes[ \t]+([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15}|\*)", re.IGNORECASE)
_PAST: Final = re.compile(r"bytes[ \t]+\*/([0-9]{1,15})", re.IGNORECASE)


@frozen
class Stretch:
    """A byte range of a file.

    :ivar start: offset of the first byte.
    :ivar end: offset after the last byte, or ``None`` if unknown.
    :ivar total: size of the complete file, or ``None`` if unknown.
    :ivar part: whether the response has a ``Content-Range`` header.
    """

    start: int
    end: int | None
    total: int | None
    part: bool


def read_stretch(status: int, headers: Mapping[str, str]) -> Stretch | None:
    """Return the byte range in the body of a 200 or 206 response, or ``None`` if the headers are inconsistent.

    A ``Content-Range`` header is used with both statuses, because some proxies change a 206 to a 200.
    """
    length = _length(headers.get("Content-Length", ""))
    said = headers.get("Content-Range", "").strip()
    if status == 200 and not said:
        return Stretch(0, length, length, part=False)
    found = _RANGE.fullmatch(said)
    if found is None:
        return None
    start, end = int(found[1]), int(found[2]) + 1
    total = None if found[3] == "*" else int(found[3])
    if start >= end or (total is not None and end > total) or (length is not None and length != end - start):
        return None
    return Stretch(start, end, total, part=True)


def size_past_the_end(headers: Mapping[str, str]) -> int | None:
    """Return the file size from a 416 response's headers, or ``None`` if it is missing."""
    found = _PAST.fullmatch(headers.get("Content-Range", "").strip())
    return None if found is None else int(found[1])


def _length(said: str) -> int | None:
    """Parse a ``Content-Length`` value, which may be repeated. Return ``None`` if it is missing or the values differ."""
    values = {each.strip() for each in said.split(",")}
    value = values.pop()
    return int(value) if not values and re.fullmatch("[0-9]{1,15}", value) else None


def validator(headers: Mapping[str, str]) -> str:
    """Return the file's validator: a strong ``ETag`` if there is one, otherwise the modification time."""
    tag = headers.get("ETag", "").strip()
    return tag if tag.startswith('"') else changed(headers)


def changed(headers: Mapping[str, str]) -> str:
    """Return the ``Last-Modified`` value, or ``""``."""
    return headers.get("Last-Modified", "").strip()


def versions_differ(known: str, known_change: str, headers: Mapping[str, str]) -> bool:
    """Return whether the headers identify a different version of the file. If the headers are missing, return ``False``.

    :param known: known version's validator.
    :param known_change: known version's modification time.
    """
    tag, change = headers.get("ETag", "").strip(), changed(headers)
    if known.startswith('"') and tag:
        return tag != known
    return bool(known_change and change) and change != known_change
