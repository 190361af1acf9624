"""Who is at which number: the phones that our side may dial. Safe from any thread.

The simulator's choice: a number nobody was set up for rings for a second, and is answered by a person who says nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from attrs import define, field

from ...errors import WaitTimeout
from ..core import given
from ..core.noticeboard import Noticeboard, seconds_to_wait
from .party import Behaviour
from .phone import Phone

__all__ = ["Directory", "ExpectedPhone"]


@define(eq=False)
class ExpectedPhone:
    """A phone that was set up for a number: what it is to do, and the calls it has got. Usable from any thread.

    :ivar number: the number or address it is at. :ivar behaviour: what it does when it is called.
    """

    number: str
    behaviour: Behaviour
    _left: int | None = field(repr=False)
    _calls: list[Phone] = field(factory=list, init=False, repr=False)
    _board: Noticeboard = field(factory=Noticeboard, init=False, repr=False)

    @property
    def calls(self) -> list[Phone]:
        """The calls that came to it, in order, ended ones included."""
        return list(self._calls)

    def wait_for_call(self, index: int = 0, timeout: float = 10.0) -> Phone:
        """Its call number ``index``, counted from 0, as soon as it is dialled.

        :raises WaitTimeout: it does not within ``timeout`` seconds.
        """
        timeout = seconds_to_wait(timeout)
        given.number("index", index)

        def look() -> Phone | None:
            return self._calls[index] if len(self._calls) > index else None

        try:
            return self._board.wait_for(look, timeout, "a call")
        except WaitTimeout:
            raise WaitTimeout(f"nobody called {self.number} a {index + 1}. time within {timeout:g} s") from None


@define(eq=False)
class Directory:
    """The phones that were set up. Who waits for a call goes on when ``settle`` returns, see :class:`Noticeboard`."""

    _settle: Callable[[], object] = field(default=lambda: None, repr=False)
    _phones: list[ExpectedPhone] = field(factory=list, init=False)
    _lock: threading.Lock = field(factory=lambda: threading.Lock(), init=False, repr=False)

    def add(self, number: str, behaviour: Behaviour, times: int | None) -> ExpectedPhone:
        """Put a phone at a number. Those that are to be called a number of times come first, in order; of the others
        the newest counts.
        """
        phone = ExpectedPhone(number, behaviour, times)
        phone._board.settle = self._settle
        with self._lock:
            if times is None:
                self._phones = [each for each in self._phones if each.number != number or each._left is not None]
            self._phones.append(phone)
        return phone

    def take(self, number: str) -> ExpectedPhone | None:
        """The phone that a call to a number reaches."""
        with self._lock:
            found = [each for each in self._phones if each.number == number and each._left != 0]
            found.sort(key=lambda each: each._left is None)
            if found and found[0]._left is not None:
                found[0]._left -= 1
            return found[0] if found else None

    def rings(self, expected: ExpectedPhone | None, phone: Phone) -> None:
        """A call is on its way to a phone that was set up, or to any other."""
        if expected is not None:
            expected._calls.append(phone)
            expected._board.changed()
