"""What counts is the session in which a command was sent: what waited for a connection goes on in the next, or is not sent."""

from __future__ import annotations

import queue
from typing import Any

import pytest

from relay_sync import CallEnded, ClientClosed, CommandRefused, ConnectionLost, Message, RelayClient
from relay_sync.call.call import core_of
from relay_sync.events import RelayEvent
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.faults.script import PROTOCOL
from tests.support.lines import FROM, TO
from tests.support.scene import Json, Scene, event, result, scene, send

OTHER = "signalwire_ab_cd_other"


def send_message(client: RelayClient, **options: Any) -> Message:
    return client.send_message(to_number=TO, from_number=FROM, body="hello", **options)


def delivered(request: Json) -> list[Json]:
    name = f"m-{request['id']}"
    told = {"message_id": name, "message_state": "delivered"}
    return [result(request, message_id=name), event(name, "messaging.state", told)]


def answered(request: Json) -> list[Json]:
    tag = request["params"]["tag"]
    leg = {"call_id": f"leg-{tag}", "node_id": "n", "tag": tag, "direction": "outbound", "call_state": "answered"}
    won = {"tag": tag, "dial_state": "answered", "node_id": "n", "call": {**leg, "dial_winner": "true"}}
    return [
        result(request),
        event(f"state-{tag}", "calling.call.state", leg),
        event(f"dial-{tag}", "calling.call.dial", won),
    ]


def dial(one: Scene, tag: str, **options: Any) -> Background[Any]:
    return Background(lambda: one.client.dial(to=TO, from_=FROM, tag=tag, **options))


# -- before the first session ------------------------------------------------------------------------------------------


def test_the_first_message_of_a_client_is_followed(sim: Simulator) -> None:
    client = RelayClient(**sim.credentials, contexts=["office"])
    completed: queue.SimpleQueue[RelayEvent] = queue.SimpleQueue()
    try:
        message = send_message(client, context="office", on_completed=completed.put)
        assert message.wait(PATIENCE).params["message_state"] == "delivered"
        assert completed.get(timeout=PATIENCE) is message.result
    finally:
        client.disconnect()


def test_the_first_dial_of_a_client_goes_on(sim: Simulator) -> None:
    client = RelayClient(**sim.credentials)
    try:
        assert client.dial(to=TO, from_=FROM).state == "answered"
    finally:
        client.disconnect()


def test_the_first_command_of_a_client_may_name_a_call(sim: Simulator) -> None:
    client = RelayClient(**sim.credentials)
    try:
        with pytest.raises(CommandRefused) as refused:
            client.execute("calling.denoise", {"node_id": "n", "call_id": "of another client"})
        assert refused.value.code == 404
        assert len(sim.journal.requests("calling.denoise")) == 1
    finally:
        client.disconnect()


def test_messages_before_and_after_a_client_was_closed(sim: Simulator) -> None:
    with RelayClient(**sim.credentials, contexts=["office"]) as client:
        sim.drop_event("messaging.state", times=None)
        before = send_message(client, context="office")
        client.disconnect()
        with pytest.raises(ClientClosed):
            before.wait(PATIENCE)
        sim.faults.clear()
        client.connect(PATIENCE)
        assert send_message(client, context="office").wait(PATIENCE).params["message_state"] == "delivered"


# -- while there is no connection --------------------------------------------------------------------------------------


@pytest.mark.parametrize("session", [PROTOCOL, OTHER])
def test_dials_and_messages_that_waited_go_on_in_the_session_that_comes(session: str) -> None:
    with scene(dial=answered, send=delivered) as one:
        one.cut(one.peer())
        dials = [dial(one, f"tag-{number}") for number in range(3)]
        messages = [Background(lambda: send_message(one.client, context="office")) for _ in range(2)]
        one.wait_for_queued(*dials, *messages)
        one.go_on(session)
        calls = [each.result() for each in dials]
        assert [call.call_id for call in calls] == ["leg-tag-0", "leg-tag-1", "leg-tag-2"]
        assert one.client.calls == {call.call_id: call for call in calls}
        for message in messages:
            assert message.result().wait(PATIENCE).params["message_state"] == "delivered"
            assert message.result().error is None
        assert [call.hangup()["code"] for call in calls] == ["200"] * 3


@pytest.mark.parametrize("verb", ["denoise", "play", "record", "stop", "execute"])
def test_what_waited_for_a_call_of_the_session_before_is_not_sent(verb: str) -> None:
    with scene() as one:
        peer, call = one.take_call()
        playing = call.play_silence(60)
        address = {"node_id": "n", "call_id": call.call_id}
        verbs = {
            "denoise": call.denoise,
            "play": lambda: call.play_tts("hello"),
            "record": call.record,
            "stop": playing.stop,
            "execute": lambda: one.client.execute("calling.denoise", address),
        }
        one.came("calling.play")
        one.cut(peer)
        waiting = Background(verbs[verb])
        one.wait_for_queued(waiting)
        one.go_on(OTHER)
        with pytest.raises(ConnectionLost, match="a new session") as lost:
            waiting.result()
        assert not lost.value.sent
        methods = {"denoise": "denoise", "stop": "play.stop", "execute": "denoise"}
        assert one.came(f"calling.{methods.get(verb, verb)}") == []
        assert [running for running in core_of(call).operations.values() if not running.action.is_done] == []


def test_what_the_server_has_not_named_a_call_for_goes_on() -> None:
    with scene(x=lambda request: [result(request, said="yes")]) as one:
        one.cut(one.peer())
        waiting = Background(one.client.execute, "calling.x", {"a": 1})
        one.wait_for_queued(waiting)
        one.go_on(OTHER)
        assert waiting.result()["said"] == "yes"


def test_a_message_to_this_client_carries_the_name_of_the_session_that_it_is_sent_in() -> None:
    """The server is leaving, and takes nothing more: the message waits for the session after this one."""
    with scene(send=delivered, x=lambda request: []) as one:
        peer = one.peer()
        holding = Background(one.client.execute, "calling.x")
        one.request("calling.x")
        one.let_in.clear()
        leaving = {"jsonrpc": "2.0", "id": "bye", "method": "signalwire.disconnect", "params": {"restart": True}}
        send(peer, leaving)
        loop = one.client._link.loop
        assert loop is not None
        while not loop.session._leaving:
            assert holding.running
        waiting = Background(send_message, one.client)
        one.wait_for_queued(holding, waiting)
        peer._sock.shutdown(2)
        one.wait_for_state("reconnecting")
        one.go_on(OTHER)
        assert waiting.result().wait(PATIENCE).params["message_state"] == "delivered"
        assert [request["params"]["context"] for request in one.came("messaging.send")] == [OTHER]
        with pytest.raises(ConnectionLost):
            holding.result()


# -- begun in the session before ---------------------------------------------------------------------------------------


def test_what_was_sent_in_the_session_before_ends_with_it() -> None:
    with scene(send=lambda request: [result(request, message_id="m")]) as one:
        peer = one.peer()
        sent = send_message(one.client, context="office")
        dialed = dial(one, "old")
        one.request("calling.dial")
        one.settle()
        one.cut(peer)
        queued = dial(one, "new")
        one.wait_for_queued(queued)
        one.answers["dial"] = answered
        one.go_on(OTHER)
        with pytest.raises(ConnectionLost):
            sent.wait(PATIENCE)
        with pytest.raises(ConnectionLost):
            dialed.result()
        assert queued.result().call_id == "leg-new"
        assert one.client._router.dials.awaited is False


def test_a_dial_that_was_heard_of_before_its_reply_was_lost_ends_with_its_session() -> None:
    def rings(request: Json) -> list[Json]:
        return [event("rings", "calling.call.dial", {"tag": "t", "dial_state": "dialing", "node_id": "n"})]

    with scene(dial=rings) as one:
        peer = one.peer()
        with one.client.timeout(0.05):
            waiting = dial(one, "t", dial_timeout=PATIENCE)
        one.request("calling.dial")
        one.settle()
        one.cut(peer)
        one.go_on(OTHER)
        with pytest.raises(ConnectionLost):
            waiting.result()


def test_a_dial_given_up_while_it_waited_is_not_sent() -> None:
    with scene(dial=answered) as one:
        one.cut(one.peer())
        with pytest.raises(Exception, match="no connection"):
            one.client.dial(to=TO, from_=FROM, tag="t", dial_timeout=0.4)
        one.go_on(OTHER)
        assert one.came("calling.dial") == []


@pytest.mark.parametrize("last", ["closed", "replaced"])
def test_waits_of_a_call_end_with_its_session(last: str) -> None:
    with scene() as one:
        peer, call = one.take_call()
        waiting = Background(call.wait_for_ended)
        while not core_of(call).readers:
            assert waiting.running
        if last == "closed":
            one.client.disconnect()
        else:
            one.cut(peer)
            one.go_on(OTHER)
        with pytest.raises((ClientClosed, ConnectionLost)) as over:
            waiting.result()
        assert not isinstance(over.value, CallEnded)
        assert one.client.calls == {}
