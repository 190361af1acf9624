"""Waiting on one thread for changes on another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from attrs import define, field

from ...errors import WaitTimeout
from ...params import values
from ...threads.flag import Bell
from ...threads.timeouts import TimeLeft

__all__ = ["Noticeboard", "seconds_to_wait"]

T = TypeVar("T")


#: Seconds of one sleep: a signal that arrives just before it is handled when it ends.
SLICE: Final = 0.5


def seconds_to_wait(value: float, name: str = "timeout") -> float:
    """Check the timeout of a wait; 0 or less checks without waiting.

    :raises InvalidParameter: it is not a number of seconds.
    """
    return values.timeout(value, name=name, optional=False)


@define(eq=False)
class Noticeboard:
    """Where the loop's thread announces changes, and test threads wait for a condition.

    Uses a ``Bell``: Ctrl-C can leave the lock of a ``threading.Condition`` held, and then the loop's thread would block forever.
    """

    #: Called when the condition holds: returns once the loop's thread has finished the step that made it true. A test that has
    #: waited for a state then finds its event in the journal, and vice versa.
    settle: Callable[[], object] = field(default=lambda: None, repr=False)
    _bell: Bell = field(factory=Bell, init=False, repr=False)

    def changed(self) -> None:
        """Make every waiter check again. Never blocks. Call it after the change."""
        self._bell.ring()

    def wait_for(
        self, look: Callable[[], T | None], timeout: float, what: str | Callable[[], str], *, every: float = SLICE
    ) -> T:
        """Return the first value of ``look()`` that is neither ``None`` nor ``False``. Errors of ``look`` propagate.

        :param timeout: seconds to wait.
        :param what: subject of the error message; a function is called at the timeout.
        :param every: maximum seconds between two checks, for conditions that become true without an announced change.
        :raises WaitTimeout: there was no such value before the timeout.
        """
        timeout = seconds_to_wait(timeout)
        left, found = TimeLeft(timeout), None

        def holds() -> bool:
            nonlocal found
            found = look()
            return found is not None and found is not False

        while True:
            rest = left() or 0.0
            longest = max(0.0, min(rest, every))
            rang = self._bell.sleep(holds, longest)
            if found is not None and found is not False:
                self.settle()
                return found
            if rest <= 0:
                words = what if isinstance(what, str) else what()
                raise WaitTimeout(f"the simulator waited {timeout:g} s for {words}")
            if not rang:
                left.waited(longest)
