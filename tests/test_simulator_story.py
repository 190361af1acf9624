"""Scenarios from one end to the other: a real client against the simulator, which plays everybody else by itself.

One row for each verb with an action: what the far end is like, what is asked, and what the action must have at its end.
Adding a verb adds a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from attrs import field, frozen
from support import FROM, PATIENCE, TO, Desk

from relay_sync import Call, RelayClient
from relay_sync.simulator import Phone, Simulator

MakeClient = Callable[..., RelayClient]
WELCOME = {"type": "tts", "params": {"text": "Welcome to the bank"}}
PIN = {"digits": {"max": 6, "terminators": "#"}}
URL = re.compile(r"https://.+")


@frozen(kw_only=True)
class Scene:
    """One verb with its action.

    :ivar caller: how the caller is set up. :ivar events: the event type and the states (or what stands for them) that
        must be told, in order. :ivar shows: what the action must have in the end; a pattern must match, a type must fit.
    """

    name: str
    start: Callable[[Call], Any]
    caller: Mapping[str, Any] = field(factory=dict)
    event: str
    states: list[Any]
    read: Callable[[dict[str, Any]], Any] = lambda params: params.get("state")
    shows: Mapping[str, Any] = field(factory=dict)


def result_type(params: dict[str, Any]) -> Any:
    return params["result"]["type"]


def detected(params: dict[str, Any]) -> Any:
    return params["detect"]["params"]["event"]


SCENES = [
    Scene(
        name="play",
        start=lambda call: call.play([WELCOME, {"type": "silence", "params": {"duration": 2}}], loop=2),
        event="calling.call.play",
        states=["playing", "finished"],
    ),
    Scene(
        name="record a voice",
        caller={"says": ["Please call me back about the invoice"]},
        start=lambda call: call.record({"end_silence_timeout": 1, "beep": True, "format": "wav"}),
        event="calling.call.record",
        states=["recording", "finished"],
        shows={"url": re.compile(r"https://.+\.wav"), "duration": float, "size": int, "state": "finished"},
    ),
    Scene(
        name="record nobody",
        caller={"silent": True},
        start=lambda call: call.record({"initial_timeout": 3}),
        event="calling.call.record",
        states=["recording", "no_input"],
        shows={"state": "no_input"},
    ),
    Scene(
        name="record at most",
        start=lambda call: call.record({"max_length": 5}),
        event="calling.call.record",
        states=["recording", "finished"],
        shows={"duration": 5.0, "size": 20_000},
    ),
    Scene(
        name="collect digits",
        caller={"presses": "4821#"},
        start=lambda call: call.collect(digits={"max": 6, "terminators": "#"}),
        event="calling.call.collect",
        read=result_type,
        states=["digit"],
        shows={"digits": "4821", "terminator": "#", "type": "digit"},
    ),
    Scene(
        name="collect digits with pauses",
        caller={"presses": "48"},
        start=lambda call: call.collect(digits={"max": 6, "digit_timeout": 2}, partial_results=True),
        event="calling.call.collect",
        read=lambda params: (params["result"]["type"], params["final"], params["state"]),
        states=[("digit", False, "collecting"), ("digit", False, "collecting"), ("digit", True, "finished")],
        shows={"digits": "48", "terminator": ""},
    ),
    Scene(
        name="collect speech",
        caller={"says": ["I want to settle my bill"]},
        start=lambda call: call.collect(speech={}, partial_results=True, send_start_of_input=True),
        event="calling.call.collect",
        read=result_type,
        states=["start_of_input", "speech", "speech"],
        shows={"text": "I want to settle my bill", "confidence": 92.3, "has_started": True},
    ),
    Scene(
        name="collect nothing",
        caller={"silent": True},
        start=lambda call: call.collect(digits={"max": 1}, initial_timeout=5, start_input_timers=True),
        event="calling.call.collect",
        read=result_type,
        states=["no_input"],
        shows={"digits": "", "type": "no_input"},
    ),
    Scene(
        name="prompt and digits",
        caller={"presses": "1234#"},
        start=lambda call: call.play_and_collect([WELCOME], PIN),
        event="calling.call.collect",
        read=result_type,
        states=["digit"],
        shows={"digits": "1234", "terminator": "#"},
    ),
    Scene(
        name="prompt and too few digits",
        caller={"presses": "12#"},
        start=lambda call: call.play_and_collect([WELCOME], {"digits": {"max": 4, "min": 3, "terminators": "#"}}),
        event="calling.call.collect",
        read=result_type,
        states=["no_match"],
        shows={"digits": "", "type": "no_match"},
    ),
    Scene(
        name="prompt and nothing",
        caller={"silent": True},
        start=lambda call: call.play_and_collect([WELCOME], PIN),
        event="calling.call.collect",
        read=result_type,
        states=["no_input"],
        shows={"type": "no_input"},
    ),
    Scene(
        name="detect a person",
        start=lambda call: call.detect_answering_machine(),
        event="calling.call.detect",
        read=detected,
        states=["HUMAN", "finished"],
        shows={"is_human": True, "is_machine": False},
    ),
    Scene(
        name="detect a machine",
        caller={"answered_by": "machine"},
        start=lambda call: call.detect_answering_machine(),
        event="calling.call.detect",
        read=detected,
        states=["MACHINE", "READY", "finished"],
        shows={"is_human": False, "is_machine": True, "is_ready": True, "beep": True},
    ),
    Scene(
        name="detect nobody",
        caller={"answered_by": "nobody"},
        start=lambda call: call.detect_answering_machine(initial_timeout=2),
        event="calling.call.detect",
        read=detected,
        states=["UNKNOWN", "finished"],
        shows={"is_human": False, "is_machine": False},
    ),
    Scene(
        name="detect a fax",
        caller={"answered_by": "fax"},
        start=lambda call: call.detect_fax(),
        event="calling.call.detect",
        read=detected,
        states=["CNG", "finished"],
        shows={"is_fax": True, "tone": "CNG"},
    ),
    Scene(
        name="detect no fax",
        start=lambda call: call.detect_fax(timeout=20),
        event="calling.call.detect",
        read=detected,
        states=["finished"],
        shows={"is_fax": False},
    ),
    Scene(
        name="detect digits",
        caller={"presses": "159"},
        start=lambda call: call.detect_digit(digits="19", timeout=20),
        event="calling.call.detect",
        read=detected,
        states=["1", "9", "finished"],
        shows={"digits": "19"},
    ),
]


@pytest.fixture
def ring(sim: Simulator) -> Iterator[Callable[..., tuple[Phone, Call]]]:
    """Have somebody call, and answer."""
    client = RelayClient(**sim.credentials, contexts=["default"])
    desk = Desk(client)
    client.connect()

    def ring(**caller: Any) -> tuple[Phone, Call]:
        phone = sim.call(to=TO, from_=FROM, **caller)
        call = desk.take()
        call.answer()
        call.wait_for_answered(PATIENCE)
        return phone, call

    yield ring
    desk.closing.set()
    client.disconnect()


Ring = Callable[..., tuple[Phone, Call]]


@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_an_action_comes_to_its_end(sim: Simulator, ring: Ring, scene: Scene) -> None:
    _, call = ring(**scene.caller)
    action = scene.start(call)
    action.wait(PATIENCE)
    assert [scene.read(params) for params in sim.journal.events(scene.event)] == scene.states
    for params in sim.journal.events(scene.event):
        assert (params["call_id"], params["control_id"]) == (call.call_id, action.control_id)
    for name, wanted in scene.shows.items():
        shown = getattr(action, name)
        if isinstance(wanted, re.Pattern):
            assert wanted.fullmatch(shown), name
        elif wanted in (int, float):
            assert type(shown) is wanted, name
            assert shown > 0, name
        else:
            assert shown == wanted, name
    assert action.error is None
    assert not action.result.synthetic
