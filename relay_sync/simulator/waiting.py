"""Waiting on one thread for what another one brings about."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from attrs import define, field

from ..errors import WaitTimeout
from ..runtime.flag import Bell
from ..runtime.waiter import wait_until

__all__ = ["Noticeboard"]

T = TypeVar("T")


@define(eq=False)
class Noticeboard:
    """Where the loop's thread announces that something changed, and test threads wait for a condition of theirs to
    hold.
    """

    _bell: Bell = field(factory=Bell, init=False, repr=False)

    def changed(self) -> None:
        """Make every waiter look again; never blocks. To be called after the change."""
        self._bell.ring()

    def wait_for(self, look: Callable[[], T | None], timeout: float, what: str) -> T:
        """The first value of ``look()`` that is neither ``None`` nor ``False``.

        :param timeout: seconds to wait; ``what`` names the thing in the error.
        :raises WaitTimeout: it did not happen in time. Whatever ``look`` raises is passed on.
        """
        found: list[T] = []

        def ready() -> bool:
            if found:  # some only find a thing once
                return True
            value = look()
            if value is None or value is False:
                return False
            found.append(value)
            return True

        if not wait_until(ready, self._bell, timeout):
            raise WaitTimeout(f"the simulator waited {timeout:g} s in vain for {what}")
        return found[0]
