"""Events that a server sends twice."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

__all__ = ["REMEMBERED_EVENTS", "Seen"]

REMEMBERED_EVENTS: Final = 4096


class Seen:
    """The last events, by their ids. A server may give the same id to different events, so what they say counts, too."""

    def __init__(self) -> None:
        self._said: OrderedDict[object, int] = OrderedDict()

    def again(self, event_id: object, text: str) -> bool:
        """Remember an event. :return: whether it was there already."""
        content = hash(text)
        if self._said.get(event_id) == content:
            return True
        self._said[event_id] = content
        if len(self._said) > REMEMBERED_EVENTS:
            self._said.popitem(last=False)
        return False

    def clear(self) -> None:
        """Another session of the server's: it may use the same ids."""
        self._said.clear()
