"""A loop that has no time left between its turns is found out, and said once."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator

import pytest

from relay_sync.server import Loop
from relay_sync.threads import lateness
from relay_sync.threads.lateness import Lateness
from tests.support import PATIENCE
from tests.support.background import until


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    monkeypatch.setattr(lateness, "_EVERY", 0.01)
    made = Loop("relay-test-lateness")
    made.start()
    yield made
    made.stop(PATIENCE)


class Busy:
    """Turns of 10 ms, one after the other."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.turns = queue.SimpleQueue[None]()
        self.over = threading.Event()
        loop.call_soon(self._turn)

    def _turn(self) -> None:
        time.sleep(0.01)
        self.turns.put(None)
        if not self.over.is_set():
            self._loop.call_soon(self._turn)


def test_a_loop_that_falls_behind_is_found_out_once(loop: Loop) -> None:
    found: queue.SimpleQueue[float] = queue.SimpleQueue()
    late = Lateness(loop, 0.002, lambda: True, found.put)
    loop.call_soon(late.check)
    loop.call_soon(late.check)  # does nothing
    for _ in range(2):
        busy = Busy(loop)
        until(lambda: late.behind)
        assert late.turn > 0.002
        busy.over.set()
        until(lambda: not late.behind)
    assert found.get(timeout=PATIENCE) > 0.002
    assert found.empty()


def test_turns_are_long_though_the_loop_takes_them_for_jumps_of_the_clock(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop does so with turns of more than a second, here 5 ms. Its timers stand still meanwhile."""
    monkeypatch.setattr("relay_sync.server.loop.LATE", 0.005)
    found: queue.SimpleQueue[float] = queue.SimpleQueue()
    late = Lateness(loop, 0.008, lambda: True, found.put)
    busy = Busy(loop)
    busy.turns.get(timeout=PATIENCE)
    loop.call_soon(late.check)
    assert found.get(timeout=PATIENCE) >= 0.01
    assert late.behind
    busy.over.set()
    until(lambda: not late.behind)


def test_a_few_long_turns_are_nothing(loop: Loop) -> None:
    found: queue.SimpleQueue[float] = queue.SimpleQueue()
    late = Lateness(loop, 60.0, lambda: True, found.put)
    loop.call_soon(late.check)
    busy = Busy(loop)
    for _ in range(10):
        busy.turns.get(timeout=PATIENCE)
    busy.over.set()
    assert found.empty()
    assert not late.behind


def test_it_costs_nothing_where_nothing_is_to_be_watched(loop: Loop) -> None:
    goes_on = [True, False]
    late = Lateness(loop, 0.002, lambda: goes_on.pop(0), lambda seconds: None)
    loop.call_soon(late.check)
    until(lambda: not goes_on)
    assert not loop.call(lambda: loop._timers, timeout=PATIENCE)
    goes_on[:] = [False]
    loop.call_soon(late.check)
    until(lambda: not goes_on)
