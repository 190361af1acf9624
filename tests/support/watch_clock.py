"""The clock of a client's checks, moved on by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from attrs import define

from relay_sync.protocol.session import Session
from tests.support import PATIENCE
from tests.support.far_end import QUESTIONS
from tests.support.lines import Line

FIRST, SECOND = QUESTIONS


@define(eq=False)
class Clock:
    """Tells a client's router of times to come."""

    one: Line
    ahead: float = 0.0

    def advance(self, seconds: float) -> None:
        self.ahead += seconds
        self.on_io_thread(lambda: self.one.client._router.on_watch(time.monotonic() + self.ahead))

    def on_io_thread(self, *functions: Callable[[], object]) -> None:
        """Run functions on the IO thread, one after the other, each after what the ones before it have posted."""
        loop, done = self.one.client._link.loop, threading.Event()
        assert loop is not None

        def run(session: Session, left: tuple[Callable[[], object], ...]) -> None:
            if left:
                left[0]()
                loop.change(lambda session: run(session, left[1:]))
            else:
                done.set()

        loop.change(lambda session: run(session, functions))
        assert done.wait(PATIENCE)
        self.settle()

    def settle(self) -> None:
        """What was sent has arrived, and what was answered, when this is answered."""
        assert self.one.client.execute("signalwire.ping", timeout=PATIENCE) is not None

    def asked(self, method: str = FIRST) -> int:
        return len(self.one.sim.journal.requests(method))
