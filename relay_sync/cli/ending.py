"""Signal handling (SIGINT, SIGTERM and SIGHUP) while a command runs.

Signals that were ignored when the command started, for example by ``nohup``, stay ignored. ``relay-sync run`` does not use this
module, because ``client.run()`` handles signals.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from ..threads.flag import Flag
from ..threads.signals import Handled
from .early import ENDING, Interrupted

__all__ = ["interruptible", "stop_flag"]

#: Time in seconds after a signal during which further signals are ignored. A terminal that closes may send SIGHUP twice.
TIDYING: Final = 10.0


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise :class:`Interrupted` in the main thread when a signal arrives.

    Further signals are ignored for ``TIDYING`` seconds, to give the command time to clean up.
    """
    raised_at: float | None = None

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal raised_at
        now = time.monotonic()
        if raised_at is None or now - raised_at > TIDYING:
            raised_at = now
            raise Interrupted(number)

    with Handled(end, *ENDING):
        yield


@contextmanager
def stop_flag(*, second_raises: bool = False) -> Iterator[Flag]:
    """Return a flag that is set when a signal arrives, for commands that run until they are stopped.

    :param second_raises: whether a second Ctrl-C raises :class:`Interrupted`.
    """
    stopped = Flag()

    def stop(number: int, frame: FrameType | None) -> None:
        if second_raises and stopped.is_set() and number == signal.SIGINT:
            raise Interrupted(number)
        stopped.set()

    with Handled(stop, *ENDING):
        yield stopped
