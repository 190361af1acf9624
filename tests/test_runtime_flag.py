"""Flags: events that stay usable wherever a signal interrupts whoever waits for them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from support import Background

from relay_sync.errors import WaitTimeout
from relay_sync.runtime.flag import Bell, Flag
from relay_sync.runtime.mailbox import Mailbox
from relay_sync.runtime.waiter import Waiter, wait_for_event

PATIENCE = 10.0


def interrupt(step: int, function: Callable[[], object]) -> bool:
    """Run a function, and raise KeyboardInterrupt before its instruction number ``step``, as a signal handler would.

    :return: whether it came that far.
    """
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        if event == "opcode":
            count += 1
            if count == step:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # 3.12 tells of no instructions at all if no frame wants them by now
    sys.settrace(trace)
    try:
        function()
    except (KeyboardInterrupt, WaitTimeout):
        pass
    finally:
        sys.settrace(before)
    return count >= step


def wait_on_flag() -> tuple[Callable[[], object], Callable[[], object]]:
    flag = Flag()
    return lambda: wait_for_event(flag, 0.001), flag.set


def wait_on_waiter() -> tuple[Callable[[], object], Callable[[], object]]:
    waiter: Waiter[int] = Waiter()
    return lambda: waiter.wait(0.001, lambda: WaitTimeout("nothing")), lambda: waiter.settle(1)


def wait_on_mailbox() -> tuple[Callable[[], object], Callable[[], object]]:
    mailbox: Mailbox[int] = Mailbox(10)
    return lambda: mailbox.get(0.001, lambda: WaitTimeout("nothing")), lambda: mailbox.put(1)


@pytest.mark.parametrize("make", [wait_on_flag, wait_on_waiter, wait_on_mailbox])
def test_wherever_ctrl_c_hits_a_wait_the_io_thread_goes_on(
    make: Callable[[], tuple[Callable[[], object], Callable[[], object]]],
) -> None:
    """With ``threading.Event`` some steps leave its lock held, and this blocks for ever."""
    step = 1
    while True:
        wait, arrive = make()
        if not interrupt(step, wait):
            break
        Background(arrive).result(PATIENCE)
        wait()  # what came is not lost
        step += 1
    assert step > 20


def test_a_flag_is_an_event() -> None:
    flag = Flag()
    assert isinstance(flag, threading.Event)
    assert (flag.is_set(), flag.wait(0), flag.wait(-1.0)) == (False, False, False)
    assert "unset" in repr(flag) or sys.version_info < (3, 12)
    flag.set()
    assert (flag.is_set(), flag.wait(), flag.wait(0)) == (True, True, True)
    flag.clear()
    assert (flag.is_set(), flag.wait(0.001)) == (False, False)


def test_a_flag_wakes_all_who_wait_for_it() -> None:
    flag = Flag()
    waiting = [Background(flag.wait, PATIENCE) for _ in range(8)]
    flag.set()
    assert [each.result() for each in waiting] == [True] * 8


def test_nobody_sleeps_through_a_flag_that_is_set_and_cleared_all_the_time() -> None:
    """Two threads hand a token to and fro; a lost wake-up would stop them."""
    here, there = Flag(), Flag()

    def pass_on(mine: Flag, other: Flag) -> None:
        for _ in range(2000):
            assert mine.wait(PATIENCE)
            mine.clear()
            other.set()

    players = [Background(pass_on, here, there), Background(pass_on, there, here)]
    here.set()
    for player in players:
        player.result(3 * PATIENCE)


def test_a_bell_keeps_nothing_of_sleepers_who_left() -> None:
    bell = Bell()
    for _ in range(100):
        assert bell.sleep(lambda: False, 0.0) is False
    assert bell.sleep(lambda: True, None) is True
    assert not bell._ears
    bell.ring()
