"""File locks that the operating system releases even if the process is killed."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import IO

if sys.platform != "win32":
    import fcntl

__all__ = ["lock", "unlock"]


def lock(file: IO[bytes]) -> bool:
    """Lock a file until it is closed, if the platform and the file system support locks.

    :return: ``False`` if this process or another one has already locked the file.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # some systems raise PermissionError
            return False
        except OSError:  # the file system does not support locks
            pass
    return True


def unlock(file: IO[bytes]) -> None:
    """Unlock a file before it is closed.

    Closing the file is not enough if a child process that has not called exec yet holds a copy of the descriptor.
    """
    if sys.platform != "win32":
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)
