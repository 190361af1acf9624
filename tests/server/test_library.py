"""Without the websockets package: what needs it says what to install, the rest works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import relay_sync
from relay_sync.server import library

_WITHOUT = "import sys; sys.modules['websockets'] = None\n"


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", _WITHOUT + code], capture_output=True, text=True, timeout=60)


def _run_in(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """A program whose own modules, those of the folder, are found first."""
    path = os.pathsep.join([str(folder), str(Path(relay_sync.__file__).parent.parent)])
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
    )


@pytest.mark.parametrize(
    "code",
    [
        "import relay_sync.server",
        "import relay_sync.server.loop",
        "from relay_sync.audio import AudioServer",
    ],
)
def test_the_error_names_the_distribution(code: str) -> None:
    run = _run(code)
    assert run.returncode == 1
    assert "ImportError: relay_sync.audio and relay_sync.simulator need the websockets package" in run.stderr
    assert 'pip install "websockets>=13.1"' in run.stderr
    assert "; found" not in run.stderr


def test_the_error_tells_where_a_module_of_that_name_is(tmp_path: Path) -> None:
    (tmp_path / "websockets.py").touch()
    run = _run_in(tmp_path, "import relay_sync.server")
    assert run.returncode == 1
    assert f"; found {tmp_path / 'websockets.py'}, which is an older version" in run.stderr


def test_what_the_package_says_of_its_errors_is_in_our_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(0, "relay_sync"):
        library.quiet_logger.debug("a header")
        library.quiet_logger.error("a trouble")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("ERROR", "a trouble")]


@pytest.mark.traced
@pytest.mark.parametrize("module", ["webhooks", "rest", "cli", "contrib.flask", "contrib.django", "contrib.gunicorn"])
def test_what_needs_no_server_of_ours_works_without(module: str) -> None:
    run = _run(f"import relay_sync.{module}; print(relay_sync.{module}.__name__)")
    assert (run.returncode, run.stdout.strip()) == (0, f"relay_sync.{module}"), run.stderr


def test_codecs_and_files_work_without() -> None:
    run = _run(
        "from relay_sync.audio import codec_for, read_wav, draw_waveform, AudioFrame, AudioStream, StreamStats\n"
        "print(codec_for('PCMU').decode(b'\\xff'))"
    )
    assert (run.returncode, run.stdout.strip()) == (0, "b'\\x00\\x00'"), run.stderr


def test_an_error_beneath_it_is_not_taken_for_its_absence(tmp_path: Path) -> None:
    """A program's own module that has the name of a standard one which the package imports."""
    (tmp_path / "secrets.py").write_text("raise ImportError('mine', name='something')\n")
    run = _run_in(tmp_path, "import relay_sync.server.loop")
    assert run.returncode == 1
    assert run.stderr.endswith("ImportError: mine\n")
    assert "need the websockets package" not in run.stderr


@pytest.mark.parametrize(
    ("module", "missing", "told"),
    [
        ("flask", "flask", 'relay_sync.contrib.flask needs Flask: pip install "flask>=3"'),
        ("flask", "werkzeug", "'werkzeug'"),
        ("django", "django", 'relay_sync.contrib.django needs Django: pip install "django>=5.2"'),
        ("django", "django.utils", "'django.utils'"),
    ],
)
def test_a_framework_is_missed_only_where_it_is_not_there(module: str, missing: str, told: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import relay_sync.contrib.{module}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    last = run.stderr.splitlines()[-1]
    assert last == f"ImportError: {told}" if module == missing else told in last and "pip install" not in last
