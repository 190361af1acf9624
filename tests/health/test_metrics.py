"""Metrics as Prometheus reads them."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest

from relay_sync.audio.gate import REFUSAL_KINDS
from relay_sync.client.counters import ERROR_KINDS
from relay_sync.constants import LATENCY_BOUNDS
from relay_sync.health.families import BUCKETS, FAMILIES, REFUSED, SUM, added, allowed
from relay_sync.health.metrics import metrics_text
from relay_sync.health.report import Report
from tests.support import programs
from tests.support.health import overview, process, series

#: A value for every label value of every family.
EVERYTHING = {name: dict.fromkeys(family.values, 1) for name, family in FAMILIES.items()}


def reporting(number: int = 0, /, **samples: Any) -> Any:
    return process(number, report=Report(connected=True, threads=2, silent={"relay-io-1": 0.5}, samples=samples))


def test_each_process_has_its_own_values() -> None:
    text = metrics_text(
        overview(
            reporting(0, relay_calls={"": 3}, relay_inbound_calls_total={"taken": 10, "returned": 0}),
            reporting(1, relay_calls={"": 4}, relay_audio_missing_seconds_total={"": 0.25}),
            process(2, pid=None, report=None),
            starts={0: 1, 1: 5, 2: 3},
        )
    )
    assert series(text) == {
        'relay_process_up{process="0"}': 1,
        'relay_process_up{process="1"}': 1,
        'relay_process_up{process="2"}': 0,
        'relay_process_connected{process="0"}': 1,
        'relay_process_connected{process="1"}': 1,
        'relay_process_connected{process="2"}': 0,
        'relay_process_starts_total{process="0"}': 1,
        'relay_process_starts_total{process="1"}': 5,
        'relay_process_starts_total{process="2"}': 3,
        'relay_process_uptime_seconds{process="0"}': 90,
        'relay_process_uptime_seconds{process="1"}': 90,
        'relay_process_report_age_seconds{process="0"}': 0,
        'relay_process_report_age_seconds{process="1"}': 0,
        'relay_io_threads{process="0"}': 2,
        'relay_io_threads{process="1"}': 2,
        'relay_io_thread_silence_seconds{process="0"}': 0.5,
        'relay_io_thread_silence_seconds{process="1"}': 0.5,
        'relay_calls{process="0"}': 3,
        'relay_calls{process="1"}': 4,
        'relay_inbound_calls_total{process="0",result="taken"}': 10,
        'relay_inbound_calls_total{process="0",result="returned"}': 0,
        'relay_audio_missing_seconds_total{process="1"}': 0.25,
    }
    assert "# HELP relay_calls Live calls.\n# TYPE relay_calls gauge\n" in text


def test_a_histogram_is_cumulative() -> None:
    counts = {"0.001": 2, "0.5": 1, "+Inf": 3, SUM: 99.5}
    found = series(metrics_text(overview(reporting(relay_command_duration_seconds=counts))))
    name = "relay_command_duration_seconds"
    buckets = [found[f'{name}_bucket{{process="0",le="{bound}"}}'] for bound in BUCKETS]
    assert buckets == [2.0] * 8 + [3.0] * 5 + [6.0]
    assert (found[f'{name}_sum{{process="0"}}'], found[f'{name}_count{{process="0"}}']) == (99.5, 6)


def test_counters_of_the_dead_stay_in_the_sums_and_gauges_do_not() -> None:
    dead = {"relay_calls": {"": 7}, "relay_dials_total": {"": 5}, "relay_command_errors_total": {"CallEnded": 2}}
    past = {0: added(dead, {"relay_dials_total": {"": 1}})}
    found = series(metrics_text(overview(reporting(0, relay_calls={"": 1}, relay_dials_total={"": 2}), past=past)))
    assert found['relay_calls{process="0"}'] == 1
    assert found['relay_dials_total{process="0"}'] == 8
    assert found['relay_command_errors_total{process="0",kind="CallEnded"}'] == 2
    gone = series(metrics_text(overview(process(0, pid=None, report=None), past=past)))
    assert gone['relay_dials_total{process="0"}'] == 6
    assert 'relay_calls{process="0"}' not in gone


def test_a_process_that_is_stopping_is_not_connected() -> None:
    found = series(metrics_text(overview(reporting(), draining=True)))
    assert found['relay_process_connected{process="0"}'] == 0


def test_families_and_labels_that_are_unknown_are_left_out() -> None:
    strange = {'evil"} 1\n': {"": 1.0}, "relay_calls": {"": 1.0, "x": 2.0}, "relay_messages_total": {'"\n': 1.0}}
    assert allowed(strange) == {"relay_calls": {"": 1.0}, "relay_messages_total": {}}
    text = metrics_text(overview(process(report=Report(samples=strange))))
    assert "evil" not in text
    assert "relay_messages_total" not in text


def test_names_follow_the_conventions() -> None:
    for name, family in FAMILIES.items():
        assert re.fullmatch(r"relay_[a-z]+(_[a-z]+)*", name)
        assert name.endswith("_total") == (family.kind == "counter"), name
        assert family.help.endswith(".")
        assert family.label in ("", "kind", "state", "result", "direction", "le")


def test_labels_are_those_of_the_statistics() -> None:
    assert {kind.replace(" ", "_").lower() for kind in REFUSAL_KINDS} | {"other"} == REFUSED
    assert FAMILIES["relay_command_errors_total"].values == ERROR_KINDS
    assert len(BUCKETS) == len(LATENCY_BOUNDS) + 1


def test_the_number_of_series_has_a_limit() -> None:
    text = metrics_text(overview(process(report=Report(samples=EVERYTHING))))
    assert len(series(text)) < 250


@pytest.mark.slow
def test_prometheus_accepts_the_text() -> None:
    text = metrics_text(overview(process(0, report=Report(samples=EVERYTHING)), process(1)))
    promtool = programs.need("promtool")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
