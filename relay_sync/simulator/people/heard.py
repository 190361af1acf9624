"""What a simulated party has heard, as a value for assertions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

from ...errors import CallEnded, WaitTimeout
from ..core.noticeboard import seconds_to_wait
from ..media.played import Played

__all__ = ["PlayedSoFar"]


class PlayedSoFar(Sequence[Played]):
    """What was played to a party so far, in order. It grows. Call it with words to check for a match.

    :param look: returns what was played so far.
    :param wait: waits a number of seconds until an item that contains a text was played.
    """

    def __init__(self, look: Callable[[], list[Played]], wait: Callable[[str, float], object]) -> None:
        self._look = look
        self._wait = wait

    def __call__(self, words: str, *, within: float = 5.0) -> bool:
        """Return whether something was played whose text, URL or ringtone name contains ``words``.

        :param words: text to find.
        :param within: seconds to wait for it. The wait also stops when the call ends.
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
