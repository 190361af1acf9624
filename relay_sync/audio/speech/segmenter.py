"""Find the utterances of one track: a detector, the endpointer, and the audio that may still be needed."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from attrs import define

from ...errors import InvalidParameter
from ...params import values
from . import edges
from .endpointer import Began, Change, Endpointer, Limits, Segment
from .utterance import Utterance

if TYPE_CHECKING:
    from ..dsp import Resampler

__all__ = ["Detector", "Segmenter", "check_detector"]

_DETECTOR: Final = "a detector: an object with sample_rate, frame and __call__(pcm), such as Energy() or Silero()"
#: Longest frame of a detector in seconds. With longer ones, an utterance would be reported late.
_LONGEST_FRAME: Final = 1.0
#: By how many seconds of silence less than needed the end is located, because the detector may have noticed it late.
_LATEST: Final = 0.2
#: Least silence after which it can be located, in seconds: some of it has to be certain.
_CERTAIN: Final = 0.35
#: Seconds by which timestamps may be off until audio counts as missing or late.
_JITTER: Final = 0.03
#: When timestamps go back by more than the first and continue from there for the second, the carrier has set its clock.
#: In seconds.
_BACK: Final = 1.0
_CONFIRMED: Final = 0.2


@runtime_checkable
class Detector(Protocol):
    """What tells speech from other sounds. An instance hears one track, frame by frame.

    If a detector also has an attribute ``delay``, it is the number of seconds by which its result follows the audio. If it has an
    attribute ``rough`` that is true, starts and ends are only about right, and are then located in the audio.
    """

    @property
    def sample_rate(self) -> int:
        """Sample rate in Hz of the audio that it takes."""

    @property
    def frame(self) -> int:
        """Number of samples in a frame."""

    def __call__(self, pcm: bytes, /) -> float:
        """Return the probability of speech in a frame, from 0 to 1.

        :param pcm: :attr:`frame` samples of 16-bit little-endian mono PCM.
        """


def check_detector(vad: Any) -> None:
    """Check that an object is a detector.

    :raises InvalidParameter: it is not, or its frames are longer than a second.
    """
    if isinstance(vad, type) or not isinstance(vad, Detector):
        raise InvalidParameter("vad", vad, _DETECTOR)
    values.whole("vad.sample_rate", vad.sample_rate, low=1, optional=False)
    values.whole("vad.frame", vad.frame, low=1, high=round(_LONGEST_FRAME * vad.sample_rate), optional=False)
    values.number("vad.delay", getattr(vad, "delay", 0.0), low=0, high=1, optional=False)


@define(eq=False)  # not frozen, because one is made for each frame that arrives
class _Chunk:
    """Audio without gaps.

    :ivar heard: number of samples that were heard before it.
    :ivar position: position of its first sample on the track.
    """

    heard: int
    position: int
    pcm: bytes

    @property
    def end(self) -> int:
        """Number of samples that were heard until its end."""
        return self.heard + len(self.pcm) // 2


class Segmenter:
    """Finds the utterances of one track.

    It counts samples that were heard, so that gaps are neither speech nor silence, and converts them to positions for its
    results. How audio is divided into chunks does not matter.

    :param vad: the detector.
    :param sample_rate: sample rate of the audio in Hz. If the detector has another, the audio is resampled.
    :param track: the name of the track.
    :param silence: silence that ends an utterance, in seconds.
    :param pre_roll: audio before the start of speech that belongs to an utterance, in seconds.
    :param shortest: least speech in an utterance, in seconds.
    :param longest: length at which an utterance is cut, in seconds.
    :param on_speech: called with the position in seconds as soon as speech starts.
    :param on_dropped: called with the same position if it was too short for an utterance.
    :raises InvalidParameter: a parameter is invalid.
    :raises ImportError: the audio has to be resampled, and the ``dsp`` extra is not installed.
    :ivar heard: number of samples that were heard.
    """

    def __init__(
        self,
        vad: Detector,
        sample_rate: int,
        *,
        track: str = "inbound",
        silence: float = 0.6,
        pre_roll: float = 0.3,
        shortest: float = 0.2,
        longest: float = 30.0,
        on_speech: Callable[[float], object] | None = None,
        on_dropped: Callable[[float], object] | None = None,
    ) -> None:
        check_detector(vad)
        values.number("silence", silence, above=0, high=60, optional=False)
        values.number("pre_roll", pre_roll, low=0, high=60, optional=False)
        values.number("shortest", shortest, low=0, high=60, optional=False)
        values.number("longest", longest, above=max(1.0, shortest), high=3600, optional=False)
        self._vad = vad
        self._frame, self._vad_rate = vad.frame, vad.sample_rate  # of the detector, which may change them
        self._rate = sample_rate
        self._track = track
        self._on_speech = on_speech
        self._on_dropped = on_dropped
        self._resampler = _resampler(sample_rate, vad.sample_rate)
        delay = getattr(vad, "delay", 0.0) + (0.0 if self._resampler is None else self._resampler.delay)
        self._delay = round(delay * sample_rate)
        limits = Limits.of(sample_rate, silence=silence, pre_roll=pre_roll + delay, shortest=shortest, longest=longest)
        self._endpointer = Endpointer(limits)
        self._rough = bool(getattr(vad, "rough", False))
        self._margin = round(edges.MARGIN * sample_rate) if self._rough else 0
        # Samples of silence from which the end is located; never, if that would not be earlier.
        early = round(max(silence - _LATEST, _CERTAIN) * sample_rate)
        self._early = early if self._rough and early < limits.silence else math.inf
        # An end of the detector, and the start and end that were located for it.
        self._found: tuple[int, int, int] = (-1, 0, 0)
        self._chunks: deque[_Chunk] = deque()
        self._waiting = bytearray()  # audio at the detector's rate that does not fill a frame
        self._frames = 0  # frames that the detector has seen
        self._judged = 0  # samples that were heard until the end of the last one
        self._back: list[tuple[int, bytes]] = []  # very late audio, with its positions
        self._shift = 0  # by how many samples positions differ from timestamps, after the carrier set its clock
        self._next: int | None = None  # position at which the next audio is expected
        self.heard: int = 0

    @property
    def spoken(self) -> float:
        """Seconds of speech in the utterance that has not ended yet; 0 if there is none."""
        return self._endpointer.spoken / self._rate

    def push(self, at: float, pcm: bytes) -> list[Utterance]:
        """Take the next audio. Audio from before the audio that was taken last is ignored.

        :param at: position of the audio on the track in seconds.
        :param pcm: 16-bit little-endian mono PCM.
        :return: the utterances that have ended.
        :raises InvalidParameter: the detector returned something other than a probability.
        """
        position = round(at * self._rate) + self._shift
        if position == self._next:  # the usual case
            self._take(position, bytes(pcm))
        else:
            for place, each in self._place(position, bytes(pcm)):
                self._take(place, each)
        return self._detect()

    def _take(self, position: int, pcm: bytes) -> None:
        samples = len(pcm) // 2
        self._chunks.append(_Chunk(self.heard, position, pcm))
        self.heard += samples
        self._next = position + samples
        self._waiting += pcm if self._resampler is None else self._resampler.process(pcm)

    def finish(self) -> list[Utterance]:
        """End the current utterance at the end of the audio.

        :return: the last utterances.
        """
        found: list[Utterance] = []
        if self._waiting:
            self._waiting += bytes(2 * self._frame - len(self._waiting))
            found = self._detect()
        return found + self._results(self._endpointer.finish())

    def _place(self, position: int, pcm: bytes) -> list[tuple[int, bytes]]:
        """Return what to take now, with its positions: nothing if the audio is late."""
        expected, samples = self._next, len(pcm) // 2
        jitter = round(_JITTER * self._rate)
        if expected is None or position >= expected + jitter:
            return [(max(0, position), pcm)]
        if position < expected - round(_BACK * self._rate):
            return self._confirm(expected, position, pcm)
        if position + samples <= expected - min(jitter, samples // 2):
            return []
        return [(expected, pcm)]

    def _confirm(self, expected: int, position: int, pcm: bytes) -> list[tuple[int, bytes]]:
        """Keep audio that is very late until it is clear that the carrier has set its clock."""
        if self._back and abs(position - self._back[-1][0] - len(self._back[-1][1]) // 2) > round(_JITTER * self._rate):
            self._back.clear()
        self._back.append((position, pcm))
        if sum(len(each) for _, each in self._back) // 2 < round(_CONFIRMED * self._rate):
            return []
        whole = b"".join(each for _, each in self._back)
        self._shift += expected - self._back[0][0]
        self._back.clear()
        return [(expected, whole)]

    def _detect(self) -> list[Utterance]:
        found: list[Utterance] = []
        waiting, size, vad = self._waiting, 2 * self._frame, self._vad
        while len(waiting) >= size:
            frame = bytes(waiting[:size])
            del waiting[:size]
            probability = _checked(vad(frame))
            self._frames += 1
            first = self._judged
            self._judged = min(self.heard, self._frames * self._frame * self._rate // self._vad_rate)
            changes = self._endpointer.push(first, self._judged - first, probability)
            if changes:
                found += self._results(changes)
        if self._endpointer.quiet >= self._early:
            found += self._end_early()
        needed = self._endpointer.needed - self._margin
        while self._chunks and self._chunks[0].end <= needed:
            self._chunks.popleft()
        return found

    def _end_early(self) -> list[Utterance]:
        """End the utterance if there has been enough silence since its end, although the detector has noticed the end later."""
        segment = self._endpointer.ending()
        if segment is None or self.heard < self._located(segment)[1] + self._endpointer.limits.silence:
            return []
        return self._results(self._endpointer.finish())

    def _results(self, changes: list[Change]) -> list[Utterance]:
        found = []
        for change in changes:
            if isinstance(change, Segment):
                found.append(self._utterance(change))
            else:
                notify = self._on_speech if isinstance(change, Began) else self._on_dropped
                if notify is not None:
                    notify(self._seconds(max(0, change.start - self._delay)))
        return found

    def _utterance(self, segment: Segment) -> Utterance:
        start, end = self._located(segment)
        return Utterance(
            pcm=self._audio(segment.since, segment.until),
            sample_rate=self._rate,
            start=self._seconds(start),
            end=self._seconds(end - 1) + 1 / self._rate,
            track=self._track,
            cut=segment.cut,
            audio_start=self._seconds(segment.since),
        )

    def _located(self, segment: Segment) -> tuple[int, int]:
        """Return the start and the end of an utterance, which the audio shows if the detector is only about right."""
        start = max(segment.since, segment.start - self._delay)
        end = max(start + 1, segment.end - (0 if segment.cut else self._delay))
        if not self._rough:
            return start, end
        known, found, last = self._found
        if known != segment.end:
            first = max(self._chunks[0].heard, segment.since - self._margin)
            found, last = edges.locate(self._audio(first, self.heard), self._rate, start - first, end - first)
            found, last = found + first, last + first
            self._found = (segment.end, found, last)
        start = max(segment.since, found)
        return start, max(start + 1, end if segment.cut else min(segment.until, last))

    def _audio(self, since: int, until: int) -> bytes:
        """Return the audio between two numbers of samples that were heard."""
        return b"".join(
            each.pcm[2 * max(0, since - each.heard) : 2 * max(0, until - each.heard)] for each in self._chunks
        )

    def _seconds(self, heard: int) -> float:
        """Return the position of a sample that is still kept, in seconds."""
        for chunk in self._chunks:
            if heard < chunk.end:
                return (chunk.position + max(0, heard - chunk.heard)) / self._rate
        return (self._next or 0) / self._rate


def _checked(probability: Any) -> float:
    try:
        number = float(probability)
    except (TypeError, ValueError):
        number = -1.0
    if not 0.0 <= number <= 1.0:
        raise InvalidParameter("vad", probability, "a detector whose result is a probability from 0 to 1")
    return number


def _resampler(from_rate: int, to_rate: int) -> Resampler | None:
    if from_rate == to_rate:
        return None
    from ..dsp import Resampler

    return Resampler(from_rate, to_rate)
