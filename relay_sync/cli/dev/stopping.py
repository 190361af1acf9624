"""Signals that end ``relay-sync dev``."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from attrs import define, field

from ...threads.flag import Flag
from ...threads.signals import Handled
from ..early import ENDING

__all__ = ["Stopping", "stopping"]


@define(eq=False)
class Stopping:
    """What signals have asked for.

    :ivar stopped: set by the first signal: end the program in order.
    :ivar hurry: set by a second Ctrl-C or SIGTERM: kill the program.
    :ivar number: number of the first signal; 0 before.
    """

    stopped: Flag = field(factory=Flag, init=False)
    hurry: Flag = field(factory=Flag, init=False)

    number: int = field(default=0, init=False)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal. A terminal that closes may send SIGHUP twice, so it never counts as the second signal."""
        if self.stopped.is_set() and number in (signal.SIGINT, signal.SIGTERM):
            self.hurry.set()
        self.number = self.number or number
        self.stopped.set()


@contextmanager
def stopping() -> Iterator[Stopping]:
    """Handle the signals that end the command for the duration of the block. No exception is raised."""
    found = Stopping()
    with Handled(found.on_signal, *ENDING):
        yield found
