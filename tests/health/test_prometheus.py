"""Debian's Prometheus scrapes two processes, with the configuration and the alerts of the page."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest

from relay_sync.simulator import Simulator
from tests.support import ROOT, programs
from tests.support.background import until
from tests.support.hosting import PATIENCE, environment, launched
from tests.support.lines import FROM, TO
from tests.support.pages import blocks
from tests.support.prometheus import api, prometheus, wait_for

APP = """
from relay_sync import RelayClient

client = RelayClient(contexts=["default"], connect_timeout=20)

@client.on_call
def handle(call):
    call.answer()
    call.wait_for_ended()
"""
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
