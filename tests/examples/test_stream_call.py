"""``examples/stream_call.py``: one program, on the simulator by a flag and on any space by the environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from relay_sync.audio import AudioServer
from relay_sync.simulator import Simulator, speech
from relay_sync.testing import variables_of
from tests.support import ROOT
from tests.support.lines import FROM, TO

PROGRAM = ROOT / "examples" / "stream_call.py"
PATIENCE = 30.0


def environment(**more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SIGNALWIRE_", "STREAM_URL"))}
    return {**clean, "PYTHONPATH": str(PROGRAM.parent.parent), "PYTHONUNBUFFERED": "1", **more}


def test_by_one_command_without_an_account(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--simulate"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=tmp_path,
        env=environment(),
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [re.sub(r"call \S+:", "call C:", line) for line in done.stdout.splitlines()]
    assert re.fullmatch(r"call C: streaming to ws://127\.0\.0\.1:\d+/audio", lines[0])
    assert lines[1:] == [
        "call C: ended (hangup), the stream is finished",
        "receiver: 8.1 s of audio/x-mulaw, session abc123",
    ]


def test_on_a_space_the_environment_says_where(sim: Simulator) -> None:
    """The program as with an account: it is only told a host, credentials and an address. Another process than ours."""
    with AudioServer() as audio:
        given = environment(**variables_of(sim), STREAM_URL=audio.url)
        with subprocess.Popen(
            [sys.executable, str(PROGRAM)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=given
        ) as process:
            try:
                for _ in range(2):  # it goes on taking calls
                    phone = sim.call(to=TO, from_=FROM, says=speech.greeting(), ring_timeout=PATIENCE)
                    with audio.accept(PATIENCE) as stream:
                        heard = stream.read(1.0, PATIENCE)
                        assert len(heard) == 16000
                        assert any(heard)
                        assert stream.announced_tracks == ("inbound",)
                        assert stream.custom_parameters == {"session_id": "abc123"}
                        phone.hang_up()
                process.terminate()  # SIGTERM ends run() as Ctrl-C does
                printed, errors = process.communicate(timeout=PATIENCE)
            finally:
                process.kill()
    assert process.returncode == 0, errors
    assert printed.count(": streaming to ") == 2
    asked = sim.journal.requests("calling.stream")[0]["params"]
    assert {name: asked[name] for name in ("track", "codec", "custom_parameters")} == {
        "track": "inbound_track",
        "codec": "PCMU",
        "custom_parameters": {"session_id": "abc123"},
    }


@pytest.mark.parametrize("arguments", [[], ["--simulat"]])
def test_without_an_address_it_says_how_to_use_it(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, env=environment(), check=False
    )
    assert done.returncode == 1
    assert "SIGNALWIRE_PROJECT_ID" in done.stderr
    assert "--simulate" in done.stderr
    assert "Traceback" not in done.stderr
