"""What is known of for as long as somebody else holds it, for any number of threads.

To walk a ``weakref.WeakSet`` raises where another thread adds to it, for it is walked by Python code. Here what is walked is a
copy that is made in one step.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

__all__ = ["Living", "alive"]

T = TypeVar("T")


class Living(Generic[T]):
    """A set of objects that it does not keep alive, by identity, the oldest first."""

    def __init__(self, members: Iterable[T] = ()) -> None:
        self._members: weakref.WeakValueDictionary[int, T] = weakref.WeakValueDictionary()
        for one in members:
            self.add(one)

    def add(self, one: T) -> None:
        """Know of one from now on."""
        self._members[id(one)] = one

    def __iter__(self) -> Iterator[T]:
        return iter(alive(self._members))


def alive(table: weakref.WeakValueDictionary[int, T]) -> list[T]:
    """The values of a table that there are now; ``values()`` would raise where another thread changes it."""
    return [one for each in table.valuerefs() if (one := each()) is not None]
