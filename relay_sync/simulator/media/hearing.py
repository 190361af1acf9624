"""Audio played to the party on a simulated phone, for recordings and streams' outbound tracks.

The audio comes from three sources: the phone's configured audio (``hears``), played sounds that the test supplied with
``expect_sound(url, wav)``, and other parties' voices in a bridge or conference. An echo plays the party's own voice. Text to
speech is silent, because the simulator cannot synthesize speech.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Final, Protocol

from attrs import define, field

from .voice import SILENCE, Sound, mix

__all__ = [
    "Audible",
    "Ear",
    "Piece",
    "Sounding",
    "Tape",
    "hear",
    "hear_no_more",
    "listen_in",
    "meet",
    "part",
    "stop_listening",
]

#: Maximum delay of a sound on a tape in seconds. A sound may be delayed because it starts with the next frame.
NEAR: Final = 0.25


@define(eq=False)
class Piece:
    """Part of a voice on a tape.

    :ivar voice: the voice.
    :ivar at: start position on the tape in seconds.
    :ivar skipped: offset in the voice where the part starts, in seconds.
    :ivar until: offset in the voice where the part ends, in seconds.
    """

    voice: Sound
    at: float
    skipped: float
    until: float

    @property
    def end(self) -> float:
        """End position on the tape in seconds."""
        return self.at + self.until - self.skipped

    def cut(self, end: float) -> None:
        """End the piece at a tape position, unless it ends earlier."""
        self.until = max(self.skipped, min(self.until, self.skipped + end - self.at))

    def place(self, rate: int) -> tuple[int, int]:
        """Return the start and end positions on the tape in samples."""
        begin = round(self.at * rate)
        return begin, begin + round(self.until * rate) - round(self.skipped * rate)


@define(eq=False)
class Tape:
    """A mix of voices that grows over time. It can be rendered like a :class:`Voice`."""

    base: Sound = SILENCE
    _pieces: list[Piece] = field(factory=list, init=False)

    def put(self, at: float, voice: Sound, skipped: float = 0.0) -> Piece:
        """Add a voice.

        :param at: position on the tape in seconds.
        :param voice: the voice.
        :param skipped: number of seconds to skip at the start of the voice.
        """
        piece = Piece(voice, at, min(max(0.0, skipped), voice.duration), voice.duration)
        self._pieces.append(piece)
        return piece

    def forget(self, before: float) -> None:
        """Drop the pieces that end before a position in seconds."""
        self._pieces = [piece for piece in self._pieces if piece.end > before]

    @property
    def duration(self) -> float:
        """Duration of the audio in seconds, excluding trailing silence."""
        return max([self.base.duration, *(piece.end for piece in self._pieces)])

    def samples_at(self, rate: int) -> int:
        """Return the duration in samples."""
        return max([self.base.samples_at(rate), *(piece.place(rate)[1] for piece in self._pieces)])

    def render(self, start: int, count: int, rate: int) -> bytes:
        """Render samples from the mix, like :meth:`Sound.render`."""
        heard = self.base.render(start, count, rate)
        for piece in self._pieces:
            begin, end = piece.place(rate)
            first, last = max(start, begin), min(start + count, end)
            if first < last:
                pcm = piece.voice.render(first - begin + round(piece.skipped * rate), last - first, rate)
                begin, end = 2 * (first - start), 2 * (last - start)
                heard = heard[:begin] + mix(heard[begin:end], pcm) + heard[end:]
        return heard


class Sounding(Protocol):
    """Protocol for an operation that may play sounds on a call."""

    def sounds(self) -> Sequence[tuple[Hashable, Sound, float]]:
        """Return the current sounds, each with a key, a voice and the number of seconds already played."""


class Audible(Protocol):
    """Protocol for a call whose audio can be recorded.

    :ivar call_id: call ID.
    :ivar says: the party's speech.
    :ivar speaking_since: time at which the party started to speak; ``None`` before.
    :ivar others: calls whose parties this party hears.
    :ivar ears: recorders for the audio that this party hears.
    """

    call_id: str
    says: Sound
    speaking_since: float | None
    others: list[Audible]
    ears: list[Ear]

    @property
    def operations(self) -> Sequence[Sounding]:
        """Current operations on the call."""

    def speak(self) -> float:
        """Start the party's speech if it has not started.

        :return: simulated seconds since the speech started.
        """


@define(eq=False, kw_only=True)
class Ear:
    """Recorder for the audio that a call's party hears.

    :ivar tape: tape that receives the audio.
    :ivar now: function that returns the tape position, in seconds, for a sound that starts now.
    :ivar hurried: whether there is no clock. If so, sounds are added when they end, and other parties' speech all at once.
    :ivar waited_for: whether recording another party also starts that party's speech, so none of it is missed.
    :ivar grown: function called after audio is added to the tape.
    """

    tape: Tape
    now: Callable[[], float] = field(repr=False)
    hurried: bool = False
    waited_for: bool = False
    grown: Callable[[], object] = field(default=lambda: None, repr=False)
    _sounding: dict[Hashable, Piece] = field(factory=dict, init=False, repr=False)

    def begin(self, key: Hashable, voice: Sound, skipped: float = 0.0) -> None:
        """Start recording a sound.

        :param key: identifier of the sound, for :meth:`end`.
        :param voice: the sound.
        :param skipped: number of seconds of the sound already played.
        """
        if not self.hurried:
            now, before = self.now(), self._sounding.get(key)
            if before is not None and before.end < now + NEAR:  # the sound starts at the end of the previous sound
                now = max(now, before.end)
            self._sounding[key] = self.tape.put(now, voice, skipped)
            self.grown()

    def end(self, key: Hashable) -> None:
        """Stop recording a sound, possibly before it ends."""
        piece = self._sounding.pop(key, None)
        if piece is not None:
            piece.cut(self.now())

    def heard(self, voice: Sound, seconds: float) -> None:
        """Record the first ``seconds`` seconds of a played sound. Does nothing if there is a clock."""
        if self.hurried:
            piece = self.tape.put(max(self.now(), self.tape.duration), voice)
            piece.cut(piece.at + seconds)
            self.grown()

    def speak(self, key: Hashable, other: Audible) -> None:
        """Record another party's speech from its current position."""
        if other.says.duration:
            if self.hurried:
                self.heard(other.says, other.says.duration)
            else:
                began = self.waited_for or other.speaking_since is not None
                self.begin(key, other.says, other.speak() if began else 0.0)

    def stop(self) -> None:
        """Stop recording all sounds."""
        for key in list(self._sounding):
            self.end(key)


def listen_in(call: Audible, ear: Ear) -> None:
    """Record a call's current and future sounds."""
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
    """Connect two calls in one direction: the party on ``call`` hears the party on ``other``."""
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
    """Connect two calls in both directions."""
    hear(one, other)
    hear(other, one)


def part(one: Audible, other: Audible) -> None:
    """Disconnect two calls in both directions."""
    hear_no_more(one, other)
    hear_no_more(other, one)
