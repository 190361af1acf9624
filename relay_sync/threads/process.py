"""Fork and exit of the process.

The package has one fork hook and one exit hook. Both hold their subjects by weak references, so neither keeps a client alive.
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
#: Most seconds that a fork waits for an import in another thread.
IMPORT_PATIENCE: Final = 5.0
_NAP: Final = 0.001
#: The file name of Python's import machinery in stack frames.
_IMPORTING: Final = "<frozen importlib._bootstrap>"
_OURS: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep


class Watched(Protocol):
    """An object that is notified of forks and of the exit of the process."""

    def after_fork(self) -> None:
        """In the child: drop the parent's resources without sending anything to the peer or acquiring locks of the parent."""

    def at_exit(self, timeout: float) -> None:
        """Stop within ``timeout`` seconds: the interpreter exits."""


#: Identifiers of threads that must never block.
io_threads: set[int] = set()

_watched: Living[Watched] = Living()
_first_at_exit: dict[Callable[[], None], None] = {}
_generation = 0


def generation() -> int:
    """Return the number of forks from the first process to this one. Objects store it, to detect that they are forked copies."""
    return _generation


def forked_error() -> Forked:
    return Forked(
        "this object belongs to the parent process; in a forked child, use the client itself, which reconnects automatically"
    )


def check_thread() -> None:
    """Reject a blocking call on an IO thread.

    :raises WrongThread: the current thread is an IO thread.
    """
    if threading.get_ident() in io_threads:
        raise WrongThread(
            "a blocking call on relay_sync's IO thread would deadlock (it was made by __del__ or by a callback of another "
            "library); make it from another thread"
        )


def watch(subject: Watched) -> None:
    """Notify an object of forks and of the exit of the process, for as long as it exists."""
    _watched.add(subject)


def _before_fork() -> None:
    """Wait for this package's imports in other threads. Otherwise the child would inherit a partly imported module and its lock,
    held by a thread that does not exist there.
    """
    left = TimeLeft(IMPORT_PATIENCE)
    while _importing() and not left.over:
        time.sleep(_NAP)
        left.waited(_NAP)


def _importing() -> bool:
    """Return whether another thread is importing a module of this package, or a module from code of this package."""
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
    """Call a function at exit before the watched objects are stopped, so that it can inspect what is still active.

    :param function: called once, even if it is registered several times.
    """
    _first_at_exit[function] = None


def _at_exit() -> None:
    for function in list(_first_at_exit):
        _tell(function)
    for subject in list(_watched):
        _tell(subject.at_exit, EXIT_PATIENCE)
    logs.flush(EXIT_PATIENCE)


def _tell(listener: Callable[..., None], *args: float) -> None:
    # An exception must not keep the other subjects from being notified; Python would stop at the first one.
    try:
        listener(*args)
    except Exception:
        _log.exception("internal error during a fork or at process exit")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
