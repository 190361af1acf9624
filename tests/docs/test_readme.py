"""What the README says is what happens: its programs run, and CI runs its commands."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
from typing import Any

import pytest

from relay_sync import RelayClient
from relay_sync.audio import AudioServer
from relay_sync.simulator import Simulator, speech
from relay_sync.testing import wait_for_handlers
from tests.support import PATIENCE, ROOT
from tests.support.background import Background
from tests.support.lines import FROM, TO

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.+?)```", README, re.DOTALL)


def test_there_are_three_programs() -> None:
    assert len(BLOCKS) == 3


def test_ci_runs_the_readme_s_commands() -> None:
    run = (ROOT / ".ci" / "run").read_text()
    for name in ("demo", "tests"):
        assert f"readme_command.py {name}" in run
        done = subprocess.run(
            [sys.executable, str(ROOT / ".ci" / "readme_command.py"), name], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() in README
        assert done.stdout.startswith("python3 -m venv")


def test_the_shortest_program_runs(sim: Simulator) -> None:
    with AudioServer() as audio:
        program = BLOCKS[0].replace('"wss://example.com/audio-stream"', repr(audio.url))
        program = re.sub(r'project="\.\.\.", token="\.\.\.", host="[^"]+"', "**credentials", program)
        assert "**credentials" in program
        scope: dict[str, Any] = {"credentials": sim.credentials}
        running = Background(exec, program, scope)
        sim.wait_for_client()
        phone = sim.call(to=TO, from_=FROM)
        stream = audio.accept(timeout=PATIENCE)
        assert stream.custom_parameters == {"session_id": "abc123"}
        phone.hang_up()
        stream.wait(PATIENCE)
        stream.close()
        scope["client"].stop()
        running.result()


def test_the_listening_program_runs(sim: Simulator, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program = BLOCKS[1].replace('port=8765, public_url="wss://audio.example.com/audio"', "")
    client = RelayClient(**sim.credentials, contexts=["default"])
    running = Background(exec, program, {"client": client, "print": lambda *args: None})
    sim.wait_for_client()
    sim.call(to=TO, from_=FROM, says=speech.caller(), hangs_up_after_speaking=True).wait_until("ended", 20)
    client.stop()
    running.result()
    assert wait_for_handlers(PATIENCE)  # run() does not, and this one still saves
    assert (tmp_path / "call.wav").stat().st_size > 44


def test_the_testing_program_runs() -> None:
    subprocess.run([sys.executable, "-c", BLOCKS[2]], check=True, timeout=30, cwd=ROOT)


def test_the_demo_s_output_is_in_the_readme() -> None:
    assert "Checked: 129,280 samples on 2 tracks, all as they were sent" in README


def test_variables_in_the_table_are_those_that_are_read() -> None:
    source = (ROOT / "relay_sync" / "config.py").read_text()
    for name in set(re.findall(r"`((?:SIGNALWIRE|RELAY)_[A-Z_]+)`", README)):
        assert name in source
    for name in set(re.findall(r'"((?:SIGNALWIRE|RELAY)_[A-Z_]+)"', source)):
        assert f"`{name}`" in README
