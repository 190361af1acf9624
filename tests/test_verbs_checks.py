"""What verbs and devices refuse before anything is sent, and that such refusals give no secret away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import Line, line
from test_verbs_table import mute

from relay_sync import Call, InvalidParameter, devices
from relay_sync.simulator import Simulator

TTS = {"type": "tts", "params": {"text": "hello"}}
TAP = {"type": "audio", "params": {"direction": "both"}}
RTP = {"type": "rtp", "params": {"addr": "192.0.2.9", "port": 4000}}
PAY = "https://pay.example.test/"


def media(kind: str, **params: Any) -> list[dict[str, Any]]:
    return [{"type": kind, "params": params}]


#: A verb, what it is given, and the parameter that the refusal names.
BAD: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    ("answer", (), {"codecs": ["SPEEX"]}, "codecs"),
    ("answer", (), {"codecs": "PCMU"}, "codecs"),
    ("answer", (), {"max_duration": 1.5}, "max_duration"),
    ("hangup", ("tired",), {}, "reason"),
    ("play", ([],), {}, "media"),
    ("play", ("hello",), {}, "media"),
    ("play", (TTS,), {}, "media"),
    ("play", ([{"params": {}}],), {}, "media[0].type"),
    ("play", (["hello"],), {}, "media[0]"),
    ("play", ([TTS, {"type": "audio"}],), {}, "media[1].params"),
    ("play", (media("audio", url="file:///etc/passwd"),), {}, "media[0].params.url"),
    ("play", (media("tts", text=""),), {}, "media[0].params.text"),
    ("play", (media("tts", text="a", gender="robot"),), {}, "media[0].params.gender"),
    ("play", (media("silence", duration=0),), {}, "media[0].params.duration"),
    ("play", (media("ringtone", name="atlantis"),), {}, "media[0].params.name"),
    ("play", ([{"type": "hologram", "params": {"a": object()}}],), {}, "media[0]"),
    ("play", ([TTS],), {"volume": 40.1}, "volume"),
    ("play", ([TTS],), {"volume": -41}, "volume"),
    ("play", ([TTS],), {"volume": float("nan")}, "volume"),
    ("play", ([TTS],), {"volume": True}, "volume"),
    ("play", ([TTS],), {"volume": "loud"}, "volume"),
    ("play", ([TTS],), {"volume": 10**400}, "volume"),
    ("play", ([TTS],), {"direction": "sideways"}, "direction"),
    ("play", ([TTS],), {"loop": -1}, "loop"),
    ("play", ([TTS],), {"status_url": "ftp://x.example.test"}, "status_url"),
    ("play", ([TTS],), {"control_id": ""}, "control_id"),
    ("play", ([TTS],), {"extra": {"volume": 3}}, "extra"),
    ("play", ([TTS],), {"extra": {"call_id": "other"}}, "extra"),
    ("play", ([TTS],), {"on_completed": "later"}, "on_completed"),
    ("play_tts", ("",), {}, "media[0].params.text"),
    ("play_audio", ("hello.mp3",), {}, "media[0].params.url"),
    ("play_silence", (-1,), {}, "media[0].params.duration"),
    ("play_ringtone", ("us",), {"duration": 0}, "media[0].params.duration"),
    ("record", ([],), {}, "audio"),
    ("record", ({"format": "ogg"},), {}, "audio.format"),
    ("record", ({"beep": "yes"},), {}, "audio.beep"),
    ("record", ({"direction": "up"},), {}, "audio.direction"),
    ("record", ({"initial_timeout": -1},), {}, "audio.initial_timeout"),
    ("record", ({"terminators": "x"},), {}, "audio.terminators"),
    ("record", ({"input_sensitivity": 101},), {}, "audio.input_sensitivity"),
    ("play_and_collect", ([TTS], {}), {}, "collect"),
    ("play_and_collect", ([TTS], {"digits": {}}), {}, "collect.digits.max"),
    ("play_and_collect", ([TTS], {"digits": {"max": 0}}), {}, "collect.digits.max"),
    ("play_and_collect", ([TTS], {"digits": {"max": 1, "terminators": "e"}}), {}, "collect.digits.terminators"),
    ("play_and_collect", ([TTS], {"speech": {"hints": "bill"}}), {}, "collect.speech.hints"),
    ("play_and_collect", ([TTS], {"speech": {}, "initial_timeout": 0}), {}, "collect.initial_timeout"),
    ("collect", (), {}, "digits"),
    ("collect", (), {"digits": {"max": 1}, "initial_timeout": 0}, "initial_timeout"),
    ("collect", (), {"speech": {}, "continuous": 1}, "continuous"),
    ("detect", ({"type": "cat"},), {}, "detect.type"),
    ("detect", ({"type": "fax", "params": {"tone": "BEEP"}},), {}, "detect.params.tone"),
    ("detect", ({},), {"timeout": -1}, "timeout"),
    ("detect_digit", (), {"digits": "abc"}, "detect.params.digits"),
    ("detect_answering_machine", (), {"machine_words_threshold": 0}, "detect.params.machine_words_threshold"),
    ("detect_answering_machine", (), {"initial_timeout": 0}, "detect.params.initial_timeout"),
    ("send_digits", ("",), {}, "digits"),
    ("send_digits", ("1,2",), {}, "digits"),
    ("send_digits", ("12\n",), {}, "digits"),
    ("send_digits", (12,), {}, "digits"),
    ("bind_digit", ("w", "calling.play"), {}, "digits"),
    ("bind_digit", ("1", ""), {}, "bind_method"),
    ("bind_digit", ("1", "calling.play"), {"max_triggers": 0}, "max_triggers"),
    ("connect", ([],), {}, "devices"),
    ("connect", ([[]],), {}, "devices"),
    ("connect", ([devices.phone("+15550100")],), {}, "devices"),
    ("connect", ([[{"type": "phone"}]],), {}, "devices[0][0]"),
    ("connect", ([[devices.phone("+15550100")]],), {"timeout": 0}, "timeout"),
    ("connect", ([[devices.phone("+15550100")]],), {"ringback": []}, "ringback"),
    ("connect", ([[devices.phone("+15550100")]],), {"max_price_per_minute": -0.1}, "max_price_per_minute"),
    ("refer", ({"to": "sip:bob@example.test"},), {}, "device"),
    ("transfer", ("",), {}, "dest"),
    ("transfer", ({},), {}, "dest"),
    ("tap", ({"type": "audio", "params": {"direction": "up"}}, RTP), {}, "tap.params.direction"),
    ("tap", (TAP, {"type": "rtp", "params": {"addr": "192.0.2.9", "port": 0}}), {}, "device.params.port"),
    ("tap", (TAP, {"type": "ws", "params": {"uri": "ws://media.example.test"}}), {}, "device.params.uri"),
    ("live_transcribe", ("pause",), {}, "action"),
    ("live_transcribe", ({},), {}, "action"),
    ("live_translate", (None,), {}, "action"),
    ("echo", (), {"timeout": 4.9}, "timeout"),
    ("echo", (), {"timeout": 121}, "timeout"),
    ("join_conference", ("",), {}, "name"),
    ("join_conference", ("a",), {"max_participants": 251}, "max_participants"),
    ("join_conference", ("a",), {"max_participants": 0}, "max_participants"),
    ("join_conference", ("a",), {"beep": True}, "beep"),
    ("join_conference", ("a",), {"region": "moon"}, "region"),
    ("join_conference", ("a",), {"stream_obj": {"name": "no url"}}, "stream_obj.url"),
    ("leave_conference", (None,), {}, "conference_id"),
    ("queue_enter", ("a",), {"wait_time": 0}, "wait_time"),
    ("queue_leave", ("",), {}, "queue_name"),
    ("send_fax", ("fax.pdf",), {}, "document"),
    ("send_fax", (None,), {}, "document"),
    ("pay", ("",), {}, "payment_connector_url"),
    ("pay", (PAY,), {"timeout": "soon"}, "timeout"),
    ("pay", (PAY,), {"max_attempts": -1}, "max_attempts"),
    ("pay", (PAY,), {"input_method": "telepathy"}, "input_method"),
    ("pay", (PAY,), {"parameters": ["order"]}, "parameters[0]"),
    ("pay", (PAY,), {"prompts": {"for": "x"}}, "prompts"),
    ("ai", (), {"prompt": "be kind"}, "prompt"),
    ("ai", (), {"hints": "table"}, "hints"),
    ("ai_message", (), {"role": "boss"}, "role"),
    ("ai_hold", (), {"timeout": 1.5}, "timeout"),
    ("ai_sidecar", ("",), {}, "lang"),
    ("ai_sidecar", ("en-US",), {"direction": ["both"]}, "direction"),
    ("user_event", (), {}, "event"),
    ("user_event", (), {"event": 7}, "event"),
]


@pytest.fixture
def on_call(sim: Simulator) -> Iterator[Line]:
    with line(sim) as one:
        yield one


def test_bad_values_are_named_and_nothing_is_sent(on_call: Line) -> None:
    sim, call = on_call.sim, on_call.call
    before = len(sim.journal)
    for verb, args, kwargs, parameter in BAD:
        with pytest.raises(InvalidParameter) as caught:
            getattr(call, verb)(*args, **kwargs)
        assert caught.value.parameter == parameter, (verb, args, kwargs)
        assert caught.value.accepted
    sim.wait_for_acks()
    assert [entry.method for entry in sim.journal if entry.direction == "in"][before:] == []
    assert len([entry for entry in sim.journal if entry.method.startswith("calling.")]) == 1  # the answer
    assert not call._actions


def test_a_misspelt_keyword_is_a_type_error(on_call: Line) -> None:
    call: Any = on_call.call
    for verb in ("play", "record", "collect", "detect", "connect", "tap", "pay", "ai", "join_conference", "send_fax"):
        with pytest.raises(TypeError, match="volumme"):
            getattr(call, verb)(volumme=1)


def test_a_control_id_in_use_is_refused(on_call: Line) -> None:
    mute(on_call.sim)
    on_call.call.record(control_id="R1")
    with pytest.raises(InvalidParameter, match="not in use"):
        on_call.call.play([TTS], control_id="R1")
    assert on_call.sim.journal.requests("calling.play") == []


def test_what_the_user_gave_is_not_changed(on_call: Line) -> None:
    audio: dict[str, Any] = {"beep": None, "format": "WAV"}
    given: list[dict[str, Any]] = [{"type": "ringtone", "params": {"name": "US", "duration": None}}]
    on_call.call.record(audio)
    on_call.call.play(given)
    assert audio == {"beep": None, "format": "WAV"}
    assert given == [{"type": "ringtone", "params": {"name": "US", "duration": None}}]
    assert on_call.wait_for_request("calling.record")["record"] == {"audio": {"format": "wav"}}
    assert on_call.wait_for_request("calling.play")["play"] == [{"type": "ringtone", "params": {"name": "us"}}]


SECRETS: list[Callable[[Call], object]] = [
    lambda call: call.ai(post_prompt_auth_password=["hush"]),  # type: ignore[arg-type]
    lambda call: call.connect([[{"type": "sip", "params": "hush"}]]),
    lambda call: call.connect("hush"),  # type: ignore[arg-type]
    lambda call: call.refer({"type": 5, "params": {"password": "hush"}}),
    lambda call: devices.sip("sip:a@example.test", password=["hush"]),  # type: ignore[arg-type]
    lambda call: devices.stream("wss://a.example.test", authorization_bearer_token="hush hush"),
    lambda call: devices.stream("wss://user:hush@a.example.test"),
    lambda call: call.play_audio("http://user:hush@"),
]


@pytest.mark.parametrize("number", range(len(SECRETS)))
def test_refusals_give_no_secret_away(on_call: Line, number: int) -> None:
    with pytest.raises(InvalidParameter) as caught:
        SECRETS[number](on_call.call)
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(caught.value.value)
