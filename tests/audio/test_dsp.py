"""Resampling: exact counts, no seams between frames, measured quality; and PCM as numpy sees it."""

from __future__ import annotations

import subprocess
import sys
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay_sync import InvalidParameter, UnsupportedCodec
from relay_sync.audio import AudioFrame, Resampler, resample

RATES = (8000, 16000, 24000, 48000)
every_pair = pytest.mark.parametrize(("source", "target"), list(permutations(RATES, 2)))
a_pair = st.sampled_from([*permutations((*RATES, 44100), 2)])


def tone(rate: int, samples: int, hertz: float, height: float = 16000.0) -> bytes:
    wave = height * np.sin(2 * np.pi * hertz / rate * np.arange(samples))
    return bytes(np.rint(wave).astype("<i2"))


def noise(samples: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).integers(-32768, 32768, samples).astype("<i2").tobytes()


def quality(pcm: bytes, rate: int, hertz: float) -> tuple[float, float]:
    """Height of a tone, and the tone to everything else in dB, in the middle of a sound."""
    middle = np.frombuffer(pcm, "<i2").astype(float)
    middle = middle[len(middle) // 4 : len(middle) * 3 // 4]
    angle = 2 * np.pi * hertz / rate * np.arange(len(middle))
    parts = np.stack([np.sin(angle), np.cos(angle), np.ones_like(angle)], axis=1)
    weights = np.linalg.lstsq(parts, middle, rcond=None)[0]
    wanted = parts @ weights
    rest = middle - wanted
    return float(np.hypot(*weights[:2])), float(10 * np.log10((wanted @ wanted) / (rest @ rest)))


# -- counts and seams --------------------------------------------------------------------------------------------------


@every_pair
def test_every_frame_of_20_ms_gives_a_frame_of_20_ms_at_once(source: int, target: int) -> None:
    resampler = Resampler(source, target)
    for number in range(20):
        assert len(resampler.process(noise(source // 50, number))) == target // 50 * 2


@given(a_pair, st.lists(st.integers(0, 700), max_size=15))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_cut_in_any_way_it_is_the_same_sound_to_the_bit(pair: tuple[int, int], lengths: list[int]) -> None:
    source, target = pair
    whole, pieces = Resampler(source, target), Resampler(source, target)
    pcm = noise(sum(lengths))
    out, taken, given_out = b"", 0, 0
    for length in lengths:
        piece = pieces.process(pcm[2 * taken : 2 * (taken + length)])
        taken += length
        given_out += len(piece) // 2
        assert given_out == taken * target // source
        out += piece
    assert out == whole.process(pcm)
    assert pieces.flush() == whole.flush()


def test_long_sounds_have_no_seams_either() -> None:
    pcm = noise(100_000)
    at_once, frames = Resampler(16000, 24000), Resampler(16000, 24000)
    assert at_once.process(pcm) == b"".join(
        frames.process(pcm[start : start + 640]) for start in range(0, 200_000, 640)
    )


@given(a_pair, st.integers(0, 2000))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_a_whole_sound_keeps_its_place_and_length(pair: tuple[int, int], samples: int) -> None:
    source, target = pair
    assert len(resample(noise(samples), source, target)) == -(-samples * target // source) * 2
    resampler = Resampler(source, target)
    delayed = round(resampler.delay * target)
    parts = resampler.process(noise(samples)) + resampler.flush()
    assert len(parts) // 2 == samples * target // source + delayed
    assert resample(noise(samples), source, target).startswith(parts[2 * delayed :])


@every_pair
def test_a_whole_sound_is_not_delayed(source: int, target: int) -> None:
    got = np.frombuffer(resample(tone(source, source // 4, 1000), source, target), "<i2").astype(int)
    wanted = np.frombuffer(tone(target, target // 4, 1000), "<i2").astype(int)
    assert np.abs(got - wanted)[target // 50 : -target // 50].max() <= 1


def test_after_a_reset_it_is_as_new() -> None:
    resampler, fresh = Resampler(8000, 16000), Resampler(8000, 16000)
    resampler.process(noise(777))
    resampler.reset()
    assert resampler.process(noise(320)) == fresh.process(noise(320))
    resampler.flush()
    assert resampler.process(noise(320)) == Resampler(8000, 16000).process(noise(320))


def test_the_same_rate_is_the_same_sound() -> None:
    resampler = Resampler(8000, 8000)
    assert resampler.process(noise(160)) == noise(160)
    assert (resampler.flush(), resampler.delay) == (b"", 0.0)
    assert resample(noise(160), 8000, 8000) == noise(160)


# -- quality -----------------------------------------------------------------------------------------------------------


@every_pair
@pytest.mark.parametrize("hertz", [1000, 3300])
def test_tones_stay_what_they_are(source: int, target: int, hertz: int) -> None:
    """In 16 bit, 89 to 98 dB is what rounding leaves of such a tone; images and aliases would be heard below 80."""
    height, snr = quality(Resampler(source, target).process(tone(source, source, hertz)), target, hertz)
    assert abs(height - 16000) < 2
    assert snr > 86


@pytest.mark.parametrize("source", [16000, 24000, 48000])
@pytest.mark.parametrize("hertz", [4700, 5500, 7000])
def test_what_the_lower_rate_cannot_carry_is_kept_out(source: int, hertz: int) -> None:
    out = np.frombuffer(Resampler(source, 8000).process(tone(source, source, hertz)), "<i2").astype(float)
    assert np.abs(out[400:]).max() <= 1  # 16000 went in


@every_pair
@pytest.mark.parametrize("level", [8, -8, 32767, -32768])
def test_a_constant_stays_to_the_bit(source: int, target: int, level: int) -> None:
    """A-law has no zero: its silence is 8, and must not begin to hum."""
    pcm = np.full(source // 5, level, "<i2").tobytes()
    out = np.frombuffer(Resampler(source, target).process(pcm), "<i2")
    assert set(out[target // 50 :].tolist()) == {level}


@every_pair
def test_the_loudest_sound_is_clipped_and_never_wraps(source: int, target: int) -> None:
    quiet = np.where(np.arange(source // 5) // 7 % 2, 16384, -16384).astype("<i2")
    loud = np.clip(quiet.astype(int) * 2, -32768, 32767).astype("<i2")
    halves, out = (
        np.frombuffer(Resampler(source, target).process(each.tobytes()), "<i2").astype(int) for each in (quiet, loud)
    )
    assert np.abs(out - np.clip(halves * 2, -32768, 32767)).max() <= 4
    assert np.abs(halves).max() > 16384  # it does overshoot


# -- what it cannot be -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target", "parameter"),
    [
        (0, 8000, "from_rate"),
        (8000, -1, "to_rate"),
        (8000, 16000.0, "to_rate"),
        ("8000", 16000, "from_rate"),
        (8000, 400_000, "to_rate"),
        (8000, 44_101, "to_rate"),
    ],
)
def test_rates_that_cannot_be(source: int, target: int, parameter: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        Resampler(source, target)
    assert caught.value.parameter == parameter


def test_half_a_sample_is_refused_and_nothing_taken() -> None:
    resampler = Resampler(8000, 16000)
    with pytest.raises(InvalidParameter, match="pcm"):
        resampler.process(b"123")
    assert resampler.process(noise(160)) == Resampler(8000, 16000).process(noise(160))


# -- numpy views -------------------------------------------------------------------------------------------------------


def test_frames_as_numpy_sees_them() -> None:
    pcm = np.array([0, 1, -1, 32767, -32768], "<i2").tobytes()
    frame = AudioFrame(data=pcm, track="inbound", timestamp=0.0, sample_rate=8000)
    assert frame.array.dtype == np.int16
    assert frame.array.tolist() == [0, 1, -1, 32767, -32768]
    assert not frame.array.flags.writeable
    floats = frame.float32()
    assert floats.dtype == np.float32
    assert floats.tolist() == [0.0, 1 / 32768, -1 / 32768, 32767 / 32768, -1.0]
    floats *= 2  # the user's own


def test_what_is_not_decoded_has_no_samples() -> None:
    frame = AudioFrame(data=b"amr", track="inbound", timestamp=0.0, sample_rate=8000, encoding="AMR")
    with pytest.raises(UnsupportedCodec):
        frame.array  # noqa: B018
    with pytest.raises(UnsupportedCodec):
        frame.float32()


def test_without_the_extra_the_error_names_it() -> None:
    code = """
import sys
sys.modules["numpy"] = None  # an import of it fails
import relay_sync.audio as audio
frame = audio.AudioFrame(data=bytes(4), track="inbound", timestamp=0.0, sample_rate=8000)
for use in (lambda: audio.Resampler, lambda: audio.resample, lambda: frame.array, frame.float32):
    try:
        use()
    except ImportError as error:
        print('pip install "numpy>=1.26"' in str(error))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 4
