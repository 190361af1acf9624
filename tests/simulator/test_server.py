"""What a simulator that does not run says to who asks something of it; and what waits refuse."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import InvalidParameter, RelayError, SimulatorClosed
from relay_sync.simulator import ControlInterface, Phone, Simulator
from tests.support import PATIENCE
from tests.support.background import Background, until
from tests.support.control import Control
from tests.support.lines import FROM, TO, line

Ask = Callable[[Simulator, Phone], Any]

ASKED: dict[str, Ask] = {
    "start": lambda sim, phone: sim.start(),
    "call": lambda sim, phone: sim.call(to=TO, from_=FROM),
    "message": lambda sim, phone: sim.message(to=TO, from_=FROM),
    "task": lambda sim, phone: sim.task({}),
    "send_event": lambda sim, phone: sim.send_event("calling.call.state", {}),
    "send_raw": lambda sim, phone: sim.send_raw("x"),
    "ping": lambda sim, phone: sim.ping(),
    "cut": lambda sim, phone: sim.cut(),
    "restart": lambda sim, phone: sim.restart(),
    "release": lambda sim, phone: sim.release(),
    "stop_reading": lambda sim, phone: sim.stop_reading(),
    "forget_sessions": lambda sim, phone: sim.forget_sessions(),
    "renew_authorization": lambda sim, phone: sim.renew_authorization(),
    "phone.hang_up": lambda sim, phone: phone.hang_up(),
    "phone.press": lambda sim, phone: phone.press("1"),
    "phone.say": lambda sim, phone: phone.say("yes"),
    "phone.keep_silent": lambda sim, phone: phone.keep_silent(),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_a_closed_simulator_raises_errors_of_the_tree(ask: Ask) -> None:
    with Simulator() as sim:
        phone = sim.call(to=TO, from_=FROM)
    with pytest.raises(SimulatorClosed, match="closed") as raised:
        ask(sim, phone)
    assert isinstance(raised.value, RelayError)
    assert isinstance(raised.value, RuntimeError)  # for who caught that before


def test_one_that_was_not_started_says_so() -> None:
    sim = Simulator()
    with pytest.raises(SimulatorClosed, match="not started"):
        sim.call(to=TO, from_=FROM)
    sim.close()


def test_a_closed_simulator_does_not_listen_again() -> None:
    with Simulator() as sim:
        sim.refuse_connections(how="tcp")
    with pytest.raises(SimulatorClosed):
        sim.refuse_connections(False)


def test_the_control_interface_says_that_the_simulator_is_closed() -> None:
    with Simulator() as sim, ControlInterface(sim) as server:
        control = Control(server.url, server.key)
        waiting = Background(control.refused, "GET", "/clients?count=1&timeout=30")
        until(lambda: any(each.name.startswith("relay-sim-wait") for each in threading.enumerate()))
        server.close()
        assert waiting.result() == (503, {"error": "the simulator is closing"})


def test_waits_refuse_what_they_cannot_wait_for(sim: Simulator) -> None:
    with line(sim) as one:
        one.call.stream("ws://127.0.0.1:9/")
        stream = one.phone.wait_for_stream(timeout=PATIENCE)
        for wait, parameter in (
            (lambda: stream.wait_until("flowing", PATIENCE), "state"),
            (lambda: stream.wait_for("flowing", PATIENCE), "predicate"),  # type: ignore[arg-type]  # that is the test
            (lambda: sim.webhooks.wait_for(-1), "count"),
        ):
            with pytest.raises(InvalidParameter) as raised:
                wait()
            assert raised.value.parameter == parameter
