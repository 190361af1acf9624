"""Dictionaries with atomic operations.

With a plain ``dict``, another thread may change the dictionary between a lookup and an update, and iteration raises if
another thread adds an entry. The classes in this module perform each operation under a lock and iterate over a copy.
"""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

__all__ = ["Recent", "Table"]

K = TypeVar("K")
V = TypeVar("V")


class Table(Generic[K, V]):
    """A thread-safe dictionary.

    The lock is held only during an operation and never while other code runs. It is reentrant, because a signal handler
    may interrupt an operation and use the same table. Reads that are a single dictionary operation do not need the
    lock.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._entries: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def get(self, key: K) -> V | None:
        """Return a key's value, or ``None``."""
        return self._entries.get(key)

    def put(self, key: K, value: V) -> V | None:
        """Set a key's value.

        :return: the previous value, or ``None``.
        """
        with self._lock:
            before = self._entries.get(key)
            self._entries[key] = value
            return before

    def put_if_new(self, key: K, value: V) -> bool:
        """Set a key's value unless the key already has one.

        :return: ``False`` if the key already has a value, which is kept.
        """
        with self._lock:
            if key in self._entries:
                return False
            self.put(key, value)
            return True

    def take(self, key: K) -> V | None:
        """Remove a key and return its value, or ``None`` if the key does not exist."""
        with self._lock:
            return self._entries.pop(key, None)

    def take_if(self, key: K, value: V) -> bool:
        """Remove a key if its value is the given object.

        :return: whether the key was removed.
        """
        with self._lock:
            if self._entries.get(key) is not value:
                return False
            self._entries.pop(key, None)
            return True

    def take_all(self) -> list[V]:
        """Remove and return all values in insertion order."""
        with self._lock:
            values = list(self._entries.values())
            self._entries.clear()
            return values

    def snapshot(self) -> list[V]:
        """Return the current values in insertion order."""
        with self._lock:
            return list(self._entries.values())

    def items(self) -> list[tuple[K, V]]:
        """Return the current keys and values in insertion order."""
        with self._lock:
            return list(self._entries.items())


class Recent(Table[K, V]):
    """A table that keeps only the most recent values.

    :param most: maximum number of values to keep.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __len__(self) -> int:
        with self._lock:  # put() briefly removes an entry while it updates it
            return super().__len__()

    def __contains__(self, key: object) -> bool:
        with self._lock:
            return super().__contains__(key)

    def get(self, key: K) -> V | None:
        """Return a key's value, or ``None``."""
        with self._lock:
            return super().get(key)

    def put(self, key: K, value: V) -> V | None:
        """Set a key's value and make it the most recent one.

        :return: the value that was removed, if any: the key's previous value or the oldest value.
        """
        with self._lock:
            before = self._entries.pop(key, None)
            self._entries[key] = value
            if len(self._entries) <= self._most:
                return before
            return self._entries.pop(next(iter(self._entries)))
