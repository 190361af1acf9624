"""A client that ends while phones are about to ring: they do not ring on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from relay_sync import Call, ClientClosed, CommandRefused, DialFailed, RelayClient
from relay_sync.protocol import promises
from relay_sync.protocol.command import ANSWER_PATIENCE
from relay_sync.protocol.effects import Deliver, Hangup, Phase
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.faults.script import Peer, ScriptedServer
from tests.support.interrupts import by_instructions
from tests.support.lines import FROM, TO
from tests.support.scene import OFFER, Json, Scene, event, refusal, result, scene, send, silent
from tests.support.talk import Talk, only, phases, sent

PHONE = {"type": "phone", "params": {"to_number": TO, "from_number": FROM}}
Ending = Callable[[Scene], object]


def leg(call_id: str, state: str = "ringing", tag: str = "t", **more: Any) -> Json:
    about = {"call_id": call_id, "node_id": "n", "tag": tag, "call_state": state, "direction": "outbound", **more}
    return event(f"{call_id} {state}", "calling.call.state", about)


def moved(state: str, **more: Any) -> Json:
    return event(f"dial {state}", "calling.call.dial", {"node_id": "n", "tag": "t", "dial_state": state, **more})


def by_disconnect(one: Scene) -> None:
    one.client.disconnect(PATIENCE, hangup_calls=True)


def by_run(one: Scene) -> None:
    running = Background(lambda: one.client.run(hangup_calls=True))
    while not one.client._running:
        assert running.running
    one.client.stop()
    running.result()


@contextmanager
def dialing(
    reply: Callable[[Json], list[Json]] | None = None, groups: int = 1, size: int = 1
) -> Iterator[tuple[Scene, Peer, Background[Call]]]:
    """A dial that the server has, and of which nothing was told."""
    with scene(**({} if reply is None else {"dial": reply})) as one:
        peer = one.peer()
        dial = Background(lambda: one.client.dial([[PHONE] * size] * groups, tag="t"))
        one.request("calling.dial")
        yield one, peer, dial


def hung_up(one: Scene) -> str:
    return str(one.request("calling.end")["params"]["call_id"])


def closed(dial: Background[Call]) -> None:
    with pytest.raises(ClientClosed):
        dial.result()


@pytest.mark.parametrize("reply", [None, silent], ids=["answered", "not answered"])
@pytest.mark.parametrize("end", [by_disconnect, by_run])
def test_a_phone_that_rings_just_after_the_end_is_hung_up(end: Ending, reply: Any) -> None:
    with dialing(reply) as (one, peer, dial):
        ending = Background(end, one)
        closed(dial)
        send(peer, leg("c1"))
        assert hung_up(one) == "c1"
        ending.result()
        assert one.client.state == "closed"


def test_each_of_the_phones_is_hung_up_whether_they_ring_at_once_or_in_turn() -> None:
    with dialing(groups=2, size=2) as (one, peer, dial):
        send(peer, leg("c1"))
        ending = Background(by_disconnect, one)
        assert hung_up(one) == "c1"
        send(peer, leg("c1", "ended"), leg("c2"))
        assert hung_up(one) == "c2"
        closed(dial)
        send(peer, leg("c3"), leg("c4"))
        assert {hung_up(one), hung_up(one)} == {"c3", "c4"}
        ending.result()


def test_who_answers_just_after_the_end_is_hung_up() -> None:
    with dialing() as (one, peer, dial):
        ending = Background(by_disconnect, one)
        closed(dial)
        send(peer, moved("answered", call={"call_id": "c1", "node_id": "n", "tag": "t", "dial_winner": "true"}))
        request = one.request("calling.end")
        assert (request["params"]["call_id"], request["params"]["reason"]) == ("c1", "hangup")
        ending.result()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client waits for at its end it waits for so long that a test notices."""
    monkeypatch.setattr(promises, "ANSWER_PATIENCE", 60.0)


def test_the_end_waits_for_no_phones_of_a_dial_that_was_refused_or_has_failed(patient: None) -> None:
    for told in (refusal, lambda request, _: moved("failed")):
        requests: list[Json] = []

        def keep(request: Json, kept: list[Json] = requests) -> list[Json]:
            kept.append(request)
            return []

        with dialing(keep) as (one, peer, dial):
            ending = Background(by_disconnect, one)
            closed(dial)
            send(peer, told(requests[0], "409"))
            ending.result(PATIENCE / 2)


def test_the_end_waits_for_no_phones_where_calls_are_to_go_on_or_nothing_was_sent(patient: None) -> None:
    with dialing() as (one, _, dial):
        Background(one.client.disconnect, PATIENCE).result(PATIENCE / 2)
        closed(dial)
    with scene() as one:
        one.cut(one.peer())
        dial = Background(lambda: one.client.dial(to=TO, from_=FROM, tag="t"))
        one.wait_for_queued(dial)
        Background(by_disconnect, one).result(PATIENCE / 2)
        closed(dial)


def test_a_phone_that_rings_after_its_dial_was_given_up_and_the_client_closed_is_hung_up() -> None:
    with scene() as one:
        peer = one.peer()
        with pytest.raises(DialFailed):
            one.client.dial(to=TO, from_=FROM, tag="t", dial_timeout=0.4)
        ending = Background(one.client.disconnect, PATIENCE)
        one.wait_for_state("closed")
        send(peer, leg("c1"))
        assert hung_up(one) == "c1"
        ending.result()


def test_a_phone_that_rings_is_hung_up_once_and_no_other_is_waited_for(patient: None) -> None:
    with dialing() as (one, peer, dial):
        send(peer, leg("c1"))
        one.settle()
        ending = Background(by_disconnect, one)
        assert hung_up(one) == "c1"
        send(peer, leg("c1", "ended"))
        ending.result(PATIENCE / 2)
        closed(dial)
        assert one.requests.empty()


def test_a_client_that_is_used_again_may_use_the_tag_again() -> None:
    with dialing() as (one, _, dial):
        one.client.disconnect(0.6, hangup_calls=True)
        closed(dial)
        one.client.connect(PATIENCE)
        again = Background(lambda: one.client.dial(to=TO, from_=FROM, tag="t"))
        peer = one.peer()
        one.request("calling.dial")
        send(peer, leg("c2"), moved("answered", call={"call_id": "c2", "node_id": "n", "tag": "t"}))
        assert again.result().call_id == "c2"


def test_drain_hangs_up_what_is_dialled_when_its_time_is_over() -> None:
    with dialing(groups=2) as (one, peer, dial):
        assert one.client.drain(0.05) is False
        with pytest.raises(DialFailed) as caught:
            dial.result()
        assert caught.value.reason == "timeout"
        send(peer, leg("c1"), leg("c1", "ended"), leg("c2"))
        assert [hung_up(one), hung_up(one)] == ["c1", "c2"]
        assert one.client.drain(0.05) is True


def test_drain_takes_back_a_dial_that_was_not_sent() -> None:
    with scene() as one:
        one.cut(one.peer())
        dial = Background(lambda: one.client.dial(to=TO, from_=FROM, tag="t"))
        one.wait_for_queued(dial)
        one.client.drain(0.05)
        with pytest.raises(DialFailed):
            dial.result()
        one.go_on()
        assert one.came("calling.dial") == []


# -- the session ---------------------------------------------------------------------------------------------------------


def expecting() -> Talk:
    talk = Talk().ready()
    talk.session.promises.expect(talk.now)
    effects = talk.do(talk.session.close, talk.now, 5.0)
    assert (phases(effects), only(Hangup, effects)) == ([Phase.CLOSED], [])
    return talk


def test_a_session_that_expects_legs_hears_of_nothing_else_and_leaves_in_time() -> None:
    talk = expecting()
    begun = talk.now
    offered = event("offer", "calling.call.receive", {"call_id": "c9"})
    assert talk.receive(offered) == []  # nor is it acknowledged: others may take it
    effects = talk.receive(leg("c1"))
    assert [each.payload["params"]["call_id"] for each in only(Deliver, effects)] == ["c1"]
    assert [each["id"] for each in sent(effects)] == ["c1 ringing"]
    talk.submit("end", promised=True)
    talk.receive({"id": "end", "result": {"code": "200"}})
    assert talk.session.parting  # another one may ring
    assert only(Hangup, talk.wake()) == [Hangup()]
    assert talk.now - begun == pytest.approx(ANSWER_PATIENCE)


def test_a_session_that_expects_nothing_any_more_leaves_at_once() -> None:
    talk = expecting()
    talk.session.promises.expect_nothing()
    begun = talk.now
    assert only(Hangup, talk.do(talk.session.tick, talk.now)) == [Hangup()]
    assert talk.now == begun


def test_legs_are_expected_on_the_next_connection_of_the_same_session_only() -> None:
    for protocol, stays in (("", True), ("another", False)):
        talk = expecting()
        talk.lose()
        talk.wake()
        connect = talk.connected()
        talk.accept(connect, **({"protocol": protocol} if protocol else {}))
        assert talk.session.parting is stays
        assert (talk.session.phase is Phase.CLOSED) is not stays


def test_a_late_answer_means_what_it_means_while_a_client_parts() -> None:
    talk = Talk().ready()
    talk.submit("dial")
    command = talk.session.commands()[0]
    late: list[Any] = []
    command.late = late.append
    talk.session.promises.expect(talk.now)
    talk.do(talk.session.close, talk.now, 5.0)
    assert isinstance(talk.settled["dial"], ClientClosed)
    talk.receive({"id": "dial", "result": {"code": "409"}})
    assert isinstance(talk.settled["dial"], ClientClosed)


# -- a call that comes before the session does ---------------------------------------------------------------------------


def test_a_call_that_came_before_the_answer_that_makes_the_session_is_not_left_alone(soon: None) -> None:
    let_in = threading.Event()
    heard: queue.SimpleQueue[Json] = queue.SimpleQueue()

    def serve(peer: Peer) -> None:
        if not let_in.is_set():
            peer.upgrade()
            peer.request("signalwire.connect")
            send(peer, event("offer", "calling.call.receive", OFFER))
            peer.receive()
            return  # the connection goes before the answer
        peer.welcome()
        while True:
            request = peer.receive()
            heard.put(request)
            if "method" in request:
                send(peer, result(request), *([leg("call-1", "ended")] if request["method"] == "calling.end" else []))

    with ScriptedServer(serve) as server:
        client = RelayClient(**server.credentials, contexts=["default"])
        taken: queue.SimpleQueue[Call] = queue.SimpleQueue()
        client.on_call(taken.put)
        running = Background(lambda: client.run(hangup_calls=True))
        call = taken.get(timeout=PATIENCE)
        loop = client._link.loop
        assert loop is not None
        while loop.session.phase is Phase.AUTHENTICATING:
            assert running.running
        client.stop()
        let_in.set()
        while (request := heard.get(timeout=PATIENCE)).get("method") != "calling.end":
            pass
        assert request["params"]["call_id"] == call.call_id
        running.result()


def test_ctrl_c_while_a_dial_is_begun_leaves_nothing_of_it() -> None:
    with scene(dial=lambda request: [refusal(request, "409")]) as one:
        dials, step, more = one.client._router.dials, 0, True
        while more:
            step, count = step + 1, 0

            def look(frame: FrameType, step: int = step) -> None:
                nonlocal count
                if frame.f_code.co_qualname == "Dials.enter":
                    count += 1
                    if count == step:
                        raise KeyboardInterrupt

            with pytest.raises((KeyboardInterrupt, CommandRefused)) as caught:
                by_instructions(lambda: one.client.dial(to=TO, from_=FROM, tag="t"), look)
            more = caught.type is KeyboardInterrupt
            assert len(dials._open) == 0
        assert step > 20
