"""Handlers of calls: how many run, what is told of them, and who answers where none can."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import (
    Call,
    RelayClient,
)
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.lines import FROM, TO, Desk, line

MakeClient = Callable[..., RelayClient]


def test_handlers_are_limited_told_of_and_no_call_is_left_ringing(sim: Simulator, client: MakeClient) -> None:
    errors: queue.SimpleQueue[Any] = queue.SimpleQueue()
    gate = threading.Event()
    full = client(max_active_calls=1, on_error=lambda error, call: errors.put(error))

    @full.on_call
    def handler(call: Call) -> None:
        gate.wait(PATIENCE)
        raise ZeroDivisionError

    full.connect()
    first = sim.call(to=TO, from_=FROM)
    sim.wait_for_acks(PATIENCE)
    second = sim.call(to=TO, from_=FROM)
    sim.journal.wait_for(lambda entry: entry.method == "calling.pass", PATIENCE)
    assert len(full.calls) == 1
    gate.set()
    assert isinstance(errors.get(timeout=PATIENCE), ZeroDivisionError)
    first.wait_until("ended", PATIENCE)
    other = client()
    desk = Desk(other)
    other.connect()
    assert desk.take().call_id == second.call_id
    desk.closing.set()


def test_without_a_handler_a_call_is_passed_on(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    with RelayClient(**sim.credentials, contexts=["default"]):
        sim.call(to=TO, from_=FROM)
        sim.journal.wait_for(lambda entry: entry.method == "calling.pass", PATIENCE)
    assert [one.levelno for one in caplog.records if "no on_call handler" in one.message] == [logging.WARNING]


def test_the_caller_is_answered_by_somebody_else(sim: Simulator) -> None:
    with (
        line(sim, max_active_calls=1) as full,
        RelayClient(**sim.credentials, contexts=["default"]) as other,
    ):
        desk = Desk(other)
        sim.wait_for_client(2)
        phones = [sim.call(to=TO, from_=FROM) for _ in range(3)]
        for _ in phones:
            desk.take().answer()
        for phone in phones:
            phone.wait_until("answered")
        assert list(full.client.calls) == [full.call.call_id]
        desk.closing.set()
