"""Start and join threads safely in the presence of Ctrl-C, and call blocking functions with a timeout."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from .timeouts import TimeLeft

__all__ = ["in_time", "join_all", "uninterrupted"]

_T = TypeVar("_T")
#: Maximum time of a single wait, in seconds. A signal that arrives just before a wait is handled only when the wait
#: ends.
_SLICE: Final = 0.5


def uninterrupted(function: Callable[[], object]) -> None:
    """Call a short function that Ctrl-C must not interrupt, and wait for it to finish.

    Python handles signals on the main thread only. When called from the main thread, this function therefore runs the
    given function on another thread. Ctrl-C can end the wait, but the function either runs to completion or never
    starts.

    ``Thread.start()`` and ``socket.socketpair()`` need this protection. If an exception interrupts ``start()``, a lock
    stays held and blocks the new thread. If it interrupts ``socketpair()``, a file descriptor leaks.

    :param function: function to call. Its exceptions propagate to the caller.
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
    """Call a blocking function that has no timeout, such as a DNS lookup, on a separate thread.

    :param function: function to call.
    :param timeout: maximum time to wait, in seconds.
    :param name: thread name.
    :return: the function's result. Its exceptions propagate to the caller.
    :raises TimeoutError: the function did not finish in time. It keeps running, and its result is discarded.
    """
    results: list[_T] = []
    errors: list[BaseException] = []
    busy = threading.Lock()
    busy.acquire()

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # raised again in the waiting thread
            errors.append(error)
        finally:
            busy.release()

    try:
        uninterrupted(threading.Thread(target=run, name=name, daemon=True).start)
    except RuntimeError:  # the interpreter is exiting, or the thread limit is reached
        return function()
    left = timeout
    while not busy.acquire(True, max(0.0, min(left, _SLICE))):
        left -= _SLICE  # count the waits instead of reading the clock, which tests may freeze
        if left <= 0:
            raise TimeoutError(f"no result within {timeout:g} s")
    if errors:
        raise errors[0]
    return results[0]


def join_all(threads: Iterable[threading.Thread], timeout: float) -> list[threading.Thread]:
    """Wait for threads to finish. Threads that are still starting cannot be joined and are skipped.

    :param threads: threads to join.
    :param timeout: maximum total time to wait, in seconds.
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
