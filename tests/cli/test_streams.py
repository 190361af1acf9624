"""Commands whose standard streams are absent, closed, full, without a reader, or poor in characters. Real processes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import pytest

from relay_sync.audio import draw_waveform, read_wav
from relay_sync.cli import streams
from relay_sync.cli.progress import PlainProgress, level
from relay_sync.cli.streams import Output, can_draw_over, can_show, standard_streams
from relay_sync.rest.progress import shown
from relay_sync.simulator import Simulator, speech
from relay_sync.testing import variables_of
from tests.support.commands import PATIENCE, environment, from_terminal

posix = pytest.mark.skipif(sys.platform == "win32", reason="shells redirect differently there")

#: Ends the process as SIGTERM does, once a server of ours runs in it.
_ENDED = """
import os, signal, sys, threading, time
def end():
    while not any(each.name.startswith("relay-") for each in threading.enumerate()):
        time.sleep(0.01)
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGTERM)
"""
_APP = """
import threading, time
from relay_sync import RelayClient
client = RelayClient()
def stop():
    while client.state != "connected":
        time.sleep(0.01)
    print("taking calls", flush=True)
    client.stop()
threading.Thread(target=stop, daemon=True).start()
"""
_COMMANDS = {
    "help": ["--help"],
    "version": ["--version"],
    "nothing": [],
    "demo": ["demo", "--fast"],
    "demo-help": ["demo", "--help"],
    "doctor": ["doctor"],
    "listen": ["listen", "--port", "0"],
    "simulate": ["simulate", "--show-tokens"],
    "run": ["run", "app:client"],
    "mistake": ["demo", "--codec", "MP3"],
}
_CODES = {"mistake": 2, "nothing": 2}
_REDIRECTED = {
    "no stdout": ">&-",
    "no stderr": "2>&-",
    "no stdin": "<&-",
    "none at all": "<&- >&- 2>&-",
    "one line": "| head -1",
    "no line": "2>&1 | head -0",
}


def shell(command: str, redirected: str, folder: Path, **more: str) -> tuple[int, str]:
    """Run a command. :return: its own exit code, and what reached the end of the pipe and standard error."""
    waiting = "threading.Thread(target=end, daemon=True).start()" if command in ("listen", "simulate") else ""
    call = f"from relay_sync.cli import main\nsys.exit(main({_COMMANDS[command]!r}))"
    (folder / "start.py").write_text(f"{_ENDED}\n{waiting}\n{call}\n")
    (folder / "app.py").write_text(_APP)
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} start.py {redirected}; echo ${{PIPESTATUS[0]}} > code"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        cwd=folder,
        env=environment(**more),
        check=False,
    )
    return int((folder / "code").read_text()), done.stdout


@posix
@pytest.mark.slow
@pytest.mark.parametrize("redirected", _REDIRECTED.values(), ids=list(_REDIRECTED))
@pytest.mark.parametrize("command", list(_COMMANDS))
def test_a_command_does_its_work_without_its_streams(
    command: str, redirected: str, sim: Simulator, tmp_path: Path
) -> None:
    code, printed = shell(command, redirected, tmp_path, **variables_of(sim))
    assert code == _CODES.get(command, 0), printed
    assert "Traceback" not in printed
    assert "Broken pipe" not in printed
    assert "Exception ignored" not in printed
    assert (tmp_path / "relay-sync-demo.wav").exists() is (command == "demo")


@pytest.mark.traced
@posix
@pytest.mark.parametrize(
    ("command", "redirected"),
    [("demo", ">&-"), ("demo", "| head -1"), ("simulate", "<&- >&- 2>&-"), ("listen", ">&-"), ("nothing", "| head -1")],
)
def test_a_few_of_them(command: str, redirected: str, sim: Simulator, tmp_path: Path) -> None:
    test_a_command_does_its_work_without_its_streams(command, redirected, sim, tmp_path)


@posix
def test_the_doctor_says_the_same_where_only_its_first_line_is_read(tmp_path: Path) -> None:
    code, printed = shell("doctor", "| head -1", tmp_path, **dict.fromkeys(("SIGNALWIRE_PROJECT_ID",), ""))
    assert code == 1
    # What is said on stderr may come in the midst of the line.
    for said in ("relay-sync doctor: problems found: configuration", "relay-sync 0.1.0 doctor"):
        assert printed.count(said) == 1
    assert len(printed.splitlines()) == 2


@pytest.mark.slow
@posix
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("command", ["version", "demo"])
def test_a_full_device_is_named(command: str, tmp_path: Path) -> None:
    code, printed = shell(command, "> /dev/full", tmp_path)
    assert code == 1
    assert printed.rstrip().endswith("the output could not be written: No space left on device")
    assert len(printed.splitlines()) == 1


@posix
def test_no_socket_gets_the_number_of_a_stream_that_is_closed(tmp_path: Path) -> None:
    (tmp_path / "start.py").write_text(
        "import os, socket, sys\nfrom relay_sync.cli.streams import standard_streams\n"
        "with standard_streams():\n"
        "    print('lost'); print('lost', file=sys.stderr); sys.stdin.read()\n"
        "    numbers = [socket.socket().fileno(), os.open(os.devnull, os.O_RDONLY)]\n"
        "open('numbers', 'w').write(' '.join(map(str, numbers)))\n"
    )
    command = f"{sys.executable} start.py <&- >&- 2>&-"
    subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment(), timeout=PATIENCE, check=True)
    assert min(map(int, (tmp_path / "numbers").read_text().split())) > 2


# -- the streams by themselves -----------------------------------------------------------------------------------------


class Broken(io.StringIO):
    """A stream that cannot be written."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.raised = error

    def write(self, text: str) -> int:
        raise self.raised


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(5, "Input/output error"), ValueError("closed file")])
def test_what_cannot_be_written_is_dropped(error: Exception) -> None:
    output = Output(Broken(error))
    print("one", file=cast(io.StringIO, output))
    output.writelines(["two", "three"])
    output.flush()
    assert output.error is error


def test_a_character_that_cannot_be_encoded_is_no_loss() -> None:
    output = Output(io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    with pytest.raises(UnicodeEncodeError):
        output.write("\N{FULL BLOCK}")
    assert output.error is None


@pytest.fixture
def null_devices() -> Iterator[None]:
    """A command leaves those that it opened to the end of its process, which for this one would be a warning."""
    yield
    for mode in ("r", "w"):
        streams._null_device(mode).close()
    streams._null_device.cache_clear()


@pytest.mark.usefixtures("null_devices")
@pytest.mark.parametrize("absent", [True, False], ids=["None", "closed"])
def test_streams_are_there_for_a_while(absent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None if absent else closed)
    with standard_streams():
        print("lost", flush=True)
        print("lost", file=sys.stderr, flush=True)
        assert sys.stdin.read() == ""
        assert not can_draw_over()
    for name in ("stdin", "stdout", "stderr"):
        assert getattr(sys, name) is (None if absent else closed)


def test_a_stream_that_the_program_sets_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = io.StringIO()
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with standard_streams():
        monkeypatch.setattr(sys, "stdout", ours)
    assert sys.stdout is ours


@pytest.mark.parametrize("stream", [None, "closed", "terminal that is gone"])
def test_a_download_is_not_ended_by_its_bar(stream: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    given: io.StringIO | None = None
    if stream == "closed":
        given = io.StringIO()
        given.close()
    elif stream:
        given = Broken(OSError(5, "Input/output error"))
        given.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", given)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setenv("TERM", "xterm")
    with shown("recording") as report:
        report(1, 2)


# -- characters --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "cp850"])
def test_the_demo_draws_with_what_the_output_has(encoding: str, tmp_path: Path) -> None:
    out = tmp_path / "call.wav"
    done = subprocess.run(
        [sys.executable, "-m", "relay_sync", "demo", "--fast", "--out", str(out)],
        capture_output=True,
        timeout=PATIENCE,
        env=environment(PYTHONIOENCODING=encoding),
        check=True,
    )
    printed = done.stdout.decode(encoding)
    drawing = draw_waveform(read_wav(out), width=70, labels=["caller", "callee"], ascii=True)
    assert drawing in printed
    assert "?" not in printed


def test_ascii_has_as_many_steps_as_blocks() -> None:
    blocks = draw_waveform(speech.caller())
    plain = draw_waveform(speech.caller(), ascii=True)
    assert plain.isascii()
    assert plain == blocks.translate(str.maketrans("▁▂▃▄▅▆▇█", ".:-=+*%#"))


def test_levels_are_drawn_with_what_the_output_has(monkeypatch: pytest.MonkeyPatch) -> None:
    loud = (32767).to_bytes(2, "little") * 80
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="cp1252"))
    assert not can_show("▁")
    assert level(loud) == "#"
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert level(loud) == "█"


# -- terminals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [1, 20, 40, 60, 200])
def test_a_bar_fits_its_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    out = io.StringIO()
    with PlainProgress(8.0, live=True, out=out) as progress:
        for second in range(9):
            progress.update(second)
    lines = out.getvalue().rstrip("\n").split("\r")[1:]
    assert lines[-1].endswith("8.0 of 8.0 s")
    assert max(map(len, lines)) <= max(columns, 34)


def on_a_terminal(tmp_path: Path, columns: int, **more: str) -> str:
    """What the demo draws on a pseudo-terminal."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {name: value for name, value in environment().items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    with subprocess.Popen(
        [sys.executable, "-m", "relay_sync", "demo", "--fast"],
        stdout=theirs,
        cwd=tmp_path,
        env={**env, "TERM": "xterm-256color", **more},
    ) as process:
        os.close(theirs)
        drawn = from_terminal(ours)
        assert process.wait(PATIENCE) == 0
    return drawn.decode()


needs_terminals = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")


@pytest.mark.slow
@needs_terminals
@pytest.mark.skipif(find_spec("rich") is None, reason="rich is not installed")
def test_no_color_draws_without_colors(tmp_path: Path) -> None:
    assert "\x1b[38;5;" in on_a_terminal(tmp_path, 80)
    drawn = on_a_terminal(tmp_path, 80, NO_COLOR="1")
    assert "8.1 of 8.1 s" in drawn
    assert "\x1b[38;" not in drawn
    assert not any(f"\x1b[{number}m" in drawn for number in (*range(30, 38), *range(90, 98)))


@pytest.mark.slow
@needs_terminals
def test_a_dumb_terminal_gets_lines(tmp_path: Path) -> None:
    drawn = on_a_terminal(tmp_path, 80, TERM="dumb")
    assert "listening 100%" in drawn
    assert "\x1b" not in drawn
    assert "\r" not in drawn.replace("\r\n", "\n")


@pytest.mark.slow
@needs_terminals
@pytest.mark.parametrize("columns", [24, 40])
def test_the_waveform_fits_a_narrow_terminal(columns: int, tmp_path: Path) -> None:
    lines = on_a_terminal(tmp_path, columns).splitlines()
    (first,) = (index for index, text in enumerate(lines) if text.startswith("caller "))
    assert max(map(len, lines[first : first + 5])) <= columns
    assert lines[first + 4].endswith("8.1 s")
