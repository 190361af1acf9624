"""The thread that makes, writes and closes the files of all recordings of a server."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from typing import BinaryIO

from ..threads import logs
from ..threads.flag import Bell
from ..threads.outcome import wait_until
from .recorder import Recorder

__all__ = ["Disk"]

_log = logs.get("relay_sync.audio").later
INTERVAL = 0.5  # seconds between writes


class Disk:
    """The disk thread, which runs only while something is being recorded.

    It writes all recordings every half second. In between it handles urgent requests one at a time: files to create, and
    recordings that end or are being saved.

    :param name: the thread's name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.RLock()  # never held while waiting
        self._bell = Bell()
        self._recorders: set[Recorder] = set()
        self._urgent: dict[Recorder, None] = {}  # in the order in which they became so
        self._leaving: set[Recorder] = set()  # those of them for which it is the last time
        self._next = 0.0  # when all are written again
        self._unneeded: deque[BinaryIO] = deque()  # to be closed
        self._thread: threading.Thread | None = None

    def add(self, recorder: Recorder) -> None:
        """Make its file, and write it from now on.

        :raises RuntimeError: no thread can be started.
        """
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._next = time.monotonic() + INTERVAL
                thread.start()
                self._thread = thread
            recorder.disk = self
            self._recorders.add(recorder)
            self._urgent[recorder] = None
        self._bell.ring()

    def finish(self, recorder: Recorder) -> None:
        """Write what is left of it, soon, and forget it."""
        with self._lock:
            if recorder in self._recorders:
                self._recorders.discard(recorder)
                self._leaving.add(recorder)
                self._urgent[recorder] = None
        self._bell.ring()

    def hurry(self, recorder: Recorder) -> bool:
        """Write this one now rather than at the next half second.

        :return: whether it still is to be written.
        """
        with self._lock:
            known = recorder in self._recorders or recorder in self._leaving
            if known:
                self._urgent[recorder] = None
        self._bell.ring()
        return known

    @property
    def is_this_thread(self) -> bool:
        """Whether it is the disk thread that asks: a handler of the log may save."""
        return self._thread is threading.current_thread()

    def join(self, timeout: float) -> bool:
        """Wait until all finished recordings are on disk and, if no recording is active, the thread has stopped.

        :return: whether it has.
        """
        self._next = 0.0
        self._bell.ring()
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    def close_file(self, file: BinaryIO) -> None:
        """Close it on the disk thread, or here where there is none. The garbage collector may call this: it takes no lock."""
        self._unneeded.append(file)
        self._bell.ring()
        thread = self._thread
        if thread is None or not thread.is_alive():
            self._close_unneeded()

    def _close_unneeded(self) -> None:
        while self._unneeded:
            try:
                self._unneeded.popleft().close()
            except (OSError, IndexError):
                pass

    def _run(self) -> None:
        while True:
            try:
                left = min(INTERVAL, max(0.0, self._next - time.monotonic()))
                if not wait_until(self._has_work, self._bell, left):
                    self._next = time.monotonic()  # by what was waited, where the clock stands still
                if not self._turn():
                    break
            except BaseException as error:  # recordings continue after any error
                time.sleep(INTERVAL)
                with suppress(BaseException):
                    _log.warning("%s continues after %s: %s", self._name, type(error).__name__, error)
        self._close_unneeded()  # what came after the last look

    def _has_work(self) -> bool:
        return bool(self._urgent or self._unneeded) or self._next <= time.monotonic() or not self._recorders

    def _turn(self) -> bool:
        """Do what is due.

        :return: whether there may be more to do.
        """
        self._close_unneeded()
        if time.monotonic() >= self._next:
            with self._lock:
                recorders = [recorder for recorder in self._recorders if not recorder.unmade]
                for recorder in recorders:
                    self._urgent.pop(recorder, None)
            for recorder in recorders:
                self._serve(recorder)
            self._next = time.monotonic() + INTERVAL
        with self._lock:
            if not self._urgent:
                if not self._recorders:
                    self._thread = None
                    return False
                return True
            urgent = next(iter(self._urgent))
            del self._urgent[urgent]
            leaves = urgent in self._leaving
        self._serve(urgent)
        if leaves:
            urgent.end()
            with self._lock:  # not before: until then it is written here, and nowhere else
                self._leaving.discard(urgent)
        return True

    def _serve(self, recorder: Recorder) -> None:
        try:
            recorder.flush()
        except BaseException as error:  # one recording is lost, not all that come later
            recorder.give_up(error)
