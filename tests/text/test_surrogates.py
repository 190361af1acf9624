"""Halves of surrogate pairs: what comes in is text that can be encoded, and what goes out is refused before it is sent."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay_sync import CommandRefused, InvalidParameter, RelayClient, devices
from relay_sync.audio.messages import Start, parse_message
from relay_sync.protocol import frames
from relay_sync.rest.replies import read_call, refusal
from relay_sync.simulator import Simulator
from relay_sync.text.surrogates import has_half, is_text, mend_json
from relay_sync.webhooks.body import parse_json
from tests.support import PATIENCE
from tests.support.lines import line

HIGH, LOW = "\ud83d", "\ude00"
SMILE = "\N{GRINNING FACE}"
MakeClient = Callable[..., RelayClient]


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        (r'"\ud83d"', "\ufffd"),
        (r'"\uD83D"', "\ufffd"),
        (r'"\ude00"', "\ufffd"),
        (r'"\ud83d\ude00"', SMILE),
        (r'"\uD83D\uDE00"', SMILE),
        (r'"\ud83d\ud83d\ude00"', f"\ufffd{SMILE}"),
        (r'"\ude00\ud83d"', "\ufffd\ufffd"),
        (r'"\ud83d \ude00"', "\ufffd \ufffd"),
        (r'"\ud83d\n"', "\ufffd\n"),
        (r'"\\ud83d"', r"\ud83d"),
        (r'"\\\ud83d"', "\\\ufffd"),
        (r'"\\\\ud83d"', r"\\ud83d"),
        (r'"\"\ud83d\""', '"\ufffd"'),
        (r'"\u00e9 \ufffd"', "\u00e9 \ufffd"),
        ('"plain"', "plain"),
    ],
)
def test_half_a_pair_becomes_the_replacement_character(written: str, wanted: str) -> None:
    assert json.loads(mend_json(written)) == wanted
    assert has_half(written) is (not is_text(json.loads(written)))


@settings(derandomize=True, deadline=None)
@given(st.lists(st.sampled_from([HIGH, LOW, SMILE, "\\", '"', "u", "d83d", "\u00e9", "\n"])))
def test_every_text_that_json_can_write_is_text_afterwards(parts: list[str]) -> None:
    text = "".join(parts)
    read = json.loads(mend_json(json.dumps(text)))
    assert is_text(read)
    if is_text(text):
        assert read == text


def test_every_member_and_every_name_of_a_frame_is_mended_but_its_id() -> None:
    params = {"event_type": HIGH, f"name{HIGH}": [{"deep": LOW}, 1, None]}
    request = frames.parse(json.dumps({"id": f"e{HIGH}", "method": f"m{LOW}", "params": params}))
    assert isinstance(request, frames.RequestFrame)
    assert (request.id, request.method) == (f"e{HIGH}", "m\ufffd")
    assert request.params == {"event_type": "\ufffd", "name\ufffd": [{"deep": "\ufffd"}, 1, None]}
    assert json.loads(frames.acknowledge(f"e{HIGH}"))["id"] == f"e{HIGH}"
    failure = frames.parse(json.dumps({"id": "1", "error": {"code": 1, "message": HIGH, "data": {HIGH: HIGH}}}))
    assert isinstance(failure, frames.Failure)
    assert (failure.message, failure.data) == ("\ufffd", {"\ufffd": "\ufffd"})


def test_other_doors_for_json() -> None:
    start = {"streamSid": f"s{HIGH}", "customParameters": {f"k{LOW}": f"v{HIGH}"}, "callSid": "c"}
    told = parse_message(json.dumps({"event": "start", "start": start}))
    assert isinstance(told, Start)
    assert (told.stream_id, told.custom_parameters) == ("s\ufffd", {"k\ufffd": "v\ufffd"})
    inner = json.dumps({"event": "start", "start": {**start, "customParameters": json.dumps({"k": HIGH})}})
    nested = parse_message(inner)
    assert isinstance(nested, Start)
    assert nested.custom_parameters == {"k": "\ufffd"}
    assert parse_json(json.dumps({"CallSid": HIGH}).encode()) == {"CallSid": "\ufffd"}
    assert read_call(json.dumps({"id": f"c{HIGH}", "status": LOW}).encode(), "c").status == "\ufffd"
    assert "\ufffd" in str(refusal(422, json.dumps({"errors": [{"message": HIGH}]}).encode(), command="dial"))


def test_a_message_whose_emoji_was_cut_can_be_stored(sim: Simulator, client: MakeClient) -> None:
    one, bodies = client(), queue.SimpleQueue[str]()
    one.on_message(lambda message: bodies.put(message.body))
    one.connect()
    sim.message(to="+15550100", from_="+15550199", body=f"see you {HIGH}")
    body = bodies.get(timeout=PATIENCE)
    assert body == "see you \ufffd"
    body.encode()


def test_events_replies_and_refusals_are_text(sim: Simulator) -> None:
    with line(sim) as one:
        call = one.call
        with call.expect("calling.odd", timeout=PATIENCE) as seen:
            sim.send_event("calling.odd", {"call_id": call.call_id, "headers": [{"name": HIGH, "value": LOW}]})
        assert seen.value.params["headers"] == [{"name": "\ufffd", "value": "\ufffd"}]
        sim.refuse("calling.denoise", 400, f"no {HIGH}", data={HIGH: LOW})
        with pytest.raises(CommandRefused, match="no \ufffd") as caught:
            call.denoise()
        f"{caught.value} {caught.value!r}".encode()


@pytest.mark.parametrize("where", ["to", "tag", "extra", "deep"])
def test_half_a_pair_is_refused_before_a_dial_is_sent(sim: Simulator, client: MakeClient, where: str) -> None:
    one = client()
    one.connect()
    options: dict[str, Any] = {"to": "+15550100", "from_": "+15550199"}
    if where == "deep":
        options = {
            "devices": [[{"type": "sip", "params": {**devices.sip("sip:a@b.example", "sip:c@d.example")["params"]}}]]
        }
        options["devices"][0][0]["params"]["headers"] = [{"name": "X-Who", "value": HIGH}]
    else:
        options[where] = {"x": {"y": HIGH}} if where == "extra" else f"a{HIGH}"
    with pytest.raises(InvalidParameter, match="lone surrogate") as caught:
        one.dial(**options)
    str(caught.value).encode()
    repr(caught.value).encode()
    assert not sim.journal.requests("calling.dial")


@pytest.mark.parametrize(
    ("parameter", "send"),
    [
        ("body", lambda one: one.send_message(to_number="+1555", from_number="+1556", body=HIGH)),
        ("tags", lambda one: one.send_message(to_number="+1555", from_number="+1556", body="x", tags=[HIGH])),
        ("extra", lambda one: one.send_message(to_number="+1555", from_number="+1556", body="x", extra={HIGH: 1})),
        ("method", lambda one: one.execute(f"calling.{HIGH}")),
        ("says", lambda one: one.execute("calling.x", {"fine": 1, "says": [HIGH]})),
        (LOW, lambda one: one.execute("calling.x", {LOW: 1})),
        ("contexts", lambda one: one.receive([HIGH])),
        ("contexts", lambda one: RelayClient("p", "t", contexts=[HIGH])),
    ],
)
def test_half_a_pair_is_refused_by_the_name_of_its_parameter(
    sim: Simulator, client: MakeClient, parameter: str, send: Callable[[RelayClient], object]
) -> None:
    one = client()
    one.connect()
    sim.wait_for_acks()  # the client acknowledges its first event after connect() has returned

    def received() -> int:  # replies are noted after they were sent, which may be after connect() has returned
        return sum(entry.direction == "in" for entry in sim.journal)

    before = received()
    with pytest.raises(InvalidParameter, match="lone surrogate") as caught:
        send(one)
    assert caught.value.parameter == parameter
    assert received() == before
    assert one.execute("signalwire.ping") == {}, "the connection is as good as before"


def test_a_whole_emoji_is_sent_as_it_is(sim: Simulator, client: MakeClient) -> None:
    one = client()
    one.connect()
    one.send_message(to_number="+15550100", from_number="+15550199", body=f"{SMILE} \\ud83d")
    (sent,) = sim.journal.requests("messaging.send")
    assert sent["params"]["body"] == f"{SMILE} \\ud83d"
