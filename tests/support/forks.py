"""Children of this process: forked, waited for, and never left behind."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import Forked
from tests.support.background import Background

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
quiet_fork = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


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


def holds_in_child(check: Callable[[], Any]) -> None:
    """Run *check* in a forked child; it must come back with a true value, soon."""

    def check_holds() -> None:
        assert check()

    in_child(check_holds)


def raises_forked(*uses: Callable[[], object]) -> bool:
    for use in uses:
        try:
            use()
        except Forked:
            continue
        return False
    return True
