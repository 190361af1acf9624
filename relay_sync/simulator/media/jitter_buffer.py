"""Jitter buffer that puts audio from a live source on a timeline. It does no I/O and reads no clock.

* The first samples are placed ``SHORTEST`` seconds after the part of the timeline that has been rendered. When samples arrive too
  late to be rendered, the depth increases by ``STEP``, up to ``DEEPEST``. It decreases again after ``CALM`` seconds without late
  samples.
* If the buffer was never nearly empty during ``WINDOW`` seconds, the surplus is removed: from silence, or from any audio if the
  surplus lasts for ``HARD`` windows. A buffer that was filled too far at the start, or that fills because the sender's clock is
  faster, therefore does not stay full.
* Positions supplied by the sender are kept, so samples that the sender has skipped are rendered as silence.
"""

from __future__ import annotations

from typing import Final

from attrs import define, field

__all__ = ["JitterBuffer"]

#: Minimum depth in seconds, on top of the frame that has already been rendered.
SHORTEST: Final = 0.02
#: Increase of the depth after late samples, in seconds.
STEP: Final = 0.02
#: Maximum depth in seconds.
DEEPEST: Final = 0.1
#: Maximum audio in the buffer in seconds. If more is supplied at once, the oldest is dropped.
LONGEST: Final = 0.5
#: Period in seconds during which the buffer must be nearly empty at least once.
WINDOW: Final = 0.5
#: Number of windows after which the surplus is removed from any audio.
HARD: Final = 4
#: Difference from the depth in seconds that is not removed.
SLACK: Final = 0.01
#: Seconds without late samples after which the depth decreases.
CALM: Final = 10.0


@define(eq=False)
class JitterBuffer:
    """Audio on a timeline that starts at 0. Positions and lengths are in samples. Not thread-safe.

    :ivar rate: sample rate in Hz.
    :ivar kept: rendered audio that is kept, in seconds.
    :ivar rendered: end of the part that has been rendered.
    :ivar late: number of times that audio arrived too late, so that the buffer was filled again.
    :ivar trimmed: number of samples removed because the buffer was too full.
    """

    rate: int
    kept: float
    rendered: int = field(default=0, init=False)
    late: int = field(default=0, init=False)
    trimmed: int = field(default=0, init=False)
    _pcm: bytearray = field(factory=bytearray, init=False, repr=False)
    _base: int = field(default=0, init=False)  # position of the first sample in _pcm
    _next: int = field(default=0, init=False)  # sender's position of the next sample
    _shift: int | None = field(default=None, init=False)  # position minus the sender's position
    _depth: float = field(default=SHORTEST, init=False)
    _lowest: int | None = field(default=None, init=False)  # minimum number of samples in the buffer in this window
    _window: int = field(default=0, init=False)  # samples supplied in this window
    _surplus: int = field(default=0, init=False)  # samples to remove
    _windows: int = field(default=0, init=False)  # windows since there is a surplus
    _calm: int = field(default=0, init=False)  # samples supplied since samples were late

    @property
    def end(self) -> int:
        """Position after the last sample."""
        return self._base + len(self._pcm) // 2

    def cut(self, first: int, count: int) -> bytes:
        """Return exactly ``count`` samples, padded with silence."""
        missing = bytes(2 * min(count, max(0, self._base - first)))
        begin, end = (max(0, 2 * (index - self._base)) for index in (first, first + count))
        return (missing + self._pcm[begin:end]).ljust(2 * count, b"\0")

    def append(self, pcm: bytes) -> None:
        """Add samples after the last one, whatever the time is."""
        self._pcm += pcm

    def take(self, pcm: bytes, at: int | None, now: int, *, quiet: bool = False) -> int:
        """Add samples where they belong.

        :param pcm: 16-bit PCM.
        :param at: the sender's position of the first sample; ``None`` continues the previous samples.
        :param now: current position on the timeline.
        :param quiet: whether the samples are silence, which may be shortened.
        :return: position after the last sample.
        """
        count = len(pcm) // 2
        position = self._next if at is None else at
        self._next = position + count
        place = self._place(position, count, max(self.rendered, now))
        surplus = min(self._surplus, count)
        if surplus and (quiet or self._windows >= HARD):
            pcm, count = pcm[2 * surplus :], count - surplus
            self._surplus -= surplus
            self.trimmed += surplus
            self._shift = place - position - surplus
        self._write(place, pcm)
        return place + count

    def _place(self, position: int, count: int, edge: int) -> int:
        """Return where samples belong, and adapt the depth.

        :param position: the sender's position.
        :param count: number of samples.
        :param edge: earliest position that can still be rendered.
        """
        depth, shift = round(self._depth * self.rate), self._shift
        if shift is None:
            return self._restart(position, edge)
        ahead = position + shift - edge
        if ahead < 0:
            self.late += 1
            self._depth = min(DEEPEST, self._depth + STEP)
            return self._restart(position, edge)
        if ahead > LONGEST * self.rate:
            self.trimmed += ahead - depth
            return self._restart(position, edge)
        self._calm += count
        if self._calm > CALM * self.rate:
            self._calm, self._depth = 0, max(SHORTEST, self._depth - STEP)
        self._lowest = ahead if self._lowest is None else min(ahead, self._lowest)
        self._window += count
        if self._window >= WINDOW * self.rate:
            excess = self._lowest - depth
            self._surplus = excess if excess > SLACK * self.rate else 0
            self._windows = self._windows + 1 if self._surplus else 0
            self._lowest, self._window = None, 0
        return position + shift

    def _restart(self, position: int, edge: int) -> int:
        self._calm, self._lowest, self._window = 0, None, 0
        self._surplus = self._windows = 0
        place = edge + round(self._depth * self.rate)
        self._shift = place - position
        return place

    def _write(self, place: int, pcm: bytes) -> None:
        if place < self.end:  # the buffer was trimmed: the new samples replace the newest ones
            del self._pcm[max(0, 2 * (place - self._base)) :]
        gap = place - self.end
        if gap < 0 or gap > self.kept * self.rate:  # before everything that is kept, or far after it
            self._pcm.clear()
            self._base = place
        else:
            self._pcm += bytes(2 * gap)
        self._pcm += pcm
        excess = len(self._pcm) // 2 - round((self.kept + LONGEST) * self.rate)
        if excess > self.rate:  # a second at a time
            del self._pcm[: 2 * excess]
            self._base += excess
