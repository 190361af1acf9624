"""Waiting on one thread for what another one brings about."""

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


#: Seconds of one sleep: a signal that comes just before it is noticed when it ends.
SLICE: Final = 0.5


def seconds_to_wait(value: float, name: str = "timeout") -> float:
    """A time that a user gives to a wait; 0 or less looks without waiting.

    :raises InvalidParameter: it is no number of seconds.
    """
    return values.timeout(value, name=name, optional=False)


@define(eq=False)
class Noticeboard:
    """Where the loop's thread announces that something changed, and test threads wait for a condition of theirs to
    hold.

    With a ``Bell``, for a ``threading.Condition`` has a lock that Ctrl-C can leave held, and then the loop's thread would wait
    for it for ever.
    """

    #: Called when the condition holds: returns once the step is over in which the loop's thread has made it hold. Whoever has
    #: waited for a state then finds its event in the journal, and the other way round.
    settle: Callable[[], object] = field(default=lambda: None, repr=False)
    _bell: Bell = field(factory=Bell, init=False, repr=False)

    def changed(self) -> None:
        """Make every waiter look again; never blocks. To be called after the change."""
        self._bell.ring()

    def wait_for(
        self, look: Callable[[], T | None], timeout: float, what: str | Callable[[], str], *, every: float = SLICE
    ) -> T:
        """The first value of ``look()`` that is neither ``None`` nor ``False``.

        :param timeout: seconds to wait.
        :param what: names the thing in the error; a function is asked when the time is up, for what is true then.
        :param every: seconds between two looks at most, where something may come true without a change.
        :raises WaitTimeout: it did not happen in time. Whatever ``look`` raises is passed on.
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
                raise WaitTimeout(f"the simulator waited {timeout:g} s in vain for {words}")
            if not rang:
                left.waited(longest)
