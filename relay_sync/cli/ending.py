"""What SIGINT, SIGTERM and SIGHUP do to a command: they end it, and it tidies up first.

One that was ignored when the command began (``nohup``, a shell's ``&``) stays ignored. ``relay-sync run`` is different: there
the client handles them, as in any program that calls ``client.run()``.
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

__all__ = ["interruptible", "until_told"]

#: Seconds in which nothing disturbs a command that hangs up and tidies up: a terminal that closes may send SIGHUP twice.
TIDYING: Final = 10.0


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise :class:`Interrupted` on the main thread at the first signal; later ones are ignored for ``TIDYING`` seconds."""
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
def until_told(*, second_raises: bool = False) -> Iterator[Flag]:
    """Set the flag at a signal: for commands that serve until they are told to end, which then is no interruption.

    :param second_raises: a second Ctrl-C raises :class:`Interrupted`.
    """
    told = Flag()

    def tell(number: int, frame: FrameType | None) -> None:
        if second_raises and told.is_set() and number == signal.SIGINT:
            raise Interrupted(number)
        told.set()

    with Handled(tell, *ENDING):
        yield told
