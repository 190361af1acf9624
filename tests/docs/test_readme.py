"""What the README says is what happens: its program runs, and CI runs its commands."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from relay_sync.audio import read_wav
from relay_sync.simulator import Simulator
from tests.support import ROOT
from tests.support.commands import run
from tests.support.dev import surroundings
from tests.support.hosting import launched, started
from tests.support.modules import MODULES
from tests.support.pages import blocks
from tests.support.several import Several, needs_proc

README = (ROOT / "README.md").read_text(encoding="utf-8")
(PROGRAM,) = blocks(README)


def test_ci_runs_the_readme_s_commands() -> None:
    run = (ROOT / ".ci" / "run").read_text()
    for name in ("demo", "tests"):
        assert f"readme_command.py {name}" in run
        done = subprocess.run(
            [sys.executable, str(ROOT / ".ci" / "readme_command.py"), name], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() in README
        assert done.stdout.startswith("python3 -m venv")


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 110


def saved_as(folder: Path, ports: range) -> None:
    """Save the program with other ports: people and other tests use those of the page."""
    assert PROGRAM.count("port=range(8765, 8773)") == 1
    program = PROGRAM.replace("range(8765, 8773)", f"range({ports.start}, {ports.stop})")
    (folder / "answer.py").write_text(program, encoding="utf-8")


@pytest.mark.slow
@needs_proc
def test_the_first_program_prints_what_is_shown(tmp_path: Path, ports: range) -> None:
    """As a reader types it, in two terminals."""
    saved_as(tmp_path, ports)
    (start,) = [block for block in blocks(README, "sh") if " dev " in block]
    (call,) = re.findall(r"`\.venv/bin/(relay-sync sim call [^`]+)`", README)
    with launched(tmp_path, surroundings(tmp_path), "-m", "relay_sync", *start.split()[1:]) as process:
        process.wait_for_output("has connected")
        assert re.search(
            r"^ +dev \| telephone: http://127\.0\.0\.1:\d+/, whose key is not written", process.output, re.MULTILINE
        )
        done = run(*call.split()[1:], cwd=tmp_path, **surroundings(tmp_path))
        assert done.returncode == 0, done.stderr
        assert f"process {process.process.pid}: relay-sync dev answer.py" in done.stderr
        process.wait_for_output("saved")
        process.terminate(signal.SIGINT)
    (shown,) = blocks(README, "text")
    (call_id,) = re.findall("^call ([0-9a-f-]{36}): ", done.stdout)
    assert re.sub(r"call-[0-9a-f-]{36}\.wav", f"call-{call_id}.wav", shown) in process.output
    assert read_wav(tmp_path / f"call-{call_id}.wav").channels == 2
    assert list((tmp_path / "relay-sync").iterdir()) == []


@pytest.mark.slow
@needs_proc
@pytest.mark.timeout(120)
def test_the_line_for_two_processes(tmp_path: Path, ports: range) -> None:
    """Calls in both, a WAV of each; after kill -9 one process comes back, and the other has not noticed."""
    saved_as(tmp_path, ports)
    (line,) = re.findall(r"`\.venv/bin/(relay-sync run answer:client --processes 2)`", README)
    with Simulator() as sim, started(sim, tmp_path, "-m", *line.replace("-", "_", 1).split()) as process:
        several = Several(sim, tmp_path, ports)
        several.check()
        several.check_end(process)


def test_the_page_on_configuration_lists_the_variables_that_are_read() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    read = set()
    for path in MODULES:
        read.update(re.findall(r'"((?:SIGNALWIRE|RELAY)_[A-Z_]+)"', path.read_text(encoding="utf-8")))
    listed = set(re.findall(r"`((?:SIGNALWIRE|RELAY)_[A-Z_]+)`", page))
    # Django's setting, and what the supervisor and dev say to their children.
    assert read - listed == {"RELAY_SYNC", "RELAY_SYNC_REPORTS", "RELAY_SYNC_LIFELINE", "RELAY_SYNC_DEV_RUN"}
    assert listed <= read
