"""Nothing grows: calls and connections that came and went leave no memory, thread or descriptor behind."""

from __future__ import annotations

import gc
import itertools
import logging
import os
import socket
import threading
import time
import tracemalloc
from collections import Counter
from typing import Any

import pytest

from relay_sync import Call, QueueFull, RelayClient, RelayError
from relay_sync.audio import AudioServer, AudioStream
from relay_sync.protocol.session import REMEMBERED_EVENTS
from relay_sync.simulator import Simulator
from relay_sync.simulator.core.noticeboard import Noticeboard
from relay_sync.threads.outcome import wait_until
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.lines import FROM, NOWHERE, TO


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


@pytest.mark.slow
def test_calls_in_sequence_leave_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "relay_sync")  # pytest keeps what is said of each stream that comes to nothing
    with Simulator(media="fast", journal_limit=10) as sim:
        client = RelayClient(**sim.credentials, contexts=["default"])

        @client.on_call
        def handler(call: Call) -> None:
            call.answer()
            call.stream(NOWHERE, on_completed=lambda event: None).wait(PATIENCE)
            call.hangup()

        def some(count: int) -> None:
            for _ in range(count):
                sim.call(to=TO, from_=FROM).wait_until("ended", PATIENCE)

        with client:
            some(100)
            tracemalloc.start()
            # The ids that are remembered to know a repeated event by: until their table has its final size.
            for _ in range(3 * REMEMBERED_EVENTS):
                sim.send_event("calling.x.y", {})
            sim.wait_for_acks()
            gc.collect()
            before, files = tracemalloc.take_snapshot(), descriptors()
            some(500)
            client.execute("signalwire.ping", {})
            gc.collect()
            ours = tracemalloc.Filter(True, "*relay_sync/[!s]*")  # the simulator keeps a bounded history of its own
            after = tracemalloc.take_snapshot()
            tracemalloc.stop()
            grown = sum(
                each.size_diff
                for each in after.filter_traces([ours]).compare_to(before.filter_traces([ours]), "filename")
            )
            assert client.calls == {}
            assert grown < 100_000, f"{grown} bytes for 500 calls"
            assert abs(descriptors() - files) <= 5


@pytest.mark.slow
def test_connections_in_sequence_leave_nothing_behind(sim: Simulator) -> None:
    def some(count: int) -> None:
        for _ in range(count):
            with RelayClient(**sim.credentials) as client:
                client.execute("signalwire.ping", {})

    some(5)
    files, threads = descriptors(), threading.active_count()
    some(100)
    sim.wait_until_gone()
    assert abs(descriptors() - files) <= 3
    assert threading.active_count() <= threads


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_thousand_calls_at_once_each_with_a_stream() -> None:
    """A score of the streams carries audio; the sockets of the others are open and silent."""
    count, loud, patience = 1000, 20, 90.0
    gate = threading.Barrier(count + 1)
    numbers = itertools.count()
    heard: list[int] = []
    ends: list[tuple[bool, str]] = []

    def listen(stream: AudioStream) -> None:
        heard.append(sum(frame.samples for frame in stream))

    with (
        socket.create_server(("127.0.0.1", 0), backlog=count) as hole,
        Simulator(dial_timeout=patience * 2) as sim,
        AudioServer(on_stream=listen) as audio,
    ):
        silent = f"ws://127.0.0.1:{hole.getsockname()[1]}/audio"
        client = RelayClient(**sim.credentials, contexts=["default"], max_active_calls=count, request_timeout=patience)

        @client.on_call
        def handler(call: Call) -> None:
            call.answer()
            action = call.stream(audio.url if next(numbers) < loud else silent)
            gate.wait(patience)
            over = action.is_done
            call.hangup()
            ends.append((over, action.wait(patience).reason or "finished"))

        with client:
            phones: list[Any] = [sim.call(to=TO, from_=FROM) for _ in range(count)]
            opened = Background(gate.wait, patience)
            opened.result(patience)
            assert client.execute("signalwire.ping", timeout=patience) is not None
            for phone in phones:
                phone.wait_until("ended", patience)
            assert client._router.is_quiet() or wait_until(client._router.is_quiet, client._router.changed, patience)
            assert client.calls == {}
    assert {phone.end_reason for phone in phones} == {"hangup"}
    assert len(ends) == count
    assert {over for over, _ in ends} == {False}
    assert len(heard) == loud
    assert min(heard) > 0


@pytest.mark.slow
def test_a_server_that_does_not_read_fills_no_memory_and_hangs_nobody(sim: Simulator) -> None:
    """What cannot be sent waits, up to a bound; commands end by their own time; others are refused at once."""
    with RelayClient(**sim.credentials, max_queue=10, ping_interval=60.0) as client:
        sim.stop_reading()
        outcomes: Counter[str] = Counter()

        def command() -> None:
            try:
                client.execute("signalwire.ping", {"payload": "x" * 200_000}, timeout=1.0)
            except RelayError as error:
                outcomes[type(error).__name__] += 1

        for each in [Background(command) for _ in range(200)]:
            each.result(30.0)
        assert set(outcomes) == {"RequestTimeout", "QueueFull"}
        assert outcomes["QueueFull"] > 20
        loop = client._link.loop
        assert loop is not None
        sim.stop_reading(False)
        client.wait_until_ready(30.0)
        end = time.monotonic() + 30.0
        while True:
            try:
                answer = client.execute("signalwire.ping", {"payload": "again"}, timeout=30.0)
                break
            except QueueFull:  # what waited is still on its way out
                assert time.monotonic() < end
                time.sleep(0.01)
        assert answer["payload"] == "again"


def test_what_is_over_waits_for_no_collector(caplog: pytest.LogCaptureFixture) -> None:
    """What holds itself stays until the collector comes by: 5 KiB for each call, once."""
    caplog.set_level(logging.CRITICAL, "relay_sync")
    with Simulator(media="fast") as sim, RelayClient(**sim.credentials, contexts=["default"]) as client:

        @client.on_call
        def handler(call: Call) -> None:
            call.answer()
            call.stream(NOWHERE, on_completed=lambda event: None).wait(PATIENCE)
            call.play_silence(60).stop()
            call.hangup()

        def some(count: int) -> None:
            for _ in range(count):
                sim.call(to=TO, from_=FROM).wait_until("ended", PATIENCE)
                sim.expect_phone(TO)
                client.dial(to=TO, from_=FROM).hangup()
                client.send_message(to_number=TO, from_number=FROM, body="hello").wait(PATIENCE)
            client._link.promise("calling.end", {"node_id": "", "call_id": "of-nobody", "reason": "hangup"})
            client.execute("signalwire.ping")

        some(2)
        gc.collect()
        gc.disable()
        try:
            some(5)
            assert wait_until(client._router.is_quiet, client._router.changed, PATIENCE)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            # The simulator's dials and streams hold themselves, and with their calls bells of the same kind as the client's.
            theirs = {id(each._bell) for each in gc.garbage if isinstance(each, Noticeboard)}
            kept = [each for each in gc.garbage if is_of_the_client(each) and id(each) not in theirs]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert not Counter(f"{each.__module__}.{type(each).__qualname__}" for each in kept)


def is_of_the_client(found: object) -> bool:
    home = getattr(found, "__module__", None)
    other = ("relay_sync.simulator", "relay_sync.server", "relay_sync.rest")
    return isinstance(home, str) and home.startswith("relay_sync") and not home.startswith(other)
