"""The official SDK as a client of the simulator: what one SDK alone agrees upon with its own simulator proves little."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest

from relay_sync.audio import AudioServer
from relay_sync.simulator import speech
from tests.support import ROOT
from tests.support.far_end import mute
from tests.support.interop.running import PATIENCE, end_message, program, secure_simulator
from tests.support.lines import FROM, TO
from tests.support.verbs.row import Row
from tests.support.verbs.rows import ROWS

OFFICIAL = ROOT / "tests" / "support" / "interop" / "official.py"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]


def test_an_inbound_call_is_answered_played_to_asked_recorded_streamed_and_hung_up() -> None:
    with secure_simulator(strict=True) as sim, AudioServer() as audio:
        with program(sim, OFFICIAL, "inbound", STREAM_URL=audio.url) as client:
            sim.wait_for_client(timeout=PATIENCE)
            caller = sim.call(to=TO, from_=FROM, presses="4821#", says=speech.caller(), ring_timeout=PATIENCE)
            first = client.told()
            assert (first["direction"], first["state"]) == ("inbound", "ringing")
            assert first["device"]["params"] == {"from_number": FROM, "to_number": TO}
            assert client.told() == {"played": "finished"}
            assert client.told() == {
                "collected": {"type": "digit", "params": {"digits": "4821", "terminator": "#"}},
            }
            assert client.told() == {"recorded": "finished", "format": "wav"}
            with audio.accept(timeout=PATIENCE) as stream:
                assert stream.custom_parameters == {"ticket": "7781"}
                assert len(stream.read(0.5, PATIENCE)) == 8000  # 16-bit samples at 8 kHz
                client.tell()
                assert client.told() == {"streamed": "finished"}
            assert client.told() == {"ended": "busy"}
            assert client.end() == ""
        assert caller.end_reason == "busy"
        assert caller.heard("Welcome")


def test_the_caller_hangs_up_first() -> None:
    with secure_simulator(strict=True) as sim, program(sim, OFFICIAL, "hung_up") as client:
        sim.wait_for_client(timeout=PATIENCE)
        caller = sim.call(to=TO, from_=FROM, ring_timeout=PATIENCE)
        caller.wait_until_doing("calling.play", PATIENCE)
        caller.hang_up()
        assert client.told() == {"ended": "hangup"}
        assert client.told() == {"after": {}}  # 404, which it takes for "done already"
        assert client.end() == ""


def test_dialling_at_once_in_turn_and_in_vain() -> None:
    with secure_simulator(strict=True) as sim:
        sim.expect_phone("+15550101", answers_after=None)
        sim.expect_phone("+15550102", answered_by="machine")
        sim.expect_phone("+15550103", busy=True)
        with program(sim, OFFICIAL, "dial") as client:
            assert client.told() == {"won": "+15550102", "state": "answered"}
            detected = client.told()["detected"]
            assert (detected["type"], detected["params"]["event"]) == ("machine", "MACHINE")
            assert client.told() == {"won": "+15550104"}
            assert client.told() == {"failed": "RelayError"}
            assert client.end() == ""
        assert not sim.phones


def test_messages_both_ways() -> None:
    with secure_simulator(strict=True) as sim:
        for number in ("+15550101", "+15550102"):
            sim.expect_message(number, ends="sent")
        with program(sim, OFFICIAL, "messages") as client:
            assert client.told() == {"sent": "+15550101", "state": "queued"}
            end_message(sim, "+15550101", "delivered")
            assert client.told() == {"message": "delivered", "reason": ""}
            assert client.told() == {"sent": "+15550102", "state": "queued"}
            end_message(sim, "+15550102", "undelivered", "carrier said no")
            assert client.told() == {"message": "undelivered", "reason": "carrier said no"}
            sim.message(to=TO, from_=FROM, body="hi", media=["https://files.example.test/a.png"])
            assert client.told() == {"received": "hi", "sender": FROM, "media": ["https://files.example.test/a.png"]}
            assert client.end() == ""


def test_refusals_are_errors_and_a_call_that_is_gone_is_none() -> None:
    with secure_simulator(strict=True) as sim:
        sim.refuse("calling.play", 500, "no voice today")
        sim.refuse("calling.denoise", 404, "Call not found")
        with program(sim, OFFICIAL, "refusals") as client:
            sim.wait_for_client(timeout=PATIENCE)
            sim.call(to=TO, from_=FROM, ring_timeout=PATIENCE)
            assert client.told() == {"code": 500, "message": "no voice today"}
            assert client.told() == {"gone": {}}
            assert client.end() == ""


def test_it_resumes_its_session_when_the_connection_is_cut() -> None:
    with secure_simulator(strict=True) as sim, program(sim, OFFICIAL, "resumes") as client:
        sim.wait_for_client(timeout=PATIENCE)
        caller = sim.call(to=TO, from_=FROM, ring_timeout=PATIENCE)
        assert client.told() == {"answered": True}
        sim.cut()
        sim.journal.wait_for(lambda entry: len(sim.journal.requests("signalwire.connect")) > 1, PATIENCE)
        first, second = sim.journal.requests("signalwire.connect")
        assert "protocol" not in first["params"]
        assert second["params"]["protocol"]
        client.tell()
        assert client.told() == {"played": "finished"}
        assert client.end() == ""
        assert caller.heard("still here")


#: What the wire knows and the official SDK has no verb for; and a verb whose rows all use what it has not.
OF_OURS_ALONE = {"ai_sidecar", "ai_sidecar_ask", "ai_sidecar_poke", "ai_sidecar_status", "ai_sidecar_stop"}
#: Official and ours, where they differ for the same arguments, and why.
DIFFERENT: dict[str, tuple[dict[str, Any], str]] = {
    "answer-all": ({"codecs": (["PCMU", "opus"], ["PCMU", "OPUS"])}, "the wire's codecs are written in capitals"),
    "stream-all": (
        {
            "authorization_bearer_token": ("Bearer abc", "abc"),
            "codec": ("opus@48000h", "OPUS@48000h"),
            "status_url_method": ("get", "GET"),
            "track": ("both", "both_tracks"),
        },
        "ours sends what the platform takes: it puts the word Bearer there itself, and knows no other spelling",
    ),
    "play_ringtone": (
        {
            "play": (
                [{"type": "ringtone", "params": {"name": "IT", "duration": 6}}],
                [{"type": "ringtone", "params": {"name": "it", "duration": 6}}],
            )
        },
        "the names of ringtones are written small",
    ),
    "join_conference-all": (
        {
            "status_callback_method": ("post", "POST"),
            "stream": (
                {"type": "stream", "params": {"url": "wss://media.example.test/conference", "codec": "L16@16000h"}},
                {"url": "wss://media.example.test/conference", "codec": "L16@16000h"},
            ),
        },
        "ours takes a device where the wire wants its parameters alone",
    ),
    "pay-all": (
        {
            "max_attempts": (3, "3"),
            "min_postal_code_length": (5, "5"),
            "security_code": (True, "true"),
        },
        "these are strings on the wire; the official SDK passes what it is given",
    ),
    "ai_hold": ({"timeout": (30, "30")}, "it is a string on the wire; the official SDK passes what it is given"),
}
#: Arguments that the tests of ours use and the official verbs lack.
NOT_ITS = ("on_completed", "extra")


def given(row: Row) -> tuple[list[Any], dict[str, Any]] | None:
    """A row's arguments, if the official verb takes them."""
    from signalwire.relay import Call

    verb = getattr(Call, row.verb, None)
    if verb is None:
        return None
    parameters = inspect.signature(verb).parameters.values()
    kwargs = {name: value for name, value in row.kwargs.items() if name not in NOT_ITS}
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters)
    return (list(row.args), kwargs) if takes_all or {one.name for one in parameters} >= set(kwargs) else None


def test_every_verb_sends_what_the_table_of_ours_says() -> None:
    """Where the frames differ, the difference has a reason."""
    rows = [(row, arguments) for row in ROWS if (arguments := given(row)) is not None]
    rows.sort(key=lambda one: one[0].verb == "hangup")  # the last thing to be done
    differ: dict[str, dict[str, tuple[Any, Any]]] = {}
    with secure_simulator() as sim, program(sim, OFFICIAL, "verbs") as client:
        mute(sim)
        sim.wait_for_client(timeout=PATIENCE)
        call = sim.call(to=TO, from_=FROM, ring_timeout=PATIENCE)
        for row, (args, kwargs) in rows:
            client.tell(json.dumps([row.verb, args, kwargs]))
            assert client.told()["verb"] == row.verb
            sent = sim.journal.requests(row.method)[-1]["params"]
            wanted = {"node_id": call.node_id, "call_id": call.call_id, **row.params}
            for name in row.kwargs.get("extra", ()):
                wanted.pop(name)
            if "control_id" in sent:
                wanted.setdefault("control_id", sent["control_id"])
            if sent != wanted:
                differ[row.name] = {
                    name: (sent.get(name), wanted.get(name))
                    for name in sent.keys() | wanted.keys()
                    if sent.get(name) != wanted.get(name)
                }
        client.tell()
        client.end()
    assert differ == {name: differences for name, (differences, _) in DIFFERENT.items()}
    untold = {row.verb for row in ROWS} - {row.verb for row, _ in rows}
    assert untold == OF_OURS_ALONE
