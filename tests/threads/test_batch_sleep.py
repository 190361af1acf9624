"""A thread that reads does not preempt the one that wakes it; afterwards it is as it was."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from relay_sync.threads.batch_sleep import get_up, lie_down
from tests.support.background import Background

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is done elsewhere")


def test_it_is_calm_until_it_is_done() -> None:
    def read() -> list[int]:
        seen = [os.sched_getscheduler(0)]
        calm = lie_down()
        seen.append(os.sched_getscheduler(0))
        get_up(calm)
        return [*seen, os.sched_getscheduler(0)]

    assert Background(read).result() == [os.SCHED_OTHER, os.SCHED_BATCH, os.SCHED_OTHER]


def test_another_thread_may_say_that_it_is_done() -> None:
    def read() -> int:
        Background(get_up, lie_down()).result()
        return os.sched_getscheduler(0)

    assert Background(read).result() == os.SCHED_OTHER
    get_up(Background(lie_down).result())  # a thread that has ended


def test_a_policy_that_was_set_meanwhile_stays() -> None:
    def read() -> int:
        calm = lie_down()
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        get_up(calm)
        return os.sched_getscheduler(0)

    assert Background(read).result() == os.SCHED_IDLE


def test_niceness_stays() -> None:
    def doze() -> list[int]:
        who = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, who, 3)
        calm = lie_down()
        assert calm
        asleep = os.getpriority(os.PRIO_PROCESS, who)
        get_up(calm)
        return [asleep, os.getpriority(os.PRIO_PROCESS, who)]

    assert Background(doze).result() == [3, 3]


def test_the_main_thread_stays_as_it_is() -> None:
    assert threading.current_thread() is threading.main_thread()
    assert not lie_down()
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_a_policy_of_the_users_own_stays() -> None:
    def doze() -> tuple[int | None, int]:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        return lie_down(), os.sched_getscheduler(0)

    assert Background(doze).result() == (None, os.SCHED_IDLE)
