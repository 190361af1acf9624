"""When a program is alive, and when it accepts calls."""

from __future__ import annotations

from typing import Any

import pytest

from relay_sync.health.report import Report
from relay_sync.health.verdicts import SILENCE_PATIENCE, ProcessHealth, live, ready
from tests.support.health import overview, process


def silent(**threads: float) -> Report:
    return Report(connected=True, threads=3, silent={f"relay-{name}-1": seconds for name, seconds in threads.items()})


GOOD: list[dict[str, Any]] = [
    {},
    {"silence": 5.0},
    {"report": silent(io=2.0, audio=0.1)},
    {"report": Report(connected=False)},
    {"report": Report(draining=True)},
    {"report": None, "silence": 60.0},
    {"report": Report(over=True), "silence": 60.0},
    {"pid": None, "report": None, "silence": 1000.0},
]
BAD: list[tuple[dict[str, Any], str]] = [
    ({"silence": 5.04}, "process 0 (pid 100) has been silent for 5.0 s"),
    ({"report": silent(io=2.1)}, "process 0 (pid 100): 1 IO thread not answering: relay-io-1 for 2.1 s"),
    (
        {"report": silent(io=3.04, audio=2.5, sim=1.0)},
        "process 0 (pid 100): 2 IO threads not answering: relay-io-1 for 3.0 s, relay-audio-1 for 2.5 s",
    ),
    ({"report": None, "silence": 60.1}, "process 0 (pid 100) has sent no report in the 60.1 s since its start"),
    ({"report": Report(over=True), "silence": 60.1}, "process 0 (pid 100) has been silent for 60.1 s"),
]


@pytest.mark.parametrize("changes", GOOD)
def test_alive(changes: dict[str, Any]) -> None:
    verdict = live(overview(process(**changes), process(1)))
    assert (verdict.good, verdict.lines) == (True, ("live",))


@pytest.mark.parametrize(("changes", "said"), BAD)
def test_not_alive(changes: dict[str, Any], said: str) -> None:
    verdict = live(overview(process(**changes), process(1)))
    assert (verdict.good, verdict.lines) == (False, (said,))


def test_a_supervisor_that_reads_no_reports_is_not_alive() -> None:
    assert live(overview(process(), unread=SILENCE_PATIENCE)).good
    verdict = live(overview(process(), process(1, silence=7.0), unread=5.5))
    assert verdict.lines == (
        "the supervisor has not read the reports of its processes for 5.5 s",
        "process 1 (pid 101) has been silent for 7.0 s",
    )


STATES: list[tuple[dict[str, Any], str]] = [
    ({}, "connected"),
    ({"report": Report()}, "not connected"),
    ({"report": Report(connected=True, draining=True)}, "draining"),
    ({"report": Report(connected=True, over=True)}, "draining"),
    ({"report": None}, "starting"),
    ({"pid": None, "report": None}, "not running"),
    ({"silence": 5.5}, "silent for 5.5 s"),
]


@pytest.mark.parametrize(("changes", "state"), STATES)
def test_one_process_that_accepts_calls_is_enough(changes: dict[str, Any], state: str) -> None:
    mine: ProcessHealth = process(1, **changes)
    alone, beside = ready(overview(mine)), ready(overview(process(0), mine, process(2)))
    good = state == "connected"
    assert (alone.good, alone.lines) == (good, (f"{int(good)} of 1 process connected", f"process 1: {state}"))
    assert beside.good
    assert beside.lines == (
        f"{2 + good} of 3 processes connected",
        "process 0: connected",
        f"process 1: {state}",
        "process 2: connected",
    )


def test_a_program_that_was_asked_to_stop_accepts_no_calls() -> None:
    verdict = ready(overview(process(), process(1), draining=True))
    lines = ("0 of 2 processes connected, stopping", "process 0: draining", "process 1: draining")
    assert (verdict.good, verdict.lines) == (False, lines)
