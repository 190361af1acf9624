"""Starting threads and waiting for them: work that Ctrl-C cannot leave half done, and work that nothing can interrupt."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from .timeouts import TimeLeft

__all__ = ["in_time", "join_all", "uninterrupted"]

_T = TypeVar("_T")
#: Seconds of one wait: a signal that comes just before it is noticed only when it ends.
_SLICE: Final = 0.5


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


def in_time(function: Callable[[], _T], timeout: float, name: str) -> _T:
    """What the function returns or raises. It runs in a thread of that name, for nothing can interrupt it: a look-up, say.

    :param timeout: seconds.
    :raises TimeoutError: it takes longer. It goes on, and what becomes of it is dropped.
    """
    results: list[_T] = []
    errors: list[BaseException] = []
    busy = threading.Lock()
    busy.acquire()

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # whatever it is, somebody waits for it
            errors.append(error)
        finally:
            busy.release()

    try:
        uninterrupted(threading.Thread(target=run, name=name, daemon=True).start)
    except RuntimeError:  # at the interpreter's end, or beyond a limit, the system gives no thread
        return function()
    left = timeout
    while not busy.acquire(True, max(0.0, min(left, _SLICE))):
        left -= _SLICE  # and not by the clock, which stands still in tests that freeze it
        if left <= 0:
            raise TimeoutError(f"no answer within {timeout:g} s")
    if errors:
        raise errors[0]
    return results[0]


def join_all(threads: Iterable[threading.Thread], timeout: float) -> list[threading.Thread]:
    """Wait for threads to end, for so many seconds in all. One that is just being started cannot be joined and is left out.

    :return: those that still run.
    """
    threads, left = list(threads), TimeLeft(timeout)
    for thread in threads:
        if thread.is_alive():
            longest = max(0.0, left() or 0.0)
            thread.join(longest)
            if thread.is_alive():
                left.waited(longest)
    return [thread for thread in threads if thread.is_alive()]
