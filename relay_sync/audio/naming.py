"""Names: of recordings on disk, and of the address the carrier is given."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from ..errors import InvalidParameter
from ..hosts import is_loopback
from ..params import values as checks
from .messages import Start

__all__ = [
    "check_path",
    "check_pattern",
    "check_public_url",
    "check_target",
    "check_token",
    "create_recording",
    "open_recording",
]

_FIELDS = ("call_id", "stream_id", "account_id")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_ATTEMPTS = 1000
_SAMPLE = "5b1e3f4a-7c0d-4e58-9a26-d3f1c8b09e72"
_LONGEST = 255  # bytes of a name on nearly all file systems
_ODD_FORMAT = re.compile(r"\{|[0-9]{4}")  # with another field in it, or a width that no name has


def check_public_url(url: Any) -> str:
    """Give *url* back if a carrier can be sent there.

    :raises InvalidParameter: it cannot.
    """
    accepted = "wss://host[:port]/path without query, credentials or fragment (ws:// for this machine only)"
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        fine = parts.port != 0 and bool(parts.hostname)
    except ValueError:
        raise InvalidParameter("public_url", url, accepted, secret=checks.may_hold_secrets(url)) from None
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
        raise InvalidParameter("public_url", url, accepted, secret=checks.may_hold_secrets(url))
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


def check_token(token: Any) -> str | None:
    """Give a bearer token back if a header can carry it.

    :raises InvalidParameter: it cannot.
    """
    if token is not None and (
        not isinstance(token, str) or not token or not token.isascii() or not token.isprintable() or " " in token
    ):
        raise InvalidParameter("token", token, "printable ASCII without blanks", secret=True)
    return token


def check_pattern(pattern: Any) -> str:
    """Give a ``record_to`` pattern back if it can be filled in: it is, with ids such as carriers have.

    :raises InvalidParameter: it cannot, or what comes out is no name of a file.
    """
    accepted = "a path with {call_id}, {stream_id} or {account_id} in it"
    text = os.fspath(pattern) if isinstance(pattern, (str, os.PathLike)) else ""
    if not text or not isinstance(text, str):
        raise InvalidParameter("record_to", pattern, accepted)
    try:
        fields = [(name, spec or "") for _, name, spec, _ in string.Formatter().parse(text) if name is not None]
        # An item of an id, or a format that is an id, may be there for one id and not for another.
        if any(name not in _FIELDS or _ODD_FORMAT.search(spec) for name, spec in fields):
            raise ValueError("no such field")
        path = _filled(text, dict.fromkeys(_FIELDS, _SAMPLE))
        names = [len(os.fsencode(part)) for part in path.parts]
    except ValueError:
        raise InvalidParameter("record_to", text, f"{accepted} and formats that a text can have") from None
    if "\0" in text or not path.name or max(names) > _LONGEST:
        raise InvalidParameter("record_to", text, f"{accepted} that is a possible name of a file")
    if path.is_dir():
        raise InvalidParameter("record_to", text, f"{accepted}, and no folder")
    return text


def check_target(path: Any) -> None:
    """Whether a file can be written under this path, as far as it tells.

    :raises InvalidParameter: it is none. A number would be taken for an open file.
    """
    checks.path("path", path, "the path of a file to write")


def _safe(value: str) -> str:
    """The carrier's ids come from outside: no separators, no leading dot, no endless names."""
    return _UNSAFE.sub("_", value)[:100].lstrip(".") or "unknown"


def _filled(pattern: str, ids: Mapping[str, str]) -> Path:
    return Path(pattern.format(**{name: _safe(value) for name, value in ids.items()}))


def open_recording(pattern: str, start: Start) -> BinaryIO:
    """Create the file for a recording and the folders above it. Never an existing one: ``-2``, ``-3`` ... are tried.

    :raises OSError: it cannot be created.
    """
    path = _filled(pattern, {name: getattr(start, name) for name in _FIELDS})
    path.parent.mkdir(parents=True, exist_ok=True)
    return create_recording(path)


def create_recording(path: str | Path) -> BinaryIO:
    """Create a file of this name, or of the name with ``-2``, ``-3`` ... where there is one.

    :raises OSError: it cannot be created.
    """
    path = Path(path)
    for number in range(1, _ATTEMPTS):
        name = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        try:
            return open(os.fspath(name), "x+b", buffering=0)
        except FileExistsError:
            continue
    raise FileExistsError(f"{path} and {_ATTEMPTS - 2} numbered variants of it exist already")
