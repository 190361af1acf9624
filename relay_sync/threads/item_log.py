"""A queue with a short history, for occasional stream items such as DTMF digits and marks.

The queue is large enough for a late reader to receive every item.
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
_KEPT = 4096  # maximum number of items in the history
_UNREAD = 65_536  # maximum number of unread items; the oldest are dropped, because most programs never read them


class ItemLog(Generic[T]):
    """A queue with a history, for one writer and any number of readers.

    :param what: kind of item, for error messages.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._all: list[T] = []  # a list, because an empty deque uses as much memory as all other attributes together
        self._new: deque[T] = deque(maxlen=_UNREAD)
        self._bell = Bell()
        self._ended = False
        self.count: int = 0  # items added so far
        self._generation = generation()

    @property
    def all(self) -> tuple[T, ...]:
        """The most recent items, up to a few thousand, including items already read."""
        return tuple(self._all[-_KEPT:])

    def put(self, item: T) -> None:
        """Add an item without blocking."""
        self._all.append(item)
        self.count += 1
        if len(self._all) >= 2 * _KEPT:
            del self._all[:-_KEPT]
        self._new.append(item)
        self._bell.ring()

    def end(self) -> None:
        """Mark the end of the stream. No items are added after it."""
        self._ended = True
        self._bell.ring()

    def take(self, timeout: float | None) -> T | None:
        """Remove and return the oldest unread item. Return ``None`` at the end of the stream.

        :param timeout: maximum time to wait, in seconds; ``None`` waits indefinitely.
        :raises WaitTimeout: no item arrived before the timeout.
        :raises Forked: the stream belongs to the parent process.
        """
        if self._generation != generation():
            raise forked_error()
        check_thread()
        while True:
            if not wait_until(lambda: bool(self._new) or self._ended, self._bell, timeout):
                raise WaitTimeout(f"no {self._what} within {timeout:g} s; the stream continues")
            try:
                return self._new.popleft()
            except IndexError:  # another thread took the item, or the stream has ended
                if self._ended:
                    return None
