"""Find where utterances start and end, from the probability of speech in each frame.

The module knows neither audio nor clocks. Positions and durations are numbers of samples.
"""

from __future__ import annotations

from typing import Final

from attrs import define, field, frozen

__all__ = ["Began", "Change", "Dropped", "Endpointer", "Limits", "Segment"]

#: Probability from which a frame counts as speech.
SPEECH: Final = 0.5
#: Probability below which a frame counts as silence. In noise, what detectors return falls slowly after speech.
SILENCE: Final = 0.15
#: Probability from which the frames before an utterance's first frame of speech belong to it, and for how many seconds.
RISE: Final = 0.2
RISING: Final = 0.25
#: Seconds of speech after which the start is reported, if ``shortest`` is not shorter.
ONSET: Final = 0.1
#: Seconds of silence after which sound is discarded that has not been as long as ``shortest``, if ``silence`` is not shorter.
DOUBT: Final = 0.25


@frozen
class Segment:
    """An utterance.

    :ivar start: position of the first sample of speech.
    :ivar end: position after the last sample of speech.
    :ivar since: position from which audio belongs to the utterance, with the pre-roll.
    :ivar until: position up to which audio belongs to it, with the silence that follows.
    :ivar cut: whether it was ended because it was too long. The next one then continues it.
    """

    start: int
    end: int
    since: int
    until: int
    cut: bool


@frozen
class Began:
    """Speech has started.

    :ivar start: position of the first sample of speech.
    """

    start: int


@frozen
class Dropped:
    """What was reported as the start of speech was too short for an utterance.

    :ivar start: the position that was reported.
    """

    start: int


Change = Began | Dropped | Segment


@frozen(kw_only=True)
class Limits:
    """Durations that decide where an utterance starts and ends, in samples.

    :ivar silence: silence that ends an utterance.
    :ivar pre_roll: how much audio before the start belongs to it; as much after its end, but at most ``silence``.
    :ivar shortest: least speech in an utterance.
    :ivar longest: length at which an utterance is cut.
    :ivar onset: speech after which its start is reported.
    :ivar doubt: silence after which sound shorter than ``shortest`` is discarded.
    :ivar rising: how far before the first frame of speech an utterance may start.
    """

    silence: int
    pre_roll: int
    shortest: int
    longest: int
    onset: int
    doubt: int
    rising: int

    @staticmethod
    def of(sample_rate: int, *, silence: float, pre_roll: float, shortest: float, longest: float) -> Limits:
        """Convert durations from seconds.

        :param sample_rate: sample rate in Hz.
        :param silence: silence that ends an utterance, in seconds.
        :param pre_roll: audio before the start, in seconds.
        :param shortest: least speech in an utterance, in seconds.
        :param longest: length at which an utterance is cut, in seconds.
        """
        return Limits(
            silence=max(1, round(silence * sample_rate)),
            pre_roll=round(pre_roll * sample_rate),
            shortest=round(shortest * sample_rate),
            longest=max(1, round(longest * sample_rate)),
            onset=round(min(ONSET, shortest) * sample_rate),
            doubt=max(1, round(min(DOUBT, silence) * sample_rate)),
            rising=round(RISING * sample_rate),
        )


@define(eq=False)
class _Turn:
    """Speech that has not ended yet. All numbers but the positions count samples that were heard.

    :ivar length: samples from the start until now.
    :ivar spoken: samples of speech among them.
    :ivar quiet: samples of silence since the last frame that was none.
    :ivar end: position after the last speech.
    :ivar goes_on: whether the former utterance was cut, and this is the rest.
    """

    start: int
    since: int
    end: int
    length: int = 0
    spoken: int = 0
    quiet: int = 0
    goes_on: bool = False
    told: bool = False


@define(eq=False)
class Endpointer:
    """Turn probabilities into utterances.

    Only audio that was heard counts: a gap between two frames is neither speech nor silence, and ends nothing. The result
    does not depend on how audio of one probability is divided into frames.

    :param limits: the durations.
    """

    limits: Limits
    _now: int = field(default=0, init=False)  # position after the last frame
    _free: int = field(default=0, init=False)  # position from which audio belongs to no utterance yet
    _rise: int | None = field(default=None, init=False)  # since when the probability has been at least RISE
    _risen: int = field(default=0, init=False)  # samples that were heard since then
    _turn: _Turn | None = field(default=None, init=False)

    @property
    def needed(self) -> int:
        """Position from which audio may still belong to an utterance."""
        turn = self._turn
        reach = self.limits.pre_roll + self.limits.rising
        return max(self._free, self._now - reach) if turn is None else turn.since

    @property
    def spoken(self) -> int:
        """Number of samples of speech in the utterance that has not ended yet; 0 if there is none."""
        return 0 if self._turn is None else self._turn.spoken

    @property
    def quiet(self) -> int:
        """Number of samples of silence at the end of the utterance that has not ended yet; 0 if there is none."""
        return 0 if self._turn is None else self._turn.quiet

    def ending(self) -> Segment | None:
        """Return the utterance as it would be if it ended now; ``None`` if there is none, or it is too short."""
        turn = self._turn
        if turn is None or not self._is_long_enough(turn):
            return None
        until = min(self._now, turn.end + min(self.limits.pre_roll, self.limits.silence))
        return Segment(turn.start, turn.end, turn.since, until, cut=False)

    def push(self, at: int, samples: int, probability: float) -> list[Change]:
        """Take the next frame.

        :param at: position of the frame; at least the position at which the former frame ended.
        :param samples: length of the frame.
        :param probability: probability that it contains speech, from 0 to 1.
        :return: what has become certain with it, in order.
        """
        changes: list[Change] = []
        self._now = at
        if not probability >= RISE:  # also if it is not a number
            self._rise = None
        elif self._rise is None:
            self._rise, self._risen = at, 0
        while samples > 0:
            turn = self._turn
            if turn is None:
                if not probability >= SPEECH:
                    break
                turn = self._turn = self._start()
            taken = min(samples, self.limits.longest - turn.length)
            self._now += taken
            samples -= taken
            turn.length += taken
            if probability >= SILENCE:
                self._sound(turn, taken, probability, changes)
            else:
                self._silence(turn, taken, changes)
            if self._turn is turn and turn.length >= self.limits.longest:
                self._cut(turn, changes)
        self._now += samples
        self._risen += samples
        return changes

    def finish(self) -> list[Change]:
        """End the current utterance.

        :return: the last changes.
        """
        changes: list[Change] = []
        if self._turn is not None:
            self._end(self._turn, changes)
        return changes

    def _start(self) -> _Turn:
        start = self._now if self._rise is None else max(self._rise, self._now - self.limits.rising)
        start = max(self._free, start)
        turn = _Turn(start, max(self._free, start - self.limits.pre_roll), self._now)
        turn.spoken = turn.length = min(self._risen, self._now - start)
        return turn

    def _sound(self, turn: _Turn, samples: int, probability: float, changes: list[Change]) -> None:
        turn.quiet = 0
        if probability >= SPEECH:
            turn.end = self._now
        if probability >= RISE:
            turn.spoken += samples
        if not turn.told and turn.spoken >= self.limits.onset:
            turn.told = True
            if not turn.goes_on:
                changes.append(Began(turn.start))

    def _silence(self, turn: _Turn, samples: int, changes: list[Change]) -> None:
        turn.quiet += samples
        if turn.quiet >= (self.limits.silence if self._is_long_enough(turn) else self.limits.doubt):
            self._end(turn, changes)

    def _is_long_enough(self, turn: _Turn) -> bool:
        return turn.end > turn.start if turn.goes_on else turn.spoken >= self.limits.shortest

    def _end(self, turn: _Turn, changes: list[Change]) -> None:
        segment = self.ending()
        self._turn = None
        if segment is not None:
            changes.append(segment)
            self._free = segment.until
        elif turn.told and not turn.goes_on:
            changes.append(Dropped(turn.start))

    def _cut(self, turn: _Turn, changes: list[Change]) -> None:
        if not self._is_long_enough(turn):
            self._end(turn, changes)
            return
        changes.append(Segment(turn.start, turn.end, turn.since, self._now, cut=True))
        self._free = self._now
        self._turn = _Turn(self._now, self._now, self._now, quiet=turn.quiet, goes_on=True)
