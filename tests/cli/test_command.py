"""The command line as its users meet it: help, mistakes, interruptions, odd terminals, missing extras. Real processes."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import relay_sync
from relay_sync.audio import read_wav, write_wav
from relay_sync.cli import main
from relay_sync.cli.arguments import CODECS
from relay_sync.cli.progress import PlainProgress
from tests.support.commands import PATIENCE, environment, from_terminal, run

# -- help ----------------------------------------------------------------------------------------------------------------


def test_version_and_help_need_no_extra() -> None:
    code = "import sys; sys.modules.update(dict.fromkeys(('websockets', 'rich', 'requests')))"
    version = run("--version", code=code)
    assert (version.returncode, version.stdout) == (0, f"relay-sync {relay_sync.__version__}\n")
    shown = run("demo", "--help", code=code, COLUMNS="80")
    assert shown.returncode == 0
    for option in ("--says FILE", "--out FILE", "--codec CODEC", "--track", "--fast"):
        assert option in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_help_and_error_name_the_same_codecs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["demo", "--help"])
    assert CODECS in " ".join(capsys.readouterr().out.split())
    assert main(["demo", "--codec", "GSM"]) == 2
    assert capsys.readouterr().err.splitlines()[0].endswith(f"'GSM': expected {CODECS}")


def test_python_m_is_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "relay_sync", "--version"], capture_output=True, text=True, env=environment(), check=True
    )
    assert done.stdout == f"relay-sync {relay_sync.__version__}\n"


def test_without_a_command_it_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "demo" in capsys.readouterr().out


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["dmeo"])
    assert end.value.code == 2
    assert "dmeo" in capsys.readouterr().err


# -- mistakes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--codec", "GSM"], "--codec: 'GSM': expected PCMU, PCMA, L16, G722 or OPUS"),
        (["--codec", "not a codec"], "--codec: 'not a codec': codec must be a name with modifiers"),
        (["--codec", "PCMU@16000h"], "no rate of 16000 Hz"),
        (["--codec", ""], "--codec: '': codec must be a name"),
        (["--says", "nowhere.wav"], "--says: nowhere.wav: No such file"),
        (["--says", "."], "--says: ."),
        (["--says", "text.wav"], "--says: text.wav: expected a readable WAV file"),
        (["--says", "stereo.wav"], "--says: stereo.wav: expected a mono WAV at 8, 16, 24 or 48 kHz"),
        (["--says", "empty.wav"], "--says: empty.wav: the file contains no audio"),
        (["--out", "nowhere/call.wav"], "--out: nowhere/call.wav: the folder"),
        (["--out", "."], "--out: .: is a folder"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.wav").write_text("these are words")
    write_wav(tmp_path / "stereo.wav", bytes(400), 8000, 2)
    write_wav(tmp_path / "empty.wav", b"", 8000)
    before = sorted(tmp_path.iterdir())
    assert main(["demo", "--fast", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("relay-sync demo: error: argument --")
    assert complaint in printed.err
    assert printed.err.endswith("Try: relay-sync demo --help\n")
    assert len(printed.err.splitlines()) == 2
    assert printed.out == ""
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_what_is_no_plain_file_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert main(["demo", "--fast", "--out", str(pipe)]) == 2
    assert "is not a regular file" in capsys.readouterr().err
    assert pipe.is_fifo()


def test_a_codec_whose_extra_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert main(["demo", "--fast", "--codec", "OPUS"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("relay-sync demo: error: argument --codec: 'OPUS': ")
    assert "pip install" in told


# -- trouble on the way --------------------------------------------------------------------------------------------------


def test_without_websockets_it_names_the_extra() -> None:
    done = run("demo", code="import sys; sys.modules['websockets'] = None")
    assert done.returncode == 1
    assert 'pip install "websockets>=13.1"' in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.traced
@pytest.mark.timing
@pytest.mark.skipif(sys.platform == "win32", reason="limits of that kind are POSIX")
def test_a_full_disk_is_told_and_not_taken_for_success(tmp_path: Path) -> None:
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))"
    done = run("demo", "--fast", "--out", str(tmp_path / "call.wav"), code=code)
    assert done.returncode == 1, done.stdout
    assert done.stderr.splitlines()[-1].startswith("relay-sync demo: the handler failed: ")  # after a warning, perhaps
    assert "Traceback" not in done.stderr
    assert "identical to the sent audio" not in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
@pytest.mark.parametrize("moment", ["listening   0%", pytest.param("listening  25%", marks=pytest.mark.slow)])
def test_ctrl_c_ends_it_cleanly(moment: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "relay_sync", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=tmp_path,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if moment in line:
                break
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert errors.strip() == "relay-sync demo: interrupted, nothing was saved"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.traced
@pytest.mark.skipif(sys.platform == "win32", reason="pipes break differently there")
def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "relay_sync", "demo", "--fast", "--out", str(tmp_path / "call.wav")],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
            env=environment(),
            check=False,
        )
    finally:
        os.close(writing)
    assert done.returncode == 0  # the call was made and saved, and its audio is what was sent
    assert done.stderr == ""
    assert read_wav(tmp_path / "call.wav").channels == 2


# -- the bar -------------------------------------------------------------------------------------------------------------


def test_plain_progress_in_a_log_is_five_lines() -> None:
    out = io.StringIO()
    with PlainProgress(8.0, live=False, out=out) as progress:
        for tenth in range(81):
            progress.update(tenth / 10)
    assert out.getvalue().splitlines() == [
        "listening   0%   0.0 of 8.0 s",
        "listening  25%   2.0 of 8.0 s",
        "listening  50%   4.0 of 8.0 s",
        "listening  75%   6.0 of 8.0 s",
        "listening 100%   8.0 of 8.0 s",
    ]


def test_plain_progress_on_a_terminal_is_one_line_drawn_again() -> None:
    out = io.StringIO()
    with PlainProgress(8.0, live=True, out=out) as progress:
        progress.update(4.0, "caller ▃")
        progress.update(4.01)
        progress.update(9.0)
    drawn = out.getvalue()
    assert drawn.count("\n") == 1
    assert drawn.endswith("listening [################################]   8.0 of 8.0 s\n")
    assert f"[{'#' * 16}{' ' * 16}]   4.0 of 8.0 s" in drawn
    assert drawn.count("\r") == 3


@pytest.mark.traced
@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize("with_rich", [True, False])
def test_on_a_terminal(with_rich: bool, tmp_path: Path) -> None:
    import pty

    if with_rich and find_spec("rich") is None:
        pytest.skip("rich is not installed")
    out = tmp_path / "call.wav"
    code = "import sys" if with_rich else "import sys; sys.modules['rich'] = None"
    start = f"{code}\nfrom relay_sync.cli import main; sys.exit(main(['demo', '--fast', '--out', {str(out)!r}]))"
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", start], stdout=theirs, stderr=subprocess.PIPE, env=environment(TERM="xterm")
    ) as process:
        os.close(theirs)
        drawn = from_terminal(ours)
        _, errors = process.communicate(timeout=PATIENCE)
    text = drawn.decode("utf-8", "replace")
    assert (process.returncode, errors) == (0, b""), text
    assert "8.1 of 8.1 s" in text
    assert ("━━━" in text) is with_rich
    assert ("[####" in text) is not with_rich
    assert read_wav(out).channels == 2
