"""Sleeps that let a thread wake up without preempting the thread that wakes it.

A thread holds the GIL while it wakes another thread, but Linux usually runs the woken thread immediately. That thread
cannot acquire the GIL, goes back to sleep, and must be woken a second time. A thread that sleeps under the
``SCHED_BATCH`` policy (see sched(7)) gets the same share of CPU time but does not preempt other threads. This halves
the cost of waking many threads. The policy is active only during the sleep, so it does not affect the program's own
code.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

__all__ = ["get_up", "lie_down"]

if sys.platform == "linux":
    _PRIORITY: Any = os.sched_param(0)

    _refused = False  # set if the system does not permit the change, for example in a sandbox

    def lie_down() -> bool:
        """Switch the current thread to ``SCHED_BATCH`` before a sleep.

        The policy is left unchanged on the main thread, which runs signal handlers, and on threads with a non-default
        policy.

        :return: whether the caller must call :func:`get_up` after the sleep.
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
        """Restore the default policy after the sleep."""
        try:
            os.sched_setscheduler(0, os.SCHED_OTHER, _PRIORITY)
        except OSError:
            pass

else:

    def lie_down() -> bool:
        """Return ``False``. Only Linux needs the policy."""
        return False

    def get_up() -> None:
        """Do nothing."""
