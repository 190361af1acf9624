"""Detection of events and messages that the server sends twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

__all__ = ["Seen"]


class Seen:
    """The most recent items by id. A server may reuse an id, so the content is compared as well.

    :param most: the number of items to keep.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._said: OrderedDict[object, int] = OrderedDict()

    def again(self, name: object, said: Hashable) -> bool:
        """Remember an item.

        :param name: its id.
        :param said: its content.
        :return: whether the same item was already known.
        """
        content = hash(said)
        if self._said.get(name) == content:
            return True
        self._said[name] = content
        if len(self._said) > self._most:
            self._said.popitem(last=False)
        return False

    def clear(self) -> None:
        """Forget all items: a new session of the server may reuse the ids."""
        self._said.clear()
