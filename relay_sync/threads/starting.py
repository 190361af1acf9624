"""Starting and joining threads, protected from Ctrl-C, and calls with a timeout for functions that have none."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from .timeouts import TimeLeft

__all__ = ["in_time", "join_all", "uninterrupted"]

_T = TypeVar("_T")
#: Seconds of one wait: a signal that arrives just before the wait is handled only when it ends.
_SLICE: Final = 0.5


def uninterrupted(function: Callable[[], object]) -> None:
    """Call a short function in a way that Ctrl-C cannot interrupt, and wait for it. Its exceptions are raised here.

    Signals are handled on the main thread only. A call from the main thread therefore runs the function on another thread:
    Ctrl-C ends the wait, but the function either runs to its end or never starts.

    ``Thread.start()`` and ``socket.socketpair()`` need this. An exception in the middle of the first leaves a lock held, which
    blocks the new thread before its first line. In the second it leaks a file descriptor.

    :param function: the function.
    :raises RuntimeError: the system cannot start a thread.
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
    """Call a function that has no timeout of its own, such as a DNS lookup, on a separate thread.

    :param function: the function.
    :param timeout: seconds to wait.
    :param name: the name of the thread.
    :return: what the function returns. Its exceptions are raised here.
    :raises TimeoutError: the function takes longer. It continues to run, and its result is dropped.
    """
    results: list[_T] = []
    errors: list[BaseException] = []
    busy = threading.Lock()
    busy.acquire()

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # raised in the waiting thread
            errors.append(error)
        finally:
            busy.release()

    try:
        uninterrupted(threading.Thread(target=run, name=name, daemon=True).start)
    except RuntimeError:  # no thread available: the interpreter is exiting, or a limit is reached
        return function()
    left = timeout
    while not busy.acquire(True, max(0.0, min(left, _SLICE))):
        left -= _SLICE  # counted rather than measured: tests may freeze the clock
        if left <= 0:
            raise TimeoutError(f"no result within {timeout:g} s")
    if errors:
        raise errors[0]
    return results[0]


def join_all(threads: Iterable[threading.Thread], timeout: float) -> list[threading.Thread]:
    """Wait for threads to finish. Threads that are still starting cannot be joined and are skipped.

    :param threads: the threads.
    :param timeout: total seconds to wait.
    :return: the threads that are still running.
    """
    threads, left = list(threads), TimeLeft(timeout)
    for thread in threads:
        if thread.is_alive():
            longest = max(0.0, left() or 0.0)
            thread.join(longest)
            if thread.is_alive():
                left.waited(longest)
    return [thread for thread in threads if thread.is_alive()]
