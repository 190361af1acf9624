"""A supervisor in this process, whose children say what a client's process would."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from pathlib import Path

import pytest

from relay_sync.cli import supervisor
from relay_sync.cli.supervisor import Supervisor
from relay_sync.health.metrics import metrics_text
from relay_sync.health.report import Report
from tests.support import ROOT
from tests.support.background import Background, until
from tests.support.health import series
from tests.support.hosting import PATIENCE

#: The second process exits four times, once after it was ready, and then stays like the first.
CHILD = """
import os, pathlib, signal, sys, threading
from relay_sync.health.report import Report
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
here, number = pathlib.Path(sys.argv[1]), int(os.environ["RELAY_PROCESS"])
with (here / f"starts-{number}").open("a") as file:
    file.write(".")
start = (here / f"starts-{number}").stat().st_size
stays = number == 0 or start == 5
dials = 100 if number == 0 else 1 if stays else 5
lines = f"report {Report(connected=True, samples={'relay_dials_total': {'': dials}}).encode()}\\n"
if stays or start == 3:
    lines += "ready\\n"
os.write(int(os.environ["RELAY_SYNC_REPORTS"]), lines.encode())
if not stays:
    os._exit(1)
while True:
    signal.pause()
"""


@pytest.mark.slow
def test_a_process_that_exits_several_times_keeps_all_its_counters_and_is_forgiven_once_it_was_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "SOON", 0.0)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "child.py").write_text(CHILD, encoding="utf-8")
    running = Supervisor([sys.executable, str(tmp_path / "child.py"), str(tmp_path)], 2, patience=PATIENCE)
    over = threading.Event()

    def watch() -> dict[str, float]:
        try:
            until(lambda: (running.look().processes[1].report or Report()).samples == {"relay_dials_total": {"": 1}})
            return series(metrics_text(running.look()))
        finally:
            if not over.is_set():
                os.kill(os.getpid(), signal.SIGTERM)

    with caplog.at_level("INFO", logger="relay_sync"):
        watcher = Background(watch)
        try:
            assert running.run() == 0
        finally:
            over.set()
    found = watcher.result()
    assert found['relay_dials_total{process="0"}'] == 100
    assert found['relay_dials_total{process="1"}'] == 4 * 5 + 1
    assert found['relay_process_starts_total{process="1"}'] == 5
    pauses = re.findall(r"exited with code 1 after .*; starting it again(?: in (\S+) s)?$", caplog.text, re.MULTILINE)
    assert pauses == ["0.2", "0.4", "", "0.2"]
