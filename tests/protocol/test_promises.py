"""What was promised is done: before the goodbye, over a connection that went, and in no other session."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import Call, ClientClosed, ConnectionLost, DialFailed, RelayClient
from relay_sync.protocol.command import ANSWER_PATIENCE
from relay_sync.protocol.effects import Hangup, Phase, SessionOver
from relay_sync.protocol.promises import MOST_PROMISES, Promises
from relay_sync.simulator import Simulator
from relay_sync.simulator.people.phone import Phone
from relay_sync.threads import logs
from relay_sync.threads.lanes import InContext
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.lines import FROM, TO, Desk, drop, line, run
from tests.support.talk import Talk, event, leaving, only, phases, sent

MakeClient = Callable[..., RelayClient]


def methods(effects: list[Any]) -> list[str]:
    return [frame["method"] for frame in sent(effects) if "method" in frame]


# -- the session ---------------------------------------------------------------------------------------------------------


def test_a_promise_without_an_answer_is_kept_by_the_next_connection() -> None:
    talk = Talk().ready()
    talk.submit("end", promised=True)
    talk.lose()
    talk.wake()
    connect = talk.connected()
    assert methods(talk.accept(connect)) == ["calling.end"]
    talk.receive({"id": "end", "result": {"code": "200"}})
    assert talk.settled["end"] == {"code": "200"}
    talk.lose()
    talk.wake()
    connect = talk.connected()
    assert methods(talk.accept(connect)) == []


def test_a_promise_is_sent_although_the_queue_is_full_and_the_outbox_long() -> None:
    talk = Talk(max_queue=1)
    talk.submit("play")
    talk.submit("end", promised=True)
    assert talk.settled == {}
    talk.open()
    connect = talk.connected()
    assert methods(talk.accept(connect)) == ["calling.end", "calling.play"]
    talk.session.congested = True
    talk.submit("pass", promised=True)
    assert talk.settled == {}
    assert methods(talk.all)[-1] == "calling.pass"


def test_a_promise_belongs_to_its_session() -> None:
    talk = Talk().ready()
    talk.submit("end", promised=True, only_in=talk.session.number)
    talk.lose()
    talk.wake()
    connect = talk.connected()
    assert methods(talk.accept(connect, protocol="another")) == []
    assert isinstance(talk.settled["end"], ConnectionLost)
    assert talk.session.unanswered == 0


def test_promises_are_bounded_in_number_and_in_time() -> None:
    promises, talk = Promises(most=2), Talk()
    commands = [talk.submit(f"end{number}", patience=10 + number) for number in range(3)]
    assert [promises.make(0.0, command) for command in commands] == [True, True, False]
    assert promises.make(talk.now + 10.5, commands[2])
    assert promises.all() == commands[1:]
    talk.ready()
    talk.lose()
    talk.submit("end", patience=60, promised=True)
    talk.now += 61
    talk.wake()
    assert "calling.end" not in methods(talk.accept(talk.connected()))
    assert isinstance(talk.settled["end"], ConnectionLost)
    assert MOST_PROMISES >= 1000


def test_closing_ends_all_waits_at_once_and_leaves_when_promises_are_answered() -> None:
    talk = Talk().ready()
    talk.submit("play")
    talk.submit("end", promised=True)
    effects = talk.do(talk.session.close, talk.now, 5.0)
    assert phases(effects) == [Phase.CLOSED]
    assert isinstance(talk.settled["play"], ClientClosed)
    assert len(only(SessionOver, effects)) == 1
    assert only(Hangup, effects) == []
    assert "end" not in talk.settled
    talk.submit("later")
    assert isinstance(talk.settled["later"], ClientClosed)
    assert methods(talk.receive(event())) == []  # a call that is offered now is for others
    effects = talk.receive({"id": "end", "result": {"code": "200"}})
    assert (talk.session.phase, only(Hangup, effects), phases(effects)) == (Phase.CLOSED, [Hangup()], [])


def test_a_promise_that_is_made_while_closing_is_kept() -> None:
    talk = Talk().ready()
    talk.submit("end", promised=True)
    talk.do(talk.session.close, talk.now, 5.0)
    talk.submit("stop", promised=True)
    talk.receive({"id": "end", "result": {"code": "200"}})
    assert methods(talk.all)[-1] == "calling.stop"
    assert talk.session.parting
    talk.receive({"id": "stop", "result": {"code": "404"}})
    assert talk.session.phase is Phase.CLOSED


def test_a_server_that_does_not_answer_promises_is_not_waited_for_long() -> None:
    talk = Talk().ready()
    talk.submit("end", promised=True)
    talk.do(talk.session.close, talk.now, 60.0)
    begun = talk.now
    assert only(Hangup, talk.wake()) == [Hangup()]
    assert talk.now - begun == pytest.approx(ANSWER_PATIENCE)
    assert isinstance(talk.settled["end"], ClientClosed)


def test_a_client_that_closes_without_a_connection_connects_once_more_for_its_promises() -> None:
    talk = Talk().ready()
    talk.lose()
    talk.submit("end", promised=True)
    assert only(Hangup, talk.do(talk.session.close, talk.now, 5.0)) == []
    talk.wake()
    effects = talk.accept(talk.connected())
    assert (methods(effects), phases(effects)) == (["calling.end"], [])
    assert only(Hangup, talk.receive({"id": "end", "result": {"code": "200"}})) == [Hangup()]


def test_it_gives_up_when_its_time_is_over() -> None:
    talk = Talk().ready()
    talk.lose()
    talk.submit("end", promised=True)
    talk.do(talk.session.close, talk.now, 5.0)
    begun = talk.now
    while talk.session.phase is not Phase.CLOSED:
        talk.wake()
        if talk.session.phase is Phase.DIALING:
            talk.session.dial_failed(talk.now, ConnectionLost("no network"), fatal=False)
            talk.session.effects()
    assert talk.session.phase is Phase.CLOSED
    assert talk.now - begun == pytest.approx(5.0)


def test_a_server_that_leaves_gets_the_promise_from_the_next_connection() -> None:
    talk = Talk().ready()
    talk.receive(leaving())
    talk.submit("end", promised=True)
    assert "calling.end" not in methods(talk.all)
    talk.do(talk.session.close, talk.now, 5.0)
    talk.lose()
    talk.wake()
    assert methods(talk.accept(talk.connected())) == ["calling.end"]


# -- a client ------------------------------------------------------------------------------------------------------------


def hung_up(sim: Simulator) -> list[str]:
    return [frame["params"]["call_id"] for frame in sim.journal.requests("calling.end")]


def ended(phone: Phone) -> None:
    phone.wait_until("ended", timeout=PATIENCE)


def test_what_still_rings_is_hung_up_though_the_client_is_closed_at_once(sim: Simulator) -> None:
    sim.expect_phone(TO, answers_after=None)
    for _ in range(3):
        before = len(hung_up(sim))
        with pytest.raises(DialFailed), RelayClient(**sim.credentials) as one:
            one.dial(to=TO, from_=FROM, dial_timeout=0.6)
        assert len(hung_up(sim)) == before + 1


def test_a_drain_names_no_handlers_where_it_is_a_call_that_does_not_end(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("relay_sync.client.run.HANGUP_PATIENCE", 0.1)
    with RelayClient(**sim.credentials) as one:
        one.dial(to=TO, from_=FROM)
        sim.drop_event("calling.call.state", times=None)
        assert one.drain(0) is False
        logs.flush()
        assert "no confirmation that call" in caplog.text
        assert "still running" not in caplog.text
        sim.clear_faults()


def test_ctrl_c_in_a_dial_hangs_up_what_rings(sim: Simulator) -> None:
    rings = sim.expect_phone(TO, answers_after=None)

    def press() -> None:
        rings.wait_for_call(0, PATIENCE).wait_until("ringing")
        os.kill(os.getpid(), signal.SIGINT)

    pressing = Background(press)
    with pytest.raises(KeyboardInterrupt), RelayClient(**sim.credentials) as one:
        one.dial(to=TO, from_=FROM)
    pressing.result()
    ended(rings.wait_for_call(0, PATIENCE))
    assert len(hung_up(sim)) == 1


def stopped_while_the_connection_is_away(
    sim: Simulator, one: RelayClient, **options: Any
) -> tuple[Background[None], Desk, Phone, Call]:
    """In the midst of an answered call."""
    desk = Desk(one)
    running = run(one, **options)
    phone = sim.call(to=TO, from_=FROM)
    call = desk.take()
    call.answer()
    sim.refuse_connections()
    sim.cut()
    one.stop()
    return running, desk, phone, call


def test_a_call_is_hung_up_though_the_connection_went_when_the_program_ended(
    sim: Simulator, client: MakeClient, soon: None
) -> None:
    running, desk, phone, _ = stopped_while_the_connection_is_away(sim, client(), hangup_calls=True)
    desk.closing.set()
    sim.refuse_connections(False)
    running.result()
    ended(phone)
    assert hung_up(sim) == [phone.call_id]


def test_a_stop_while_the_connection_is_away_drains_all_the_same(
    sim: Simulator, client: MakeClient, soon: None
) -> None:
    running, desk, phone, call = stopped_while_the_connection_is_away(sim, client(), drain=PATIENCE)
    sim.refuse_connections(False)
    call.hangup()  # the conversation comes to its own end
    desk.closing.set()
    running.result()
    ended(phone)


def test_run_on_a_client_whose_connection_is_away_can_be_stopped(
    sim: Simulator, client: MakeClient, soon: None
) -> None:
    one = client()
    one.connect()
    sim.refuse_connections()
    sim.cut()
    running = Background(one.run)
    while not one._running:
        pass
    one.stop()
    assert running.result() is None
    assert one.state == "closed"


def test_a_handler_that_raises_while_the_connection_is_away_still_hangs_up(sim: Simulator, soon: None) -> None:
    with line(sim, request_timeout=0.1) as one:
        sim.refuse_connections()
        sim.cut()

        def handler(call: Any) -> None:
            raise ZeroDivisionError

        one.client._router.handlers._run(one.call, InContext(handler))
        assert hung_up(sim) == []
        sim.refuse_connections(False)
        ended(one.phone)
        assert set(hung_up(sim)) == {one.call.call_id}


def test_a_call_is_passed_back_again_where_the_answer_was_lost(sim: Simulator, client: MakeClient) -> None:
    one = client(max_active_calls=1)
    desk = Desk(one)
    one.connect()
    sim.call(to=TO, from_=FROM)
    first = desk.take()
    sim.drop_reply("calling.pass")
    phone = sim.call(to=TO, from_=FROM)
    sim.journal.wait_for(lambda _: bool(sim.journal.requests("calling.pass")), PATIENCE)
    drop(sim, one)
    passed = [frame["params"]["call_id"] for frame in sim.journal.requests("calling.pass")]
    sim.journal.wait_for(lambda _: len(sim.journal.requests("calling.pass")) == 2, PATIENCE)
    assert set(passed) == {phone.call_id}
    assert first.call_id != phone.call_id
    desk.closing.set()
