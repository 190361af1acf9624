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

__all__ = ["apart", "are_lacking", "chain", "descriptors_for", "lack", "without_descriptors"]

_LACK: Final = frozenset({errno.EMFILE, errno.ENFILE})


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what it came from, down to the system's own."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def apart(error: BaseException, handled: BaseException | None) -> None:
    """Take what the caller was handling already out of what an exception came from.

    A program may call us where it handles an error of its own, to say it on the telephone perhaps; Python links the two.

    :param handled: what ``sys.exception()`` was before anything was done.
    """
    if handled is not None:
        for each in chain(error):
            if each.__context__ is handled:
                each.__context__ = None


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
    """:param what: there is none for, in words. :param error: the system's word, or what came of it."""
    found = ConnectError(
        f"no file descriptor for {what}: {os.strerror(errno.EMFILE)}; close files or sockets of this process, or raise its limit "
        "of open files (ulimit -n)"
    )
    found.__cause__ = error
    return found
