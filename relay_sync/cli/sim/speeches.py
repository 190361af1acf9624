"""The audio that a caller of ``relay-sync sim call`` speaks."""

from __future__ import annotations

import base64
import os
import stat
from typing import Any, Final

from ..mistakes import Mistake

__all__ = ["SAMPLES", "read_speech"]

#: Names of the included samples. A file of such a name is given with its folder, such as ``./caller``.
SAMPLES: Final = ("greeting", "caller")
#: Maximum size of a WAV file, in bytes.
MOST_FILE: Final = 64 * 2**20


def read_speech(given: str | None) -> Any:
    """Return the audio as the control interface accepts it, or ``None`` for silence.

    :param given: name of an included sample, or path of a WAV file.
    :raises Mistake: the file cannot be read, is not a regular file or is too large.
    """
    if given is None:
        return None
    if given in SAMPLES:
        return {"speech": given}
    return {"wav": base64.b64encode(_read(given)).decode("ascii")}


def _read(path: str) -> bytes:
    try:
        # Without O_NONBLOCK, opening a pipe would block until a program writes to it.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise Mistake("--says", f"{path}: not a regular file")
            data = file.read(MOST_FILE + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise Mistake("--says", f"{path}: {why}; expected {', '.join(SAMPLES)} or a WAV file") from None
    if len(data) > MOST_FILE:
        raise Mistake("--says", f"{path}: larger than {MOST_FILE >> 20} MiB")
    if data[:4] not in (b"RIFF", b"RF64", b"RIFX"):
        raise Mistake("--says", f"{path}: not a WAV file")
    return data
