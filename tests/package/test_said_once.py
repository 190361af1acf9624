"""What would happen without a word: each has a line in the log, once, or an error that says what to do."""

from __future__ import annotations

import importlib
import logging
import queue
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import relay_sync
from relay_sync import (
    Call,
    CallStateEvent,
    ConnectError,
    ConnectTimeout,
    DialEvent,
    InvalidParameter,
    MessageReceiveEvent,
    PlayEvent,
    RelayClient,
    RelayEvent,
)
from relay_sync.call.call import core_of
from relay_sync.events import names
from relay_sync.simulator import Simulator
from relay_sync.testing import wait_for_handlers
from tests.support import PATIENCE
from tests.support.clocks import leapt
from tests.support.far_end import mute
from tests.support.lines import FROM, TO, Desk, drop, line

MakeClient = Callable[..., RelayClient]


def said(caplog: pytest.LogCaptureFixture, words: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if words in record.getMessage()]


# -- handlers ----------------------------------------------------------------------------------------------------------


def leaves_it(call: Call) -> None:
    """Forgets to answer."""


def answers(call: Call) -> None:
    call.answer()


def rejects(call: Call) -> None:
    call.hangup("busy")


def passes(call: Call) -> None:
    call.pass_()


@pytest.mark.parametrize(
    ("handler", "lines"),
    [(leaves_it, 1), (answers, 0), (rejects, 0), (passes, 0)],
    ids=["leaves it", "answers", "rejects", "passes"],
)
def test_a_handler_that_leaves_its_call_ringing(
    sim: Simulator, client: MakeClient, caplog: pytest.LogCaptureFixture, handler: Callable[[Call], None], lines: int
) -> None:
    one, over = client(), threading.Semaphore(0)

    @one.on_call
    def handle(call: Call) -> None:
        handler(call)
        over.release()

    one.connect()
    for _ in range(2):
        sim.call(to=TO, from_=FROM)
        assert over.acquire(timeout=PATIENCE)
    wait_for_handlers(PATIENCE)
    assert not said(caplog, "keeps ringing")  # another thread may be about to answer it
    much_later(one)
    found = [record for record in said(caplog, "keeps ringing") if record.levelno >= logging.WARNING]
    assert len(found) == lines
    assert all("call.answer()" in record.getMessage() for record in found)


def waits_for_its_end(call: Call) -> None:
    call.wait_for_ended(PATIENCE)


def looks_at_its_state(call: Call) -> None:
    while call.state != "ended":
        time.sleep(0.01)


def waits_and_answers(call: Call) -> None:
    call.wait_for_ended(PATIENCE)
    call.answer()


def answers_and_waits(call: Call) -> None:
    call.answer()
    call.wait_for_ended(PATIENCE)


@pytest.mark.parametrize("when", ["much later", "closed"])
@pytest.mark.parametrize(
    ("handler", "lines"),
    [(waits_for_its_end, 1), (looks_at_its_state, 1), (waits_and_answers, 0), (answers_and_waits, 0)],
)
def test_a_handler_that_waits_for_the_end_of_a_call_which_it_never_answered(
    sim: Simulator,
    client: MakeClient,
    caplog: pytest.LogCaptureFixture,
    handler: Callable[[Call], None],
    lines: int,
    when: str,
) -> None:
    one, started = client(), threading.Semaphore(0)

    @one.on_call
    def handle(call: Call) -> None:
        started.release()
        handler(call)

    one.connect()
    for _ in range(2):
        phone = sim.call(to=TO, from_=FROM)
        assert started.acquire(timeout=PATIENCE)
        phone.hang_up()
        wait_for_handlers(PATIENCE)
    if when == "much later":
        much_later(one)
    one.disconnect()
    found = [record for record in said(caplog, "without an answer") if record.levelno >= logging.WARNING]
    assert len(found) == lines
    assert all("the handler never called answer()" in record.getMessage() for record in found)
    assert not said(caplog, "keeps ringing")


@pytest.mark.parametrize(
    ("options", "ended", "words"),
    [
        ({}, False, "raised an exception; the call is hung up"),
        ({"on_handler_error": "leave"}, False, "raised an exception; the call is left unchanged"),
        ({}, True, "raised an exception"),
    ],
)
def test_what_becomes_of_a_call_whose_handler_raises(
    sim: Simulator,
    client: MakeClient,
    caplog: pytest.LogCaptureFixture,
    options: dict[str, Any],
    ended: bool,
    words: str,
) -> None:
    one = client(**options)

    @one.on_call
    def handle(call: Call) -> None:
        call.answer()
        if ended:
            call.wait_for_ended(PATIENCE)
        raise LookupError("no such customer")

    one.connect()
    phone = sim.call(to=TO, from_=FROM)
    phone.wait_until("answered", PATIENCE)
    if ended:
        phone.hang_up()
    wait_for_handlers(PATIENCE)
    (record,) = said(caplog, "the on_call handler of call")
    assert record.getMessage().endswith(words)


def much_later(client: RelayClient) -> None:
    """What the IO thread does once a second: now, and in a minute from now."""
    done = threading.Event()

    def look(session: object) -> None:
        for seconds in (0, 60):
            client._router.on_watch(time.monotonic() + seconds)
        done.set()

    assert client._link.loop is not None
    client._link.loop.change(look)
    assert done.wait(PATIENCE)


def test_a_call_that_another_thread_answers_was_not_left_ringing(
    sim: Simulator, client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    one, offered = client(), queue.Queue[Call]()
    one.on_call(offered.put)
    one.connect()
    for answer in (
        Call.answer,
        lambda call: one.execute("calling.answer", {"call_id": call.call_id, "node_id": call.node_id}),
    ):
        sim.call(to=TO, from_=FROM)
        call = offered.get(timeout=PATIENCE)
        wait_for_handlers(PATIENCE)
        answer(call)
        call.wait_for_answered(PATIENCE)
        much_later(one)
        call.hangup()
        call.wait_for_ended(PATIENCE)
    one.disconnect()
    assert not said(caplog, "the on_call handler returned")
    assert not said(caplog, "without an answer")


@pytest.mark.parametrize("how", ["the caller gives up", "the client closes"])
def test_a_call_that_rang_until_its_end_after_its_handler_had_returned(
    sim: Simulator, client: MakeClient, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    one, offered = client(), queue.Queue[Call]()
    one.on_call(offered.put)
    one.connect()
    phone = sim.call(to=TO, from_=FROM)
    call = offered.get(timeout=PATIENCE)
    wait_for_handlers(PATIENCE)
    if how == "the caller gives up":
        phone.hang_up()
        call.wait_for_ended(PATIENCE)
    one.disconnect()
    (record,) = said(caplog, "without an answer" if "caller" in how else "the on_call handler returned")
    assert record.levelname == "WARNING"
    assert ("never called answer()" if "caller" in how else "keeps ringing") in record.getMessage()


@pytest.mark.parametrize("early", [True, False])
def test_no_contexts_and_a_handler_of_calls(
    sim: Simulator, client: MakeClient, caplog: pytest.LogCaptureFixture, early: bool
) -> None:
    one = client(contexts=None)
    if early:
        one.on_call(leaves_it)
        assert not said(caplog, "no contexts")
    one.connect()
    if not early:
        one.on_call(leaves_it)
    assert not said(caplog, "no contexts")  # receive() may come next
    much_later(one)
    assert [record.levelname for record in said(caplog, "receive([...])")] == ["WARNING"]
    one.connect()
    drop(sim, one)
    one.on_call(leaves_it)
    much_later(one)
    assert len(said(caplog, "no contexts")) == 1


def test_contexts_or_no_handler_are_no_reason_to_warn(client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    none = client(contexts=None)
    none.connect()
    other = client(contexts=["support"])
    other.on_call(leaves_it)
    other.connect()
    later = client(contexts=None)
    later.connect()
    later.on_call(leaves_it)
    later.receive(["later"])
    for one in (none, other, later):
        much_later(one)
    assert not said(caplog, "no contexts")


@pytest.mark.parametrize("kind", ["on_call", "on_message", "on_task"])
def test_a_second_handler(client: MakeClient, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    def first(what: Any) -> None: ...

    def second(what: Any) -> None: ...

    register = getattr(client(), kind)
    register(first)
    register(first)
    assert not said(caplog, "replaces")
    register(second)
    (record,) = said(caplog, "replaces")
    assert record.levelname == "WARNING"
    for word in (kind, first.__qualname__, second.__qualname__):
        assert word in record.getMessage()


def test_two_handlers_of_one_name_are_told_apart(client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    register = client().on_call

    def make() -> Callable[[Any], None]:
        def handle_call(call: Any) -> None: ...

        return handle_call

    first = make()

    def handle_call(call: Any) -> None: ...

    register(first)
    register(handle_call)
    (record,) = said(caplog, "replaces")
    for function in (first, handle_call):
        assert f"{__file__}:{function.__code__.co_firstlineno}" in record.getMessage()


@pytest.mark.parametrize("kind", ["on_call", "on_message", "on_task"])
def test_a_decorator_with_parentheses(client: MakeClient, kind: str) -> None:
    with pytest.raises(InvalidParameter, match="use the decorator without parentheses"):
        getattr(client(), kind)()


def test_names_of_other_packages_lead_to_ours() -> None:
    for name in ("Client", "Consumer"):
        with pytest.raises(ImportError, match="did you mean RelayClient"):
            exec(f"from relay_sync import {name}")
        with pytest.raises(AttributeError, match="did you mean RelayClient"):
            getattr(relay_sync, name)


FORGOTTEN = """
from relay_sync import RelayClient
client = RelayClient(project="p", token="t", host="name.example", contexts=["default"])
def handle(call): ...
"""


@pytest.mark.traced
@pytest.mark.parametrize(
    ("rest", "lines"),
    [
        ("client.on_call(handle)", 1),
        ("", 0),
        ("client.on_call(handle)\nclient.stop()\nclient.run()", 0),
        ("client.on_call(handle)\nclient.disconnect()", 0),
        ("client.on_call(handle)\nraise LookupError", 0),
        ("client.on_call(handle)\nimport sys\nsys.exit(3)", 1),
        ("import app\nclient.on_call(app.handle)", 0),
    ],
)
def test_a_program_that_forgets_to_run(tmp_path: Any, rest: str, lines: int) -> None:
    (tmp_path / "program.py").write_text(FORGOTTEN + rest)
    (tmp_path / "app.py").write_text("def handle(call): ...")
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stderr.count("call client.run()") == lines, done.stderr


def test_one_cause_of_no_connection_is_said_once_and_then_with_a_number(
    client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    states = client()._router.states
    began = time.monotonic()
    for now, why in ((0, "refused"), (1, "refused"), (59, "refused"), (61, "refused"), (62, "refused"), (63, "reset")):
        with leapt(began + now - time.monotonic()):
            states._say_no_connection(why)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "no connection: refused; retrying",
        "no connection after 4 attempts: refused; retrying",
        "no connection: reset; retrying",
    ]


@pytest.mark.slow
def test_a_port_that_nobody_listens_on_is_said_once(closed_port: int, caplog: pytest.LogCaptureFixture) -> None:
    one = RelayClient(project="p", token="t", host=f"ws://127.0.0.1:{closed_port}", connect_timeout=1.5)
    with pytest.raises(ConnectTimeout) as caught:
        one.run()
    assert len(said(caplog, "no connection")) == 1
    cause = caught.value.__cause__
    assert isinstance(cause, ConnectError)
    assert cause.__cause__ is None
    assert len([part for part in traceback.format_exception(caught.value) if "direct cause" in part]) == 1


CELL = "@register\ndef handle(what): ...\n"


@pytest.mark.parametrize("kind", ["on_call", "on_message", "on_task"])
def test_a_cell_that_runs_again_and_a_bound_method_replace_nothing(
    client: MakeClient, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    class Owner:
        def handle(self, what: Any) -> None: ...

    register = getattr(client(), kind)
    for number in range(2):
        exec(compile(CELL, f"cell {number}", "exec"), {"register": register, "__name__": "__main__"})
    assert not said(caplog, "replaces")
    owner = Owner()
    register(owner.handle)
    assert len(said(caplog, "replaces")) == 1
    register(owner.handle)
    assert len(said(caplog, "replaces")) == 1
    register(Owner().handle)
    assert len(said(caplog, "replaces")) == 2


# -- names of events ---------------------------------------------------------------------------------------------------

NEVER = {
    "answered": "'calling.call.state' with event.call_state == 'answered', or call.wait_for_answered()",
    "call.ended": "call.wait_for_ended()",
    "calling.call.ended": "call.wait_for_ended()",
    "calling.call.ringing": "call.wait_for_ringing()",
    "hangup": "'calling.call.state' with event.call_state == 'ended', or call.wait_for_ended()",
    "answer": "'calling.call.state' with event.call_state == 'answered'",
    "stream.finished": "'calling.call.stream' with event.state == 'finished'",
    "calling.call.play.finished": "'calling.call.play' with event.state == 'finished'",
    "state": "'calling.call.state'",
    "call.state": "'calling.call.state'",
    "calling.call.stat": "'calling.call.state'",
    "Calling.Call.State": "'calling.call.state'",
    "play": "'calling.call.play'",
    "calling.play": "'calling.call.play'",
    "call.stream": "'calling.call.stream'",
    "calling.call.streams": "'calling.call.stream'",
    "calling.call.recrod": "'calling.call.record'",
    "calling.call.conference": "'calling.conference'",
    "calling.ai.respons": "'calling.ai.response'",
    "calling.call.receive": "client.on_call",
    "calling.call.dial": "client.dial()",
    "messaging.receive": "client.on_message",
    "messaging.state": "the message",
    "queuing.relay.tasks": "client.on_task",
    "x": "such as 'calling.call.state'",
    "calling": "such as 'calling.call.state'",
    "calling.call.": "such as 'calling.call.state'",
    "some thing": "such as 'calling.call.state'",
}
ASKS: dict[str, Callable[[Call, Any], object]] = {
    "on": lambda call, name: call.on(name, print),
    "on, as a decorator": lambda call, name: call.on(name),
    "wait_for": lambda call, name: call.wait_for(name, timeout=0),
    "expect": lambda call, name: call.expect(name, timeout=0),
}


@pytest.mark.parametrize("ask", ASKS)
def test_names_of_no_event_are_refused(sim: Simulator, ask: str) -> None:
    with line(sim) as one:
        for name, hint in NEVER.items():
            with pytest.raises(InvalidParameter) as refused:
                ASKS[ask](one.call, name)
            assert hint in str(refused.value), name
        for kind in (DialEvent, MessageReceiveEvent):
            with pytest.raises(InvalidParameter):
                ASKS[ask](one.call, kind)


def test_names_of_events_are_taken() -> None:
    for name in [*names._known(), PlayEvent.TYPE, CallStateEvent.TYPE, "calling.user_event", "calling.ai.start"]:
        assert names.event_name(name) == name


def test_an_event_of_the_future_is_taken_with_one_warning(
    sim: Simulator, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "_taken", set())
    with line(sim) as one:
        heard: list[RelayEvent] = []
        one.call.on("calling.call.hologram", heard.append)
        with one.call.expect("calling.call.hologram", timeout=PATIENCE) as seen:
            sim.send_event("calling.call.hologram", {"call_id": one.call.call_id, "node_id": one.call.node_id})
        one.client.disconnect()
        assert heard == [seen.value]
    (record,) = said(caplog, "calling.call.hologram")
    assert record.levelname == "WARNING"


# -- calls -------------------------------------------------------------------------------------------------------------


def test_verbs_on_an_ended_call_are_mentioned_once(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "relay_sync")
    with line(sim) as one:
        one.phone.hang_up()
        one.call.wait_for_ended(PATIENCE)
        assert one.call.play_tts("hello").wait(0).reason == "call_ended"
        assert one.call.hold() == {}
        assert one.call.hangup() == {}
        (record,) = said(caplog, "is over")
        assert record.getMessage() == f"call {one.call.call_id} is over: calling.play and later commands are not sent"


@pytest.mark.parametrize(
    ("to", "caller"), [(TO, FROM), ("sip:desk@example.test", "sip:me@example.test"), ("sip:desk@example.test", FROM)]
)
def test_who_calls_whom(sim: Simulator, client: MakeClient, to: str, caller: str) -> None:
    one = client()
    desk = Desk(one)
    one.connect()
    sim.call(to=to, from_=caller)
    inbound = desk.take()
    assert (inbound.from_number, inbound.to_number) == (caller, to)
    sim.expect_phone(to, answers_after=0.01)
    device = relay_sync.devices.phone if to == TO else relay_sync.devices.sip
    outbound = one.dial([[device(to, caller)]])
    assert (outbound.direction, outbound.from_number, outbound.to_number) == ("outbound", caller, to)
    desk.closing.set()


@pytest.mark.parametrize(
    "device",
    [
        {},
        {"type": "phone"},
        {"params": None},
        {"params": []},
        {"params": {"from_number": True, "from": [], "to": None, "to_number": ""}},
    ],
)
def test_who_calls_whom_is_not_always_told(client: MakeClient, device: dict[str, Any]) -> None:
    call = Call(client(), "c", "n", device=device)
    assert (call.from_number, call.to_number) == ("", "")


def test_who_calls_whom_as_numbers_and_in_parts(client: MakeClient) -> None:
    """A later event may leave out what an earlier one told."""
    call = Call(
        client(), "c", "n", device={"type": "phone", "params": {"from_number": 15550100, "to_number": "+15550199"}}
    )
    for device in (
        {},
        {"type": "phone"},
        {"type": "phone", "params": {}},
        {"type": "phone", "params": {"from_number": "", "to_number": None}},
        {"params": {"to_number": "+15550199", "timeout": 30}},
    ):
        params = {"call_id": "c", "node_id": "n", "call_state": "ringing", "device": device}
        core_of(call).on_event(CallStateEvent.from_params(params))
        assert (call.from_number, call.to_number) == ("15550100", "+15550199"), device
    assert call.device["params"]["timeout"] == 30
    sip = {"type": "sip", "params": {"from": "sip:a@example.test"}}
    core_of(call).on_event(CallStateEvent.from_params({"call_state": "answered", "device": sip}))
    assert (call.from_number, call.to_number) == ("sip:a@example.test", "")


def test_a_prompt_that_still_collects_says_so(sim: Simulator) -> None:
    with line(sim) as one:
        mute(sim)
        action = one.call.play_and_collect([{"type": "tts", "params": {"text": "Press 1"}}], {"digits": {"max": 1}})
        address = {"call_id": one.call.call_id, "node_id": one.call.node_id, "control_id": action.control_id}
        states = []
        for state in ("playing", "finished"):
            with one.call.expect("calling.call.play", timeout=PATIENCE):
                sim.send_event("calling.call.play", {**address, "state": state})
            states.append(action.state)
        assert states == ["playing", "collecting"]
        assert "collecting" in repr(action)
        assert not action.is_done


# -- beginnings and ends -----------------------------------------------------------------------------------------------


def test_run_says_how_to_hang_up_what_it_leaves(
    sim: Simulator, client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    one = client()

    @one.on_call
    def handle(call: Call) -> None:
        call.answer()
        one.stop()

    sim.call(to=TO, from_=FROM)
    one.run()
    (record,) = said(caplog, "1 live call continues")
    assert record.levelname == "WARNING"
    for word in ("run(hangup_calls=True)", "drain"):
        assert word in record.getMessage()


@pytest.mark.parametrize("given", [{}, {"project": "p"}, {"token": "t"}])
def test_missing_credentials_name_the_simulator(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    for variable in ("SIGNALWIRE_PROJECT_ID", "SIGNALWIRE_API_TOKEN", "SIGNALWIRE_JWT_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(
        InvalidParameter, match=r"relay-sync dev FILE, relay-sync demo, relay_sync\.simulator\.Simulator"
    ):
        RelayClient(**given)  # type: ignore[arg-type]


def _elsewhere() -> list[tuple[str, str]]:
    return [(home, name) for home, found in relay_sync._ELSEWHERE.items() for name in found]


@pytest.mark.parametrize(("home", "name"), _elsewhere())
def test_names_that_live_elsewhere(home: str, name: str) -> None:
    words = f"from relay_sync.{home} import {name}"
    with pytest.raises(ImportError, match=words):
        exec(f"from relay_sync import {name}")
    with pytest.raises(AttributeError, match=words):
        getattr(relay_sync, name)
    assert not hasattr(relay_sync, name)
    pytest.importorskip("flask") if home == "contrib.flask" else None
    assert hasattr(importlib.import_module(f"relay_sync.{home}"), name)


@pytest.mark.parametrize("home", ["audio", "simulator", "rest", "webhooks", "testing"])
def test_no_public_name_is_forgotten(home: str) -> None:
    module: ModuleType = importlib.import_module(f"relay_sync.{home}")
    for name in module.__all__:
        assert name in relay_sync.__all__ or any(name in found for found in relay_sync._ELSEWHERE.values()), name


def test_unknown_names_and_submodules_are_as_ever() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Nonsense'"):
        exec("from relay_sync import Nonsense")
    exec("from relay_sync import audio, simulator, rest")
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        _ = relay_sync.Nonsense  # type: ignore[attr-defined]


def test_the_error_imports_nothing() -> None:
    code = (
        "import sys, relay_sync\n"
        "before = set(sys.modules)\n"
        "try: from relay_sync import AudioServer\n"
        "except ImportError as error: assert 'relay_sync.audio' in str(error)\n"
        "assert set(sys.modules) == before, set(sys.modules) - before\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
