"""The voice of a caller who speaks at the steps of a scenario, not from the start of the call."""

from __future__ import annotations

from collections import deque
from typing import Final

from attrs import define, field, frozen

from ..simulator.media.hearing import Tape
from ..simulator.media.voice import Voice

__all__ = ["Mouth", "Sentence"]

#: Seconds for which audio that was said is kept, for a second stream of the call that is a little behind.
_KEPT: Final = 1.0


@define(eq=False)
class Sentence:
    """Something that the caller says.

    :ivar voice: the audio.
    :ivar said: whether all of it was sent.
    """

    voice: Voice
    said: bool = field(default=False, init=False)


@frozen(eq=False)
class Mouth(Voice):
    """A caller's voice to which sentences are added during the call. Until then, and after them, it is silent.

    The simulator renders it on its own thread. Other threads call only :meth:`say`.
    """

    _waiting: deque[Sentence] = field(factory=deque, init=False, repr=False)
    _sounding: deque[tuple[Sentence, float]] = field(factory=deque, init=False, repr=False)
    _tape: Tape = field(factory=Tape, init=False, repr=False)

    @classmethod
    def silent(cls) -> Mouth:
        """Return a voice that has said nothing yet."""
        return cls(b"")

    def say(self, voice: Voice) -> Sentence:
        """Say something as soon as the sentences before it have been said, and the call has a stream.

        :param voice: the audio.
        :return: the sentence, which tells how far it is.
        """
        sentence = Sentence(voice)
        self._waiting.append(sentence)
        return sentence

    @property
    def duration(self) -> float:
        """Position after the last sentence, in seconds."""
        return self._tape.duration

    def samples_at(self, rate: int) -> int:
        """Return the position after the last sentence, in samples.

        :param rate: sample rate in Hz.
        """
        return self._tape.samples_at(rate)

    def render(self, start: int, count: int, rate: int) -> bytes:
        """Return the next samples, like :meth:`Voice.render`. A sentence that waits begins with them.

        :param start: index of the first sample at the requested rate.
        :param count: number of samples.
        :param rate: sample rate of the result in Hz.
        """
        now, until = start / rate, (start + count) / rate
        if self._waiting and not self._sounding:
            sentence = self._waiting.popleft()
            self._tape.put(now, sentence.voice)
            self._sounding.append((sentence, now + sentence.voice.duration))
        pcm = self._tape.render(start, count, rate)
        while self._sounding and self._sounding[0][1] <= until:
            self._sounding.popleft()[0].said = True
        self._tape.forget(now - _KEPT)
        return pcm
