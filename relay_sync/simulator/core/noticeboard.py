"""Condition variable for tests that wait for changes in the simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar

from attrs import define, field

from ...errors import WaitTimeout
from ...params import values
from ...threads.flag import Bell
from ...threads.timeouts import TimeLeft

__all__ = ["Noticeboard", "broken_off", "seconds_to_wait"]

T = TypeVar("T")


#: Maximum duration of one sleep, in seconds. If a signal arrives just before a sleep, Python runs its handler after the sleep.
SLICE: Final = 0.5

_broken_off: ContextVar[Callable[[], bool]] = ContextVar("broken_off", default=bool)  # bool() is False


@contextmanager
def broken_off(when: Callable[[], bool]) -> Iterator[None]:
    """Within the ``with`` block, end all waits of this thread early once ``when()`` is true.

    A wait checks this at least every :data:`SLICE` seconds, and raises :exc:`WaitTimeout`.

    :param when: condition, such as that the HTTP client that asked for the wait has disconnected.
    """
    token = _broken_off.set(when)
    try:
        yield
    finally:
        _broken_off.reset(token)


def seconds_to_wait(value: float, name: str = "timeout") -> float:
    """Validate a wait timeout. If it is 0 or less, the condition is checked once without waiting.

    :raises InvalidParameter: the timeout is not a number of seconds.
    """
    return values.timeout(value, name=name, optional=False)


@define(eq=False)
class Noticeboard:
    """Condition variable that the loop thread uses to wake waiting test threads.

    This class uses a ``Bell`` instead of a :class:`threading.Condition`. Ctrl-C can leave a ``Condition``'s lock held, and the
    loop thread would then block forever.
    """

    #: Called when the condition becomes true. It waits until the loop thread finishes its current step. After a test has waited
    #: for a state, the journal therefore contains the event that reports this state, and vice versa.
    settle: Callable[[], object] = field(default=lambda: None, repr=False)
    _bell: Bell = field(factory=Bell, init=False, repr=False)

    def changed(self) -> None:
        """Wake all waiting threads, which then recheck their conditions. Must be called after the change. Never blocks."""
        self._bell.ring()

    def wait_for(
        self, look: Callable[[], T | None], timeout: float, what: str | Callable[[], str], *, every: float = SLICE
    ) -> T:
        """Wait until ``look()`` returns a value other than ``None`` or ``False``, and return this value.

        Exceptions raised by ``look`` are propagated.

        :param timeout: maximum time to wait, in seconds.
        :param what: description of the condition for the error message, or a function called to create it when the timeout
            expires.
        :param every: maximum time between checks, in seconds, for conditions that can become true without a call to
            :meth:`changed`.
        :raises WaitTimeout: the timeout expired.
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
            if _broken_off.get()():
                raise WaitTimeout("the simulator stopped waiting, because the result is no longer needed")
            if rest <= 0:
                words = what if isinstance(what, str) else what()
                raise WaitTimeout(f"the simulator waited {timeout:g} s for {words}")
            if not rang:
                left.waited(longest)
