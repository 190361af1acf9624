"""Dictionaries with atomic operations, for use by several threads.

With a ``dict``, another thread may interfere between a lookup and a change, and iterating while another thread adds entries
raises. Here each operation is atomic under a lock, and iteration runs over a copy.
"""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

__all__ = ["Recent", "Table"]

K = TypeVar("K")
V = TypeVar("V")


class Table(Generic[K, V]):
    """A thread-safe dictionary.

    The lock is held only during an operation, never while other code runs. It is reentrant: a signal handler may interrupt
    an operation and use the table. Reads that are a single operation of the dictionary need no lock.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._entries: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def get(self, key: K) -> V | None:
        """The value under a key, or ``None``."""
        return self._entries.get(key)

    def put(self, key: K, value: V) -> V | None:
        """Set the value of a key.

        :return: the value that it replaces, or ``None``.
        """
        with self._lock:
            before = self._entries.get(key)
            self._entries[key] = value
            return before

    def put_if_new(self, key: K, value: V) -> bool:
        """Set the value of a key that has none.

        :return: ``False`` if the key has a value, which stays unchanged.
        """
        with self._lock:
            if key in self._entries:
                return False
            self.put(key, value)
            return True

    def take(self, key: K) -> V | None:
        """Remove and return the value of a key; ``None`` if there is none."""
        with self._lock:
            return self._entries.pop(key, None)

    def take_if(self, key: K, value: V) -> bool:
        """Remove the value of a key if it is the given object.

        :return: whether it was removed.
        """
        with self._lock:
            if self._entries.get(key) is not value:
                return False
            self._entries.pop(key, None)
            return True

    def take_all(self) -> list[V]:
        """Remove and return all values, from the oldest to the newest."""
        with self._lock:
            values = list(self._entries.values())
            self._entries.clear()
            return values

    def snapshot(self) -> list[V]:
        """Return the current values, from the oldest to the newest."""
        with self._lock:
            return list(self._entries.values())

    def items(self) -> list[tuple[K, V]]:
        """Return the current keys and values, from the oldest to the newest."""
        with self._lock:
            return list(self._entries.items())


class Recent(Table[K, V]):
    """A table that keeps only the newest values.

    :param most: the number of values to keep.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __len__(self) -> int:
        with self._lock:  # put() removes an entry before it sets it again
            return super().__len__()

    def __contains__(self, key: object) -> bool:
        with self._lock:
            return super().__contains__(key)

    def get(self, key: K) -> V | None:
        """The value under a key, or ``None``."""
        with self._lock:
            return super().get(key)

    def put(self, key: K, value: V) -> V | None:
        """Set the value of a key and make it the newest.

        :return: the value that was removed in return, if any: the key's previous value, or the oldest one.
        """
        with self._lock:
            before = self._entries.pop(key, None)
            self._entries[key] = value
            if len(self._entries) <= self._most:
                return before
            return self._entries.pop(next(iter(self._entries)))
