"""The tables of a client's calls: threads do not disturb each other there, and the failure of one entry costs that entry only."""

from __future__ import annotations

import contextlib
import gc
import queue
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import (
    Call,
    CallEnded,
    CallStateEvent,
    ClientClosed,
    ConnectionLost,
    DialFailed,
    RelayClient,
    RelayEvent,
    WaitTimeout,
    devices,
)
from relay_sync.call.call import core_of
from relay_sync.client.pending_dials import REMEMBERED_FOR, PendingDial
from relay_sync.simulator import Simulator
from relay_sync.testing import wait_for_handlers
from relay_sync.threads.table import Recent
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.far_end import mute
from tests.support.interrupts import at_step
from tests.support.lines import FROM, TO, Line, drop, line
from tests.support.offline import NODE, calls, state

GONE = CallEnded("it is gone")
LOST = ConnectionLost("the session is lost")
CONFERENCE = "calling.conference"


def fails_to_end(call: Call) -> None:
    """Have the end of a call fail, before its second action has been ended."""
    actions: dict[str, Any] = core_of(call).operations
    actions["broken"] = None


ENDS: dict[str, Callable[[RelayClient, Call], object]] = {
    "its end is told": lambda client, call: client._router.on_event(state(call.call_id, "ended")),
    "the session is lost": lambda client, call: client._router.on_session_over(LOST, 1),
    "another thread does the same": lambda client, call: client._router.let_go(call, GONE),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_call_is_let_go_of_by_one_thread_while_it_ends_on_another(offline: RelayClient, end: str) -> None:
    step = 0
    more = True
    while more:
        step += 1
        one, other = calls(offline, f"one-{step}", f"other-{step}")

        def let_go(call: Call = one) -> None:
            offline._router.let_go(call, GONE)

        def act(call: Call = one) -> None:
            ENDS[end](offline, call)

        more = at_step(step, "Router.let_go", let_go, act)
        assert one.call_id not in offline.calls
        assert isinstance(core_of(one).over, (CallEnded, ConnectionLost))
        if more and end == "the session is lost":
            assert (offline.calls, core_of(other).over) == ({}, LOST)
        else:
            assert offline.calls.pop(other.call_id) is other
        offline._router.let_go(other, GONE)
    assert step > 20


@pytest.mark.parametrize("name", ["Router.on_session_over", "CallCore.end"])
def test_a_session_ends_while_a_thread_lets_go_of_a_call(offline: RelayClient, name: str) -> None:
    step, more = 0, True
    while more:
        step += 1
        found = calls(offline, *(f"{step}-{number}" for number in range(3)))

        def let_go(call: Call = found[1]) -> None:
            offline._router.let_go(call, GONE)

        more = at_step(step, name, lambda: offline._router.on_session_over(LOST, 1), let_go)
        assert offline.calls == {}
        assert (core_of(found[0]).over, core_of(found[2]).over) == (LOST, LOST)
        assert core_of(found[1]).over in (LOST, GONE)
    assert step > 20


def test_calls_that_end_are_looked_at_as_they_were(offline: RelayClient) -> None:
    step, more = 0, True
    while more:
        step += 1
        found = calls(offline, *(f"{step}-{number}" for number in range(3)))
        seen: list[list[Call]] = []

        def look(into: list[list[Call]] = seen) -> None:
            into.append(offline._router.ours)

        def end(call: Call = found[1]) -> None:
            offline._router.on_event(state(call.call_id, "ended"))

        more = at_step(step, "Router.ours", look, end)
        assert set(seen[0]) >= {found[0], found[2]}
        offline._router.on_session_over(LOST, 1)
    assert step > 5


@pytest.mark.parametrize("name", ["CallCore._apply", "CallCore._move", "Router.call_over"])
def test_whoever_waits_for_an_end_while_it_is_taken_in_gets_its_event(offline: RelayClient, name: str) -> None:
    step, more = 0, True
    while more:
        step += 1
        (call,) = calls(offline, f"call-{step}")
        found: list[RelayEvent] = []

        def wait(call: Call = call, found: list[RelayEvent] = found) -> None:
            with contextlib.suppress(WaitTimeout):
                found.append(call.wait_for_ended(0.001))

        def end(call: Call = call) -> None:
            offline._router.on_event(state(call.call_id, "ended", end_reason="busy"))

        more = at_step(step, name, end, wait)
        found.append(call.wait_for_ended(PATIENCE))
        assert {event.params.get("end_reason") for event in found} == {"busy"}
    assert step > 20


# -- one failure, one entry --------------------------------------------------------------------------------------------------


def test_a_call_that_cannot_be_ended_costs_the_end_of_a_session_nothing_else(
    sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    with line(sim) as one:
        _, second = one.another()
        sim.drop_event("messaging.state", times=None)
        message = one.client.send_message(to_number="+15550100", from_number="+15550199", body="hello")
        mute(sim)
        dialing = Background(lambda: one.client.dial(to="+15550100022", from_="+15550100011"))
        one.wait_for_request("calling.dial")
        reader, action = one.call.events(), one.call.play_silence(60)
        ends = [Background(call.wait_for_ended) for call in (one.call, second)]
        fails_to_end(one.call)
        sim.forget_sessions()
        drop(sim, one.client)
        waits = (action.wait, message.wait, lambda: list(reader))
        background: list[Background[Any]] = [*ends, dialing, *(Background(wait) for wait in waits)]
        for waiting in background:
            with pytest.raises(ConnectionLost):
                waiting.result()
        assert not {one.call, second}.intersection(one.client.calls.values())
        assert one.client.state == "connected"
        (record,) = [each for each in caplog.records if each.exc_info]
        assert record.getMessage() == "internal error while ending a session"


def test_an_action_that_cannot_be_ended_costs_the_end_of_its_call_nothing_else(on_call: Line) -> None:
    heard: list[str] = []
    done = threading.Event()
    reader = on_call.call.events()
    fails_to_end(on_call.call)
    on_call.sim.drop_event("calling.call.play", times=None)
    action = on_call.call.play_silence(60)

    @on_call.call.on(CallStateEvent)
    def hear(event: CallStateEvent) -> None:
        heard.append(event.call_state)
        if event.call_state == "ended":
            done.set()

    waiting = Background(on_call.call.wait_for_ended)
    on_call.phone.hang_up()
    assert waiting.result().params["call_state"] == "ended"
    assert action.wait(PATIENCE).reason == "call_ended"
    assert [event.params.get("call_state") for event in reader][-1] == "ended"
    assert done.wait(PATIENCE)
    assert heard[-1] == "ended"
    assert on_call.client.calls == {}


def test_an_event_of_a_conference_reaches_every_call_in_it(offline: RelayClient) -> None:
    first, second, third = calls(offline, "first", "second", "third")
    for call in (first, second):
        core_of(call).conferences = frozenset({"conference-1"})
    history: Any = None
    core_of(first).history = history  # what happened cannot be noted
    readers = [call.events() for call in (second, third)]
    params = {"conference_id": "conference-1", "name": "all", "status": "conference-start"}
    with pytest.raises(AttributeError):  # for the log
        offline._router.on_event({"event_type": CONFERENCE, "params": params})
    offline._router.on_session_over(CallEnded("the end"), 1)
    assert [[event.event_type for event in reader] for reader in readers] == [[CONFERENCE], []]


@pytest.mark.parametrize("member", ["history", "device"])
def test_an_end_that_cannot_be_taken_in_as_a_whole_is_one(offline: RelayClient, member: str) -> None:
    (call,) = calls(offline, "one")
    setattr(core_of(call), member, None)
    waiting = Background(call.wait_for_ended)
    with pytest.raises((AttributeError, TypeError)):  # for the log
        offline._router.on_event(state("one", "ended", device={"type": "phone", "params": {"to_number": "+15550100"}}))
    assert waiting.result().params["call_state"] == "ended"
    assert offline.calls == {}


def test_a_message_that_cannot_be_ended_costs_that_message_only(sim: Simulator) -> None:
    with line(sim) as one:
        sim.drop_event("messaging.state", times=None)
        first, second = (one.client.send_message(to_number=TO, from_number=FROM, body="hello") for _ in range(2))
        vars(first)["_run"] = vars(first)["_on_completed"] = "broken"
        one.client.disconnect()
        for message in (first, second):
            with pytest.raises(ClientClosed):
                message.wait(PATIENCE)


def test_an_action_that_cannot_be_asked_about_keeps_none_from_being_asked_about(sim: Simulator) -> None:
    with line(sim) as one:
        sim.drop_event("calling.call.play", times=None)
        broken, action = one.call.play_silence(60), one.call.play_silence(60)
        vars(broken)["_heard"] = None
        sim.refuse("calling.play.volume", 404, "no such playback", times=None)
        waiting = Background(action.wait)
        one.drop()
        assert waiting.result().reason == "call_gone"


# -- kept as long as it is needed --------------------------------------------------------------------------------------------


def is_forgotten(call: Callable[[], Call | None]) -> bool:
    """Whether nobody holds a call any more, a moment after the last who did."""
    for _ in range(100):
        gc.collect()
        if call() is None:
            return True
        threading.Event().wait(0.02)
    return False


def replace(sim: Simulator, client: RelayClient) -> None:
    sim.forget_sessions()
    drop(sim, client)


WAYS_OUT: dict[str, Callable[[RelayClient, Simulator, str], object]] = {
    "its end is told": lambda client, sim, call_id: sim.send_event(
        "calling.call.state", state(call_id, "ended")["params"]
    ),
    "it is gone after a resume": lambda client, sim, call_id: drop(sim, client),
    "the session is replaced": lambda client, sim, call_id: replace(sim, client),
    "the client is closed": lambda client, sim, call_id: client.disconnect(),
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_a_call_that_was_handed_over_is_forgotten_with_its_end(
    sim: Simulator, client: Callable[..., RelayClient], way: str
) -> None:
    handed_over: queue.SimpleQueue[tuple[str, weakref.ref[Call]]] = queue.SimpleQueue()
    if way == "its end is told":
        mute(sim)  # the simulator tells a call that was handed over to nobody
    one = client()

    def handle(call: Call) -> None:
        call.on("calling.call.state", lambda event: call)
        call.transfer("https://example.com/swml")
        handed_over.put((call.call_id, weakref.ref(call)))

    one.on_call(handle)
    one.connect()
    sim.call(to=TO, from_=FROM)
    call_id, call = handed_over.get(timeout=PATIENCE)
    assert one._router.ours == []
    WAYS_OUT[way](one, sim, call_id)
    assert is_forgotten(call)


def test_an_end_that_overtakes_the_reply_to_a_transfer(offline: RelayClient) -> None:
    step, more = 0, True
    while more:
        step += 1
        (call,) = calls(offline, f"call-{step}")

        def handed_over(call: Call = call) -> None:
            offline._router.handed_over(call)

        def end(call: Call = call) -> None:
            offline._router.on_event(state(call.call_id, "ended"))

        more = at_step(step, "Router.handed_over", handed_over, end)
        if not more:
            end()
        assert len(offline._router._elsewhere) == 0
    assert step > 10


def test_of_calls_that_were_handed_over_the_last_ones_are_kept(offline: RelayClient) -> None:
    offline._router._elsewhere = Recent(2)
    found = calls(offline, "one", "two", "three")
    for call in found:
        offline._router.handed_over(call)
    assert list(offline.calls.values()) == found[1:]
    with pytest.raises(CallEnded, match="no event has arrived since"):
        found[0].wait_for_ended(PATIENCE)


def test_dials_that_were_given_up_long_ago_are_forgotten(offline: RelayClient) -> None:
    board = offline._router
    dial = PendingDial("tag", 1)
    board.dials.enter(dial)
    board.on_event(state("leg", "ringing", tag="tag"))
    leg = weakref.ref(offline.calls["leg"])
    board.dials.give_up(dial, board)
    del dial
    board.on_watch(time.monotonic() + REMEMBERED_FOR - 1)
    board.on_event(state("late", "ringing", tag="tag"))
    assert offline.calls == {}
    board.on_watch(time.monotonic() + REMEMBERED_FOR + 1)
    assert is_forgotten(leg)
    assert len(board.dials._open) == 0


# -- what is somebody else's by now ------------------------------------------------------------------------------------------

APPLICATION = "https://example.com/next-application"


def ended(sim: Simulator, client: RelayClient) -> list[str]:
    """The calls that the client has hung up so far."""
    client.execute("signalwire.ping", timeout=PATIENCE)  # what it sent before has arrived
    return [frame["params"]["call_id"] for frame in sim.journal.requests("calling.end")]


@pytest.mark.parametrize("error", [KeyError("a mistake"), SystemExit(1)])
@pytest.mark.parametrize("hand_over", [lambda call: call.transfer(APPLICATION), lambda call: call.pass_(), None])
def test_a_handler_that_raises_has_only_its_own_call_hung_up(
    sim: Simulator, client: Callable[..., RelayClient], hand_over: Callable[[Call], object] | None, error: BaseException
) -> None:
    one = client()
    handled: queue.SimpleQueue[Call] = queue.SimpleQueue()

    @one.on_call
    def handle(call: Call) -> None:
        if hand_over is not None:
            hand_over(call)
        handled.put(call)
        raise error

    one.connect()
    mute(sim)
    sim.call(to=TO, from_=FROM)
    call = handled.get(timeout=PATIENCE)
    wait_for_handlers(PATIENCE)
    assert ended(sim, one) == ([] if hand_over else [call.call_id])


ENDS_OF_A_CLIENT: dict[str, Callable[[RelayClient], object]] = {
    "drain()": lambda client: client.drain(0.05),
    "disconnect()": lambda client: client.disconnect(hangup_calls=True),
    "run()": lambda client: client.run(hangup_calls=True, on_ready=client.stop),
    "hurried": lambda client: client._hang_up_calls(time.monotonic() + 1),
}


@pytest.mark.parametrize("end", ENDS_OF_A_CLIENT)
def test_a_client_that_ends_hangs_up_only_what_is_its_own(sim: Simulator, end: str) -> None:
    with line(sim) as one:
        _, second = one.another()
        one.call.transfer(APPLICATION)
        one.desk.closing.set()  # nobody waits for handlers
        ENDS_OF_A_CLIENT[end](one.client)
        (request,) = sim.journal.requests("calling.end")
        assert request["params"]["call_id"] == second.call_id


def test_a_leg_that_was_handed_over_is_not_hung_up_with_its_dial(
    sim: Simulator, client: Callable[..., RelayClient]
) -> None:
    one = client(contexts=None)
    one.connect()
    rings = [sim.expect_phone(number, answers_after=None) for number in ("+15550100022", "+15550100033")]
    both = [devices.phone(phone.number, "+15550100011") for phone in rings]
    dialing = Background(lambda: one.dial([both], tag="tag"))
    legs = [phone.wait_for_call(timeout=PATIENCE) for phone in rings]
    mute(sim)
    for leg in legs:
        leg.wait_until("ringing", PATIENCE)
    one.execute("signalwire.ping", timeout=PATIENCE)
    one.calls[legs[0].call_id].transfer(APPLICATION)
    sim.send_event("calling.call.dial", {"tag": "tag", "dial_state": "failed", "node_id": NODE})
    with pytest.raises(DialFailed):
        dialing.result()
    assert ended(sim, one) == [legs[1].call_id]
    assert one.calls == {}


def test_of_a_dial_that_was_given_up_no_leg_stays_in_memory(offline: RelayClient) -> None:
    board = offline._router
    dial = PendingDial("tag", 3)
    board.dials.enter(dial)
    board.on_event(state("leg-1", "ringing", tag="tag"))
    first = weakref.ref(offline.calls["leg-1"])
    assert board.dials.give_up(dial, board) is None
    board.on_event(state("leg-2", "ringing", tag="tag"))
    gc.collect()
    assert first() is None
    assert offline.calls == {}
    assert (sorted(dial.leg_ids), dial.lacks_legs) == (["leg-1", "leg-2"], True)
    for leg in ("leg-1", "leg-2"):  # they are known for what they are all the same
        board.on_event(state(leg, "answered", tag="tag", dial_winner=True))
    assert offline.calls == {}
    told = {
        "tag": "tag",
        "dial_state": "answered",
        "call": {"call_id": "leg-1", "node_id": "n", "call_state": "answered"},
    }
    board.on_event({"event_type": "calling.call.dial", "params": told})
    board.dials.enter(PendingDial("tag", 1))  # the tag is free again
