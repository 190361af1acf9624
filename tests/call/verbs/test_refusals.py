"""What verbs and devices refuse before anything is sent, and that such refusals give no secret away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import Call, InvalidParameter, RelayClient, devices
from relay_sync.audio import AudioServer
from relay_sync.call.call import core_of
from relay_sync.rest import RestClient
from tests.support.far_end import mute
from tests.support.lines import Line

TTS = {"type": "tts", "params": {"text": "hello"}}
TAP = {"type": "audio", "params": {"direction": "both"}}
RTP = {"type": "rtp", "params": {"addr": "192.0.2.9", "port": 4000}}
PAY = "https://pay.example.test/"


STREAM = "wss://media.example.test/both"


def media(kind: str, **params: Any) -> list[dict[str, Any]]:
    return [{"type": kind, "params": params}]


def device(kind: str, **params: Any) -> tuple[list[list[dict[str, Any]]]]:
    """Devices as somebody writes them who does not use :mod:`relay_sync.devices`; the second is the bad one."""
    return ([[devices.phone("+15550100")], media(kind, **params)],)


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
    ("play", (media("adio", url="https://a.example.test/a.mp3"),), {}, "media[0].type"),
    ("play", ([TTS, {"type": "ringtones", "params": {"name": "us"}}],), {}, "media[1].type"),
    ("play", (media(" tts", text="a"),), {}, "media[0].type"),
    ("play", (media("AUDIO", url="a.mp3"),), {}, "media[0].params.url"),
    ("play", (media("", text="a"),), {}, "media[0].type"),
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
    ("play_tts", ("",), {}, "text"),
    ("play_tts", ("a",), {"gender": "robot"}, "gender"),
    ("play_audio", ("hello.mp3",), {}, "url"),
    ("play_silence", (-1,), {}, "duration"),
    ("play_ringtone", ("us",), {"duration": 0}, "duration"),
    ("play_ringtone", ("atlantis",), {}, "name"),
    ("prompt_tts", ("", {"speech": {}}), {}, "text"),
    ("prompt_audio", ("hello.mp3", {"speech": {}}), {}, "url"),
    ("record", ([],), {}, "audio"),
    ("record", ({"format": "ogg"},), {}, "audio.format"),
    ("record", ({"beep": "yes"},), {}, "audio.beep"),
    ("record", ({"direction": "up"},), {}, "audio.direction"),
    ("record", ({"initial_timeout": -1},), {}, "audio.initial_timeout"),
    ("record", ({"terminators": "x"},), {}, "audio.terminators"),
    ("record", ({"input_sensitivity": 101},), {}, "audio.input_sensitivity"),
    ("play_and_collect", (media("silense", duration=1), {"digits": {"max": 1}}), {}, "media[0].type"),
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
    ("detect_digit", (), {"digits": "abc"}, "digits"),
    ("detect_answering_machine", (), {"machine_words_threshold": 0}, "machine_words_threshold"),
    ("detect_answering_machine", (), {"initial_timeout": 0}, "initial_timeout"),
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
    ("connect", ([[devices.phone("+15550100")]],), {"ringback": media("tss", text="a")}, "ringback[0].type"),
    ("connect", device("strem", url=STREAM), {}, "devices[1][0].type"),
    ("connect", device("Phones", to_number="+15550100"), {}, "devices[1][0].type"),
    ("connect", device("phone"), {}, "devices[1][0].params.to_number"),
    ("connect", device("phone", to_number="+15550100", timeout=-5), {}, "devices[1][0].params.timeout"),
    ("connect", device("phone", to_number="+15550100", timeout=2.5), {}, "devices[1][0].params.timeout"),
    ("connect", device("fabric", to="/public/desk", confirm="now"), {}, "devices[1][0].params.confirm"),
    ("connect", device("fabric", to="/public/desk", confirm_timeout=-1), {}, "devices[1][0].params.confirm_timeout"),
    ("connect", device("sip", to="sip:a@b.example", call_state_url="me"), {}, "devices[1][0].params.call_state_url"),
    (
        "connect",
        device("sip", to="sip:a@b.example", call_state_events=["x"]),
        {},
        "devices[1][0].params.call_state_events",
    ),
    ("connect", device("sip", to="sip:a@b.example", codecs=["MP3"]), {}, "devices[1][0].params.codecs"),
    ("connect", device("sip", to="sip:a@b.example", encryption="maybe"), {}, "devices[1][0].params.encryption"),
    ("connect", device("sip", to="sip:a@b.example", headers={"X-A": 5}), {}, "devices[1][0].params.headers"),
    ("connect", device("sip", to="sip:a@b.example", webrtc_media="yes"), {}, "devices[1][0].params.webrtc_media"),
    ("connect", device("sip", to="sip:a@b.example", session_timeout=-1), {}, "devices[1][0].params.session_timeout"),
    ("connect", device("call", call_id="c"), {}, "devices[1][0].params.node_id"),
    ("connect", device("queue", queue_name="", node_id="n"), {}, "devices[1][0].params.queue_name"),
    ("connect", device("stream", name="no url"), {}, "devices[1][0].params.url"),
    ("connect", device("stream", url=STREAM, codec="nope"), {}, "devices[1][0].params.codec"),
    ("connect", device("stream", url=STREAM, codec="MP3"), {}, "devices[1][0].params.codec"),
    ("connect", device("stream", url=STREAM, realtime=1), {}, "devices[1][0].params.realtime"),
    ("connect", device("stream", url=STREAM, status_url_method="PUT"), {}, "devices[1][0].params.status_url_method"),
    (
        "connect",
        device("stream", url=STREAM, authorization_bearer_token="a b"),
        {},
        "devices[1][0].params.authorization_bearer_token",
    ),
    ("connect", device("stream", url=STREAM, custom_parameters=[1]), {}, "devices[1][0].params.custom_parameters"),
    ("refer", ({"to": "sip:bob@example.test"},), {}, "device"),
    ("refer", (devices.phone("+15550100"),), {}, "device.type"),
    ("refer", ({"type": "spi", "params": {"to": "sip:bob@example.test"}},), {}, "device.type"),
    ("refer", ({"type": "sip", "params": {}},), {}, "device.params.to"),
    (
        "refer",
        ({"type": "sip", "params": {"to": "sip:bob@example.test", "headers": "X: 1"}},),
        {},
        "device.params.headers",
    ),
    ("transfer", ("",), {}, "dest"),
    ("transfer", ({},), {}, "dest"),
    ("tap", ({"type": "audio", "params": {"direction": "up"}}, RTP), {}, "tap.params.direction"),
    ("tap", (TAP, {"type": "rtp", "params": {"addr": "192.0.2.9", "port": 0}}), {}, "device.params.port"),
    ("tap", (TAP, {"type": "ws", "params": {"uri": "ws://media.example.test"}}), {}, "device.params.uri"),
    ("tap", ({"type": "adio", "params": {"direction": "both"}}, RTP), {}, "tap.type"),
    ("tap", (TAP, {"type": "wss", "params": {"uri": STREAM}}), {}, "device.type"),
    ("live_transcribe", ({"strat": {"lang": "en-US", "direction": ["remote-caller"]}},), {}, "action"),
    ("live_transcribe", ({"start": {"lang": "en-US"}},), {}, "action.start.direction"),
    ("live_translate", ({"start": {"from_lang": "en", "direction": ["remote-caller"]}},), {}, "action.start.to_lang"),
    ("live_translate", ({"inject": {"message": "a", "direction": "both"}},), {}, "action.inject.direction"),
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
    ("join_conference", ("a",), {"stream_obj": {"url": STREAM, "codec": "nope"}}, "stream_obj.codec"),
    ("join_conference", ("a",), {"stream_obj": {"type": "stream", "params": {"url": "a"}}}, "stream_obj.params.url"),
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
    ("pay", (PAY,), {"parameters": [{"name": "order", "value": 5}]}, "parameters[0].value"),
    ("pay", (PAY,), {"parameters": [{"name": "a", "value": ""}, {"value": "b"}]}, "parameters[1].name"),
    ("pay", (PAY,), {"prompts": {"for": "x"}}, "prompts"),
    ("pay", (PAY,), {"prompts": [{"actions": []}]}, "prompts[0].for"),
    ("pay", (PAY,), {"prompts": [{"for": "x", "actions": [{"type": "Say"}]}]}, "prompts[0].actions[0].phrase"),
    ("pay", (PAY,), {"prompts": [{"for": "x", "play": media("adio")}]}, "prompts[0].play[0].type"),
    ("ai", (), {"prompt": "be kind"}, "prompt"),
    ("ai", (), {"hints": "table"}, "hints"),
    ("ai", (), {"languages": ["en-US"]}, "languages[0]"),
    ("ai", (), {"pronounce": {"replace": "a"}}, "pronounce"),
    ("ai_message", (), {"role": "boss"}, "role"),
    ("ai_message", (), {"reset": {"full_reset": "yes"}}, "reset.full_reset"),
    ("ai_message", (), {"reset": {"system_prompt": 5}}, "reset.system_prompt"),
    ("ai_hold", (), {"timeout": 1.5}, "timeout"),
    ("ai_sidecar", ("",), {}, "lang"),
    ("ai_sidecar", ("en-US",), {"direction": ["both"]}, "direction"),
    ("user_event", (), {}, "event"),
    ("user_event", (), {"event": 7}, "event"),
]


def test_bad_values_are_named_and_nothing_is_sent(on_call: Line) -> None:
    sim, call = on_call.sim, on_call.call

    def received() -> list[str]:
        sim.wait_for_acks()  # which are received, too
        return [entry.method for entry in sim.journal if entry.direction == "in"]

    before = received()
    for verb, args, kwargs, parameter in BAD:
        with pytest.raises(InvalidParameter) as caught:
            getattr(call, verb)(*args, **kwargs)
        assert caught.value.parameter == parameter, (verb, args, kwargs)
        assert caught.value.accepted
    assert received() == before
    assert len([entry for entry in sim.journal if entry.method.startswith("calling.")]) == 1  # the answer
    assert not core_of(call).operations


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


def test_a_type_that_resembles_none_that_is_known_passes(on_call: Line) -> None:
    """The platform may have new ones."""
    mute(on_call.sim)
    hologram = {"type": "hologram", "params": {"a": 1}}
    on_call.call.play([hologram])
    on_call.call.connect([[hologram]], ringback=[hologram])
    assert on_call.wait_for_request("calling.play")["play"] == [hologram]
    connected = on_call.wait_for_request("calling.connect")
    assert (connected["devices"], connected["ringback"]) == ([[hologram]], [hologram])


def test_a_device_written_by_hand_is_sent_as_the_builders_would_make_it(on_call: Line) -> None:
    mute(on_call.sim)
    on_call.call.connect([[{"type": "SIP", "params": {"to": "sip:a@b.example", "headers": {"X": "1"}, "from": None}}]])
    on_call.call.join_conference(
        "a", stream_obj={"url": STREAM, "codec": "pcma", "authorization_bearer_token": "Bearer t"}
    )
    made = {"type": "sip", "params": {"to": "sip:a@b.example", "headers": [{"name": "X", "value": "1"}]}}
    assert on_call.wait_for_request("calling.connect")["devices"] == [[made]]
    stream = {"url": STREAM, "codec": "PCMA", "authorization_bearer_token": "t"}
    assert on_call.wait_for_request("calling.join_conference")["stream"] == stream


SECRETS: list[Callable[[Call], object]] = [
    lambda call: call.stream(STREAM, custom_parameters="pin hush"),  # type: ignore[arg-type]
    lambda call: call.stream(STREAM, custom_parameters=[("pin", "hush")]),  # type: ignore[arg-type]
    lambda call: call.stream(STREAM, custom_parameters={5: "hush"}),  # type: ignore[dict-item]
    lambda call: call.stream(STREAM, extra=[("authorization_bearer_token", "hush")]),  # type: ignore[arg-type]
    lambda call: call.stream(STREAM, authorization_bearer_token=["hush"]),  # type: ignore[arg-type]
    lambda call: call.stream([f"{STREAM}?token=hush"]),  # type: ignore[arg-type]
    lambda call: call.stream(STREAM, status_url=b"https://a:hush@b.example"),  # type: ignore[arg-type]
    lambda call: call.send_fax(["https://a:hush@b.example/fax.pdf"]),  # type: ignore[arg-type]
    lambda call: call.client.execute("calling.stream", [("authorization_bearer_token", "hush")]),  # type: ignore[arg-type]
    lambda call: call.client.execute("calling.stream", "token=hush"),  # type: ignore[arg-type]
    lambda call: call.client.execute("calling.stream", {5: "hush"}),  # type: ignore[dict-item]
    lambda call: call.client.dial(to="+15550100", dest_swml=[("password", "hush")]),  # type: ignore[call-overload]
    lambda call: call.client.dial(to="+15550100", extra=[("password", "hush")]),  # type: ignore[call-overload]
    lambda call: call.play(media("audio", url="https://a:hush@b.example")[0]),  # type: ignore[arg-type]
    lambda call: call.connect([[devices.phone("+1")]], ringback=media("audio", url="https://b?hush")[0]),  # type: ignore[arg-type]
    lambda call: call.transfer([("password", "hush")]),  # type: ignore[arg-type]
    lambda call: call.bind_digit("1", "calling.stream", bind_params=[("token", "hush")]),  # type: ignore[arg-type]
    lambda call: call.ai(SWAIG=[("token", "hush")]),  # type: ignore[arg-type]
    lambda call: call.ai(hints="hush"),
    lambda call: call.ai(post_prompt_auth_user=["hush"]),  # type: ignore[arg-type]
    lambda call: call.client.send_message(to_number="+1", from_number="+2", media=["https://a:hush@b.example", 5]),  # type: ignore[list-item]
    lambda call: call.client.send_message(to_number="+1", from_number="+2", media="https://a:hush@b.example"),
    lambda call: call.pay(PAY, parameters=["hush"]),  # type: ignore[list-item]
    lambda call: call.pay(PAY, parameters={"token": "hush"}),  # type: ignore[dict-item]
    lambda call: call.join_conference("a", stream_obj=[("authorization_bearer_token", "hush")]),  # type: ignore[arg-type]
    lambda call: call.connect(*device("sip", to="sip:a@b.example", headers="Authorization: hush")),
    lambda call: call.connect(*device("sip", to="sip:a@b.example", headers={"Authorization": ["hush"]})),
    lambda call: call.connect(*device("sip", to="sip:a@b.example", password=["hush"])),
    lambda call: call.connect(*device("sip", to="sip:a@b.example", username=["hush"])),
    lambda call: call.connect(*device("stream", url=STREAM, custom_parameters=[("pin", "hush")])),
    lambda call: call.connect(*device("stream", url=STREAM, authorization_bearer_token=["hush"])),
    lambda call: call.connect(*device("stream", url=[f"{STREAM}?token=hush"])),
    lambda call: devices.sip("sip:a@b.example", headers=["Authorization: hush"]),  # type: ignore[list-item]
    lambda call: devices.stream(STREAM, extra=[("token", "hush")]),  # type: ignore[arg-type]
    lambda call: RelayClient("p", "t", host=["wss://a:hush@b.example"]),  # type: ignore[arg-type]
    lambda call: AudioServer(public_url=["wss://a:hush@b.example"]),  # type: ignore[arg-type]
    lambda call: AudioServer(public_url="wss://b.example/a?token=hush"),
    lambda call: RestClient("p", "t", "b.example").download(["https://b.example?hush"], "a.wav"),  # type: ignore[arg-type]
    lambda call: RestClient("p", "t", "b.example").dial(
        to="+1", from_="+2", url="https://a:hush@b.example", swml={"a": 1}
    ),
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
