"""What comes now and then on a stream (keys, marks): kept to be looked at, and handed out one by one to who waits."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from ..errors import WaitTimeout
from ..runtime.flag import Bell
from ..runtime.process import check_thread, forked_error, generation
from ..runtime.waiter import wait_until

__all__ = ["Inbox"]

T = TypeVar("T")
_KEPT = 4096  # later ones are left out: nobody presses so many keys


class Inbox(Generic[T]):
    """One thread puts, any number take.

    :param what: it holds, for messages to people.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._all: list[T] = []
        self._new: deque[T] = deque()
        self._bell = Bell()
        self._ended = False
        self._generation = generation()

    @property
    def all(self) -> tuple[T, ...]:
        """Everything so far, whether or not it was taken."""
        return tuple(self._all)

    def put(self, item: T) -> None:
        """Add something; never blocks."""
        if len(self._all) < _KEPT:
            self._all.append(item)
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
