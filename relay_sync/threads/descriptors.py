"""Detection of file descriptor exhaustion.

Libraries often report exhaustion as a different problem, such as an invalid certificate, an unknown host, or a missing
module.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ..errors import ConnectError
from ..text.causes import apart, chain

__all__ = ["are_lacking", "descriptors_for", "lack", "without_descriptors"]

_LACK: Final = frozenset({errno.EMFILE, errno.ENFILE})


def lack(error: BaseException | None) -> OSError | None:
    """Return the ``OSError`` in an exception's chain that reports file descriptor exhaustion, or ``None``."""
    return next((each for each in chain(error) if isinstance(each, OSError) and each.errno in _LACK), None)


def are_lacking() -> bool:
    """Return whether the process has run out of file descriptors. Use this for failures that do not report their cause."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in _LACK
    return False


@contextmanager
def descriptors_for(what: str) -> Iterator[None]:
    """Convert an ``OSError`` caused by file descriptor exhaustion into a :class:`ConnectError`.

    :param what: object that needs the descriptor, for the error message.
    :raises ConnectError: the process ran out of descriptors inside the block.
    """
    handled = sys.exception()
    try:
        yield
    except OSError as error:
        apart(error, handled)
        if lack(error) is None:
            raise
        raise without_descriptors(what, error) from error


def without_descriptors(what: str, error: BaseException | None) -> ConnectError:
    """Return the error to raise if the process has run out of file descriptors.

    :param what: object that needs the descriptor, for the error message.
    :param error: the operating system's error, or a failure caused by it.
    """
    found = ConnectError(
        f"no file descriptor for {what}: {os.strerror(errno.EMFILE)}; close files or sockets of this process, or raise its "
        "open-file limit (ulimit -n)"
    )
    found.__cause__ = error
    return found
