"""The benchmark of the telephone in the browser: what it counts."""

from __future__ import annotations

from array import array
from math import pi, sin
from pathlib import Path
from typing import Any

import pytest

from benchmarks.processes import worker
from benchmarks.telephones import pairs
from tests.support.browser import beeps, frequencies, write_beeps
from tests.support.programs import need


def tone(frequency: int, rate: int, seconds: float) -> array[int]:
    return array("h", (round(12_000 * sin(2 * pi * frequency * index / rate)) for index in range(int(seconds * rate))))


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_beeps_are_found_where_they_start_and_an_interruption_is_no_second_one(rate: int) -> None:
    silence = array("h", bytes(2 * int(0.12 * rate)))
    gap = array("h", bytes(2 * int(0.03 * rate)))
    samples = silence + tone(500, rate, 0.08) + silence + tone(670, rate, 0.04) + gap + tone(670, rate, 0.04) + silence
    found = beeps(samples, rate)
    assert [pitch for _, pitch in found] == [500, 670]
    assert [start for start, _ in found] == pytest.approx([0.12, 0.32], abs=0.006)
    again = beeps(samples + tone(670, rate, 0.08), rate)
    assert [pitch for _, pitch in again] == [500, 670, 670]


def test_a_file_for_the_microphone_has_all_beeps(tmp_path: Path) -> None:
    file = write_beeps(tmp_path / "beeps.wav", 16, silence=0.1)
    samples = array("h", file.read_bytes()[44:])
    assert [pitch for _, pitch in beeps(samples, 48_000)] == frequencies(16)


@pytest.mark.parametrize(
    ("heard", "delays", "missing"),
    [
        ([(0.1, 500), (0.4, 670)], [0.1, 0.2], 0),
        ([(0.1, 500)], [0.1], 1),
        ([(0.4, 670), (0.5, 500)], [0.5], 1),
        ([(0.1, 500), (0.3, 500), (0.4, 670)], [0.1, 0.2], 1),
        ([], [], 2),
    ],
)
def test_beeps_are_paired_in_their_order(heard: list[tuple[float, int]], delays: list[float], missing: int) -> None:
    found, lacking = pairs([(0.0, 500), (0.2, 670)], heard)
    assert found == pytest.approx(delays)
    assert lacking == missing


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("options", [{"telephone": "page"}, {"telephone": "crowd", "crowd": 2}])
def test_telephones_are_measured(options: dict[str, Any]) -> None:
    need("chromium")
    pytest.importorskip("playwright")
    found = worker("telephones", {**options, "count": 5})
    assert found["p50"] > 0
    assert found["simulator"] > 0
    if options["telephone"] == "crowd":
        assert found["heard"] > 100
