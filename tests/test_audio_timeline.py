"""Where frames belong, whatever their numbers say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay_sync.audio.timeline import MAX_HOLE, Placed, Timeline

FRAME = 160  # 20 ms at 8 kHz


def _place(line: Timeline, number: int, track: str = "inbound") -> Placed | None:
    return line.place(track, 20 * number, number + 1, FRAME)


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
    assert _place(line, 3) == Placed(3 * FRAME, hole=2 * FRAME)
    assert _place(line, 1) == Placed(FRAME, late=True)
    assert _place(line, 1) is None
    assert _place(line, 4) == Placed(4 * FRAME)
    assert _place(line, 2) == Placed(2 * FRAME, late=True)


def test_duplicates() -> None:
    line = Timeline(8000)
    for number in range(5):
        _place(line, number)
    assert [_place(line, number) for number in range(5)] == [None] * 5
    assert line.end == 5 * FRAME


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
        assert line.place(track, hour, 2, FRAME) == Placed(FRAME + longest, hole=longest)
        assert line.place(track, hour + 20, 3, FRAME) == Placed(2 * FRAME + longest)


def test_timestamps_that_come_late_in_the_stream() -> None:
    line = Timeline(8000)
    assert line.place("inbound", None, 1, FRAME) == Placed(0)
    assert line.place("inbound", 520, 2, FRAME) == Placed(FRAME)
    assert line.place("inbound", 560, 4, FRAME) == Placed(3 * FRAME, hole=FRAME)


def test_memory_for_missing_chunks_is_bounded() -> None:
    line = Timeline(8000)
    for number in range(0, 10**7, 10**5):
        line.place("inbound", None, number, FRAME)
    assert len(line._tracks["inbound"].missing) <= 512


_numbers = st.none() | st.integers(0, 2**53) | st.integers(0, 3000)


@given(st.lists(st.tuples(st.sampled_from(["inbound", "outbound"]), _numbers, _numbers, st.integers(1, 2000))))
def test_nothing_lies_outside_of_time(frames: list[tuple[str, int | None, int | None, int]]) -> None:
    line = Timeline(8000)
    for track, stamp, chunk, samples in frames:
        before = line.end
        placed = line.place(track, stamp, chunk, samples)
        if placed is not None:
            assert 0 <= placed.position <= before + MAX_HOLE * 8000 * 2
            assert placed.hole <= MAX_HOLE * 8000
            if not placed.late:
                assert placed.position + samples <= line.end
                assert line.end <= before + MAX_HOLE * 8000 * 2 + samples
