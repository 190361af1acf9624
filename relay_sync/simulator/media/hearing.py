"""The audio that a party on a simulated phone hears, as samples: for the outbound track of streams, and for recordings.

It consists of the setup (``hears``), played sounds that a test has provided (``expect_sound(url, wav)``), and the voices of
other parties: in a bridge, in a conference, or the party's own with an echo. Texts are silent: the simulator cannot synthesize
speech.
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
    """A voice on a tape, all in seconds: its part from ``skipped`` to ``until`` is heard from ``at`` on."""

    voice: Voice
    at: float
    skipped: float
    until: float

    @property
    def end(self) -> float:
        """Its end on the tape."""
        return self.at + self.until - self.skipped

    def cut(self, end: float) -> None:
        """End it at a position, if it does not end before."""
        self.until = max(self.skipped, min(self.until, self.skipped + end - self.at))

    def place(self, rate: int) -> tuple[int, int]:
        """Return its start and end on the tape, in samples."""
        begin = round(self.at * rate)
        return begin, begin + round(self.until * rate) - round(self.skipped * rate)


@define(eq=False)
class Tape:
    """A voice with others mixed in as time passes. Reads like a :class:`Voice`."""

    base: Voice = SILENCE
    _pieces: list[_Piece] = field(factory=list, init=False)

    def put(self, at: float, voice: Voice, skipped: float = 0.0) -> _Piece:
        """Add a voice from ``at`` on, without its first ``skipped`` seconds."""
        piece = _Piece(voice, at, min(max(0.0, skipped), voice.duration), voice.duration)
        self._pieces.append(piece)
        return piece

    def forget(self, before: float) -> None:
        """Drop pieces that will not be rendered again."""
        self._pieces = [piece for piece in self._pieces if piece.end > before]

    @property
    def duration(self) -> float:
        """Seconds until only silence follows."""
        return max([self.base.duration, *(piece.end for piece in self._pieces)])

    def samples_at(self, rate: int) -> int:
        """Return the duration in samples."""
        return max([self.base.samples_at(rate), *(piece.place(rate)[1] for piece in self._pieces)])

    def render(self, start: int, count: int, rate: int) -> bytes:
        """Render as :meth:`Voice.render` does."""
        heard = self.base.render(start, count, rate)
        for piece in self._pieces:
            begin, end = piece.place(rate)
            first, last = max(start, begin), min(start + count, end)
            if first < last:
                pcm = piece.voice.render(first - begin + round(piece.skipped * rate), last - first, rate)
                heard = mix(heard, bytes(2 * (first - start)) + pcm + bytes(2 * (start + count - last)))
        return heard


class Sounding(Protocol):
    """An operation on a call that may sound."""

    def sounds(self) -> Sequence[tuple[Hashable, Voice, float]]:
        """Return its sounds: keys, voices, and how many seconds of each have passed."""


class Audible(Protocol):
    """A call, as far as it can be heard.

    :ivar says: what its party says.
    :ivar speaking_since: when the party started to speak; ``None`` before.
    :ivar others: the calls whose parties this one's hears.
    :ivar ears: what records the audio that it hears.
    """

    call_id: str
    says: Voice
    speaking_since: float | None
    others: list[Audible]
    ears: list[Ear]

    @property
    def operations(self) -> Sequence[Sounding]:
        """The operations on it."""

    def speak(self) -> float:
        """Let the party speak if it has not started. Return simulated seconds since it started."""


@define(eq=False, kw_only=True)
class Ear:
    """Records on a tape what is heard on a call.

    :ivar now: returns the second of the tape for sounds that start now.
    :ivar hurried: whether the tape has no clock: sounds are added when they have been heard, voices of others as a whole.
    :ivar grown: called when the tape has grown.
    :ivar waited_for: whether people start to speak when it starts to listen, so that it misses nothing.
    """

    tape: Tape
    now: Callable[[], float] = field(repr=False)
    hurried: bool = False
    waited_for: bool = False
    grown: Callable[[], object] = field(default=lambda: None, repr=False)
    _sounding: dict[Hashable, _Piece] = field(factory=dict, init=False, repr=False)

    def begin(self, key: Hashable, voice: Voice, skipped: float = 0.0) -> None:
        """Record a sound that starts, or continues from its second ``skipped``."""
        if not self.hurried:
            now, before = self.now(), self._sounding.get(key)
            if before is not None and before.end < now + NEAR:  # a sound that follows another starts at its end
                now = max(now, before.end)
            self._sounding[key] = self.tape.put(now, voice, skipped)
            self.grown()

    def end(self, key: Hashable) -> None:
        """Stop recording a sound, possibly before its end."""
        piece = self._sounding.pop(key, None)
        if piece is not None:
            piece.cut(self.now())

    def heard(self, voice: Voice, seconds: float) -> None:
        """Record the first ``seconds`` of a sound."""
        if self.hurried:
            piece = self.tape.put(max(self.now(), self.tape.duration), voice)
            piece.cut(piece.at + seconds)
            self.grown()

    def speak(self, key: Hashable, other: Audible) -> None:
        """Record another party, who starts to speak or is already speaking."""
        if other.says.pcm:
            if self.hurried:
                self.heard(other.says, other.says.duration)
            else:
                began = self.waited_for or other.speaking_since is not None
                self.begin(key, other.says, other.speak() if began else 0.0)

    def stop(self) -> None:
        """Stop recording all current sounds."""
        for key in list(self._sounding):
            self.end(key)


def listen_in(call: Audible, ear: Ear) -> None:
    """Let an ear record the current and later sounds of a call."""
    call.ears.append(ear)
    for operation in list(call.operations):
        for key, voice, passed in operation.sounds():
            ear.begin(key, voice, passed)
    for other in call.others:
        ear.speak(_across(other), other)


def stop_listening(call: Audible, ear: Ear) -> None:
    """Stop recording a call."""
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
    """Disconnect two calls in one direction, if they were connected."""
    if other in call.others:
        call.others.remove(other)
        for ear in call.ears:
            ear.end(_across(other))


def meet(one: Audible, other: Audible) -> None:
    """Two parties hear each other."""
    hear(one, other)
    hear(other, one)


def part(one: Audible, other: Audible) -> None:
    """Disconnect two calls in both directions."""
    hear_no_more(one, other)
    hear_no_more(other, one)
