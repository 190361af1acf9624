"""Dictionaries that several threads share, by whole operations.

Looking something up and then changing it are two steps, and another thread may come in between; walking a dictionary that another
thread changes raises. Here each operation is one step under a lock, and what is walked is a copy.
"""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

__all__ = ["Recent", "Table"]

K = TypeVar("K")
V = TypeVar("V")


class Table(Generic[K, V]):
    """Values by their keys, for any number of threads.

    The lock is held for the operation itself and never while other code runs. It is reentrant: a signal handler may use the table
    on top of an operation. What is one operation of a dictionary already, and changes nothing, needs no lock.
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
        """Set the value under a key.

        :return: the value that left the table for it, if one did.
        """
        with self._lock:
            before = self._entries.get(key)
            self._entries[key] = value
            return before

    def put_if_new(self, key: K, value: V) -> bool:
        """Set the value under a key, unless there is one.

        :return: whether there was none.
        """
        with self._lock:
            if key in self._entries:
                return False
            self.put(key, value)
            return True

    def take(self, key: K) -> V | None:
        """Remove the value under a key, and return it; ``None`` if there is none."""
        with self._lock:
            return self._entries.pop(key, None)

    def take_if(self, key: K, value: V) -> bool:
        """Remove the value under a key if it is this very one.

        :return: whether it was.
        """
        with self._lock:
            if self._entries.get(key) is not value:
                return False
            self._entries.pop(key, None)
            return True

    def take_all(self) -> list[V]:
        """Remove all values, and return them, the oldest first."""
        with self._lock:
            values = list(self._entries.values())
            self._entries.clear()
            return values

    def snapshot(self) -> list[V]:
        """The values as they are now, the oldest first."""
        with self._lock:
            return list(self._entries.values())

    def items(self) -> list[tuple[K, V]]:
        """The keys and values as they are now, the oldest first."""
        with self._lock:
            return list(self._entries.items())


class Recent(Table[K, V]):
    """The last values that were put in; when there are more, the oldest goes.

    :param most: how many are kept.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __len__(self) -> int:
        with self._lock:  # put() takes an entry out before it sets it again
            return super().__len__()

    def __contains__(self, key: object) -> bool:
        with self._lock:
            return super().__contains__(key)

    def get(self, key: K) -> V | None:
        """The value under a key, or ``None``."""
        with self._lock:
            return super().get(key)

    def put(self, key: K, value: V) -> V | None:
        """Set the value under a key, as the newest.

        :return: the value that left the table for it, if one did: the one before, or the oldest.
        """
        with self._lock:
            before = self._entries.pop(key, None)
            self._entries[key] = value
            if len(self._entries) <= self._most:
                return before
            return self._entries.pop(next(iter(self._entries)))
