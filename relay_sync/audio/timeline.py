"""Where each frame belongs in time: duplicates, holes, late frames. Pure.

Positions are counted in samples from the first frame of the stream, the same zero for all tracks. Timestamps and chunk
numbers come from the carrier and may be missing or nonsense; audio is never thrown away for that.
"""

from __future__ import annotations

from attrs import define, field, frozen

__all__ = ["MAX_HOLE", "MAX_TRACKS", "Placed", "Timeline"]

MAX_HOLE = 60.0  # seconds of silence for one hole; a longer one is shortened, for all tracks alike
MAX_TRACKS = 8  # there are two; more than a few come from no telephone
_REMEMBERED = 512  # missing chunks per track that may still come


@frozen
class Placed:
    """A frame's place.

    :ivar position: of its first sample.
    :ivar hole: samples missing right before it.
    :ivar late: whether it fills a hole that was found earlier.
    """

    position: int
    hole: int = 0
    late: bool = False


@define(eq=False)
class _Track:
    end: int = 0  # where the audio so far ends
    begun: bool = False
    next_chunk: int | None = None
    last_timestamp: int = -1
    missing: dict[int, None] = field(factory=dict)  # ordered, so that the oldest can be forgotten


@define(eq=False)
class Timeline:
    """The timeline of one stream.

    :ivar sample_rate: Hz.
    """

    sample_rate: int
    _zero: float | None = None  # the timestamp, in ms, of position 0
    _tracks: dict[str, _Track] = field(factory=dict)

    @property
    def end(self) -> int:
        """Where the audio of the longest track ends, in samples."""
        return max((track.end for track in self._tracks.values()), default=0)

    def has_room_for(self, name: str) -> bool:
        """Whether *name* is a known track, or may become one."""
        return name in self._tracks or len(self._tracks) < MAX_TRACKS

    def place(self, name: str, timestamp: int | None, chunk: int | None, samples: int) -> Placed | None:
        """Find the place of a frame of *samples* samples, or ``None`` if this track has had it before.

        :param timestamp: in ms, as the carrier gave it.
        :param chunk: the frame's number within its track.
        """
        track = self._tracks.get(name)
        if track is None:
            track = self._tracks[name] = _Track()
        late = False
        if chunk is not None:
            if track.next_chunk is None or chunk >= track.next_chunk:
                self._advance(track, chunk)
            elif chunk in track.missing:
                del track.missing[chunk]
                late = timestamp is not None
            elif timestamp is not None and timestamp <= track.last_timestamp:
                return None
            else:  # the carrier counts anew, or not at all
                track.missing.clear()
                track.next_chunk = chunk + 1
        placed = self._position(track, timestamp, samples, late)
        track.begun = True
        track.end = max(track.end, placed.position + samples)
        if timestamp is not None and timestamp > track.last_timestamp:
            track.last_timestamp = timestamp
        return placed

    @staticmethod
    def _advance(track: _Track, chunk: int) -> None:
        expected = track.next_chunk
        track.next_chunk = chunk + 1
        if expected is None or chunk == expected:
            return
        for number in range(max(expected, chunk - _REMEMBERED), chunk):
            track.missing[number] = None
        while len(track.missing) > _REMEMBERED:
            del track.missing[next(iter(track.missing))]

    def _position(self, track: _Track, timestamp: int | None, samples: int, late: bool) -> Placed:
        rate = self.sample_rate
        if timestamp is None:
            return Placed(track.end)
        if self._zero is None:
            self._zero = timestamp - track.end * 1000 / rate
        wanted = round((timestamp - self._zero) * rate / 1000)
        if late and wanted < track.end:
            return Placed(max(wanted, 0), late=True)
        hole = wanted - track.end
        # Timestamps are whole milliseconds, and some carriers take them from a clock that jitters.
        tolerance = min(max(samples // 2, rate // 500), rate // 50)
        if hole <= tolerance:
            return Placed(track.end)
        longest = round(MAX_HOLE * rate)
        if hole > longest:
            self._zero += (hole - longest) * 1000 / rate
            hole = longest
        # A track that begins later than the other has lost nothing.
        return Placed(track.end + hole, hole if track.begun else 0)
