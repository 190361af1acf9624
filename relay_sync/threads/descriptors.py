"""What it looks like when a process has no file descriptor left, and what to say then.

Libraries hide it well: a certificate that cannot be checked, a name that is not found, a module that cannot be imported.
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
    """The system's own word that there is no descriptor, where an exception comes from that."""
    return next((each for each in chain(error) if isinstance(each, OSError) and each.errno in _LACK), None)


def are_lacking() -> bool:
    """Whether there is none at this moment: to be asked where something failed that would not say so."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in _LACK
    return False


@contextmanager
def descriptors_for(what: str) -> Iterator[None]:
    """:raises ConnectError: what is inside lacks one, for which it would raise an ``OSError``."""
    handled = sys.exception()
    try:
        yield
    except OSError as error:
        apart(error, handled)
        if lack(error) is None:
            raise
        raise without_descriptors(what, error) from error


def without_descriptors(what: str, error: BaseException | None) -> ConnectError:
    """Return the error for a process without free file descriptors.

    :param what: what needs one, in words.
    :param error: the system's word, or what came of it.
    """
    found = ConnectError(
        f"no file descriptor for {what}: {os.strerror(errno.EMFILE)}; close files or sockets of this process, or raise its limit "
        "of open files (ulimit -n)"
    )
    found.__cause__ = error
    return found
