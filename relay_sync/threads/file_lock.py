"""File locks, which the system releases even if the process is killed."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import IO

if sys.platform != "win32":
    import fcntl

__all__ = ["lock", "unlock"]


def lock(file: IO[bytes]) -> bool:
    """Lock a file until it is closed, if the system and the file system support that.

    :return: ``False`` if the file is locked already, by this process or another one.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # some systems raise the latter
            return False
        except OSError:  # the file system does not support locks
            pass
    return True


def unlock(file: IO[bytes]) -> None:
    """Unlock a file before it is closed. Closing is not enough: a child between its fork and its exec has the file open too."""
    if sys.platform != "win32":
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)
