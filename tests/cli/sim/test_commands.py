"""``relay-sync sim call``, ``text``, ``calls`` and ``journal``: what people and programs read, and exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay_sync import RelayClient
from relay_sync.audio import AudioServer, write_wav
from relay_sync.cli import main
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import until
from tests.support.commands import environment
from tests.support.lines import FROM, TO
from tests.support.sims import answering, found_by_commands

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="other rights and locks there")


@pytest.fixture(autouse=True)
def found(sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with found_by_commands(sim):
        yield


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def whole(line: str) -> str:
    """A line of the timeline without its time."""
    return re.sub(r"^ *\d+\.\d{3} s  ", "", line)


# -- call ----------------------------------------------------------------------------------------------------------------


def test_a_call_is_followed_to_its_end(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    with AudioServer() as audio, answering(sim, url=audio.url):
        assert main(["sim", "call", "--says", "caller"]) == 0
    first, *timeline = lines(capsys)
    assert re.fullmatch(rf"call [0-9a-f-]{{36}}: \{FROM} calls \{TO}, context default", first)
    assert whole(timeline[-1]) == "ended (hangup)"
    assert any(whole(line).startswith("stream to ws://127.0.0.1:") for line in timeline)


def test_a_call_as_json(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(sim):
        assert main(["sim", "call", "+15550107", "--from", "+15550108", "--hangs-up-after", "0.1", "--json"]) == 0
    (line,) = lines(capsys)
    call: dict[str, Any] = json.loads(line)
    assert (call["state"], call["end_reason"], call["number"]) == ("ended", "hangup", "+15550108")


def test_a_wav_is_read_by_the_command(sim: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_wav(tmp_path / "me.wav", b"\1\2" * 800, 8000)
    with AudioServer() as audio, answering(sim, url=audio.url):
        assert main(["sim", "call", "--says", str(tmp_path / "me.wav"), "--json"]) == 0
    (stream,) = json.loads(lines(capsys)[0])["streams"]
    assert stream["frames_sent"]["inbound"] >= 5


def test_a_call_without_waiting(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "call", "--no-wait"]) == 0
    (call_id,) = lines(capsys)
    assert main(["sim", "call", "--no-wait", "--json"]) == 0
    assert json.loads(lines(capsys)[0])["state"] in ("created", "ended")
    assert re.fullmatch("[0-9a-f-]{36}", call_id)


def test_a_call_that_waits_is_explained_and_hung_up_in_the_end(
    sim: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(sim, contexts=("sales",)):
        assert main(["sim", "call", "--timeout", "0.7"]) == 1
        until(lambda: not sim.phones)
    shown = capsys.readouterr()
    reason = "no client has subscribed to context 'default'; clients have subscribed to 'sales'"
    assert f"not offered: {reason}" in shown.out
    assert f"the call was hung up, because it is created after 0.7 s; {reason}" in shown.err


@pytest.mark.slow
def test_a_caller_without_a_stream_is_explained(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(sim):
        assert main(["sim", "call", "--says", "caller", "--timeout", "1.5"]) == 1
    shown = capsys.readouterr()
    reason = "the program has opened no stream, which a caller needs to speak and then hang up"
    assert f"waiting: {reason}; use --hangs-up-after" in shown.out
    assert shown.err.endswith(f"the call was hung up, because it is answered after 1.5 s; {reason}\n")


def test_a_call_that_is_not_answered(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    client = RelayClient(**sim.credentials, contexts=["default"])
    client.on_call(lambda call: call.hangup("busy"))
    with client:
        client.connect()
        assert main(["sim", "call"]) == 1
    assert capsys.readouterr().err.endswith("the call was not answered (busy)\n")


@pytest.mark.slow
def test_ctrl_c_hangs_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Simulator() as slow, found_by_commands(slow), answering(slow):
        with subprocess.Popen(
            [sys.executable, "-m", "relay_sync", "sim", "call"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        ) as process:
            until(lambda: any(phone.state == "answered" for phone in slow.phones))
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 130
        assert errors.endswith("relay-sync sim: interrupted\n")
        until(lambda: not slow.phones)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["--says", "nowhere.wav"],
            "--says: nowhere.wav: No such file or directory; expected greeting, caller or a WAV",
        ),
        (["--says", "."], "--says: .: Is a directory"),
        (["--says", "pipe"], "--says: pipe: not a regular file"),
        (["--says", "text"], "--says: text: not a WAV file"),
        (["--says", "large"], "--says: large: larger than 64 MiB"),
        (["--says", "stereo.wav"], "--says: expected a mono WAV at 8, 16, 24 or 48 kHz"),
        (["--says", ""], "--says: "),
        (["--timeout", "0"], "--timeout: invalid value 0: expected a positive number of seconds"),
        (["--hangs-up-after", "-1"], "--hangs-up-after: invalid value -1: expected a positive"),
        (["not a number"], "TO: invalid value 'not a number': expected a telephone number"),
        (["--from", "not a number"], "--from: invalid value 'not a number': expected a telephone number"),
        (["--presses", "x"], "--presses: "),
    ],
)
def test_a_mistake_is_explained(
    arguments: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("text").write_text("not audio")
    write_wav("stereo.wav", bytes(400), 8000, 2)
    with open("large", "wb") as large:
        large.truncate(64 * 2**20 + 1)
    assert main(["sim", "call", *arguments]) == 2
    shown = capsys.readouterr()
    assert f"relay-sync sim: error: argument {complaint}" in shown.err
    assert shown.out == ""


# -- text ----------------------------------------------------------------------------------------------------------------


def test_a_text_is_received(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(sim):
        assert main(["sim", "text", "Are you open?"]) == 0
        assert re.fullmatch("message [0-9a-f-]{36} was received", lines(capsys)[0])
        assert main(["sim", "text", "--media", "https://example.com/a.png", "--json", ""]) == 0
        assert json.loads(lines(capsys)[0]).keys() == {"id"}
    (first, second) = sim.journal.events("messaging.receive")
    assert (first["body"], first["from_number"], first["to_number"]) == ("Are you open?", FROM, TO)
    assert second["media"] == ["https://example.com/a.png"]


def test_a_text_that_nobody_receives(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(sim):
        assert main(["sim", "text", "Hello", "--context", "sales", "--timeout", "0.2"]) == 1
    assert "was not received within 0.2 s: no client has subscribed to context 'sales'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([""], "TEXT: must not be empty without --media"),
        (["Hello", "--timeout", "nan"], "--timeout: invalid value nan"),
        (["Hello", "--to", "nobody"], "--to: "),
    ],
)
def test_a_mistake_in_a_text_is_explained(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sim", "text", *arguments]) == 2
    assert f"error: argument {complaint}" in capsys.readouterr().err


# -- calls and journal -----------------------------------------------------------------------------------------------------


def test_calls_in_progress(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(sim):
        phone = sim.call(to=TO, from_=FROM)
        phone.wait_until("answered", PATIENCE)
        assert main(["sim", "calls"]) == 0
        first, last = lines(capsys)
        assert first.split() == [phone.call_id, FROM, "answered", "0", "streams"]
        assert last == "1 call in progress"
        assert main(["sim", "calls", "--json"]) == 0
        (call,) = json.loads(lines(capsys)[0])
        assert call["id"] == phone.call_id
        phone.hang_up()


def test_the_journal(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(sim):
        phone = sim.call(to=TO, from_=FROM)
        phone.wait_until("answered", PATIENCE)
        assert main(["sim", "journal"]) == 0
        text = "\n".join(lines(capsys))
        assert re.search(r"^ +0  program ->   signalwire\.connect  \{", text, re.MULTILINE)
        assert "<- platform  calling.call.receive  {" in text
        assert sim.credentials["token"] not in text
        assert main(["sim", "journal", "--json", "--method", "calling.answer"]) == 0
        (line,) = lines(capsys)
        assert json.loads(line)["frame"]["params"]["call_id"] == phone.call_id
        assert main(["sim", "journal", "--json", "--event-type", "calling.call.state", "--direction", "out"]) == 0
        assert {json.loads(line)["event_type"] for line in lines(capsys)} == {"calling.call.state"}
        phone.hang_up()


@pytest.mark.slow
def test_the_journal_of_many_frames_and_of_new_ones(sim: Simulator) -> None:
    for _ in range(2_500):
        sim.journal.add("out", 0, {"jsonrpc": "2.0", "method": "old", "params": {}})
    with subprocess.Popen(
        [sys.executable, "-m", "relay_sync", "sim", "journal", "--follow"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        for number in range(2_500):
            assert process.stdout.readline().split()[:1] == [str(number)]
        sim.journal.add("out", 0, {"jsonrpc": "2.0", "method": "new", "params": {}})
        assert "  new  {}" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 130


def test_without_an_action_it_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["sim"])
    assert end.value.code == 2
    assert "ACTION" in capsys.readouterr().err
