"""Where utterances start and end, with samples as the clock."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay_sync.audio.speech.endpointer import Began, Change, Dropped, Endpointer, Limits, Segment

FRAME = 256
LIMITS = Limits.of(8000, silence=0.6, pre_roll=0.3, shortest=0.2, longest=30.0)
SMALL = Limits(silence=60, pre_roll=30, shortest=20, longest=300, onset=10, doubt=25, rising=20)
#: A run of frames: how far after the former one it comes, how long it is, and its probability.
Run = tuple[int, int, float]


def heard(limits: Limits, runs: list[Run], *, pieces: int | None = None) -> list[Change]:
    """Everything that an endpointer says about runs, each given at once or in pieces."""
    endpointer, now, needed, changes = Endpointer(limits), 0, 0, []
    for gap, samples, probability in runs:
        now += gap
        while samples > 0:
            taken = min(samples, pieces or samples)
            new = endpointer.push(now, taken, probability)
            assert all(each.since >= needed for each in segments(new)), "audio that was said to be needed no more"
            changes += new
            needed = endpointer.needed
            assert needed <= now + taken
            now, samples = now + taken, samples - taken
    return changes + endpointer.finish()


def segments(changes: list[Change]) -> list[Segment]:
    return [each for each in changes if isinstance(each, Segment)]


def seconds(*spans: tuple[float, float]) -> list[Run]:
    """Runs without gaps, given by their lengths in seconds and their probabilities."""
    return [(0, round(length * 8000), probability) for length, probability in spans]


def test_an_utterance_with_its_pre_roll_and_the_silence_after_it() -> None:
    changes = heard(LIMITS, seconds((1, 0), (2, 0.9), (1, 0)))
    assert changes == [Began(8000), Segment(8000, 24000, 8000 - 2400, 24000 + 2400, cut=False)]


def test_a_pause_shorter_than_silence_ends_nothing() -> None:
    assert len(segments(heard(LIMITS, seconds((1, 0), (1, 0.9), (0.59, 0), (1, 0.9), (1, 0))))) == 1
    assert len(segments(heard(LIMITS, seconds((1, 0), (1, 0.9), (0.61, 0), (1, 0.9), (1, 0))))) == 2


def test_the_end_is_said_as_soon_as_the_silence_is_long_enough() -> None:
    endpointer = Endpointer(LIMITS)
    endpointer.push(0, 8000, 0.9)
    assert endpointer.push(8000, 4799, 0.0) == []
    assert len(endpointer.push(12799, 1, 0.0)) == 1


def test_what_is_shorter_than_shortest_is_dropped_and_what_began_is_taken_back() -> None:
    assert heard(LIMITS, seconds((1, 0), (0.09, 0.9), (1, 0))) == []
    assert heard(LIMITS, seconds((1, 0), (0.19, 0.9), (1, 0))) == [Began(8000), Dropped(8000)]


def test_a_click_before_an_utterance_does_not_move_its_start() -> None:
    (segment,) = segments(heard(LIMITS, seconds((1, 0), (0.05, 0.9), (0.4, 0), (1, 0.9), (1, 0))))
    assert segment.start == round(1.45 * 8000)


def test_a_long_turn_is_cut_and_goes_on() -> None:
    first, second = segments(heard(LIMITS, seconds((1, 0), (30.05, 0.9), (1, 0))))
    assert (first.start, first.end, first.until, first.cut) == (8000, 31 * 8000, 31 * 8000, True)
    assert (second.start, second.since, second.cut) == (31 * 8000, 31 * 8000, False)
    assert second.end == round(31.05 * 8000), "the rest is delivered, however short"


def test_a_gap_ends_no_turn_and_is_no_silence() -> None:
    runs = [(0, 8000, 0.9), (80000, 4000, 0.0), (80000, 8000, 0.9), (0, 8000, 0.0)]
    (segment,) = segments(heard(LIMITS, runs))
    assert (segment.start, segment.end) == (0, 8000 + 80000 + 4000 + 80000 + 8000)


def test_the_audio_ends_while_somebody_speaks() -> None:
    (segment,) = segments(heard(LIMITS, seconds((1, 0), (1, 0.9), (0.1, 0))))
    assert (segment.end, segment.until) == (16000, 16800)


def test_an_utterance_starts_where_the_probability_began_to_rise() -> None:
    (segment,) = segments(heard(LIMITS, seconds((1, 0), (0.1, 0.3), (1, 0.9), (1, 0))))
    assert segment.start == 8000
    (segment,) = segments(heard(LIMITS, seconds((1, 0), (3, 0.3), (1, 0.9), (1, 0))))
    assert segment.start == 32000 - 2000, "but not long before"


def test_a_probability_that_falls_slowly_keeps_an_utterance_and_does_not_lengthen_it() -> None:
    (segment,) = segments(heard(LIMITS, seconds((1, 0), (1, 0.9), (2, 0.2), (1, 0.9), (2, 0.2), (1, 0))))
    assert (segment.start, segment.end) == (8000, 5 * 8000)


@pytest.mark.parametrize("nonsense", [float("nan"), float("-inf"), -1.0])
def test_probabilities_that_are_none_count_as_silence(nonsense: float) -> None:
    assert heard(LIMITS, seconds((1, nonsense), (1, 0.9), (1, nonsense))) == heard(
        LIMITS, seconds((1, 0), (1, 0.9), (1, 0))
    )


RUNS = st.lists(
    st.tuples(st.sampled_from([0, 0, 0, 7, 500]), st.integers(1, 120), st.sampled_from([0.0, 0.1, 0.4, 0.6, 1.0])),
    max_size=40,
)


@settings(deadline=None)
@given(RUNS)
def test_segments_are_in_order_and_never_share_audio(runs: list[Run]) -> None:
    end = sum(gap + samples for gap, samples, _ in runs)
    found = segments(heard(SMALL, runs))
    for each in found:
        assert 0 <= each.since <= each.start < each.end <= each.until <= end
        assert each.start - each.since <= SMALL.pre_roll
    for former, latter in pairwise(found):
        assert former.until <= latter.since
        assert not former.cut or former.until <= latter.start


@settings(deadline=None)
@given(RUNS)
def test_every_start_that_is_said_becomes_an_utterance_or_is_taken_back(runs: list[Run]) -> None:
    open_at: int | None = None
    for change in heard(SMALL, runs):
        if isinstance(change, Began):
            assert open_at is None
            open_at = change.start
        elif isinstance(change, Dropped):
            assert change.start == open_at
            open_at = None
        else:
            assert open_at is None or change.start == open_at
            open_at = None
    assert open_at is None


@settings(deadline=None)
@given(RUNS)
def test_no_speech_is_lost(runs: list[Run]) -> None:
    """Each run of sure speech that is long enough is in an utterance, whole."""
    found, now = segments(heard(SMALL, runs)), 0
    for gap, samples, probability in runs:
        now += gap
        if probability >= 0.6 and samples >= SMALL.shortest:
            covered = sum(max(0, min(now + samples, each.end) - max(now, each.start)) for each in found)
            assert covered == samples
        now += samples


@settings(deadline=None)
@given(RUNS, st.integers(1, 40))
def test_the_division_into_frames_does_not_matter(runs: list[Run], pieces: int) -> None:
    assert heard(SMALL, runs) == heard(SMALL, runs, pieces=pieces)
