"""Events as values: what is common to all classes, and that a hostile peer's events are only odd ones."""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import relay_sync
import relay_sync.events as events
from relay_sync.events import (
    CallReceiveEvent,
    CallStateEvent,
    RelayEvent,
    StreamEvent,
    TaskEvent,
    event_class,
    parse_event,
)
from relay_sync.events.base import LATER

steady = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
CLASSES: list[type[RelayEvent]] = sorted(
    (
        found
        for name in events.__all__
        if isinstance(found := getattr(events, name), type) and issubclass(found, RelayEvent)
    ),
    key=lambda kind: kind.__name__,
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(["true", "1", "1e999"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (int, float),
    "dict[str, Any]": (dict,),
    "list[str]": (list,),
}
every_class = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


def test_no_two_classes_claim_one_type() -> None:
    types = [kind.TYPE for kind in CLASSES if kind.TYPE]
    assert len(types) == len(set(types))
    assert len(types) > 40


@every_class
def test_a_type_leads_to_its_class(kind: type[RelayEvent]) -> None:
    if kind.TYPE:
        found = parse_event({"event_type": kind.TYPE, "params": {}})
        assert type(found) is kind
        assert found.event_type == kind.TYPE


@every_class
def test_a_class_is_documented_public_and_compared_by_identity(kind: type[RelayEvent]) -> None:
    assert kind.__doc__
    assert kind.__module__ == "relay_sync"
    one, other = kind.from_params({"call_id": "c"}), kind.from_params({"call_id": "c"})
    assert one != other
    assert len({one, other}) == 2
    with pytest.raises(AttributeError):
        one.no_such_member = 1  # type: ignore[attr-defined]


@every_class
def test_an_event_of_our_own_says_so(kind: type[RelayEvent]) -> None:
    made = kind.from_params({"call_id": "c"}, synthetic=True, reason="call_ended")
    assert (made.event_type, made.call_id, made.synthetic, made.reason) == (kind.TYPE, "c", True, "call_ended")
    assert kind.from_params({}, synthetic=False).synthetic is False


@settings(steady, max_examples=150)
@given(kind=st.sampled_from(CLASSES), data=st.data())
def test_every_member_has_its_type_whatever_comes(kind: type[RelayEvent], data: st.DataObject) -> None:
    names = [member.name for member in attrs.fields(kind)]  # type: ignore[arg-type]
    params = data.draw(st.dictionaries(st.sampled_from(names) | st.text(max_size=5), VALUES, max_size=8))
    payload = {"event_type": kind.TYPE, "timestamp": data.draw(VALUES), "params": params}
    # What JSON can express, and only that.
    payload = json.loads(json.dumps(payload))
    found = parse_event(payload)
    assert isinstance(repr(found), str)
    # Only tasks are flat: their params are the envelope's own members.
    assert found.params is payload["params"] or kind is TaskEvent
    for member in attrs.fields(type(found)):  # type: ignore[arg-type]
        value, kinds = getattr(found, member.name), PYTHON_TYPES.get(str(member.type))
        assert kinds is None or type(value) in kinds
        assert kinds is not PYTHON_TYPES["float"] or math.isfinite(value)


@pytest.mark.parametrize("params", [None, 5, "x", [], [{"call_id": "c"}], True])
@pytest.mark.parametrize("event_type", ["calling.call.state", "calling.call.stream", "unheard.of", ""])
def test_params_that_are_no_object_are_as_good_as_none(event_type: str, params: Any) -> None:
    found = parse_event({"event_type": event_type, "params": params})
    assert found.event_type == event_type
    assert found.params == {}
    assert found.call_id == ""


@pytest.mark.parametrize("event_type", [None, 5, ["calling.call.state"], {"a": 1}, True, "unheard.of"])
def test_an_unknown_type_is_a_plain_event(event_type: Any) -> None:
    found = parse_event({"event_type": event_type, "params": {"call_id": "c", "x": 1}})
    assert type(found) is RelayEvent
    assert found.params == {"call_id": "c", "x": 1}
    assert found.call_id == "c"


@pytest.mark.parametrize("depth", [100, 900, 990])
def test_depth_is_no_trouble(depth: int) -> None:
    nested: Any = "x"
    for _ in range(depth):
        nested = [nested]
    for member in ("call_id", "device", "call_state", "state", "reason"):
        for kind in (
            "calling.call.state",
            "calling.call.receive",
            "calling.call.stream",
            "calling.call.fax",
            "unheard.of",
        ):
            found = parse_event({"event_type": kind, "timestamp": nested, "params": {member: nested}})
            assert found.params[member] is nested


def test_the_events_of_the_main_job() -> None:
    state = parse_event(
        {
            "event_type": "calling.call.state",
            "event_channel": "signalwire_x",
            "timestamp": 1700000000.5,
            "params": {
                "call_id": "c",
                "node_id": "n",
                "call_state": "ended",
                "end_reason": "noAnswer",
                "end_source": "callee",
                "direction": "outbound",
                "tag": "t",
                "device": {"type": "phone", "params": {}},
            },
        }
    )
    assert isinstance(state, CallStateEvent)
    assert (state.call_id, state.node_id, state.call_state, state.end_reason) == ("c", "n", "ended", "noAnswer")
    assert (state.end_source, state.direction, state.tag, state.timestamp) == ("callee", "outbound", "t", 1700000000.5)
    assert state.device == {"type": "phone", "params": {}}
    offer = parse_event(
        {
            "event_type": "calling.call.receive",
            "params": {
                "call_id": "c",
                "call_state": "created",
                "context": "home",
                "segment_id": "s",
                "project_id": "p",
            },
        }
    )
    assert isinstance(offer, CallReceiveEvent)
    assert (offer.call_state, offer.context, offer.segment_id, offer.project_id) == ("created", "home", "s", "p")
    stream = parse_event(
        {
            "event_type": "calling.call.stream",
            "params": {"call_id": "c", "control_id": "x", "state": "streaming", "url": "wss://h/a", "name": "n"},
        }
    )
    assert isinstance(stream, StreamEvent)
    assert (stream.control_id, stream.state, stream.url, stream.name) == ("x", "streaming", "wss://h/a", "n")


@pytest.mark.parametrize("home", sorted(LATER))
def test_every_class_that_is_made_later_is_found_by_its_type(home: str) -> None:
    module = importlib.import_module(f"relay_sync.events.{home}")
    # What several kinds have in common, such as MessageEvent, has no type.
    assert {getattr(module, name).TYPE for name in module.__all__} - {""} == set(LATER[home])
    for name in module.__all__:
        found = getattr(module, name)
        assert getattr(relay_sync, name) is found
        assert not found.TYPE or event_class(found.TYPE) is found
        assert name in dir(relay_sync)


def test_classes_of_events_are_made_when_they_are_needed() -> None:
    code = (
        "import sys, relay_sync\n"
        "relay_sync.RelayClient  # the names of the package are imported when one is asked for\n"
        "made = lambda: {name for name in sys.modules if name.startswith('relay_sync.events.')}\n"
        "before = made()\n"
        "event = relay_sync.parse_event({'event_type': 'calling.call.play', 'params': {'state': 'playing'}})\n"
        "assert isinstance(event, relay_sync.PlayEvent) and event.state == 'playing'\n"
        "print(*sorted(made() - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["relay_sync.events.control"]
