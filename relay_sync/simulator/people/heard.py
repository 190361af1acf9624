"""Items played to a simulated party, for use in assertions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

from ...errors import CallEnded, WaitTimeout
from ..core.noticeboard import seconds_to_wait
from ..media.played import Played

__all__ = ["PlayedSoFar"]


class PlayedSoFar(Sequence[Played]):
    """The items that have been played to a party, in order.

    The sequence grows during the call. Calling it with a text returns whether that text was played.

    :param look: function that returns the items played so far.
    :param wait: function that waits until an item containing a text has been played; called with the text and a timeout in
        seconds.
    """

    def __init__(self, look: Callable[[], list[Played]], wait: Callable[[str, float], object]) -> None:
        self._look = look
        self._wait = wait

    def __call__(self, words: str, *, within: float = 5.0) -> bool:
        """Return whether an item was played whose text, URL or ringtone name contains ``words``.

        :param words: text to look for.
        :param within: maximum time to wait for the item, in seconds. The wait also stops when the call ends.
        """
        within = seconds_to_wait(within, name="within")
        try:
            self._wait(words, within)
        except (CallEnded, WaitTimeout):
            return False
        return True

    def __iter__(self) -> Iterator[Played]:
        return iter(self._look())

    def __len__(self) -> int:
        return len(self._look())

    @overload
    def __getitem__(self, index: int) -> Played: ...

    @overload
    def __getitem__(self, index: slice) -> list[Played]: ...

    def __getitem__(self, index: int | slice) -> Played | list[Played]:
        return self._look()[index]

    def __eq__(self, other: object) -> bool:
        return self._look() == (other._look() if isinstance(other, PlayedSoFar) else other)

    __hash__: Any = None

    def __repr__(self) -> str:
        return f"<heard {[item.words or item.type for item in self._look()]}>"
