"""Work that Ctrl-C cannot leave half done."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable

__all__ = ["uninterrupted"]


def uninterrupted(function: Callable[[], object]) -> None:
    """Call a short function, and wait for it. On the main thread another thread calls it, since signals are handled on the main
    thread only: a Ctrl-C ends the wait, and the function is carried out all the same, or has never begun.

    ``Thread.start()`` and ``socket.socketpair()`` need this: an exception in the middle of the first leaves a lock taken, on
    which the new thread blocks before its first line; in the second it leaves a file descriptor that nobody closes.

    Whatever the function raises is raised here.

    :raises RuntimeError: the system gives no thread.
    """
    if threading.current_thread() is not threading.main_thread():
        function()
        return
    failed: list[BaseException] = []
    busy = threading.Lock()
    busy.acquire()

    def call() -> None:
        try:
            function()
        except BaseException as error:
            failed.append(error)
        finally:
            busy.release()

    _thread.start_new_thread(call, ())
    busy.acquire()
    if failed:
        raise failed[0]
