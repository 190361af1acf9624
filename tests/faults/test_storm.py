"""Calls in a storm of random faults: every wait ends, every callback runs once, and the client is as good as new afterwards."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from typing import Any

import pytest

from relay_sync import Call, CallStateEvent, CommandRefused, RelayClient, RelayError, RelayEvent
from relay_sync.protocol.backoff import LONGEST
from relay_sync.simulator import Simulator
from relay_sync.simulator.people.phone import Phone
from tests.support import PATIENCE
from tests.support.faults.proxy import FaultProxy
from tests.support.lines import FROM, NOWHERE, TO

#: Seconds of bad weather.
STORM_LASTS = 8.0
OPTIONS: dict[str, Any] = {"ping_interval": 0.5, "ping_timeout": 1.0, "connect_timeout": 2.0, "request_timeout": 5.0}


class Ward:
    """Handles calls as a user would, and counts what happens to them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.handlers: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.completed: Counter[str] = Counter()
        self.over: set[str] = set()
        self.errors: Counter[str] = Counter()
        #: Seconds until a command was refused: whether the call lives is asked until the command's time is up.
        self.refused: list[float] = []

    def handle(self, call: Call) -> None:
        with self.lock:
            self.handlers[call.call_id] += 1
        call.on("calling.call.state", lambda event: self.heard(call, event))
        try:
            call.answer()
            began = time.monotonic()
            try:
                action = call.stream(NOWHERE, on_completed=lambda event: self.end_of_stream(call))
            except CommandRefused:
                self.refused.append(time.monotonic() - began)
                raise
            action.wait()
            call.wait_for_ended()
        except RelayError as error:
            with self.lock:
                self.errors[type(error).__name__] += 1
        with self.lock:
            self.over.add(call.call_id)

    def heard(self, call: Call, event: RelayEvent) -> None:
        if isinstance(event, CallStateEvent) and event.call_state == "ended":
            with self.lock:
                self.ends[call.call_id] += 1

    def end_of_stream(self, call: Call) -> None:
        with self.lock:
            self.completed[call.call_id] += 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_calls_in_a_storm(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    dice = random.Random(seed)
    ward = Ward()
    with (
        Simulator(media="fast", on_bad_resume="fresh", ping_interval=2.0, ping_timeout=4.0) as sim,
        FaultProxy(sim.port) as proxy,
    ):
        with RelayClient(**proxy.through(sim), contexts=["default"], **OPTIONS) as client:
            client.on_call(ward.handle)
            proxy.storm(seed, every=(0.1, 0.6))
            phones: list[Phone] = []
            end = time.monotonic() + STORM_LASTS
            while time.monotonic() < end:
                phones.append(sim.call(to=TO, from_=FROM))
                if len(phones) > 20:
                    phones[dice.randrange(len(phones))].hang_up()
                time.sleep(dice.uniform(0.01, 0.1))  # calls come when they like
            proxy.calm()
            # A link that fell silent in the storm is found out only now, and by then a retry may take the longest delay.
            client.wait_until_ready(LONGEST + PATIENCE)
            assert client.execute("signalwire.ping", timeout=LONGEST + PATIENCE) is not None
            for phone in phones:
                phone.hang_up()
            deadline = time.monotonic() + PATIENCE * 3
            while ward.over != set(ward.handlers):
                assert time.monotonic() < deadline, f"{len(set(ward.handlers) - ward.over)} handlers still wait"
                time.sleep(0.05)
            assert client.calls == {}
    assert len(proxy.log) > 5
    assert len(ward.handlers) > 5
    assert set(ward.handlers.values()) == {1}
    assert set(ward.ends.values()) <= {1}
    assert set(ward.completed.values()) <= {1}
    assert set(ward.errors) <= {"ConnectionLost", "NotConnected", "RequestTimeout", "CallEnded", "CommandRefused"}
    assert ward.errors["CommandRefused"] == len(ward.refused)
    assert all(took >= OPTIONS["request_timeout"] for took in ward.refused)
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
