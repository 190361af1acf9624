"""The set of utterances: it is what its notice says, and its noises are what they are called."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import DATA
from tests.support.speech import NOISES, RATE, active_level, at_level, edges, on_the_line, scene, sound_of, utterances


def test_thirty_six_utterances_with_starts_and_ends() -> None:
    assert len(utterances()) == 36
    assert {each.name for each in utterances()} == {path.name for path in (DATA / "speech").glob("*.wav")}
    assert len({each.text for each in utterances()}) == 36
    for each in utterances():
        assert 0.1 <= each.start < each.end <= len(each.sound) / RATE - 0.1
        assert active_level(each.sound) == pytest.approx(-26, abs=0.2)
        start, end = edges(each.sound)
        assert start == pytest.approx(each.start, abs=0.02), each.name
        assert end == pytest.approx(each.end, abs=0.02), each.name


@pytest.mark.parametrize("name", NOISES)
def test_noises_depend_on_their_seed_alone(name: str) -> None:
    first, again, other = (NOISES[name](3 * RATE, seed) for seed in (1, 1, 2))
    assert len(first) == 3 * RATE
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_scene_has_the_utterances_where_it_says_and_the_noise_at_its_level() -> None:
    said = utterances()[:3]
    clean = scene(said)
    for each, (start, end) in zip(said, clean.spoken, strict=True):
        first = round((start - each.start) * RATE)
        assert np.array_equal(clean.sound[first : first + len(each.sound)], each.sound)
        assert end - start == pytest.approx(each.end - each.start)
    noisy = scene(said, noise=NOISES["white"], snr=10)
    level = 10 * np.log10(np.mean(np.square(noisy.sound - clean.sound)))
    assert level == pytest.approx(-36, abs=0.2)
    assert len(clean.pcm) == 2 * len(clean.sound)


def test_the_line_has_the_noise_of_its_codec() -> None:
    tone = at_level(NOISES["DTMF"](RATE, 1), -20)
    rest = sound_of(on_the_line(tone)) - tone
    assert 33 < 10 * np.log10(np.sum(np.square(tone)) / np.sum(np.square(rest))) < 45
