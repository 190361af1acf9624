"""Messages whose listeners send, whose states come early, and that have no id."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

from relay_sync import (
    RelayClient,
)
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.far_end import mute
from tests.support.lines import FROM, TO

MakeClient = Callable[..., RelayClient]


def message_state(sim: Simulator, message_id: str, word: str) -> None:
    body = {"message_id": message_id, "message_state": word, "context": "x", "direction": "outbound", "segments": 1}
    sim.send_event("messaging.state", body, context="x")


def test_a_message_listener_may_send_and_early_states_are_kept(sim: Simulator, client: MakeClient) -> None:
    mute(sim)
    one = client()

    def name_late(request: Any) -> None:
        # The state overtakes the reply that names the message.
        message_state(sim, "early", "delivered")
        request.accept(message_id="early")

    platform = sim._platform
    platform.handlers = {**platform.handlers, "messaging.send": lambda request: request.accept(message_id="slow")}
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    message = one.send_message(to_number=TO, from_number=FROM, body="x")
    message.on(lambda event: answers.put(one.execute("signalwire.ping")))
    message_state(sim, "slow", "sent")
    assert answers.get(timeout=PATIENCE) is not None
    platform.handlers = {**platform.handlers, "messaging.send": name_late}
    early = one.send_message(to_number=TO, from_number=FROM, body="x")
    assert early.wait(PATIENCE).params["message_state"] == "delivered"


def test_a_message_without_an_id_does_not_pretend(sim: Simulator, client: MakeClient) -> None:
    mute(sim)
    sim._platform.handlers = {**sim._platform.handlers, "messaging.send": lambda request: request.accept(message_id="")}
    completed: queue.SimpleQueue[Any] = queue.SimpleQueue()
    message = client().send_message(to_number=TO, from_number=FROM, body="x", on_completed=completed.put)
    assert message.is_done
    assert completed.get(timeout=PATIENCE) is not None
