"""Waits of a call: repeated after a timeout, ended by the call, and never too late for what has come already."""

from __future__ import annotations

import gc
import queue
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import (
    Call,
    CallEnded,
    CallingErrorEvent,
    RelayClient,
    RelayEvent,
    StreamEvent,
    WaitTimeout,
    parse_event,
)
from relay_sync.call.call import core_of
from relay_sync.simulator import Simulator
from relay_sync.testing import wait_for_handlers
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.far_end import settle
from tests.support.lines import FROM, NOWHERE, TO, Line, line


def test_a_wait_for_the_end_that_timed_out_can_be_repeated(muted: Line) -> None:
    other = Background(muted.call.wait_for_ended)
    for _ in range(2):
        with pytest.raises(WaitTimeout):
            muted.call.wait_for_ended(0.01)
    assert other.running
    muted.phone.hang_up()
    assert other.result() is muted.call.wait_for_ended(PATIENCE)


def test_waits_end_with_the_call_and_an_unanswered_call_was_not_answered(sim: Simulator) -> None:
    with line(sim, answered=False) as one:
        waits: list[Background[Any]] = [
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


def test_events_and_calls_say_what_the_wire_says(muted: Line) -> None:
    assert muted.call.context == "default"
    waiting = Background(muted.call.wait_for, "calling.error")
    while not core_of(muted.call).readers:
        assert waiting.running
    told = {"call_id": muted.call.call_id, "error": "no such model", "fatal": True}
    muted.sim.send_event("calling.error", told, timestamp=1767225600.5)
    event = waiting.result()
    assert isinstance(event, CallingErrorEvent)
    assert (event.error, event.fatal, event.timestamp) == ("no such model", True, 1767225600.5)
    for event_type in ("calling.call.ai", "calling.call.room", "calling.user_event"):
        assert type(parse_event({"event_type": event_type, "params": {}})) is not RelayEvent
    # Whom connect() reaches becomes a call.
    peer = {"call_id": "peer", "node_id": "n", "call_state": "answered", "direction": "outbound"}
    muted.sim.send_event("calling.call.state", {**peer, "parent": {"call_id": muted.call.call_id}})
    settle(muted)
    assert isinstance(muted.client.calls["peer"], Call)


def test_an_event_that_came_before_its_waiter_is_not_waited_for_in_vain(sim: Simulator) -> None:
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


@pytest.mark.parametrize("read", [Call.events, lambda call: call.expect("calling.call.play")], ids=["events", "expect"])
def test_who_reads_of_a_call_holds_its_client_which_goes_on_taking_calls(
    sim: Simulator, read: Callable[[Call], object]
) -> None:
    readers: queue.SimpleQueue[object] = queue.SimpleQueue()

    def handle(call: Call) -> None:
        readers.put(read(call))
        call.hangup()

    one = RelayClient(**sim.credentials, contexts=["default"])
    one.on_call(handle)
    one.connect()
    first = sim.call(to=TO, from_=FROM)
    reader = readers.get(timeout=PATIENCE)
    first.wait_until("ended", PATIENCE)
    assert wait_for_handlers(PATIENCE)
    known = weakref.ref(one)
    del one
    gc.collect()
    second = sim.call(to=TO, from_=FROM)
    assert readers.get(timeout=PATIENCE) is not reader
    second.wait_until("ended", PATIENCE)
    client = known()
    assert client is not None
    client.disconnect()
