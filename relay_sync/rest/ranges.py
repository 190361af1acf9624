"""Which bytes of a file an answer holds, by its head. Pure."""

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
    """Bytes of a file.

    :ivar start: the first. :ivar end: behind the last, ``None`` where the head does not say.
    :ivar total: of the whole file, ``None`` likewise. :ivar part: whether the head says which part it is.
    """

    start: int
    end: int | None
    total: int | None
    part: bool


def read_stretch(status: int, headers: Mapping[str, str]) -> Stretch | None:
    """What the body of a 200 or 206 is; ``None`` where its head contradicts itself.

    A ``Content-Range`` counts under either status: there are proxies that turn a 206 into a 200.
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
    """The size of the file in the head of a 416."""
    found = _PAST.fullmatch(headers.get("Content-Range", "").strip())
    return None if found is None else int(found[1])


def _length(said: str) -> int | None:
    """A length, also one that is there twice; ``None`` where there is none or there are several."""
    values = {each.strip() for each in said.split(",")}
    value = values.pop()
    return int(value) if not values and re.fullmatch("[0-9]{1,15}", value) else None


def validator(headers: Mapping[str, str]) -> str:
    """What names a file's version, byte by byte: a strong ETag, else the time of its last change."""
    tag = headers.get("ETag", "").strip()
    return tag if tag.startswith('"') else changed(headers)


def changed(headers: Mapping[str, str]) -> str:
    """When the file was last changed, as the server says it."""
    return headers.get("Last-Modified", "").strip()


def versions_differ(known: str, known_change: str, headers: Mapping[str, str]) -> bool:
    """Whether a head names another version than the validator does, or the time of another change. One that names none does
    not.
    """
    tag, change = headers.get("ETag", "").strip(), changed(headers)
    if known.startswith('"') and tag:
        return tag != known
    return bool(known_change and change) and change != known_change
