"""Waiters and waiting: one outcome, once, for everybody; with timeouts, in slices, and never on the IO thread."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync.errors import ConnectionLost, RequestTimeout, WaitTimeout, WrongThread
from relay_sync.threads import outcome as waiter_module
from relay_sync.threads import process
from relay_sync.threads.outcome import Waiter, wait_for_event
from tests.support import PATIENCE
from tests.support.background import Background


def too_late() -> WaitTimeout:
    return WaitTimeout("nothing yet")


SLICE = 0.02


class Watched(threading.Event):
    """An event that tells of its waits, and may set itself during one of them."""

    def __init__(self, after: int = 0) -> None:
        super().__init__()
        self.timeouts: list[float | None] = []
        self.begun = threading.Event()
        self._after = after

    def wait(self, timeout: float | None = None) -> bool:
        self.timeouts.append(timeout)
        self.begun.set()
        if len(self.timeouts) == self._after:
            self.set()
        return super().wait(timeout)


@pytest.fixture
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiter_module, "SLICE", SLICE)


# -- outcomes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [5, None, "", [], {"code": "200"}])
def test_a_value_is_given_to_everybody_who_asks(value: Any) -> None:
    waiter: Waiter[Any] = Waiter()
    assert (waiter.done, waiter.peek()) == (False, None)
    assert waiter.settle(value) is True
    assert waiter.done
    for _ in range(2):
        assert waiter.wait(0.0, too_late) is value
        assert waiter.peek() is value


def test_the_first_outcome_stays() -> None:
    waiter: Waiter[int] = Waiter()
    assert waiter.settle(1)
    assert not waiter.settle(2)
    assert not waiter.settle(ValueError("late"))
    assert waiter.wait(None, too_late) == 1


def test_of_many_who_settle_at_once_one_does() -> None:
    for _ in range(50):
        waiter: Waiter[int] = Waiter()
        start = threading.Barrier(8)

        def settle(number: int, waiter: Waiter[int] = waiter, start: threading.Barrier = start) -> tuple[bool, int]:
            start.wait(PATIENCE)
            return waiter.settle(number), waiter.wait(PATIENCE, too_late)

        outcomes = [worker.result() for worker in [Background(settle, number) for number in range(8)]]
        winners = [number for number, (won, _) in enumerate(outcomes) if won]
        assert len(winners) == 1
        assert {seen for _, seen in outcomes} == set(winners)


def test_threads_that_wait_are_woken_all() -> None:
    waiter: Waiter[str] = Waiter()
    waiting = [Background(waiter.wait, None, too_late) for _ in range(8)]
    assert waiter.settle("now")
    assert [each.result() for each in waiting] == ["now"] * 8


def test_an_exception_is_raised_as_a_copy_of_its_own_for_each() -> None:
    waiter: Waiter[int] = Waiter()
    error = ConnectionLost("gone", sent=True)
    error.__cause__ = OSError("below")
    waiter.settle(error)
    seen = []
    for _ in range(2):
        with pytest.raises(ConnectionLost, match="gone") as caught:
            waiter.wait(None, too_late)
        seen.append(caught.value)
    assert seen[0] is not seen[1]
    assert error not in seen
    assert all(each.sent and each.__cause__ is error.__cause__ for each in seen)
    assert error.__traceback__ is None
    assert waiter.peek() is error


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_exceptions_of_other_kinds_are_raised_as_they_are(error: BaseException) -> None:
    waiter: Waiter[int] = Waiter()
    waiter.settle(error)
    with pytest.raises(type(error)):
        waiter.wait(None, too_late)


# -- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0.0, 0.01, -5.0])
def test_a_wait_that_found_nothing_leaves_the_waiter_as_it_was(timeout: float) -> None:
    waiter: Waiter[int] = Waiter()
    for _ in range(2):
        with pytest.raises(RequestTimeout):
            waiter.wait(timeout, lambda: RequestTimeout("no answer"))
    waiter.settle(5)
    assert waiter.wait(timeout, too_late) == 5


LONG = [None, 1e300, float("inf"), threading.TIMEOUT_MAX * 2, threading.TIMEOUT_MAX]


@pytest.mark.parametrize("timeout", LONG)
def test_a_wait_may_be_as_long_as_one_likes(timeout: float | None) -> None:
    event = Watched()
    waiting = Background(wait_for_event, event, timeout)
    assert event.begun.wait(PATIENCE)
    event.set()
    assert waiting.result() is True


@pytest.mark.parametrize("timeout", LONG)
def test_a_wait_on_the_main_thread_is_cut_in_slices(timeout: float | None, short_slices: None) -> None:
    """A signal that comes just before a wait begins is noticed when the slice ends."""
    event = Watched(after=5)
    assert wait_for_event(event, timeout) is True
    assert event.timeouts == [SLICE] * 5


def test_a_wait_on_another_thread_is_not_cut(short_slices: None) -> None:
    event = Watched(after=1)
    assert Background(wait_for_event, event, PATIENCE).result() is True
    (timeout,) = event.timeouts
    assert timeout is not None
    assert SLICE < timeout <= PATIENCE


def test_a_wait_ends_when_its_time_is_over_and_not_before(short_slices: None) -> None:
    event = Watched()
    start = time.monotonic()
    assert wait_for_event(event, 2.5 * SLICE) is False
    assert time.monotonic() - start >= 2.5 * SLICE
    assert len(event.timeouts) >= 3
    assert all(timeout is not None and 0 <= timeout <= SLICE for timeout in event.timeouts)


@pytest.mark.parametrize("timeout", [0.0, -1.0])
def test_a_wait_of_no_time_looks_once(timeout: float) -> None:
    event = Watched()
    assert wait_for_event(event, timeout) is False
    assert event.timeouts == [0.0]
    event.set()
    assert wait_for_event(event, timeout) is True


def test_an_outcome_in_the_last_moment_is_not_thrown_away() -> None:
    """Between the end of the wait and the look at the outcome: the value counts, not the clock."""

    class Late(Waiter[int]):
        def sleep(self, ready: Callable[[], bool], timeout: float | None) -> bool:
            self.settle(7)
            return False

    assert Late().wait(0.001, too_late) == 7


# -- threads ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("on_io_thread")
def test_waiting_on_the_io_thread_raises_instead_of_waiting() -> None:
    waiter: Waiter[int] = Waiter()
    with pytest.raises(WrongThread, match="make it from another thread"):
        waiter.wait(None, too_late)
    with pytest.raises(WrongThread):
        process.check_thread()
    waiter.settle(5)
    assert waiter.wait(None, too_late) == 5


def test_other_threads_may_wait() -> None:
    process.check_thread()


def test_a_waiter_can_be_held_weakly() -> None:
    waiter: Waiter[int] = Waiter()
    reference = weakref.ref(waiter)
    del waiter
    gc.collect()
    assert reference() is None
