"""A bounded queue from the IO thread to a single reader."""

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
    """Raised when the mailbox is closed and all items have been read.

    :ivar error: exception that closed the mailbox, or ``None`` if it was closed normally.
    """

    def __init__(self, error: BaseException | None) -> None:
        super().__init__(error)
        self.error = error


class Mailbox(Generic[T]):
    """A bounded queue with a single reader, which receives all items in order until the mailbox is closed.

    :param limit: maximum number of unread items. If the reader falls further behind, it receives these items and then
        :class:`QueueFull`.
    """

    __slots__ = ("__weakref__", "_bell", "_closed", "_error", "_generation", "_items", "_limit")

    def __init__(self, limit: int) -> None:
        # The deque is created with the first item, because most mailboxes never receive one.
        self._items: deque[T] | tuple[()] = ()
        self._bell = Bell()
        self._limit = limit
        self._closed = False
        self._error: BaseException | None = None
        self._generation = generation()

    def put(self, item: T) -> None:
        """Add an item without blocking. This does nothing after the mailbox has been closed."""
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
        """Close the mailbox. Only the first call has an effect."""
        if not self._closed:
            self._error = error
            self._closed = True
            self._bell.ring()

    def get(self, timeout: float | None, on_timeout: Callable[[], BaseException]) -> T:
        """Remove and return the next item, waiting for one if necessary.

        :param timeout: maximum time to wait, in seconds; ``None`` waits indefinitely.
        :param on_timeout: returns the exception to raise after a timeout.
        :raises MailboxClosed: the mailbox is closed and all items have been read.
        :raises Forked: the mailbox belongs to the parent process.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            # Read this before the items, so that no item that was added before closing is missed.
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
