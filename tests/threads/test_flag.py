"""Flags: events that stay usable wherever a signal interrupts whoever waits for them."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

import pytest

from relay_sync.errors import WaitTimeout
from relay_sync.threads.flag import Bell, Flag
from relay_sync.threads.mailbox import Mailbox
from relay_sync.threads.outcome import Waiter, wait_for_event
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.interrupts import everywhere, interrupt, where_signals_are_seen

pytestmark = pytest.mark.usefixtures("collected")


def wait_on_flag() -> tuple[Callable[[], object], Callable[[], object]]:
    flag = Flag()
    return lambda: wait_for_event(flag, 0.001), flag.set


def wait_on_waiter() -> tuple[Callable[[], object], Callable[[], object]]:
    waiter: Waiter[int] = Waiter()
    return lambda: waiter.wait(0.001, lambda: WaitTimeout("nothing")), lambda: waiter.settle(1)


def wait_on_mailbox() -> tuple[Callable[[], object], Callable[[], object]]:
    mailbox: Mailbox[int] = Mailbox(10)
    return lambda: mailbox.get(0.001, lambda: WaitTimeout("nothing")), lambda: mailbox.put(1)


@pytest.mark.parametrize("step", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("make", [wait_on_flag, wait_on_waiter, wait_on_mailbox])
def test_wherever_ctrl_c_hits_a_wait_the_io_thread_goes_on(
    make: Callable[[], tuple[Callable[[], object], Callable[[], object]]], step: int
) -> None:
    """With ``threading.Event`` some steps leave its lock held, and this blocks for ever."""
    while True:
        wait, arrive = make()
        if not interrupt(step, wait):
            break
        Background(arrive).result(PATIENCE)
        wait()  # what came is not lost
        step += 3
    assert step > 20


def test_wherever_ctrl_c_hits_who_sets_a_flag_nobody_sleeps_on() -> None:
    step = 1
    while True:
        flag = Flag()
        sleepers = [Background(flag.wait, PATIENCE) for _ in range(3)]
        while len(flag._bell._ears) < len(sleepers):
            time.sleep(0)
        if not interrupt(step, flag.set, where_signals_are_seen):
            break
        if not flag.is_set():  # it never came to it
            flag.set()
        assert [each.result(PATIENCE / 2) for each in sleepers] == [True, True, True], step
        step += 1
    assert step > 5


def test_interrupts_hit_the_places_that_are_asked_for() -> None:
    """What the tests of interrupted waits stand on."""
    reached: list[int] = []

    def work() -> None:
        reached.append(1)
        for _ in range(2):
            reached.append(2)

    def places(counts: Callable[[str], bool]) -> list[list[int]]:
        """What was reached at each place, until the function came to its end."""
        seen: list[list[int]] = []
        hit = True
        while hit:
            reached.clear()
            hit = interrupt(len(seen) + 1, work, counts)
            seen.append(list(reached))
        return seen

    all_places, fewer = places(everywhere), places(where_signals_are_seen)
    assert all_places[0] == fewer[0] == []
    assert all_places[-1] == fewer[-1] == [1, 2, 2]
    for reached_then in ([], [1], [1, 2], [1, 2, 2]):
        assert all_places.count(reached_then) > fewer.count(reached_then) > 0
    assert all_places == sorted(all_places)


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
