"""A bounded queue from the IO thread to one reader, with an end marker."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from ..errors import QueueFull
from .flag import Bell
from .outcome import wait_until
from .process import check_thread, forked_error, generation

__all__ = ["Mailbox", "MailboxClosed"]

T = TypeVar("T")


class MailboxClosed(Exception):
    """The mailbox was closed and all items were read. ``error`` is the reason; ``None`` after a regular end."""

    def __init__(self, error: BaseException | None) -> None:
        super().__init__(error)
        self.error = error


class Mailbox(Generic[T]):
    """A queue of items for one reader, which receives all of them in order and then the end.

    :param limit: most unread items. A reader that falls further behind receives those, then :class:`QueueFull`.
    """

    __slots__ = ("__weakref__", "_bell", "_closed", "_error", "_generation", "_items", "_limit")

    def __init__(self, limit: int) -> None:
        # The deque is created for the first item: most mailboxes only wait for the end of a call.
        self._items: deque[T] | tuple[()] = ()
        self._bell = Bell()
        self._limit = limit
        self._closed = False
        self._error: BaseException | None = None
        self._generation = generation()

    def put(self, item: T) -> None:
        """Add an item. Never blocks. Does nothing after the end."""
        if self._closed:
            return
        items = self._items
        if isinstance(items, tuple):
            items = self._items = deque()
        if len(items) >= self._limit:
            self.close(QueueFull(f"more than {self._limit} unread events; read faster, or do less between reads"))
            return
        items.append(item)
        self._bell.ring()

    def close(self, error: BaseException | None = None) -> None:
        """Mark the end. Only the first call has an effect."""
        if not self._closed:
            self._error = error
            self._closed = True
            self._bell.ring()

    def get(self, timeout: float | None, on_timeout: Callable[[], BaseException]) -> T:
        """Remove and return the next item, waiting for one if necessary.

        :param timeout: seconds; ``None`` waits indefinitely.
        :param on_timeout: creates the exception to raise after a timeout.
        :raises MailboxClosed: at the end.
        :raises Forked: in a child process.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            # Read before the items: an item that was put before the end is visible once the end is.
            closed = self._closed
            items = self._items
            if items:
                return items.popleft()
            if closed:
                raise MailboxClosed(self._error)
            if self._generation != generation():
                raise forked_error()
            check_thread()
            left = None if end is None else max(0.0, end - time.monotonic())
            if not wait_until(self._readable, self._bell, left) and not self._readable():
                raise on_timeout()

    def _readable(self) -> bool:
        return bool(self._items) or self._closed
