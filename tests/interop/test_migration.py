"""A program for the official SDK, with ``async`` and ``await`` taken out and the import changed, does the same here."""

from __future__ import annotations

import re
from typing import Any

import pytest

from relay_sync.audio import AudioServer
from relay_sync.simulator import Simulator
from tests.support.interop.journals import asked
from tests.support.interop.running import PATIENCE, ROOT, Program, end_message, program, secure_simulator

PROGRAMS = ROOT / "examples" / "migration"
DESK, CALLER, BOSS = "+15550100", "+15550199", "+15550101"

METHODS = [
    "signalwire.connect",
    "calling.answer",
    "calling.stream",
    "calling.play",
    "calling.collect",
    "calling.play_and_collect",
    "calling.play",
    "calling.play.pause",
    "calling.play.resume",
    "calling.play.volume",
    "calling.play.stop",
    "calling.record",
    "calling.stream.stop",
    "calling.send_digits",
    "calling.end",
    "calling.dial",
    "calling.play",
    "calling.end",
    "messaging.send",
    "messaging.send",
    "signalwire.unreceive",
    "signalwire.receive",
]
PRINTED = [
    "the caller pressed 1",
    "call back 4821",
    "the recording is finished",
    f"a text goes to {BOSS}",
    "the text was delivered",
    f"{CALLER} writes: Are you open?",
    f"a reply goes to {CALLER}",
]


def stripped(text: str) -> str:
    """What a text editor does with two replacements."""
    text = re.sub(r"\b(?:async|await) ", "", text)
    return text.replace("from signalwire.relay import", "from relay_sync import")


def test_the_second_program_is_the_first_one_without_async_and_await() -> None:
    first, second = (
        (PROGRAMS / f"with_{sdk}.py").read_text(encoding="utf-8") for sdk in ("official_sdk", "relay_sync")
    )
    assert first.count("await ") > 30
    assert stripped(first) == second


def story(sim: Simulator, desk: Program) -> list[str]:
    """Everybody but the program; and what it says."""
    sim.expect_phone(BOSS, answers_after=1)
    for number in (BOSS, CALLER):
        sim.expect_message(number, ends="sent")
    sim.wait_for_client(timeout=PATIENCE)
    sim.call(to=DESK, from_=CALLER, presses=["1", "4821#"], says=["Please call me back"], ring_timeout=PATIENCE)
    said = [desk.line() for _ in range(4)]
    end_message(sim, BOSS, "delivered")
    said.append(desk.line())
    sim.message(to=DESK, from_=CALLER, body="Are you open?", context="office")
    said += [desk.line() for _ in range(2)]
    end_message(sim, CALLER, "delivered")
    assert desk.end() == ""
    return said


def run(name: str, stream_url: str) -> tuple[list[tuple[str, dict[str, Any]]], list[str]]:
    with secure_simulator(strict=True) as sim, program(sim, PROGRAMS / name, STREAM_URL=stream_url) as desk:
        said = story(sim, desk)
        return asked(sim), said


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_both_ask_for_the_same_in_the_same_order_and_learn_the_same() -> None:
    with AudioServer() as audio:
        official, learnt = run("with_official_sdk.py", audio.url)
        ours, learnt_here = run("with_relay_sync.py", audio.url)
    for theirs, mine in zip(official, ours, strict=True):
        assert mine == theirs
    assert learnt_here == learnt
    assert [method for method, _ in official] == METHODS
    assert learnt == PRINTED
