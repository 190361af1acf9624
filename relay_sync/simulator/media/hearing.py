"""What somebody on a simulated telephone hears, as samples: for the outbound track of streams, and for recordings.

It is what was set up (``hears``), sounds that are played and that a test has given (``expect_sound(url, wav)``), and the voices
of those on the other side: of a bridge, in a conference, one's own with an echo. Texts have no sound here, since there is no
voice that could read them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Final, Protocol

from attrs import define, field

from .voice import SILENCE, Voice, mix

__all__ = ["Audible", "Ear", "Sounding", "Tape", "hear", "hear_no_more", "listen_in", "meet", "part", "stop_listening"]

#: Seconds that something is put on a tape too late at most, since it begins with a frame.
NEAR: Final = 0.25


@define(eq=False)
class _Piece:
    """A voice on a tape, all in seconds: of the voice those from ``skipped`` to ``until`` are heard from ``at`` on."""

    voice: Voice
    at: float
    skipped: float
    until: float

    @property
    def end(self) -> float:
        """Where on the tape it ends."""
        return self.at + self.until - self.skipped

    def cut(self, end: float) -> None:
        """Have it end there, if it does not before."""
        self.until = max(self.skipped, min(self.until, self.skipped + end - self.at))

    def place(self, rate: int) -> tuple[int, int]:
        """Where on the tape it begins and ends, in samples."""
        begin = round(self.at * rate)
        return begin, begin + round(self.until * rate) - round(self.skipped * rate)


@define(eq=False)
class Tape:
    """A voice, and others put on top of it as time goes on. To be read as a :class:`Voice`."""

    base: Voice = SILENCE
    _pieces: list[_Piece] = field(factory=list, init=False)

    def put(self, at: float, voice: Voice, skipped: float = 0.0) -> _Piece:
        """Have a voice heard from ``at`` on, without its first ``skipped`` seconds."""
        piece = _Piece(voice, at, min(max(0.0, skipped), voice.duration), voice.duration)
        self._pieces.append(piece)
        return piece

    def forget(self, before: float) -> None:
        """Drop what nobody will ask for any more."""
        self._pieces = [piece for piece in self._pieces if piece.end > before]

    @property
    def duration(self) -> float:
        """Seconds until there is only silence."""
        return max([self.base.duration, *(piece.end for piece in self._pieces)])

    def samples_at(self, rate: int) -> int:
        """How many samples that are."""
        return max([self.base.samples_at(rate), *(piece.place(rate)[1] for piece in self._pieces)])

    def render(self, start: int, count: int, rate: int) -> bytes:
        """As :meth:`Voice.render`."""
        heard = self.base.render(start, count, rate)
        for piece in self._pieces:
            begin, end = piece.place(rate)
            first, last = max(start, begin), min(start + count, end)
            if first < last:
                pcm = piece.voice.render(first - begin + round(piece.skipped * rate), last - first, rate)
                heard = mix(heard, bytes(2 * (first - start)) + pcm + bytes(2 * (start + count - last)))
        return heard


class Sounding(Protocol):
    """Something that goes on on a call, and may sound."""

    def sounds(self) -> Sequence[tuple[Hashable, Voice, float]]:
        """What sounds because of it, by keys, and how many seconds of it have passed."""


class Audible(Protocol):
    """A call, as far as it can be heard.

    :ivar says: what its party says, :ivar speaking_since: and since when; ``None`` before.
    :ivar others: the calls whose parties this one's hears, :ivar ears: and what takes down what it hears.
    """

    call_id: str
    says: Voice
    speaking_since: float | None
    others: list[Audible]
    ears: list[Ear]

    @property
    def operations(self) -> Sequence[Sounding]:
        """What goes on on it."""

    def speak(self) -> float:
        """The party speaks, from now on if it has not begun. Seconds of the story since then."""


@define(eq=False, kw_only=True)
class Ear:
    """Puts on a tape what is heard on a call.

    :ivar now: the second of the tape at which is put what begins now. :ivar hurried: whether the tape has no clock: what is
        played is put on it when it has been heard, voices of others as a whole. :ivar grown: called when there is more.
    :ivar waited_for: whether people begin to speak when it begins to listen, so that it misses nothing.
    """

    tape: Tape
    now: Callable[[], float] = field(repr=False)
    hurried: bool = False
    waited_for: bool = False
    grown: Callable[[], object] = field(default=lambda: None, repr=False)
    _going_on: dict[Hashable, _Piece] = field(factory=dict, init=False, repr=False)

    def begin(self, key: Hashable, voice: Voice, skipped: float = 0.0) -> None:
        """Something begins, or goes on from its second ``skipped``."""
        if not self.hurried:
            now, before = self.now(), self._going_on.get(key)
            if before is not None and before.end < now + NEAR:  # what follows on another thing begins at its end
                now = max(now, before.end)
            self._going_on[key] = self.tape.put(now, voice, skipped)
            self.grown()

    def end(self, key: Hashable) -> None:
        """It is over, perhaps before its end."""
        piece = self._going_on.pop(key, None)
        if piece is not None:
            piece.cut(self.now())

    def heard(self, voice: Voice, seconds: float) -> None:
        """So much of something was heard."""
        if self.hurried:
            piece = self.tape.put(max(self.now(), self.tape.duration), voice)
            piece.cut(piece.at + seconds)
            self.grown()

    def speak(self, key: Hashable, other: Audible) -> None:
        """Somebody else can be heard: he begins to speak, or is in the middle of it."""
        if other.says.pcm:
            if self.hurried:
                self.heard(other.says, other.says.duration)
            else:
                began = self.waited_for or other.speaking_since is not None
                self.begin(key, other.says, other.speak() if began else 0.0)

    def stop(self) -> None:
        """Hear nothing that goes on."""
        for key in list(self._going_on):
            self.end(key)


def listen_in(call: Audible, ear: Ear) -> None:
    """Have an ear hear what goes on on a call, and what comes."""
    call.ears.append(ear)
    for operation in list(call.operations):
        for key, voice, passed in operation.sounds():
            ear.begin(key, voice, passed)
    for other in call.others:
        ear.speak(_across(other), other)


def stop_listening(call: Audible, ear: Ear) -> None:
    """Have it hear nothing more."""
    if ear in call.ears:
        call.ears.remove(ear)
        ear.stop()


def _across(other: Audible) -> Hashable:
    return ("across", other.call_id)


def hear(call: Audible, other: Audible) -> None:
    """The party of a call hears that of another one."""
    call.others.append(other)
    for ear in call.ears:
        ear.speak(_across(other), other)


def hear_no_more(call: Audible, other: Audible) -> None:
    """It does not hear it any more, if it did."""
    if other in call.others:
        call.others.remove(other)
        for ear in call.ears:
            ear.end(_across(other))


def meet(one: Audible, other: Audible) -> None:
    """Two parties hear each other."""
    hear(one, other)
    hear(other, one)


def part(one: Audible, other: Audible) -> None:
    """They hear each other no more."""
    hear_no_more(one, other)
    hear_no_more(other, one)
