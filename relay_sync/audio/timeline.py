"""Where each frame belongs in time: duplicates, gaps, late frames, clocks that jump. Pure.

Positions are counted in samples from the first frame of the stream, the same zero for all tracks. Timestamps and chunk
numbers come from the carrier and may be missing or invalid; audio is never discarded for that. A duplicate is a frame
whose track, chunk and timestamp arrived before with the same payload: counters that restart bring other audio. A frame that
is no longer remembered is not a duplicate.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import TypeAlias

from attrs import define, field

__all__ = ["BELIEVED", "MAX_HOLE", "MAX_TRACKS", "Placed", "Timeline"]

BELIEVED = 3000.0  # seconds; a longer jump of the timestamps is a clock that was set, unless our own has seen it pass
MAX_HOLE = 60.0  # seconds of silence for such a jump, unless another track has sound there
MAX_TRACKS = 8  # there are two; more than a few come from no telephone
_REMEMBERED = 128  # frames per track that are still known
_FINGERPRINTS = 2048  # of frames per track, by chunk: over half a minute
_REPEATED = 3  # older frames (of silence, say) repeated in a row; more means a count that restarted
_HOLES = 64  # per track that a late frame may still fill
_JITTER = 1.0  # seconds that a clock may lag before it is taken to have been set back
_CLOCKS = 4  # that tracks may go back to, or take over from each other

Stamp: TypeAlias = int | float | None


@define
class Placed:
    """A frame's place.

    :ivar position: of its first sample.
    :ivar hole: samples missing right before it.
    :ivar late: whether it came after later ones.
    :ivar filled: samples of a hole found earlier that it fills.
    :ivar holes: by how many the number of holes changes.
    """

    position: int
    hole: int = 0
    late: bool = False
    filled: int = 0
    holes: int = 0


@define(eq=False)
class _Hole:
    start: int
    end: int
    counts: bool  # not what lies before a track's first frame


class _Recent:
    """What is known of the newest frames of a track: chunk, timestamp, hash of the payload, sequence. Of older ones a
    fingerprint of the first three.

    In arrays, since there is one for each of many tracks and each frame changes it: a sixth of the memory, and no work for
    the garbage collector. ``-1`` stands for what a frame did not have.
    """

    __slots__ = ("_chunks", "_count", "_fingerprints", "_marks", "_sequences", "_timestamps")

    def __init__(self) -> None:
        self._count = 0
        empty = bytes(8 * _REMEMBERED)
        self._chunks, self._marks, self._sequences = array("q", empty), array("q", empty), array("q", empty)
        self._timestamps = array("d", empty)
        self._fingerprints = array("I", bytes(4 * _FINGERPRINTS))

    def __len__(self) -> int:
        return min(self._count, _REMEMBERED)

    def add(self, chunk: int | None, timestamp: Stamp, mark: int, sequence: int | None) -> None:
        """One more; the oldest is forgotten."""
        index = self._count % _REMEMBERED
        self._count += 1
        self._chunks[index] = -1 if chunk is None else chunk
        self._timestamps[index] = -1.0 if timestamp is None else timestamp
        self._marks[index] = mark
        self._sequences[index] = -1 if sequence is None else sequence
        if chunk is not None and timestamp is not None:
            self._fingerprints[chunk % _FINGERPRINTS] = hash((chunk, timestamp, mark)) & 0xFFFFFFFF

    def is_newest(self, chunk: int | None, timestamp: Stamp) -> bool:
        """Whether the last one had these."""
        index = (self._count - 1) % _REMEMBERED
        return self._chunks[index] == (-1 if chunk is None else chunk) and self._timestamps[index] == (
            -1 if timestamp is None else timestamp
        )

    def like(self, chunk: int | None, timestamp: Stamp) -> Iterator[tuple[int, int]]:
        """Hash and sequence (-1: none) of the frames that had these."""
        chunk, timestamp = -1 if chunk is None else chunk, -1 if timestamp is None else timestamp
        for index in range(len(self)):
            if self._chunks[index] == chunk and self._timestamps[index] == timestamp:
                yield self._marks[index], self._sequences[index]

    def had(self, chunk: int, timestamp: float, mark: int) -> bool:
        """Whether there was one with all three, as far back as fingerprints tell."""
        return self._fingerprints[chunk % _FINGERPRINTS] == hash((chunk, timestamp, mark)) & 0xFFFFFFFF


@define(eq=False)
class _Track:
    end: int = 0  # where the audio so far ends
    begun: bool = False
    zero: float = 0.0  # the timestamp, in ms, of position 0 by the clock it goes by
    shift: float = 0.0  # ms by which late frames have moved back what follows
    next_chunk: int | None = None
    last_timestamp: float = -1.0
    last_sequence: int = -1
    recent: _Recent = field(factory=_Recent)
    repeated: int = 0  # frames from long ago that have come again in a row, all with this payload, by its hash
    repeated_mark: int = 0
    moves: bool = False  # whether its counters have been seen to change
    holes: list[_Hole] = field(factory=list)  # the same


@define(eq=False)
class Timeline:
    """The timeline of one stream.

    :ivar sample_rate: Hz.
    :ivar conflicts: frames with the counters of another but with other audio.
    :ivar elapsed: seconds since the first frame by the local clock, updated by the caller.
    """

    sample_rate: int
    conflicts: int = 0
    elapsed: float = 0.0
    _clocks: list[float] = field(factory=list)  # the timestamps of position 0, by the clocks seen so far; newest last
    _tracks: dict[str, _Track] = field(factory=dict)
    _jitter: int = field(init=False)  # samples; the least tolerance of place()

    def __attrs_post_init__(self) -> None:
        self._jitter = self.sample_rate // 500

    @property
    def end(self) -> int:
        """Where the audio of the longest track ends, in samples."""
        return max((track.end for track in self._tracks.values()), default=0)

    def has_room_for(self, name: str) -> bool:
        """Whether *name* is a known track, or may become one."""
        return name in self._tracks or len(self._tracks) < MAX_TRACKS

    def follows(
        self, name: str, timestamp: Stamp, chunk: int | None, payload: bytes, sequence: int | None = None
    ) -> bool:
        """Whether the frame is just what was to come next on its track, as nearly all are. The short way: if so,
        :meth:`append` is to follow, or :meth:`place`; if not, nothing has happened."""
        track = self._tracks.get(name)
        if track is None or chunk is None or timestamp is None or chunk != track.next_chunk or not payload:
            return False
        if not track.begun or timestamp <= track.last_timestamp:
            return False
        off = (timestamp - track.zero - track.shift) * self.sample_rate / 1000 - track.end
        if not -self._jitter <= off <= self._jitter:
            return False
        track.moves = True
        track.repeated = 0
        track.recent.add(chunk, timestamp, hash(payload), sequence)
        if sequence is not None and sequence > track.last_sequence:
            track.last_sequence = sequence
        return True

    def append(self, name: str, timestamp: Stamp, chunk: int | None, samples: int) -> int:
        """The position of a frame that :meth:`follows`."""
        track = self._tracks[name]
        position = track.end
        track.end = position + samples
        if chunk is not None and timestamp is not None:
            track.next_chunk, track.last_timestamp = chunk + 1, timestamp
        return position

    def is_duplicate(
        self, name: str, timestamp: Stamp, chunk: int | None, payload: bytes = b"", sequence: int | None = None
    ) -> bool:
        """Whether this track has had the frame before. Asked once for each frame, before :meth:`place`.

        :param timestamp: in ms, as the carrier gave it.
        :param chunk: the frame's number within its track.
        :param sequence: the message's number.
        """
        track = self._tracks.get(name)
        if track is None:
            track = self._tracks[name] = _Track()
        if timestamp is None and chunk is None:
            return False
        mark, recent = hash(payload), track.recent
        if chunk is None:
            fresh = timestamp is None or timestamp > track.last_timestamp
        else:
            fresh = track.next_chunk is None or chunk >= track.next_chunk
        if not fresh and self._came_before(track, timestamp, chunk, mark, sequence):
            return True
        track.repeated = 0
        if recent and not track.moves and not recent.is_newest(chunk, timestamp):
            track.moves = True
        recent.add(chunk, timestamp, mark, sequence)
        if sequence is not None and sequence > track.last_sequence:
            track.last_sequence = sequence
        return False

    def _came_before(self, track: _Track, timestamp: Stamp, chunk: int | None, mark: int, sequence: int | None) -> bool:
        known = False
        for other, number in track.recent.like(chunk, timestamp):
            known = True
            if other != mark:
                continue
            if chunk is not None and timestamp is not None:
                return True
            if track.moves or (sequence is not None and sequence == number):
                return True  # half a key says enough only if it is seen to move
        if known:
            self.conflicts += 1
            return False
        if chunk is None or timestamp is None or (sequence is not None and sequence > track.last_sequence):
            return False  # counters that restarted have a new sequence, if any
        if not track.recent.had(chunk, timestamp, mark):
            return False
        track.repeated = track.repeated + 1 if mark == track.repeated_mark else 1
        track.repeated_mark = mark
        return track.repeated <= _REPEATED

    def _wanted(self, track: _Track, zero: float, timestamp: float) -> int:
        return round((timestamp - zero - track.shift) * self.sample_rate / 1000)

    def place(self, name: str, timestamp: Stamp, chunk: int | None, samples: int) -> Placed:
        """Find the place of a frame of *samples* samples (0: not known) that is no duplicate."""
        track = self._tracks.get(name)
        if track is None:
            track = self._tracks[name] = _Track()
        late = False
        if chunk is not None:
            following = track.next_chunk
            if following is None or chunk >= following:
                track.next_chunk = chunk + 1
            elif timestamp is None or timestamp <= track.last_timestamp:
                late = True
            else:  # the carrier's count restarted, or it does not count
                track.next_chunk = chunk + 1
        placed = self._position(track, timestamp, samples, late)
        track.begun = True
        if track.last_timestamp < 0 and chunk is not None:
            track.next_chunk = chunk + 1
        if placed.position + samples > track.end:
            track.end = placed.position + samples
        if timestamp is not None and timestamp > track.last_timestamp:
            track.last_timestamp = timestamp
        return placed

    def _position(self, track: _Track, timestamp: Stamp, samples: int, late: bool) -> Placed:
        rate = self.sample_rate
        if timestamp is None:
            return Placed(track.end, late=late)
        # Timestamps are whole milliseconds, and some carriers take them from a clock that jitters.
        tolerance = min(max(samples // 2, rate // 500), rate // 50)
        if (
            track.begun
            and samples
            and -tolerance <= self._wanted(track, track.zero, timestamp) - track.end <= tolerance
        ):
            return Placed(track.end)
        longest = max(round(MAX_HOLE * rate), self.end - track.end, round((self.elapsed + MAX_HOLE) * rate) - track.end)
        believed = max(round(BELIEVED * rate), longest)
        track.zero = self._clock(track, timestamp, samples, tolerance, believed)
        wanted = self._wanted(track, track.zero, timestamp)
        if not samples:  # not decoded, so of unknown length: its time is all that is known, and no hole is
            return Placed(max(wanted, track.end) if wanted - track.end <= believed else track.end)
        hole = wanted - track.end
        if -tolerance <= hole <= tolerance:
            return Placed(track.end)
        if hole < 0:
            return _fill(track, wanted, samples, tolerance) or self._behind(track, timestamp, samples, -hole, late)
        if hole > believed:
            track.zero = self._new_clock(track.zero + (hole - longest) * 1000 / rate)
            hole = longest
        position = track.end + hole
        track.holes.append(_Hole(track.end, position, track.begun))
        if len(track.holes) > _HOLES:
            del track.holes[0]
        # A track that begins later than the other has lost nothing.
        return Placed(position, hole, holes=1) if track.begun else Placed(position)

    def _clock(self, track: _Track, timestamp: float, samples: int, tolerance: int, longest: int) -> float:
        """The clock for this timestamp: mostly the track's own.

        One timestamp that is nonsense looks like a clock that was set; the next one shows that it was not. And what
        happens to the carrier's clock is first seen in one track, then in the other.
        """
        clocks, end = self._clocks, track.end
        if not clocks:
            return self._new_clock(timestamp - end * 1000 / self.sample_rate)
        own = track.zero if track.begun else clocks[-1]
        apart = self._wanted(track, own, timestamp) - end
        if len(clocks) == 1:
            return own
        others = [(zero, self._wanted(track, zero, timestamp) - end) for zero in reversed(clocks) if zero != own]
        for zero, off in others:
            if -tolerance <= off <= tolerance and track.begun:
                return zero
        for zero, off in [(own, apart), *others]:
            if -_JITTER * self.sample_rate <= off <= longest:
                return zero
            if off < 0 and _gap_for(track, end + off, samples, tolerance) is not None:
                return zero
        return own

    def _new_clock(self, zero: float) -> float:
        self._clocks.append(zero)
        del self._clocks[:-_CLOCKS]
        return zero

    def _behind(self, track: _Track, timestamp: float, samples: int, behind: int, late: bool) -> Placed:
        """A frame whose time has passed, and nothing is missing there: it goes to the end, so that it is not lost."""
        rate, end = self.sample_rate, track.end
        if behind > _JITTER * rate and not (late and behind < 2 * _JITTER * rate):
            # Its clock was set back. How long that took only our own clock can tell.
            hole = round(self.elapsed * rate) - end
            if not track.begun or hole <= _JITTER * rate:
                hole = 0
            position = end + hole
            track.zero = self._new_clock(timestamp - track.shift - position * 1000 / rate)
            track.last_timestamp = -1.0  # whatever came before says nothing about what comes
            return Placed(position, hole, holes=1) if hole else Placed(position)
        if late:  # what follows moves back by as much
            track.shift -= samples * 1000 / rate
        return Placed(end, late=late)


def _gap_for(track: _Track, wanted: int, samples: int, tolerance: int) -> int | None:
    """Which of the holes found earlier has room for so many samples there, if any."""
    for index in range(len(track.holes) - 1, -1, -1):
        hole = track.holes[index]
        if wanted >= hole.start - tolerance and wanted + samples <= hole.end + tolerance:
            return index
    return None


def _fill(track: _Track, wanted: int, samples: int, tolerance: int) -> Placed | None:
    """The place in a hole found earlier, if there is one."""
    index = _gap_for(track, wanted, samples, tolerance)
    if index is None:
        return None
    hole = track.holes[index]
    position = max(hole.start, min(wanted, hole.end - samples))
    pieces = [(hole.start, position), (position + samples, hole.end)]
    rest = [_Hole(start, end, hole.counts) for start, end in pieces if end - start > tolerance]
    track.holes[index : index + 1] = rest
    if not hole.counts:
        return Placed(position, late=True)
    filled = hole.end - hole.start - sum(piece.end - piece.start for piece in rest)
    return Placed(position, late=True, filled=filled, holes=len(rest) - 1)
