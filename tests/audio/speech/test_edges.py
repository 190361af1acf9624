"""Starts and ends of utterances, as their audio shows them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay_sync.audio.speech.edges import locate
from tests.support.detectors import Score
from tests.support.speech import NOISES, PAUSE, RATE, Signal, at_level, pcm_of, scene, utterances

SAID = utterances()


def voice(seconds: float, rate: int = RATE) -> Signal:
    """A signal with the bandwidth of a voice, 20 dB below full scale."""
    time = np.arange(round(seconds * rate)) / rate
    return np.asarray(sum(0.04 * np.sin(2 * np.pi * f * time) for f in (210.0, 620.0, 1370.0, 2390.0, 3110.0)))


def silence(seconds: float, rate: int = RATE, level: float | None = None, seed: int = 1) -> Signal:
    """Noise of a level in dB, or nothing."""
    samples = round(seconds * rate)
    return np.zeros(samples) if level is None else at_level(NOISES["white"](samples, seed), level)


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
@pytest.mark.parametrize("noise", [None, -60.0])
@pytest.mark.parametrize(("early", "late"), [(0.0, 0.0), (-0.1, -0.2), (0.2, 0.15)])
def test_where_the_detector_is_off_the_audio_tells(rate: int, noise: float | None, early: float, late: float) -> None:
    sound = np.concatenate([silence(0.6, rate), voice(1.0, rate), silence(0.8, rate)])
    sound += silence(2.4, rate, noise)
    start, end = locate(pcm_of(sound), rate, round((0.6 + early) * rate), round((1.6 + late) * rate))
    assert start / rate == pytest.approx(0.6, abs=0.035)
    assert end / rate == pytest.approx(1.6, abs=0.035)


@pytest.mark.parametrize("rate", [11025, 22050, 44100])
def test_a_window_that_is_no_whole_number_of_samples_moves_no_edge_of_a_long_utterance(rate: int) -> None:
    sound = np.concatenate([silence(0.6, rate), voice(25.0, rate), silence(0.8, rate)])
    start, end = locate(pcm_of(sound), rate, round(0.6 * rate), round(25.6 * rate))
    assert start / rate == pytest.approx(0.6, abs=0.02)
    assert end / rate == pytest.approx(25.6, abs=0.02)


@pytest.mark.slow
def test_what_the_background_hides_is_estimated() -> None:
    """The estimate is that of a voice which fades, so it is late where a voice stops at once, and early for a long hiss."""
    starts, ends = [], []
    for seed in (1, 2):
        spoken = scene(SAID, noise=NOISES["white"], snr=5.0, seed=seed)
        for begin, stop in spoken.spoken:
            first = round((begin - PAUSE / 2) * RATE)
            pcm = spoken.pcm[2 * first : 2 * round((stop + PAUSE / 2) * RATE)]
            start, end = locate(pcm, RATE, round(begin * RATE) - first, round(stop * RATE) - first)
            starts.append((start + first) / RATE - begin)
            ends.append((end + first) / RATE - stop)
    assert Score.worst(starts) <= 0.12
    assert Score.worst(ends) <= 0.12
    assert abs(np.mean(starts)) < 0.03
    assert abs(np.mean(ends)) < 0.03


@pytest.mark.parametrize("name", ["music", "babble"])
def test_an_unsteady_background_tells_nothing(name: str) -> None:
    sound = np.concatenate([silence(0.6), voice(1.0), silence(0.8)])
    sound += at_level(NOISES[name](len(sound), 1), -25.0)
    assert locate(pcm_of(sound), RATE, 5000, 13000) == (5000, 13000)


def test_too_little_background_tells_nothing() -> None:
    sound = np.concatenate([silence(0.1), voice(1.0), silence(0.2)])
    assert locate(pcm_of(sound), RATE, 900, 9000) == (900, 9000)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 100, 32767]), st.integers(0, 4000)), max_size=6),
    st.sampled_from([8000, 16000, 11025]),
    st.integers(0, 20000),
    st.integers(1, 20000),
)
def test_whatever_the_audio_the_result_is_an_utterance(
    parts: list[tuple[int, int]], rate: int, start: int, length: int
) -> None:
    dice = np.random.default_rng(1)
    sound = np.concatenate([np.zeros(0), *(dice.uniform(-level, level, samples) for level, samples in parts)])
    first, last = locate(sound.astype("<i2").tobytes(), rate, start, start + length)
    assert 0 <= first < last
    assert abs(first - start) <= rate or first < last <= start + length + rate
