"""What a simulated party heard, as a value that assertions read well with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

from ...errors import CallEnded, WaitTimeout
from ..core.noticeboard import seconds_to_wait
from ..media.played import Played

__all__ = ["PlayedSoFar"]


class PlayedSoFar(Sequence[Played]):
    """What was played to somebody so far, in order; it grows. Called with words, it tells whether they were among it.

    :param look: finds what was played until now. :param wait: waits, for so many seconds, until something was played that
        contains a text.
    """

    def __init__(self, look: Callable[[], list[Played]], wait: Callable[[str, float], object]) -> None:
        self._look = look
        self._wait = wait

    def __call__(self, words: str, *, within: float = 5.0) -> bool:
        """Whether something was played whose text, URL or ringtone contains ``words``.

        :param within: seconds to wait for it. The end of the call ends the wait, too.
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
