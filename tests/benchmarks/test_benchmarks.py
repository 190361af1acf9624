"""The benchmarks' own parts, and that every scenario still runs with every client."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import pairs
from benchmarks.figures import Series, percentile, ratio
from benchmarks.rows import ROWS, Row, judge
from benchmarks.suite import Job
from tests.support import ROOT


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [percentile(values, share) for share in (0, 20, 21, 50, 99, 100)] == [1.0, 1.0, 2.0, 3.0, 5.0, 5.0]
    assert percentile(list(range(1, 101)), 99) == 99
    with pytest.raises(ValueError):
        percentile([], 50)


def test_a_series_has_a_middle_and_a_range() -> None:
    series = Series((3.0, 1.0, 2.0))
    assert (series.median, series.low, series.high) == (2.0, 1.0, 3.0)


def test_ratios_are_made_of_neighbours() -> None:
    assert ratio(Series((2.0, 9.0)), Series((1.0, 3.0))).values == (2.0, 3.0)
    # A repetition that failed has no partner.
    assert ratio(Series((2.0, 9.0)), Series((4.0,))).values == (0.5,)


def test_more_is_better_and_less_is_better() -> None:
    results = {"commands": {"ours": {"rate": [90.0], "p50": [2.0]}, "ref": {"rate": [100.0], "p50": [4.0]}}}
    rate = Row(title="", scenario="commands", figure="rate", unit="", more_is_better=True, factor=1.5, opponent="ref")
    judged = judge(rate, results)
    assert (judged.goal, judged.met) == (150.0, False)
    assert judged.distance == pytest.approx(150 / 90)
    p50 = Row(title="", scenario="commands", figure="p50", unit="", factor=0.7, opponent="ref")
    assert judge(p50, results).met is True
    assert judge(Row(title="", scenario="cut", figure="seconds", unit="", absolute=0.1), results).met is None


def test_what_may_not_happen_at_all_is_missed_by_one() -> None:
    row = Row(title="", scenario="soak", figure="lost", unit="", absolute=0)
    assert judge(row, {"soak": {"ours": {"lost": [0.0]}}}).met is True
    assert judge(row, {"soak": {"ours": {"lost": [1.0]}}}).met is False


def test_a_bare_interpreter_is_taken_off() -> None:
    row = next(row for row in ROWS if row.over)
    results = {"import": {"ours": {"wall": [70.0]}, "nothing": {"wall": [20.0]}}}
    assert judge(row, results).cells["ours"].median == 50.0


def test_a_row_is_worse_only_when_the_interval_says_so_too() -> None:
    steady = pairs.compare([100.0, 101.0, 99.0, 100.0, 100.0], [110.0, 112.0, 108.0, 111.0, 109.0])
    assert steady.worse
    assert steady.ratio == pytest.approx(1.1, abs=0.01)
    assert 1.08 < steady.low < 1.1 < steady.high < 1.12
    assert not pairs.compare([100.0, 101.0, 99.0], [104.0, 105.0, 103.0]).worse  # within what is tolerated
    assert not pairs.compare([100.0, 100.0, 100.0], [90.0, 140.0, 110.0]).worse  # noise
    assert not pairs.compare([100.0, 101.0, 99.0], [50.0, 51.0, 52.0]).worse


def test_a_rate_is_worse_when_it_falls() -> None:
    before, after = [100.0, 101.0, 99.0, 100.0], [80.0, 81.0, 79.0, 80.0]
    assert pairs.compare(before, after, more_is_better=True).worse
    assert not pairs.compare(before, after).worse


def test_what_may_not_happen_is_worse_when_it_does() -> None:
    assert pairs.compare([0.0, 0.0], [0.0, 0.0]).ratio == 1.0
    assert pairs.compare([0.0, 0.0], [3.0, 2.0]).worse
    assert not pairs.compare([3.0, 2.0], [0.0, 0.0]).worse
    with pytest.raises(ValueError, match="1 pairs"):
        pairs.compare([1.0], [1.0])


def test_the_interval_is_student_s() -> None:
    # Logarithms 0, 1 and 2: mean 1, deviation 1, and t of two degrees of freedom is 4.303.
    found = pairs.compare([1.0, 1.0, 1.0], [1.0, math.e, math.e**2])
    assert math.log(found.high) == pytest.approx(1 + 4.303 / math.sqrt(3))
    assert math.log(found.low) == pytest.approx(1 - 4.303 / math.sqrt(3))


history = pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists(), reason="takes git and its history"
)


@history
def test_pairs_that_were_kept_are_not_measured_again(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    first = pairs.Kept(file, "HEAD", "HEAD")
    assert first.pairs == []
    sides: tuple[pairs.Figures, pairs.Figures] = ({("calls", "cpu"): [1.0]}, {("calls", "cpu"): [2.0]})
    for _ in range(2):
        first.write(sides)
    with file.open("a", encoding="utf-8") as half:
        half.write('[[["calls"')  # interrupted
    again = pairs.Kept(file, "HEAD", "HEAD")
    assert again.pairs == [sides, sides]
    again.write(sides)
    assert pairs.Kept(file, "HEAD", "HEAD").pairs == [sides] * 3
    said: list[str] = []
    assert pairs.run("HEAD", "HEAD", pairs=2, say=said.append, kept=file) == 1  # nothing is measured
    assert any("WORSE" in line for line in said)


@history
def test_pairs_are_kept_of_two_commits_that_do_not_change(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    with pytest.raises(ValueError, match="of two commits"):
        pairs.Kept(file, "HEAD", None)
    file.write_text('["before", "after"]\n')
    with pytest.raises(ValueError, match="pairs of other commits"):
        pairs.Kept(file, "HEAD", "HEAD")
    assert file.read_text() == '["before", "after"]\n'


@history
@pytest.mark.parametrize("last", ["", "\n"])
def test_a_file_of_something_else_stays_as_it_is(tmp_path: Path, last: str) -> None:
    file = tmp_path / "notes"
    file.write_text(f"not to be lost{last}")
    with pytest.raises(ValueError, match="notes has"):
        pairs.Kept(file, "HEAD", "HEAD")
    assert file.read_text() == f"not to be lost{last}"


@history
@pytest.mark.parametrize("line", ["nonsense", "", "[[]]", "5"])
def test_a_line_that_is_no_pair_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "pairs.jsonl"
    pairs.Kept(file, "HEAD", "HEAD").write(({}, {}))
    with file.open("a", encoding="utf-8") as opened:
        opened.write(f"{line}\n")
    with pytest.raises(ValueError, match=r"pairs\.jsonl, line 3: this is no pair"):
        pairs.Kept(file, "HEAD", "HEAD")


@pytest.mark.slow
@pytest.mark.timeout(120)
@history
def test_two_commits_are_measured_in_turns() -> None:
    said: list[str] = []
    job = Job("commands", "commands", ("ours",), {"count": 50})
    pairs.run("HEAD", None, pairs=2, jobs=[job], audio={}, say=said.append)
    assert any("sequential commands (per s)" in line for line in said)
    assert any("first call" in line for line in said)
    assert not any("streams" in line for line in said)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_scenario_runs_with_every_client(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert not found["failures"]
    for row in ROWS:
        scenario = "streams 2" if row.scenario.startswith("streams ") else row.scenario
        assert found["results"][scenario]["ours"][row.figure], row.title
    for name in ("throughput.svg", "latency.svg", "calls.svg", "streams.svg"):
        assert (tmp_path / name).stat().st_size > 1000
    text = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    for row in ROWS:
        assert row.title in text


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_soak_counts_lost_connections() -> None:
    command = [sys.executable, "-m", "benchmarks", "tls", "--commands", "2000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "2,000 commands over TLS" in done.stdout
    assert " 0 connections lost" in done.stdout
