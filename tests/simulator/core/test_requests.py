"""How the simulator checks and answers requests, and what it makes of frames that are none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_sync.errors import CallEnded, InvalidParameter
from relay_sync.simulator import Phone, Simulator
from relay_sync.simulator.core.frames import MalformedFrame, check, parse
from relay_sync.simulator.core.method_table import METHODS, parse_table
from relay_sync.simulator.server import HANDLERS
from tests.support.numbers import HUGE, NO_NUMBERS
from tests.support.peers import Peer, address, connected

# One correct request per theme, by hand, with the reply's text as the vendor's description has it.
CORRECT: list[tuple[str, dict[str, Any], str, bool]] = [
    ("calling.play", {"control_id": "k", "play": [{"type": "silence", "params": {"duration": 60}}]}, "Playing", True),
    ("calling.play.volume", {"control_id": "k", "volume": -3.5}, "Changed play volume", True),
    ("calling.record", {"control_id": "k", "record": {"audio": {}}}, "Recording", True),
    ("calling.collect", {"control_id": "k", "digits": {"max": 1}, "initial_timeout": None}, "Collecting", True),
    ("calling.detect", {"control_id": "k", "detect": {"type": "machine"}}, "Detecting", True),
    ("calling.connect", {"devices": [[{"type": "phone", "params": {"to_number": "+1"}}]]}, "Connecting call", False),
    ("calling.send_digits", {"control_id": "k", "digits": "12w#"}, "Sending", True),
    ("calling.collect.stop", {"control_id": "k"}, "Stopping", True),
    ("calling.pay", {"control_id": "k", "payment_connector_url": "https://p.test"}, "Processing payment", True),
    ("calling.ai", {"control_id": "k", "prompt": {"text": "be kind"}}, "AI started", True),
    ("calling.join_conference", {"name": "room", "beep": "onEnter"}, "Joining conference", True),
    ("calling.user_event", {"event": {"a": 1}}, "Sending user event", True),
    ("calling.hold", {}, "Call on hold", False),
    ("calling.denoise", {}, "Denoiser on", True),
    ("calling.transcribe", {"control_id": "k"}, "Transcribing", True),
    ("calling.queue.enter", {"control_id": "k", "queue_name": "q", "wait_time": 5}, "Entering queue", True),
]


@pytest.fixture(scope="module")
def line() -> Any:
    """A client with an answered call."""
    with Simulator() as sim, connected(sim) as peer:
        sim.expect_phone("+1", answers_after=None)  # else the call would be in a bridge after a second
        yield peer, address(peer.answered())


#: What goes on before a row of the table; these rows may be tried by another process than those.
BEFORE = {"calling.play.volume": CORRECT[0], "calling.collect.stop": CORRECT[3]}


@pytest.mark.parametrize(("method", "params", "message", "echoes"), CORRECT, ids=[row[0] for row in CORRECT])
def test_methods_are_acknowledged_in_their_own_words(
    line: Any, method: str, params: dict[str, Any], message: str, echoes: bool
) -> None:
    peer, where = line
    wanted = {"code": "200", "message": message}
    if echoes:
        wanted["call_id"] = where["call_id"]
        if "control_id" in params:
            wanted["control_id"] = "k"
    if method in BEFORE:
        peer.ask(BEFORE[method][0], **where, **BEFORE[method][1])
    assert peer.result(method, **where, **params) == wanted


@pytest.mark.parametrize(("method", "params", "message", "echoes"), CORRECT, ids=[row[0] for row in CORRECT])
def test_what_a_method_needs_must_be_there_and_of_its_type(
    line: Any, method: str, params: dict[str, Any], message: str, echoes: bool
) -> None:
    peer, where = line
    whole = {**where, **params}
    for name in METHODS[method].parameters:
        if METHODS[method].parameters[name].required:
            error = peer.ask(method, **{key: value for key, value in whole.items() if key != name})["error"]
            assert error["code"] == -32602
            assert error["data"]["signalwire_error_code"] == "INVALID_PARAMS"
            assert any(name in problem for problem in error["data"]["errors"])
    error = peer.ask(method, **{**whole, "call_id": 7})["error"]
    assert (error["code"], error["data"]["errors"]) == (-32602, ["call_id must be a string"])
    assert peer.result(method, **{**whole, "call_id": "gone"}) == {"code": "404", "message": "Call not found"}


@pytest.mark.parametrize(
    ("method", "params", "name"),
    [
        ("calling.play", {"control_id": "k", "play": []}, "play"),
        ("calling.play", {"control_id": "k", "play": [{}], "volume": 41}, "volume"),
        ("calling.play", {"control_id": "", "play": [{}]}, "control_id"),
        ("calling.play", {"control_id": "k", "play": [{}], "direction": "up"}, "direction"),
        ("calling.end", {"reason": "boredom"}, "reason"),
        ("calling.echo", {"timeout": 121}, "timeout"),
        ("calling.join_conference", {"name": "n", "max_participants": 0}, "max_participants"),
        ("calling.stream", {"control_id": "k", "url": "wss://h.test/", "track": "sideways"}, "track"),
        ("messaging.send", {"context": "c", "from_number": "+1", "to_number": "+2"}, "body"),
        ("messaging.send", {"context": "c", "from_number": "+1", "to_number": "+2", "media": ["u"] * 9}, "media"),
    ],
)
def test_values_that_cannot_be_accepted_give_400_and_name_the_parameter(
    line: Any, method: str, params: dict[str, Any], name: str
) -> None:
    peer, where = line
    result = peer.result(method, **({} if method.startswith("messaging") else where), **params)
    assert result["code"] == "400"
    assert list(result["data"]) == [name]
    assert name in result["message"]


def test_messages_and_dials_are_taken_on(line: Any) -> None:
    peer, _ = line
    sent = peer.result("messaging.send", context="c", from_number="+1", to_number="+2", body="hi")
    assert (sent["code"], sent["message"]) == ("200", "Message accepted")
    assert re.fullmatch(r"[0-9a-f-]{36}", sent["message_id"])
    devices = [[{"type": "phone", "params": {"to_number": "+1", "from_number": "+2"}}]]
    assert peer.result("calling.dial", tag="t", devices=devices) == {"code": "200", "message": "Dialing"}


def test_the_one_known_schema_error_and_those_by_analogy(line: Any) -> None:
    peer, _ = line
    assert peer.ask("calling.tap")["error"]["message"] == "Invalid CallTapParams"
    assert peer.ask("calling.stream.stop")["error"]["message"] == "Invalid CallStreamStopParams"
    assert peer.ask("messaging.send")["error"]["message"] == "Invalid MessagingSendParams"


def test_unknown_methods_and_the_old_wrapper(line: Any) -> None:
    peer, where = line
    assert peer.ask("calling.teleport", **where)["error"]["code"] == -32601
    assert peer.ask("calling.call")["error"]["code"] == -32601
    params = {**where, "event": {"a": 1}}
    wrapped = peer.result("signalwire.execute", protocol="p", method="calling.user_event", params=params)
    assert wrapped["message"] == "Sending user event"
    assert peer.ask("signalwire.execute", method=7, params=where)["error"]["code"] == -32602


def test_a_tap_names_where_its_media_come_from(line: Any) -> None:
    peer, where = line
    tap = {"type": "audio", "params": {"direction": "both"}}
    device = {"type": "rtp", "params": {"addr": "192.0.2.9", "port": 4000, "codec": "PCMA"}}
    answer = peer.result("calling.tap", control_id="t", tap=tap, device=device, **where)
    assert (answer["code"], answer["message"], answer["control_id"]) == ("200", "Tapping call", "t")
    assert answer["source_device"]["params"]["codec"] == "PCMA"


TTS = {"type": "tts", "params": {"text": "hi"}}
MALFORMED: list[tuple[str, dict[str, Any], str]] = [
    ("calling.play", {"play": [{"params": {"text": "hi"}}]}, "play[0].type is required"),
    ("calling.play", {"play": [TTS, {"type": "tts"}]}, "play[1].params must be an object"),
    ("calling.play", {"play": [{"type": "tts", "params": {}}]}, "play[0].params.text is required"),
    ("calling.play", {"play": [{"type": "audio", "params": {"url": 7}}]}, "play[0].params.url must be a string"),
    ("calling.play_and_collect", {"play": [TTS], "collect": {"digits": {}}}, "collect.digits.max is required"),
    ("calling.collect", {"digits": {"max": "4"}}, "digits.max must be an integer"),
    ("calling.collect", {"speech": {"end_silence_timeout": "1"}}, "speech.end_silence_timeout must be a number"),
    ("calling.record", {"record": {}}, "record.audio is required"),
    ("calling.record", {"record": {"audio": {"beep": "yes"}}}, "record.audio.beep must be a boolean"),
    ("calling.detect", {"detect": {"type": "machine", "params": 7}}, "detect.params must be an object"),
    ("calling.tap", {"tap": {}, "device": {}}, "tap.type is required"),
    ("calling.connect", {"devices": [[{"type": "phone", "params": {}}]]}, "devices[0][0].params.to_number is required"),
    ("calling.refer", {"device": {"type": "sip", "params": {}}}, "device.params.to is required"),
    ("calling.live_transcribe", {"action": {"start": {"lang": "en-US"}}}, "action.start.direction is required"),
    ("calling.live_translate", {"action": "sing"}, "action must be one of start, stop, summarize, inject"),
]

TAP = {"tap": {"type": "video", "params": {"direction": "both"}}, "device": {"type": "ws", "params": {"uri": "u"}}}
IMPOSSIBLE: list[tuple[str, dict[str, Any], str]] = [
    ("calling.play", {"play": [{"type": "song", "params": {}}]}, "play[0].type"),
    ("calling.play", {"play": [{"type": "silence", "params": {"duration": 0}}]}, "play[0].params.duration"),
    ("calling.collect", {"initial_timeout": 1}, "digits"),
    ("calling.collect", {"digits": {"max": 0}}, "digits.max"),
    ("calling.play_and_collect", {"play": [TTS], "collect": {}}, "collect.digits"),
    ("calling.record", {"record": {"audio": {"format": "ogg"}}}, "record.audio.format"),
    ("calling.record", {"record": {"audio": {"input_sensitivity": 101}}}, "record.audio.input_sensitivity"),
    ("calling.detect", {"detect": {"type": "dog"}}, "detect.type"),
    ("calling.detect", {"detect": {"type": "fax", "params": {"tone": "C"}}}, "detect.params.tone"),
    ("calling.connect", {"devices": [[]]}, "devices"),
    ("calling.connect", {"devices": [[{"type": "fridge", "params": {}}]]}, "devices[0][0].type"),
    ("calling.send_digits", {"digits": "12x"}, "digits"),
    ("calling.detect", {"detect": {}, "status_url": "ftp://x.test/"}, "status_url"),
    ("calling.bind_digit", {"digits": "1", "bind_method": "calling.answer"}, "bind_method"),
    ("calling.bind_digit", {"digits": "w", "bind_method": "calling.play"}, "digits"),
    (
        "calling.tap",
        TAP,
        "tap.type",
    ),
]


def controlled(method: str, where: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """With a ``control_id``, where the method has one."""
    return {**where, **({"control_id": "nested"} if "control_id" in METHODS[method].parameters else {}), **params}


@pytest.mark.parametrize(("method", "params", "problem"), MALFORMED)
def test_objects_of_the_wrong_shape_are_malformed(line: Any, method: str, params: dict[str, Any], problem: str) -> None:
    peer, where = line
    error = peer.ask(method, **controlled(method, where, params))["error"]
    assert error["code"] == -32602
    assert error["message"].startswith("Invalid Call")
    assert problem in error["data"]["errors"]


@pytest.mark.parametrize(("method", "params", "place"), IMPOSSIBLE)
def test_values_inside_objects_that_cannot_be_accepted(
    line: Any, method: str, params: dict[str, Any], place: str
) -> None:
    peer, where = line
    result = peer.result(method, **controlled(method, where, params))
    assert result["code"] == "400"
    assert place in result["data"]
    assert place in result["message"]


WORDS = ["k", "q", "1", "*1", "hello there", "calling.play", "calling.end", "context:default", "https://x.test/a", ""]
MEDIA = [TTS, {"type": "silence", "params": {"duration": 0.1}}, {"type": "ringtone", "params": {"name": "us"}}, {}]
OBJECTS: list[Any] = [
    {"audio": {"max_length": 1, "format": "wav"}},
    {"digits": {"max": 2, "terminators": "#"}},
    {"max": 3},
    {"type": "digit"},
    {"type": "audio", "params": {"direction": "both"}},
    {"type": "sip", "params": {"to": "sip:a@b"}},
    {"start": {"lang": "en", "from_lang": "en", "to_lang": "es", "direction": ["remote-caller"]}},
    "stop",
    7,
]


DOINGS: list[Callable[[Phone], None]] = [
    lambda phone: phone.press("12#*"),
    lambda phone: phone.say("hello"),
    lambda phone: phone.keep_silent(),
]


def anything(random: Random, name: str, types: tuple[str, ...], choices: tuple[str, ...], call: Any) -> Any:
    """A value that may do for a parameter, or may not."""
    if random.random() < 0.1:
        return random.choice(OBJECTS)
    devices = [{"type": "phone", "params": {"to_number": "+1"}}, {"type": "call", "params": call}]
    made: dict[str, Any] = {
        "s": "k" if name == "control_id" else random.choice(choices or WORDS),
        "d": "3",
        "i": random.choice([0, 1, 5]),
        "n": random.choice([0.5, 5, 30]),
        "b": random.random() < 0.5,
        "ao": [random.choice(MEDIA)],
        "aao": [[random.choice(devices)]],
    }
    return made.get(types[0], random.choice(OBJECTS))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_mixture_of_requests_upsets_the_simulator(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    random = Random(seed)
    names = sorted(set(HANDLERS) - {name for name in HANDLERS if name.startswith("signalwire.")} - {"calling.pass"})
    with Simulator(media="fast", speed=100) as sim, connected(sim) as peer:
        phone = peer.answered()
        for _ in range(400):
            if phone.state == "ended" or random.random() < 0.01:
                phone.hang_up()
                phone = peer.answered()
            spec, where = METHODS[random.choice(names)], address(phone)
            params = {
                name: anything(random, name, wanted.types, wanted.choices, where)
                for name, wanted in spec.parameters.items()
                if wanted.required or random.random() < 0.3
            }
            if spec.name not in ("calling.end", "calling.transfer") or random.random() < 0.1:
                reply = peer.ask(spec.name, **{**params, **(where if spec.on_call else {})})
                assert reply.get("error", {}).get("code") != -32603, (spec.name, params)
            if random.random() < 0.3:
                with suppress(CallEnded):
                    random.choice(DOINGS)(phone)
        assert peer.result("signalwire.ping", payload="still there") == {"payload": "still there"}
        replies = [
            entry.frame["result"] for entry in sim.journal if entry.direction == "out" and "result" in entry.frame
        ]
        assert sum(reply.get("code") == "200" for reply in replies) > 50  # enough of them made sense
    assert not [record for record in caplog.records if record.exc_info]


def test_every_method_is_carried_out(line: Any) -> None:
    assert set(HANDLERS) == set(METHODS) - {"provisioning.configure"}


def test_strict_refuses_what_it_does_not_know() -> None:
    with Simulator(strict=True) as sim, connected(sim) as peer:
        phone = peer.answered()
        error = peer.ask("calling.denoise", colour="red", **address(phone))["error"]
        assert error["data"]["errors"] == ["colour is unknown"]


HOSTILE = [
    *(
        (f'{{"jsonrpc":"2.0","id":"1","method":"signalwire.ping","params":{{"payload":{number}}}}}', -32700)
        for number in (*NO_NUMBERS, HUGE)
    ),
    ("", -32700),
    ("{", -32700),
    ("nonsense", -32700),
    ("[" * 100_000, -32700),
    ("[]", -32600),
    ("7", -32600),
    ("null", -32600),
    ('[{"jsonrpc":"2.0","id":"1","method":"signalwire.ping"}]', -32600),
    ('{"jsonrpc":"2.0","method":"signalwire.ping"}', -32600),
    ('{"jsonrpc":"2.0","id":null,"method":"signalwire.ping"}', -32600),
    ('{"jsonrpc":"2.0","id":[1],"method":"signalwire.ping"}', -32600),
    ('{"jsonrpc":"1.0","id":"1","method":"signalwire.ping"}', -32600),
    ('{"jsonrpc":"2.0","id":"1"}', -32600),
    ('{"jsonrpc":"2.0","id":"1","method":7}', -32600),
    ('{"jsonrpc":"2.0","id":"1","method":"signalwire.ping","params":[]}', -32600),
    ('{"jsonrpc":"2.0","id":"1","method":"signalwire.ping","params":{"timestamp":"now"}}', -32602),
    ('{"jsonrpc":"2.0","id":"1","method":"calling.answer","params":{"call_id":{},"node_id":[]}}', -32602),
    ('{"jsonrpc":"2.0","id":"1","method":"\\ud800","params":{}}', -32601),
]


@pytest.mark.parametrize(("text", "code"), HOSTILE, ids=range(len(HOSTILE)))
def test_frames_of_every_wrong_shape_are_refused_and_hurt_nothing(line: Any, text: str, code: int) -> None:
    peer, _ = line
    peer.send(text)
    while None not in peer.replies and "1" not in peer.replies:
        peer.read()
    reply = peer.replies.pop(None, None) or peer.replies.pop("1")
    assert reply["error"]["code"] == code
    assert peer.result("signalwire.ping", payload="still there") == {"payload": "still there"}


@pytest.mark.parametrize("number", [*NO_NUMBERS, HUGE, "1" * 5000])
def test_who_asks_with_a_number_beyond_all_measure_is_answered(line: Any, number: str) -> None:
    peer, _ = line
    for asked in ('"me"', "7"):
        peer.send(f'{{"jsonrpc":"2.0","method":"calling.dial","params":{{"a":[{number}]}},"id":{asked}}}')
        key = json.loads(asked)
        while key not in peer.replies:
            peer.read()
        assert peer.replies.pop(key)["error"]["code"] == -32700
    for nobody in (number, "true", "{}"):
        peer.send(f'{{"id":{nobody},"a":{number}}}')
        while None not in peer.replies:
            peer.read()
        assert peer.replies.pop(None)["error"]["code"] == -32700


@pytest.mark.parametrize(
    "text", ['{"result":{}}', '{"jsonrpc":"2.0","id":null,"error":{"code":1}}', '{"id":{},"result":7}', '{"error":[]}']
)
def test_replies_are_never_answered(line: Any, text: str) -> None:
    peer, _ = line
    peer.send(text)
    assert peer.ask("signalwire.ping")["result"] == {}
    assert None not in peer.replies


def test_bytes_that_are_no_utf8_and_messages_that_are_too_long_close_the_socket_only() -> None:
    with Simulator(max_frame=1000) as sim, connected(sim) as steady:
        for opcode, payload in ((1, b"\xff\xfe"), (1, b"x" * 2000)):
            with Peer(sim) as peer:
                peer.connect()
                peer.ws.send(payload, opcode)
                peer.read_to_the_end()
        assert steady.ask("signalwire.ping")["result"] == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(METHODS)), st.dictionaries(st.text(max_size=5), JSON, max_size=4), st.booleans())
def test_any_parameters_can_be_checked(name: str, params: dict[str, Any], strict: bool) -> None:
    method = METHODS[name]
    missing = [each for each, wanted in method.parameters.items() if wanted.required and each not in params]
    problems = method.malformed(params, strict=strict)
    assert all(f"{each} is required" in problems for each in missing)
    if not problems:
        assert set(method.impossible(params)) <= set(params)


@given(st.sampled_from(sorted(METHODS)), st.data())
def test_values_of_the_wrong_type_are_found(name: str, data: st.DataObject) -> None:
    method = METHODS[name]
    typed = [each for each in method.parameters.values() if each.types in (("s",), ("i",), ("b",), ("as",), ("ao",))]
    if typed:
        wanted = data.draw(st.sampled_from(typed))
        wrong = data.draw(st.sampled_from([{"a": 1}, 1.5, [7], [[]]]))
        assert any(wanted.name in problem for problem in method.malformed({wanted.name: wrong}))


@given(JSON)
def test_any_json_is_checked_or_refused(value: Any) -> None:
    text = json.dumps(value)
    right = isinstance(value, dict) and ("method" not in value) and ("result" in value or "error" in value)
    if right:
        assert check(parse(text)).keys() == value.keys()
    else:  # nothing that this strategy makes is a request
        with pytest.raises(MalformedFrame) as caught:
            check(parse(text))
        assert caught.value.code == -32600


def test_the_table_reads_every_sign_of_its_grammar() -> None:
    method = parse_table("a.b | Doing | mute | k!:s n:n?(0..5] t:as[..2] d:d\n    c:s{x, y} m:o|s\n")["a.b"]
    base: dict[str, Any] = {"node_id": "n", "call_id": "c", "k": "k"}
    assert (method.message, method.on_call, method.echoes) == ("Doing", True, False)
    assert method.malformed(base) == []
    assert method.malformed({"k": "k"}) == ["node_id is required", "call_id is required"]
    right: list[dict[str, Any]] = [
        {"n": None},
        {"n": 5},
        {"t": ["a", "b"]},
        {"d": "12"},
        {"c": "y"},
        {"m": {}},
        {"m": "s"},
    ]
    for each in [*right, {"z": 1}]:
        assert method.malformed(base | each) == []
        assert method.impossible(base | each) == {}
    malformed: list[dict[str, Any]] = [{"n": True}, {"n": "1"}, {"k": None}, {"t": ["a", 1]}, {"d": "1.5"}, {"d": ""}]
    for each in [*malformed, {"m": []}]:
        assert len(method.malformed(base | each)) == 1
    impossible: list[dict[str, Any]] = [{"n": 0}, {"n": 5.1}, {"t": ["", "", ""]}, {"c": "z"}, {"k": ""}]
    for each in impossible:
        assert list(method.impossible(base | each)) == list(each)


def test_ages_are_waited_for_without_harm(line: Any) -> None:
    peer, where = line
    media = [{"type": "silence", "params": {"duration": 1e300}}]
    assert peer.result("calling.play", control_id="ages", play=media, **where)["code"] == "200"
    assert peer.result("signalwire.ping", payload="still there") == {"payload": "still there"}


ORDERS: list[Callable[[Simulator, Any], None]] = [
    lambda sim, value: sim.send_event("calling.call.play", {"x": [value]}),
    lambda sim, value: sim.send_event("calling.call.play", {}, timestamp=value),
    lambda sim, value: sim.refuse("calling.play", data=value),
    lambda sim, value: sim.fail("calling.play", data=[value]),
    lambda sim, value: sim.task({"x": value}),
]


@pytest.mark.parametrize("order", ORDERS)
def test_what_is_no_json_is_not_sent_on_demand(order: Callable[[Simulator, Any], None]) -> None:
    with Simulator() as sim:
        for odd in (float("nan"), float("inf"), {1, 2}):
            with pytest.raises(InvalidParameter, match="JSON"):
                order(sim, odd)
