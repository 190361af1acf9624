"""Debian's Prometheus scrapes two processes, with the configuration and the alerts of the page."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen

from relay_sync.simulator import Simulator
from tests.support import ROOT, programs
from tests.support.background import until
from tests.support.hosting import APP, PATIENCE, environment, launched
from tests.support.lines import FROM, TO
from tests.support.pages import blocks
from tests.support.prometheus import api, prometheus, wait_for

CONFIGURATION, ALERTS = blocks((ROOT / "docs" / "health.md").read_text(encoding="utf-8"), "yaml")


def write(folder: Path, target: str) -> None:
    """The configuration of the page, with another target."""
    changed = CONFIGURATION.replace("127.0.0.1:9700", target).replace("15s", "1s")
    assert changed.count(target) == changed.count("1s") == 1
    (folder / "alerts.yml").write_text(ALERTS, encoding="utf-8")
    (folder / "prometheus.yml").write_text(
        f"global:\n  evaluation_interval: 1s\nrule_files: [alerts.yml]\n{changed}", encoding="utf-8"
    )


@pytest.mark.slow
def test_two_processes_in_prometheus(sim: Simulator, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    command = ("-m", "relay_sync", "run", "app:client", "--processes", "2", "--health", "0")
    with launched(tmp_path, environment(sim), *command) as program:
        program.wait_for_output("health: listening on ")
        found = re.search(r"health: listening on http://(\S+)", program.output)
        assert found is not None
        sim.wait_for_client(2, timeout=PATIENCE)
        phones = [sim.call(to=TO, from_=FROM) for _ in range(5)]
        for phone in phones:
            phone.wait_until("answered", PATIENCE)
        write(tmp_path, found[1])
        with prometheus(tmp_path) as address:
            wait_for(address, "relay_process_connected", {"0": 1, "1": 1}, tmp_path)
            wait_for(address, "sum(relay_calls)", {"": 5}, tmp_path)
            wait_for(address, 'sum(relay_inbound_calls_total{result="taken"})', {"": 5}, tmp_path)
            wait_for(address, "sum(relay_command_duration_seconds_count) > bool 4", {"": 1}, tmp_path)
            wait_for(address, 'up{job="relay"}', {"": 1}, tmp_path)
            until(lambda: not api(address, "alerts")["alerts"])  # one is pending until the first scrape
            rules = [rule for group in api(address, "rules")["groups"] for rule in group["rules"]]
            assert {rule["health"] for rule in rules} <= {"ok", "unknown"}  # unknown: not evaluated yet
            assert len(rules) == ALERTS.count("alert: ")
            assert not [each for each in api(address, "targets")["activeTargets"] if each["lastError"]]
            for phone in phones:
                phone.hang_up()
            program.terminate(signal.SIGTERM)
            wait_for(address, 'up{job="relay"}', {"": 0}, tmp_path)


@pytest.mark.slow
def test_the_alerts_of_the_page_are_rules(tmp_path: Path) -> None:
    promtool = programs.need("promtool")
    (tmp_path / "alerts.yml").write_text(ALERTS, encoding="utf-8")
    (tmp_path / "prometheus.yml").write_text(CONFIGURATION, encoding="utf-8")
    for kind, file in (("rules", "alerts.yml"), ("config", "prometheus.yml")):
        done = subprocess.run(
            [promtool, "check", kind, file], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout


@frozen
class Case:
    """Series that lead to an alert, or do not, with the values that they have each quarter of a minute.

    :ivar series: values by series, in the notation of ``promtool``.
    :ivar fires: the labels with which the alert fires after ten minutes; ``None`` if it does not.
    """

    alert: str
    series: Mapping[str, str]
    fires: Mapping[str, str] | None = None


#: What the shipped prometheus.yml scrapes: one instance, and one that exists during a rolling restart only.
UP: Final = {'up{job="relay",instance="a"}': "1x80", 'up{job="relay",instance="b"}': "0x80"}
DOWN: Final = dict.fromkeys(UP, "0x80")
ONE: Final = '{job="relay",instance="a",process="0"}'
LABELS: Final = {"job": "relay", "instance": "a", "process": "0"}
RESULT: Final = '{job="relay",instance="a",process="0",result="returned"}'
CASES: Final = (
    Case("RelayTakesNoCalls", {**UP, f"relay_process_connected{ONE}": "1x80"}),
    Case("RelayTakesNoCalls", {**UP, f"relay_process_connected{ONE}": "0x80"}, {}),
    Case("RelayTakesNoCalls", DOWN, {}),
    Case("RelayProcessRestarts", {**UP, f"relay_process_starts_total{ONE}": "1x80"}),
    Case("RelayProcessRestarts", {**UP, f"relay_process_starts_total{ONE}": "1+1x80"}, LABELS),
    Case("RelayCallsReturned", {**UP, f"relay_inbound_calls_total{RESULT}": "0x80"}),
    Case(
        "RelayCallsReturned", {**UP, f"relay_inbound_calls_total{RESULT}": "0+1x80"}, {**LABELS, "result": "returned"}
    ),
    *(
        Case(
            "RelayCommandsSlow",
            {
                f'relay_command_duration_seconds_bucket{{instance="a",process="{process}",le="{bound}"}}': values
                for process in (0, 1)
                for bound, values in (("2.5", quick), ("5", "0+1x80"), ("+Inf", "0+1x80"))
            },
            fires,
        )
        for quick, fires in (("0+1x80", None), ("0x80", {"instance": "a"}))
    ),
    Case("RelayAudioBehind", {**UP, f"relay_audio_behind{ONE}": "0x80"}),
    Case("RelayAudioBehind", {**UP, f"relay_audio_behind{ONE}": "1x80"}, LABELS),
    Case("RelayAudioDropped", {**UP, f"relay_audio_dropped_frames_total{ONE}": "5x80"}),
    Case("RelayAudioDropped", {**UP, f"relay_audio_dropped_frames_total{ONE}": "5+1x80"}, LABELS),
    *(
        Case(
            "RelayAudioMissing",
            {f"relay_audio_streams{ONE}": f"{streams}x80", f"relay_audio_missing_seconds_total{ONE}": "0+0.6x80"},
            fires,
        )
        for streams, fires in ((10, None), (2, LABELS))  # 0.04 s of audio are missing each second
    ),
)


@pytest.mark.slow
def test_each_alert_of_the_page_fires_if_something_is_wrong_and_only_then(tmp_path: Path) -> None:
    promtool = programs.need("promtool")
    (tmp_path / "alerts.yml").write_text(ALERTS, encoding="utf-8")
    tests = [
        {
            "interval": "15s",
            "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
            "alert_rule_test": [
                {
                    "eval_time": "10m",
                    "alertname": case.alert,
                    "exp_alerts": [] if case.fires is None else [{"exp_labels": dict(case.fires)}],
                }
            ],
        }
        for case in CASES
    ]
    assert {case.alert for case in CASES} == set(re.findall(r"alert: (\w+)", ALERTS))
    (tmp_path / "cases.yml").write_text(json.dumps({"rule_files": ["alerts.yml"], "tests": tests}), encoding="utf-8")
    done = subprocess.run(
        [promtool, "test", "rules", "cases.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
