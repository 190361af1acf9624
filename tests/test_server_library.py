"""Without the websockets package: what needs it says which extra to install, the rest works."""

from __future__ import annotations

import subprocess
import sys

import pytest

_WITHOUT = "import sys; sys.modules['websockets'] = None\n"


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", _WITHOUT + code], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "code",
    [
        "import relay_sync.server",
        "import relay_sync.server.loop",
        "from relay_sync.audio import AudioServer",
    ],
)
def test_the_error_names_the_extra(code: str) -> None:
    run = _run(code)
    assert run.returncode == 1
    assert "ImportError: relay_sync.audio and relay_sync.simulator need the websockets package" in run.stderr
    assert 'pip install "relay-sync[audio]"' in run.stderr


def test_codecs_and_files_work_without() -> None:
    run = _run(
        "from relay_sync.audio import codec_for, read_wav, draw_waveform, AudioFrame, AudioStream, StreamStats\n"
        "print(codec_for('PCMU').decode(b'\\xff'))"
    )
    assert (run.returncode, run.stdout.strip()) == (0, "b'\\x00\\x00'"), run.stderr
