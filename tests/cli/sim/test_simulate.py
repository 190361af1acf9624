"""``relay-sync simulate`` needs no option: ``relay-sync sim`` finds it, and a terminal shows its tokens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import PATIENCE
from tests.support.background import until
from tests.support.commands import run
from tests.support.dev import surroundings

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="other rights and locks there")]
START = [sys.executable, "-m", "relay_sync", "simulate"]


def test_it_is_found_without_an_option(tmp_path: Path) -> None:
    with subprocess.Popen(START, stdout=subprocess.PIPE, text=True, env=surroundings(tmp_path)) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(6)]
        assert lines[2] == "# SIGNALWIRE_API_TOKEN: generated; --show-tokens prints it"
        assert lines[4] == "# RELAY_SIMULATOR_CONTROL_TOKEN: generated; --show-tokens prints it"
        (file,) = (tmp_path / "relay-sync").iterdir()
        assert file.name == f"{process.pid}.json"
        done = run("sim", "calls", "--json", cwd=tmp_path, **surroundings(tmp_path))
        assert (done.returncode, json.loads(done.stdout)) == (0, [])
        assert done.stderr.endswith(f"/simulator, process {process.pid}: relay-sync simulate\n")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert not file.exists()


def test_a_terminal_shows_the_tokens(tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(START, stdout=theirs, env=surroundings(tmp_path)) as process:
            shown = b""

            def is_ready() -> bool:
                nonlocal shown
                shown += os.read(ours, 65536)
                return b"ready" in shown

            until(is_ready)
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
    finally:
        os.close(theirs)
        os.close(ours)
    assert b"\nSIGNALWIRE_API_TOKEN=PT" in shown
    assert b"\nRELAY_SIMULATOR_CONTROL_TOKEN=" in shown
