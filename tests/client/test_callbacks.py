"""Callbacks: in order, off the IO thread, free to wait, and free to raise."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from relay_sync import RelayEvent
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.far_end import mute
from tests.support.lines import Line, line


@pytest.fixture
def on_call(sim: Simulator) -> Iterator[Line]:
    with line(sim) as one:
        mute(sim)
        yield one


def test_callbacks_of_a_call_keep_their_order(on_call: Line) -> None:
    seen: list[int] = []
    on_call.call.on("calling.call.refer", lambda event: seen.append(event.params["number"]))
    for number in range(100):
        on_call.sim.send_event("calling.call.refer", {"call_id": on_call.call.call_id, "number": number})
    on_call.sim.wait_for_acks(PATIENCE)
    on_call.client.disconnect()
    assert seen == list(range(100))


def test_waiting_in_a_callback_for_what_it_was_told_of_is_no_deadlock(on_call: Line) -> None:
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()
    action = on_call.call.play_silence(60)

    def listener(event: RelayEvent) -> None:
        done.put(action.wait(PATIENCE))

    on_call.call.on("calling.call.play", listener)
    told = {"call_id": on_call.call.call_id, "node_id": on_call.call.node_id, "control_id": action.control_id}
    on_call.sim.send_event("calling.call.play", {**told, "state": "finished"})
    assert done.get(timeout=PATIENCE).state == "finished"


def test_an_exception_in_a_callback_ends_no_thread(on_call: Line) -> None:
    def listener(event: RelayEvent) -> None:
        raise ZeroDivisionError

    on_call.call.on("calling.call.refer", listener)
    for _ in range(3):
        on_call.sim.send_event("calling.call.refer", {"call_id": on_call.call.call_id})
    on_call.sim.wait_for_acks(PATIENCE)
    assert on_call.call.denoise()["code"] == "200"
    assert len(on_call.sim.journal.requests("signalwire.connect")) == 1


def test_listeners_run_off_the_io_thread(on_call: Line) -> None:
    names: queue.SimpleQueue[str] = queue.SimpleQueue()
    on_call.call.on("calling.call.refer", lambda event: names.put(threading.current_thread().name))
    on_call.sim.send_event("calling.call.refer", {"call_id": on_call.call.call_id})
    assert names.get(timeout=PATIENCE).startswith("relay-lane-")
