"""The benchmarks' own parts, and that every scenario still runs with every client."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from benchmarks import pairs, receivers, report
from benchmarks.audio import Behind, calls_per_frame
from benchmarks.figures import Series, percentile, ratio
from benchmarks.model_rows import MODEL_ROWS
from benchmarks.processes import worker
from benchmarks.rows import ROWS, SEVERAL_ROWS, Judgement, Row, judge
from benchmarks.several import falls_behind, limit
from benchmarks.speech_rows import SPEECH_ROWS
from benchmarks.suite import COUNTED, Job, possible
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
    rate = Row(title="", scenario="commands", figure="rate", unit="", more_is_better=True, against={"ref": 1.5})
    judged = judge(rate, results)
    assert (judged.goal, judged.met) == (150.0, False)
    assert judged.distance == pytest.approx(150 / 90)
    p50 = Row(title="", scenario="commands", figure="p50", unit="", against={"ref": 0.7})
    assert judge(p50, results).met is True
    assert judge(Row(title="", scenario="cut", figure="seconds", unit="", absolute=0.1), results).met is None


def test_a_row_with_several_targets_is_as_far_as_from_the_farthest() -> None:
    row = Row(title="", scenario="streams 60", figure="cpu", unit="us", against={"asyncio": 0.5, "uvloop": 1})
    results = {"streams 60": {"ours": {"cpu": [20.0]}, "asyncio": {"cpu": [50.0]}, "uvloop": {"cpu": [16.0]}}}
    judged = judge(row, results)
    assert (judged.words, judged.goal, judged.distance) == ("<= 0.5 x asyncio, <= uvloop", 16.0, 1.25)
    del results["streams 60"]["uvloop"]
    judged = judge(row, results)
    assert (judged.words, judged.met) == ("<= 0.5 x asyncio, <= uvloop (not measured)", True)


def test_repetitions_on_a_busy_machine_do_not_count() -> None:
    row = Row(
        title="", scenario="streams 300", figure="p99", unit="ms", absolute=20, calm=("asyncio", 30.0), against={}
    )

    def judged(ours: list[float], theirs: list[float]) -> Judgement:
        return judge(row, {"streams 300": {"ours": {"p99": ours}, "asyncio": {"p99": theirs}}})

    assert judged([50.0, 10.0, 60.0], [31.0, 29.0, 40.0]).met is True
    assert judged([10.0, 25.0], [31.0, 29.0]).met is False
    assert judged([50.0], [30.0]).met is None
    assert judged([50.0], [30.0]).words == "<= 20 ms where asyncio < 30"


def test_where_the_sender_leaves_too_little_there_is_no_verdict() -> None:
    row = next(row for row in SEVERAL_ROWS if row.figure == "growth")

    def judged(growth: list[float], left: list[float]) -> Judgement:
        ours = {"growth": growth, "left": left, "need": [1.5] * len(left)}
        return judge(row, {"two receivers": {"ours": ours}})

    assert judged([1.05], [1.6]).met is True
    assert judged([1.2], [1.6]).met is False
    assert judged([1.3, 1.05], [1.4, 1.6]).met is True  # the first one is left out
    none = judged([1.3], [1.4])
    assert none.met is None
    assert none.words == "<= 1.1: the sender leaves 1.40 cores, and the receivers need 1.50"
    (line,) = report.table([none], ("ours",))[2:]
    assert line.endswith("need 1.50 | not judged |")


@pytest.mark.parametrize(
    ("true", "found", "tried"),
    [
        (400, 412, [300, 450, 375, 412]),
        (1000, 1012, [300, 450, 675, 1012, 843, 927]),
        (100, 150, [300, 150, 75]),
        (5000, 1500, [300, 450, 675, 1012, 1500]),
        (1, 75, [300, 150, 75]),
    ],
)
def test_the_limit_is_found_in_a_few_trials(true: int, found: int, tried: list[int]) -> None:
    seen: list[int] = []

    def behind(streams: int) -> bool:
        seen.append(streams)
        return streams >= true

    assert limit(behind, 300, 1500) == found
    assert seen == tried


def test_a_receiver_falls_behind_by_its_own_word_or_by_what_it_did() -> None:
    good = {"behind": 0.0, "lost": 0.0, "p99": 20.0}
    assert not falls_behind(good)
    assert all(falls_behind({**good, **worse}) for worse in ({"behind": 1.0}, {"lost": 1.0}, {"p99": 60.0}))


def test_a_receiver_that_was_behind_once_was_behind() -> None:
    over, words = threading.Event(), iter([False, True])

    def is_behind() -> bool:
        word = next(words)
        if word:
            over.set()
        return word

    behind = Behind(is_behind)
    behind.watch(over)
    assert behind.ever is True


def test_two_runs_become_one() -> None:
    def run(when: str, values: list[float], machine: str) -> dict[str, Any]:
        results = {"streams 60": {"ours": {"cpu": values}}}
        return {
            "runs": [{"when": when}],
            "results": results,
            "machine": ["CPython", machine],
            "hints": [],
            "failures": [f"failed {when}"],
            "sizes": {when: 1},
        }

    both = report.merge([run("in the morning", [1.0], "one"), run("at night", [2.0, 3.0], "another")])
    assert both["results"] == {"streams 60": {"ours": {"cpu": [1.0, 2.0, 3.0]}}}
    assert both["runs"] == [{"when": "in the morning"}, {"when": "at night"}]
    assert both["machine"] == ["CPython", "one", "another"]
    assert both["failures"] == ["failed in the morning", "failed at night"]
    assert both["sizes"] == {"at night": 1}
    assert report.merge([both]) == both


def test_the_sender_s_share_is_that_of_all_repetitions() -> None:
    results = {"streams 60": {"ours": {"sender": [0.9, 0.1, 0.2]}}}
    assert report.servers(results)[-1] == "The sender of the audio took, in cores: streams 60: 0.20."


def test_a_receiver_that_cannot_run_is_left_out_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "uvloop" else object())
    assert [name for name in receivers.RECEIVERS if receivers.missing(name)] == ["uvloop", "fastapi"]
    found = receivers.hints()
    assert 'uvloop was left out, because uvloop is not installed: pip install -e ".[bench]"' in found


def test_the_process_of_a_receiver_imports_no_tests_and_no_simulator() -> None:
    program = "import sys, benchmarks.audio; print({'pytest', 'relay_sync.simulator'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_a_scenario_without_a_client_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = ("faster_whisper", "pocketsphinx", "hibari", "playwright")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in lacking else object())
    jobs = [Job(name, name, ("page", "hibari", *more), {}) for name, more in (("commands", ("ours",)), ("models", ()))]
    assert [(job.key, job.clients) for job in possible(jobs)] == [("commands", ("ours",))]


def test_hints_are_about_the_receivers_that_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(receivers, "_audioop", lambda: None)
    assert receivers.hints(["ours"]) == []
    (found,) = receivers.hints(["ours", "asyncio"])
    assert "no audioop" in found
    assert len(receivers.hints(["uvloop"])) == 2


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
    pairs.run("HEAD", None, pairs=2, jobs=[job], say=said.append)
    assert any("sequential commands (per s)" in line for line in said)
    assert any("first call" in line for line in said)
    assert not any("streams" in line for line in said)


@pytest.mark.slow
def test_one_scenario_can_be_measured_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "by REST", "--out", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60)
    assert list(json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["results"]) == ["by REST"]
    assert " of by REST only, " in (tmp_path / "RESULTS.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_every_scenario_runs_with_every_client(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert not found["failures"]
    for row in (*ROWS, *SPEECH_ROWS, *MODEL_ROWS):
        for client in [row.client, *(name for name in row.against if name in receivers.RECEIVERS)]:
            if not receivers.missing(client):
                assert found["results"][row.scenario][client][row.figure], row.title
    for text in found["hints"]:
        assert text in done.stderr
    for name in ("throughput.svg", "latency.svg", "calls.svg", "streams.svg"):
        assert (tmp_path / name).stat().st_size > 1000
    text = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    for row in (*ROWS, *SPEECH_ROWS):
        assert row.title in text
    both = [sys.executable, "-m", "benchmarks", "report", *[str(tmp_path / "results.json")] * 2]
    subprocess.run([*both, "--out", str(tmp_path / "both")], cwd=ROOT, check=True, timeout=60)
    assert (tmp_path / "both" / "RESULTS.md").read_text(encoding="utf-8").count("* Run of ") == 2


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("receiver", [*receivers.RECEIVERS, "pieces"])
def test_every_receiver_gets_every_frame(receiver: str) -> None:
    lacking = receivers.missing(receiver)
    if lacking and not (os.environ.get("CI") or os.environ.get("RELAY_TESTS_REQUIRE")):
        pytest.skip(f"{', '.join(lacking)}: the extra bench has it")
    name, mode = ("ours", "pieces") if receiver == "pieces" else (receiver, "frames")
    given = {"receiver": name, "mode": mode, "streams": 2, "speaking": 2, "seconds": 0.4, "settle": 0.2}
    found = worker("audio", given)
    assert found["lost"] == 0
    assert found["voluntary"] > 0


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_one_receiver_beside_two() -> None:
    given = {"first": 2, "most": 2, "pairs": 1, "seconds": 0.5, "settle": 0.2}
    found = worker("several", given)
    assert (found["limit"], found["load"], found["limit two"]) == (2, 1, 2)
    assert found["growth"] == pytest.approx(found["cpu"] / found["cpu one"])
    assert found["left"] + found["sender"] == pytest.approx(len(os.sched_getaffinity(0)))
    assert 0 < found["need"] < 2


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_commands_to_a_call_of_another_process() -> None:
    found = worker("by_rest", {"count": 20})
    assert 0 < found["own p50"] <= found["own p99"]
    assert 0 < found["p50"] <= found["p99"]


@pytest.mark.slow
@pytest.mark.parametrize("receiver", COUNTED)
def test_calls_per_frame_are_counted(receiver: str) -> None:
    python, c, top = calls_per_frame(receiver, streams=2, seconds=0.6)
    assert python > 1
    assert c > 1
    assert ("Tally.heard (audio.py)", 1.0) in top


@pytest.mark.slow
def test_a_usual_frame_takes_few_calls() -> None:
    """From the socket to the program. On a busy machine up to one call more was counted, so the lowest of three decides."""
    counts: list[tuple[float, float, list[tuple[str, float]]]] = []
    while not counts or (len(counts) < 3 and counts[-1][0] > 16):
        counts.append(calls_per_frame("ours"))
    python, c, top = min(counts)
    assert python <= 16, top
    assert c <= 30, top


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_soak_counts_lost_connections() -> None:
    command = [sys.executable, "-m", "benchmarks", "tls", "--commands", "2000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "2,000 commands over TLS" in done.stdout
    assert " 0 connections lost" in done.stdout


@pytest.mark.traced
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "IndexError"),
        (["--help"], "JSONDecodeError"),
        (['{"receiver": "ours"}'], "argument: 'streams'"),
        (['{"receiver": "nope", "streams": 1, "speaking": 1, "seconds": 1}'], "there is no receiver 'nope'"),
    ],
)
def test_a_receiver_that_cannot_be_measured_shows_the_usage(given: list[str], said: str) -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks.audio", *given], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr.startswith("usage: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
