"""The loop: order, timers, hand-over from other threads, and that nothing a callback does ends it."""

from __future__ import annotations

import errno
import itertools
import logging
import os
import queue
import socket
import threading
import time

import pytest

from relay_sync.server import Loop, LoopStopped
from relay_sync.threads import logs
from tests.support import PATIENCE
from tests.support.background import no_threads


def test_callbacks_run_in_order_on_the_named_thread(loop: Loop) -> None:
    seen: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
    for number in range(100):
        loop.call_soon(lambda n: seen.put((n, threading.current_thread().name)), number)
    assert [seen.get(timeout=PATIENCE) for _ in range(100)] == [(n, "relay-test-loop") for n in range(100)]


def test_many_threads_hand_over_without_losing_anything(loop: Loop) -> None:
    seen: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()

    def hand_over(who: int) -> None:
        for number in range(500):
            loop.call_soon(seen.put, (who, number))

    threads = [threading.Thread(target=hand_over, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    got = [seen.get(timeout=PATIENCE) for _ in range(4000)]
    for thread in threads:
        thread.join(PATIENCE)
    for who in range(8):  # each thread's own order is kept
        assert [number for whose, number in got if whose == who] == list(range(500))


def test_timers_fire_in_order_of_time_and_never_early(loop: Loop) -> None:
    fired: queue.SimpleQueue[tuple[str, float]] = queue.SimpleQueue()
    start = time.monotonic()
    for name, delay in (("c", 0.03), ("a", 0.01), ("b", 0.02)):
        loop.call_at(start + delay, lambda n: fired.put((n, time.monotonic())), name)
    got = [fired.get(timeout=PATIENCE) for _ in range(3)]
    assert [name for name, _ in got] == ["a", "b", "c"]
    for (_, at), delay in zip(got, (0.01, 0.02, 0.03), strict=True):
        assert at >= start + delay


def test_a_cancelled_timer_never_fires(loop: Loop) -> None:
    fired: list[str] = []
    done = threading.Event()

    def arrange() -> None:
        doomed = loop.call_later(0.01, fired.append, "doomed")
        loop.call_later(0.02, done.set)
        doomed.cancel()
        doomed.cancel()

    loop.call_soon(arrange)
    assert done.wait(PATIENCE)
    assert fired == []


def test_cancelled_timers_do_not_pile_up(loop: Loop) -> None:
    def many() -> int:
        for _ in range(5000):
            loop.call_later(3600, print).cancel()
        loop._run_timers()
        return len(loop._timers)

    assert loop.call(many, timeout=PATIENCE) < 1000
    assert loop._cancelled == 0  # they were counted once


def test_a_callback_that_raises_hurts_nobody(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    def fail(kind: type[BaseException]) -> None:
        raise kind("from a callback")

    with caplog.at_level(logging.ERROR, "relay_sync.server"):
        loop.call_soon(fail, ValueError)
        loop.call_soon(fail, SystemExit)
        loop.call_later(0, fail, KeyError)
        done = threading.Event()
        loop.call_later(0.01, done.set)
        assert done.wait(PATIENCE)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ValueError, SystemExit, KeyError]


def test_what_fails_again_and_again_is_told_once(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ValueError("from a callback")

    with caplog.at_level(logging.ERROR, "relay_sync.server"):
        for _ in range(100):
            loop.call_soon(fail)
            loop.call(int, timeout=PATIENCE)
    assert len(caplog.records) == 1


def test_call_returns_and_raises(loop: Loop) -> None:
    assert loop.call(lambda a, b: a + b, 2, 3, timeout=PATIENCE) == 5
    with pytest.raises(ZeroDivisionError):
        loop.call(lambda: 1 // 0, timeout=PATIENCE)
    assert loop.call(lambda: loop.call(lambda: loop.on_loop_thread, timeout=0), timeout=PATIENCE)
    assert not loop.on_loop_thread
    assert not loop._calls  # they and what they were given are let go


def test_call_gives_up_after_its_timeout_and_then_never_runs(loop: Loop) -> None:
    gate = threading.Event()
    ran: list[int] = []
    loop.call_soon(gate.wait, PATIENCE)
    with pytest.raises(TimeoutError):
        loop.call(ran.append, 1, timeout=0.01)
    gate.set()
    loop.call(ran.append, 2, timeout=PATIENCE)
    assert ran == [2]


def test_what_was_queued_before_the_end_is_still_done() -> None:
    loop = Loop("relay-test-stopping")
    loop.start()
    begun, gate = threading.Event(), threading.Event()
    done: list[int] = []

    def block() -> None:
        begun.set()
        gate.wait(PATIENCE)
        loop.stop()  # on its own thread: only asks

    loop.call_soon(block)
    assert begun.wait(PATIENCE)
    loop.call_soon(done.append, 1)
    gate.set()
    loop.stop(PATIENCE)
    assert done == [1]


def test_callers_of_a_stopping_loop_are_answered_or_told() -> None:
    for _ in range(50):
        loop = Loop("relay-test-racing")
        loop.start()
        outcomes: queue.SimpleQueue[object] = queue.SimpleQueue()

        def ask(loop: Loop = loop, outcomes: queue.SimpleQueue[object] = outcomes) -> None:
            for _ in range(20):
                try:
                    outcomes.put(loop.call(int, timeout=PATIENCE))
                except LoopStopped:
                    outcomes.put(None)

        asker = threading.Thread(target=ask)
        asker.start()
        loop.stop(PATIENCE)
        assert {outcomes.get(timeout=PATIENCE) for _ in range(20)} <= {0, None}
        asker.join(PATIENCE)


def test_stop_is_idempotent_and_final() -> None:
    loop = Loop("relay-test-final")
    loop.call_soon(print)
    loop.start()
    loop.start()
    loop.stop()
    loop.stop()
    assert loop.stopped
    assert loop._ident is None  # another thread may get the number, and is not the loop's
    with pytest.raises(LoopStopped):
        loop.start()
    with pytest.raises(LoopStopped):
        loop.call(print, timeout=1)
    loop.call_soon(print)  # dropped without a word


def test_a_fork_concerns_no_loop_that_has_ended() -> None:
    loop = Loop("relay-test-ended")
    loop.after_fork()
    loop = Loop("relay-test-ended")
    loop.start()
    loop.stop(PATIENCE)
    loop.after_fork()
    assert loop.stopped


def test_a_stop_that_a_callback_holds_up_says_so(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    begun, gate = threading.Event(), threading.Event()
    loop.call_soon(begun.set)
    loop.call_soon(gate.wait, PATIENCE)
    assert begun.wait(PATIENCE)
    loop.stop(0.01)
    assert "relay-test-loop did not stop within 0.01 s" in caplog.text
    gate.set()


def test_stop_before_start() -> None:
    loop = Loop("relay-test-never")
    loop.stop()
    with pytest.raises(LoopStopped):
        loop.start()


def test_stopping_tells_what_is_hosted_even_if_one_fails(caplog: pytest.LogCaptureFixture) -> None:
    loop = Loop("relay-test-hosting")
    loop.start()
    told: list[str] = []

    class Guest:
        def __init__(self, name: str) -> None:
            self.name = name

        def loop_stopping(self) -> None:
            told.append(self.name)
            loop.call_soon(told.append, f"after {self.name}")
            raise RuntimeError(self.name)

    for name in ("a", "b"):
        loop.call(loop.host, Guest(name), timeout=PATIENCE)
    loop.stop(PATIENCE)
    assert sorted(told) == ["a", "after a", "after b", "b"]


def test_watching_sockets(loop: Loop) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    got: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    loop.call(loop.watch, ours, 1, lambda mask: got.put(ours.recv(100)), timeout=PATIENCE)
    theirs.send(b"x")
    assert got.get(timeout=PATIENCE) == b"x"
    loop.call(loop.watch, ours, 0, print, timeout=PATIENCE)
    loop.call(loop.watch, ours, 0, print, timeout=PATIENCE)  # not watched: nothing to stop
    theirs.send(b"y")
    loop.call(time.monotonic, timeout=PATIENCE)
    assert got.empty()
    ours.close()
    theirs.close()


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EBADF, "Bad file descriptor"), KeyError("of ours")])
def test_a_turn_that_fails_ends_nothing(
    loop: Loop, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    selector, failures = loop._selector, 0
    select = selector.select

    def fail(timeout: float | None) -> object:
        nonlocal failures
        if failures < 3:
            failures += 1
            raise error
        return select(timeout)

    monkeypatch.setattr(selector, "select", fail)
    fired = threading.Event()
    loop.call_later(0.01, fired.set)
    assert fired.wait(PATIENCE)
    assert failures == 3
    assert loop.call(lambda: "alive", timeout=PATIENCE) == "alive"
    logs.flush(PATIENCE)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [type(error)]  # once


def test_a_loop_whose_every_turn_fails_ends_and_tells_whom_it_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, stopping = Loop("relay-test-failing"), threading.Event()
    loop.start()

    class Guest:
        def loop_stopping(self) -> None:
            stopping.set()

    loop.call(loop.host, Guest(), timeout=PATIENCE)

    def fail(timeout: float | None) -> object:
        raise MemoryError

    monkeypatch.setattr(loop._selector, "select", fail)
    loop.call_soon(lambda: None)
    assert stopping.wait(PATIENCE)
    loop.stop(PATIENCE)
    with pytest.raises(LoopStopped):
        loop.call(lambda: None, timeout=PATIENCE)


def test_threads_are_woken_just_before_the_loop_sleeps(loop: Loop) -> None:
    order: queue.SimpleQueue[str] = queue.SimpleQueue()

    def turn() -> None:
        loop.wakes.add(lambda: order.put("wake"))
        loop.at_turn_end(lambda: order.put("end"))
        loop.wakes.add(lambda: 1 / 0)
        loop.wakes.add(lambda: order.put("wake another"))
        order.put("turn")

    loop.call(turn, timeout=PATIENCE)
    assert [order.get(timeout=PATIENCE) for _ in range(4)] == ["turn", "end", "wake", "wake another"]


def test_a_loop_that_gathers_leaves_time_between_its_turns() -> None:
    loop = Loop("relay-test-gathering", gather=0.02)
    loop.start()
    try:
        began = [loop.call(lambda: loop.turn_began, timeout=PATIENCE) for _ in range(10)]
        assert all(later - earlier >= 0.02 for earlier, later in itertools.pairwise(began))
    finally:
        loop.stop()


def test_a_loop_that_gathers_does_not_let_queued_calls_wait() -> None:
    loop, order = Loop("relay-test-gathering", gather=0.001), queue.SimpleQueue[str]()
    loop._rest = lambda began: order.put("rest")  # type: ignore[method-assign]
    loop.call_soon(loop.call_soon, loop.call_soon, order.put, "call")
    loop.start()
    assert [order.get(timeout=PATIENCE) for _ in range(2)] == ["call", "rest"]
    loop.stop()


def test_a_loop_that_gathers_does_without_the_sleep_that_programs_replace_in_their_tests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, slept = Loop("relay-test-gathering", gather=0.001), list[float]()
    monkeypatch.setattr(time, "sleep", slept.append)
    loop.start()
    for _ in range(10):
        loop.call(int, timeout=PATIENCE)
    loop.stop()
    assert not slept


def test_threads_are_woken_though_logging_fails(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    woken = threading.Event()

    def fail(what: str) -> None:
        monkeypatch.undo()
        raise MemoryError

    def turn() -> None:
        monkeypatch.setattr(loop, "fault", fail)
        loop.wakes.add(lambda: 1 / 0)
        loop.wakes.add(woken.set)

    loop.call_soon(turn)
    assert woken.wait(PATIENCE)


def test_threads_are_woken_where_the_loop_stops() -> None:
    loop, woken = Loop("relay-test-stopping"), threading.Event()
    loop.start()

    def stop() -> None:
        loop.stop()
        loop.wakes.add(woken.set)

    loop.call_soon(stop)
    assert woken.wait(PATIENCE)


@pytest.mark.slow
def test_six_hundred_clocks_at_fifty_ticks_keep_time(loop: Loop) -> None:
    """No drift: the n-th tick of each clock comes at its own moment, not a while after the one before."""
    ticks, clocks = 50, 600
    late: list[float] = []
    done = threading.Event()
    start = time.monotonic() + 0.05

    def tick(clock: int, number: int) -> None:
        due = start + clock * 0.02 / clocks + number * 0.02
        late.append(time.monotonic() - due)
        if number + 1 < ticks:
            loop.call_at(due + 0.02, tick, clock, number + 1)
        elif len(late) == ticks * clocks:
            done.set()

    for clock in range(clocks):
        loop.call_at(start + clock * 0.02 / clocks, tick, clock, 0)
    assert done.wait(30)
    assert min(late) >= 0
    # A machine may stand still for a moment; a clock that drifts is late ever after.
    assert sorted(late)[len(late) // 2] < 0.02


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_a_start_without_a_descriptor_left_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more(*args: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    kept = [Loop("relay-test") for _ in range(5)]
    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(socket, "socketpair", no_more)
        for loop in kept:
            with pytest.raises(OSError, match="Too many"):
                loop.start()
    assert len(os.listdir("/proc/self/fd")) == before
    kept[0].start()
    for loop in kept:
        loop.stop()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_a_start_without_a_thread_left_takes_no_descriptor() -> None:
    kept = [Loop("relay-test") for _ in range(5)]
    before = len(os.listdir("/proc/self/fd"))
    with no_threads():
        for loop in kept:
            with pytest.raises(RuntimeError, match="can't start"):
                loop.start()
    assert len(os.listdir("/proc/self/fd")) == before
    kept[0].start()
    for loop in kept:
        loop.stop()


@pytest.mark.parametrize("delay", [1e9, 1e300, float("inf")])
def test_a_timer_that_is_due_in_ages_holds_up_no_other(loop: Loop, delay: float) -> None:
    done, never = threading.Event(), loop.call_later(delay, print)
    loop.call(lambda: None, timeout=PATIENCE)  # it sleeps with nothing but that timer
    loop.call_later(0.01, done.set)
    assert done.wait(PATIENCE)
    never.cancel()


def test_a_timer_at_no_time_is_refused(loop: Loop) -> None:
    with pytest.raises(ValueError, match="NaN"):
        loop.call_later(float("nan"), print)


def test_timers_that_set_others_which_are_due_leave_time_for_the_rest(loop: Loop) -> None:
    over = threading.Event()

    def again(when: float) -> None:
        if not over.is_set():
            loop.call_at(when, again, when)

    loop.call_at(0.0, again, 0.0)
    for number in range(20):
        assert loop.call(lambda n: n, number, timeout=PATIENCE) == number
    over.set()


def test_callbacks_that_queue_others_leave_time_for_the_rest(loop: Loop) -> None:
    over = threading.Event()

    def again() -> None:
        if not over.is_set():
            loop.call_soon(again)

    loop.call_soon(again)
    fired = threading.Event()
    loop.call_later(0.001, fired.set)
    in_time = fired.wait(PATIENCE)
    over.set()
    assert in_time


def test_a_ctrl_c_while_a_loop_is_woken_does_not_leave_it_asleep(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: socket.socket, data: bytes) -> int:
        raise KeyboardInterrupt

    done: list[int] = []
    loop.call(int, timeout=PATIENCE)
    _wait_until_idle(loop)
    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "send", interrupted)
        with pytest.raises(KeyboardInterrupt):
            loop.call_soon(done.append, 1)
    loop.call(done.append, 2, timeout=PATIENCE)
    assert done == [1, 2]


def test_a_loop_is_busy_in_a_turn_alone(loop: Loop) -> None:
    assert loop.call(lambda: loop.busy, timeout=PATIENCE)
    _wait_until_idle(loop)


def _wait_until_idle(loop: Loop) -> None:
    patience = time.monotonic() + PATIENCE
    while loop.busy:
        assert time.monotonic() < patience
