"""Compute the position of each frame, and detect duplicates, gaps, late frames and clock changes.

Positions are sample offsets from the stream's first frame, with a common origin for all tracks. Timestamps and chunk numbers
come from the carrier and may be missing or wrong. Frames with wrong numbers are still placed, so that no audio is lost.

A frame is a duplicate if a recent frame of the same track had the same chunk, timestamp and payload. The payload is compared
because a carrier may restart its counters mid-stream.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import TypeAlias

from attrs import define, field

__all__ = ["BELIEVED", "MAX_HOLE", "MAX_TRACKS", "Placed", "Timeline"]

BELIEVED = 3000.0  # seconds; a larger jump of the timestamps is a clock change, unless that much time has passed
MAX_HOLE = 60.0  # maximum seconds of silence for a clock change, unless other tracks or the local clock are ahead
MAX_TRACKS = 8  # maximum number of tracks; real streams have at most two
_REMEMBERED = 128  # frames per track that are remembered completely
_FINGERPRINTS = 2048  # fingerprints per track, indexed by chunk; they cover over half a minute
_REPEATED = 3  # maximum number of old duplicates in a row with one payload; more mean that the counters restarted
_HOLES = 64  # maximum number of gaps per track that late frames can fill
_JITTER = 1.0  # seconds that timestamps may lag before a clock change is assumed
_CLOCKS = 4  # number of recent clocks, which tracks can return to or adopt from each other

Stamp: TypeAlias = int | float | None


@define
class Placed:
    """The position of a frame.

    :ivar position: position of the first sample.
    :ivar hole: number of missing samples directly before the frame.
    :ivar late: whether the frame arrived after later frames.
    :ivar filled: number of samples that the frame fills in an earlier gap.
    :ivar holes: change in the number of gaps.
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
    counts: bool  # whether audio is missing; false for the silence before the first frame of a track


class _Recent:
    """A track's most recent frames, used to detect duplicates.

    It stores each frame's chunk, timestamp, payload hash and sequence number. Older frames are recognized by a fingerprint of
    the first three. The data is in arrays, which use a sixth of the memory that objects would need and create no work for the
    garbage collector. ``-1`` represents a missing value.
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
        """Add a frame. It replaces the oldest frame."""
        index = self._count % _REMEMBERED
        self._count += 1
        self._chunks[index] = -1 if chunk is None else chunk
        self._timestamps[index] = -1.0 if timestamp is None else timestamp
        self._marks[index] = mark
        self._sequences[index] = -1 if sequence is None else sequence
        if chunk is not None and timestamp is not None:
            self._fingerprints[chunk % _FINGERPRINTS] = hash((chunk, timestamp, mark)) & 0xFFFFFFFF

    def is_newest(self, chunk: int | None, timestamp: Stamp) -> bool:
        """Return whether the last frame had this chunk and timestamp."""
        index = (self._count - 1) % _REMEMBERED
        return self._chunks[index] == (-1 if chunk is None else chunk) and self._timestamps[index] == (
            -1 if timestamp is None else timestamp
        )

    def like(self, chunk: int | None, timestamp: Stamp) -> Iterator[tuple[int, int]]:
        """Yield the payload hash and sequence number of each frame with this chunk and timestamp."""
        chunk, timestamp = -1 if chunk is None else chunk, -1 if timestamp is None else timestamp
        for index in range(len(self)):
            if self._chunks[index] == chunk and self._timestamps[index] == timestamp:
                yield self._marks[index], self._sequences[index]

    def had(self, chunk: int, timestamp: float, mark: int) -> bool:
        """Return whether the fingerprints include a frame with this chunk, timestamp and payload hash."""
        return self._fingerprints[chunk % _FINGERPRINTS] == hash((chunk, timestamp, mark)) & 0xFFFFFFFF


@define(eq=False)
class _Track:
    end: int = 0  # position after the last sample
    started: bool = False  # whether a frame has been placed
    zero: float = 0.0  # timestamp of position 0 in ms, by the track's current clock
    shift: float = 0.0  # correction of timestamps in ms; negative after late frames were appended
    next_chunk: int | None = None
    last_timestamp: float = -1.0
    last_sequence: int = -1
    recent: _Recent = field(factory=_Recent)
    repeated: int = 0  # number of consecutive old duplicates with the same payload
    repeated_mark: int = 0  # hash of that payload
    moves: bool = False  # whether the chunk or timestamp has changed between frames
    holes: list[_Hole] = field(factory=list)  # gaps that late frames can fill


@define(eq=False)
class Timeline:
    """One stream's timeline.

    :ivar sample_rate: sample rate in Hz.
    :ivar conflicts: number of frames with the same chunk and timestamp as an earlier frame but different audio.
    :ivar elapsed: seconds since the first frame by the local clock. The caller updates it.
    """

    sample_rate: int
    conflicts: int = 0
    elapsed: float = 0.0
    _clocks: list[float] = field(factory=list)  # timestamp of position 0 for each recent clock; newest last
    _tracks: dict[str, _Track] = field(factory=dict)
    _jitter: int = field(init=False)  # minimum tolerance of place(), in samples

    def __attrs_post_init__(self) -> None:
        self._jitter = self.sample_rate // 500

    @property
    def end(self) -> int:
        """The end of the longest track, in samples."""
        return max((track.end for track in self._tracks.values()), default=0)

    def has_room_for(self, name: str) -> bool:
        """Return whether a track exists or can be added."""
        return name in self._tracks or len(self._tracks) < MAX_TRACKS

    def follows(
        self, name: str, timestamp: Stamp, chunk: int | None, payload: bytes, sequence: int | None = None
    ) -> bool:
        """Return whether a frame directly follows the previous frame of its track. Nearly all frames do.

        If the result is true, the frame has been recorded, and the caller must call :meth:`append` or :meth:`place` next. If
        it is false, the state has not changed, and the caller continues with :meth:`is_duplicate`.
        """
        track = self._tracks.get(name)
        if track is None or chunk is None or timestamp is None or chunk != track.next_chunk or not payload:
            return False
        if not track.started or timestamp <= track.last_timestamp:
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
        """Place a frame for which :meth:`follows` returned true, and return its position."""
        track = self._tracks[name]
        position = track.end
        track.end = position + samples
        if chunk is not None and timestamp is not None:
            track.next_chunk, track.last_timestamp = chunk + 1, timestamp
        return position

    def is_duplicate(
        self, name: str, timestamp: Stamp, chunk: int | None, payload: bytes = b"", sequence: int | None = None
    ) -> bool:
        """Return whether a frame is a duplicate. Call this once for each frame, before :meth:`place`.

        :param name: name of the track.
        :param timestamp: the carrier's timestamp in milliseconds.
        :param chunk: number of the frame within its track.
        :param payload: the encoded audio.
        :param sequence: number of the message within the stream.
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
                return True  # a lone chunk or timestamp is significant only if it changes between frames
        if known:
            self.conflicts += 1
            return False
        if chunk is None or timestamp is None or (sequence is not None and sequence > track.last_sequence):
            return False  # a new sequence number means that the counters restarted
        if not track.recent.had(chunk, timestamp, mark):
            return False
        track.repeated = track.repeated + 1 if mark == track.repeated_mark else 1
        track.repeated_mark = mark
        return track.repeated <= _REPEATED

    def _wanted(self, track: _Track, zero: float, timestamp: float) -> int:
        return round((timestamp - zero - track.shift) * self.sample_rate / 1000)

    def place(self, name: str, timestamp: Stamp, chunk: int | None, samples: int) -> Placed:
        """Compute the position of a frame that is not a duplicate.

        :param name: name of the track.
        :param timestamp: the carrier's timestamp in milliseconds.
        :param chunk: number of the frame within its track.
        :param samples: number of samples; 0 if the audio cannot be decoded.
        """
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
            else:  # the carrier's counter restarted, or never changes
                track.next_chunk = chunk + 1
        placed = self._position(track, timestamp, samples, late)
        track.started = True
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
        # Timestamps are rounded to milliseconds, and some carriers' clocks jitter.
        tolerance = min(max(samples // 2, rate // 500), rate // 50)
        if (
            track.started
            and samples
            and -tolerance <= self._wanted(track, track.zero, timestamp) - track.end <= tolerance
        ):
            return Placed(track.end)
        longest = max(round(MAX_HOLE * rate), self.end - track.end, round((self.elapsed + MAX_HOLE) * rate) - track.end)
        believed = max(round(BELIEVED * rate), longest)
        track.zero = self._clock(track, timestamp, samples, tolerance, believed)
        wanted = self._wanted(track, track.zero, timestamp)
        if not samples:  # the duration is unknown, so gaps cannot be detected
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
        track.holes.append(_Hole(track.end, position, track.started))
        if len(track.holes) > _HOLES:
            del track.holes[0]
        # No audio is missing if a track starts later than the other.
        return Placed(position, hole, holes=1) if track.started else Placed(position)

    def _clock(self, track: _Track, timestamp: float, samples: int, tolerance: int, longest: int) -> float:
        """Return the clock that fits a timestamp, which is usually the track's current clock.

        Recent clocks are kept for two reasons. First, a single wrong timestamp looks like a clock change, and the next frame
        must return to the previous clock. Second, a real change is detected in one track first, and the other track must adopt
        the new clock.
        """
        clocks, end = self._clocks, track.end
        if not clocks:
            return self._new_clock(timestamp - end * 1000 / self.sample_rate)
        own = track.zero if track.started else clocks[-1]
        apart = self._wanted(track, own, timestamp) - end
        if len(clocks) == 1:
            return own
        others = [(zero, self._wanted(track, zero, timestamp) - end) for zero in reversed(clocks) if zero != own]
        for zero, off in others:
            if -tolerance <= off <= tolerance and track.started:
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
        """Append a frame whose timestamp is in the past and fits no gap. Otherwise, its audio would be lost."""
        rate, end = self.sample_rate, track.end
        if behind > _JITTER * rate and not (late and behind < 2 * _JITTER * rate):
            # The carrier's clock was set back. Only the local clock shows how much time has passed.
            hole = round(self.elapsed * rate) - end
            if not track.started or hole <= _JITTER * rate:
                hole = 0
            position = end + hole
            track.zero = self._new_clock(timestamp - track.shift - position * 1000 / rate)
            track.last_timestamp = -1.0  # earlier timestamps are not comparable
            return Placed(position, hole, holes=1) if hole else Placed(position)
        if late:  # later frames are delayed by the duration of this frame
            track.shift -= samples * 1000 / rate
        return Placed(end, late=late)


def _gap_for(track: _Track, wanted: int, samples: int, tolerance: int) -> int | None:
    """Return the index of an earlier gap that has room for a frame, or ``None`` if there is none."""
    for index in range(len(track.holes) - 1, -1, -1):
        hole = track.holes[index]
        if wanted >= hole.start - tolerance and wanted + samples <= hole.end + tolerance:
            return index
    return None


def _fill(track: _Track, wanted: int, samples: int, tolerance: int) -> Placed | None:
    """Place a late frame in an earlier gap. Return ``None`` if no gap has room for it."""
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
