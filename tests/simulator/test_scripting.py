"""What tests in other languages need: credentials, sessions, frames, scripts, given call IDs; here from Python."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from relay_sync import AuthenticationError, Call, CommandRefused, DialFailed, InvalidParameter, RelayClient
from relay_sync.rest import RestClient
from relay_sync.simulator import Phone, ScriptedEvent, ScriptedLeg, Session, Simulator
from tests.support import PATIENCE
from tests.support.lines import FROM, TO, Desk, drop
from tests.support.peers import Peer

PLAYED = [ScriptedEvent({"state": "playing"}, at=0.001), ScriptedEvent({"state": "finished"}, at=0.005)]
DEVICE = {"type": "phone", "params": {"to_number": TO, "from_number": FROM}}


@contextmanager
def desk(sim: Simulator, **options: Any) -> Iterator[Desk]:
    """A connected client whose calls the test takes."""
    client = RelayClient(**{**sim.credentials, "contexts": ["default"], **options})
    one = Desk(client)
    try:
        client.connect()
        yield one
    finally:
        one.closing.set()
        client.disconnect()


def session_of(sim: Simulator, client: RelayClient) -> Session:
    """The session of a client, among those of all clients."""
    reply = next(
        entry.frame["result"]
        for entry in sim.journal
        if entry.direction == "out" and entry.frame.get("result", {}).get("protocol") == client.relay_protocol
    )
    return next(each for each in sim.sessions if each.session_id == reply["sessionid"])


def taken(sim: Simulator, one: Desk, **options: Any) -> tuple[Phone, Call]:
    phone = sim.call(to=TO, from_=FROM, **options)
    return phone, one.take()


# -- credentials -------------------------------------------------------------------------------------------------------


def test_projects_are_added_and_removed(sim: Simulator) -> None:
    sim.add_project("second", token="its-token", jwt_token="its-jwt")
    assert sim.projects == [sim.settings.project, "second"]
    for given in ({"project": "second", "token": "its-token"}, {"jwt_token": "its-jwt"}):
        with RelayClient(**given, host=sim.url) as client:  # type: ignore[arg-type]
            assert client.execute("signalwire.ping") == {}
        assert sim.journal.requests("signalwire.connect")
    with pytest.raises(AuthenticationError):
        RelayClient(project="second", token=sim.settings.token, host=sim.url).connect(PATIENCE)
    sim.remove_project("second", token="its-token")
    with pytest.raises(AuthenticationError):
        RelayClient(project="second", token="its-token", host=sim.url).connect(PATIENCE)
    sim.remove_project("second")
    assert sim.projects == [sim.settings.project]
    with pytest.raises(InvalidParameter, match="a project that has these credentials"):
        sim.remove_project("second")
    with pytest.raises(InvalidParameter, match="a token or a JWT"):
        sim.add_project("third")


def test_any_credentials_are_accepted_only_if_told(sim: Simulator) -> None:
    with pytest.raises(AuthenticationError):
        RelayClient(project="any", token="thing", host=sim.url).connect(PATIENCE)
    sim.accept_any_credentials()
    assert sim.accepts_any_credentials
    with RelayClient(project="any", token="thing", host=sim.url), RelayClient(jwt_token="x.y.z", host=sim.url):
        assert sorted(each.project for each in sim.sessions) == sorted(["any", sim.settings.project])
    sim.accept_any_credentials(False)
    with pytest.raises(AuthenticationError):
        RelayClient(project="any", token="thing", host=sim.url).connect(PATIENCE)
    with Simulator(accept_any_credentials=True) as other, Peer(other) as peer:
        for wrong in ({"project": "", "token": "x"}, {"project": "p", "token": ""}, {"project": 7, "token": "x"}, {}):
            assert peer.connect(authentication=wrong)["error"]["code"] in (-32002, -32602)


def test_clients_of_other_projects_neither_get_nor_control_a_call(sim: Simulator) -> None:
    sim.add_project("second", token="its-token")
    with desk(sim) as first, desk(sim, project="second", token="its-token") as second:
        phone, call = taken(sim, second, project="second")
        assert sim.call(to=TO, from_=FROM, project="second").call_id == second.take().call_id
        with pytest.raises(CommandRefused, match="not found"):
            first.client.execute("calling.answer", {"node_id": phone.node_id, "call_id": phone.call_id})
        call.answer()
        phone.wait_until("answered", PATIENCE)


def test_rest_commands_take_the_tokens_of_all_projects(sim: Simulator) -> None:
    sim.add_project("second", token="its-token")
    with RestClient(project="second", token="its-token", host=sim.url) as rest:
        assert rest.dial(to=TO, from_=FROM, url="https://x.test/swml").call_id
        for name, wrong in (("to", "not a number"), ("from", "call me")):
            given = {"to": TO, "from": FROM, name: wrong, "url": "https://x.test/swml"}
            with pytest.raises(CommandRefused, match=f"{name} is not a telephone number"):
                rest.command("dial", given)


# -- sessions and frames -----------------------------------------------------------------------------------------------


def test_sessions_are_listed_and_name_the_journal(sim: Simulator) -> None:
    with desk(sim, contexts=["b", "a"]) as one, desk(sim) as other:
        session = session_of(sim, one.client)
        assert (session.project, session.contexts) == (sim.settings.project, ("a", "b"))
        assert session.session_id != session_of(sim, other.client).session_id
        drop(sim, one.client)
        again = session_of(sim, one.client)
        assert again.session_id == session.session_id
        assert again.connection != session.connection
        mine = [entry for entry in sim.journal if entry.session == session.session_id]
        assert {entry.connection for entry in mine} == {session.connection, again.connection}
        # The request that starts the session names it as well.
        assert next(entry.method for entry in mine if entry.direction == "in") == "signalwire.connect"
    sim.wait_until_gone(PATIENCE)
    assert sim.sessions == []


def test_an_event_that_no_connection_takes_names_its_session(sim: Simulator) -> None:
    with desk(sim) as one:
        session = session_of(sim, one.client).session_id
    sim.wait_until_gone(PATIENCE)
    sim.send_event("calling.user_event", {"name": "mine"}, session=session)
    lost = [entry for entry in sim.journal if entry.direction == "lost"][-1]
    assert (lost.session, lost.connection, lost.event_type) == (session, 0, "calling.user_event")


def test_frames_and_events_for_one_session(sim: Simulator) -> None:
    with desk(sim) as one, desk(sim) as other:
        session = session_of(sim, one.client).session_id
        sim.wait_for_acks(PATIENCE)
        mark = len(sim.journal)
        body = {"event_type": "calling.user_event", "params": {"name": "mine"}}
        frame = {"jsonrpc": "2.0", "id": "f-1", "method": "signalwire.event", "params": body}
        assert sim.send_frame(frame, session=session) == 1
        sim.wait_for_acks(PATIENCE)
        sent = [entry for entry in list(sim.journal)[mark:] if entry.event_type]
        assert [(entry.session, entry.frame) for entry in sent] == [(session, frame)]
        assert [entry.frame["id"] for entry in list(sim.journal)[mark:] if entry.direction == "in"] == ["f-1"]
        sim.send_event("calling.user_event", {"name": "mine"}, session=session)
        assert [entry.session for entry in sim.journal if entry.event_type == "calling.user_event"] == [session] * 2
        assert sim.send_frame(["not", "a", "request"]) == 2
        assert other.client.execute("signalwire.ping") == {}
    with pytest.raises(InvalidParameter, match="the ID of a session"):
        sim.send_frame({}, session="nobody")
    with pytest.raises(InvalidParameter, match="JSON"):
        sim.send_frame({"n": float("nan")})


# -- calls -------------------------------------------------------------------------------------------------------------


def test_a_call_has_the_given_id_once(sim: Simulator) -> None:
    with desk(sim) as one:
        phone, call = taken(sim, one, call_id="mine")
        assert (phone.call_id, call.call_id) == ("mine", "mine")
        with pytest.raises(InvalidParameter, match="an ID that no call in progress has"):
            sim.call(to=TO, from_=FROM, call_id="mine")
        phone.hang_up()
        assert taken(sim, one, call_id="mine")[0].state == "ringing"


def test_a_call_is_offered_to_one_session_only(sim: Simulator) -> None:
    with desk(sim) as _, desk(sim, contexts=["elsewhere"]) as chosen:
        session = session_of(sim, chosen.client).session_id
        for _ in range(3):
            phone, call = taken(sim, chosen, session=session)
            assert phone.call_id == call.call_id
        chosen.client.execute("calling.pass", {"node_id": call.node_id, "call_id": call.call_id})
        assert "has passed the call" in phone.waits_because
        with pytest.raises(InvalidParameter, match="the ID of a session"):
            sim.call(to=TO, from_=FROM, session="nobody")


def test_a_call_for_a_session_waits_for_its_client(sim: Simulator) -> None:
    with desk(sim) as one, desk(sim):
        session = session_of(sim, one.client).session_id
        sim.refuse_connections()
        sim.cut()
        phone = sim.call(to=TO, from_=FROM, session=session)
        assert "not connected" in phone.waits_because
        sim.refuse_connections(False)
        assert one.take().call_id == phone.call_id


def test_a_call_that_does_not_ring_stays_created(sim: Simulator) -> None:
    with desk(sim) as one:
        phone, call = taken(sim, one, rings=False)
        assert phone.state == call.state == "created"
        call.answer()
        phone.wait_until("answered", PATIENCE)


def test_an_added_call_is_controlled_without_an_event(sim: Simulator) -> None:
    with desk(sim) as one:
        session = session_of(sim, one.client).session_id
        phone = sim.add_call(session=session, to=TO, from_=FROM, call_id="added", node_id="a-node", tag="a-tag")
        about = {"node_id": "a-node", "call_id": "added"}
        assert one.client.execute("calling.hold", about)["code"] == "200"
        assert phone.on_hold
        assert [entry for entry in sim.journal if entry.event_type == "calling.call.receive"] == []
        phone.force_state("ended", announce=False)
        assert phone.state == "ended"
        assert sim.journal.events("calling.call.state") == []
        with pytest.raises(CommandRefused, match="not found"):
            one.client.execute("calling.unhold", about)
        with pytest.raises(InvalidParameter, match="state"):
            sim.add_call(session=session, to=TO, from_=FROM, state="ended")
        with pytest.raises(InvalidParameter, match="telephone number"):
            sim.add_call(session=session, to="no number", from_=FROM)


def test_states_are_forced_with_and_without_events(sim: Simulator) -> None:
    with desk(sim) as one:
        phone, call = taken(sim, one)
        phone.force_state("answered")
        call.wait_for_answered(PATIENCE)
        call.play_silence(600)
        phone.wait_until_doing("calling.play", PATIENCE)
        phone.force_state("ending", announce=False)
        assert (phone.state, call.state) == ("ending", "answered")
        phone.force_state("ended", announce=False)
        assert phone.activities == []
        phone.force_state("ringing")  # it is over
        assert phone.state == "ended"
        assert [each["call_state"] for each in sim.journal.events("calling.call.state")] == ["ringing", "answered"]
        second, other = taken(sim, one)
        second.force_state("ended")
        other.wait_for_ended(PATIENCE)


# -- scripts -----------------------------------------------------------------------------------------------------------


def test_events_follow_a_method_as_scripted(sim: Simulator) -> None:
    with desk(sim) as one:
        phone, call = taken(sim, one)
        call.answer()
        sim.script("calling.play", PLAYED)
        action = call.play_silence(600)
        assert action.wait(PATIENCE).state == "finished"
        assert [each["state"] for each in sim.journal.events("calling.call.play")] == ["playing", "finished"]
        assert sim.journal.events("calling.call.play")[0]["control_id"] == action.control_id
        assert phone.activities == []
        call.play_silence(600)  # the script was for one request
        phone.wait_until_doing("calling.play", PATIENCE)


def test_scripts_for_a_session_come_before_scripts_for_all(sim: Simulator) -> None:
    with desk(sim) as one, desk(sim) as other:
        mine = session_of(sim, one.client).session_id
        sim.script("calling.user_event", reply={"code": "200", "message": "for all"}, times=None)
        sim.script("calling.user_event", reply={"code": "200", "message": "once"})
        sim.script("calling.user_event", reply={"code": "200", "message": "mine"}, session=mine)
        about = []
        for desk_ in (one, other):
            session = session_of(sim, desk_.client).session_id
            phone = sim.add_call(session=session, to=TO, from_=FROM)
            about.append({"node_id": phone.node_id, "call_id": phone.call_id, "event": {}})

        def told(desk_: Desk, params: Any) -> str:
            return str(desk_.client.execute("calling.user_event", params)["message"])

        assert [told(one, about[0]), told(other, about[1]), told(one, about[0])] == ["mine", "once", "for all"]
        sim.clear_scripts()
        assert told(other, about[1]) == "Sending user event"


def test_scripts_of_a_session_are_cleared(sim: Simulator) -> None:
    with desk(sim) as one:
        mine = session_of(sim, one.client).session_id
        phone = sim.add_call(session=mine, to=TO, from_=FROM)
        about = {"node_id": phone.node_id, "call_id": phone.call_id}
        sim.script("calling.hold", reply={"code": "200", "message": "mine"}, session=mine)
        sim.script("calling.hold", reply={"code": "200", "message": "for all"})
        sim.clear_scripts(mine)
        assert one.client.execute("calling.hold", about)["message"] == "for all"


def test_a_scripted_state_is_the_state_of_the_call(sim: Simulator) -> None:
    with desk(sim) as one:
        phone, call = taken(sim, one)
        sim.script("calling.answer", [ScriptedEvent({"call_state": "answered"})])
        call.answer()
        call.wait_for_answered(PATIENCE)
        assert phone.state == "answered"
        sim.script("calling.end", [ScriptedEvent({"call_state": "ended"})])
        call.hangup()
        call.wait_for_ended(PATIENCE)
        assert phone.state == "ended"


def test_a_scripted_dial_has_a_winner_and_losers(sim: Simulator) -> None:
    with desk(sim) as one:
        sim.script_dial(ScriptedLeg("winner"), losers=[ScriptedLeg("loser", ("created", "ended"))], node_id="a-node")
        call = one.client.dial(to=TO, from_=FROM, tag="a-tag")
        assert (call.call_id, call.node_id, call.state, call.tag) == ("winner", "a-node", "answered", "a-tag")
        sim.journal.wait_for(lambda entry: entry.params.get("dial_state") == "answered", PATIENCE)
        states = [(each["call_id"], each["call_state"]) for each in sim.journal.events("calling.call.state")]
        assert [state for leg, state in states if leg == "winner"] == ["created", "ringing", "answered"]
        assert [state for leg, state in states if leg == "loser"] == ["created", "ended"]
        dial = sim.journal.events("calling.call.dial")
        assert [each["dial_state"] for each in dial] == ["dialing", "answered"]
        assert (dial[-1]["call"]["call_id"], dial[-1]["call"]["dial_winner"]) == ("winner", "true")
        call.hangup()
        call.wait_for_ended(PATIENCE)


def test_a_scripted_dial_fails(sim: Simulator) -> None:
    with desk(sim) as one:
        sim.script_dial(None, losers=[ScriptedLeg("loser", ("created", "ended"))], reason="busy")
        with pytest.raises(DialFailed, match="busy"):
            one.client.dial(to=TO, from_=FROM)
        one.client.dial(to=TO, from_=FROM)


def test_a_dial_is_refused_if_its_call_id_is_taken(sim: Simulator) -> None:
    with desk(sim) as one:
        taken(sim, one, call_id="winner")
        sim.script_dial(ScriptedLeg("winner"))
        with pytest.raises(CommandRefused, match="belongs to another call"):
            one.client.dial(to=TO, from_=FROM)


@pytest.mark.parametrize("how", ["scripted", "acknowledged"])
def test_what_cannot_be_a_number_is_refused_all_the_same(sim: Simulator, how: str) -> None:
    if how == "scripted":
        sim.script_dial(ScriptedLeg("winner"))
        sim.script("messaging.send")
        sim.script("calling.connect")
    else:
        sim.acknowledge_only()
    wrong = {"type": "phone", "params": {"to_number": "call me", "from_number": FROM}}
    with Peer(sim) as peer:
        peer.connect()
        told = peer.result("calling.dial", tag="t", devices=[[wrong]])
        assert (told["code"], "not a telephone number" in told["message"]) == ("400", True)
        assert peer.result("calling.dial", tag="t", devices=[[]])["code"] == "400"
        told = peer.result(
            "calling.dial", tag="t", devices=[[{**wrong, "params": {"to_number": TO, "from_number": ""}}]]
        )
        assert (told["code"], "from_number is not a telephone number" in told["message"]) == ("400", True)
        phone = sim.add_call(session=sim.sessions[0].session_id, to=TO, from_=FROM)
        about = {"call_id": phone.call_id, "node_id": phone.node_id}
        assert peer.result("calling.connect", **about, devices=[[wrong]])["code"] == "400"
        assert peer.result("calling.connect", **about, devices=[[DEVICE]])["code"] == "200"
        told = peer.result("messaging.send", to_number="call me", from_number=FROM, body="x")
        assert (told["code"], told["message"]) == ("400", "to_number is not a phone number")
        assert peer.result("calling.dial", tag="t", devices=[[DEVICE]])["code"] == "200"
        assert peer.result("messaging.send", to_number=TO, from_number=FROM, body="x")["message_id"]


def test_methods_are_only_acknowledged(sim: Simulator) -> None:
    with desk(sim) as one:
        phone, call = taken(sim, one)
        sim.acknowledge_only()
        assert sim.acknowledges_only
        call.answer()
        about = {"node_id": phone.node_id, "call_id": phone.call_id}
        assert one.client.execute("calling.play", {**about, "control_id": "c", "play": [{}]})["code"] == "200"
        assert (phone.state, phone.activities) == ("ringing", [])
        one.client.receive(["other"])  # contexts work as usual
        assert "other" in session_of(sim, one.client).contexts
        with pytest.raises(CommandRefused, match="not found"):
            one.client.execute("calling.answer", {**about, "call_id": "nobody"})
        assert one.client.send_message(to_number=TO, from_number=FROM, body="x").message_id
        sim.script("calling.play", PLAYED)
        assert call.play_silence(600).wait(PATIENCE).state == "finished"
        sim.acknowledge_only(False)
        call.answer()
        phone.wait_until("answered", PATIENCE)
    with Simulator(acknowledge_only=True) as other:
        assert other.acknowledges_only


def test_a_refusal_does_not_use_a_script(sim: Simulator) -> None:
    with desk(sim) as one:
        phone = sim.add_call(session=session_of(sim, one.client).session_id, to=TO, from_=FROM)
        about = {"node_id": phone.node_id, "call_id": phone.call_id}
        sim.script("calling.hold", reply={"code": "200", "message": "scripted"})
        sim.refuse("calling.hold", 403, "no")
        with pytest.raises(CommandRefused, match="no"):
            one.client.execute("calling.hold", about)
        assert one.client.execute("calling.hold", about)["message"] == "scripted"


def test_scripts_that_make_no_sense_are_refused(sim: Simulator) -> None:
    for wrong, words in (
        (lambda: sim.script("calling.plya"), "perhaps 'calling.play'"),
        (lambda: sim.script("calling.play", PLAYED, session="nobody"), "the ID of a session"),
        (lambda: sim.script("signalwire.ping", PLAYED), "an event_type"),
        (lambda: sim.script("calling.play", cast(Any, [{"state": "playing"}])), "a list of ScriptedEvent"),
        (lambda: sim.script_dial(ScriptedLeg("one"), times=None), "1 for a script with given call IDs"),
        (lambda: sim.script_dial(ScriptedLeg("one"), losers=[ScriptedLeg("one")]), "a different call ID"),
        (lambda: sim.script_dial(ScriptedLeg(states=("answerd",))), "states"),
        (lambda: sim.script_dial(ScriptedLeg(), device={"type": "phone"}), "type and params"),
        (lambda: ScriptedEvent({}, at=-1), "at"),
    ):
        with pytest.raises(InvalidParameter, match=words):
            wrong()
