"""Sleeps whose wake-up does not preempt the waking thread.

A thread that wakes another one holds the GIL. Linux usually runs the woken thread immediately; that thread finds the GIL taken,
sleeps again, and has to be woken a second time. A thread that sleeps under the ``SCHED_BATCH`` policy (sched(7)) gets the same
share of CPU time but does not preempt, which halves the cost of waking many threads. The policy applies only during the sleep,
so that the program's own code runs under the policy that the program chose.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

__all__ = ["get_up", "lie_down"]

if sys.platform == "linux":
    _PRIORITY: Any = os.sched_param(0)

    _refused = False  # for example by a sandbox

    def lie_down() -> bool:
        """Switch this thread to ``SCHED_BATCH`` before it sleeps.

        :return: whether to call :func:`get_up` after the sleep. The policy is not changed on the main thread, which runs signal
            handlers, or on threads with a non-default policy.
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
        """Do nothing: only Linux needs the policy."""
        return False

    def get_up() -> None:
        """Do nothing."""
