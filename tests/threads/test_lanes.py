"""Lanes: order within, independence across, threads that come and go, and an end that is bounded."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from relay_sync.threads.flag import Bell
from relay_sync.threads.lanes import InContext, Lanes
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.interrupts import interrupt, where_signals_are_seen


class Gate:
    """Jobs wait here until it is opened; the test waits until they are here."""

    def __init__(self) -> None:
        self._arrivals = threading.Semaphore(0)
        self._open = threading.Event()
        self.threads: list[threading.Thread] = []

    def job(self) -> None:
        self.threads.append(threading.current_thread())
        self._arrivals.release()
        assert self._open.wait(PATIENCE)

    def wait_for(self, jobs: int) -> None:
        for _ in range(jobs):
            assert self._arrivals.acquire(timeout=PATIENCE), "a job did not start"

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    made = Lanes()
    yield made
    assert made.close(PATIENCE)


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open()


def finish(lanes: Lanes) -> None:
    """Wait until everything submitted so far has run, and take jobs again."""
    assert lanes.close(PATIENCE)
    lanes.reopen()


def test_jobs_of_a_lane_run_one_at_a_time_in_order(lanes: Lanes) -> None:
    seen: list[int] = []
    inside = threading.Lock()

    def job(number: int) -> None:
        assert inside.acquire(blocking=False), "two at once"
        seen.append(number)
        inside.release()

    for number in range(2000):
        lanes.submit("call", job, number)
    finish(lanes)
    assert seen == list(range(2000))


def test_order_is_kept_in_every_lane_whoever_submits(lanes: Lanes) -> None:
    seen: dict[str, list[int]] = {f"call-{number}": [] for number in range(8)}

    def submit(key: str) -> None:
        for number in range(200):
            lanes.submit(key, seen[key].append, number)

    for worker in [Background(submit, key) for key in seen]:
        worker.result()
    finish(lanes)
    assert all(numbers == list(range(200)) for numbers in seen.values())


def test_a_blocked_lane_holds_up_no_other(lanes: Lanes, gate: Gate) -> None:
    for number in range(12):
        lanes.submit(f"blocked-{number}", gate.job)
    gate.wait_for(12)
    ran = threading.Event()
    lanes.submit("free", ran.set)
    assert ran.wait(PATIENCE)
    behind = threading.Event()
    lanes.submit("blocked-0", behind.set)
    lanes.submit("free again", lambda: None)
    assert not behind.is_set()
    gate.open()
    assert behind.wait(PATIENCE)


def test_a_burst_while_one_job_blocks_is_served(lanes: Lanes, gate: Gate) -> None:
    lanes.submit("blocked", gate.job)
    gate.wait_for(1)
    done = threading.Semaphore(0)
    for number in range(500):
        lanes.submit(number, done.release)
    for _ in range(500):
        assert done.acquire(timeout=PATIENCE)


def test_blocked_jobs_grow_threads_up_to_the_limit_and_the_rest_waits(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    lanes = Lanes(3)
    ran: list[int] = []
    with caplog.at_level(logging.WARNING, "relay_sync.callbacks"):
        for number in range(3):
            lanes.submit(number, gate.job)
        gate.wait_for(3)
        for number in range(3, 8):
            lanes.submit(number, ran.append, number)
    assert lanes.workers == 3
    assert ran == []
    assert [record.message for record in caplog.records] == [
        "all 3 callback threads are busy; further callbacks wait for a free thread"
    ]
    gate.open()
    assert lanes.close(PATIENCE)
    assert sorted(ran) == [3, 4, 5, 6, 7]


def test_the_warning_comes_again_after_a_time_of_peace(caplog: pytest.LogCaptureFixture) -> None:
    lanes = Lanes(1)
    for _ in range(2):
        gate = Gate()
        lanes.submit("a", gate.job)
        gate.wait_for(1)
        lanes.submit("b", lambda: None)
        lanes.submit("c", lambda: None)
        gate.open()
        finish(lanes)
    assert len(caplog.records) == 2
    assert lanes.close(PATIENCE)


def test_a_worker_between_two_jobs_does_not_block(caplog: pytest.LogCaptureFixture) -> None:
    """It has told that all is done, and does not wait yet: what comes now is next."""
    one, done = Lanes(1), threading.Event()

    class Submitting(Bell):
        def ring(self) -> None:
            super().ring()
            if not done.is_set():
                one.submit("second", done.set)

    one._quiet = Submitting()
    one.submit("first", lambda: None)
    assert done.wait(PATIENCE)
    assert one.close(PATIENCE)
    assert caplog.records == []


def test_closing_does_not_wait_for_workers_that_stay(lanes: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread takes jobs again before they have left."""
    lanes.submit("a", lambda: None)
    assert lanes.wait_until_idle(PATIENCE)
    began = time.monotonic()
    with monkeypatch.context() as patch:
        patch.setattr(lanes._ready, "notify_all", lanes.reopen)
        assert lanes.close(PATIENCE)
    assert time.monotonic() - began < PATIENCE / 2
    assert lanes.workers == 1


def test_a_worker_starts_or_is_started_with_the_next_job_wherever_ctrl_c_comes() -> None:
    step, more = 0, True
    while more:
        step += 1
        interrupted, done = Lanes(1), threading.Event()
        more = interrupt(step, partial(interrupted.submit, "first", tuple), where_signals_are_seen)
        interrupted.submit("second", done.set)
        assert done.wait(PATIENCE), step
        assert interrupted.close(PATIENCE)
        assert interrupted.workers == 0
    assert step > 10


def test_no_worker_starts_once_its_lane_has_been_taken() -> None:
    """Ctrl-C leaves the thread that starts a worker behind. It may get there after the job has run."""
    lanes = Lanes(1)
    ran = threading.Event()
    lanes.submit("job", ran.set)
    assert ran.wait(PATIENCE)
    assert lanes.close(PATIENCE)
    lanes._start_worker()
    assert lanes.workers == 0


def test_threads_have_names_and_leave_when_idle() -> None:
    lanes = Lanes(patience=0.01)
    gate = Gate()
    lanes.submit("a", gate.job)
    gate.wait_for(1)
    (thread,) = gate.threads
    gate.open()
    assert thread.name.startswith("relay-lane-")
    assert thread.daemon
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert lanes.workers == 0


def test_no_thread_is_there_before_the_first_job() -> None:
    assert Lanes().workers == 0


@pytest.mark.parametrize("limit", [1, 2])
def test_a_job_that_comes_while_the_last_thread_leaves_is_run(limit: int) -> None:
    """Threads that never stay make every job meet one that is leaving."""
    lanes = Lanes(limit, patience=0.0)
    for number in range(1000):
        ran = threading.Event()
        lanes.submit(number % 3, ran.set)
        assert ran.wait(PATIENCE), f"job {number} was forgotten"
    assert lanes.close(PATIENCE)


def test_a_job_that_raises_is_logged_and_its_lane_goes_on(lanes: Lanes, caplog: pytest.LogCaptureFixture) -> None:
    def broken(error: BaseException) -> None:
        raise error

    ran = threading.Event()
    for error in (ValueError("one"), SystemExit(2), KeyboardInterrupt()):
        lanes.submit("call", broken, error)
    lanes.submit("call", ran.set)
    assert ran.wait(PATIENCE)
    finish(lanes)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [
        ValueError,
        SystemExit,
        KeyboardInterrupt,
    ]


def test_jobs_may_submit_to_their_own_lane_and_wait_for_another(lanes: Lanes) -> None:
    seen: list[str] = []

    def outer() -> None:
        lanes.submit("mine", seen.append, "later")
        answered = threading.Event()
        lanes.submit("another", answered.set)
        assert answered.wait(PATIENCE)
        seen.append("first")

    lanes.submit("mine", outer)
    finish(lanes)
    assert seen == ["first", "later"]


# -- threads that cannot be started ----------------------------------------------------------------------------------


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """While the list is empty, no lane thread starts."""
    allowed: list[str] = []
    start = threading.Thread.start

    def refuse(self: threading.Thread) -> None:
        if self.name.startswith("relay-lane-") and not allowed:
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    return allowed


@pytest.mark.parametrize("key", ["same", "other"])
def test_a_thread_that_cannot_start_costs_no_job(
    no_threads: list[str], key: str, caplog: pytest.LogCaptureFixture
) -> None:
    lanes = Lanes()
    seen: list[int] = []
    lanes.submit("same", seen.append, 1)
    assert lanes.workers == 0
    assert "can't start new thread" in caplog.text
    no_threads.append("yes")
    lanes.submit(key, seen.append, 2)
    assert lanes.close(PATIENCE)
    assert sorted(seen) == [1, 2]


def test_closing_runs_what_no_thread_could_be_started_for(no_threads: list[str]) -> None:
    lanes = Lanes()
    seen: list[int] = []
    lanes.submit("a", seen.append, 1)
    no_threads.append("yes")
    assert lanes.close(PATIENCE)
    assert seen == [1]


def test_closing_is_bounded_when_no_thread_can_be_started(no_threads: list[str]) -> None:
    lanes = Lanes()
    seen: list[int] = []
    lanes.submit("a", seen.append, 1)
    assert Background(lanes.close, 0.05).result() is False
    no_threads.append("yes")
    assert lanes.close(PATIENCE)


# -- the end ---------------------------------------------------------------------------------------------------------


def test_closing_lets_queued_jobs_run_and_leaves_no_thread(gate: Gate) -> None:
    lanes = Lanes()
    seen: list[int] = []
    lanes.submit("a", gate.job)
    for number in range(3):
        lanes.submit("a", seen.append, number)
        lanes.submit("b", lambda: None)
    gate.wait_for(1)
    closing = Background(lanes.close, PATIENCE)
    assert closing.running
    gate.open()
    assert closing.result() is True
    assert seen == [0, 1, 2]
    assert lanes.workers == 0
    assert not any(thread.is_alive() for thread in gate.threads)


def test_closing_does_not_wait_longer_than_it_may(gate: Gate) -> None:
    lanes = Lanes()
    seen: list[int] = []
    lanes.submit("a", gate.job)
    lanes.submit("a", seen.append, 1)
    gate.wait_for(1)
    assert Background(lanes.close, 0.02).result() is False
    gate.open()
    for thread in gate.threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert seen == [1]


def test_closing_from_a_job_does_not_wait_for_itself(lanes: Lanes) -> None:
    found: list[bool] = []
    lanes.submit("a", lambda: found.append(lanes.close(PATIENCE)))
    lanes.submit("a", lambda: found.append(True))
    assert lanes.close(PATIENCE)
    assert found == [False, True]
    lanes.reopen()


def test_closing_twice_and_without_work() -> None:
    lanes = Lanes()
    assert lanes.close(0.0)
    assert lanes.close(0.0)


def test_what_comes_after_the_end_is_still_run() -> None:
    lanes = Lanes()
    assert lanes.close(0.0)
    ran = threading.Event()
    lanes.submit("a", ran.set)
    assert ran.wait(PATIENCE)
    assert lanes.close(PATIENCE)


def test_many_may_close_at_once() -> None:
    lanes = Lanes()
    seen: list[int] = []
    for number in range(100):
        lanes.submit(number % 7, seen.append, number)
    for closing in [Background(lanes.close, PATIENCE) for _ in range(4)]:
        assert closing.result() is True
    assert len(seen) == 100
    assert lanes.workers == 0


# -- looking ---------------------------------------------------------------------------------------------------------


def test_a_lane_that_is_stuck_is_named_with_what_waits_behind_it(lanes: Lanes, gate: Gate) -> None:
    lanes.submit("stuck", gate.job)
    lanes.submit("stuck", lambda: None)
    gate.wait_for(1)
    now = time.monotonic()
    assert lanes.stalled(now) == []
    ((key, seconds, behind),) = lanes.stalled(now + 6.0)
    assert (key, behind) == ("stuck", 1)
    assert 6.0 <= seconds < 6.0 + PATIENCE
    gate.open()
    finish(lanes)
    assert lanes.stalled(time.monotonic() + 100.0) == []


def test_the_time_of_a_lane_is_that_of_its_present_job(lanes: Lanes, gate: Gate) -> None:
    first = Gate()
    lanes.submit("a", first.job)
    lanes.submit("a", gate.job)
    first.wait_for(1)
    between = time.monotonic()
    first.open()
    gate.wait_for(1)
    ((_, seconds, behind),) = lanes.stalled(between + 6.0)
    assert seconds <= 6.0
    assert behind == 0


def test_lanes_can_be_looked_at_while_they_work(lanes: Lanes) -> None:
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            for _, seconds, behind in lanes.stalled(time.monotonic(), after=-1.0):
                assert seconds > -PATIENCE
                assert behind >= 0

    looking = Background(look)
    for number in range(3000):
        lanes.submit(number, lambda: None)
    finish(lanes)
    stop.set()
    looking.result()


# -- context variables -----------------------------------------------------------------------------------------------

_who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


def test_a_function_keeps_the_context_in_which_it_was_handed_in(lanes: Lanes) -> None:
    seen: list[str] = []
    token = _who.set("me")
    bound = InContext(lambda: seen.append(_who.get()))
    _who.reset(token)
    for key in range(20):
        lanes.submit(key, bound)
    finish(lanes)
    assert seen == ["me"] * 20


def test_a_function_in_its_context_shows_itself_and_passes_on_what_it_gets() -> None:
    bound = InContext(divmod)
    assert bound(7, 2) == (3, 1)
    assert repr(bound) == repr(divmod)


# -- more work than is done --------------------------------------------------------------------------------------------


def test_what_is_offered_while_too_much_waits_is_refused_and_counted(gate: Gate) -> None:
    lanes = Lanes(most=3)
    done: list[int] = []
    lanes.submit("lane", gate.job)
    gate.wait_for(1)
    assert [lanes.offer("lane", done.append, number) for number in range(6)] == [0, 0, 0, 1, 2, 3]
    lanes.submit("lane", done.append, 99)  # what must run, does
    assert lanes.offer("other", lambda: None) == 0
    gate.open()
    assert lanes.close(PATIENCE)
    assert done == [0, 1, 2, 99]
    lanes.reopen()
    assert lanes.offer("lane", done.append, 7) == 0
    assert lanes.close(PATIENCE)
    assert not lanes._refused


def test_lanes_that_wait_for_a_worker_are_not_without_number(gate: Gate) -> None:
    lanes = Lanes(1, most=3)
    lanes.submit("lane", gate.job)
    gate.wait_for(1)
    assert [lanes.offer(object(), lambda: None) for _ in range(5)] == [0, 0, 0, 1, 2]
    gate.open()
    assert lanes.close(PATIENCE)
    assert lanes._refused_lanes == 0
