"""Fork and exit handling.

The package registers one fork hook and one exit hook. Both hold only weak references to the watched objects, so they do
not keep a client alive.
"""

from __future__ import annotations

import atexit
import gc
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
#: Maximum time that a fork waits for imports in other threads, in seconds.
IMPORT_PATIENCE: Final = 5.0
_NAP: Final = 0.001
#: File name of Python's import machinery in stack frames.
_IMPORTING: Final = "<frozen importlib._bootstrap>"
_OURS: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep


class Watched(Protocol):
    """An object that is notified when the process forks or exits."""

    def after_fork(self) -> None:
        """Release the parent's resources in the child process.

        This method must not send anything to the peer or acquire a lock that existed before the fork.
        """

    def at_exit(self, timeout: float) -> None:
        """Stop within ``timeout`` seconds because the interpreter is exiting."""


#: Identifiers of the threads that must never block.
io_threads: set[int] = set()

_watched: Living[Watched] = Living()
_first_at_exit: dict[Callable[[], None], None] = {}
_forks: list[None] = []

#: Returns the number of forks between the first process and this one. Objects store this number to detect that they have
#: been copied to a child process. It is called for every frame of audio, and a method of a list is the quickest function.
generation: Final[Callable[[], int]] = _forks.__len__


def forked_error() -> Forked:
    return Forked(
        "this object belongs to the parent process; in a forked child, use the client itself, which reconnects automatically"
    )


def check_thread() -> None:
    """Raise an exception if the current thread is an IO thread, which must not block.

    :raises WrongThread: the current thread is an IO thread.
    """
    if threading.get_ident() in io_threads:
        raise WrongThread(
            "a blocking call on relay_sync's IO thread would deadlock (it was made by __del__ or by a callback of another "
            "library); make it from another thread"
        )


def watch(subject: Watched) -> None:
    """Notify an object of forks and process exit for as long as it exists."""
    _watched.add(subject)


def _before_fork() -> None:
    """Wait until no other thread is importing one of this package's modules.

    Otherwise, the child process would inherit a partially imported module, together with an import lock held by a
    thread that does not exist there.
    """
    left = TimeLeft(IMPORT_PATIENCE)
    while _importing() and not left.over:
        time.sleep(_NAP)
        left.waited(_NAP)


def _importing() -> bool:
    """Return whether another thread is importing one of this package's modules, or anything from this package's code."""
    me = threading.get_ident()
    # A garbage collection can run other threads while the interpreter reads their frames, which can deadlock or crash before
    # Python 3.12 (python/cpython#106883).
    collecting = gc.isenabled()
    gc.disable()
    try:
        return any(_imports(frame) for thread, frame in sys._current_frames().items() if thread != me)
    finally:
        if collecting:
            gc.enable()


def _imports(frame: FrameType | None) -> bool:
    imports = ours = False
    while frame is not None and not (imports and ours):
        name = frame.f_code.co_filename
        imports = imports or name == _IMPORTING
        ours = ours or name.startswith(_OURS)
        frame = frame.f_back
    return imports and ours


def _after_fork_in_child() -> None:
    global _watched
    _forks.append(None)
    logs.after_fork()
    io_threads.clear()
    subjects = list(_watched)
    _watched = Living(subjects)
    for subject in subjects:
        _tell(subject.after_fork)


def tell_first_at_exit(function: Callable[[], None]) -> None:
    """Register a function to call at exit, before the watched objects stop, so that it can inspect active objects.

    :param function: function to call. It runs once, even if it is registered several times.
    """
    _first_at_exit[function] = None


def _at_exit() -> None:
    for function in list(_first_at_exit):
        _tell(function)
    for subject in list(_watched):
        _tell(subject.at_exit, EXIT_PATIENCE)
    logs.flush(EXIT_PATIENCE)


def _tell(listener: Callable[..., None], *args: float) -> None:
    # Log exceptions so that the remaining functions still run.
    try:
        listener(*args)
    except Exception:
        _log.exception("internal error during a fork or at process exit")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
