"""Queue of audio and marks from an endpoint that the party has not heard yet. This module does no I/O.

The queue follows the vendor's stream documentation. Audio is played in order. A mark is returned to the endpoint when all audio
before it has been played, or immediately if the queue is empty. ``clear`` drops the audio and returns all marks in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from attrs import define, field, frozen

__all__ = ["HeardSound", "SoundQueue"]


@frozen
class HeardSound:
    """Uninterrupted audio that the party heard.

    :ivar position: start position, in samples since the start of the stream.
    :ivar pcm: decoded 16-bit little-endian PCM at the stream's sample rate.
    """

    position: int
    pcm: bytes = field(repr=lambda pcm: f"<{len(pcm)} bytes>")


@define(eq=False, kw_only=True)
class SoundQueue:
    """Playback queue for one stream, with a clock that counts samples.

    :ivar longest: maximum number of queued samples; ``None`` for no limit. A full queue drops its oldest samples.
    :ivar keep: maximum number of played samples to keep for ``heard``.
    :ivar position: number of samples since the start of the stream.
    :ivar waiting: number of queued samples.
    :ivar played: number of samples played so far.
    :ivar on_played: called with the audio of each interval, which may be shorter than the interval, and the interval's length in
        samples.
    """

    longest: int | None = None
    keep: int
    position: int = field(default=0, init=False)
    waiting: int = field(default=0, init=False)
    played: int = field(default=0, init=False)
    on_played: Callable[[bytes, int], object] | None = field(default=None, repr=False)
    _queue: deque[bytearray | str] = field(factory=deque, init=False, repr=False)
    _passed: list[str] = field(factory=list, init=False, repr=False)  # marks reached in the current interval
    _sounding: bool = field(default=False, init=False)
    _heard: list[tuple[int, bytearray]] = field(factory=list, init=False, repr=False)

    @property
    def heard(self) -> tuple[HeardSound, ...]:
        """Audio that the party heard, split at pauses."""
        return tuple(HeardSound(position, bytes(pcm)) for position, pcm in list(self._heard))

    def heard_from(self, start: int) -> bytes:
        """Return what the party heard from a position until now, with silence in the pauses. Safe to call from any thread.

        :param start: position in samples.
        """
        end = self.position  # read first: what was heard until then is in the list
        sound = bytearray(2 * max(0, end - start))
        for position, pcm in reversed(list(self._heard)):
            until = position + len(pcm) // 2
            if until <= start:
                break
            first, last = max(start, position), min(until, end)
            if first < last:
                sound[2 * (first - start) : 2 * (last - start)] = pcm[2 * (first - position) : 2 * (last - position)]
        return bytes(sound)

    def add(self, pcm: bytes) -> int:
        """Queue audio.

        :return: number of samples dropped because of the limit.
        """
        if not pcm:  # empty audio must not delay a mark
            return 0
        self._queue.append(bytearray(pcm))
        self.waiting += len(pcm) // 2
        excess = 0 if self.longest is None else max(0, self.waiting - self.longest)
        if excess:
            self._drop(excess)
        return excess

    def _drop(self, samples: int) -> None:
        """Remove the oldest samples. Any marks among them stay at the front of the queue."""
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
        """Queue a mark.

        :return: a list with the mark if it is due now, otherwise an empty list.
        """
        if self._queue or self._passed or self._sounding:
            self._queue.append(name)
            return []
        return [name]

    def clear(self) -> list[str]:
        """Drop all audio and return all marks in order."""
        marks = [*self._passed, *(item for item in self._queue if isinstance(item, str))]
        self._queue.clear()
        self._passed.clear()
        self.waiting, self._sounding = 0, False
        return marks

    def tick(self, samples: int) -> list[str]:
        """Play the next ``samples`` samples, padded with silence if the queue runs out.

        :return: the marks that are due now.
        """
        due, self._passed = self._passed, []
        while self._queue and isinstance(self._queue[0], str):
            due.append(self._queue.popleft())  # type: ignore[arg-type]  # checked above
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
        if samples and self.on_played is not None:
            self.on_played(bytes(sound), samples)
        return due

    def rush(self) -> list[str]:
        """Play all queued audio at once and return all marks."""
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
