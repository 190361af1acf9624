"""Life and death of the process around us: fork, exit, and clients that were forgotten.

One fork hook and one exit hook for the whole package. Both hold their subjects weakly, so neither keeps a client alive.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final, Protocol

from ..errors import Forked, WrongThread
from . import logs
from .living import Living
from .timeouts import TimeLeft

__all__ = ["check_thread", "forked_error", "generation", "io_threads", "tell_first_at_exit", "watch"]

_log = logs.get("relay_sync").later

EXIT_PATIENCE: Final = 2.0
#: Seconds that a fork waits at most for an import.
IMPORT_PATIENCE: Final = 5.0
_NAP: Final = 0.001
#: Where Python's own code for imports says that it is from.
_IMPORTING: Final = "<frozen importlib._bootstrap>"
_OURS: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep


class Watched(Protocol):
    """What wants to hear of the end or the doubling of the process."""

    def after_fork(self) -> None:
        """In the child: drop what belongs to the parent, without a word to its peer and without taking old locks."""

    def at_exit(self, timeout: float) -> None:
        """The interpreter ends: stop, within so many seconds."""


#: Identities of threads on which nothing may block.
io_threads: set[int] = set()

_watched: Living[Watched] = Living()
_first_at_exit: dict[Callable[[], None], None] = {}
_generation = 0


def generation() -> int:
    """How many forks lie between the first process and this one. Things remember theirs to notice that they are copies."""
    return _generation


def forked_error() -> Forked:
    return Forked(
        "this object belongs to the parent process; after a fork use the client again, which connects automatically"
    )


def check_thread() -> None:
    """Refuse to block the thread that everybody waits for.

    :raises WrongThread: on an IO thread.
    """
    if threading.get_ident() in io_threads:
        raise WrongThread(
            "a blocking call on relay_sync's IO thread would wait for itself: make it from a thread of yours "
            "(__del__ or a callback of another library's ran it there)"
        )


def watch(subject: Watched) -> None:
    """Tell the subject of forks and of the process's end, for as long as it lives."""
    _watched.add(subject)


def _before_fork() -> None:
    """Wait for imports that this package has begun in other threads: the child would have half a module, and its lock, held by a
    thread that is not there.
    """
    left = TimeLeft(IMPORT_PATIENCE)
    while _importing() and not left.over:
        time.sleep(_NAP)
        left.waited(_NAP)


def _importing() -> bool:
    """Whether another thread is in an import that comes from code of this package, or is one of it."""
    me = threading.get_ident()
    return any(_imports(frame) for thread, frame in sys._current_frames().items() if thread != me)


def _imports(frame: FrameType | None) -> bool:
    imports = ours = False
    while frame is not None and not (imports and ours):
        name = frame.f_code.co_filename
        imports = imports or name == _IMPORTING
        ours = ours or name.startswith(_OURS)
        frame = frame.f_back
    return imports and ours


def _after_fork_in_child() -> None:
    global _generation, _watched
    _generation += 1
    logs.after_fork()
    io_threads.clear()
    subjects = list(_watched)
    _watched = Living(subjects)
    for subject in subjects:
        _tell(subject.after_fork)


def tell_first_at_exit(function: Callable[[], None]) -> None:
    """Call a function at the process's end before anything watched is stopped, to look at what still lives. Once, however
    often it is given.
    """
    _first_at_exit[function] = None


def _at_exit() -> None:
    for function in list(_first_at_exit):
        _tell(function)
    for subject in list(_watched):
        _tell(subject.at_exit, EXIT_PATIENCE)
    logs.flush(EXIT_PATIENCE)


def _tell(listener: Callable[..., None], *args: float) -> None:
    # The fault of one is not to keep the news from the others; Python would print it or drop it, and go no further.
    try:
        listener(*args)
    except Exception:
        _log.exception("internal error during a fork or at process exit")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
