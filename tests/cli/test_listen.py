"""``relay-sync listen`` as a process, with the simulator as the carrier."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from relay_sync.audio import read_wav
from relay_sync.cli import main
from relay_sync.cli.meters import PlainDisplay, bar, decibels
from relay_sync.simulator import Simulator, speech
from tests.support.commands import PATIENCE, environment, run
from tests.support.lines import line

TONE = b"".join(
    sample.to_bytes(2, "little", signed=True) for _ in range(4000) for sample in (8000, 8000, -8000, -8000)
)  # 2 s


@contextmanager
def _listening(
    *arguments: str, cwd: Path | None = None, code: str = "", **more: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and the URL that it says it listens on."""
    start = f"{code}\nimport sys; from relay_sync.cli import main; sys.exit(main(sys.argv[1:]))"
    with subprocess.Popen(
        [sys.executable, "-c", start, "listen", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        env=environment(**more),
    ) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first.startswith("listening on ws://127.0.0.1:"), first + process.stdout.read()
            yield process, first
        finally:
            process.kill()


def _url(greeting: str) -> str:
    return greeting.split()[2].rstrip(",;")


def _until(process: subprocess.Popen[str], *words: str) -> str:
    """What the command prints until it has said all of these, in any order."""
    assert process.stdout is not None
    told = ""
    while not all(each in told for each in words):
        more = process.stdout.readline()
        assert more, f"it has ended: {told}"
        told += more
    return told


def _rest(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=PATIENCE)
    return out


@pytest.mark.traced
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_call_is_metered_saved_and_finished_by_a_signal(tmp_path: Path, number: int) -> None:
    """The stream still goes on when the command is told to end: its file is whole all the same."""
    with _listening("--save", "in {here}", cwd=tmp_path, RELAY_AUDIO_TOKEN="tell-nobody") as (process, greeting):
        assert "senders need the bearer token" in greeting
        with Simulator(speed=10) as sim, line(sim, says=TONE) as one:
            one.call.stream(_url(greeting), track="both", authorization_bearer_token="tell-nobody")
            one.phone.streams[0].wait_for_speech(PATIENCE)
            assert process.stdout is not None
            assert "started, audio/x-mulaw at 8000 Hz, inbound and outbound" in process.stdout.readline()
            process.send_signal(number)
            rest = _rest(process)
            call_id = one.call.call_id
    assert process.returncode == 0, rest
    assert "tell-nobody" not in greeting + rest
    assert "Traceback" not in rest
    assert f"saved in {Path('in {here}') / call_id}.wav" in rest
    assert rest.endswith("1 stream\n")
    saved = read_wav(tmp_path / "in {here}" / f"{call_id}.wav")
    assert saved.channels == 2
    assert saved.samples >= 15_000
    assert max(saved.channel(0)) > 0
    assert saved.channel(1).count(0) == len(saved.channel(1))


@pytest.mark.slow
def test_a_waveform_with_marks_below_what_was_said(tmp_path: Path) -> None:
    with _listening(PYTHONIOENCODING="utf-8") as (process, greeting):
        with Simulator(speed=8) as sim, line(sim, says=speech.caller()) as one:
            one.call.stream(_url(greeting))
            one.phone.streams[0].wait_for_speech(PATIENCE)
            one.phone.hang_up()
            told = _until(process, " after ", f"0{'':20}")
        process.send_signal(signal.SIGTERM)
        _rest(process)
    drawn = told.splitlines()[-4:]
    assert drawn[0].startswith("inbound ")
    assert "█" in drawn[1]
    assert "├─" in drawn[2]
    assert drawn[3].endswith(" s")


FULL = """
import errno, os, relay_sync.audio.recorder as recorder
real = os.pwrite
def write(handle, data, offset):
    if offset + len(data) > {room}:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return real(handle, data, offset)
recorder._pwrite = write
"""


@pytest.mark.parametrize("room", [2000, 0])
def test_on_a_full_disk_nothing_is_said_to_be_saved(tmp_path: Path, room: int) -> None:
    with _listening("--save", str(tmp_path), code=FULL.format(room=room)) as (process, greeting):
        with Simulator(media="fast") as sim, line(sim, says=TONE) as one:
            action = one.call.stream(_url(greeting))
            one.phone.streams[0].wait_for_speech(PATIENCE)
            action.stop()
            action.wait(PATIENCE)
            call_id = one.call.call_id
            told = _until(process, " stopped after ", "warning")  # that comes from another thread, before or after
        process.send_signal(signal.SIGTERM)
        rest = told + _rest(process)
    (shown,) = [each for each in told.splitlines() if " stopped after " in each]
    assert process.returncode == 1, rest
    assert "saved in" not in shown + rest
    assert "1 recording is incomplete (see above)" in rest
    assert "No space left" in shown
    if room:
        assert f"cut short, {tmp_path / call_id}.wav is incomplete" in shown
        assert f"recording stopped; the stream continues (call {call_id}, {tmp_path / call_id}.wav)" in rest
    else:
        assert "; not saved: " in shown


def test_several_streams_plain_lines_without_rich_and_a_wrong_token(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['rich'] = None\n"
        "import relay_sync.cli.meters as meters, relay_sync.cli.listen as listen\n"
        "listen.make_display = lambda: meters.PlainDisplay(0.1)"
    )
    secret = tmp_path / "token"
    secret.write_text("tell-nobody\n", encoding="utf-8")
    with _listening("--token-file", str(secret), code=code, RELAY_AUDIO_TOKEN="not this") as (process, greeting):
        with Simulator(media="fast") as sim:
            with line(sim, says=TONE) as refused:
                refused.call.stream(_url(greeting), authorization_bearer_token="wrong").wait(PATIENCE)
            for _ in range(2):
                with line(sim, says=TONE) as one:
                    action = one.call.stream(_url(greeting), authorization_bearer_token="tell-nobody")
                    one.phone.streams[0].wait_for_speech(PATIENCE)
                    _until(process, "frames")
                    action.stop()
                    _until(process, "stopped after 2.0 s, 100 frames, 0 gaps")
        process.send_signal(signal.SIGTERM)
        rest = _rest(process)
    assert process.returncode == 0
    assert rest.endswith("2 streams\n")
    assert "tell-nobody" not in rest


def test_mistakes_are_one_line_each(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "odd").write_text("tell-nobody, please", encoding="utf-8")
    (tmp_path / "binary").write_bytes(b"tell-nobody\xff")
    (tmp_path / "long").write_text("x" * 16385, encoding="utf-8")
    for arguments, complaint in (
        (["--save", str(tmp_path / "file" / "x")], "--save"),
        (["--token-file", str(tmp_path / "odd")], "--token-file: invalid value <hidden>: expected printable"),
        (["--token-file", str(tmp_path / "binary")], "binary cannot be read: it is not UTF-8 text"),
        (["--token-file", str(tmp_path / "file")], "file is empty"),
        (["--token-file", str(tmp_path / "none")], "none cannot be read: No such file"),
        (["--path", "audio"], "--path: invalid value 'audio': expected a percent-encoded path"),
        (["--path", ""], "--path: must not be empty"),
        (["--save", ""], "--save: must not be empty"),
        (["--token-file", ""], "--token-file: must not be empty"),
        (["--token-file", "/dev/zero"], "/dev/zero has more than 16384 bytes, which is too long for a token"),
        (["--token-file", str(tmp_path / "long")], "long has more than 16384 bytes, which is too long for a token"),
    ):
        assert main(["listen", "--port", "0", *arguments]) == 2
        shown = capsys.readouterr().err
        assert complaint in shown
        assert "tell-nobody" not in shown
        assert len(shown.splitlines()) == 2


def test_a_token_on_the_command_line_is_refused_and_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--token", "tell-nobody"], ["--token=tell-nobody"]):
        with pytest.raises(SystemExit) as ended:
            main(["listen", "--port", "0", *arguments])
        assert ended.value.code == 2
        shown = capsys.readouterr().err
        assert "--token-file FILE, or $RELAY_AUDIO_TOKEN" in shown
        assert "tell-nobody" not in shown


def test_a_token_of_the_environment_that_cannot_be_is_named_by_its_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELAY_AUDIO_TOKEN", "tell nobody")
    assert main(["listen", "--port", "0"]) == 2
    shown = capsys.readouterr().err
    assert "$RELAY_AUDIO_TOKEN: invalid value <hidden>: expected printable" in shown
    assert "tell nobody" not in shown


@pytest.mark.traced
def test_a_port_that_is_taken() -> None:
    with _listening() as (_, greeting):
        port = _url(greeting).rsplit(":", 1)[1].partition("/")[0]
        done = run("listen", "--port", port)
    assert done.returncode == 1
    assert f"port {port} is not available" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.traced
@pytest.mark.parametrize(("host", "others"), [("*", True), ("0.0.0.0", True), ("127.0.0.1", False)])
def test_a_host_that_is_all_addresses_is_said_to_be_that(host: str, others: bool) -> None:
    with _listening("--host", host) as (_, greeting):
        assert (" and all other addresses of this machine; no token: any client that reaches" in greeting) is others


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
def test_on_a_terminal_there_is_a_table_that_is_drawn_again_and_again(tmp_path: Path) -> None:
    master, slave = os.openpty()
    start = "import sys; from relay_sync.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", start, "listen", "--port", "0"]
    shown = b""
    with subprocess.Popen(
        command, stdout=slave, stderr=slave, env=environment(COLUMNS="160", TERM="xterm"), cwd=tmp_path
    ) as process:
        os.close(slave)
        try:
            while b"to stop" not in shown:
                shown += os.read(master, 4096)
            url = shown.split(b"listening on ")[1].split(b";")[0].decode()
            with Simulator(speed=4) as sim, line(sim, says=TONE) as one:
                one.call.stream(url)
                while b"####" not in shown or b"inbound" not in shown:
                    shown += os.read(master, 4096)
                process.send_signal(signal.SIGINT)
                while b"1 stream" not in shown:
                    shown += os.read(master, 4096)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            os.close(master)
    assert b"Traceback" not in shown


def test_levels() -> None:
    assert decibels(TONE) == pytest.approx(-12.25, abs=0.01)
    assert decibels(b"\x00\x80") == 0.0
    assert decibels(bytes(10)) == decibels(b"") == float("-inf")
    assert bar(0.0) == "#" * 20
    assert bar(-30.0) == "#" * 10 + "." * 10
    assert bar(float("-inf")) == bar(-90.0) == "." * 20
    assert PlainDisplay().interval == 5.0


def test_what_it_shows_of_the_log_ends_with_it() -> None:
    log = logging.getLogger("relay_sync")
    before = (list(log.handlers), log.propagate)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["listen", "--port", str(taken.getsockname()[1])]) == 1
    assert (list(log.handlers), log.propagate) == before
