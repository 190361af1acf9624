"""Thread-safe sets of weak references.

Iterating over a ``weakref.WeakSet`` raises if another thread adds an element. The classes in this module iterate over a
copy that is made atomically.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

__all__ = ["Living", "alive"]

T = TypeVar("T")


class Living(Generic[T]):
    """A set of weakly referenced objects, compared by identity. Iteration follows insertion order."""

    def __init__(self, members: Iterable[T] = ()) -> None:
        self._members: weakref.WeakValueDictionary[int, T] = weakref.WeakValueDictionary()
        for one in members:
            self.add(one)

    def add(self, one: T) -> None:
        """Add an object."""
        self._members[id(one)] = one

    def __iter__(self) -> Iterator[T]:
        return iter(alive(self._members))


def alive(table: weakref.WeakValueDictionary[int, T]) -> list[T]:
    """Return a weak dictionary's values. Calling ``values()`` could raise if another thread changes the dictionary."""
    return [one for each in table.valuerefs() if (one := each()) is not None]
