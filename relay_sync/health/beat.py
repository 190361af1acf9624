"""A thread that makes a report once a second."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from ..threads import logs, process, starting
from ..threads.flag import Flag
from ..threads.rate_limited_log import RateLimitedLog
from .report import EVERY, Report

__all__ = ["Beat"]

_log: Final = logs.get("relay_sync.health").later


class Beat:
    """A thread that passes a report of this process to a function once a second, the first one immediately.

    :param name: name of the thread.
    :param make: function that returns the report.
    :param send: function that receives it. It must not block.
    """

    def __init__(self, name: str, make: Callable[[], Report], send: Callable[[Report], object]) -> None:
        self._make = make
        self._send = send
        self._closing = Flag()
        self._troubles = RateLimitedLog(_log)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread.

        :raises RuntimeError: the system cannot start a thread.
        """
        process.watch(self)
        starting.uninterrupted(self._thread.start)

    def close(self, timeout: float = 2.0) -> None:
        """Stop the thread. Idempotent.

        :param timeout: maximum time to wait for the thread, in seconds.
        """
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def at_exit(self, timeout: float) -> None:
        """Stop the thread at interpreter exit.

        :param timeout: maximum time to wait for the thread, in seconds.
        """
        self.close(timeout)

    def after_fork(self) -> None:
        """Do nothing in a forked child, where the thread does not exist."""

    def _run(self) -> None:
        with logs.shared():
            while not self._closing.is_set():
                try:
                    self._send(self._make())
                except Exception:
                    self._troubles.fault("a report of this process failed")
                self._closing.wait(EVERY)
