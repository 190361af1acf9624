"""A call on the line between the simulator and a client."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrs import define, field

from relay_sync import Call, ClientClosed, RelayClient
from relay_sync.call.call import core_of
from relay_sync.simulator import Simulator
from relay_sync.simulator.people.phone import Phone
from tests.support import PATIENCE
from tests.support.background import Background

TO, FROM = "+15550100", "+15550199"
#: Loopback, and nobody listens there: for streams whose audio does not matter.
NOWHERE = "ws://127.0.0.1:9/audio"


@define(eq=False)
class Desk:
    """Takes a client's inbound calls: each handler parks its call here, for the test to work with, until the end."""

    client: RelayClient
    calls: queue.SimpleQueue[Call] = field(factory=queue.SimpleQueue)
    closing: threading.Event = field(factory=threading.Event)

    def __attrs_post_init__(self) -> None:
        self.client.on_call(self.handle)

    def handle(self, call: Call) -> None:
        self.calls.put(call)
        end = time.monotonic() + 60
        # A client that closes waits for its handlers: like most of them, this one ends with what it could wait for.
        while time.monotonic() < end and not self.closing.wait(0.02):
            if isinstance(core_of(call).over, ClientClosed) or self.client.state == "closed":
                break

    def take(self) -> Call:
        return self.calls.get(timeout=PATIENCE)


@define(eq=False)
class Line:
    """One inbound call: the simulator's end, and ours."""

    sim: Simulator
    client: RelayClient
    desk: Desk
    phone: Phone
    call: Call

    def another(self) -> tuple[Phone, Call]:
        phone = self.sim.call(to=TO, from_=FROM)
        return phone, self.desk.take()

    def drop(self, reset: bool = False) -> None:
        """Cut the RELAY connection, and return when the client is back."""
        drop(self.sim, self.client, reset)

    def wait_for_request(self, method: str, count: int = 1) -> dict[str, Any]:
        """The params of the n-th request of a method, once the server has it."""
        self.sim.journal.wait_for(lambda entry: len(self.sim.journal.requests(method)) >= count, PATIENCE)
        params: dict[str, Any] = self.sim.journal.requests(method)[count - 1]["params"]
        return params


def drop(sim: Simulator, client: RelayClient, reset: bool = False) -> None:
    """Cut the RELAY connection, and return when the client has another."""
    before = len(sim.journal.requests("signalwire.connect"))
    sim.cut(reset)
    sim.journal.wait_for(lambda entry: len(sim.journal.requests("signalwire.connect")) > before, PATIENCE)
    client.wait_until_ready(PATIENCE)


@contextmanager
def line(
    sim: Simulator, *, answered: bool = True, says: Any = None, hears: Any = None, **options: Any
) -> Iterator[Line]:
    """A client on the simulator with one call, parked in its handler."""
    client = RelayClient(**{**sim.credentials, "contexts": ["default"], **options})
    desk = Desk(client)
    try:
        client.connect()
        phone = sim.call(to=TO, from_=FROM, says=says, hears=hears)
        call = desk.take()
        if answered:
            with call.expect("calling.call.state", lambda event: event.call_state == "answered", PATIENCE):
                call.answer()
        yield Line(sim, client, desk, phone, call)
    finally:
        desk.closing.set()
        client.disconnect()


def run(client: RelayClient, **options: Any) -> Background[None]:
    """``client.run()`` in another thread, once it is connected."""
    ready = threading.Event()
    running = Background(lambda: client.run(on_ready=ready.set, **options))
    assert ready.wait(PATIENCE)
    return running
