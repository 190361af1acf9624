"""What a simulated party heard, as a value that assertions read well with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from ...errors import CallEnded, WaitTimeout
from ..core.noticeboard import seconds_to_wait
from .party import Played

if TYPE_CHECKING:
    from .phone import Phone

__all__ = ["Heard"]


class Heard(Sequence[Played]):
    """What was played to somebody so far, in order; it grows. Called with words, it tells whether they were among it."""

    def __init__(self, phone: Phone) -> None:
        self._phone = phone

    def __call__(self, words: str, *, within: float = 5.0) -> bool:
        """Whether something was played whose text, URL or ringtone contains ``words``.

        :param within: seconds to wait for it. The end of the call ends the wait, too.
        """
        within = seconds_to_wait(within, name="within")
        try:
            self._phone.wait_until_heard(words, within)
        except (CallEnded, WaitTimeout):
            return False
        return True

    @property
    def _now(self) -> list[Played]:
        phone = self._phone
        return phone._relay.look(phone._call.heard)

    def __iter__(self) -> Iterator[Played]:
        return iter(self._now)

    def __len__(self) -> int:
        return len(self._now)

    @overload
    def __getitem__(self, index: int) -> Played: ...

    @overload
    def __getitem__(self, index: slice) -> list[Played]: ...

    def __getitem__(self, index: int | slice) -> Played | list[Played]:
        return self._now[index]

    def __eq__(self, other: object) -> bool:
        return self._now == (other._now if isinstance(other, Heard) else other)

    __hash__: Any = None

    def __repr__(self) -> str:
        return f"<heard {[item.words or item.type for item in self._now]}>"
