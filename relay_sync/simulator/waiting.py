"""Waiting on one thread for what another one brings about."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from attrs import define, field

from ..errors import WaitTimeout

__all__ = ["Noticeboard"]

T = TypeVar("T")


@define(eq=False)
class Noticeboard:
    """Where the loop's thread announces that something changed, and test threads wait for a condition of theirs to
    hold.
    """

    _condition: threading.Condition = field(factory=threading.Condition, init=False, repr=False)

    def changed(self) -> None:
        """Make every waiter look again. To be called after the change."""
        with self._condition:
            self._condition.notify_all()

    def wait_for(self, look: Callable[[], T | None], timeout: float, what: str) -> T:
        """The first value of ``look()`` that is neither ``None`` nor ``False``.

        :param timeout: seconds to wait; ``what`` names the thing in the error.
        :raises WaitTimeout: it did not happen in time. Whatever ``look`` raises is passed on.
        """
        deadline = time.monotonic() + timeout
        with self._condition:
            while True:
                found = look()
                if found is not None and found is not False:
                    return found
                left = deadline - time.monotonic()
                if left <= 0:
                    raise WaitTimeout(f"the simulator waited {timeout:g} s in vain for {what}")
                self._condition.wait(left)
