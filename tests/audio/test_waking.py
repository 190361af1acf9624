"""Readers are woken one after another, and none is ever left asleep."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from relay_sync.audio.waking import Waking
from relay_sync.server import Loop
from tests.support import PATIENCE
from tests.support.background import Background


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop("test-waking", gather=0.004)
    loop.start()
    yield loop
    loop.stop()


class Sleepers:
    """Threads that sleep until they are woken, once each.

    :param pass_on: whether the thread of that number wakes the next.
    """

    def __init__(self, waking: Waking, count: int, pass_on: Any = lambda number: True) -> None:
        self.waking = waking
        self.woken: list[int] = []
        self.ears = [threading.Lock() for _ in range(count)]
        for ear in self.ears:
            ear.acquire()
        self._pass_on = pass_on
        self.threads = [Background(self._sleep, number) for number in range(count)]

    def _sleep(self, number: int) -> None:
        assert self.ears[number].acquire(True, PATIENCE)
        self.woken.append(number)
        if self._pass_on(number):
            self.waking.next()

    def add_all(self, loop: Loop, rest: Any = None) -> None:
        """In one turn of the loop, which then rests as it does, or in another way."""

        def add() -> None:
            loop.rest = rest or self.waking.rest
            for ear in self.ears:
                self.waking.add(ear)

        loop.call(add, timeout=PATIENCE)

    def are_all_woken(self) -> None:
        for thread in self.threads:
            thread.result(PATIENCE + 1)
        assert sorted(self.woken) == list(range(len(self.ears)))


def test_each_is_woken_by_the_one_before(loop: Loop) -> None:
    go = threading.Event()
    sleepers = Sleepers(Waking(loop), 12, lambda number: number != 5 or go.wait(PATIENCE))
    blocked = threading.Event()
    sleepers.add_all(loop, lambda _seconds: blocked.wait(PATIENCE))  # the loop does not help
    while len(sleepers.woken) < 6:
        time.sleep(0.001)
    assert sleepers.woken == [0, 1, 2, 3, 4, 5]
    go.set()
    sleepers.are_all_woken()
    assert sleepers.woken == list(range(12))
    blocked.set()


@pytest.mark.parametrize("lazy", [0, 5, 11, "all"])
def test_whoever_does_not_wake_the_next_keeps_nobody_asleep(loop: Loop, lazy: int | str) -> None:
    sleepers = Sleepers(Waking(loop), 12, lambda number: number != lazy and lazy != "all")
    sleepers.add_all(loop)
    sleepers.are_all_woken()


def test_a_loop_that_is_never_idle_helps_as_well(loop: Loop) -> None:
    done = threading.Event()

    def again() -> None:
        if not done.is_set():
            loop.call_soon(again)

    loop.call_soon(again)
    sleepers = Sleepers(Waking(loop), 12, lambda _number: False)
    sleepers.add_all(loop)
    sleepers.are_all_woken()
    done.set()


def test_round_after_round_nobody_is_left(loop: Loop) -> None:
    waking = Waking(loop)
    for round_ in range(40):
        sleepers = Sleepers(waking, 8, lambda number, round_=round_: (number + round_) % 5)
        sleepers.add_all(loop)
        sleepers.are_all_woken()


def test_who_left_before_he_was_woken_keeps_nobody_asleep(loop: Loop) -> None:
    waking = Waking(loop)
    sleepers = Sleepers(waking, 8)
    nobody = [threading.Lock() for _ in range(8)]
    for ear in nobody:
        ear.acquire()
    sleepers.ears = [ear for pair in zip(nobody, sleepers.ears, strict=True) for ear in pair]
    sleepers.add_all(loop)
    sleepers.ears = sleepers.ears[1::2]
    sleepers.are_all_woken()


def test_the_end_of_the_loop_wakes_all() -> None:
    loop = Loop("test-waking", gather=0.004)
    loop.start()
    waking = Waking(loop)
    sleepers = Sleepers(waking, 12, lambda _number: False)
    loop.call(lambda: None, timeout=PATIENCE)
    stopping = threading.Event()

    def begin_and_stop() -> None:
        for ear in sleepers.ears[:6]:
            waking.add(ear)
        waking._begin()
        for ear in sleepers.ears[6:]:
            waking.add(ear)
        stopping.set()

    loop.call_soon(begin_and_stop)
    assert stopping.wait(PATIENCE)
    loop.stop()
    sleepers.are_all_woken()


def test_a_few_are_not_kept_waiting_for_each_other(loop: Loop) -> None:
    waking = Waking(loop)
    blocked = threading.Event()
    sleepers = Sleepers(waking, 3, lambda _number: False)
    sleepers.add_all(loop, lambda _seconds: blocked.wait(PATIENCE))
    sleepers.are_all_woken()
    assert not waking.patient
    blocked.set()


def test_where_it_takes_long_again_and_again_all_are_woken_at_once_for_a_while(loop: Loop) -> None:
    waking = Waking(loop)

    def slowly(_number: int) -> bool:
        time.sleep(0.003)
        return True

    began = time.monotonic()
    while waking._until <= began:
        assert time.monotonic() < began + PATIENCE
        sleepers = Sleepers(waking, 8, slowly)
        sleepers.add_all(loop)
        sleepers.are_all_woken()
    sleepers = Sleepers(waking, 8)
    sleepers.add_all(loop)
    sleepers.are_all_woken()
    assert not waking.patient
    loop.call(setattr, waking, "_until", 0.0, timeout=PATIENCE)  # the while is over
    sleepers = Sleepers(waking, 8)
    sleepers.add_all(loop)
    sleepers.are_all_woken()
    assert waking.patient


def _add_all(waking: Waking, ears: list[threading.Lock]) -> None:
    for ear in ears:
        waking.add(ear)


def test_the_loop_goes_on_while_nobody_comes_forward(loop: Loop) -> None:
    waking = Waking(loop)
    ears = [threading.Lock() for _ in range(100)]
    for ear in ears:
        ear.acquire()
    for _ in range(20):
        loop.call(_add_all, waking, ears, timeout=PATIENCE)
        for ear in ears:
            assert ear.acquire(True, PATIENCE)
    assert loop.call(lambda: 7, timeout=PATIENCE) == 7
