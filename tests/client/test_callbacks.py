"""Callbacks: in order, off the IO thread, free to wait, and free to raise."""

from __future__ import annotations

import queue
import threading
from typing import Any

from relay_sync import RelayEvent
from tests.support import PATIENCE
from tests.support.lines import Line


def test_callbacks_of_a_call_keep_their_order(muted: Line) -> None:
    seen: list[int] = []
    muted.call.on("calling.call.refer", lambda event: seen.append(event.params["number"]))
    for number in range(100):
        muted.sim.send_event("calling.call.refer", {"call_id": muted.call.call_id, "number": number})
    muted.sim.wait_for_acks(PATIENCE)
    muted.client.disconnect()
    assert seen == list(range(100))


def test_waiting_in_a_callback_for_what_it_was_told_of_is_no_deadlock(muted: Line) -> None:
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()
    action = muted.call.play_silence(60)

    def listener(event: RelayEvent) -> None:
        done.put(action.wait(PATIENCE))

    muted.call.on("calling.call.play", listener)
    told = {"call_id": muted.call.call_id, "node_id": muted.call.node_id, "control_id": action.control_id}
    muted.sim.send_event("calling.call.play", {**told, "state": "finished"})
    assert done.get(timeout=PATIENCE).state == "finished"


def test_an_exception_in_a_callback_ends_no_thread(muted: Line) -> None:
    def listener(event: RelayEvent) -> None:
        raise ZeroDivisionError

    muted.call.on("calling.call.refer", listener)
    for _ in range(3):
        muted.sim.send_event("calling.call.refer", {"call_id": muted.call.call_id})
    muted.sim.wait_for_acks(PATIENCE)
    assert muted.call.denoise()["code"] == "200"
    assert len(muted.sim.journal.requests("signalwire.connect")) == 1


def test_listeners_run_off_the_io_thread(muted: Line) -> None:
    names: queue.SimpleQueue[str] = queue.SimpleQueue()
    muted.call.on("calling.call.refer", lambda event: names.put(threading.current_thread().name))
    muted.sim.send_event("calling.call.refer", {"call_id": muted.call.call_id})
    assert names.get(timeout=PATIENCE).startswith("relay-lane-")
