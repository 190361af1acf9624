"""What a client counts: each number against what the simulator, the server or the test saw."""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import threading
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from relay_sync import (
    Call,
    ClientClosed,
    ClientStats,
    CommandRefused,
    InvalidParameter,
    LatencyHistogram,
    Observer,
    RelayClient,
    RelayError,
    RequestTimeout,
    errors,
)
from relay_sync.client.counters import ERROR_KINDS, Counters, kind_of
from relay_sync.constants import LATENCY_BOUNDS
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import Background, until
from tests.support.forks import holds_in_child
from tests.support.interrupts import ctrl_c, interrupt, where_signals_are_seen
from tests.support.lines import FROM, TO, Desk, Line


class Log(Observer):
    """Commands with an observer take another way."""

    def command_done(self, method: str, call_id: str, seconds: float, error: BaseException | None) -> None:
        pass


MakeClient = Callable[..., RelayClient]


def commands_of(sim: Simulator) -> int:
    """The number of commands that the simulator has received."""
    return sum(
        entry.direction == "in" and entry.method.startswith(("calling.", "messaging.", "signalwire.rec"))
        for entry in sim.journal
    )


# -- latency -----------------------------------------------------------------------------------------------------------


def test_a_histogram_without_commands_is_zero() -> None:
    empty = LatencyHistogram()
    assert (empty.count, empty.mean, empty.percentile(0), empty.percentile(100), str(empty)) == (0, 0.0, 0.0, 0.0, "0")
    assert len(empty.counts) == len(LATENCY_BOUNDS) + 1


def test_a_percentile_lies_in_the_bucket_of_the_command() -> None:
    counters = Counters()
    for _ in range(98):
        counters.command_done(0.002)
    counters.command_done(0.3)
    counters.command_done(60.0)
    latency = counters.summary().latency
    assert latency.count == sum(latency.counts) == 100
    assert latency.sum == pytest.approx(60.496)
    assert latency.mean == pytest.approx(0.60496)
    assert 0.001 < latency.percentile(1) < latency.percentile(50) < latency.percentile(98) <= 0.0025
    assert 0.25 < latency.percentile(99) <= 0.5
    assert latency.percentile(100) == LATENCY_BOUNDS[-1]
    assert str(latency) == "100 (mean 605 ms, p50 1.77 ms, p99 500 ms)"


def test_a_duration_on_a_bound_belongs_to_the_bucket_below() -> None:
    counters = Counters()
    for bound in LATENCY_BOUNDS:
        counters.command_done(bound)
    assert counters.summary().latency.counts == (*(1 for _ in LATENCY_BOUNDS), 0)


@pytest.mark.parametrize("p", [-1, 100.1, "50", None, float("nan"), True])
def test_a_percentile_is_between_0_and_100(p: Any) -> None:
    with pytest.raises(InvalidParameter, match="Invalid p="):
        LatencyHistogram().percentile(p)


# -- kinds of errors ---------------------------------------------------------------------------------------------------


def test_kinds_are_the_names_of_the_exceptions_of_the_package() -> None:
    class Own(RequestTimeout):
        pass

    class Mixed(ValueError, CommandRefused):
        pass

    assert kind_of(Own("late")) == "RequestTimeout"
    assert kind_of(Mixed(1, "no")) == "CommandRefused"
    assert [kind_of(error) for error in (ValueError(), KeyboardInterrupt(), SystemExit())] == ["other"] * 3
    every = {name for name in errors.__all__ if issubclass(getattr(errors, name), RelayError)}
    assert every | {"other"} == ERROR_KINDS


# -- a client ----------------------------------------------------------------------------------------------------------


def test_a_client_that_never_connected_has_counted_nothing(offline: RelayClient) -> None:
    assert offline.stats() == ClientStats()


def test_calls_and_commands_as_the_simulator_saw_them(sim: Simulator, client: MakeClient) -> None:
    one = client(max_active_calls=1)
    desk = Desk(one)
    one.connect()
    phone = sim.call(to=TO, from_=FROM)
    call = desk.take()
    call.answer()
    until(lambda: one.stats().handlers == 1)
    sim.call(to=TO, from_=FROM)
    sim.journal.wait_for(lambda entry: entry.method == "calling.pass", PATIENCE)
    until(lambda: not one.stats().commands_pending)
    stats = one.stats()
    assert (stats.state, stats.live_calls) == ("connected", 1)
    assert (stats.calls_taken, stats.calls_returned, stats.calls_dialed) == (1, 1, 0)
    assert stats.commands == stats.latency.count == commands_of(sim) == 2
    assert 0 < stats.latency.sum < PATIENCE
    phone.hang_up()
    call.wait_for_ended(PATIENCE)
    desk.closing.set()
    until(lambda: not one.stats().handlers)
    assert one.stats() == attrs.evolve(stats, live_calls=0, handlers=0)


def test_dials_count_whether_they_are_answered_or_not(sim: Simulator, client: MakeClient) -> None:
    one = client()
    sim.expect_phone("+15550177", busy=True)
    call = one.dial(to=TO, from_=FROM)
    with pytest.raises(RelayError):
        one.dial(to="+15550177", from_=FROM)
    with pytest.raises(InvalidParameter):
        one.dial(to="")
    call.hangup()
    assert one.stats().calls_dialed == len(sim.journal.requests("calling.dial")) == 2
    assert one.stats().commands == commands_of(sim) == 3


def test_errors_of_commands_count_by_kind(on_call: Line) -> None:
    one, sim = on_call.client, on_call.sim
    sim.refuse("calling.play", 500)
    with pytest.raises(CommandRefused):
        on_call.call.play_silence(1)
    sim.drop_reply("calling.play")
    with one.timeout(0.05), pytest.raises(RequestTimeout):
        on_call.call.play_silence(1)
    with one.timeout(0), pytest.raises(RequestTimeout):
        on_call.call.play_silence(1)
    with pytest.raises(InvalidParameter):
        on_call.call.play_silence(-1)  # rejected before the command is made
    stats = one.stats()
    assert (stats.command_errors, stats.commands_pending) == ({"CommandRefused": 1, "RequestTimeout": 2}, 0)
    assert stats.commands == 4  # answer, and the three that failed
    assert "1 CommandRefused, 2 RequestTimeout" in str(stats)


def test_an_observed_command_counts_once(on_call: Line) -> None:
    before = on_call.client.stats()
    remove = on_call.client.observe(Log())
    on_call.client.execute("signalwire.ping", {})
    with pytest.raises(CommandRefused):
        on_call.client.execute("calling.nonsense", {})
    remove()
    after = on_call.client.stats()
    assert (after.commands - before.commands, after.command_errors) == (2, {"CommandRefused": 1})


def test_what_the_client_sends_by_itself_is_pending_until_it_closes(sim: Simulator, client: MakeClient) -> None:
    one = client()
    sim.drop_reply("calling.pass", None)
    one.connect()
    sim.call(to=TO, from_=FROM)  # there is no handler
    sim.journal.wait_for(lambda entry: entry.method == "calling.pass", PATIENCE)
    assert (one.stats().calls_returned, one.stats().commands_pending) == (1, 1)
    one.disconnect(0.1)
    until(lambda: not one.stats().commands_pending)
    assert one.stats().command_errors == {"ClientClosed": 1}


def test_a_pending_command_is_seen_until_it_ends(on_call: Line) -> None:
    before = on_call.client.stats()
    on_call.sim.drop_reply("calling.play")
    asking = Background(on_call.call.play_silence, 1)
    on_call.wait_for_request("calling.play")
    stats = on_call.client.stats()
    assert (stats.commands_pending, stats.commands) == (1, before.commands)
    on_call.client.disconnect()
    with pytest.raises(ClientClosed):
        asking.result()
    stats = on_call.client.stats()
    assert (stats.state, stats.commands_pending, stats.commands) == ("closed", 0, before.commands + 1)
    assert stats.command_errors == {"ClientClosed": 1}


def test_exceptions_of_handlers_and_callbacks_count_by_kind(sim: Simulator, client: MakeClient) -> None:
    class Own(RelayError):
        pass

    raised: list[BaseException] = []
    one = client(on_error=lambda error, call: raised.append(error))

    @one.on_call
    def handle(call: Call) -> None:
        call.answer()
        call.on("calling.call.state", fail)
        call.hangup()
        call.wait_for_ended(PATIENCE)
        raise ZeroDivisionError

    def fail(event: object) -> None:
        raise Own(None, "no")

    one.connect()
    sim.call(to=TO, from_=FROM)
    until(lambda: sum(one.stats().callback_errors.values()) >= 3)
    until(lambda: len(raised) == 3)
    assert one.stats().callback_errors == {"RelayError": 2, "other": 1}


def test_running_and_queued_callbacks(on_call: Line) -> None:
    gate, entered = threading.Event(), threading.Event()

    @on_call.call.on("calling.call.state")
    def slow(event: object) -> None:
        entered.set()
        assert gate.wait(PATIENCE)

    on_call.phone.hang_up()
    on_call.call.wait_for_ended(PATIENCE)
    assert entered.wait(PATIENCE)
    stats = on_call.client.stats()
    assert (stats.callbacks_running, stats.callbacks_queued) == (1, 1)  # "ending" runs, "ended" waits
    gate.set()
    until(lambda: not on_call.client.stats().callbacks_running)
    assert on_call.client.stats().callbacks_queued == 0


def test_dropped_callbacks(on_call: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    callbacks = on_call.client._router.callbacks
    monkeypatch.setattr(callbacks.lanes, "_most", 2)
    gate = threading.Event()
    for _ in range(5):
        callbacks.in_lane("here", "test", gate.wait, PATIENCE, final=False)
    assert on_call.client.stats().callbacks_dropped == 2
    gate.set()


def test_reconnects_and_lost_connections(on_call: Line) -> None:
    before = on_call.client.stats()
    assert (before.reconnects, before.connection_errors) == (0, {})
    for number in (1, 2):
        on_call.drop(reset=True)
        until(lambda number=number: on_call.client.stats().reconnects == number)  # type: ignore[misc]
    after = on_call.client.stats()
    assert after.connection_errors == {"ConnectionLost": 2}
    assert (after.calls_taken, after.live_calls) == (1, 1)
    assert after.commands >= before.commands


def test_attempts_to_connect_that_fail(closed_port: int, account: Simulator) -> None:
    one = RelayClient(host=f"ws://127.0.0.1:{closed_port}", connect_timeout=0.2)
    with pytest.raises(errors.ConnectTimeout):
        one.connect()
    stats = one.stats()
    assert stats.connection_errors["ConnectError"] >= 1
    assert set(stats.connection_errors) <= ERROR_KINDS
    assert (stats.reconnects, stats.commands) == (0, 0)
    one.disconnect()


def test_counters_survive_closing_and_connecting_again(on_call: Line) -> None:
    before = on_call.client.stats()
    on_call.client.disconnect()
    on_call.client.connect()
    after = on_call.client.stats()
    assert (after.state, after.calls_taken, after.reconnects) == ("connected", before.calls_taken, 0)
    assert after.commands >= before.commands


def test_messages(sim: Simulator, client: MakeClient) -> None:
    one = client()
    got = threading.Event()
    one.on_message(lambda message: got.set())
    one.connect()
    one.send_message(to_number=TO, from_number=FROM, body="hello").wait(PATIENCE)
    sim.message(to=FROM, from_=TO, body="hello")
    assert got.wait(PATIENCE)
    stats = one.stats()
    assert (stats.messages_sent, stats.messages_received, stats.commands) == (1, 1, 1)


def test_a_hostile_server_adds_no_kinds(on_call: Line) -> None:
    one, sim = on_call.client, on_call.sim
    for number in range(30):
        sim.fail("calling.play", -number * 997, f"kind-{number}", data={f"key-{number}": number})
        sim.refuse("calling.record", f"{number + 400}", f"kind-{number}")
        for method in ("calling.play", "calling.record"):
            with pytest.raises(CommandRefused):
                one.execute(method, {})
        sim.send_event(f"calling.call.kind{number}", {"call_id": on_call.call.call_id, "state": f"state-{number}"})
        sim.send_event("calling.call.receive", {"call_id": None, "call_state": [number]})
        sim.send_event("calling.call.state", {"call_id": f"foreign-{number}", "call_state": "answered"})
        sim.send_raw(f"no JSON {number}")
    until(lambda: not one.stats().callbacks_running)
    one.execute("signalwire.ping", {})
    stats = one.stats()
    assert stats.command_errors == {"CommandRefused": 60}
    assert (stats.callback_errors, set(stats.connection_errors) <= ERROR_KINDS) == ({}, True)
    assert (stats.calls_taken, stats.live_calls, stats.commands_pending) == (1, 1, 0)


# -- forks, signals, threads -------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_starts_at_zero_and_the_parent_goes_on(on_call: Line) -> None:
    before = on_call.client.stats()
    assert before.commands

    def fresh() -> bool:
        one = on_call.client
        zero = one.stats() == ClientStats()
        one.execute("signalwire.ping", {})
        one.disconnect()
        return zero and one.stats().commands == 1

    holds_in_child(fresh)
    assert on_call.client.stats() == before


def test_a_child_counts_although_a_thread_of_the_parent_was_counting() -> None:
    counters = Counters()
    held, gate = threading.Event(), threading.Event()

    def hold() -> None:
        with counters._lock:
            held.set()
            assert gate.wait(PATIENCE)

    holding = Background(hold)
    assert held.wait(PATIENCE)
    counters.after_fork()
    Background(counters.count, "reconnects").result()
    assert Background(counters.summary).result().reconnects == 1
    gate.set()
    holding.result()


def test_a_signal_handler_reads_and_sends_while_its_thread_does(on_call: Line) -> None:
    seen: list[ClientStats] = []
    counters = on_call.client._router.counters

    def handler(number: int, frame: object) -> None:
        on_call.client.execute("signalwire.ping", {})
        seen.append(on_call.client.stats())

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with counters._lock, on_call.client._router.callbacks.lanes._lock:
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [stats.commands for stats in seen] == [on_call.client.stats().commands]


def test_a_handler_reads_the_stats_of_its_client(sim: Simulator, client: MakeClient) -> None:
    one, seen = client(), threading.Event()
    found: list[ClientStats] = []

    @one.on_call
    def handle(call: Call) -> None:
        call.on("calling.call.state", lambda event: found.append(one.stats()))
        call.answer()
        call.hangup()
        call.wait_for_ended(PATIENCE)
        found.append(one.stats())
        seen.set()

    one.connect()
    sim.call(to=TO, from_=FROM)
    assert seen.wait(PATIENCE)
    until(lambda: len(found) >= 3)
    assert all(stats.calls_taken <= 1 for stats in found)
    assert max(stats.handlers for stats in found) == 1


def test_no_count_is_lost_to_a_signal_handler() -> None:
    for step in itertools.count(1):
        counters = Counters()
        added: list[int] = []

        def work(to: Counters = counters) -> None:
            to.count("messages_sent")
            to.command_done(0.1, ValueError())

        def handler(work: Callable[[], None] = work, added: list[int] = added) -> None:
            added.append(1)
            work()

        more = interrupt(step, work, where_signals_are_seen, handler)
        stats, times = counters.summary(), 1 + len(added)
        assert (stats.messages_sent, stats.commands, stats.command_errors) == (times, times, {"other": times})
        assert stats.latency.sum == pytest.approx(0.1 * times)
        if not more:
            break
    assert step > 5


def test_an_interrupted_command_is_not_pending_forever(on_call: Line) -> None:
    """Ctrl-C wherever it may arrive, and a signal handler that sends a command of its own and reads the statistics."""
    one = on_call.client

    def other() -> None:
        one.execute("signalwire.ping", {})
        one.stats()

    for handler in (ctrl_c, other):
        for step in itertools.count(1, 7):
            before = one.stats().commands
            more = interrupt(step, lambda: one.execute("signalwire.ping", {}), where_signals_are_seen, handler)
            stats = one.stats()
            assert stats.commands_pending == 0
            assert stats.commands - before <= 2
            if not more:
                break
        assert step > 50


@pytest.mark.parametrize("threads", [4])
def test_no_count_is_lost_between_threads(threads: int) -> None:
    counters, each = Counters(), 2000

    def work() -> None:
        for number in range(each):
            counters.pending.add(mine := object())
            counters.command_done(number / each, ValueError() if number % 2 else None)
            counters.pending.discard(mine)
            counters.count("messages_sent")

    def watch() -> bool:
        last = ClientStats()
        while (stats := counters.summary()).messages_sent < threads * each:
            assert stats.commands >= last.commands
            assert stats.latency.sum >= last.latency.sum
            assert stats.command_errors.get("other", 0) >= last.command_errors.get("other", 0)
            last = stats
        return True

    watching = Background(watch)
    for one in [Background(work) for _ in range(threads)]:
        one.result(60)
    assert watching.result(60)
    stats = counters.summary()
    assert (stats.commands, stats.command_errors, stats.commands_pending) == (
        threads * each,
        {"other": threads * each // 2},
        0,
    )


@pytest.mark.slow
def test_the_numbers_agree_after_a_thousand_calls(sim: Simulator, client: MakeClient) -> None:
    one = client()

    @one.on_call
    def handle(call: Call) -> None:
        call.answer()
        call.hangup()
        call.wait_for_ended(60)
        if int(call.from_number[-1]) == 9:
            raise ValueError(call.call_id)

    one.connect()
    seen = 0
    for number in range(1, 1001):
        sim.call(to=TO, from_=f"+1555010{number:04}")
        if not number % 50:
            until(lambda number=number: one.stats().calls_taken == number)  # type: ignore[misc]
            until(lambda: not (one.stats().live_calls or one.stats().handlers or one.stats().commands_pending))
            seen += commands_of(sim)
            sim.journal.clear()  # it keeps a limited number of entries
    stats = one.stats()
    assert (stats.calls_taken, stats.calls_returned, stats.live_calls) == (1000, 0, 0)
    assert stats.commands == seen == 2000
    assert (stats.command_errors, stats.callback_errors, stats.connection_errors) == ({}, {"other": 100}, {})
    assert (stats.callbacks_queued, stats.callbacks_running, stats.reconnects) == (0, 0, 0)


# -- the value ---------------------------------------------------------------------------------------------------------


def test_stats_print_as_a_table_and_can_be_pickled() -> None:
    stats = ClientStats(state="connected", calls_taken=1234, command_errors={"CommandRefused": 2})
    assert str(stats).split("\n")[:3] == [
        "state              connected",
        "live calls         0",
        "calls              1,234 taken, 0 returned, 0 dialed",
    ]
    assert "command errors     2 CommandRefused" in str(stats)
    assert stats._repr_html_().count("<tr>") == len(stats.rows)
    assert pickle.loads(pickle.dumps(stats)) == stats
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        stats.calls_taken = 0  # type: ignore[misc]
