"""The person or machine at the far end of a call: its setup and its observations. Pure.

The simulator's choices where the sources are silent. People answer questions: each entry of ``presses`` and ``says`` is used
when an operation starts to wait for digits or speech (a recording without ``initial_timeout`` and ``end_silence_timeout``, a
tap and a transcription only listen). People react after half a second. A party with either setup does nothing else, so
timeouts that wait for it need no real time.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import define, evolve, field, frozen

from ...errors import InvalidParameter
from ..core import given
from ..media.played import Played
from ..media.voice import SILENCE, Voice, load_voice

__all__ = ["ANSWERERS", "Audio", "Behavior", "Memory", "Party", "Speech", "behavior"]

REACTION = 0.5
MOST_HEARD = 1_000
ANSWERERS = ("human", "machine", "fax", "nobody")
_ENDS = {"busy": "busy", "no_answer": "noAnswer", "declines": "decline", "unreachable": "notFound"}

Audio = str | os.PathLike[str] | bytes | Voice | None
"""Sound: the path of a WAV file, or PCM16 bytes at 8 kHz."""

Speech = Audio | Sequence[str]
"""Audio for streams, or a list of sentences for speech recognition."""


@define(eq=False)
class Memory:
    """What a party has heard: the last 1000 items; of repeated ones the older are forgotten first. Changed on the loop's thread;
    may
    be read from any.
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
        """Count a repetition of the last equal item."""
        for index in range(len(self._entries) - 1, -1, -1):
            number, found = self._entries[index]
            if found == item:
                self._entries[index] = number, evolve(found, times=found.times + 1)
                return
        self.add(item)

    def since(self, number: int) -> tuple[list[Played], int]:
        """Return the items from a number on, and the number of the next item."""
        fresh: list[Played] = []
        entries, following = list(self._entries), self._next
        for at, item in reversed(entries):
            if at < number:
                break
            fresh.append(item)
        return fresh[::-1], min(following, entries[-1][0] + 1) if entries else number


@frozen(kw_only=True)
class Behavior:
    """What a party is set up to do. See :meth:`Simulator.expect_phone <relay_sync.simulator.Simulator.expect_phone>`.

    :ivar refuses: why it does not answer, as events report it (``busy``, ``noAnswer``, ...); ``""`` if it answers.
    :ivar answers_after: seconds of ringing; ``None`` rings until the test answers.
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
    """The party at the far end of a call. Changed on the loop's thread only.

    :ivar heard: what was played to it.
    :ivar digits: digits that the application sent to it.
    :ivar presses: digits for the next questions.
    :ivar sentences: sentences for the next questions.
    :ivar lent: digits from ``presses`` that a detector has heard, or will hear, and that are pressed again for a question that
        starts while it runs.
    :ivar silent: whether the party does nothing beyond its setup.
    """

    behavior: Behavior = field(factory=Behavior)
    heard: Memory = field(factory=Memory, init=False)
    digits: str = field(default="", init=False)
    presses: deque[str] = field(init=False)
    sentences: deque[str] = field(init=False)
    lent: str = field(default="", init=False)
    silent: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        plan = self.behavior
        self.presses, self.sentences = deque(plan.presses), deque(plan.sentences)
        self.silent = plan.silent or bool(plan.presses or plan.sentences)

    def has_heard_enough(self, item: Played) -> bool:
        """Return whether an item contains the words at which the party hangs up."""
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
    """Check the setup of a party.

    :raises InvalidParameter: a value is invalid.
    """
    if answers_after is not None:
        given.seconds("answers_after", answers_after)
    for name, flag in {"beep": beep, "silent": silent, **ends}.items():
        given.yes(name, flag)
    if answered_by not in ANSWERERS:
        raise InvalidParameter("answered_by", answered_by, f"one of {', '.join(ANSWERERS)}")
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
