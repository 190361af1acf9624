"""What the README says is what happens: its program runs, and CI runs its commands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from relay_sync.audio import read_wav
from relay_sync.simulator import Simulator, speech
from tests.support import PATIENCE, ROOT
from tests.support.hosting import started
from tests.support.lines import FROM, TO
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
def test_the_first_program_prints_what_is_shown(sim: Simulator, tmp_path: Path, ports: range) -> None:
    """As it stands, with the credentials in the environment."""
    saved_as(tmp_path, ports)
    with started(sim, tmp_path, "answer.py") as process:
        sim.wait_for_client(timeout=PATIENCE)
        phone = sim.call(to=TO, from_=FROM, says=speech.caller(), hangs_up_after_speaking=True)
        phone.wait_until("ended", 30)
        process.wait_for_output("saved")
        process.terminate()
        (shown,) = blocks(README, "text")
        assert process.output == re.sub(r"call-[0-9a-f-]{36}\.wav", f"call-{phone.call_id}.wav", shown)
    assert read_wav(tmp_path / f"call-{phone.call_id}.wav").channels == 2


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
    # Django's setting, what the supervisor says to its children, and what the simulator prints.
    assert read - listed == {"RELAY_SYNC", "RELAY_SYNC_REPORTS", "RELAY_SYNC_LIFELINE"}
    assert listed <= read
