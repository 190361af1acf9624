"""Detection of duplicate events and messages."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

__all__ = ["Seen"]


class Seen:
    """A record of the most recent items by ID. Their content is compared as well, because a server may reuse an ID.

    :param most: maximum number of items to keep.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._said: OrderedDict[object, int] = OrderedDict()

    def again(self, name: object, said: Hashable) -> bool:
        """Record an item and return whether it is a duplicate.

        :param name: the item's ID.
        :param said: the item's content.
        :return: whether the same item was recorded before.
        """
        content = hash(said)
        if self._said.get(name) == content:
            return True
        self._said[name] = content
        if len(self._said) > self._most:
            self._said.popitem(last=False)
        return False

    def clear(self) -> None:
        """Discard all items, because a new session may reuse their IDs."""
        self._said.clear()
