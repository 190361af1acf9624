"""What costs nothing: a connection on which nothing happens."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from relay_sync.connection.io_loop import IOLoop
from relay_sync.simulator import Simulator
from tests.support.lines import line


@pytest.mark.parametrize("poked", [False, True])
def test_the_thread_of_an_idle_client_sleeps(sim: Simulator, monkeypatch: pytest.MonkeyPatch, poked: bool) -> None:
    turns, quiet = [0], threading.Event()
    turn = IOLoop._turn

    def counted(self: IOLoop) -> None:
        turns[0] += 1
        turn(self)

    monkeypatch.setattr(IOLoop, "_turn", counted)
    with line(sim) as one:
        loop: Any = one.client._link.loop
        loop._watch_at = 0.0  # the next look is due, as it is every second
        if poked:  # as stop() does, and the calls go on while run() drains
            loop.poke()
        one.client.execute("signalwire.ping")
        before = turns[0]
        quiet.wait(0.2)  # nobody sets it: this is the time that is looked at
        assert turns[0] - before < 10
