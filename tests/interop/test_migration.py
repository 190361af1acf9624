"""A program for the official SDK, with ``async`` and ``await`` taken out and the import changed, does the same here."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from relay_sync.audio import AudioServer
from relay_sync.simulator import Simulator

from .journals import asked

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = ROOT / "examples" / "migration"
TLS = ROOT / "tests" / "data" / "tls"
PATIENCE = 60.0
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
    f"{CALLER} writes: Are you open?",
    "call back 4821",
    "the caller pressed 1",
    "the recording is finished",
    "the text was delivered",
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


def story(sim: Simulator) -> None:
    """Everybody but the program."""
    sim.expect_phone(BOSS, answers_after=1)
    sim.wait_for_client(timeout=PATIENCE)
    caller = sim.call(
        to=DESK, from_=CALLER, presses=["1", "4821#"], says=["Please call me back"], ring_timeout=PATIENCE
    )
    caller.wait_until("ended", timeout=PATIENCE)
    sim.journal.wait_for(
        lambda entry: entry.direction == "out" and entry.params.get("message_state") == "delivered", PATIENCE
    )
    sim.wait_for_acks(PATIENCE)
    sim.message(to=DESK, from_=CALLER, body="Are you open?", context="office")


def run(program: str, stream_url: str) -> tuple[list[tuple[str, dict[str, Any]]], list[str]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
    with Simulator(media="fast", ssl_context=context, project="desk", token="PT0123456789") as sim:
        given = {
            "SIGNALWIRE_PROJECT_ID": sim.credentials["project"],
            "SIGNALWIRE_API_TOKEN": sim.credentials["token"],
            "SIGNALWIRE_SPACE": f"{sim.settings.host}:{sim.port}",
            "SIGNALWIRE_RELAY_CA_FILE": str(TLS / "cert.pem"),
            "SIGNALWIRE_LOG_MODE": "stderr",
            "STREAM_URL": stream_url,
            "PYTHONPATH": str(ROOT),
        }
        with subprocess.Popen(
            [sys.executable, str(PROGRAMS / program)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **given},
        ) as process:
            try:
                story(sim)
                out, err = process.communicate(timeout=PATIENCE)
            finally:
                process.kill()
        assert (process.returncode, "Traceback" in err + out) == (0, False), (out, err)
        return asked(sim), sorted(out.splitlines())


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
