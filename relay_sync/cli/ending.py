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

from ..runtime.flag import Flag
from ..runtime.signals import Handled

__all__ = ["ENDING", "Interrupted", "interruptible", "until_told"]

#: The signals that end a command; Windows has no SIGHUP.
ENDING: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
#: Seconds in which nothing disturbs a command that hangs up and tidies up: a terminal that closes may send SIGHUP twice.
TIDYING: Final = 10.0


class Interrupted(KeyboardInterrupt):
    """A signal that ends the command.

    :ivar code: the exit code that a shell expects: 128 and the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


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
