"""Events and messages that a server sends twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

__all__ = ["Seen"]


class Seen:
    """The last ones, by their ids. A server may give the same id to different ones, so what they say counts, too.

    :param most: how many are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._said: OrderedDict[object, int] = OrderedDict()

    def again(self, name: object, said: Hashable) -> bool:
        """Remember one.

        :return: whether it was there already.
        """
        content = hash(said)
        if self._said.get(name) == content:
            return True
        self._said[name] = content
        if len(self._said) > self._most:
            self._said.popitem(last=False)
        return False

    def clear(self) -> None:
        """Another session of the server's: it may use the same ids."""
        self._said.clear()
