"""Children of this process: forked, waited for, and never left behind."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable

from tests.support.background import Background


def in_child(function: Callable[[], object]) -> None:
    """Fork, run the function in the child, and fail here if it failed there or did not end in time."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            function()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    # The child may hang before it runs anything: the fork itself ends objects of threads that are not there.
    assert exit_code(child) == 0


def exit_code(child: int) -> int:
    """How a child ended; one that does not end in time is killed, and fails the test."""
    waiting = Background(os.waitpid, child, 0)
    try:
        _, status = waiting.result()
    except AssertionError:
        os.kill(child, signal.SIGKILL)
        waiting.result()
        raise
    return os.waitstatus_to_exitcode(status)
