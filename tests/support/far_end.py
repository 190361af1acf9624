"""A far end that does nothing by itself: the test alone says which events come."""

from __future__ import annotations

from typing import Any

from relay_sync.call.actions import Action
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.lines import Line
from tests.support.verbs.row import Json

#: What the simulator goes on carrying out; for anything else it checks the frame, acknowledges it, and does no more.
CARRIED_OUT = {"calling.end"}

#: By what the client finds out whether a call is live.
QUESTIONS = ("calling.clear_digit_bindings", "calling.answer")


def mute(sim: Simulator) -> None:
    """Take the simulator's own doings away, so that a test alone says which events come."""
    handlers = sim._platform.handlers
    sim._platform.handlers = {
        name: handler for name, handler in handlers.items() if name.startswith("signalwire.") or name in CARRIED_OUT
    }


def tell(one: Line, action: Action[Any], event_type: str, params: Json) -> None:
    """Have the server send an event of an action."""
    address = {"node_id": one.call.node_id, "call_id": one.call.call_id, "control_id": action.control_id}
    one.sim.send_event(event_type, {**address, **params})


def settle(one: Line) -> None:
    """Everything the server has sent so far was dealt with."""
    one.sim.wait_for_acks(PATIENCE)
    one.call.denoise()  # answered behind the events, on the same socket
