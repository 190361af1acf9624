"""Connecting to the simulator: credentials, versions, resume, contexts, pings."""

from __future__ import annotations

import re

import pytest

from relay_sync.errors import InvalidParameter, WaitTimeout
from relay_sync.simulator import Simulator
from tests.support.peers import Peer, connected
from tests.support.tls import CERTIFICATE, tls_context


def test_connect_gives_a_session_and_then_its_authorization_state() -> None:
    with Simulator(project="P-1", token="T-1") as sim, Peer(sim) as peer:
        result = peer.connect()["result"]
        assert re.fullmatch(r"signalwire_[0-9a-f]{16}_[0-9a-f-]{36}_P-1", result["protocol"])
        assert re.fullmatch(r"[0-9a-f-]{36}@[0-9a-f-]{36}\.\w+", result["identity"])
        assert "code" not in result
        state = peer.event("signalwire.authorization.state")["authorization_state"]
        assert re.fullmatch(r"[A-Za-z0-9+/=]+:\S+", state)
        sim.wait_for_client()
        with pytest.raises(WaitTimeout, match="2 connected"):
            sim.wait_for_client(2, timeout=0.01)


def test_events_come_in_the_documented_envelope() -> None:
    with Simulator() as sim, Peer(sim) as peer:
        protocol = peer.connect()["result"]["protocol"]
        frame = peer.read() if not peer.requests else peer.requests[0]
        assert frame["jsonrpc"] == "2.0"
        assert re.fullmatch(r"[0-9a-f-]{36}", frame["id"])
        assert set(frame["params"]) == {
            "event_type",
            "event_channel",
            "timestamp",
            "project_id",
            "space_id",
            "params",
        }
        assert frame["params"]["event_channel"] == protocol
        assert frame["params"]["project_id"] == sim.settings.project
        assert isinstance(frame["params"]["timestamp"], float)


@pytest.mark.parametrize(
    "authentication",
    [
        {"project": "P", "token": "wrong"},
        {"project": "other", "token": "T"},
        {"token": "T"},
        {"project": "P", "token": 7},
        {"jwt_token": "T"},
        {"jwt_token": "right", "project": "other"},
        {},
    ],
)
@pytest.mark.parametrize("form", ["error", "result"])
def test_wrong_credentials_are_refused_in_both_documented_forms(authentication: dict[str, object], form: str) -> None:
    with Simulator(project="P", token="T", jwt_token="right", refuse_with=form) as sim, Peer(sim) as peer:
        reply = peer.connect(authentication=authentication)
        if form == "error":
            assert reply["error"]["code"] == -32002
            assert "401" in reply["error"]["message"]
            assert reply["error"]["data"] == {"signalwire_error_code": "AUTH_REQUIRED"}
        else:
            assert reply["result"] == {"code": "401", "message": "Unauthorized"}
        assert sim.clients == 0
        assert peer.ask("calling.dial")["error"]["code"] == -32003


def test_a_jwt_is_let_in_and_can_be_renewed() -> None:
    with Simulator(jwt_token="a.b.c") as sim, Peer(sim) as peer:
        assert "protocol" in peer.connect(authentication={"jwt_token": "a.b.c"})["result"]
        assert "authorization" in peer.result("signalwire.reauthenticate", authentication={"jwt_token": "a.b.c"})
        assert peer.ask("signalwire.reauthenticate", authentication={"jwt_token": "old"})["error"]["code"] == -32002


@pytest.mark.parametrize(
    ("version", "code"),
    [
        ({"major": 4, "minor": 0, "revision": 0}, None),
        ({"major": 3, "minor": 0, "revision": 9}, None),
        ({"major": 5, "minor": 0, "revision": 0}, -32001),
        ({"major": 2, "minor": 1, "revision": 0}, -32001),
        ({"major": 2, "minor": 0}, -32001),
        ({"major": "2", "minor": 0, "revision": 0}, -32001),
        ("2.0.0", -32602),
    ],
)
def test_versions(version: object, code: int | None) -> None:
    with Simulator() as sim, Peer(sim) as peer:
        assert peer.connect(version=version).get("error", {}).get("code") == code


def test_the_first_frame_must_be_connect_and_only_the_first() -> None:
    with Simulator() as sim, Peer(sim) as peer:
        assert peer.ask("signalwire.ping")["error"]["code"] == -32003
        peer.connect()
        assert peer.connect()["error"]["code"] == -32600
        assert peer.result("signalwire.ping", timestamp=1.5, payload="x") == {"timestamp": 1.5, "payload": "x"}


def test_resume_goes_on_with_the_same_session_and_its_calls() -> None:
    with Simulator() as sim:
        with connected(sim, contexts=["default", "office"]) as peer:
            state = peer.event("signalwire.authorization.state")["authorization_state"]
            protocol = sim.journal.requests("signalwire.connect")[0]
            protocol = sim.journal.reply_to(protocol)["result"]["protocol"]  # type: ignore[index]
            phone = peer.answered()
        sim.wait_until_gone()
        with Peer(sim) as again:
            given = {"project": sim.settings.project, "token": sim.settings.token}
            result = again.result(
                "signalwire.connect",
                version={"major": 2, "minor": 0, "revision": 0},
                authentication=given,
                protocol=protocol,
                authorization_state=state,
            )
            assert result["protocol"] == protocol
            assert result["session_restored"] is True
            phone.hang_up()
            assert again.event("calling.call.state", "ended")["call_id"] == phone.call_id
            assert not [event for event in again.events if event["event_type"] == "signalwire.authorization.state"]
            other = sim.call(to="+1", from_="+2", context="office")  # contexts are kept
            assert again.event("calling.call.receive")["call_id"] == other.call_id


@pytest.mark.parametrize("how", ["refuse", "fresh"])
def test_an_unknown_session_is_refused_or_replaced(how: str) -> None:
    with Simulator(on_bad_resume=how) as sim:
        with connected(sim) as peer:
            state = peer.event("signalwire.authorization.state")["authorization_state"]
            request = sim.journal.requests("signalwire.connect")[0]
            protocol = sim.journal.reply_to(request)["result"]["protocol"]  # type: ignore[index]
        for bad in (
            {"protocol": "signalwire_x_y_z", "authorization_state": state},
            {"protocol": protocol, "authorization_state": "bm8=:no"},
        ):
            with Peer(sim) as again:
                reply = again.connect(**bad)
                if how == "refuse":
                    assert reply["error"]["code"] == -32002
                else:
                    assert reply["result"]["protocol"] not in (protocol, "signalwire_x_y_z")
                    assert reply["result"]["session_restored"] is False
                    assert again.event("signalwire.authorization.state")


def test_a_state_without_a_protocol_is_refused() -> None:
    with Simulator(on_bad_resume="fresh") as sim, Peer(sim) as peer:
        assert peer.connect(authorization_state="YQ==:b")["error"]["code"] == -32602


def test_forgotten_and_renewed_sessions() -> None:
    with Simulator() as sim, connected(sim) as peer:
        old = peer.event("signalwire.authorization.state")["authorization_state"]
        sim.renew_authorization()
        new = peer.event("signalwire.authorization.state")["authorization_state"]
        assert new != old
        request = sim.journal.requests("signalwire.connect")[0]
        protocol = sim.journal.reply_to(request)["result"]["protocol"]  # type: ignore[index]
        sim.forget_sessions()
        sim.call(to="+1", from_="+2")  # the socket that is open is still offered calls
        peer.event("calling.call.receive")
        with Peer(sim) as again:
            assert again.connect(protocol=protocol, authorization_state=new)["error"]["code"] == -32002


def test_a_resume_takes_the_session_from_an_older_socket() -> None:
    with Simulator() as sim, connected(sim) as peer, Peer(sim) as newer:
        request = sim.journal.requests("signalwire.connect")[0]
        protocol = sim.journal.reply_to(request)["result"]["protocol"]  # type: ignore[index]
        assert newer.connect(protocol=protocol)["result"]["protocol"] == protocol
        sim.call(to="+1", from_="+2")
        newer.event("calling.call.receive")
        peer.read_to_the_end()


def test_contexts_at_run_time() -> None:
    with Simulator() as sim, connected(sim, contexts=[]) as peer:
        assert peer.result("signalwire.receive", contexts=["a", "b"]) == {"code": "200", "message": "Receiving events"}
        assert peer.result("signalwire.unreceive", contexts=["b"])["code"] == "200"
        assert peer.result("signalwire.receive", contexts=[])["code"] == "400"
        assert peer.ask("signalwire.unreceive")["error"]["code"] == -32602
        waiting = sim.call(to="+1", from_="+2", context="b")
        coming = sim.call(to="+1", from_="+2", context="a")
        assert peer.event("calling.call.receive")["call_id"] == coming.call_id
        peer.result("signalwire.receive", context="b")
        assert peer.event("calling.call.receive")["call_id"] == waiting.call_id


def test_protocol_4_has_no_contexts_at_run_time() -> None:
    with Simulator() as sim, connected(sim, major=4) as peer:
        assert peer.ask("signalwire.receive", contexts=["a"])["error"]["code"] == -32001
        assert peer.ask("signalwire.unreceive", contexts=["a"])["error"]["code"] == -32001


def test_the_server_pings_and_drops_who_does_not_answer() -> None:
    with Simulator(ping_interval=0.01, ping_timeout=0.4) as sim, connected(sim) as peer:
        while len([each for each in peer.requests if each["method"] == "signalwire.ping"]) < 3:
            peer.read()
        peer.acks = False
        peer.read_to_the_end()
        sim.wait_until_gone()


def test_ping_on_demand_is_answered_or_times_out() -> None:
    with Simulator(ping_interval=None) as sim, connected(sim):
        with pytest.raises(WaitTimeout, match="pings"):
            sim.ping(timeout=0.01)


@pytest.mark.parametrize("restart", [True, False])
def test_a_server_that_leaves_announces_it_and_closes_after_the_answer(restart: bool) -> None:
    with Simulator() as sim, connected(sim) as peer:
        request = sim.journal.requests("signalwire.connect")[0]
        protocol = sim.journal.reply_to(request)["result"]["protocol"]  # type: ignore[index]
        sim.restart(restart, patience=30)
        peer.read_to_the_end()
        told = peer.requests[-1]
        assert (told["method"], told["params"]) == ("signalwire.disconnect", {"restart": restart})
        with Peer(sim) as again:
            reply = again.connect(protocol=protocol)
            assert ("error" in reply) is restart


def test_a_client_that_does_not_answer_the_goodbye_is_closed_all_the_same() -> None:
    with Simulator() as sim, connected(sim) as peer:
        peer.acks = False
        sim.restart(patience=0.01)
        peer.read_to_the_end()


def test_tls() -> None:
    with Simulator(ssl_context=tls_context()) as sim:
        assert sim.credentials["host"].startswith("wss://127.0.0.1:")
        with Peer(sim, trusted=CERTIFICATE) as peer:
            assert "protocol" in peer.connect()["result"]


def test_credentials_are_what_a_client_needs_and_the_repr_keeps_them() -> None:
    sim = Simulator(token="very-secret", jwt_token="also.very.secret")
    assert "secret" not in repr(sim)
    assert "secret" not in repr(sim.settings)
    with sim:
        assert sim.credentials == {"project": sim.settings.project, "token": "very-secret", "host": sim.url}
        assert "secret" not in repr(sim)
    sim.close()
    with pytest.raises(RuntimeError, match="closed"):
        sim.start()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("media", "slow"),
        ("ptime", 0.0205),
        ("ptime", 3.0),
        ("speed", 0.0),
        ("refuse_with", "silence"),
        ("on_bad_resume", ""),
        ("ping_interval", 0.0),
        ("dial_timeout", -1.0),
    ],
)
def test_parameters_that_cannot_be_right(name: str, value: object) -> None:
    with pytest.raises(InvalidParameter, match=name):
        Simulator(**{name: value})  # type: ignore[arg-type]
