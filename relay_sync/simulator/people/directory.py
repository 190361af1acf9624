"""Phones that tests set up for the application to dial. Safe to use from any thread.

A number that no test has set up rings for one second and is then answered by a person who says nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from attrs import define, field

from ...errors import WaitTimeout
from ..core import given
from ..core.noticeboard import Noticeboard, seconds_to_wait
from .party import Behavior
from .phone import Phone

__all__ = ["Directory", "ExpectedPhone"]


@define(eq=False)
class ExpectedPhone:
    """A phone that a test has set up for a number, and the calls it has received. Safe to use from any thread.

    Instances are returned by :meth:`Simulator.expect_phone`.

    :param left: number of calls to which this setup still applies; ``None`` means all calls.

    :ivar number: the phone's number or address.
    :ivar behavior: the phone's behavior when it is called.
    :ivar on_call: called with each call's :class:`Phone` on the simulator's thread before the phone rings; it must not block.
    """

    number: str
    behavior: Behavior
    _left: int | None = field(repr=False)
    on_call: Callable[[Phone], object] | None = field(default=None, init=False, repr=False)
    _calls: list[Phone] = field(factory=list, init=False, repr=False)
    _board: Noticeboard = field(factory=Noticeboard, init=False, repr=False)

    @property
    def calls(self) -> list[Phone]:
        """The calls that the phone has received so far, in order, including ended calls."""
        return list(self._calls)

    def wait_for_call(self, index: int = 0, timeout: float = 10.0) -> Phone:
        """Wait until the phone receives a call.

        :param index: index of the call, starting at 0.
        :param timeout: maximum time to wait, in seconds.
        :return: the callee's phone in this call.
        :raises WaitTimeout: the phone did not receive this call within ``timeout`` seconds.
        """
        timeout = seconds_to_wait(timeout)
        given.number("index", index)

        def look() -> Phone | None:
            return self._calls[index] if len(self._calls) > index else None

        try:
            return self._board.wait_for(look, timeout, "a call")
        except WaitTimeout:
            raise WaitTimeout(
                f"{self.number} received only {len(self._calls)} of {index + 1} calls within {timeout:g} s"
            ) from None


@define(eq=False)
class Directory:
    """The phones that tests have set up.

    After a call arrives, waiting tests continue once ``settle`` has returned. See :class:`Noticeboard`.
    """

    _settle: Callable[[], object] = field(default=lambda: None, repr=False)
    _phones: list[ExpectedPhone] = field(factory=list, init=False)
    _lock: threading.Lock = field(factory=lambda: threading.Lock(), init=False, repr=False)

    def add(self, number: str, behavior: Behavior, times: int | None) -> ExpectedPhone:
        """Set up a phone at a number.

        If a number has several setups, those with a call limit apply first, in the order in which they were added. Adding an
        unlimited setup replaces the previous unlimited setup.
        """
        phone = ExpectedPhone(number, behavior, times)
        phone._board.settle = self._settle
        with self._lock:
            if times is None:
                self._phones = [each for each in self._phones if each.number != number or each._left is not None]
            self._phones.append(phone)
        return phone

    def remove(self, phone: ExpectedPhone) -> None:
        """Remove a phone. Do nothing if it has been replaced."""
        with self._lock:
            self._phones = [each for each in self._phones if each is not phone]

    def take(self, number: str) -> ExpectedPhone | None:
        """Return the setup for the next call to a number, and count the call. Return ``None`` if there is no setup."""
        with self._lock:
            found = [each for each in self._phones if each.number == number and each._left != 0]
            found.sort(key=lambda each: each._left is None)
            if found and found[0]._left is not None:
                found[0]._left -= 1
            return found[0] if found else None

    def rings(self, expected: ExpectedPhone | None, phone: Phone) -> None:
        """Record a call to a phone. Do nothing if no test has set up the phone."""
        if expected is not None:
            expected._calls.append(phone)
            expected._board.changed()
            if expected.on_call is not None:
                expected.on_call(phone)
