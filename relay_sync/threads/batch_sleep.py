"""Sleeping in such a way that being woken does not take the processor from the thread that wakes.

A thread that wakes another one holds the interpreter's lock. Linux gives the processor to the woken thread at once, more often
than not; that thread finds the lock taken, sleeps again, and is woken a second time. A thread that sleeps under the policy
``SCHED_BATCH`` (sched(7)) has the same share of the processor and waits its turn, which halves the cost of waking many
threads. It is under that policy only while it sleeps: what the program does runs as the program wants it.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

__all__ = ["get_up", "lie_down"]

if sys.platform == "linux":
    _PRIORITY: Any = os.sched_param(0)

    _refused = False  # by a sandbox, say

    def lie_down() -> bool:
        """Before a sleep of this thread.

        :return: whether :func:`get_up` is to follow. The main thread, where signal handlers run, and threads whose policy
            is not the usual one stay as they are.
        """
        global _refused
        if _refused or threading.get_ident() == threading.main_thread().ident:
            return False
        try:
            if os.sched_getscheduler(0) != os.SCHED_OTHER:
                return False
            os.sched_setscheduler(0, os.SCHED_BATCH, _PRIORITY)
        except OSError:
            _refused = True
            return False
        return True

    def get_up() -> None:
        """After it."""
        try:
            os.sched_setscheduler(0, os.SCHED_OTHER, _PRIORITY)
        except OSError:
            pass

else:

    def lie_down() -> bool:
        """No other system needs it."""
        return False

    def get_up() -> None:
        """Nothing to undo."""
