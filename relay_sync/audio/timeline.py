"""Compute the position of each frame, and detect duplicates, gaps, late frames and clock changes.

Positions are sample offsets from the stream's first frame, with a common origin for all tracks. Timestamps and chunk numbers
come from the carrier and may be missing or wrong. Frames with wrong numbers are still placed, so that no audio is lost.

A frame is a duplicate if a recent frame of the same track had the same chunk, timestamp and payload. The payload is compared
because a carrier may restart its counters mid-stream.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import islice
from struct import Struct
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
_EXPECTED = 2**52  # maximum number that is expected, far below the largest that messages may contain
_JITTER = 1.0  # seconds that timestamps may lag before a clock change is assumed
_ROW = Struct("qdqq")  # chunk, timestamp, payload hash, sequence number
_PACK = _ROW.pack_into
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

    __slots__ = ("count", "fingerprints", "rows")

    def __init__(self) -> None:
        self.count: int = 0
        self.rows: bytearray = bytearray(_REMEMBERED * _ROW.size)
        self.fingerprints: array[int] = array("I", bytes(4 * _FINGERPRINTS))

    def __len__(self) -> int:
        return min(self.count, _REMEMBERED)

    def add(self, chunk: int | None, timestamp: Stamp, mark: int, sequence: int | None) -> None:
        """Add a frame. It replaces the oldest frame."""
        index = self.count % _REMEMBERED
        self.count += 1
        _PACK(
            self.rows,
            index * _ROW.size,
            -1 if chunk is None else chunk,
            -1.0 if timestamp is None else timestamp,
            mark,
            -1 if sequence is None else sequence,
        )
        if chunk is not None and timestamp is not None:
            self.fingerprints[chunk % _FINGERPRINTS] = hash((chunk, timestamp, mark)) & 0xFFFFFFFF

    def is_newest(self, chunk: int | None, timestamp: Stamp) -> bool:
        """Return whether the last frame had this chunk and timestamp."""
        index = (self.count - 1) % _REMEMBERED
        last = _ROW.unpack_from(self.rows, index * _ROW.size)
        return last[:2] == (-1 if chunk is None else chunk, -1 if timestamp is None else timestamp)

    def like(self, chunk: int | None, timestamp: Stamp) -> Iterator[tuple[int, int]]:
        """Yield the payload hash and sequence number of each frame with this chunk and timestamp."""
        wanted = -1 if chunk is None else chunk, -1 if timestamp is None else timestamp
        for row in islice(_ROW.iter_unpack(self.rows), len(self)):
            if row[:2] == wanted:
                yield row[2:]

    def had(self, chunk: int, timestamp: float, mark: int) -> bool:
        """Return whether the fingerprints include a frame with this chunk, timestamp and payload hash."""
        return self.fingerprints[chunk % _FINGERPRINTS] == hash((chunk, timestamp, mark)) & 0xFFFFFFFF


@define(eq=False)
class Track:
    """State of one track."""

    name: str
    label: bytes = field(init=False)  # the name, as in a message
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
    size: int = 0  # expected size of the next payload in bytes
    following: int = 0  # expected chunk of the next frame; see follow()
    samples: int = 0  # expected number of samples of the next frame
    step: int = 0  # duration of the samples in ms
    next_timestamp: int = -1  # expected timestamp of the next frame; -1 if none can be expected

    def __attrs_post_init__(self) -> None:
        self.label = self.name.encode()

    def expect(self, chunk: int | None, timestamp: Stamp, samples: int, sample_rate: int) -> None:
        """Expect a frame like the last one, whose numbers are given."""
        self.step, rest = divmod(1000 * samples, sample_rate)
        if chunk is None or chunk + 1 != self.next_chunk or type(timestamp) is not int or rest or not samples:
            self.next_timestamp = -1
        else:
            self.following, self.samples, self.next_timestamp = chunk + 1, samples, timestamp + self.step

    def follow(self, timestamp: int, payload: bytes, sequence: int) -> int:
        """Place a frame that has exactly the expected numbers, and return its position. See :meth:`Timeline.steady`.

        :param timestamp: ``next_timestamp``.
        :param payload: the encoded audio, which has ``samples`` samples.
        :param sequence: number of the message within the stream.
        """
        chunk, recent, mark = self.following, self.recent, hash(payload)
        # The steps of _Recent.add().
        _PACK(recent.rows, recent.count % _REMEMBERED * _ROW.size, chunk, timestamp, mark, sequence)
        recent.count += 1
        recent.fingerprints[chunk % _FINGERPRINTS] = hash((chunk, timestamp, mark)) & 0xFFFFFFFF
        self.repeated = 0
        self.last_sequence, self.last_timestamp = sequence, timestamp
        self.next_timestamp = timestamp + self.step
        self.following = self.next_chunk = chunk + 1
        position = self.end
        self.end = position + self.samples
        return position


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
    _tracks: dict[str, Track] = field(factory=dict)
    _jitter: int = field(init=False)  # minimum tolerance of place(), in samples

    def __attrs_post_init__(self) -> None:
        self._jitter = self.sample_rate // 500

    @property
    def end(self) -> int:
        """The end of the longest track, in samples. Any thread may read it."""
        return max((track.end for track in tuple(self._tracks.values())), default=0)

    def has_room_for(self, name: str) -> bool:
        """Return whether a track exists or can be added."""
        return name in self._tracks or len(self._tracks) < MAX_TRACKS

    def steady(self, sequence: int) -> tuple[Track, ...]:
        """Return the tracks for which :meth:`Track.follow` may be called, because their last frames had usual numbers.

        :param sequence: number of the next message within the stream.
        """
        return tuple(track for track in self._tracks.values() if self._is_steady(track, sequence))

    def _is_steady(self, track: Track, sequence: int) -> bool:
        largest = max(track.next_timestamp, track.following, sequence)
        if track.next_timestamp < 0 or sequence <= track.last_sequence or largest > _EXPECTED:
            return False
        off = (track.next_timestamp - track.zero - track.shift) * self.sample_rate / 1000 - track.end
        return track.next_timestamp > track.last_timestamp and -self._jitter <= off <= self._jitter

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
            track = self._tracks[name] = Track(name)
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

    def _came_before(self, track: Track, timestamp: Stamp, chunk: int | None, mark: int, sequence: int | None) -> bool:
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

    def _wanted(self, track: Track, zero: float, timestamp: float) -> int:
        return round((timestamp - zero - track.shift) * self.sample_rate / 1000)

    def place(self, name: str, timestamp: Stamp, chunk: int | None, samples: int, size: int = 0) -> Placed:
        """Compute the position of a frame that is not a duplicate.

        :param name: name of the track.
        :param timestamp: the carrier's timestamp in milliseconds.
        :param chunk: number of the frame within its track.
        :param samples: number of samples; 0 if the audio cannot be decoded.
        :param size: size of the payload in bytes.
        """
        track = self._tracks.get(name)
        if track is None:
            track = self._tracks[name] = Track(name)
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
        track.size = size
        track.expect(chunk, timestamp, samples, self.sample_rate)
        return placed

    def _position(self, track: Track, timestamp: Stamp, samples: int, late: bool) -> Placed:
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

    def _clock(self, track: Track, timestamp: float, samples: int, tolerance: int, longest: int) -> float:
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

    def _behind(self, track: Track, timestamp: float, samples: int, behind: int, late: bool) -> Placed:
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


def _gap_for(track: Track, wanted: int, samples: int, tolerance: int) -> int | None:
    """Return the index of an earlier gap that has room for a frame, or ``None`` if there is none."""
    for index in range(len(track.holes) - 1, -1, -1):
        hole = track.holes[index]
        if wanted >= hole.start - tolerance and wanted + samples <= hole.end + tolerance:
            return index
    return None


def _fill(track: Track, wanted: int, samples: int, tolerance: int) -> Placed | None:
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
