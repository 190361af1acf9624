"""The hazards of the reference implementation (PROTOCOL, section 13), by their numbers: each is no hazard here."""

from __future__ import annotations

import ast
import json
import logging
import queue
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import relay_sync
from relay_sync import (
    AuthenticationError,
    Call,
    CallEnded,
    CallingErrorEvent,
    ClientClosed,
    CollectAction,
    CommandRefused,
    ConnectionLost,
    DialFailed,
    InvalidParameter,
    RelayClient,
    RelayEvent,
    RequestTimeout,
    WaitTimeout,
    devices,
    parse_event,
)
from relay_sync.call.call import core_of
from relay_sync.simulator import Simulator
from tests.support import PATIENCE, ROOT
from tests.support.background import Background
from tests.support.exchange import Exchange
from tests.support.far_end import mute, tell
from tests.support.lines import FROM, TO, Desk, Line, drop, line

HAZARDS = range(1, 19)
MakeClient = Callable[..., RelayClient]


def test_each_hazard_has_a_test() -> None:
    shown = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and (number := re.match(r"test_hazard_(\d\d)_", node.name)):
                assert any(isinstance(one, ast.Assert) for one in ast.walk(node)), f"{node.name} shows nothing"
                shown.add(int(number[1]))
    assert shown == set(HAZARDS)


@pytest.fixture
def on_call(sim: Simulator) -> Iterator[Line]:
    """A call that has been answered, on a simulator that tells nothing by itself."""
    with line(sim) as one:
        mute(sim)
        yield one


@pytest.fixture
def exchange(sim: Simulator, client: MakeClient) -> Exchange:
    mute(sim)
    one = client(contexts=None)
    one.connect()
    return Exchange(sim, one)


def settle(one: Line) -> None:
    """Everything the server has sent so far was dealt with."""
    one.sim.wait_for_acks(PATIENCE)
    one.call.denoise()


def test_hazard_01_fax_and_pay_end_by_what_their_events_carry(on_call: Line) -> None:
    fax = on_call.call.send_fax("https://example.com/a.pdf")
    pay = on_call.call.pay("https://example.com/pay")
    tell(on_call, fax, "calling.call.fax", {"fax": {"type": "page", "params": {"direction": "send", "number": 1}}})
    tell(on_call, pay, "calling.call.pay", {"event": "collecting"})
    settle(on_call)
    assert not fax.is_done
    assert not pay.is_done
    tell(on_call, fax, "calling.call.fax", {"fax": {"type": "finished", "params": {"pages": 1, "success": True}}})
    tell(on_call, pay, "calling.call.pay", {"result": "success"})
    assert fax.wait(PATIENCE).params["fax"]["type"] == "finished"
    assert pay.wait(PATIENCE).result == "success"


def test_hazard_02_detect_and_collect_do_not_end_on_intermediate_results(on_call: Line) -> None:
    detect = on_call.call.detect_answering_machine()
    collect = on_call.call.collect(speech={}, partial_results=True)
    for word in ("MACHINE", "NOT_READY"):
        told = {"detect": {"type": "machine", "params": {"event": word}}}
        tell(on_call, detect, "calling.call.detect", told)
    tell(on_call, collect, "calling.call.collect", {"result": {"type": "start_of_input"}})
    tell(
        on_call,
        collect,
        "calling.call.collect",
        {"final": False, "result": {"type": "speech", "params": {"text": "y"}}},
    )
    settle(on_call)
    assert not detect.is_done
    assert not collect.is_done
    tell(on_call, detect, "calling.call.detect", {"detect": {"type": "machine", "params": {"event": "finished"}}})
    tell(
        on_call,
        collect,
        "calling.call.collect",
        {"final": True, "result": {"type": "speech", "params": {"text": "yes"}}},
    )
    detect.wait(PATIENCE)
    collect.wait(PATIENCE)
    assert detect.wait_for_result(0).event == "MACHINE"


@pytest.mark.parametrize("end", ["the call", "the session", "the client"])
def test_hazard_03_open_actions_end_with_what_carries_them(end: str) -> None:
    with Simulator(media="fast", on_bad_resume="fresh") as sim, line(sim) as one:
        mute(sim)
        ended: queue.SimpleQueue[RelayEvent] = queue.SimpleQueue()
        action = one.call.play_silence(600, on_completed=ended.put)
        waiting = Background(action.wait)
        if end == "the call":
            one.phone.hang_up()
            assert waiting.result().reason == "call_ended"
            # An event that comes after all is for nobody, and does no harm.
            tell(one, action, "calling.call.play", {"state": "finished"})
            sim.wait_for_acks(PATIENCE)
        elif end == "the session":
            sim.forget_sessions()
            one.drop()
            with pytest.raises(ConnectionLost):
                waiting.result()
        else:
            one.client.disconnect()
            with pytest.raises(ClientClosed):
                waiting.result()
        assert ended.get(timeout=PATIENCE).synthetic
        assert action.is_done
    assert ended.empty()


def test_hazard_04_a_prompt_that_cannot_be_played_ends_and_cannot_be_paused(on_call: Line) -> None:
    action = on_call.call.prompt_tts("how many?", {"digits": {"max": 1}})
    assert isinstance(action, CollectAction)
    assert not hasattr(action, "pause")
    assert not hasattr(action, "resume")
    tell(on_call, action, "calling.call.play", {"state": "error"})
    with pytest.raises(relay_sync.RelayError):
        action.wait(PATIENCE)
    assert action.is_done


def test_hazard_05_a_wait_for_the_end_that_timed_out_can_be_repeated(on_call: Line) -> None:
    other = Background(on_call.call.wait_for_ended)
    for _ in range(2):
        with pytest.raises(WaitTimeout):
            on_call.call.wait_for_ended(0.01)
    assert other.running
    on_call.phone.hang_up()
    assert other.result() is on_call.call.wait_for_ended(PATIENCE)


def test_hazard_06_waits_end_with_the_call_and_an_unanswered_call_was_not_answered(sim: Simulator) -> None:
    with line(sim, answered=False) as one:
        waits = [
            Background(one.call.wait_for, "calling.call.play"),
            Background(one.call.wait_for_answered),
        ]
        one.phone.hang_up()
        for wait in waits:
            with pytest.raises(CallEnded):
                wait.result()
        with pytest.raises(CallEnded):
            one.call.wait_for_answered(PATIENCE)
        # A state that was skipped hangs nobody either.
        assert one.call.wait_for_ending(PATIENCE).call_id == one.call.call_id


def test_hazard_07_on_completed_runs_on_a_call_that_has_ended(on_call: Line) -> None:
    on_call.phone.hang_up()
    on_call.call.wait_for_ended(PATIENCE)
    ended: queue.SimpleQueue[RelayEvent] = queue.SimpleQueue()
    action = on_call.call.play_silence(1, on_completed=ended.put)
    event = ended.get(timeout=PATIENCE)
    assert (event.event_type, event.synthetic, event.reason) == ("calling.call.play", True, "call_ended")
    assert action.is_done


def test_hazard_07_an_empty_result_is_a_success_and_a_refusal_is_raised_once(on_call: Line) -> None:
    def empty(request: Any) -> None:
        request.reply({})

    exchange = on_call.sim._exchange
    exchange.handlers = {**exchange.handlers, "calling.play": empty}
    action = on_call.call.play_silence(1)
    assert not action.is_done
    tell(on_call, action, "calling.call.play", {"state": "finished"})
    assert action.wait(PATIENCE).state == "finished"
    completed: list[RelayEvent] = []
    on_call.sim.refuse("calling.play", 400, "no such voice")
    with pytest.raises(CommandRefused, match="no such voice"):
        on_call.call.play_silence(1, on_completed=completed.append)
    settle(on_call)
    assert completed == []


def test_hazard_08_nothing_is_sent_before_the_session_is_there(sim: Simulator, client: MakeClient) -> None:
    sim.hold("signalwire.connect")
    one = client()
    waiting = Background(one.execute, "signalwire.ping")
    sim.wait_for_held("signalwire.connect", PATIENCE)
    assert one.state == "connecting"
    assert not sim.journal.requests("signalwire.ping")
    sim.release()
    assert waiting.result() is not None


@pytest.mark.slow
def test_hazard_08_refused_credentials_back_off_and_leave_nothing_behind(sim: Simulator, client: MakeClient) -> None:
    states: queue.SimpleQueue[str] = queue.SimpleQueue()
    one = client(on_state=states.put)
    one.connect()
    waiting = Background(one.run)
    sim.fail("signalwire.connect", -32002, "authentication failed: 401", times=None)
    sim.cut()
    while states.get(timeout=PATIENCE) != "failed":
        pass
    with pytest.raises(AuthenticationError):
        waiting.result()
    # The first, a resume that was refused, and three without it.
    assert len(sim.journal.requests("signalwire.connect")) == 5
    sim.clear_faults()
    with client() as other:
        assert other.state == "connected"
    one.connect()
    assert one.state == "connected"


def test_hazard_09_a_lost_socket_is_made_again_and_fails_what_was_under_way(sim: Simulator) -> None:
    with line(sim) as one:
        sim.hold("calling.pass")
        waiting = Background(one.call.pass_)
        sim.wait_for_held("calling.pass")
        drop(sim, one.client)
        with pytest.raises(ConnectionLost):
            waiting.result()
        assert one.client.state == "connected"


def test_hazard_09_a_command_whose_time_is_over_ends_no_newer_connection(sim: Simulator) -> None:
    states: queue.SimpleQueue[str] = queue.SimpleQueue()
    with line(sim, on_state=states.put) as one:
        sim.refuse_connections()
        sim.cut()
        while states.get(timeout=PATIENCE) != "reconnecting":
            pass
        with pytest.raises(RequestTimeout), one.client.timeout(0.05):
            one.call.denoise()
        sim.refuse_connections(False)
        one.client.wait_until_ready(PATIENCE)
        count = len(sim.journal.requests("signalwire.connect"))
        one.call.denoise()
        assert len(sim.journal.requests("calling.denoise")) == 1
        assert len(sim.journal.requests("signalwire.connect")) == count


def test_hazard_10_a_ping_without_an_answer_closes_nothing_while_the_server_speaks(sim: Simulator) -> None:
    with line(sim, ping_interval=30.0) as one:
        sim.drop_reply("signalwire.ping")
        with pytest.raises(RequestTimeout):
            one.client.execute("signalwire.ping", timeout=0.05)
        assert one.client.execute("signalwire.ping") is not None
        assert len(sim.journal.requests("signalwire.connect")) == 1


def test_hazard_11_run_works_off_the_main_thread_and_stops_during_a_backoff(sim: Simulator, client: MakeClient) -> None:
    states: queue.SimpleQueue[str] = queue.SimpleQueue()
    one = client(on_state=states.put)
    running = Background(one.run)
    sim.wait_for_client(1, PATIENCE)
    sim.refuse_connections()
    sim.cut()
    while states.get(timeout=PATIENCE) != "reconnecting":
        pass
    one.stop()
    running.result()
    assert one.state == "closed"


@pytest.mark.parametrize(
    "frame",
    [
        {"id": "1", "method": "signalwire.event", "params": {"event_type": "calling.call.state", "params": 5}},
        {"id": "2", "method": "signalwire.event", "params": {"event_type": "calling.call.state", "params": ["x"]}},
        {"id": "3", "method": "signalwire.event", "params": "text"},
        {"id": {"un": "hashable"}, "method": "signalwire.event", "params": {"event_type": "calling.call.state"}},
        {"id": ["un", "hashable"], "method": "signalwire.ping"},
        {"id": ["un", "hashable"], "result": {}},
        {"id": "4", "method": ["x"], "params": {}},
        {"id": "5", "method": "signalwire.event", "params": {"event_type": ["x"], "params": {}}},
    ],
    ids=json.dumps,
)
def test_hazard_12_frames_of_wrong_shapes_do_not_end_the_reader(on_call: Line, frame: dict[str, Any]) -> None:
    on_call.sim.send_raw(json.dumps({"jsonrpc": "2.0", **frame}))
    assert on_call.call.denoise()["code"] == "200"
    assert len(on_call.sim.journal.requests("signalwire.connect")) == 1


def test_hazard_13_disconnect_tells_waiters_by_an_error_of_ours_and_can_be_undone(on_call: Line) -> None:
    waiting = Background(on_call.call.wait_for_ended)
    on_call.client.disconnect()
    with pytest.raises(ClientClosed):
        waiting.result()
    on_call.client.connect()
    assert on_call.client.execute("signalwire.ping") is not None
    drop(on_call.sim, on_call.client)  # and it repairs itself again
    assert on_call.client.state == "connected"


def message_state(sim: Simulator, message_id: str, word: str) -> None:
    body = {"message_id": message_id, "message_state": word, "context": "x", "direction": "outbound", "segments": 1}
    sim.send_event("messaging.state", body, context="x")


def test_hazard_14_a_message_listener_may_send_and_early_states_are_kept(sim: Simulator, client: MakeClient) -> None:
    mute(sim)
    one = client()

    def name_late(request: Any) -> None:
        # The state overtakes the reply that names the message.
        message_state(sim, "early", "delivered")
        request.accept(message_id="early")

    exchange = sim._exchange
    exchange.handlers = {**exchange.handlers, "messaging.send": lambda request: request.accept(message_id="slow")}
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    message = one.send_message(to_number=TO, from_number=FROM, body="x")
    message.on(lambda event: answers.put(one.execute("signalwire.ping")))
    message_state(sim, "slow", "sent")
    assert answers.get(timeout=PATIENCE) is not None
    exchange.handlers = {**exchange.handlers, "messaging.send": name_late}
    early = one.send_message(to_number=TO, from_number=FROM, body="x")
    assert early.wait(PATIENCE).params["message_state"] == "delivered"


def test_hazard_15_a_message_without_an_id_does_not_pretend(sim: Simulator, client: MakeClient) -> None:
    mute(sim)
    sim._exchange.handlers = {**sim._exchange.handlers, "messaging.send": lambda request: request.accept(message_id="")}
    completed: queue.SimpleQueue[Any] = queue.SimpleQueue()
    message = client().send_message(to_number=TO, from_number=FROM, body="x", on_completed=completed.put)
    assert message.is_done
    assert completed.get(timeout=PATIENCE) is not None


def test_hazard_15_a_tag_is_one_dial_s_and_nobody_is_left_ringing(exchange: Exchange) -> None:
    two = [[devices.phone("+15550100022"), devices.phone("+15550100033")]]
    first = exchange.dial(two, tag="t")
    with pytest.raises(InvalidParameter, match="tag"):
        exchange.client.dial(to="+15550100022", tag="t")
    exchange.leg("t", "loser", "ringing")
    exchange.leg("t", "winner", "answered")
    exchange.answered("t", "winner")
    assert first.result().call_id == "winner"
    exchange.wait_for_end("loser")
    late = exchange.dial(to="+15550100022", tag="late", dial_timeout=0.2)
    exchange.leg("late", "ringing", "ringing")
    with pytest.raises(DialFailed):
        late.result()
    exchange.wait_for_end("ringing")
    assert set(exchange.client.calls) == {"winner"}


def test_hazard_16_events_and_calls_say_what_the_wire_says(on_call: Line) -> None:
    assert on_call.call.context == "default"
    waiting = Background(on_call.call.wait_for, "calling.error")
    while not core_of(on_call.call).readers:
        assert waiting.running
    told = {"call_id": on_call.call.call_id, "error": "no such model", "fatal": True}
    on_call.sim.send_event("calling.error", told, timestamp=1767225600.5)
    event = waiting.result()
    assert isinstance(event, CallingErrorEvent)
    assert (event.error, event.fatal, event.timestamp) == ("no such model", True, 1767225600.5)
    for event_type in ("calling.call.ai", "calling.call.room", "calling.user_event"):
        assert type(parse_event({"event_type": event_type, "params": {}})) is not RelayEvent
    # Whom connect() reaches becomes a call.
    peer = {"call_id": "peer", "node_id": "n", "call_state": "answered", "direction": "outbound"}
    on_call.sim.send_event("calling.call.state", {**peer, "parent": {"call_id": on_call.call.call_id}})
    settle(on_call)
    assert isinstance(on_call.client.calls["peer"], Call)


def test_hazard_17_units_and_types_that_sources_disagree_on_pass_unchanged(exchange: Exchange) -> None:
    dialling = exchange.dial(to="+15550100022", tag="t", max_duration=30)
    assert exchange.request["max_duration"] == 30
    exchange.answered("t", "c1")
    call = dialling.result()
    call.user_event(event={"type": "x", "number": 1})
    [sent] = exchange.sim.journal.requests("calling.user_event")
    assert sent["params"]["event"] == {"type": "x", "number": 1}
    room = parse_event({"event_type": "calling.conference", "params": {"conference_id": "c", "status": "new-one"}})
    assert room.params["status"] == "new-one"


def test_hazard_18_handlers_are_limited_told_of_and_no_call_is_left_ringing(sim: Simulator, client: MakeClient) -> None:
    errors: queue.SimpleQueue[Any] = queue.SimpleQueue()
    gate = threading.Event()
    full = client(max_active_calls=1, on_error=lambda error, call: errors.put(error))

    @full.on_call
    def handler(call: Call) -> None:
        gate.wait(PATIENCE)
        raise ZeroDivisionError

    full.connect()
    first = sim.call(to=TO, from_=FROM)
    sim.wait_for_acks(PATIENCE)
    second = sim.call(to=TO, from_=FROM)
    sim.journal.wait_for(lambda entry: entry.method == "calling.pass", PATIENCE)
    assert len(full.calls) == 1
    gate.set()
    assert isinstance(errors.get(timeout=PATIENCE), ZeroDivisionError)
    first.wait_until("ended", PATIENCE)
    other = client()
    desk = Desk(other)
    other.connect()
    assert desk.take().call_id == second.call_id
    desk.closing.set()


def test_hazard_18_without_a_handler_a_call_is_passed_on(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    with RelayClient(**sim.credentials, contexts=["default"]):
        sim.call(to=TO, from_=FROM)
        sim.journal.wait_for(lambda entry: entry.method == "calling.pass", PATIENCE)
    assert [one.levelno for one in caplog.records if "no on_call handler" in one.message] == [logging.WARNING]
