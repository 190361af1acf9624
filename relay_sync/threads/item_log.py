"""What comes now and then on a stream (keys, marks): kept to be looked at, and handed out one by one to who waits.

What is kept is bounded, what is handed out practically not: whoever takes gets every single one, however many came before.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from ..errors import WaitTimeout
from .flag import Bell
from .outcome import wait_until
from .process import check_thread, forked_error, generation

__all__ = ["ItemLog"]

T = TypeVar("T")
_KEPT = 4096  # the newest, to be looked at
_UNREAD = 65_536  # that nobody has taken; then the oldest are forgotten, for most programs never take any


class ItemLog(Generic[T]):
    """One thread puts, any number take.

    :param what: it holds, for messages to people.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._all: list[T] = []  # an empty deque would take as much as everything else here
        self._new: deque[T] = deque(maxlen=_UNREAD)
        self._bell = Bell()
        self._ended = False
        self._generation = generation()

    @property
    def all(self) -> tuple[T, ...]:
        """The newest few thousand, whether or not they were taken."""
        return tuple(self._all[-_KEPT:])

    def put(self, item: T) -> None:
        """Add something; never blocks."""
        self._all.append(item)
        if len(self._all) >= 2 * _KEPT:
            del self._all[:-_KEPT]
        self._new.append(item)
        self._bell.ring()

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = True
        self._bell.ring()

    def take(self, timeout: float | None) -> T | None:
        """The oldest that was not taken yet, or ``None`` when there will be no more.

        :raises WaitTimeout: none came within *timeout* seconds.
        :raises Forked: the stream belongs to the parent process.
        """
        if self._generation != generation():
            raise forked_error()
        check_thread()
        while True:
            if not wait_until(lambda: bool(self._new) or self._ended, self._bell, timeout):
                raise WaitTimeout(f"no {self._what} within {timeout:g} s; the stream goes on")
            try:
                return self._new.popleft()
            except IndexError:  # somebody else was quicker, or there will be none
                if self._ended:
                    return None
