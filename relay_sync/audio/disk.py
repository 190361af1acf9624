"""Background thread that creates, writes and closes a server's recording files."""

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
    """Manager of the thread that writes a server's recordings.

    The thread runs only while a stream is being recorded. It writes all recordings every half second. Between these writes, it
    handles urgent requests one at a time: it creates files, and writes recordings that end or are being saved.

    :param name: thread name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.RLock()  # never held while waiting
        self._bell = Bell()
        self._recorders: set[Recorder] = set()
        self._urgent: dict[Recorder, None] = {}  # urgent requests, oldest first
        self._leaving: set[Recorder] = set()  # finished recorders whose last write is pending
        self._next = 0.0  # monotonic time of the next write of all recordings
        self._unneeded: deque[BinaryIO] = deque()  # files to close
        self._thread: threading.Thread | None = None

    def add(self, recorder: Recorder) -> None:
        """Create a recorder's file on the disk thread, and start writing to it regularly.

        :raises RuntimeError: the thread cannot be started.
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
        """Schedule a recorder's last write, and remove the recorder afterward."""
        with self._lock:
            if recorder in self._recorders:
                self._recorders.discard(recorder)
                self._leaving.add(recorder)
                self._urgent[recorder] = None
        self._bell.ring()

    def hurry(self, recorder: Recorder) -> bool:
        """Schedule an immediate write for a recorder.

        :return: whether the write was scheduled; ``False`` after the recorder's last write.
        """
        with self._lock:
            known = recorder in self._recorders or recorder in self._leaving
            if known:
                self._urgent[recorder] = None
        self._bell.ring()
        return known

    @property
    def is_this_thread(self) -> bool:
        """Whether the caller runs on the disk thread, for example in a logging handler that saves a recording."""
        return self._thread is threading.current_thread()

    def join(self, timeout: float) -> bool:
        """Write all recordings now and wait until the thread stops. It stops when all recordings are finished.

        :param timeout: maximum time to wait, in seconds.
        :return: whether the thread has stopped.
        """
        self._next = 0.0
        self._bell.ring()
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    def close_file(self, file: BinaryIO) -> None:
        """Close a file on the disk thread, or on the calling thread if the disk thread is not running.

        This method takes no lock because the garbage collector may call it.
        """
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
                    self._next = time.monotonic()  # the interval is over, even if the clock is frozen
                if not self._turn():
                    break
            except BaseException as error:  # keep recording after any error
                time.sleep(INTERVAL)
                with suppress(BaseException):
                    _log.warning("%s recovered from %s: %s", self._name, type(error).__name__, error)
        self._close_unneeded()  # files added after the last turn

    def _has_work(self) -> bool:
        return bool(self._urgent or self._unneeded) or self._next <= time.monotonic() or not self._recorders

    def _turn(self) -> bool:
        """Do the work that is due.

        :return: ``False`` if the thread should stop.
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
            # Remove the recorder only now: while hurry() returns True, no other thread writes it.
            with self._lock:
                self._leaving.discard(urgent)
        return True

    def _serve(self, recorder: Recorder) -> None:
        try:
            recorder.flush()
        except BaseException as error:  # give up this recording only
            recorder.give_up(error)
