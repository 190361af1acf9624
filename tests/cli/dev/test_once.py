"""``relay-sync dev --once``: one call, its timeline, and an exit code."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

import pytest

from tests.support.dev import ANSWER, dev, lines

pytestmark = [
    pytest.mark.traced,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are listed only there"),
]
STREAMS = """
from relay_sync import RelayClient
from relay_sync.audio import AudioServer

client = RelayClient(contexts=["default"])
audio = AudioServer()

@client.on_call
def handle(call):
    call.answer()
    with audio.listen(call) as stream:
        stream.wait()
    print("seconds", round(stream.stats.seconds), flush=True)

client.run(drain=30)
"""


def once(folder: Path, program: str, *more: str, code: int) -> list[str]:
    with dev(folder, "--once", *more, "answer.py", program=program) as process:
        assert process.process.wait(40) == code, process.output
    return lines(process)


def test_the_call_is_shown_and_the_program_ends(tmp_path: Path) -> None:
    found = once(tmp_path, STREAMS, code=0)
    timeline = [line.partition(" s  ")[2] for line in found if re.match(r"dev\| *\d+\.\d{3} s  ", line)]
    assert timeline[0] == "+15550199 calls +15550100, context default"
    assert [line for line in timeline if line.startswith("command:")] == [
        "command: calling.answer",
        "command: calling.stream",
    ]
    assert [line for line in timeline if line.startswith("event:   state")] == [
        "event:   state ringing",
        "event:   state answered",
        "event:   state ending",
        "event:   state ended",
    ]
    assert "answer.py|seconds 8" in found


def test_faster(tmp_path: Path) -> None:
    assert "answer.py|seconds 8" in once(tmp_path, STREAMS, "--fast", code=0)


def test_the_states_of_a_two_way_stream_are_shown(tmp_path: Path) -> None:
    found = once(tmp_path, STREAMS.replace("audio.listen(call)", "audio.connect(call)"), "--fast", code=0)
    states = [line.partition("event:   ")[2] for line in found if "event:   connect" in line]
    assert states == ["connect connecting", "connect connected", "connect disconnected"]


def test_a_call_that_is_not_streamed_is_hung_up(tmp_path: Path) -> None:
    assert any("handled" in line for line in once(tmp_path, ANSWER, code=0))


@pytest.mark.parametrize(
    ("change", "more", "reason"),
    [
        (("", ""), ("--context", "sales"), "was not answered: no client has subscribed to context 'sales'"),
        (("call.answer()", "call.hangup('busy')"), (), "the call was not answered (busy)"),
        (("call.wait_for_ended()", "1 / 0"), (), "the program ended the call with the reason error"),
        (("call.answer()", "import os; os._exit(3)"), (), "answer.py ended before it answered the call"),
        (("if __name__", "1 / 0\nif __name__"), (), "answer.py ended with exit code 1 before a client connected"),
    ],
    ids=["context", "busy", "exception", "exit", "crash"],
)
def test_a_failure_has_a_reason(tmp_path: Path, change: tuple[str, str], more: tuple[str, ...], reason: str) -> None:
    found = once(tmp_path, ANSWER.replace(*change) if change[0] else ANSWER, *more, code=1)
    assert found[-1].startswith("relay-sync dev: ")
    assert reason in found[-1]
    assert sum(reason.rpartition(": ")[2] in line for line in found) == 1


def test_faster_without_a_stream(tmp_path: Path) -> None:
    """The caller does not wait for the time that the speech would take."""
    found = once(tmp_path, ANSWER, "--fast", code=0)
    (ended,) = [float(line.split()[1]) for line in found if line.endswith("event:   state ended")]
    assert ended < 5


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    with dev(tmp_path, "--once", "answer.py") as process:
        process.wait_for_output("event:   state answered")
        process.process.send_signal(signal.SIGINT)
        assert process.process.wait(20) == 130, process.output
    assert lines(process)[-1] == "relay-sync dev: interrupted"
