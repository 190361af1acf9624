"""The party at the far end of a call, with its configured behavior and the items that it has heard. This module performs no I/O.

The simulator applies the following rules to all parties:

* An operation that starts to wait for digits or speech gets the next entry of ``presses`` or ``says``. Taps, transcriptions, and
  recordings without ``initial_timeout`` and ``end_silence_timeout`` do not wait for input, so they use no entries.
* A party reacts after half a second.
* A party with entries in ``presses`` or ``says`` does nothing else. Timeouts that wait for such a party take no real time.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, get_args

from attrs import define, evolve, field, frozen

from ...errors import InvalidParameter
from ..core import given
from ..media.played import Played
from ..media.voice import SILENCE, Voice, load_voice

__all__ = ["Answerer", "Audio", "Behavior", "Memory", "Party", "Speech", "behavior"]

REACTION = 0.5
MOST_HEARD = 1_000
Answerer = Literal["human", "machine", "fax", "nobody"]
_ANSWERERS: Final[tuple[str, ...]] = get_args(Answerer)
_ENDS = {"busy": "busy", "no_answer": "noAnswer", "declines": "decline", "unreachable": "notFound"}

Audio = str | os.PathLike[str] | bytes | Voice | None
"""Audio of a party: the path of a WAV file, PCM16 bytes at 8 kHz, or ``None`` for silence."""

Speech = Audio | Sequence[str]
"""Speech of a party: audio for streams, or a list of sentences for speech recognition."""


@define(eq=False)
class Memory:
    """The last 1000 items that a party has heard. Only the loop's thread may change this object, but any thread may read it.

    When the limit is exceeded, the oldest repeated item is removed, or the oldest item if there are no repeated items.
    """

    _entries: list[tuple[int, Played]] = field(factory=list, init=False)
    _known: Counter[Played] = field(factory=Counter, init=False)
    _next: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[Played]:
        return iter([item for _, item in list(self._entries)])

    def add(self, item: Played) -> None:
        """Append an item."""
        self._entries.append((self._next, item))
        self._next += 1
        self._known[item] += 1
        if len(self._entries) > MOST_HEARD:
            index = next((index for index, (_, each) in enumerate(self._entries) if self._known[each] > 1), 0)
            _, gone = self._entries.pop(index)
            self._known[gone] -= 1
            if not self._known[gone]:
                del self._known[gone]

    def again(self, item: Played) -> None:
        """Increment the repeat count of the last equal item."""
        for index in range(len(self._entries) - 1, -1, -1):
            number, found = self._entries[index]
            if found == item:
                self._entries[index] = number, evolve(found, times=found.times + 1)
                return
        self.add(item)

    def since(self, number: int) -> tuple[list[Played], int]:
        """Return the items added since a position, and the position to use in the next call."""
        fresh: list[Played] = []
        entries, following = list(self._entries), self._next
        for at, item in reversed(entries):
            if at < number:
                break
            fresh.append(item)
        return fresh[::-1], min(following, entries[-1][0] + 1) if entries else number


@frozen(kw_only=True)
class Behavior:
    """The configured behavior of a party. See :meth:`Simulator.expect_phone <relay_sync.simulator.Simulator.expect_phone>`.

    :ivar refuses: end reason if the party does not answer a call (``busy``, ``noAnswer``, ...); ``""`` if the party answers.
    :ivar answers_after: ringing time in seconds; ``None`` means that the phone rings until the test answers it.
    :ivar answered_by: type of party that a detector finds: ``human``, ``machine``, ``fax`` or ``nobody``.
    :ivar beep: whether an answering machine plays a beep after its greeting.
    :ivar presses: digits to press, one entry for each operation that asks for digits.
    :ivar sentences: sentences to say, one for each operation that asks for speech.
    :ivar voice: the party's audio.
    :ivar hangs_up_after: seconds after answering, or words to hear, before the party hangs up; ``None`` if it does not hang up.
    :ivar silent: whether the party never gives any input.
    """

    refuses: str = ""
    answers_after: float | None = 1.0
    answered_by: str = "human"
    beep: bool = True
    presses: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    voice: Voice = SILENCE
    hangs_up_after: float | str | None = None
    silent: bool = False


@define(eq=False)
class Party:
    """The party at the far end of a call. Only the loop's thread may change this object.

    :ivar heard: items that were played to the party.
    :ivar digits: digits that the application has sent to the party.
    :ivar presses: digits that the party will press, one entry for each operation that asks for digits.
    :ivar sentences: sentences that the party will say, one for each operation that asks for speech.
    :ivar shared_digits: digits pressed for a running detector; they are pressed again if another operation asks for digits.
    :ivar silent: whether the party does nothing beyond its configured behavior.
    """

    behavior: Behavior = field(factory=Behavior)
    heard: Memory = field(factory=Memory, init=False)
    digits: str = field(default="", init=False)
    presses: deque[str] = field(init=False)
    sentences: deque[str] = field(init=False)
    shared_digits: str = field(default="", init=False)
    silent: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        plan = self.behavior
        self.presses, self.sentences = deque(plan.presses), deque(plan.sentences)
        self.silent = plan.silent or bool(plan.presses or plan.sentences)

    def has_heard_enough(self, item: Played) -> bool:
        """Return whether an item contains the words that make the party hang up."""
        cue = self.behavior.hangs_up_after
        return isinstance(cue, str) and cue in item.words


def _presses(value: Any) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else given.lines("presses", value)
    return tuple(given.keys("presses", digits) for digits in found)


def _cue(value: Any) -> float | str | None:
    if isinstance(value, str) and value:
        return value
    if value is None:
        return value
    if isinstance(value, int | float):
        return given.seconds("hangs_up_after", value)
    raise InvalidParameter("hangs_up_after", value, "at least 0 seconds, or words to hear")


def behavior(
    *,
    answers_after: float | None = 1.0,
    answered_by: str = "human",
    beep: bool = True,
    presses: str | Sequence[str] = (),
    says: Speech = None,
    hangs_up_after: float | str | None = None,
    silent: bool = False,
    **ends: bool,
) -> Behavior:
    """Validate a party's settings and return its behavior.

    :raises InvalidParameter: a value is invalid.
    """
    if answers_after is not None:
        given.seconds("answers_after", answers_after)
    for name, flag in {"beep": beep, "silent": silent, **ends}.items():
        given.yes(name, flag)
    if answered_by not in _ANSWERERS:
        raise InvalidParameter("answered_by", answered_by, f"one of {', '.join(_ANSWERERS)}")
    chosen = [name for name, wanted in ends.items() if wanted]
    if len(chosen) > 1:
        raise InvalidParameter(chosen[1], True, f"False when {chosen[0]} is True")
    audio = says if says is None or isinstance(says, str | os.PathLike | bytes | Voice) else None
    sentences = () if audio is not None or says is None else tuple(given.lines("says", says))
    return Behavior(
        refuses=_ENDS[chosen[0]] if chosen else "",
        answers_after=answers_after,
        answered_by=answered_by,
        beep=beep,
        presses=_presses(presses),
        sentences=sentences,
        voice=load_voice(audio, "says"),
        hangs_up_after=_cue(hangs_up_after),
        silent=silent,
    )
