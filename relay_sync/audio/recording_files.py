"""Create recording files."""

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
_LONGEST = 255  # maximum bytes in a file name on most file systems
_ODD_FORMAT = re.compile(r"\{|[0-9]{4}")  # a nested field, or a width that exceeds any file name


def check_pattern(pattern: Any) -> str:
    """Validate a ``record_to`` pattern by formatting it with sample IDs.

    :return: the pattern as text.
    :raises InvalidParameter: the pattern is invalid, or the result is not a valid file name.
    """
    accepted = "a path that may contain {call_id}, {stream_id} and {account_id}"
    text = os.fspath(pattern) if isinstance(pattern, (str, os.PathLike)) else ""
    if not text or not isinstance(text, str):
        raise InvalidParameter("record_to", pattern, accepted)
    try:
        fields = [(name, spec or "") for _, name, spec, _ in string.Formatter().parse(text) if name is not None]
        # Reject attributes, items and nested fields: whether they can be formatted depends on the ID.
        if any(name not in _FIELDS or _ODD_FORMAT.search(spec) for name, spec in fields):
            raise ValueError("no such field")
        path = _filled(text, dict.fromkeys(_FIELDS, _SAMPLE))
        names = [len(os.fsencode(part)) for part in path.parts]
    except ValueError:
        raise InvalidParameter("record_to", text, f"{accepted}, with valid format specifications") from None
    if "\0" in text or not path.name or max(names) > _LONGEST:
        raise InvalidParameter("record_to", text, f"{accepted}, and a valid file name")
    if path.is_dir():
        raise InvalidParameter("record_to", text, f"{accepted}, and is not a directory")
    return text


def _safe(value: str) -> str:
    """Make an ID safe for use in a file name. IDs are untrusted: they may contain path separators or be very long."""
    return _UNSAFE.sub("_", value)[:100].lstrip(".") or "unknown"


def _filled(pattern: str, ids: Mapping[str, str]) -> Path:
    return Path(pattern.format(**{name: _safe(value) for name, value in ids.items()}))


def open_recording(pattern: str, start: Start) -> BinaryIO:
    """Create the file for a stream's recording, and its parent directories.

    :param pattern: the ``record_to`` pattern.
    :param start: the ``start`` message, which contains the IDs.
    :raises OSError: the file cannot be created.
    """
    path = _filled(pattern, {name: getattr(start, name) for name in _FIELDS})
    path.parent.mkdir(parents=True, exist_ok=True)
    return create_recording(path)


def create_recording(path: str | Path) -> BinaryIO:
    """Create a new file. If ``path`` exists, append ``-2``, ``-3`` ... to its stem.

    :raises OSError: the file cannot be created.
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
    """Create a temporary file that is deleted when it is closed.

    :raises OSError: the file cannot be created.
    """
    # On Windows, tempfile returns a wrapper with the same interface.
    return tempfile.TemporaryFile(prefix="relay-audio-", buffering=0)


def files_for(
    record_to: str | None, spool: bool, tell: Callable[[str, str, object], object]
) -> Callable[[Start], BinaryIO] | None:
    """Return a function that creates the file for a stream's audio, or ``None`` if audio is not kept.

    :param record_to: pattern for the file's path; ``None`` if streams are not recorded to named files.
    :param spool: use a temporary file if there is no ``record_to``, or if the named file cannot be created.
    :param tell: logs a failure to create the named file.
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
