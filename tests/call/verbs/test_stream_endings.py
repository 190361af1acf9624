"""Every way in which a stream can end, each with waits begun before, during and after it, with stop() before and after."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from attrs import frozen

from relay_sync import (
    AuthenticationError,
    ClientClosed,
    ConnectionLost,
    RelayError,
    StreamAction,
    StreamEvent,
    StreamFailed,
    WaitTimeout,
)
from relay_sync.audio import AudioServer
from relay_sync.call.call import core_of
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.lines import NOWHERE, Line, line

STREAM: Final = "calling.call.stream"


@pytest.fixture
def receiver() -> Iterator[AudioServer]:
    with AudioServer() as server:
        yield server


@frozen
class Ending:
    """What brings it about, and what is told then: a state of the server, or a reason of ours, and perhaps an error."""

    bring_about: Callable[[Line, StreamAction, AudioServer], object]
    state: str = ""
    reason: str = ""
    error: type[RelayError] | None = None
    #: The server says "finished" by itself then, so nothing can come between a stop() and the end.
    told: bool = False


def silently(one: Line) -> None:
    """The server's own end of the stream does not come through."""
    one.sim.drop_event(STREAM, state="finished", times=None)


def says(state: str) -> Callable[[Line, StreamAction, AudioServer], object]:
    def send(one: Line, action: StreamAction, receiver: AudioServer) -> None:
        address = {"call_id": one.call.call_id, "node_id": one.call.node_id, "control_id": action.control_id}
        one.sim.send_event(STREAM, {**address, "state": state})

    return send


def unknown_to_stop(code: int) -> Callable[[Line, StreamAction, AudioServer], object]:
    def stop(one: Line, action: StreamAction, receiver: AudioServer) -> None:
        one.sim.refuse("calling.stream.stop", code, "no such call")
        assert action.stop() == {}

    return stop


def unknown_to_hangup(code: int) -> Callable[[Line, StreamAction, AudioServer], object]:
    def hangup(one: Line, action: StreamAction, receiver: AudioServer) -> None:
        one.sim.refuse("calling.end", code, "no such call")
        assert one.call.hangup() == {}

    return hangup


def caller_hangs_up_unheard(one: Line, action: StreamAction, receiver: AudioServer) -> None:
    silently(one)
    one.phone.hang_up()


def another_session(one: Line, action: StreamAction, receiver: AudioServer) -> None:
    one.sim.forget_sessions()
    one.sim.cut()


def credentials_revoked(one: Line, action: StreamAction, receiver: AudioServer) -> None:
    one.sim.fail("signalwire.connect", -32002, "revoked", times=None)
    one.sim.cut()


ENDINGS = {
    "stop": Ending(lambda one, action, receiver: action.stop(), state="finished", told=True),
    "with block": Ending(lambda one, action, receiver: action.__exit__(None, None, None), state="finished", told=True),
    "caller hangs up": Ending(lambda one, action, receiver: one.phone.hang_up(), state="finished", told=True),
    "we hang up": Ending(lambda one, action, receiver: one.call.hangup(), state="finished", told=True),
    "audio socket closed": Ending(
        lambda one, action, receiver: receiver.accept(PATIENCE).close(), state="finished", told=True
    ),
    "call ended unheard": Ending(caller_hangs_up_unheard, reason="call_ended"),
    "stop finds nothing, 404": Ending(unknown_to_stop(404), reason="call_gone", told=True),
    "stop finds nothing, 410": Ending(unknown_to_stop(410), reason="call_gone", told=True),
    "hangup finds nothing, 404": Ending(unknown_to_hangup(404), reason="call_ended"),
    "hangup finds nothing, 410": Ending(unknown_to_hangup(410), reason="call_ended"),
    "error": Ending(says("error"), state="error", error=StreamFailed),
    "failed": Ending(says("failed"), state="failed", error=StreamFailed),
    "stopped": Ending(says("stopped"), state="stopped", error=StreamFailed),
    "disconnected": Ending(says("disconnected"), state="disconnected", error=StreamFailed),
    "another session": Ending(another_session, reason="session_lost", error=ConnectionLost),
    "credentials revoked": Ending(credentials_revoked, reason="session_lost", error=AuthenticationError),
    "client disconnected": Ending(
        lambda one, action, receiver: one.client.disconnect(), reason="client_closed", error=ClientClosed
    ),
    "client stopped": Ending(
        lambda one, action, receiver: one.client.stop(), reason="client_closed", error=ClientClosed
    ),
}


def polling(action: StreamAction) -> StreamEvent:
    """Wait again and again: some of these waits begin while it ends."""
    while True:
        try:
            return action.wait(0.001)
        except WaitTimeout:
            pass


def outcome(wait: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return wait(), None
    except RelayError as error:
        return None, error


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    ("name", "stopped_before"),
    # A stop() before an end that the server tells would be the end itself.
    [(name, before) for name, ending in ENDINGS.items() for before in ((False,) if ending.told else (False, True))],
)
def test_every_ending(receiver: AudioServer, name: str, stopped_before: bool) -> None:
    ending = ENDINGS[name]
    completed: list[StreamEvent] = []
    with Simulator(media="fast", on_bad_resume="fresh") as sim, line(sim) as one:
        with one.call.expect(STREAM, lambda event: event.state == "streaming", PATIENCE):
            action = one.call.stream(receiver.url, control_id="S1", on_completed=completed.append)
        if stopped_before:
            silently(one)
            assert action.stop()["code"] == "200"
            assert action.stop() == {}
            assert not action.is_done
        waits = [Background(action.wait), Background(action.wait, 60.0), Background(polling, action)]
        ending.bring_about(one, action, receiver)
        told = [outcome(waiting.result) for waiting in waits]
        told += [outcome(action.wait), outcome(lambda: action.wait(0.001))]
        event = action.result
        assert event is not None
        assert isinstance(event, StreamEvent)
        assert (event.state, event.reason, event.control_id) == (ending.state, ending.reason, "S1")
        assert event.synthetic is bool(ending.reason)
        assert action.is_done
        assert action.completed
        if ending.error is None:
            assert action.error is None
            assert all(got is event and error is None for got, error in told)
        else:
            assert type(action.error) is ending.error
            assert {type(error) for _, error in told} == {ending.error}
            # Each waiter has an exception of its own, so that tracebacks do not mix.
            assert len({id(error) for _, error in told}) == len(told)
        stops = len(sim.journal.requests("calling.stream.stop"))
        assert action.stop() == {}
        assert action.stop() == {}
        with action:  # leaving the block of one that has ended does nothing either
            pass
        assert len(sim.journal.requests("calling.stream.stop")) == stops
        # Everything in the call's lane that came before this has run.
        passed = threading.Event()
        core_of(one.call).callback("fence", passed.set)
        assert passed.wait(PATIENCE)
        assert completed == [event]
        assert completed[0] is event


@pytest.mark.parametrize("held", [False, True])
def test_an_end_before_stream_has_returned_is_told_once(sim: Simulator, held: bool) -> None:
    completed: list[StreamEvent] = []
    with line(sim) as one:
        if held:
            sim.hold("calling.stream")
        starting = Background(lambda: one.call.stream(NOWHERE, on_completed=completed.append))
        if held:
            sim.wait_for_held("calling.stream")
            sim.journal.wait_for(lambda entry: entry.params.get("state") == "finished", PATIENCE)
            sim.wait_for_acks()
            sim.release("calling.stream")
        action = starting.result()
        event = action.wait(PATIENCE)
        action._hand_out()  # as if the end and the return of the verb came at the same moment
        assert action.stop() == {}
        passed = threading.Event()
        core_of(one.call).callback("fence", passed.set)
        assert passed.wait(PATIENCE)
        assert completed == [event]


@pytest.mark.parametrize("end", ["disconnect", "session"])
def test_a_stream_whose_start_was_under_way_when_all_ended(receiver: AudioServer, end: str) -> None:
    """The caller is told by the exception; there is no action, so on_completed is not called."""
    completed: list[StreamEvent] = []
    with Simulator(media="fast", on_bad_resume="fresh") as sim, line(sim) as one:
        sim.hold("calling.stream")
        starting = Background(lambda: one.call.stream(receiver.url, on_completed=completed.append))
        sim.wait_for_held("calling.stream")
        if end == "disconnect":
            one.client.disconnect()
            with pytest.raises(ClientClosed):
                starting.result()
        else:
            sim.forget_sessions()
            sim.cut()
            with pytest.raises(ConnectionLost) as caught:
                starting.result()
            assert caught.value.sent
        passed = threading.Event()
        core_of(one.call).callback("fence", passed.set)
        assert passed.wait(PATIENCE)
        assert completed == []
