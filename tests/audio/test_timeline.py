"""Where frames belong, whatever their numbers say."""

from __future__ import annotations

import sys
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay_sync.audio.timeline import BELIEVED, MAX_HOLE, Placed, Timeline, Track

FRAME = 160  # 20 ms at 8 kHz


def _come(
    line: Timeline,
    stamp: float | None,
    chunk: int | None,
    *,
    track: str = "inbound",
    audio: bytes = b"",
    samples: int = FRAME,
    **more: int | None,
) -> Placed | None:
    """A frame comes: ``None`` if it is a duplicate."""
    if line.is_duplicate(track, stamp, chunk, audio, **more):
        return None
    return line.place(track, stamp, chunk, samples)


def _place(line: Timeline, number: int, track: str = "inbound") -> Placed | None:
    return _come(line, 20 * number, number + 1, track=track)


def test_frame_after_frame() -> None:
    line = Timeline(8000)
    assert [_place(line, number) for number in range(5)] == [Placed(FRAME * number) for number in range(5)]
    assert line.end == 5 * FRAME


def test_the_first_timestamp_is_zero_for_all_tracks() -> None:
    line = Timeline(8000)
    assert line.place("inbound", 5000, 7, FRAME) == Placed(0)
    assert line.place("outbound", 5000, 1, FRAME) == Placed(0)
    assert line.place("outbound", 5020, 2, FRAME) == Placed(FRAME)


def test_a_track_that_begins_later_has_no_hole() -> None:
    line = Timeline(8000)
    for number in range(10):
        _place(line, number)
    assert line.place("outbound", 200, 1, FRAME) == Placed(1600, hole=0)


def test_a_hole_and_the_frame_that_fills_it_late() -> None:
    line = Timeline(8000)
    _place(line, 0)
    assert _place(line, 3) == Placed(3 * FRAME, hole=2 * FRAME, holes=1)
    assert _place(line, 1) == Placed(FRAME, late=True, filled=FRAME)
    assert _place(line, 1) is None
    assert _place(line, 4) == Placed(4 * FRAME)
    assert _place(line, 2) == Placed(2 * FRAME, late=True, filled=FRAME, holes=-1)


def test_a_frame_in_the_middle_of_a_hole_makes_two() -> None:
    line = Timeline(8000)
    _place(line, 0)
    _place(line, 4)
    assert _place(line, 2) == Placed(2 * FRAME, late=True, filled=FRAME, holes=1)
    assert _place(line, 1) == Placed(FRAME, late=True, filled=FRAME, holes=-1)
    assert _place(line, 3) == Placed(3 * FRAME, late=True, filled=FRAME, holes=-1)


def test_a_late_frame_without_a_chunk_finds_its_hole_by_its_time() -> None:
    line = Timeline(8000)
    assert [_come(line, stamp, None) for stamp in (0, 40, 20, 60)] == [
        Placed(0),
        Placed(2 * FRAME, hole=FRAME, holes=1),
        Placed(FRAME, late=True, filled=FRAME, holes=-1),
        Placed(3 * FRAME),
    ]


def test_the_second_frame_may_come_first() -> None:
    """Nothing is missing before it, so the first one goes behind it; neither is lost, and no hole is made of it."""
    line = Timeline(8000)
    assert [_place(line, number) for number in (1, 0, 2, 3)] == [
        Placed(0),
        Placed(FRAME, late=True),
        Placed(2 * FRAME),
        Placed(3 * FRAME),
    ]


def test_a_track_whose_second_frame_comes_first() -> None:
    line = Timeline(8000)
    for number in range(3):
        _place(line, number)
    assert _place(line, 1, "outbound") == Placed(FRAME)
    assert _place(line, 0, "outbound") == Placed(0, late=True)
    assert _place(line, 2, "outbound") == Placed(2 * FRAME)


def test_duplicates() -> None:
    line = Timeline(8000)
    for number in range(5):
        _place(line, number)
    assert [_place(line, number) for number in range(5)] == [None] * 5
    assert line.end == 5 * FRAME


def test_a_duplicate_from_long_ago() -> None:
    line = Timeline(8000)
    for number in range(1000):
        line.is_duplicate("inbound", 20 * number, number + 1, b"%d" % number, number + 2)
        line.place("inbound", 20 * number, number + 1, FRAME)
    assert line.is_duplicate("inbound", 60, 4, b"3", 5)
    assert not line.is_duplicate("inbound", 60, 4, b"3", 1002)  # its sequence is new: the carrier counts anew


def test_half_a_key_is_enough_where_it_moves() -> None:
    stamps, chunks, neither = Timeline(8000), Timeline(8000), Timeline(8000)
    assert [_come(stamps, stamp, None) is None for stamp in (0, 20, 20, 40)] == [False, False, True, False]
    assert [_come(stamps, 0, None, track="x", sequence=n) is None for n in (2, 2, 3)] == [False, True, False]
    assert [_come(chunks, None, chunk) is None for chunk in (1, 2, 2, 3)] == [False, False, True, False]
    assert [_come(neither, None, None) is None for _ in range(3)] == [False] * 3


def test_the_same_counters_with_other_audio_are_no_duplicates() -> None:
    line = Timeline(8000)
    for number in range(5):
        assert _come(line, 20 * number, number + 1, audio=b"a") == Placed(2 * number * FRAME)
        assert _come(line, 20 * number, number + 1, audio=b"b") == Placed((2 * number + 1) * FRAME, late=True)
    assert line.conflicts == 5


def test_a_clock_that_is_set_back_goes_on_from_there() -> None:
    line = Timeline(8000)
    for number in range(100):
        _come(line, 20 * number + 10**6, number + 1, audio=b"a")
    for number in range(10):
        assert _come(line, 20 * number, number + 1, audio=b"b") == Placed((100 + number) * FRAME)
    assert _come(line, 220, 12, audio=b"b") == Placed(111 * FRAME, hole=FRAME, holes=1)


def test_one_frame_with_nonsense_for_counters_costs_no_other() -> None:
    line = Timeline(8000)
    for number in range(1000):
        if number == 500:
            assert _come(line, 2**40, 2**40, audio=b"glitch", sequence=2**40) is not None
        audio = b"%d" % number
        assert _come(line, 20 * number, number + 1, audio=audio, sequence=number + 2) is not None, number
        assert _come(line, 20 * number, number + 1, audio=audio, sequence=number + 2) is None


def test_a_carrier_that_counts_nothing_loses_nothing() -> None:
    line = Timeline(8000)
    for number in range(5):
        assert line.place("inbound", None, None, FRAME) == Placed(FRAME * number)


def test_constant_chunks_and_constant_timestamps_lose_nothing() -> None:
    chunks, stamps = Timeline(8000), Timeline(8000)
    for number in range(5):
        assert chunks.place("inbound", 20 * number, 1, FRAME) == Placed(FRAME * number)
        assert stamps.place("inbound", 0, number, FRAME) == Placed(FRAME * number)


def test_a_carrier_that_counts_anew() -> None:
    line = Timeline(8000)
    for number in range(5):
        _place(line, number)
    for number in range(5, 10):
        assert line.place("inbound", 20 * number, number - 4, FRAME) == Placed(FRAME * number)


def test_timestamps_that_jitter_make_no_holes() -> None:
    line = Timeline(8000)
    for number, jitter in enumerate([0, 3, -4, 5, 0, -5, 4, 9, 0, 1]):
        assert line.place("inbound", max(0, 20 * number + jitter), number + 1, FRAME) == Placed(FRAME * number)


def test_rates_that_do_not_fit_into_milliseconds() -> None:
    line = Timeline(11_025)
    position = 0
    for number in range(500):
        samples = 220 if number % 2 else 221
        assert line.place("inbound", round(position / 11.025), number + 1, samples) == Placed(position)
        position += samples


def test_a_hole_that_cannot_be_is_shortened_for_both_tracks() -> None:
    line = Timeline(8000)
    for track in ("inbound", "outbound"):
        line.place(track, 0, 1, FRAME)
    longest = round(MAX_HOLE * 8000)
    hour = 3_600_000
    for track in ("inbound", "outbound"):
        assert line.place(track, hour, 2, FRAME) == Placed(FRAME + longest, hole=longest, holes=1)
        assert line.place(track, hour + 20, 3, FRAME) == Placed(2 * FRAME + longest)


def test_a_track_that_was_silent_for_long_stays_beside_the_other() -> None:
    line = Timeline(8000)
    for track in ("inbound", "outbound"):
        line.place(track, 0, 1, FRAME)
    for number in range(1, 5000):  # 100 s
        _place(line, number)
    placed = line.place("outbound", 5000 * 20, 2, FRAME)
    assert placed == Placed(5000 * FRAME, hole=4999 * FRAME, holes=1)
    assert _place(line, 5000) == Placed(5000 * FRAME)


@pytest.mark.parametrize("nonsense", [80_000, 2**53])
def test_one_timestamp_that_is_nonsense_does_not_move_one_track_against_the_other(nonsense: int) -> None:
    line = Timeline(8000)
    places = {"inbound": [], "outbound": []}  # type: dict[str, list[int]]
    for number in range(10):
        for track, found in places.items():
            stamp = nonsense if (track, number) == ("inbound", 4) else number * 20
            found.append(line.place(track, stamp, number + 1, FRAME).position)
    assert places["outbound"] == [number * FRAME for number in range(10)]
    del places["inbound"][4], places["outbound"][4]
    assert places["inbound"] == places["outbound"]


def test_one_timestamp_of_zero_makes_no_hole() -> None:
    line = Timeline(8000)
    for number in range(110):
        stamp = 0 if number == 100 else number * 20
        assert line.place("inbound", stamp, number + 1, FRAME) == Placed(number * FRAME)


@pytest.mark.parametrize("sequences", [None, "anew", "go on"])
@pytest.mark.parametrize("before", [40, 100, 130, 400, 3000])
@pytest.mark.parametrize("anew", ["both", "chunks", "timestamps", "chunks alone", "timestamps alone"])
def test_counters_that_begin_anew_lose_nothing(anew: str, before: int, sequences: str | None) -> None:
    """Whichever of them do, and whichever there are: the sound is new, so nothing of it came before."""
    line = Timeline(8000)
    positions = []
    for number in range(before + 300):
        again = number - before if number >= before else number
        chunk = (number if anew == "timestamps" else again) + 1
        stamp = 20 * (number if anew == "chunks" else again)
        positions.append(
            _come(
                line,
                None if anew == "chunks alone" else stamp,
                None if anew == "timestamps alone" else chunk,
                audio=b"%d" % number,
                sequence=None if sequences is None else 2 + (again if sequences == "anew" else number),
            )
        )
    assert [placed.position for placed in positions if placed] == [number * FRAME for number in range(before + 300)]


@pytest.mark.parametrize("wrap", [2**8, 2**16, 2**32])
def test_counters_that_wrap_lose_nothing(wrap: int) -> None:
    line = Timeline(8000)
    for number in range(600):
        count = wrap - 300 + number
        stamp, chunk, sequence = 20 * count % wrap, count % wrap, (count + 1) % wrap
        placed = _come(line, stamp, chunk, audio=b"%d" % number, sequence=sequence)
        assert placed is not None
        assert placed.position == number * FRAME


def test_silence_that_begins_anew_is_hardly_shortened() -> None:
    """The same counters with the same audio, long after: what comes again for more than a moment is no duplicate."""
    line = Timeline(8000)
    for number in range(400):
        assert _place(line, number) is not None
    assert [_place(line, number) is None for number in range(400)].count(True) <= 3
    assert line.end >= (800 - 3) * FRAME
    for number in range(150, 400):
        assert _place(line, number + 400) is not None
    assert [_place(line, number) is None for number in (560, 600, 650)] == [True] * 3


def test_duplicates_that_come_one_after_the_other_stay_duplicates() -> None:
    line = Timeline(8000)
    for number in range(1000):
        _come(line, 20 * number, number + 1, audio=b"%d" % number)
    for number in range(400, 1000):
        assert _come(line, 20 * number, number + 1, audio=b"%d" % number) is None
    assert _come(line, 20_000, 1001, audio=b"1000") == Placed(1000 * FRAME)


@pytest.mark.parametrize("short", [False, True])
def test_duplicates_of_long_ago_between_those_of_now(short: bool) -> None:
    line = Timeline(8000)
    for number in range(1000):
        steady = _steady(line, "inbound", 20 * number, number + 1, number, FRAME) if short else None
        if steady is not None:
            assert steady.follow(20 * number, b"%d" % number, number) == number * FRAME
        else:
            assert _come(line, 20 * number, number + 1, audio=b"%d" % number) == Placed(number * FRAME)
        if number > 300:
            assert _come(line, 20 * (number - 300), number - 299, audio=b"%d" % (number - 300)) is None


def test_a_clock_that_is_set_back_after_a_while_without_audio() -> None:
    line = Timeline(8000)
    for number in range(100):
        line.elapsed = number / 50
        _come(line, 20 * number, number + 1, audio=b"a%d" % number)
    line.elapsed = 12.0
    assert _come(line, 0, 1, audio=b"b") == Placed(12 * 8000, hole=10 * 8000, holes=1)
    assert _come(line, 20, 2, audio=b"c") == Placed(12 * 8000 + FRAME)


@pytest.mark.parametrize("seconds", [61, 600, 2400])
@pytest.mark.parametrize("tracks", [["inbound"], ["inbound", "outbound"]])
def test_a_long_silence_is_as_long_as_it_was(seconds: int, tracks: list[str]) -> None:
    line = Timeline(8000)
    for number in range(100):
        for track in tracks:
            later = 0 if number < 50 else seconds * 1000
            placed = line.place(track, number * 20 + later, number + 1, FRAME)
            assert placed.position == number * FRAME + 8 * later


def test_our_own_clock_believes_any_silence_that_it_has_seen() -> None:
    line = Timeline(8000)
    line.place("inbound", 0, 1, FRAME)
    line.elapsed = 3 * 3600
    assert line.place("inbound", 3 * 3600_000, 2, FRAME).position == 3 * 3600 * 8000


def test_a_duplicate_from_long_ago_while_another_frame_is_missing() -> None:
    line = Timeline(8000)
    for number in range(300):
        if number != 5:
            _place(line, number)
    assert _place(line, 2) is None
    assert _place(line, 5) == Placed(5 * FRAME, late=True, filled=FRAME, holes=-1)
    assert _place(line, 300) == Placed(300 * FRAME)


def test_timestamps_that_come_late_in_the_stream() -> None:
    line = Timeline(8000)
    assert line.place("inbound", None, 1, FRAME) == Placed(0)
    assert line.place("inbound", 520, 2, FRAME) == Placed(FRAME)
    assert line.place("inbound", 560, 4, FRAME) == Placed(3 * FRAME, hole=FRAME, holes=1)


def test_its_end_can_be_read_while_a_track_begins() -> None:
    """Any thread may ask for ``stream.stats``, while the receiving thread adds a track between two steps of it."""
    line = Timeline(8000)
    _place(line, 0)

    def between(frame: FrameType, event: str, arg: object) -> None:
        if event == "return" and line.has_room_for("other"):
            _place(line, 0, "outbound")

    sys.setprofile(between)
    try:
        end = line.end
    finally:
        sys.setprofile(None)
    assert end == FRAME
    assert [_place(line, number, "outbound") for number in (0, 1)] == [None, Placed(FRAME)]


def test_memory_is_bounded() -> None:
    line = Timeline(8000)
    for number in range(0, 10**5, 10):
        _place(line, number)
    track = line._tracks["inbound"]
    assert len(track.recent) <= 128
    assert len(track.holes) <= 64


_numbers = st.none() | st.integers(0, 2**53) | st.integers(0, 3000)


def _steady(
    line: Timeline, name: str, stamp: int | None, chunk: int | None, sequence: int | None, samples: int
) -> Track | None:
    """The track, if a frame with these numbers is exactly what it expects."""
    for track in line.steady(sequence) if sequence is not None else ():
        if (track.name, track.next_timestamp, track.following, track.samples) == (name, stamp, chunk, samples):
            return track
    return None


Came = tuple[str, int | None, int | None, bytes, int | None, int]


@st.composite
def _mostly_in_order(draw: st.DrawFn) -> list[Came]:
    """Frames as carriers send them, with here and there some that are odd."""
    frames: list[Came] = []
    counts, sequence, clock = {"inbound": 0, "outbound": 0}, 0, 0
    silent = draw(st.booleans())
    for _ in range(draw(st.integers(0, 12))):
        track = draw(st.sampled_from(["inbound", "inbound", "inbound", "outbound"]))
        for _ in range(draw(st.sampled_from([1, 2, 5, 150]))):
            count = counts[track] = counts[track] + 1
            sequence += 1
            payload = b"silence" if silent else b"%d" % count
            frames.append((track, clock + 20 * count, count, payload, sequence, FRAME))
        odd, count = draw(st.integers(0, 9)), counts[track]
        if odd == 0:
            stamp, chunk = draw(_numbers), draw(_numbers)
            payload, samples = draw(st.sampled_from([b"", b"x"])), draw(st.integers(0, 400))
            frames.append((track, stamp, chunk, payload, draw(_numbers), samples))
        elif odd in (1, 2):
            name, stamp, chunk, payload, number, samples = draw(st.sampled_from(frames))
            number = draw(st.sampled_from([number, sequence + 1, None]))
            frames += [(name, stamp, chunk, payload, number, samples)] * draw(st.integers(1, 5))
        elif odd == 3:
            counts[track] += draw(st.integers(1, 200))
        elif odd == 4:
            counts[track] += 1
            frames.append((track, clock + 20 * count + draw(st.integers(-40, 40)), count + 1, b"j", None, FRAME))
        elif odd == 5:
            name, stamp, chunk, _, number, samples = draw(st.sampled_from(frames))
            frames.append((name, stamp, chunk, b"conflict", number, samples))
        elif odd == 6:
            counts[track] += 1
            lone = draw(st.booleans())
            stamp = None if lone else clock + 20 * count + 20
            frames += [(track, stamp, count + 1 if lone else None, b"lone", None, FRAME)] * draw(st.integers(1, 3))
        elif odd == 7:
            sequence = draw(st.integers(0, max(0, sequence)))
        elif odd == 8:
            clock -= 20 * draw(st.integers(0, count))
        else:
            counts[track] = draw(st.integers(0, count))
    return frames


@settings(max_examples=300)
@given(_mostly_in_order(), st.sampled_from([8000, 16000]))
def test_the_short_way_comes_to_the_same_as_the_long_one(frames: list[Came], rate: int) -> None:
    long, quick = Timeline(rate), Timeline(rate)
    for track, stamp, chunk, payload, sequence, samples in frames:
        if stamp is not None and stamp < 0:
            continue
        expected = _come(long, stamp, chunk, track=track, audio=payload, sequence=sequence, samples=samples)
        steady = _steady(quick, track, stamp, chunk, sequence, samples)
        if steady is not None and payload:
            placed: Placed | None = Placed(steady.follow(stamp or 0, payload, sequence or 0))
        else:
            placed = _come(quick, stamp, chunk, track=track, audio=payload, sequence=sequence, samples=samples)
        assert placed == expected
        assert (quick.end, quick.conflicts) == (long.end, long.conflicts)


def test_duplicates_of_silence_long_ago_between_frames_of_the_short_way() -> None:
    line = Timeline(8000)
    for number in range(1000):
        steady = _steady(line, "inbound", 20 * number, number + 1, number, FRAME)
        if steady is not None:
            assert steady.follow(20 * number, b"silence", number) == number * FRAME
        else:
            assert _come(line, 20 * number, number + 1, audio=b"silence", sequence=number) is not None
        if number > 300:
            assert _come(line, 20 * (number - 300), number - 299, audio=b"silence", sequence=number - 300) is None


def test_frames_that_last_no_whole_number_of_milliseconds_are_not_usual() -> None:
    for rate, samples in ((11025, 221), (8000, 164)):
        line = Timeline(rate)
        _come(line, 0, 1, audio=b"x", sequence=2, samples=samples)
        assert not line.steady(3)


def test_frames_in_order_go_the_short_way() -> None:
    line = Timeline(8000)
    _place(line, 0)
    for number in range(1, 300):
        steady = _steady(line, "inbound", 20 * number, number + 1, number, FRAME)
        assert steady is not None
        assert steady.follow(20 * number, bytes([number % 256]), number) == FRAME * number
    assert _steady(line, "inbound", 20 * 299, 300, 299, FRAME) is None
    assert line.is_duplicate("inbound", 20 * 250, 251, bytes([250]), 250)


@given(st.lists(st.tuples(st.sampled_from(["inbound", "outbound"]), _numbers, _numbers, st.integers(1, 2000))))
def test_nothing_lies_outside_of_time(frames: list[tuple[str, int | None, int | None, int]]) -> None:
    line = Timeline(8000)
    for track, stamp, chunk, samples in frames:
        before = line.end
        placed = line.place(track, stamp, chunk, samples)
        if placed is not None:
            assert 0 <= placed.position <= before + BELIEVED * 8000 * 2
            assert placed.hole <= max(BELIEVED * 8000, before)
            if not placed.late:
                assert placed.position + samples <= line.end
                assert line.end <= before + BELIEVED * 8000 * 2 + samples
