"""Locks on files: the system takes those of a process that was killed away by itself."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import IO

if sys.platform != "win32":
    import fcntl

__all__ = ["lock", "unlock"]


def lock(file: IO[bytes]) -> bool:
    """Lock a file until it is closed, where the system and the file system can do that.

    :return: whether nobody else has it locked.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # some systems say the latter
            return False
        except OSError:  # a file system without locks
            pass
    return True


def unlock(file: IO[bytes]) -> None:
    """Unlock a file that is about to be closed: a child that is between its fork and its exec has it open, too."""
    if sys.platform != "win32":
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)
