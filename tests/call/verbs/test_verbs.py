"""Every verb of a call, one row each or more: the frame it sends, and what becomes of it.

The frames are written by hand from the descriptions of the protocol, not from the code that builds them. A verb that is added
adds a row, and has with it: its exact frame, its action's normal end, an error result, a call that is gone, and the call
ending meanwhile.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from relay_sync import Call, CommandRefused, RelayEvent
from relay_sync.call.actions import Action
from relay_sync.call.call import core_of
from relay_sync.events import event_class
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.far_end import QUESTIONS, tell
from tests.support.lines import Line
from tests.support.verbs.row import Row
from tests.support.verbs.rows import ROWS

F = TypeVar("F", bound=Callable[..., None])

ACTIONS = [row for row in ROWS if row.kind]
COMMANDS = [row for row in ROWS if not row.kind]


#: What ends something: that it does not exist is no mistake.
HARMLESS = {
    "calling.ai_sidecar.stop",
    "calling.clear_digit_bindings",
    "calling.denoise.stop",
    "calling.disconnect",
    "calling.leave_conference",
    "calling.leave_room",
    "calling.queue.leave",
}


def run(call: Call, row: Row) -> Any:
    return getattr(call, row.verb)(*row.args, **row.kwargs)


def ids(rows: list[Row]) -> Callable[[F], F]:
    return pytest.mark.parametrize("row", rows, ids=[row.name for row in rows])


@ids(ROWS)
def test_frame(muted: Line, row: Row) -> None:
    before = len(muted.sim.journal.requests(row.method))
    returned = run(muted.call, row)
    sent = muted.wait_for_request(row.method, before + 1)
    wanted = {"node_id": muted.phone.node_id, "call_id": muted.phone.call_id, **row.params}
    if row.kind:
        assert isinstance(returned, Action)
        assert type(returned).__name__ == row.kind
        wanted.setdefault("control_id", returned.control_id)
        assert returned.control_id == wanted["control_id"]
        assert returned.reply["code"] == "200"
    else:
        assert returned["code"] == "200"
    assert sent == wanted


@ids(ACTIONS)
def test_normal_end(muted: Line, row: Row) -> None:
    done: list[RelayEvent] = []
    kwargs = {**row.kwargs, "on_completed": done.append}
    action = getattr(muted.call, row.verb)(*row.args, **kwargs)
    waiting: Background[RelayEvent] = Background(action.wait, PATIENCE)
    for event_type, params in row.events[:-1]:
        tell(muted, action, event_type, params)
    muted.sim.wait_for_acks()
    assert not action.is_done
    assert action.result is None
    tell(muted, action, *row.events[-1])
    event = waiting.result()
    assert action.wait(0) is event
    assert action.is_done
    assert action.result == event
    assert action.error is None
    assert event.event_type == row.events[-1][0]
    assert not event.synthetic
    assert type(event) is event_class(action.event_type)
    assert {name: getattr(action, name) for name in row.shows} == dict(row.shows)
    # A terminal event that comes again changes nothing.
    tell(muted, action, *row.events[-1])
    muted.client.disconnect()
    assert done == [event]


@ids(ROWS)
def test_refused(muted: Line, row: Row) -> None:
    muted.sim.refuse(row.method, 400, "no such thing")
    with pytest.raises(CommandRefused, match="no such thing") as caught:
        run(muted.call, row)
    assert caught.value.code == 400
    assert caught.value.method == row.method
    assert not core_of(muted.call).running(Action)
    muted.sim.fail(row.method, -32602, "Invalid Params")
    with pytest.raises(CommandRefused, match="Invalid Params") as failed:
        run(muted.call, row)
    assert failed.value.code == -32602
    assert not core_of(muted.call).running(Action)


@ids(ROWS)
def test_call_that_is_gone(muted: Line, row: Row) -> None:
    for method in {row.method, *QUESTIONS}:
        muted.sim.refuse(method, 404, "Call not found", times=None)
    returned = run(muted.call, row)
    assert muted.call.state == "ended"
    assert muted.client.calls == {}
    if row.kind:
        event = returned.wait(0)
        assert event.synthetic
        assert event.reason == "call_gone"
        assert returned.error is None
    else:
        assert returned == {}


@pytest.mark.parametrize("code", [404, 410])
@ids([row for row in ROWS if row.method not in ("calling.answer", "calling.end", "calling.pass")])
def test_a_404_about_something_else_leaves_the_call_alone(muted: Line, row: Row, code: int) -> None:
    muted.sim.refuse(row.method, code, "no such thing")
    if row.kind:
        action = run(muted.call, row)
        assert action.is_done
        assert action.result.reason == "refused"
        with pytest.raises(CommandRefused, match="no such thing; the call itself is live") as refused:
            action.wait(0)
        assert (refused.value.code, refused.value.method) == (code, row.method)
    elif row.method in HARMLESS:
        assert run(muted.call, row) == {}
    else:
        with pytest.raises(CommandRefused, match="no such thing; the call itself is live"):
            run(muted.call, row)
    assert muted.call.state == "answered"
    assert not core_of(muted.call).handed_over
    muted.call.hangup()
    muted.wait_for_request("calling.end")


@ids(ACTIONS)
def test_call_ends_meanwhile(muted: Line, row: Row) -> None:
    done: list[RelayEvent] = []
    action = getattr(muted.call, row.verb)(*row.args, **{**row.kwargs, "on_completed": done.append})
    waiting: Background[RelayEvent] = Background(action.wait, PATIENCE)
    muted.phone.hang_up()
    event = waiting.result()
    assert event.synthetic
    assert event.reason == "call_ended"
    assert type(event) is event_class(action.event_type)
    assert action.error is None
    after: Action[Any] = getattr(muted.call, row.verb)(*row.args, **{**row.kwargs, "on_completed": done.append})
    ended = after.wait(0)
    assert ended.reason == "call_ended"
    assert len(muted.sim.journal.requests(row.method)) == 1
    muted.client.disconnect()
    assert done == [event, ended]


@ids([row for row in COMMANDS if row.verb != "hangup"])
def test_call_ends_while_a_command_is_under_way(muted: Line, row: Row) -> None:
    muted.sim.hold(row.method)
    command = Background(run, muted.call, row)
    muted.sim.wait_for_held(row.method)
    muted.phone.hang_up()
    muted.call.wait_for_ended(PATIENCE)
    muted.sim.release(row.method)
    command.result()
    sent = len(muted.sim.journal.requests(row.method))
    assert run(muted.call, row) == {}
    assert len(muted.sim.journal.requests(row.method)) == sent


def test_every_verb_has_a_row() -> None:
    plain = {"on", "events", "wait_for", "expect", "client"} | {
        name for name in dir(Call) if name.startswith(("_", "wait_"))
    }
    verbs = {name for name, _ in inspect.getmembers(Call, callable)} - plain
    assert verbs == {row.verb for row in ROWS}


@pytest.mark.parametrize("verb", sorted({row.verb for row in ROWS}))
def test_every_keyword_of_a_verb_is_in_a_row(verb: str) -> None:
    given: set[str] = set()
    names = list(inspect.signature(getattr(Call, verb)).parameters)[1:]
    for row in ROWS:
        if row.verb == verb:
            given.update(row.kwargs)
            given.update(names[: len(row.args)])
    assert given == set(names)
