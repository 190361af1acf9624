"""A strict simulator refuses what it does not know, at every level, and names what was probably meant; and each method has its
own options only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from relay_sync.simulator import Simulator
from tests.support.peers import Json, Peer, address, connected

TTS: Json = {"type": "tts", "params": {"text": "hi"}}
PHONE: Json = {"type": "phone", "params": {"to_number": "+15550123"}}
TAP: Json = {
    "tap": {"type": "audio", "params": {"direction": "both"}},
    "device": {"type": "ws", "params": {"uri": "u"}},
}
CARD: Json = {"payment_connector_url": "https://pay.test/"}
LISTEN: Json = {"direction": ["remote-caller"], "lang": "en"}


def with_params(item: Json, **more: Any) -> Json:
    return {**item, "params": {**item["params"], **more}}


UNKNOWN: list[tuple[str, Json, str]] = [
    ("calling.play", {"play": [TTS], "loops": 2}, "loops is unknown; did you mean loop?"),
    ("calling.play", {"play": [{**TTS, "volume": 3}]}, "play[0].volume is unknown"),
    (
        "calling.play",
        {"play": [TTS, with_params(TTS, languag="de")]},
        "play[1].params.languag is unknown; did you mean language?",
    ),
    (
        "calling.play_and_collect",
        {"play": [with_params(TTS, x=1)], "collect": {"digits": {"max": 1}}},
        "play[0].params.x is unknown",
    ),
    (
        "calling.play_and_collect",
        {"play": [TTS], "collect": {"digits": {"max": 1}, "partial_results": True}},
        "collect.partial_results is unknown",
    ),
    (
        "calling.play_and_collect",
        {"play": [TTS], "collect": {"speech": {"hint": ["x"]}}},
        "collect.speech.hint is unknown; did you mean hints?",
    ),
    (
        "calling.collect",
        {"digits": {"max": 1}, "inital_timeout": 2},
        "inital_timeout is unknown; did you mean initial_timeout?",
    ),
    (
        "calling.collect",
        {"digits": {"max": 1, "digit_timout": 1}},
        "digits.digit_timout is unknown; did you mean digit_timeout?",
    ),
    ("calling.collect", {"digits": {"max": 2, "min": 1}}, "digits.min is unknown"),
    (
        "calling.record",
        {"record": {"audio": {"max_lenght": 5}}},
        "record.audio.max_lenght is unknown; did you mean max_length?",
    ),
    ("calling.record", {"record": {"audio": {}, "video": {}}}, "record.video is unknown"),
    ("calling.detect", {"detect": {"kind": "fax"}}, "detect.kind is unknown"),
    ("calling.detect", {"detect": {"params": {"tones": "CED"}}}, "detect.params.tones is unknown; did you mean tone?"),
    ("calling.tap", {**TAP, "tap": with_params(TAP["tap"], rate=8000)}, "tap.params.rate is unknown"),
    ("calling.tap", {**TAP, "device": with_params(TAP["device"], url="u")}, "device.params.url is unknown"),
    (
        "calling.connect",
        {"devices": [[PHONE], [PHONE, with_params(PHONE, time_out=5)]]},
        "devices[1][1].params.time_out is unknown; did you mean timeout?",
    ),
    (
        "calling.connect",
        {"devices": [[PHONE]], "ringback": [with_params(TTS, txt="x")]},
        "ringback[0].params.txt is unknown; did you mean text?",
    ),
    (
        "calling.connect",
        {"devices": [[{"type": "stream", "params": {"url": "wss://x.test/", "real_time": True}}]]},
        "devices[0][0].params.real_time is unknown; did you mean realtime?",
    ),
    (
        "calling.refer",
        {
            "device": {
                "type": "sip",
                "params": {"to": "sip:a@b.test", "headers": [{"name": "X", "value": "y", "valeu": "z"}]},
            }
        },
        "device.params.headers[0].valeu is unknown; did you mean value?",
    ),
    (
        "calling.refer",
        {"device": {"type": "sip", "params": {"to": "sip:a@b.test", "codecs": []}}},
        "device.params.codecs",
    ),
    (
        "calling.live_transcribe",
        {"action": {"start": {**LISTEN, "language": "en"}}},
        "action.start.language is unknown",
    ),
    ("calling.pay", {**CARD, "parameters": [{"name": "a", "value": "b", "x": 1}]}, "parameters[0].x is unknown"),
    (
        "calling.pay",
        {**CARD, "prompts": [{"for": "postal-code", "actions": [{"type": "Say", "phrase": "zip", "frase": "x"}]}]},
        "prompts[0].actions[0].frase is unknown; did you mean phrase?",
    ),
    ("calling.ai_message", {"reset": {"full_rest": True}}, "reset.full_rest is unknown; did you mean full_reset?"),
]


@pytest.fixture(scope="module")
def strict() -> Iterator[tuple[Peer, Json]]:
    with Simulator(strict=True, ping_interval=None) as sim, connected(sim) as peer:
        yield peer, address(peer.answered())


@pytest.mark.parametrize(("method", "params", "problem"), UNKNOWN, ids=[f"{row[0]}-{row[2][:20]}" for row in UNKNOWN])
def test_what_is_not_known_is_refused_at_every_level(
    strict: tuple[Peer, Json], method: str, params: Json, problem: str
) -> None:
    peer, where = strict
    control = {} if method in ("calling.connect", "calling.refer") or "live" in method else {"control_id": method}
    if method == "calling.ai_message":
        control = {}
    error = peer.ask(method, **control, **params, **where)["error"]
    assert error["code"] == -32602
    [told] = error["data"]["errors"]
    assert told.startswith(problem)


def test_a_device_that_is_dialled_and_the_greeting_of_a_client() -> None:
    with Simulator(strict=True) as sim, Peer(sim) as peer:
        version = {"major": 2, "minor": 0, "revision": 0, "patch": 1}
        told = peer.connect(version=version)["error"]["data"]["errors"]
        assert told == ["version.patch is unknown"]
        authentication = {"project": sim.settings.project, "tokn": sim.settings.token}
        told = peer.connect(authentication=authentication)["error"]["data"]["errors"]
        assert told == ["authentication.tokn is unknown; did you mean token?"]
        assert "result" in peer.connect()
        device = with_params(PHONE, time_out=5)
        told = peer.ask("calling.dial", tag="t", devices=[[device]])["error"]["data"]["errors"]
        assert told == ["devices[0][0].params.time_out is unknown; did you mean timeout?"]
        told = peer.ask("calling.begin", device={**PHONE, "param": {}})["error"]["data"]["errors"]
        assert told == ["device.param is unknown"]


def test_what_is_the_clients_own_is_not_looked_into(strict: tuple[Peer, Json]) -> None:
    peer, where = strict
    stream = {"url": "ws://127.0.0.1:9/", "custom_parameters": {"any": {"thing": 1}}}
    assert peer.result("calling.stream", control_id="s", **stream, **where)["code"] == "200"
    given = {"prompt": {"text": "x", "own": 1}, "global_data": {"own": 1}, "SWAIG": {"own": [{}]}, "params": {"own": 1}}
    assert peer.result("calling.ai", control_id="a", **given, **where)["code"] == "200"
    assert peer.result("calling.user_event", event={"own": {"thing": 1}}, **where)["code"] == "200"


def test_otherwise_unknown_members_pass() -> None:
    with Simulator(ping_interval=None) as sim, connected(sim) as peer:
        where = address(peer.answered())
        for method, params, _ in UNKNOWN:
            if "live" in method or method in ("calling.ai_message", "calling.tap") or "headers" in str(params):
                continue
            reply = peer.ask(method, control_id=str(params), **params, **where)
            assert reply.get("result", {}).get("code") in ("200", "409"), reply


def test_a_prompt_is_over_with_its_first_input_whatever_collectors_can_do() -> None:
    """partial_results, continuous and send_start_of_input are options of calling.collect alone."""
    with Simulator(media="fast", ping_interval=None) as sim, connected(sim) as peer:
        phone = peer.answered()
        more = {"partial_results": True, "continuous": True, "continue": True, "send_start_of_input": True}
        wanted = {"digits": {"max": 2, "min": 2, "terminators": "#"}, "speech": {}, **more}
        assert peer.result("calling.play_and_collect", control_id="p", play=[TTS], collect=wanted, **address(phone))
        phone.press("42")
        told = sim.journal.events("calling.call.collect")
        assert [(each["result"], "final" in each, "state" in each) for each in told] == [
            ({"type": "digit", "params": {"digits": "42", "terminator": ""}}, False, False)
        ]
        assert (len(phone.heard) <= 1, phone.activities) == (True, [])  # it was cut off
        peer.result("calling.play_and_collect", control_id="p", play=[TTS], collect=wanted, **address(phone))
        phone.press("4#")  # fewer than min, which prompts have
        peer.result(
            "calling.collect", control_id="c", digits={"max": 3, "min": 2, "terminators": "#"}, **address(phone)
        )
        phone.press("4#")  # and collectors have not
        told = sim.journal.events("calling.call.collect")
        assert [each["result"]["type"] for each in told[1:]] == ["no_match", "digit"]


@pytest.mark.parametrize(
    "method",
    [
        "calling.play.stop",
        "calling.play.pause",
        "calling.play.resume",
        "calling.play.volume",
        "calling.collect.stop",
        "calling.collect.start_input_timers",
    ],
)
def test_a_prompt_is_not_found_by_the_commands_of_its_parts(method: str) -> None:
    with Simulator(ping_interval=None) as sim, connected(sim) as peer:
        phone = peer.answered()
        where = {**address(phone), "control_id": "p"}
        silence = {"type": "silence", "params": {"duration": 1000}}
        assert peer.result("calling.play_and_collect", play=[silence], collect={"digits": {"max": 1}}, **where)
        more = {"volume": 3} if method.endswith("volume") else {}
        assert peer.result(method, **more, **where)["code"] == "404"
        assert phone.activities == ["calling.play_and_collect", "calling.play"]
        assert peer.result("calling.play_and_collect.stop", **where)["code"] == "200"
        assert [each["state"] for each in sim.journal.events("calling.call.play")] == ["playing", "finished"]
        assert [each["result"]["type"] for each in sim.journal.events("calling.call.collect")] == ["finished"]
