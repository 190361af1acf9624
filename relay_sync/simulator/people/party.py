"""The person, or machine, on the far end of a call: what it is set up to do, and what it has noticed. Pure.

The simulator's choices where the sources are silent: people answer questions, so what is set up in ``presses`` and
``says`` is used one by one, each time something begins to wait for keys or words (a recording without ``initial_timeout``
and ``end_silence_timeout``, a tap, a transcription only listen); they take half a second to react; and whoever was set up
with either does nothing else, so that timeouts that wait for him need no real time.
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

__all__ = ["ANSWERERS", "Audio", "Behaviour", "Memory", "Party", "Speech", "behaviour"]

REACTION = 0.5
MOST_HEARD = 1_000
ANSWERERS = ("human", "machine", "fax", "nobody")
_ENDS = {"busy": "busy", "no_answer": "noAnswer", "declines": "decline", "unreachable": "notFound"}

Audio = str | os.PathLike[str] | bytes | Voice | None
"""Sound: a WAV's path, or PCM16 bytes at 8 kHz."""

Speech = Audio | Sequence[str]
"""Audio for streams, or a list of sentences for what listens to words."""


@define(eq=False)
class Memory:
    """What somebody has heard: the last 1000 things, but of what was heard several times the older ones are forgotten first.
    Changed on the loop's thread; may be read from any.
    """

    _entries: list[tuple[int, Played]] = field(factory=list, init=False)
    _known: Counter[Played] = field(factory=Counter, init=False)
    _next: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[Played]:
        return iter([item for _, item in list(self._entries)])

    def add(self, item: Played) -> None:
        """One thing more."""
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
        """The same once more."""
        for index in range(len(self._entries) - 1, -1, -1):
            number, found = self._entries[index]
            if found == item:
                self._entries[index] = number, evolve(found, times=found.times + 1)
                return
        self.add(item)

    def since(self, number: int) -> tuple[list[Played], int]:
        """What was heard from a number on, and the number of what comes next."""
        fresh: list[Played] = []
        entries, following = list(self._entries), self._next
        for at, item in reversed(entries):
            if at < number:
                break
            fresh.append(item)
        return fresh[::-1], min(following, entries[-1][0] + 1) if entries else number


@frozen(kw_only=True)
class Behaviour:
    """What a party is set up to do. See :meth:`Simulator.expect_phone <relay_sync.simulator.Simulator.expect_phone>`.

    :ivar refuses: why it does not answer, as the events tell it (``busy``, ``noAnswer``, ...); ``""`` if it answers.
    :ivar answers_after: seconds of ringing; ``None``: it rings until somebody answers by hand.
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
    """One on the line. Changed on the loop's thread only.

    :ivar heard: what was played to it. :ivar digits: the keys that our side sent to it.
    :ivar presses: what it will press, :ivar sentences: and say, when it is asked next.
    :ivar lent: keys from ``presses`` that a detector has, or will have, heard, and that are pressed again for a question that
        comes while it runs. :ivar silent: whether nothing comes from it but what is set up.
    """

    behaviour: Behaviour = field(factory=Behaviour)
    heard: Memory = field(factory=Memory, init=False)
    digits: str = field(default="", init=False)
    presses: deque[str] = field(init=False)
    sentences: deque[str] = field(init=False)
    lent: str = field(default="", init=False)
    silent: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        plan = self.behaviour
        self.presses, self.sentences = deque(plan.presses), deque(plan.sentences)
        self.silent = plan.silent or bool(plan.presses or plan.sentences)

    def has_heard_enough(self, item: Played) -> bool:
        """Whether this has the words at which it hangs up."""
        cue = self.behaviour.hangs_up_after
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
    raise InvalidParameter("hangs_up_after", value, "seconds, at least 0, or words that are heard")


def behaviour(
    *,
    answers_after: float | None = 1.0,
    answered_by: str = "human",
    beep: bool = True,
    presses: str | Sequence[str] = (),
    says: Speech = None,
    hangs_up_after: float | str | None = None,
    silent: bool = False,
    **ends: bool,
) -> Behaviour:
    """Check what somebody wants a party to do.

    :raises InvalidParameter: a value that cannot be right.
    """
    if answers_after is not None:
        given.seconds("answers_after", answers_after)
    for name, flag in {"beep": beep, "silent": silent, **ends}.items():
        given.yes(name, flag)
    if answered_by not in ANSWERERS:
        raise InvalidParameter("answered_by", answered_by, f"one of {', '.join(ANSWERERS)}")
    chosen = [name for name, wanted in ends.items() if wanted]
    if len(chosen) > 1:
        raise InvalidParameter(chosen[1], True, f"left out where {chosen[0]} is given")
    audio = says if says is None or isinstance(says, str | os.PathLike | bytes | Voice) else None
    sentences = () if audio is not None or says is None else tuple(given.lines("says", says))
    return Behaviour(
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
