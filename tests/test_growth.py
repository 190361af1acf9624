"""Nothing grows: calls and connections that came and went leave no memory, thread or descriptor behind."""

from __future__ import annotations

import gc
import os
import threading
import tracemalloc
from typing import Any

import pytest
from support import FROM, NOWHERE, PATIENCE, TO, Background

from relay_sync import Call, RelayClient
from relay_sync.protocol.session import REMEMBERED_EVENTS
from relay_sync.simulator import Simulator


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


@pytest.mark.slow
def test_calls_in_sequence_leave_nothing_behind() -> None:
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
                sim.send_event("x.y", {})
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
def test_hundreds_of_calls_at_once_each_with_a_stream(sim: Simulator) -> None:
    count = 300
    gate = threading.Barrier(count + 1)
    client = RelayClient(**sim.credentials, contexts=["default"])

    @client.on_call
    def handler(call: Call) -> None:
        call.answer()
        action = call.stream(NOWHERE)
        gate.wait(60)
        action.wait(PATIENCE)
        call.hangup()

    with client:
        phones: list[Any] = [sim.call(to=TO, from_=FROM) for _ in range(count)]
        opened = Background(gate.wait, 60)
        for phone in phones:
            phone.wait_until("ended", 60)
        opened.result()
    assert {phone.end_reason for phone in phones} == {"hangup"}
