"""Commands to running actions, and the ends that are no normal ends: errors, lost sessions, closed clients."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import (
    Action,
    ActionFailed,
    ClientClosed,
    CollectAction,
    CommandRefused,
    ConnectionLost,
    InvalidParameter,
    PausableAction,
    PlayAction,
    PlayEvent,
    RecordAction,
    RelayError,
    RelayEvent,
    StoppableAction,
    StreamFailed,
    VolumeAction,
    WaitTimeout,
)
from relay_sync.errors import WrongThread
from relay_sync.threads import process
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.far_end import tell
from tests.support.lines import Line
from tests.support.verbs.rows import ROWS

TTS = {"type": "tts", "params": {"text": "hello"}}
COLLECT = {"digits": {"max": 1}}


Start = Callable[[Line], Any]

STARTS: dict[str, Start] = {
    "play": lambda one: one.call.play([TTS]),
    "record": lambda one: one.call.record(),
    "play_and_collect": lambda one: one.call.play_and_collect([TTS], COLLECT),
    "collect": lambda one: one.call.collect(digits={"max": 1}),
    "detect": lambda one: one.call.detect_digit(),
    "send_fax": lambda one: one.call.send_fax("https://files.example.test/1.pdf"),
    "receive_fax": lambda one: one.call.receive_fax(),
    "tap": lambda one: one.call.tap(
        {"type": "audio", "params": {"direction": "both"}},
        {"type": "rtp", "params": {"addr": "192.0.2.9", "port": 4000}},
    ),
    "stream": lambda one: one.call.stream("wss://media.example.test/in"),
    "pay": lambda one: one.call.pay("https://pay.example.test/"),
    "transcribe": lambda one: one.call.transcribe(),
    "ai": lambda one: one.call.ai(prompt={"text": "be kind"}),
    "queue.enter": lambda one: one.call.queue_enter("support"),
    "send_digits": lambda one: one.call.send_digits("1"),
}
STOPPABLE = [name for name in STARTS if name != "send_digits"]

#: Commands to running actions: the action, what is done, the RPC, and its params beside the address and the control_id.
CONTROLS: list[tuple[str, Callable[[Any], Any], str, dict[str, Any]]] = [
    ("play", lambda action: action.pause(), "calling.play.pause", {}),
    ("play", lambda action: action.resume(), "calling.play.resume", {}),
    ("play", lambda action: action.volume(-6.5), "calling.play.volume", {"volume": -6.5}),
    ("record", lambda action: action.pause(), "calling.record.pause", {}),
    ("record", lambda action: action.pause("silence"), "calling.record.pause", {"behavior": "silence"}),
    ("record", lambda action: action.pause(behavior="SKIP"), "calling.record.pause", {"behavior": "skip"}),
    ("record", lambda action: action.resume(), "calling.record.resume", {}),
    ("play_and_collect", lambda action: action.volume(40), "calling.play_and_collect.volume", {"volume": 40}),
    ("play_and_collect", lambda action: action.start_input_timers(), "calling.collect.start_input_timers", {}),
    ("collect", lambda action: action.start_input_timers(), "calling.collect.start_input_timers", {}),
    *((name, lambda action: action.stop(), f"calling.{name}.stop", {}) for name in STOPPABLE if name != "queue.enter"),
    ("queue.enter", lambda action: action.stop(), "calling.queue.leave", {"queue_name": "support"}),
]


@pytest.mark.parametrize(
    ("name", "command", "method", "params"), CONTROLS, ids=[f"{row[2]}-{n}" for n, row in enumerate(CONTROLS)]
)
def test_control_frame(
    muted: Line, name: str, command: Callable[[Any], Any], method: str, params: dict[str, Any]
) -> None:
    action = STARTS[name](muted)
    assert command(action)["code"] == "200"
    address = {"node_id": muted.call.node_id, "call_id": muted.call.call_id, "control_id": action.control_id}
    assert muted.wait_for_request(method) == {**address, **params}


@pytest.mark.parametrize(
    ("name", "command", "method", "params"), CONTROLS, ids=[f"{row[2]}-{n}" for n, row in enumerate(CONTROLS)]
)
def test_control_refused_gone_and_after_the_end(
    muted: Line, name: str, command: Callable[[Any], Any], method: str, params: dict[str, Any]
) -> None:
    action = STARTS[name](muted)
    muted.sim.refuse(method, 409, "not now")
    with pytest.raises(CommandRefused, match="not now"):
        command(action)
    assert not action.is_done
    muted.sim.refuse(method, 404, "Call not found")
    assert command(action) == {}
    muted.phone.hang_up()
    action.wait(PATIENCE)
    sent = len(muted.sim.journal.requests(method))
    assert command(action) == {}
    assert len(muted.sim.journal.requests(method)) == sent


@pytest.mark.parametrize("name", STOPPABLE)
def test_what_the_server_does_not_know_any_more_ends_with_stop(muted: Line, name: str) -> None:
    # Its terminal event was lost: it would never come.
    action = STARTS[name](muted)
    method = "calling.queue.leave" if name == "queue.enter" else f"calling.{name}.stop"
    muted.sim.refuse(method, 404, "not found")
    assert action.stop() == {}
    event = action.wait(0)
    assert event.synthetic
    assert event.reason == "call_gone"
    assert action.error is None


@pytest.mark.parametrize("name", STOPPABLE)
def test_leaving_a_with_block_stops_it(muted: Line, name: str) -> None:
    method = "calling.queue.leave" if name == "queue.enter" else f"calling.{name}.stop"
    muted.sim.refuse(method, 404, "not found")
    with STARTS[name](muted) as action:
        assert not action.is_done
    assert action.is_done
    assert len(muted.sim.journal.requests(method)) == 1


def test_a_second_stop_sends_nothing(muted: Line) -> None:
    action = muted.call.play([TTS])
    assert action.stop()["code"] == "200"
    assert action.stop() == {}
    assert len(muted.sim.journal.requests("calling.play.stop")) == 1


def test_stops_at_the_same_time_send_one_command(muted: Line) -> None:
    action = muted.call.play([TTS])
    muted.sim.hold("calling.play.stop")
    first = Background(action.stop)
    muted.sim.wait_for_held("calling.play.stop")
    # The second one would be told that there is nothing to stop, and take it for the end.
    muted.sim.refuse("calling.play.stop", 404, "Playback not found")
    second = Background(action.stop)
    with pytest.raises(WaitTimeout):
        action.wait(0.2)
    muted.sim.release("calling.play.stop")
    assert [first.result()["code"], second.result()] == ["200", {}]
    assert len(muted.sim.journal.requests("calling.play.stop")) == 1
    tell(muted, action, "calling.call.play", {"state": "finished"})
    assert not action.wait(PATIENCE).synthetic


def stop_on_an_io_thread(action: StoppableAction[Any]) -> None:
    process.io_threads.add(threading.get_ident())
    try:
        action.stop()
    finally:
        process.io_threads.discard(threading.get_ident())


def test_the_io_thread_does_not_wait_for_a_stop_whose_answer_it_has_to_read(muted: Line) -> None:
    action = muted.call.play([TTS])
    muted.sim.hold("calling.play.stop")
    first = Background(action.stop)
    muted.sim.wait_for_held("calling.play.stop")
    with pytest.raises(WrongThread):
        Background(stop_on_an_io_thread, action).result()
    muted.sim.release("calling.play.stop")
    assert first.result()["code"] == "200"


def test_a_stop_that_failed_can_be_tried_again(muted: Line) -> None:
    action = muted.call.play([TTS])
    muted.sim.refuse("calling.play.stop", 500, "not now")
    with pytest.raises(CommandRefused, match="not now"):
        action.stop()
    assert action.stop()["code"] == "200"
    assert len(muted.sim.journal.requests("calling.play.stop")) == 2
    tell(muted, action, "calling.call.play", {"state": "finished"})
    assert action.wait(PATIENCE).state == "finished"


#: How the server reports a failure: the action, the event and its params.
FAILURES: list[tuple[str, str, dict[str, Any]]] = [
    ("play", "calling.call.play", {"state": "error"}),
    ("play_and_collect", "calling.call.play", {"state": "error"}),
    ("play_and_collect", "calling.call.collect", {"result": {"type": "error"}}),
    ("collect", "calling.call.collect", {"result": {"type": "error"}}),
    ("collect", "calling.call.collect", {"result": {"type": "speech"}, "state": "error"}),
    ("detect", "calling.call.detect", {"detect": {"type": "digit", "params": {"event": "error"}}}),
    ("send_fax", "calling.call.fax", {"fax": {"type": "error"}}),
    ("receive_fax", "calling.call.fax", {"fax": {"type": "error"}}),
    ("ai", "calling.call.ai", {"state": "error"}),
    ("send_digits", "calling.call.send_digits", {"state": "error"}),
    ("stream", "calling.call.stream", {"state": "error"}),
    ("tap", "calling.call.tap", {"state": "error"}),
    ("transcribe", "calling.call.transcribe", {"state": "error"}),
    ("record", "calling.call.record", {"state": "error"}),
]


def test_every_action_is_in_these_tables() -> None:
    assert {f"calling.{name}" for name in STARTS} == {row.method for row in ROWS if row.kind}
    # A payment that fails has an outcome, and nobody can fail to wait in a queue.
    assert {name for name, _, _ in FAILURES} == set(STARTS) - {"pay", "queue.enter"}


@pytest.mark.parametrize(("name", "event_type", "params"), FAILURES)
def test_failures_are_raised_and_kept(muted: Line, name: str, event_type: str, params: dict[str, Any]) -> None:
    done: list[RelayEvent] = []
    action: Action[Any] = STARTS[name](muted)
    action._on_completed = done.append
    tell(muted, action, event_type, params)
    for _ in range(2):
        with pytest.raises(StreamFailed if name == "stream" else ActionFailed, match="error"):
            action.wait(PATIENCE)
    assert action.is_done
    assert action.result is not None
    assert action.result.event_type == event_type
    assert isinstance(action.error, RelayError)
    muted.client.disconnect()
    assert done == [action.result]


@pytest.mark.parametrize("name", STARTS)
def test_a_lost_session_ends_it_with_an_error(muted: Line, name: str) -> None:
    action = STARTS[name](muted)
    waiting = Background(action.wait, PATIENCE)
    muted.sim.forget_sessions()
    muted.sim.cut()
    with pytest.raises(ConnectionLost):
        waiting.result()
    assert action.result.reason == "session_lost"


@pytest.mark.parametrize("name", STARTS)
def test_a_closed_client_ends_it_with_an_error(muted: Line, name: str) -> None:
    action = STARTS[name](muted)
    waiting = Background(action.wait, PATIENCE)
    muted.client.disconnect()
    with pytest.raises(ClientClosed):
        waiting.result()
    assert action.result.reason == "client_closed"


@pytest.mark.parametrize("name", STARTS)
def test_a_wait_that_timed_out_can_be_repeated(muted: Line, name: str) -> None:
    action = STARTS[name](muted)
    with pytest.raises(WaitTimeout, match="wait again"):
        action.wait(0.01)
    assert not action.is_done
    muted.phone.hang_up()
    assert action.wait(PATIENCE).reason == "call_ended"


@pytest.mark.parametrize("name", STARTS)
def test_the_end_may_come_before_the_reply(muted: Line, name: str) -> None:
    method = f"calling.{name}"
    muted.sim.hold(method)
    starting: Background[Action[Any]] = Background(STARTS[name], muted)
    params = muted.wait_for_request(method)
    muted.sim.wait_for_held(method)
    muted.phone.hang_up()
    muted.call.wait_for_ended(PATIENCE)
    muted.sim.release(method)
    action = starting.result()
    assert action.control_id == params["control_id"]
    assert action.wait(0).reason == "call_ended"


@pytest.mark.parametrize("name", [*STOPPABLE, "send_digits"])
def test_what_starts_after_nobody_waited_is_stopped(muted: Line, name: str) -> None:
    method = f"calling.{name}"
    stop = "calling.queue.leave" if name == "queue.enter" else f"{method}.stop"
    muted.sim.hold(method)
    with muted.client.timeout(0.05), pytest.raises(WaitTimeout):
        STARTS[name](muted)
    muted.sim.wait_for_held(method)
    started = muted.wait_for_request(method)
    muted.sim.release(method)
    if name == "send_digits":  # the wire has no way to stop it
        muted.call.denoise()
        assert muted.sim.journal.requests(stop) == []
        return
    params = muted.wait_for_request(stop)
    assert params["control_id"] == started["control_id"]
    assert params.get("queue_name") == started.get("queue_name")


def test_what_the_wire_cannot_do_is_not_offered(muted: Line) -> None:
    assert not hasattr(CollectAction, "pause")
    assert not hasattr(muted.call.send_digits("1"), "stop")
    with pytest.raises(InvalidParameter, match="only recordings"):
        muted.call.play([TTS]).pause("silence")
    with pytest.raises(InvalidParameter, match="behavior"):
        muted.call.record().pause("sleep")
    with pytest.raises(InvalidParameter, match="volume"):
        muted.call.play([TTS]).volume(41)


def test_the_class_tree() -> None:
    assert issubclass(PlayAction, PausableAction)
    assert issubclass(PlayAction, VolumeAction)
    assert issubclass(RecordAction, PausableAction)
    assert issubclass(CollectAction, VolumeAction)
    assert issubclass(PausableAction, StoppableAction)
    assert issubclass(VolumeAction, StoppableAction)
    assert issubclass(StoppableAction, Action)


def test_progress_is_seen(muted: Line) -> None:
    action = muted.call.play([TTS])
    assert (action.state, action.latest) == ("starting", None)
    with muted.call.expect(PlayEvent, timeout=PATIENCE):
        tell(muted, action, "calling.call.play", {"state": "paused"})
    assert action.state == "paused"
    assert isinstance(action.latest, PlayEvent)
    # Neither an event of another type nor one without a state is progress.
    with muted.call.expect("calling.call.record", timeout=PATIENCE):
        tell(muted, action, "calling.call.record", {"state": "finished"})
    with muted.call.expect(PlayEvent, timeout=PATIENCE):
        tell(muted, action, "calling.call.play", {"state": ["finished"]})
    assert action.state == "paused"
    assert not action.is_done
