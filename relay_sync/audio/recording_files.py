"""The files of recordings: their names, and how they are made."""

from __future__ import annotations

import os
import re
import string
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InvalidParameter
from .messages import Start

__all__ = ["check_pattern", "create_recording", "files_for", "open_recording", "spool_file"]

_FIELDS = ("call_id", "stream_id", "account_id")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_ATTEMPTS = 1000
_SAMPLE = "5b1e3f4a-7c0d-4e58-9a26-d3f1c8b09e72"
_LONGEST = 255  # bytes of a name on nearly all file systems
_ODD_FORMAT = re.compile(r"\{|[0-9]{4}")  # with another field in it, or a width that no name has


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


def spool_file() -> BinaryIO:
    """Return a file without a name that disappears when it is closed.

    :raises OSError: there is no space for it.
    """
    # On Windows tempfile wraps the file in an object of its own that behaves like it.
    return tempfile.TemporaryFile(prefix="relay-audio-", buffering=0)


def files_for(
    record_to: str | None, spool: bool, tell: Callable[[str, str, object], object]
) -> Callable[[Start], BinaryIO] | None:
    """What makes the file for what is kept of a stream, on the disk thread; ``None`` where nothing is kept.

    :param record_to: a pattern for its name.
    :param spool: keep it in a file without a name where there is no other.
    """

    def make(start: Start) -> BinaryIO:
        if record_to is not None:
            try:
                return open_recording(record_to, start)
            except Exception as error:
                if not spool:
                    raise
                tell("recording", "the recording file cannot be created; the audio is kept for save() only: %s", error)
        return spool_file()

    return make if spool or record_to is not None else None
