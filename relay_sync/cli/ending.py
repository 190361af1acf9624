"""Handling of SIGINT, SIGTERM and SIGHUP: the command cleans up and exits.

A signal that was ignored when the command started (``nohup``, a shell's ``&``) stays ignored. Under ``relay-sync run`` the client
handles the signals, as in any program that calls ``client.run()``.
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

#: Seconds of cleanup during which further signals are ignored: a terminal that closes may send SIGHUP twice.
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
    """Set the flag at a signal. For commands that serve until a signal and then exit normally.

    :param second_raises: whether a second Ctrl-C raises :class:`Interrupted`.
    """
    told = Flag()

    def tell(number: int, frame: FrameType | None) -> None:
        if second_raises and told.is_set() and number == signal.SIGINT:
            raise Interrupted(number)
        told.set()

    with Handled(tell, *ENDING):
        yield told
