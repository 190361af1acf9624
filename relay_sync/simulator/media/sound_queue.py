"""The audio and marks that an endpoint has sent to the call and the party has not heard yet, in order. Pure.

Media are queued and played one after the other. A mark returns when everything before it has been played, at once where
nothing is queued. ``clear`` drops the queue and returns all marks in order (the vendor's stream documentation).
"""

from __future__ import annotations

from collections import deque

from attrs import define, field, frozen

__all__ = ["HeardSound", "SoundQueue"]


@frozen
class HeardSound:
    """An uninterrupted piece of what the party heard.

    :ivar position: samples from the start of the stream to the start of the piece.
    :ivar pcm: 16-bit little-endian PCM at the stream's rate, after the codec's rounding.
    """

    position: int
    pcm: bytes = field(repr=lambda pcm: f"<{len(pcm)} bytes>")


@define(eq=False, kw_only=True)
class SoundQueue:
    """The queue of one stream, and its clock, which counts samples.

    :ivar longest: maximum number of queued samples, beyond which the oldest are dropped; ``None`` for no limit.
    :ivar keep: number of heard samples that are kept.
    :ivar position: samples since the start of the stream.
    :ivar waiting: queued samples.
    :ivar played: samples heard so far.
    """

    longest: int | None = None
    keep: int
    position: int = field(default=0, init=False)
    waiting: int = field(default=0, init=False)
    played: int = field(default=0, init=False)
    _queue: deque[bytearray | str] = field(factory=deque, init=False, repr=False)
    _passed: list[str] = field(factory=list, init=False, repr=False)  # marks within the current interval
    _sounding: bool = field(default=False, init=False)
    _heard: list[tuple[int, bytearray]] = field(factory=list, init=False, repr=False)

    @property
    def heard(self) -> tuple[HeardSound, ...]:
        """What was heard, without pauses."""
        return tuple(HeardSound(position, bytes(pcm)) for position, pcm in list(self._heard))

    def add(self, pcm: bytes) -> int:
        """Queue audio. Return how many samples were dropped beyond the limit."""
        if not pcm:  # a mark after it must not wait for it
            return 0
        self._queue.append(bytearray(pcm))
        self.waiting += len(pcm) // 2
        excess = 0 if self.longest is None else max(0, self.waiting - self.longest)
        if excess:
            self._drop(excess)
        return excess

    def _drop(self, samples: int) -> None:
        """Remove the oldest samples; the marks among them stay, in front of the rest."""
        marks: list[str] = []
        left = 2 * samples
        while left and self._queue:
            item = self._queue[0]
            if isinstance(item, str):
                marks.append(item)
                self._queue.popleft()
                continue
            taken = min(left, len(item))
            del item[:taken]
            left -= taken
            self.waiting -= taken // 2
            if not item:
                self._queue.popleft()
        self._queue.extendleft(reversed(marks))

    def mark(self, name: str) -> list[str]:
        """Queue a mark. Return the marks that are due now: this one, or none."""
        if self._queue or self._passed or self._sounding:
            self._queue.append(name)
            return []
        return [name]

    def clear(self) -> list[str]:
        """Drop the audio. Return all marks, in order."""
        marks = [*self._passed, *(item for item in self._queue if isinstance(item, str))]
        self._queue.clear()
        self._passed.clear()
        self.waiting, self._sounding = 0, False
        return marks

    def tick(self, samples: int) -> list[str]:
        """Start the next interval: play up to ``samples`` samples in it, then silence. Return the marks that are due now."""
        due, self._passed = self._passed, []
        while self._queue and isinstance(self._queue[0], str):
            due.append(self._queue.popleft())  # type: ignore[arg-type]  # just looked at
        sound = bytearray()
        while self._queue and len(sound) < 2 * samples:
            item = self._queue[0]
            if isinstance(item, str):
                self._passed.append(item)
                self._queue.popleft()
                continue
            missing = 2 * samples - len(sound)
            sound += item[:missing]
            del item[:missing]
            if not item:
                self._queue.popleft()
        self._sounding = bool(sound)
        self.waiting -= len(sound) // 2
        self._note(sound)
        self.position += samples
        return due

    def rush(self) -> list[str]:
        """Play everything at once. Return all marks."""
        due = self.tick(self.waiting)
        return due + self.tick(0)

    def _note(self, sound: bytearray) -> None:
        kept = sound[: 2 * max(0, self.keep - self.played)]
        self.played += len(sound) // 2
        if not kept:
            return
        if self._heard and self._heard[-1][0] + len(self._heard[-1][1]) // 2 == self.position:
            self._heard[-1][1].extend(kept)
        else:
            self._heard.append((self.position, kept))
