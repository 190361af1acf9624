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

from relay_sync import Action, ActionFailed, Call, RelayClient
from relay_sync.call import actions
from relay_sync.simulator import Phone, Simulator
from relay_sync.simulator.core.pace import Pace
from relay_sync.testing import faster
from tests.support import PATIENCE
from tests.support.lines import FROM, NOWHERE, TO, Desk, line

MakeClient = Callable[..., RelayClient]
WELCOME = {"type": "tts", "params": {"text": "Welcome to the bank"}}
PIN = {"digits": {"max": 6, "terminators": "#"}}
URL = re.compile(r"https://.+")


@frozen(kw_only=True)
class Scene:
    """One verb with its action.

    :ivar stop: whether the client has to end it. :ivar caller: how the caller is set up.
    :ivar event: the event type, :ivar states: what must be told, in order, as :ivar read: finds it in the parameters.
    :ivar shows: what the action must have in the end; a pattern must match, a number type must fit.
    """

    name: str
    start: Callable[[Call], Any]
    stop: bool = False
    caller: Mapping[str, Any] = field(factory=dict)
    event: str
    states: list[Any]
    read: Callable[[dict[str, Any]], Any] = lambda params: params.get("state")
    shows: Mapping[str, Any] = field(factory=dict)


def result_type(params: dict[str, Any]) -> Any:
    return params["result"]["type"]


def fax_type(params: dict[str, Any]) -> Any:
    return params["fax"]["type"]


def status(params: dict[str, Any]) -> Any:
    return params["status"]


def detected(params: dict[str, Any]) -> Any:
    return params["detect"]["params"]["event"]


def hurried(start: Callable[[], Any]) -> Any:
    """Start something whose timeout waits for somebody else than the party."""
    with faster(1000):
        return start()


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
        shows={"url": re.compile(r"http://.+\.wav"), "duration": float, "size": int, "state": "finished"},
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
    Scene(
        name="send digits",
        start=lambda call: call.send_digits("12W34w#"),
        event="calling.call.send_digits",
        states=["finished"],
    ),
    Scene(
        name="tap",
        stop=True,
        start=lambda call: call.tap(
            {"type": "audio", "params": {"direction": "both"}},
            {"type": "rtp", "params": {"addr": "192.0.2.9", "port": 4000}},
        ),
        event="calling.call.tap",
        states=["tapping", "finished"],
    ),
    Scene(
        name="transcribe",
        stop=True,
        start=lambda call: call.transcribe(),
        event="calling.call.transcribe",
        states=["transcribing", "finished"],
        shows={"url": URL, "recording_id": re.compile("[0-9a-f-]{36}")},
    ),
    Scene(
        name="send a fax",
        caller={"answered_by": "fax"},
        start=lambda call: call.send_fax("https://files.example.test/1.pdf", identity="+15550100"),
        event="calling.call.fax",
        read=fax_type,
        states=["page", "page", "finished"],
        shows={
            "success": True,
            "pages": 2,
            "document": "https://files.example.test/1.pdf",
            "remote_identity": FROM,
            "result_text": "OK",
        },
    ),
    Scene(
        name="receive a fax",
        caller={"answered_by": "fax"},
        start=lambda call: call.receive_fax(),
        event="calling.call.fax",
        read=fax_type,
        states=["page", "page", "finished"],
        shows={"success": True, "pages": 2, "document": URL},
    ),
    Scene(
        name="send a fax to a person",
        start=lambda call: call.send_fax("https://files.example.test/1.pdf"),
        event="calling.call.fax",
        read=fax_type,
        states=["finished"],
        shows={"success": False, "pages": 0},
    ),
    Scene(
        name="pay",
        caller={"presses": ["4242424242424242#", "1229#", "123#", "94025#"]},
        start=lambda call: call.pay("https://pay.example.test/", token_type="one-time"),
        event="calling.call.pay",
        read=lambda params: params.get("result", params.get("for")),
        states=[
            "payment-card-number",
            "expiration-date",
            "security-code",
            "postal-code",
            "payment-processing",
            "success",
        ],
        shows={"success": True, "outcome": "success", "confirmation_code": re.compile("ch_[0-9a-f]+")},
    ),
    Scene(
        name="pay with a card that is none",
        caller={"presses": ["4242424242424241#", "1#"]},
        start=lambda call: call.pay("https://pay.example.test/", max_attempts="2"),
        event="calling.call.pay",
        read=lambda params: params.get("result") or (params["attempt"], params.get("error_type")),
        states=[("1", None), ("2", "invalid-card-number"), ("2", "invalid-card-number"), "too-many-failed-attempts"],
        shows={"success": False, "outcome": "too-many-failed-attempts"},
    ),
    Scene(
        name="pay by nobody",
        caller={"silent": True},
        start=lambda call: call.pay("https://pay.example.test/"),
        event="calling.call.pay",
        read=lambda params: params.get("result") or (params["attempt"], params.get("error_type")),
        states=[("1", None), ("1", "timeout"), "too-many-failed-attempts"],
        shows={"success": False},
    ),
    Scene(
        name="wait in a queue and leave",
        stop=True,
        start=lambda call: call.queue_enter("support"),
        event="calling.call.queue",
        read=status,
        states=["enqueue", "leave"],
        shows={"queue_name": "support", "queue_id": re.compile("[0-9a-f-]{36}"), "position": 0, "was_dequeued": False},
    ),
    Scene(
        name="wait in a queue for so long",
        start=lambda call: hurried(lambda: call.queue_enter("support", wait_time=20)),
        event="calling.call.queue",
        read=status,
        states=["enqueue", "leave"],
        shows={"was_dequeued": False},
    ),
    Scene(
        name="an agent",
        caller={"says": ["book a table", "thank you"], "hangs_up_after": "thank you"},
        start=lambda call: call.ai(prompt={"text": "be kind"}),
        event="calling.call.ai",
        states=["finished"],
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
    if scene.stop:
        action.stop()
    action.wait(PATIENCE)
    assert [scene.read(params) for params in sim.journal.events(scene.event)] == scene.states
    for params in sim.journal.events(scene.event):
        assert (params["call_id"], params["control_id"]) == (call.call_id, action.control_id)
    check(action, scene)
    assert not action.result.synthetic


def test_every_kind_of_action_has_a_scene() -> None:
    kinds = {kind.event_type for kind in vars(actions).values() if isinstance(kind, type) and issubclass(kind, Action)}
    assert kinds - {scene.event for scene in SCENES} <= {"", "calling.call.stream"}  # streams have tests of their own


def check(action: Any, scene: Scene) -> None:
    """The action has what it must have in the end."""
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


@frozen(kw_only=True)
class Mishap:
    """What becomes of an action that a test wants to go wrong: an error, or a bad result."""

    method: str
    start: Callable[[Call], Any]
    error: bool = True
    shows: Mapping[str, Any] = field(factory=dict)


MISHAPS = [
    Mishap(method="calling.play", start=lambda call: call.play([WELCOME])),
    Mishap(method="calling.record", start=lambda call: call.record(), error=False, shows={"state": "no_input"}),
    Mishap(method="calling.collect", start=lambda call: call.collect(digits={"max": 1})),
    Mishap(method="calling.play_and_collect", start=lambda call: call.play_and_collect([WELCOME], PIN)),
    Mishap(method="calling.detect", start=lambda call: call.detect_answering_machine()),
    Mishap(method="calling.send_digits", start=lambda call: call.send_digits("1")),
    Mishap(method="calling.ai", start=lambda call: call.ai(prompt={"text": "be kind"})),
    Mishap(
        method="calling.pay",
        start=lambda call: call.pay("https://pay.example.test/"),
        error=False,
        shows={"success": False, "outcome": "internal-error"},
    ),
    Mishap(
        method="calling.send_fax",
        start=lambda call: call.send_fax("https://files.example.test/1.pdf"),
        error=False,
        shows={"success": False},
    ),
    Mishap(
        method="calling.queue.enter",
        start=lambda call: call.queue_enter("support"),
        error=False,
        shows={"was_dequeued": False},
    ),
]


@pytest.mark.parametrize("mishap", MISHAPS, ids=[mishap.method for mishap in MISHAPS])
def test_an_action_goes_wrong(sim: Simulator, ring: Ring, mishap: Mishap) -> None:
    _, call = ring()
    sim.break_action(mishap.method)
    action = mishap.start(call)
    if mishap.error:
        with pytest.raises(ActionFailed):
            action.wait(PATIENCE)
    else:
        action.wait(PATIENCE)
    for name, wanted in mishap.shows.items():
        assert getattr(action, name) == wanted


@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
@pytest.mark.parametrize("told", [True, False])
def test_the_call_ends_under_an_action(scene: Scene, told: bool) -> None:
    """What still runs when the party hangs up comes to an end, whether the platform tells so or not."""
    with Simulator(media="fast", finish_streams=told) as sim, line(sim) as one:
        one.sim._world.pace = Pace(fast=False, speed=0.001)  # nothing comes to its end by itself
        action = scene.start(one.call)
        one.phone.hang_up()
        event = action.wait(PATIENCE)
        assert event.synthetic is not told
        assert one.phone.activities == []


@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_events_that_come_twice_and_late_change_nothing(sim: Simulator, ring: Ring, scene: Scene) -> None:
    _, call = ring(**scene.caller)
    if len(scene.states) == 1:
        sim.delay_event(scene.event, 0.01)
    sim.duplicate_event(scene.event, times=None)
    action = scene.start(call)
    if scene.stop:
        action.stop()
    action.wait(PATIENCE)
    sim.wait_for_acks()
    check(action, scene)


def scene_end(scene: Scene) -> str:
    """The state that the last event of a scene tells, as faults name it."""
    last = scene.states[-1]
    return str(last[0] if isinstance(last, tuple) else last)


@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_an_event_that_is_lost_is_made_up_for_by_the_end_of_the_call(sim: Simulator, ring: Ring, scene: Scene) -> None:
    phone, call = ring(**scene.caller)
    sim.drop_event(scene.event, state=scene_end(scene), times=None)
    action = scene.start(call)
    if scene.stop:
        action.stop()
    phone.wait_until_idle(PATIENCE)
    phone.hang_up()
    assert action.wait(PATIENCE).reason == "call_ended"


PARTY = {"direction": ["remote-caller"]}
BESIDE: Mapping[str, Callable[[Call], Any]] = {
    "a recording": lambda call: call.record(),
    "a recording with an end": lambda call: call.record({"max_length": 3600, "terminators": ""}),
    "a transcription": lambda call: call.transcribe(),
    "a live transcription": lambda call: call.live_transcribe({"start": {"lang": "en", **PARTY}}),
    "a live translation": lambda call: call.live_translate({"start": {"from_lang": "en", "to_lang": "fr", **PARTY}}),
    "a tap": lambda call: call.tap(
        {"type": "audio", "params": {"direction": "both"}},
        {"type": "rtp", "params": {"addr": "192.0.2.9", "port": 4000}},
    ),
    "a detector": lambda call: call.detect_answering_machine(),
    "a detector of keys": lambda call: call.detect_digit(timeout=600),
    "a sidecar": lambda call: call.ai_sidecar("en-US"),
    "a stream": lambda call: call.stream(NOWHERE),
}


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
def test_what_only_listens_leaves_the_answers_to_the_questions(ring: Ring, beside: Callable[[Call], Any]) -> None:
    _, call = ring(says=["billing please", "yes"], presses=["1", "2"])
    beside(call)
    call.play([WELCOME]).wait(PATIENCE)  # long enough for a reaction
    first = call.play_and_collect([WELCOME], {"speech": {}})
    first.wait(PATIENCE)
    keys = call.play_and_collect([WELCOME], {"digits": {"max": 1}})
    keys.wait(PATIENCE)
    assert (first.text, keys.digits) == ("billing please", "1")
    second = call.collect(speech={})
    second.wait(PATIENCE)
    more = call.collect(digits={"max": 1})
    more.wait(PATIENCE)
    assert (second.text, more.digits) == ("yes", "2")


def test_a_recording_that_waits_for_words_is_a_question(ring: Ring) -> None:
    _, call = ring(says=["call me back", "yes"])
    call.record({"initial_timeout": 5, "end_silence_timeout": 1}).wait(PATIENCE)
    answer = call.collect(speech={})
    answer.wait(PATIENCE)
    assert answer.text == "yes"


def test_keys_that_a_detector_was_asked_for_are_used_up_with_it(ring: Ring) -> None:
    _, call = ring(presses=["1", "2"])
    detector = call.detect_digit(timeout=20)
    detector.wait(PATIENCE)
    answer = call.collect(digits={"max": 1})
    answer.wait(PATIENCE)
    assert (detector.digits, answer.digits) == ("1", "2")
