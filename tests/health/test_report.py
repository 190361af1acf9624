"""Reports as JSON: what one process writes, another reads; anything else is no report."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_sync.health.report import LONGEST, Report

NUMBERS = st.integers(0, 2**63) | st.floats(0, 1e18)
SAMPLES = st.dictionaries(st.text(max_size=20), st.dictionaries(st.text(max_size=20), NUMBERS, max_size=5), max_size=5)
FULL = Report(connected=True, draining=True, over=True, threads=2, silent={"relay-io-1": 2.5}, samples={"a": {"": 1}})


@given(st.booleans(), st.booleans(), st.integers(0, 1000), SAMPLES)
def test_what_is_written_is_read(
    connected: bool, draining: bool, threads: int, samples: dict[str, dict[str, float]]
) -> None:
    report = Report(connected=connected, draining=draining, threads=threads, samples=samples)
    assert "\n" not in report.encode()
    assert Report.decode(report.encode()) == report


def test_all_fields_are_written() -> None:
    assert Report.decode(FULL.encode()) == FULL


def test_only_some_silent_threads_are_named_the_longest_first() -> None:
    report = Report(silent={f"relay-io-{number}{'x' * 1000}": float(number) for number in range(1000)})
    found = Report.decode(report.encode())
    assert len(found.silent) == 10
    assert max(found.silent.values()) == 999.0
    assert len(report.encode()) < LONGEST


@pytest.mark.parametrize(
    "change",
    [
        *({"connected": 1}, {"draining": None}, {"over": "no"}, {"threads": -1}, {"threads": "2"}, {"threads": True}),
        *(
            {"silent": []},
            {"silent": {"a": "b"}},
            {"silent": None},
            {"samples": {"a": 1}},
            {"samples": {"a": {"b": None}}},
        ),
        *({"samples": {"a": {"b": 1e999}}}, {"samples": {"a": {"b": -0.1}}}, {"samples": {"a": {"b": 10**400}}}),
        *({"samples": {"a": {"b": 1e308}}}, {"samples": {"a": {"b": 2**64 + 1}}}, {"silent": {"a": 1e30}}),
    ],
)
def test_a_report_with_a_wrong_value_is_none(change: dict[str, object]) -> None:
    text = json.dumps({**json.loads(FULL.encode()), **change})
    with pytest.raises(ValueError, match=r"^not "):
        Report.decode(text)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "1", "{}", '"report"', "[" * 100_000, "\x00\xff", "NaN"])
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        Report.decode(text)
