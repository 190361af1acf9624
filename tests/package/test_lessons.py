"""The failures measured in the official SDK, by their numbers: the ones that have no better place."""

from __future__ import annotations

import ast
import re
import threading

import pytest

from relay_sync import (
    AuthenticationError,
    ClientClosed,
    ConnectionLost,
    ConnectTimeout,
    InvalidParameter,
    RelayClient,
    StreamEvent,
)
from relay_sync.call.call import core_of
from relay_sync.simulator import Simulator
from tests.support import PATIENCE, ROOT
from tests.support.background import Background
from tests.support.lines import FROM, NOWHERE, TO, Desk, line

LESSONS = range(1, 18)


def test_each_lesson_has_a_test_that_asserts_something() -> None:
    shown = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef) or not (number := re.match(r"test_lesson_(\d\d)_", node.name)):
                continue
            checks = [one for one in ast.walk(node) if isinstance(one, ast.Assert)]
            waits = [one for one in ast.walk(node) if isinstance(one, ast.Attribute) and one.attr in WAITS]
            assert checks or waits, f"{path.name}::{node.name} shows nothing"
            shown.add(int(number[1]))
    assert shown >= set(LESSONS)


#: Calls that raise where what is waited for does not come.
WAITS = frozenset({"raises", "result", "wait_until"})


def test_lesson_02_wait_ends_when_the_final_event_fell_into_a_reconnection(sim: Simulator) -> None:
    with line(sim) as one:
        sim.drop_event("calling.call.stream", state="finished", times=None)
        action = one.call.stream(NOWHERE)
        waiting = Background(action.wait)
        one.drop()
        one.phone.hang_up()
        event = waiting.result()
        assert event.synthetic
        assert event.reason == "call_ended"


def test_lesson_02_wait_ends_when_the_session_was_replaced_meanwhile() -> None:
    with Simulator(media="fast", on_bad_resume="fresh") as sim, line(sim) as one:
        sim.drop_event("calling.call.stream", state="finished", times=None)
        waiting = Background(one.call.stream(NOWHERE).wait)
        sim.forget_sessions()
        one.drop()
        with pytest.raises(ConnectionLost):
            waiting.result()


def test_lesson_08_an_event_that_came_before_its_waiter_is_not_waited_for_in_vain(sim: Simulator) -> None:
    with line(sim) as one:
        # What a verb causes comes before anybody could wait for it: expect() listens before the verb runs.
        with one.call.expect("calling.call.stream", lambda event: event.state == "finished", PATIENCE) as seen:
            one.call.stream(NOWHERE).wait(PATIENCE)
            sim.wait_for_acks()
        assert isinstance(seen.value, StreamEvent)
        # And whoever waits for something that has passed is told when the call ends.
        waiting = Background(one.call.wait_for, "calling.call.stream")
        one.phone.hang_up()
        with pytest.raises(Exception, match="the call ended"):
            waiting.result()


def test_lesson_09_the_caller_is_answered_by_somebody_else(sim: Simulator) -> None:
    with (
        line(sim, max_active_calls=1) as full,
        RelayClient(**sim.credentials, contexts=["default"]) as other,
    ):
        desk = Desk(other)
        sim.wait_for_client(2)
        phones = [sim.call(to=TO, from_=FROM) for _ in range(3)]
        for _ in phones:
            desk.take().answer()
        for phone in phones:
            phone.wait_until("answered")
        assert list(full.client.calls) == [full.call.call_id]
        desk.closing.set()


@pytest.mark.parametrize("same_id", [True, False])
def test_lesson_10_a_repeated_event_is_heard_once(sim: Simulator, same_id: bool) -> None:
    """Repeated with its frame's id it is the same event; with another id it is one more, and a state is reached once only."""
    heard: list[str] = []
    done = threading.Event()
    with line(sim) as one:
        one.call.on("calling.call.state", lambda event: heard.append(event.call_state))
        one.call.on("calling.x.last", lambda event: done.set())
        ends: list[StreamEvent] = []
        action = one.call.stream(NOWHERE, on_completed=ends.append)
        action.wait(PATIENCE)
        sim.duplicate_event("calling.call.state", same_id=same_id)
        one.phone.hang_up()
        one.call.wait_for_ended(PATIENCE)
        sim.wait_for_acks()
        core_of(one.call).callback("fence", done.set)
        assert done.wait(PATIENCE)
        if same_id:
            assert heard == ["ending", "ended"]
        assert heard.count("ended") == 1
        assert ends == [action.result]


def test_lesson_11_a_client_that_could_not_connect_spoils_no_other(sim: Simulator) -> None:
    given = sim.credentials
    with pytest.raises(AuthenticationError):
        RelayClient(project=given["project"], token="wrong", host=given["host"]).connect()
    sim.drop_reply("signalwire.connect")
    late = RelayClient(**given)
    with pytest.raises(ConnectTimeout):
        late.connect(0.1)
    for client in (RelayClient(**given), late):
        with client:
            assert client.execute("signalwire.ping", {}) is not None


def test_lesson_14_nonsense_does_not_go_to_the_wire(sim: Simulator) -> None:
    with line(sim) as one:
        with pytest.raises(InvalidParameter, match="url='not a url'"):
            one.call.stream("not a url", track="sideways")
        with pytest.raises(InvalidParameter, match="track='sideways'"):
            one.call.stream("wss://example.com/audio", track="sideways")
        with pytest.raises(TypeError):
            one.call.stream("wss://example.com/audio", trakc="inbound")  # type: ignore[call-arg]
        assert not sim.journal.requests("calling.stream")
        assert one.call.wait_for_answered(PATIENCE).params


def test_lesson_02_wait_ends_when_the_end_of_the_call_fell_into_a_reconnection(sim: Simulator) -> None:
    """Nothing tells of the end, neither then nor later: it has to be asked for."""
    with line(sim) as one:
        sim.drop_event("calling.call.stream", state="finished", times=None)
        sim.drop_event("calling.call.state", state="ending", times=None)
        sim.drop_event("calling.call.state", state="ended", times=None)
        action = one.call.stream(NOWHERE)
        stream, call = Background(action.wait), Background(one.call.wait_for_ended)
        one.phone.hang_up()
        one.drop()
        events = [stream.result(), call.result()]
        assert [(event.synthetic, event.reason) for event in events] == [(True, "call_ended"), (True, "call_gone")]
        assert one.client.calls == {}


def test_lesson_02_a_call_that_lives_is_only_asked_about(sim: Simulator) -> None:
    with line(sim) as one:
        one.drop()
        asked = one.wait_for_request("calling.clear_digit_bindings")
        assert asked == {"node_id": one.call.node_id, "call_id": one.call.call_id, "realm": asked["realm"]}
        sim.wait_for_acks(PATIENCE)
        assert one.client.execute("signalwire.ping") is not None  # the answer to the question came before this one
        assert one.call.wait_for_answered(PATIENCE).params
        one.phone.hang_up()
        assert not one.call.wait_for_ended(PATIENCE).synthetic


def test_lesson_02_a_404_that_is_about_something_else_ends_no_call(sim: Simulator) -> None:
    """What a realm that is not known gets is not documented."""
    with line(sim) as one:
        sim.refuse("calling.clear_digit_bindings", 404, "No such realm")
        one.drop()
        again = one.wait_for_request("calling.answer", 2)  # changes nothing for a call that was answered
        assert again == {"node_id": one.call.node_id, "call_id": one.call.call_id}
        assert one.client.execute("signalwire.ping") is not None  # the answer came before this one
        assert list(one.client.calls) == [one.call.call_id]
        one.phone.hang_up()
        assert not one.call.wait_for_ended(PATIENCE).synthetic


def test_lesson_15_disconnect_tells_every_kind_of_waiter_the_same(sim: Simulator) -> None:
    with line(sim) as one:
        sim.hold("calling.pass")
        sim.drop_event("calling.call.stream", state="finished", times=None)

        def expecting() -> None:
            with one.call.expect("calling.x.y"):
                pass

        action = one.call.stream(NOWHERE)
        waiters: list[Background[object]] = [
            Background(action.wait),
            Background(action.wait, 60.0),
            Background(one.call.wait_for_ended),
            Background(one.call.wait_for, "calling.x.y"),
            Background(expecting),
            Background(list, one.call.events()),
            Background(one.call.pass_),
        ]
        sim.wait_for_held("calling.pass")
        one.client.disconnect()
        for waiter in waiters:
            with pytest.raises(ClientClosed, match="closed"):
                waiter.result()
