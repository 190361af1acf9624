"""Events: every documented member becomes a typed attribute, and nothing that JSON can say makes parsing fail."""

from __future__ import annotations

import json
import timeit
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relay_sync
from relay_sync import (
    CallingErrorEvent,
    CallReceiveEvent,
    CallStateEvent,
    ConferenceEvent,
    InvalidParameter,
    MessageReceiveEvent,
    PlayEvent,
    QueueEvent,
    RelayEvent,
    TaskEvent,
    parse_event,
)
from relay_sync.events.base import event_class
from relay_sync.simulator import Simulator
from tests.support import DATA, PATIENCE
from tests.support.background import Background
from tests.support.lines import Line

#: For each type its members with their types, and envelopes as examples; from the vendor's descriptions.
EVENTS: dict[str, Any] = json.loads((DATA / "events.json").read_text(encoding="utf-8"))
EXAMPLES = [(kind, number) for kind in EVENTS for number in range(len(EVENTS[kind]["examples"]))]

#: Wire names that are no good as Python names, or that the official SDK renames.
RENAMED = {
    ("calling.call.queue", "id"): "queue_id",
    ("calling.call.queue", "name"): "queue_name",
    ("calling.call.pay", "for"): "for_",
}
TYPES = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "object": dict,
    "texts": list,
    "objects": list,
}
#: dial_winner is the text "true" on the wire.
SAID_AS_TEXT = {("calling.call.state", "dial_winner")}


def attribute(event: RelayEvent, member: str) -> Any:
    if isinstance(event, ConferenceEvent) and member.startswith(("in_", "out_", "rtt_")):
        return event.quality.get(member, "")
    return getattr(event, RENAMED.get((event.event_type, member), member))


def an_example(kind: str) -> Any:
    return json.loads(json.dumps(EVENTS[kind]["examples"][0]))


@pytest.mark.parametrize("kind", EVENTS)
def test_every_documented_member_has_an_attribute_of_its_type(kind: str) -> None:
    cls = event_class(kind)
    assert cls is not None
    assert kind == cls.TYPE
    assert cls.__module__ == "relay_sync"
    assert getattr(relay_sync, cls.__name__) is cls
    values = {
        "str": "w",
        "int": 7,
        "float": 2.5,
        "bool": True,
        "object": {"a": 1},
        "texts": ["b"],
        "objects": [{"c": 2}],
    }
    members = EVENTS[kind]["members"]
    params = {name: values[written] for name, written in members.items()}
    event = parse_event({"event_type": kind, "timestamp": 5.5, "params": params})
    assert type(event) is cls
    for name, written in members.items():
        if (kind, name) in SAID_AS_TEXT:
            continue
        assert attribute(event, name) == values[written], name
        assert isinstance(attribute(event, name), TYPES[written])
    assert event.params is params or not members


@pytest.mark.parametrize(("kind", "number"), EXAMPLES)
def test_examples(kind: str, number: int) -> None:
    payload = EVENTS[kind]["examples"][number]
    event = parse_event(payload)
    assert type(event) is event_class(kind)
    assert event.event_type == kind
    assert event.timestamp == payload["timestamp"]
    assert not event.synthetic
    told = payload.get("params", {})
    assert event.call_id == told.get("call_id", "")
    for name, value in told.items():
        if name in EVENTS[kind]["members"] and (kind, name) not in SAID_AS_TEXT:
            assert attribute(event, name) == value, name
    assert repr(event).startswith(f"{type(event).__name__}(event_type='{kind}'")


@pytest.mark.parametrize("kind", EVENTS)
def test_missing_members_take_defaults(kind: str) -> None:
    event = parse_event({"event_type": kind})
    cls = event_class(kind)
    assert cls is not None
    assert type(event) is cls
    blank = cls(event_type=kind)
    some: Any = cls
    for member in attrs.fields(some):
        assert getattr(event, member.name) == getattr(blank, member.name)


def test_dial_winner_is_a_text_on_the_wire() -> None:
    for told, wanted in (("true", True), (True, True), ("false", False), (False, False), ("maybe", None), (1, None)):
        event = parse_event({"event_type": "calling.call.state", "params": {"dial_winner": told}})
        assert isinstance(event, CallStateEvent)
        assert event.dial_winner is wanted


def test_members_of_a_wrong_type() -> None:
    params = {
        "call_id": 12,
        "call_state": ["answered"],
        "direction": True,
        "device": "phone",
        "start_time": "1767225600412",
        "answer_time": 1767225600412.0,
        "end_time": {},
        "audio_in_mos": "4.4",
        "node_id": 7.5,
        "tag": None,
    }
    event = parse_event({"event_type": "calling.call.state", "timestamp": "1767225600.5", "params": params})
    assert isinstance(event, CallStateEvent)
    assert (event.call_id, event.call_state, event.direction, event.device) == (
        "12",
        "answered",
        "",
        {},
    )  # which is what the time of the answer says
    assert (event.start_time, event.answer_time, event.end_time) == (1767225600412, 1767225600412, 0)
    assert (event.audio_in_mos, event.node_id, event.tag) == (4.4, "7.5", "")
    assert event.timestamp == 1767225600.5
    message = parse_event({"event_type": "messaging.receive", "params": {"media": ["a", 5, None], "tags": "b"}})
    assert isinstance(message, MessageReceiveEvent)
    assert (message.media, message.tags) == (["a"], [])


@pytest.mark.parametrize("huge", [10**400, 10**5000, -(10**5000), float("inf"), float("nan")], ids=range(5))
def test_numbers_beyond_all_measure(huge: float) -> None:
    params = {"call_id": huge, "start_time": huge, "audio_in_mos": huge, "call_state": huge}
    event = parse_event({"event_type": "calling.call.state", "timestamp": huge, "params": params})
    assert isinstance(event, CallStateEvent)
    assert (event.timestamp, event.audio_in_mos) == (0.0, 0.0)
    assert isinstance(event.call_id, str)


def test_what_stands_in_the_envelope() -> None:
    told = an_example("calling.call.receive")
    del told["params"]["context"]
    receive = parse_event(told)
    assert isinstance(receive, CallReceiveEvent)
    assert (receive.context, receive.project_id) == ("office", "project-1")
    told = an_example("messaging.receive")
    del told["params"]["context"]
    message = parse_event(told)
    assert isinstance(message, MessageReceiveEvent)
    assert message.context == "office"


def test_tasks_are_flat() -> None:
    task = parse_event(an_example("queuing.relay.tasks"))
    assert isinstance(task, TaskEvent)
    assert (task.context, task.message) == ("office", {"job": "call-back", "number": "+15550100044"})
    assert task.timestamp == 1767225688.0
    assert task.params == {"context": "office", "message": task.message}
    for message in ("text", 5, None, [1], False):
        flat = parse_event({"event_type": "queuing.relay.tasks", "context": "c", "message": message})
        assert isinstance(flat, TaskEvent)
        assert flat.message == message


def test_errors_carry_what_the_wire_says() -> None:
    event = parse_event(an_example("calling.error"))
    assert isinstance(event, CallingErrorEvent)
    assert (event.error, event.fatal, event.code, event.message) == ("model unavailable", True, "", "")


def test_unknown_types() -> None:
    event = parse_event({"event_type": "calling.call.levitate", "params": {"call_id": "c", "height": 3}})
    assert type(event) is RelayEvent
    assert (event.event_type, event.call_id, event.params["height"]) == ("calling.call.levitate", "c", 3)
    assert type(parse_event({"event_type": "calling.ai.dream"})) is RelayEvent
    assert type(parse_event({"event_type": ["a"]})) is RelayEvent
    assert parse_event({}).event_type == ""


def test_from_payload_and_from_params() -> None:
    payload = an_example("calling.call.play")
    assert PlayEvent.from_payload(payload).state == PlayEvent.from_params(payload["params"]).state == "playing"
    assert PlayEvent.from_params({}).event_type == "calling.call.play"
    made = QueueEvent(event_type="calling.call.queue", queue_name="support")
    assert made.queue_name == "support"


def test_secrets_do_not_show() -> None:
    event = parse_event({"event_type": "signalwire.authorization.state", "params": {"authorization_state": "QUJD:x"}})
    assert "QUJD" not in repr(event)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
names = sorted({name for kind in EVENTS.values() for name in kind["members"]})
members = st.dictionaries(st.sampled_from(names), json_values, max_size=12) | json_values
envelopes = st.fixed_dictionaries(
    {},
    optional={
        "event_type": st.sampled_from(sorted(EVENTS)) | json_values,
        "timestamp": json_values,
        "params": members,
        "context": json_values,
        "project_id": json_values,
        "message": json_values,
    },
)


@settings(max_examples=400, derandomize=True, deadline=None)
@given(envelopes)
def test_nothing_json_can_say_makes_parsing_fail(payload: dict[str, Any]) -> None:
    event = parse_event(payload)
    assert isinstance(event.event_type, str)
    assert isinstance(event.call_id, str)
    assert isinstance(event.timestamp, float)
    assert isinstance(event.params, dict)
    assert repr(event)
    some: Any = type(event)
    wanted = {"str": str, "int": int, "float": float, "bool": bool, "dict[str, Any]": dict, "list[str]": list}
    for member in attrs.fields(some):
        kind = wanted.get(str(member.type))
        assert kind is None or isinstance(getattr(event, member.name), kind)


def test_listening_by_class(muted: Line) -> None:
    call = muted.call
    by_class: list[RelayEvent] = []
    by_name: list[RelayEvent] = []
    call.on(PlayEvent, by_class.append)

    @call.on("calling.call.play")
    def heard(event: RelayEvent) -> None:
        by_name.append(event)

    assert heard is not None
    with call.expect(PlayEvent, lambda event: event.state == "paused", PATIENCE) as seen:
        for state in ("playing", "paused"):
            params = {"call_id": call.call_id, "node_id": call.node_id, "control_id": "x", "state": state}
            muted.sim.send_event("calling.call.play", params)
    assert seen.value.state == "paused"
    muted.client.disconnect()
    assert [event.params["state"] for event in by_class] == ["playing", "paused"]
    assert by_name == by_class


def test_waiting_by_class_for_a_state_that_was_reached(muted: Line) -> None:
    event = muted.call.wait_for(CallStateEvent, lambda event: event.call_state == "answered", PATIENCE)
    assert isinstance(event, CallStateEvent)


@pytest.mark.parametrize("given_", ["", None, 5, str, RelayEvent, Simulator])
def test_what_is_no_event(muted: Line, given_: Any) -> None:
    with pytest.raises(InvalidParameter, match="event_type"):
        muted.call.on(given_, print)
    with pytest.raises(InvalidParameter, match="event_type"):
        muted.call.expect(given_)


@pytest.mark.timing
def test_parsing_is_fast() -> None:
    # The limit is 5 us on a quiet machine; the best of many short runs sees one even on a busy machine.
    payload = EVENTS["calling.call.state"]["examples"][-1]
    best = min(timeit.repeat(lambda: parse_event(payload), number=200, repeat=50)) / 200
    assert best < 15e-6


def test_conference_events_reach_the_calls_in_it(muted: Line) -> None:
    call = muted.call
    heard: list[RelayEvent] = []
    call.on(ConferenceEvent, heard.append)
    muted.sim.hold("calling.join_conference")
    joining = Background(call.join_conference, "weekly")
    muted.sim.wait_for_held("calling.join_conference")
    request = muted.sim.journal.requests("calling.join_conference")[0]
    reply = {"jsonrpc": "2.0", "id": request["id"], "result": {"code": "200", "conference_id": "d7e3"}}
    muted.sim.send_raw(json.dumps(reply))
    assert joining.result()["conference_id"] == "d7e3"
    for conference in ("other", "d7e3"):
        muted.sim.send_event("calling.conference", {"conference_id": conference, "status": "conference-end"})
    muted.sim.send_event(
        "calling.conference", {"conference_id": "d7e3", "status": "participant-join", "call_id": call.call_id}
    )
    muted.sim.wait_for_acks()
    muted.client.disconnect()
    told = [(event.params["conference_id"], event.params["status"]) for event in heard]
    assert told == [("d7e3", "conference-end"), ("d7e3", "participant-join")]
