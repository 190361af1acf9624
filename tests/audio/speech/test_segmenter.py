"""Utterances of one track: positions, audio, gaps, late frames and detectors that misbehave."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay_sync.audio.speech import Utterance
from relay_sync.audio.speech.segmenter import Segmenter
from relay_sync.errors import InvalidParameter
from tests.support.detectors import Loud
from tests.support.tones import tone

RATE = 8000
Piece = tuple[float, bytes]


def sound(seconds: float, value: int) -> bytes:
    return struct.pack("<h", value) * round(seconds * RATE)


def pieces(pcm: bytes, size: int, at: float = 0.0) -> list[Piece]:
    return [(at + start / 2 / RATE, pcm[start : start + 2 * size]) for start in range(0, len(pcm), 2 * size)]


def found(parts: list[Piece], vad: Any = None, **options: Any) -> list[Utterance]:
    segmenter = Segmenter(Loud() if vad is None else vad, options.pop("rate", RATE), **options)
    return [each for part in parts for each in segmenter.push(*part)] + segmenter.finish()


def test_an_utterance_has_its_audio_and_its_place() -> None:
    pcm = sound(1, 1) + sound(2, 10000) + sound(1, 2)
    (said,) = found(pieces(pcm, 160), track="outbound")
    assert (said.start, said.end, said.track, said.cut) == (1.0, 3.0, "outbound", False)
    assert said.audio_start == pytest.approx(0.7)
    assert said.pcm == pcm[round(0.7 * 16000) : round(3.3 * 16000)]
    assert said.seconds == pytest.approx(2.6)
    assert "bytes>" in repr(said)


def test_a_detector_that_is_late_says_by_how_much() -> None:
    pcm = sound(1.05, 0) + sound(2, 10000) + sound(1, 0)  # what the detector makes of speech from 1 to 3 s
    (said,) = found(pieces(pcm, 160), Loud(delay=0.05))
    assert said.start == pytest.approx(1.0)
    assert said.end == pytest.approx(3.0)
    assert said.audio_start == pytest.approx(0.7)


def test_the_start_is_reported_at_once_and_taken_back_if_it_was_too_short() -> None:
    seen: list[tuple[str, float]] = []
    pcm = sound(1, 0) + sound(0.15, 10000) + sound(1, 0) + sound(0.5, 10000)
    segmenter = Segmenter(
        Loud(),
        RATE,
        on_speech=lambda start: seen.append(("speech", start)),
        on_dropped=lambda start: seen.append(("dropped", start)),
    )
    for part in pieces(pcm, 160):
        assert segmenter.push(*part) == []
    assert seen == [("speech", 1.0), ("dropped", 1.0), ("speech", 2.15)]
    assert len(segmenter.finish()) == 1


def test_a_gap_does_not_end_a_turn() -> None:
    parts = [*pieces(sound(1, 10000), 160), *pieces(sound(1, 10000) + sound(1, 0), 160, at=5.0)]
    (said,) = found(parts)
    assert (said.start, said.end) == (0.0, 6.0)
    assert len(said.pcm) == 2 * 2 * RATE + 2 * round(0.3 * RATE), "audio that did not come is not in it"


def test_late_audio_is_ignored_and_jitter_is_not_a_gap() -> None:
    parts = pieces(sound(1, 10000) + sound(1, 0), 160)
    shaken = [(at + (0.004 if index % 2 else -0.004), pcm) for index, (at, pcm) in enumerate(parts)]
    assert found(shaken) == found(parts)
    late = [*parts[:20], (0.2, sound(0.02, 3)), *parts[20:]]
    assert found(late) == found(parts)
    later = pieces(sound(2, 10000) + sound(1, 0), 160)
    assert found([*later[:90], (0.2, sound(0.02, 3)), *later[90:]]) == found(later), (
        "nor does it look like another clock"
    )


def test_a_carrier_that_sets_its_clock_back_loses_nothing() -> None:
    first, rest = sound(1, 0) + sound(1, 10000), sound(1, 10000) + sound(1, 0)
    assert found([*pieces(first, 160), *pieces(rest, 160)]) == found(pieces(first + rest, 160))


def test_long_silence_is_not_kept() -> None:
    segmenter = Segmenter(Loud(), RATE)
    for part in pieces(sound(60, 0), 1600):
        segmenter.push(*part)
    kept = sum(len(chunk.pcm) for chunk in segmenter._chunks)
    assert kept < 2 * RATE * 2


def test_another_rate_is_resampled_for_the_detector_only() -> None:
    pcm = b"".join(
        struct.pack("<h", 0) * round(s * 16000) + struct.pack("<h", v) * 16000 for s, v in ((1, 10000), (0, 0))
    )
    parts = [(start / 32000, pcm[start : start + 640]) for start in range(0, len(pcm), 640)]
    (said,) = found(parts, rate=16000)
    assert said.start == pytest.approx(1.0, abs=0.02)
    assert said.end == pytest.approx(2.0, abs=0.02)
    assert said.sample_rate == 16000
    first = round(said.audio_start * 32000)
    assert said.pcm == pcm[first : first + len(said.pcm)]


class Says(Loud):
    """A detector that returns what it was given."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def __call__(self, pcm: bytes) -> Any:
        return self.answer


@pytest.mark.parametrize("answer", [None, "loud", 1.1, -0.1, float("nan"), float("inf"), [0.5]])
def test_a_detector_that_returns_nonsense_is_named(answer: Any) -> None:
    with pytest.raises(InvalidParameter, match="a detector whose result is a probability from 0 to 1"):
        Segmenter(Says(answer), RATE).push(0, sound(1, 0))


@pytest.mark.parametrize(
    "vad", [Loud, object(), None, 0.5, Loud(frame=0), Loud(sample_rate=0), Loud(frame=9000), Loud(delay=-1)]
)
def test_what_is_no_detector_is_refused(vad: Any) -> None:
    with pytest.raises(InvalidParameter, match="vad"):
        Segmenter(vad, RATE)


@pytest.mark.parametrize(
    "options",
    [
        {"silence": 0},
        {"silence": "1"},
        {"pre_roll": -1},
        {"shortest": -0.1},
        {"longest": 0.5},
        {"longest": 5, "shortest": 6},
    ],
)
def test_durations_that_are_none_are_refused(options: dict[str, Any]) -> None:
    (name, *_) = options
    with pytest.raises(InvalidParameter, match=name):
        Segmenter(Loud(), RATE, **options)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(1, 3000), st.sampled_from([0, 0, 3000, 10000])), max_size=12),
    st.lists(st.integers(1, 700), min_size=1, max_size=5),
)
def test_how_audio_is_divided_does_not_matter(runs: list[tuple[int, int]], sizes: list[int]) -> None:
    pcm = b"".join(struct.pack("<h", value) * samples for samples, value in runs)
    options = {"silence": 0.1, "pre_roll": 0.03, "shortest": 0.03, "longest": 1.01}
    whole = found([(0.0, pcm)], **options)
    parts, at, turn = [], 0, 0
    while 2 * at < len(pcm):
        size = sizes[turn % len(sizes)]
        parts.append((at / RATE, pcm[2 * at : 2 * (at + size)]))
        at, turn = at + size, turn + 1
    assert found(parts, **options) == whole
    for each in whole:
        first = round(each.audio_start * RATE)
        assert each.pcm == pcm[2 * first : 2 * first + len(each.pcm)]


class Late:
    """A detector that notices the start and the end of sound 0.1 s late."""

    sample_rate, frame = RATE, RATE // 50

    def __init__(self, rough: bool) -> None:
        self.rough = rough
        self._before = [0.0] * 5

    def __call__(self, pcm: bytes) -> float:
        self._before.append(float(any(pcm)))
        return self._before.pop(0)


@pytest.mark.parametrize(("rough", "start", "end", "known"), [(True, 0.6, 1.6, 2.2), (False, 0.7, 1.7, 2.3)])
def test_the_silence_counts_from_the_end_that_the_audio_shows(
    rough: bool, start: float, end: float, known: float
) -> None:
    segmenter = Segmenter(Late(rough), RATE)
    pcm = bytes(round(2 * 0.6 * RATE)) + tone(RATE) + bytes(2 * RATE)
    ends = [(at + 0.02, said) for at, part in pieces(pcm, 160) for said in segmenter.push(at, part)]
    ((when, said),) = ends
    assert said.start == pytest.approx(start, abs=0.011)
    assert said.end == pytest.approx(end, abs=0.011)
    assert when == pytest.approx(known, abs=0.021)
