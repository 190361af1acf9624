"""The session, told by hand-written frames and by numbers for a clock: what it sends, when, and what becomes of commands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from relay_sync.constants import AGENT
from relay_sync.deadline import Deadline
from relay_sync.errors import (
    AuthenticationError,
    ClientClosed,
    ConnectError,
    ConnectionLost,
    QueueFull,
    RelayError,
    RequestTimeout,
)
from relay_sync.protocol.effects import (
    Command,
    Deliver,
    Dial,
    Effect,
    Hangup,
    Phase,
    PhaseChanged,
    Send,
    SessionOver,
    Trouble,
)
from relay_sync.protocol.frames import Failure
from relay_sync.protocol.liveness import MOST_UNANSWERED
from relay_sync.protocol.results import read_code
from relay_sync.protocol.session import CROWD, REMEMBERED_EVENTS, REMEMBERED_LATE, SessionOptions
from tests.support.talk import (
    JWT,
    PROJECT,
    PROTOCOL,
    STATE,
    TOKEN,
    Talk,
    authorization_state,
    event,
    leaving,
    only,
    phases,
    sent,
)


@pytest.fixture
def talk() -> Talk:
    return Talk()


# -- connecting ------------------------------------------------------------------------------------------------------


def test_opening_dials_once(talk: Talk) -> None:
    assert [type(effect) for effect in talk.open()] == [PhaseChanged, Dial]
    assert talk.open() == []
    assert talk.session.phase is Phase.DIALING


def test_the_first_frame_asks_for_a_session_with_project_and_token(talk: Talk) -> None:
    talk.open()
    assert talk.connected() == {
        "jsonrpc": "2.0",
        "id": "id-1",
        "method": "signalwire.connect",
        "params": {
            "version": {"major": 2, "minor": 0, "revision": 0},
            "agent": AGENT,
            "event_acks": True,
            "authentication": {"project": PROJECT, "token": TOKEN},
        },
    }


def test_a_jwt_stands_alone() -> None:
    talk = Talk(authentication={"jwt_token": JWT})
    talk.open()
    assert talk.connected()["params"]["authentication"] == {"jwt_token": JWT}


def test_contexts_are_announced_and_may_change_meanwhile() -> None:
    talk = Talk(contexts=("home", "office"))
    talk.open()
    assert talk.connected()["params"]["contexts"] == ["home", "office"]
    talk.session.contexts["late"] = None
    talk.lose()
    talk.wake()
    assert talk.connected()["params"]["contexts"] == ["home", "office", "late"]


def test_the_answer_makes_it_ready(talk: Talk) -> None:
    talk.open()
    connect = talk.connected()
    effects = talk.receive({"id": connect["id"], "result": {"protocol": PROTOCOL, "unknown": [1]}})
    assert phases(effects) == [Phase.READY]
    assert talk.session.protocol == PROTOCOL
    assert talk.session.ever_ready


def test_an_answer_with_a_good_code_makes_it_ready_too(talk: Talk) -> None:
    talk.open()
    talk.receive({"id": talk.connected()["id"], "result": {"protocol": PROTOCOL, "code": "200"}})
    assert talk.session.phase is Phase.READY


def test_commands_wait_until_it_is_ready(talk: Talk) -> None:
    talk.submit("before")
    talk.open()
    talk.submit("dialing")
    connect = talk.connected()
    talk.submit("authenticating")
    assert talk.session.unanswered == 3
    effects = talk.accept(connect, state=None)
    assert [frame["id"] for frame in sent(effects)] == ["before", "dialing", "authenticating"]
    # The owner hears of the new phase before the commands go.
    assert isinstance(effects[0], PhaseChanged)


def test_an_answer_with_another_id_does_not_make_it_ready(talk: Talk) -> None:
    talk.open()
    talk.connected()
    for frame_id in ("id-2", 1, None, ""):
        talk.receive({"id": frame_id, "result": {"protocol": PROTOCOL}})
    assert talk.session.phase is Phase.AUTHENTICATING
    talk.receive({"id": "id-2", "error": {"code": -32700, "message": "parse"}})
    assert talk.session.phase is Phase.AUTHENTICATING


def test_a_transport_that_nobody_wants_is_hung_up(talk: Talk) -> None:
    talk.open()
    talk.do(talk.session.close, talk.now)
    assert talk.do(talk.session.connected, talk.now) == [Hangup(at_once=True)]


def test_before_it_is_ready_the_server_is_answered_but_asked_for_nothing_else(talk: Talk) -> None:
    talk.open()
    talk.connected()
    talk.submit("wait")
    frames = sent(talk.receive({"id": "p", "method": "signalwire.ping", "params": {}}))
    frames += sent(talk.receive(event()))
    assert [(frame["id"], "method" in frame) for frame in frames] == [("p", False), ("e-1", False)]


def test_no_answer_to_connect_ends_the_attempt(talk: Talk) -> None:
    talk.open()
    talk.connected()
    assert talk.tick(9.9) == []
    effects = talk.tick(0.2)
    assert only(Hangup, effects) == [Hangup(at_once=True)]
    assert phases(effects) == [Phase.BACKING_OFF]


# -- refusals --------------------------------------------------------------------------------------------------------

REFUSALS: list[dict[str, Any]] = [
    {"error": {"code": -32002, "message": "Authentication service failed with status ('401 Unauthorized')"}},
    {"error": {"code": -32003, "message": "Requester validation failed"}},
    {"error": {"code": "-32002", "message": "as a text"}},
    {"result": {"code": "401", "message": "Unauthorized"}},
    {"result": {"code": 403, "message": "no"}},
    {"result": {"code": "-32002", "message": "no", "protocol": PROTOCOL}},
    {"error": {"code": 401, "message": "Unauthorized"}},
    {"error": {"code": "403", "message": "Forbidden"}},
    {"error": {"code": -32002.0, "message": "a whole number with a point"}},
    {"result": {"code": "401.0", "message": "Unauthorized"}},
]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_refused_credentials_end_it_at_once(talk: Talk, refusal: dict[str, Any]) -> None:
    talk.submit("queued")
    talk.open()
    effects = talk.receive({"id": talk.connected()["id"], **refusal})
    assert phases(effects) == [Phase.FAILED]
    assert only(Hangup, effects) == [Hangup(at_once=True)]
    error = talk.session.last_error
    assert isinstance(error, AuthenticationError)
    assert error.code in (-32002, -32003, 401, 403)
    assert error.method == "signalwire.connect"
    assert "check project and token" in str(error)
    assert talk.settled["queued"] is error
    assert only(SessionOver, effects)[0].error is error
    assert talk.session.next_wake() is None


@pytest.mark.parametrize("secret", [PROJECT, TOKEN])
def test_a_server_that_repeats_the_credentials_does_not_bring_them_into_an_error(talk: Talk, secret: str) -> None:
    talk.open()
    talk.receive({"id": talk.connected()["id"], "error": {"code": -32002, "message": f"{secret} is unknown"}})
    assert secret not in repr(talk.session.last_error)
    assert "*** is unknown" in str(talk.session.last_error)


@pytest.mark.parametrize(
    "refusal",
    [
        {"error": {"code": -32603, "message": "internal"}},
        {"error": {"code": -32005, "message": "capacity"}},
        {"error": {"message": "no code"}},
        {"error": "text"},
        {"result": {}},
        {"result": None},
        {"result": []},
        {"result": {"protocol": ""}},
        {"result": {"protocol": 7}},
        {"result": {"code": "503", "message": "later"}},
        {"result": {"code": "-32000"}},
    ],
)
def test_other_refusals_are_tried_again(talk: Talk, refusal: dict[str, Any]) -> None:
    talk.submit("queued", patience=60.0)
    talk.open()
    effects = talk.receive({"id": talk.connected()["id"], **refusal})
    assert phases(effects) == [Phase.BACKING_OFF]
    assert isinstance(talk.session.last_error, ConnectError)
    assert talk.settled == {}
    talk.ready()
    assert "queued" not in talk.settled


@pytest.mark.parametrize("code", [-32001, -32600, -32601, -32602])
@pytest.mark.parametrize("shape", ["error", "result"])
def test_a_connect_that_cannot_get_better_is_not_repeated(talk: Talk, code: int, shape: str) -> None:
    talk.open()
    talk.receive({"id": talk.connected()["id"], shape: {"code": code, "message": "no"}})
    assert talk.session.phase is Phase.FAILED
    assert type(talk.session.last_error) is ConnectError


#: Codes that no list of ours has, codes of a server in trouble, and none.
ODD = [
    {"error": {"code": -32401, "message": "go away"}},
    {"error": {"code": -32000, "message": "go away"}},
    {"error": {"code": -1, "message": "go away"}},
    {"error": {"code": 503, "message": "go away"}},
    {"error": {"message": "go away"}},
    {"error": "go away"},
    {"result": {"code": "-1", "message": "go away"}},
    {"result": {"code": "-32000", "message": "go away"}},
    {"result": {"code": "429", "message": "go away"}},
    {"result": {"message": "go away"}},
]


@pytest.mark.parametrize("refusal", ODD)
def test_before_the_first_session_any_refusal_ends_it_after_three_tries(talk: Talk, refusal: dict[str, Any]) -> None:
    talk.submit("queued", patience=60.0)
    talk.open()
    began = talk.now
    for attempt in range(3):
        if attempt:
            talk.wake()
        effects = talk.receive({"id": talk.connected()["id"], **refusal})
        assert phases(effects) == [Phase.BACKING_OFF if attempt < 2 else Phase.FAILED]
    assert talk.now - began < 2.0
    error = talk.session.last_error
    assert "go away" in str(error)
    assert talk.settled["queued"] is error
    code = read_code(refusal.get("result", refusal.get("error")))
    assert isinstance(error, AuthenticationError if code in (-1, -32401) else ConnectError)


@pytest.mark.parametrize("refusal", [ODD[1], ODD[3], ODD[4], ODD[8]])
def test_a_server_in_trouble_is_tried_again_for_as_long_as_it_takes_once_there_was_a_session(
    talk: Talk, refusal: dict[str, Any]
) -> None:
    talk.ready()
    talk.lose()
    for _ in range(10):
        talk.wake()
        effects = talk.receive({"id": talk.connected()["id"], **refusal})
        assert phases(effects) == [Phase.BACKING_OFF]
    talk.ready(state=None)


def refuse_the_resume(talk: Talk) -> None:
    talk.lose()
    talk.wake()
    effects = talk.receive({"id": talk.connected()["id"], "error": {"code": -32002, "message": "no"}})
    assert phases(effects) == [Phase.DIALING]


def test_credentials_refused_later_are_tried_three_times(talk: Talk) -> None:
    talk.ready(state=None)
    refuse_the_resume(talk)
    for attempt in range(3):
        if attempt:
            talk.wake()
        effects = talk.receive({"id": talk.connected()["id"], "error": {"code": -32002, "message": "no"}})
        assert phases(effects) == [Phase.BACKING_OFF if attempt < 2 else Phase.FAILED]
    assert isinstance(talk.session.last_error, AuthenticationError)


def test_a_session_in_between_forgives_refusals(talk: Talk) -> None:
    talk.ready(state=None)
    for _ in range(4):
        refuse_the_resume(talk)
        for attempt in range(2):
            if attempt:
                talk.wake()
            talk.receive({"id": talk.connected()["id"], "error": {"code": -32002, "message": "no"}})
        talk.ready(state=None)


def test_a_dial_that_cannot_succeed_is_fatal_before_the_first_session_only(talk: Talk) -> None:
    error = ConnectError("there is no such host", fatal=True)
    talk.open()
    effects = talk.do(lambda: talk.session.dial_failed(talk.now, error, fatal=True))
    assert phases(effects) == [Phase.FAILED]
    assert talk.session.last_error is error
    other = Talk().ready()
    other.lose()
    other.wake()
    effects = other.do(lambda: other.session.dial_failed(other.now, error, fatal=True))
    assert phases(effects) == [Phase.BACKING_OFF]


def test_an_error_without_an_id_is_the_answer_to_the_only_question(talk: Talk) -> None:
    talk.open()
    talk.connected()
    effects = talk.receive({"id": None, "error": {"code": -32002, "message": "no such project"}})
    assert phases(effects) == [Phase.FAILED]
    assert "no such project" in str(talk.session.last_error)
    other = Talk().ready()
    other.receive({"id": None, "error": {"code": -32002, "message": "of something else"}})
    assert other.session.phase is Phase.READY


@pytest.mark.parametrize("how", ["closed", "no upgrade"])
def test_a_server_that_says_no_without_an_answer_is_asked_three_times(talk: Talk, how: str) -> None:
    def refuse() -> list[Effect]:
        if how == "closed":
            talk.connected()
            return talk.do(lambda: talk.session.lost(talk.now, f"closed (1008: {TOKEN})", refused=True))
        error = ConnectError("answered HTTP 403")
        return talk.do(lambda: talk.session.dial_failed(talk.now, error, fatal=False, refused=True))

    talk.submit("queued")
    talk.open()
    assert phases(refuse()) == [Phase.BACKING_OFF]
    talk.wake()
    assert phases(refuse()) == [Phase.BACKING_OFF]
    talk.ready()  # a session in between forgives them
    for _ in range(5):
        talk.lose()
        talk.wake()
        assert phases(refuse()) == [Phase.BACKING_OFF]  # and after the first one the server may be restarting
        talk.ready()
    fresh = talk = Talk()
    fresh.open()
    for attempt in range(3):
        if attempt:
            fresh.wake()
        effects = refuse()
    assert phases(effects) == [Phase.FAILED]
    error = fresh.session.last_error
    assert isinstance(error, ConnectError)
    assert TOKEN not in str(error)
    assert fresh.session.next_wake() is None


def test_failed_dials_come_later_and_later() -> None:
    talk = Talk(random=1.0)
    talk.open()
    delays = []
    for _ in range(9):
        talk.do(lambda: talk.session.dial_failed(talk.now, ConnectError("refused"), fatal=False))
        wake = talk.session.next_wake()
        assert wake is not None
        delays.append(round(wake - talk.now, 3))
        assert talk.tick(delays[-1] - 0.001) == []
        assert only(Dial, talk.wake())
    assert delays == [0.05, 1, 2, 4, 8, 16, 30, 30, 30]


def test_only_a_session_that_held_starts_the_count_again() -> None:
    talk = Talk(random=1.0).ready()
    for held, delay in [(0.0, 0.05), (9.9, 1.0), (9.9, 2.0), (10.0, 0.05), (1.0, 1.0)]:
        talk.now += held
        talk.lose()
        wake = talk.session.next_wake()
        assert wake is not None
        assert wake - talk.now == pytest.approx(delay)
        talk.ready()


# -- resuming --------------------------------------------------------------------------------------------------------


def test_a_lost_session_is_resumed_with_protocol_and_state(talk: Talk) -> None:
    talk.ready()
    talk.lose()
    talk.wake()
    params = talk.connected()["params"]
    assert params["protocol"] == PROTOCOL
    assert params["authorization_state"] == STATE
    assert params["authentication"] == {"project": PROJECT, "token": TOKEN}


def test_the_latest_state_counts_and_odd_ones_do_not(talk: Talk) -> None:
    talk.ready()
    talk.receive(authorization_state("second:tag"))
    for odd in (None, 7, ["x"], {"a": 1}):
        talk.receive(authorization_state(odd))
    talk.receive({"id": "x", "method": "signalwire.event", "params": {"event_type": "signalwire.authorization.state"}})
    talk.lose()
    talk.wake()
    assert talk.connected()["params"]["authorization_state"] == "second:tag"


def test_the_state_is_kept_over_a_resume_that_does_not_repeat_it(talk: Talk) -> None:
    talk.ready()
    for _ in range(3):
        talk.lose()
        talk.wake()
        connect = talk.connected()
        assert connect["params"]["authorization_state"] == STATE
        effects = talk.accept(connect, state=None)
        assert not only(SessionOver, effects)


def test_a_protocol_without_a_state_is_resumed(talk: Talk) -> None:
    talk.ready(state=None)
    talk.lose()
    talk.wake()
    connect = talk.connected()
    assert connect["params"]["protocol"] == PROTOCOL
    assert "authorization_state" not in connect["params"]
    assert not only(SessionOver, talk.accept(connect, state=None))


def test_an_empty_state_does_not_replace_a_known_one(talk: Talk) -> None:
    talk.ready()
    talk.receive(authorization_state(""))
    talk.lose()
    talk.wake()
    assert talk.connected()["params"]["authorization_state"] == STATE


@pytest.mark.parametrize(
    "result",
    [
        {"identity": "i"},
        {"protocol": "", "identity": "i"},
        {"protocol": ""},
        {"protocol": None, "session_restored": True},
        {"code": "200", "message": "OK"},
    ],
)
def test_a_resume_whose_answer_names_no_protocol_keeps_the_known_one(talk: Talk, result: dict[str, Any]) -> None:
    talk.ready()
    for _ in range(2):
        talk.lose()
        talk.wake()
        connect = talk.connected()
        assert (connect["params"]["protocol"], connect["params"]["authorization_state"]) == (PROTOCOL, STATE)
        effects = talk.receive({"id": connect["id"], "result": result})
        assert phases(effects) == [Phase.READY]
        assert not only(SessionOver, effects)
    assert talk.session.protocol == PROTOCOL


def test_a_resume_that_was_not_restored_is_another_session(talk: Talk) -> None:
    talk.ready()
    talk.lose()
    talk.wake()
    effects = talk.receive({"id": talk.connected()["id"], "result": {"identity": "i", "session_restored": False}})
    assert phases(effects) == [Phase.READY]
    assert only(SessionOver, effects)


@pytest.mark.parametrize("result", [{"code": "200", "message": "OK"}, {"code": 200.0}, {"identity": "i"}])
def test_a_session_without_a_protocol_is_one_but_cannot_be_resumed(talk: Talk, result: dict[str, Any]) -> None:
    talk.open()
    effects = talk.receive({"id": talk.connected()["id"], "result": result})
    assert phases(effects) == [Phase.READY]
    assert not only(SessionOver, effects)
    talk.lose()
    talk.wake()
    connect = talk.connected()
    assert "protocol" not in connect["params"]
    # Nothing shows that it is the session of before.
    assert only(SessionOver, talk.receive({"id": connect["id"], "result": result}))


def test_another_session_is_not_resumed_with_the_state_of_the_one_before(talk: Talk) -> None:
    talk.ready()
    talk.lose()
    talk.wake()
    talk.accept(talk.connected(), protocol="another", state=None)
    talk.lose()
    talk.wake()
    params = talk.connected()["params"]
    assert params["protocol"] == "another"
    assert "authorization_state" not in params


def test_the_state_is_no_event_for_the_calls(talk: Talk) -> None:
    talk.ready()
    effects = talk.receive(authorization_state("x:y"))
    assert not only(Deliver, effects)
    assert len(sent(effects)) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        {"error": {"code": -32002, "message": "expired"}},
        {"error": {"code": -32003, "message": "expired"}},
        {"error": {"code": -32602, "message": "expired"}},
        {"error": {"code": -32404, "message": "no such session"}},
        {"error": {"code": 401, "message": "expired"}},
        {"result": {"code": "401"}},
        {"result": {}},
    ],
)
def test_a_refused_resume_leads_to_a_fresh_session_at_once(talk: Talk, refusal: dict[str, Any]) -> None:
    talk.ready()
    talk.lose()
    talk.wake()
    effects = talk.receive({"id": talk.connected()["id"], **refusal})
    assert [type(effect) for effect in effects] == [Hangup, PhaseChanged, Dial]
    fresh = talk.connected()
    assert "protocol" not in fresh["params"]
    assert "authorization_state" not in fresh["params"]
    effects = talk.accept(fresh, protocol="another")
    assert phases(effects) == [Phase.READY]
    (over,) = only(SessionOver, effects)
    assert isinstance(over.error, ConnectionLost)


def test_a_server_in_trouble_does_not_cost_the_session(talk: Talk) -> None:
    talk.ready()
    talk.lose()
    talk.wake()
    talk.receive({"id": talk.connected()["id"], "error": {"code": -32005, "message": "busy"}})
    talk.wake()
    connect = talk.connected()
    assert connect["params"]["authorization_state"] == STATE
    talk.receive({"id": connect["id"], "result": {"code": "503"}})
    talk.wake()
    assert talk.connected()["params"]["authorization_state"] == STATE


def test_another_session_ends_the_old_ones_calls_before_it_is_ready(talk: Talk) -> None:
    talk.ready()
    talk.receive(event("same"))
    talk.lose()
    talk.submit("stop", only_in=talk.session.number)
    talk.submit("ping")
    talk.wake()
    effects = talk.accept(talk.connected(), protocol="another", state=None)
    kinds = [type(effect) for effect in effects]
    assert kinds.index(SessionOver) < kinds.index(PhaseChanged)
    assert [frame["id"] for frame in sent(effects)] == ["ping"]
    outcome = talk.settled["stop"]
    assert isinstance(outcome, ConnectionLost)
    assert not outcome.sent
    # The other session's events are its own, whatever their ids.
    assert only(Deliver, talk.receive(event("same")))


# -- the server leaves -----------------------------------------------------------------------------------------------


BYE = {"jsonrpc": "2.0", "id": "bye", "result": {}}


def test_our_answer_to_a_disconnect_is_the_last_frame(talk: Talk) -> None:
    talk.ready()
    assert sent(talk.receive(leaving())) == [BYE]
    assert sent(talk.receive(leaving())) == []
    assert sent(talk.receive({"id": "p", "method": "signalwire.ping"})) == []
    assert sent(talk.receive({"id": "q", "method": "no.such"})) == []
    # What comes is delivered nevertheless.
    effects = talk.receive(event("last"))
    assert sent(effects) == []
    assert len(only(Deliver, effects)) == 1
    talk.submit("queued")
    assert sent(talk.tick(1.9)) == []
    assert talk.session.unanswered == 1


def test_what_is_under_way_is_answered_before_the_server_may_leave(talk: Talk) -> None:
    """It closes when it has our answer; until then it can still say what it has to say."""
    talk.ready()
    talk.submit("one")
    talk.submit("two")
    assert sent(talk.receive(leaving())) == []
    talk.submit("queued")
    assert [frame["id"] for frame in sent(talk.receive(event("meanwhile")))] == ["meanwhile"]
    assert sent(talk.receive({"id": "two", "result": {"code": "200"}})) == []
    assert sent(talk.receive({"id": "one", "result": {"code": "200"}})) == [BYE]
    assert talk.settled == {"one": {"code": "200"}, "two": {"code": "200"}}
    assert sent(talk.receive(event("last"))) == []
    # And it has its time to close from then on.
    assert talk.tick(1.9) == []
    assert phases(talk.tick(0.2)) == [Phase.BACKING_OFF]


def test_what_is_not_answered_does_not_hold_a_leaving_server_up(talk: Talk) -> None:
    talk.ready()
    talk.submit("never")
    talk.receive(leaving())
    assert sent(talk.tick(0.9)) == []
    assert sent(talk.tick(0.2)) == [BYE]
    talk.receive({"id": "never", "result": {"code": "200"}})  # late, and welcome
    assert talk.settled == {"never": {"code": "200"}}
    assert phases(talk.tick(2.0)) == [Phase.BACKING_OFF]


def test_a_server_that_leaves_without_waiting_for_an_answer(talk: Talk) -> None:
    talk.ready()
    talk.submit("under-way")
    talk.receive(leaving())
    talk.lose()
    assert talk.settled["under-way"].sent is True
    talk.ready(state=None)
    # The next session is like any other.
    assert sent(talk.receive(event("again"))) == [{"jsonrpc": "2.0", "id": "again", "result": {}}]
    assert sent(talk.receive(leaving())) == [BYE]


def test_the_event_that_got_no_answer_is_not_applied_again(talk: Talk) -> None:
    talk.ready()
    talk.receive(leaving())
    talk.receive(event("last"))
    talk.lose()
    talk.ready(state=None)
    effects = talk.receive(event("last"))
    assert len(sent(effects)) == 1
    assert not only(Deliver, effects)


@pytest.mark.parametrize("params", [{}, {"restart": False}, {"restart": None}, {"restart": "true"}, {"restart": 1}])
def test_a_disconnect_without_restart_is_resumed(talk: Talk, params: dict[str, Any]) -> None:
    talk.ready()
    talk.receive(leaving(**params))
    talk.submit("queued")
    talk.lose()
    talk.wake()
    connect = talk.connected()
    assert connect["params"]["authorization_state"] == STATE
    assert [frame["id"] for frame in sent(talk.accept(connect, state=None))] == ["queued"]


def test_a_disconnect_without_params_is_resumed(talk: Talk) -> None:
    talk.ready()
    assert len(sent(talk.receive({"id": "bye", "method": "signalwire.disconnect"}))) == 1
    talk.lose()
    talk.wake()
    assert "protocol" in talk.connected()["params"]


def test_a_disconnect_with_restart_starts_fresh(talk: Talk) -> None:
    talk.ready()
    talk.receive(leaving(restart=True))
    talk.receive(authorization_state("too:late"))
    talk.lose()
    talk.wake()
    connect = talk.connected()
    assert "protocol" not in connect["params"]
    assert "authorization_state" not in connect["params"]
    effects = talk.accept(connect, protocol="another")
    assert len(only(SessionOver, effects)) == 1
    talk.lose()
    talk.wake()
    assert talk.connected()["params"]["protocol"] == "another"


def test_a_server_that_leaves_but_does_not_close_is_left(talk: Talk) -> None:
    talk.ready()
    talk.submit("under-way")
    talk.receive(leaving())
    assert sent(talk.tick(1.0)) == [BYE]
    talk.do(talk.session.heard, talk.now)
    talk.do(talk.session.heard, talk.now + 1.9)
    effects = talk.tick(2.0)
    assert only(Hangup, effects) == [Hangup(at_once=True)]
    assert talk.settled["under-way"].sent is True
    assert phases(effects) == [Phase.BACKING_OFF]


def test_a_server_may_leave_before_the_session_is_ready(talk: Talk) -> None:
    talk.open()
    connect = talk.connected()
    assert len(sent(talk.receive(leaving(restart=True)))) == 1
    assert talk.receive({"id": connect["id"], "result": {"protocol": PROTOCOL}}) == []
    assert talk.session.phase is Phase.AUTHENTICATING
    assert phases(talk.tick(2.0)) == [Phase.BACKING_OFF]
    talk.ready()


# -- pings and silence -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "answer"),
    [
        ({"timestamp": 1700000000.25, "payload": "abc"}, {"timestamp": 1700000000.25, "payload": "abc"}),
        ({"timestamp": None}, {"timestamp": None}),
        ({"payload": "x", "other": 1}, {"payload": "x"}),
        ({}, {}),
        (None, {}),
        ([], {}),
        ("text", {}),
        ({"payload": {"a": [1]}, "timestamp": [1]}, {}),
    ],
)
def test_a_ping_is_answered_with_its_timestamp_and_payload(talk: Talk, params: Any, answer: dict[str, Any]) -> None:
    talk.ready()
    frames = sent(talk.receive({"id": "p-1", "method": "signalwire.ping", "params": params}))
    assert frames == [{"jsonrpc": "2.0", "id": "p-1", "result": answer}]


@pytest.mark.parametrize("depth", [10, 500, 900, 950, 980, 985, 988, 990, 992, 994])
def test_a_ping_may_hold_anything(talk: Talk, depth: int) -> None:
    talk.ready()
    nested = "[" * depth + "]" * depth
    effects = talk.receive(f'{{"id":1,"method":"signalwire.ping","params":{{"payload":{nested},"timestamp":1e999}}}}')
    assert [type(effect) for effect in effects] in ([Send], [Trouble])


def test_a_ping_without_an_id_wants_no_answer(talk: Talk) -> None:
    talk.ready()
    assert talk.receive({"method": "signalwire.ping", "params": {}}) == []


def test_silence_is_probed_and_a_probe_unanswered_ends_the_session(talk: Talk) -> None:
    talk.ready()
    talk.submit("under-way")
    assert talk.tick(14.9) == []
    (probe,) = sent(talk.tick(0.1))
    assert probe["method"] == "signalwire.ping"
    assert isinstance(probe["params"]["timestamp"], float)
    assert talk.tick(4.9) == []
    effects = talk.tick(0.2)
    assert only(Hangup, effects) == [Hangup(at_once=True)]
    assert phases(effects) == [Phase.BACKING_OFF]
    assert talk.settled["under-way"].sent is True


# -- a clock that leaps or stands still


def leap(talk: Talk, seconds: float = 3600.0) -> list[Effect]:
    """The clock goes on by so much, and no time has passed."""
    talk.now += seconds
    talk.do(talk.session.shift, seconds)
    return talk.tick()


def test_after_a_leap_a_ping_that_is_open_is_asked_again_and_decides(talk: Talk) -> None:
    talk.ready()
    sent(talk.wake())
    (again,) = sent(leap(talk))
    assert again["method"] == "signalwire.ping"
    assert talk.tick(4.9) == []
    assert phases(talk.tick(0.2)) == [Phase.BACKING_OFF]


def test_a_leap_makes_no_server_deaf(talk: Talk) -> None:
    talk.ready()
    talk.answer_a_ping()
    while talk.session._liveness._unanswered < MOST_UNANSWERED:
        talk.chatter(1.0)
    (ping,) = sent(leap(talk))
    talk.receive({"id": ping["id"], "result": {}})
    assert talk.tick(14.9) == []
    assert talk.session.phase is Phase.READY


def test_a_leap_shorter_than_an_answer_may_take_moves_its_end(talk: Talk) -> None:
    talk.ready()
    talk.wake()
    assert leap(talk, 4.0) == []
    assert talk.tick(4.9) == []
    assert phases(talk.tick(0.2)) == [Phase.BACKING_OFF]


def test_a_leap_is_no_time_in_which_the_server_took_nothing(talk: Talk) -> None:
    talk.ready()
    talk.do(lambda: talk.session.outbox(talk.now, empty=False, moved=True))
    assert leap(talk) == []
    assert talk.tick(19.9) == []
    assert phases(talk.tick(0.2)) == [Phase.BACKING_OFF]


def test_a_leap_is_no_time_for_the_answer_to_connect(talk: Talk) -> None:
    talk.open()
    connect = talk.connected()
    assert leap(talk) == []
    talk.accept(connect)
    assert talk.session.phase is Phase.READY


def test_a_leap_is_no_time_in_which_a_leaving_server_is_waited_for(talk: Talk) -> None:
    talk.ready()
    talk.submit("under-way", patience=4000.0)
    talk.receive(leaving())
    assert leap(talk) == []
    assert sent(talk.receive({"id": "under-way", "result": {}})) == [BYE]


def test_a_leap_is_no_time_for_keeping_promises(talk: Talk) -> None:
    talk.ready()
    talk.submit("promise", promised=True)
    talk.do(talk.session.close, talk.now, 1.5)
    assert only(Hangup, leap(talk)) == []
    assert only(Hangup, talk.tick(1.1)) == [Hangup()]


def test_after_a_leap_the_next_attempt_is_made_at_once(talk: Talk) -> None:
    talk.ready()
    talk.lose()
    assert phases(leap(talk)) == [Phase.DIALING]


def test_where_the_clock_stands_still_what_was_waited_counts(talk: Talk) -> None:
    def waited() -> list[Effect]:
        wake = talk.session.next_wake()
        assert wake is not None
        talk.do(talk.session.shift, talk.now - wake)
        return talk.tick()

    talk.ready()
    assert [frame["method"] for frame in sent(waited())] == ["signalwire.ping"]
    assert phases(waited()) == [Phase.BACKING_OFF]
    assert phases(waited()) == [Phase.DIALING]
    talk.connected()
    assert phases(waited()) == [Phase.BACKING_OFF]


def test_any_byte_is_a_sign_of_life_after_a_ping(talk: Talk) -> None:
    talk.ready()
    for _ in range(10):
        (probe,) = sent(talk.tick(15.0))
        asked = talk.now
        talk.chatter(4.9)
        assert talk.session.next_wake() == asked + 15.0
        talk.chatter(5.0)
        talk.receive({"id": probe["id"], "result": {}})
        assert talk.session.next_wake() == talk.now + 15.0
    assert talk.session.phase is Phase.READY


def test_who_has_no_answer_asks_though_much_else_comes(talk: Talk) -> None:
    talk.ready()
    effects = talk.chatter(14.9)
    assert sent(effects) == []
    (probe,) = sent(talk.chatter(0.2))
    assert probe["method"] == "signalwire.ping"


def test_who_has_answers_asks_for_none(talk: Talk) -> None:
    """The answer to a command says as much as that to a ping."""
    talk.ready()
    for number in range(20):
        talk.submit(f"c-{number}")
        assert sent(talk.chatter(10.0)) == []
        talk.receive({"id": f"c-{number}", "error": {"code": -32601, "message": "no"}})
    assert len(sent(talk.chatter(15.1))) == 1


def test_a_server_that_talks_and_does_not_hear_us_is_found(talk: Talk) -> None:
    """It answers pings, as it has shown; then three of them in a row get no answer."""
    talk.ready()
    talk.answer_a_ping()
    talk.submit("under-way", patience=100.0)
    quiet = talk.chatter(3 * 15.0 + 4.9)
    assert [frame["method"] for frame in sent(quiet)] == ["signalwire.ping"] * 3
    assert talk.session.phase is Phase.READY
    effects = talk.chatter(0.2)
    assert only(Hangup, effects) == [Hangup(at_once=True)]
    assert phases(effects) == [Phase.BACKING_OFF]
    assert talk.settled["under-way"].sent is True
    assert "does not receive ours" in str(talk.session.last_error)


def test_answers_are_not_missed_while_one_message_goes_on_and_on(talk: Talk) -> None:
    talk.ready()
    talk.answer_a_ping()
    for _ in range(10):
        (_ping,) = sent(talk.chatter(15.0))
        talk.do(lambda: talk.session.heard(talk.now, within=True))
    assert talk.session.phase is Phase.READY
    assert phases(talk.chatter(3 * 15.0 + 5.1)) == [Phase.BACKING_OFF]  # it has come to its end


@pytest.mark.parametrize("late", ["first", "last", "command", "given up"])
def test_an_answer_behind_a_long_backlog_is_one(talk: Talk, late: str) -> None:
    """Whatever is answered, and however late, shows that we are heard."""
    talk.ready()
    talk.answer_a_ping()
    command = talk.submit("command")
    for _ in range(5):
        pings = sent(talk.chatter(3 * 15.0 + 4.0))
        assert len(pings) == 3
        talk.do(talk.session.withdraw, command)
        name = {"first": pings[0]["id"], "last": pings[2]["id"], "command": "command"}.get(late, "unknown")
        talk.receive({"id": name, "result": {}})
        assert sent(talk.chatter(14.9)) == []
        talk.answer_a_ping()
        command = talk.submit("command") if late == "command" else command
    assert talk.session.phase is Phase.READY


def test_after_a_long_sleep_what_has_come_is_read_before_anybody_judges(talk: Talk) -> None:
    """A process that was stopped for an hour, over and over: each time one question, and never three at once."""
    talk.ready()
    talk.answer_a_ping()
    for _ in range(5):
        talk.now += 3600.0
        talk.do(talk.session.heard, talk.now)
        (ping,) = sent(talk.tick())
        talk.now += 3600.0
        talk.do(talk.session.heard, talk.now)
        assert len(sent(talk.tick())) == 1
        talk.receive({"id": ping["id"], "result": {}})
    assert talk.session.phase is Phase.READY


def test_a_server_that_answers_no_pings_is_not_taken_for_a_deaf_one(talk: Talk) -> None:
    talk.ready()
    pings = sent(talk.chatter(1000.0))
    assert len(pings) == 66
    # Nor when commands come, until they have had their time.
    for name in ("a", "b", "c"):
        talk.submit(name)
    assert only(Hangup, talk.chatter(15.0)) == []
    for name in ("a", "b", "c"):
        talk.receive({"id": name, "result": {}})
    assert only(Hangup, talk.chatter(1000.0)) == []


def test_where_pings_were_never_answered_three_commands_are_needed(talk: Talk) -> None:
    talk.ready()
    talk.submit("one")
    talk.submit("two")
    assert only(Hangup, talk.chatter(1000.0)) == []
    talk.submit("three")
    effects = talk.chatter(3 * 15.0 + 5.1)
    assert only(Hangup, effects) == [Hangup(at_once=True)]
    assert sorted(talk.settled) == ["one", "three", "two"]


def test_that_a_server_answers_pings_is_remembered_over_reconnections(talk: Talk) -> None:
    talk.ready()
    talk.answer_a_ping()
    talk.lose()
    talk.ready()
    assert only(Hangup, talk.chatter(50.1)) == [Hangup(at_once=True)]
    talk.ready()
    talk.submit("next")
    assert only(Hangup, talk.chatter(49.9)) == []


def test_a_ping_of_the_user_shows_that_pings_are_answered(talk: Talk) -> None:
    talk.ready()
    command = Command(
        id="mine", method="signalwire.ping", text="{}", deadline=Deadline(talk.now + 9), settle=lambda outcome: None
    )
    talk.session.submit(talk.now, command)
    talk.session.effects()
    talk.receive({"id": "mine", "result": {}})
    assert only(Hangup, talk.chatter(50.1)) == [Hangup(at_once=True)]


@pytest.mark.parametrize(("interval", "timeout"), [(0.3, 0.7), (5.0, 5.0), (15.0, 60.0)])
def test_a_deaf_server_is_found_whatever_the_times(interval: float, timeout: float) -> None:
    talk = Talk(ping_interval=interval, ping_timeout=timeout).ready()
    talk.answer_a_ping()
    began = talk.now
    while talk.session.phase is Phase.READY:
        talk.chatter(0.1)
    assert talk.now - began == pytest.approx(3 * interval + timeout, abs=0.5)


def test_the_answer_to_a_probe_is_no_trouble(talk: Talk) -> None:
    talk.ready()
    (probe,) = sent(talk.tick(15.0))
    assert talk.receive({"id": probe["id"], "result": {}}) == []
    assert talk.receive({"id": probe["id"], "error": {"code": -32601, "message": "no ping here"}}) == []


def test_one_command_without_an_answer_harms_nobody(talk: Talk) -> None:
    talk.ready()
    talk.submit("mute")
    for _ in range(100):
        talk.chatter(14.0)
        talk.answer_a_ping()
    talk.submit("other")
    talk.receive({"id": "other", "result": {}})
    assert talk.settled == {"other": {}}


# -- events ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame_id", ["e-1", "", 0, 17, -1, 2.5, 10**30])
def test_an_event_is_acknowledged_before_it_is_delivered(talk: Talk, frame_id: Any) -> None:
    talk.ready()
    effects = talk.receive(event(frame_id))
    assert [type(effect) for effect in effects] == [Send, Deliver]
    assert sent(effects) == [{"jsonrpc": "2.0", "id": frame_id, "result": {}}]
    assert only(Deliver, effects)[0].payload == event(frame_id)["params"]


def test_a_repeated_event_is_acknowledged_but_not_delivered(talk: Talk) -> None:
    talk.ready()
    for _ in range(2):
        talk.receive(event("other"))
    talk.receive(event("same"))
    effects = talk.receive(event("same"))
    assert [type(effect) for effect in effects] == [Send, Trouble]


def test_an_id_that_a_server_uses_for_several_events_loses_none(talk: Talk) -> None:
    talk.ready()
    for call_id in ("c0", "c1", "c2", "c1"):
        frame = event("same", params={"call_id": call_id})
        assert [type(effect) for effect in talk.receive(frame)] == [Send, Deliver]
        assert [type(effect) for effect in talk.receive(frame)] == [Send, Trouble]


def test_the_ids_of_events_are_forgotten_with_a_new_session(talk: Talk) -> None:
    talk.ready()
    talk.receive(event("same"))
    talk.receive(leaving(restart=True))
    talk.lose()
    talk.wake()
    connect = talk.connected()
    assert "protocol" not in connect["params"]
    talk.accept(connect)  # under the same name, but not resumed
    assert only(Deliver, talk.receive(event("same")))


def test_as_many_events_as_promised_are_remembered(talk: Talk) -> None:
    assert REMEMBERED_EVENTS == 4096
    talk.ready(state=None)
    for number in range(4096):
        talk.receive(event(f"e-{number}"))
    assert not only(Deliver, talk.receive(event("e-0")))
    talk.receive(event("one more"))
    assert only(Deliver, talk.receive(event("e-0")))
    assert not only(Deliver, talk.receive(event("e-2")))


def test_repeats_are_noticed_over_a_resume(talk: Talk) -> None:
    talk.ready()
    talk.receive(event("same"))
    talk.lose()
    talk.ready(state=None)
    assert not only(Deliver, talk.receive(event("same")))


def test_events_without_an_id_are_all_delivered_and_not_acknowledged(talk: Talk) -> None:
    talk.ready()
    for _ in range(2):
        effects = talk.receive(event(None))
        assert [type(effect) for effect in effects] == [Deliver]


@pytest.mark.parametrize("params", [None, 5, "x", [], {}, {"event_type": None}, {"event_type": ["a"]}])
def test_an_event_of_no_type_is_acknowledged_and_named_in_the_log(talk: Talk, params: Any) -> None:
    talk.ready()
    effects = talk.receive({"id": "e", "method": "signalwire.event", "params": params})
    assert [type(effect) for effect in effects] == [Send, Trouble]


def test_a_flat_event_is_delivered_too(talk: Talk) -> None:
    talk.ready()
    payload = {"event_type": "queuing.relay.tasks", "context": "c", "message": {"a": 1}, "timestamp": 17}
    effects = talk.receive({"id": "t", "method": "signalwire.event", "params": payload})
    assert [each.payload for each in only(Deliver, effects)] == [payload]


def test_a_request_of_an_unknown_method_is_refused(talk: Talk) -> None:
    talk.ready()
    effects = talk.receive({"id": 9, "method": "x" * 500, "params": {}})
    (frame,) = sent(effects)
    assert frame["error"]["code"] == -32601
    assert only(Trouble, effects)[0].detail == "x" * 100
    assert talk.receive({"method": "no.answer.wanted"}) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id":true,"method":"signalwire.ping"}', "[" * 100_000])
def test_what_is_no_frame_is_named_and_nothing_else(talk: Talk, text: str) -> None:
    talk.ready()
    (trouble,) = talk.receive(text)
    assert isinstance(trouble, Trouble)
    assert talk.session.phase is Phase.READY


def test_nothing_is_answered_without_a_session(talk: Talk) -> None:
    talk.ready()
    talk.lose()
    assert talk.receive(event("x")) == []
    assert talk.receive({"id": "p", "method": "signalwire.ping"}) == []


# -- commands --------------------------------------------------------------------------------------------------------


def test_a_command_gets_its_result_or_its_failure(talk: Talk) -> None:
    talk.ready()
    talk.submit("good")
    talk.submit("bad")
    talk.receive({"id": "bad", "error": {"code": -32601, "message": "no"}})
    talk.receive({"id": "good", "result": {"code": "200"}})
    assert talk.settled == {"good": {"code": "200"}, "bad": Failure("bad", -32601, "no")}
    assert talk.session.unanswered == 0


def test_a_second_answer_is_for_nobody(talk: Talk) -> None:
    talk.ready()
    talk.submit("a")
    talk.receive({"id": "a", "result": {"n": 1}})
    (trouble,) = talk.receive({"id": "a", "result": {"n": 2}})
    assert isinstance(trouble, Trouble)
    assert talk.settled == {"a": {"n": 1}}


def test_at_a_loss_the_unsent_waits_and_the_unanswered_ends(talk: Talk) -> None:
    talk.ready()
    talk.submit("answered")
    talk.receive({"id": "answered", "result": {}})
    talk.submit("under-way")
    talk.lose()
    talk.submit("unsent")
    outcome = talk.settled["under-way"]
    assert isinstance(outcome, ConnectionLost)
    assert outcome.sent is True
    assert "calling.under-way" in str(outcome)
    talk.wake()
    assert [frame["id"] for frame in sent(talk.accept(talk.connected(), state=None))] == ["unsent"]
    assert set(talk.settled) == {"answered", "under-way"}


def test_idempotent_commands_are_repeated_before_what_came_later(talk: Talk) -> None:
    talk.ready()
    talk.submit("first", idempotent=True)
    talk.submit("once")
    talk.submit("second", idempotent=True)
    talk.lose()
    talk.submit("third")
    talk.wake()
    frames = sent(talk.accept(talk.connected(), state=None))
    assert [frame["id"] for frame in frames] == ["first", "second", "third"]
    assert set(talk.settled) == {"once"}
    talk.receive({"id": "second", "result": {}})
    assert talk.settled["second"] == {}


def test_what_is_too_late_is_not_sent_and_says_whether_it_ever_was(talk: Talk) -> None:
    talk.ready()
    talk.submit("repeated", idempotent=True, patience=5.0)
    talk.lose()
    talk.submit("unsent", patience=5.0)
    talk.submit("patient", patience=50.0)
    talk.now += 6.0
    talk.wake()
    assert [frame["id"] for frame in sent(talk.accept(talk.connected(), state=None))] == ["patient"]
    assert talk.settled["repeated"].sent is True
    assert talk.settled["unsent"].sent is False
    talk.submit("stillborn", patience=-1.0)
    assert isinstance(talk.settled["stillborn"], RequestTimeout)
    assert talk.session.unanswered == 1


def test_a_withdrawn_command_is_not_sent(talk: Talk) -> None:
    talk.submit("a")
    command = talk.submit("b")
    talk.submit("c")
    talk.do(talk.session.withdraw, command)
    talk.open()
    assert [frame["id"] for frame in sent(talk.accept(talk.connected(), state=None))] == ["a", "c"]
    assert talk.settled == {}


def test_the_late_answer_to_a_withdrawn_command_is_reported_where_somebody_cares(talk: Talk) -> None:
    talk.ready()
    carefree, caring = talk.submit("carefree"), talk.submit("caring", late=lambda outcome: None)
    for command in (carefree, caring):
        talk.do(talk.session.withdraw, command)
    assert talk.session.unanswered == 1
    talk.receive({"id": "carefree", "result": {}})
    talk.receive({"id": "caring", "result": {"code": "200"}})
    assert talk.settled == {}
    assert talk.late == {"caring": {"code": "200"}}
    assert talk.session.unanswered == 0


def test_only_so_many_late_answers_are_waited_for(talk: Talk) -> None:
    """A server that never answers does not fill our memory with what callers gave up on."""
    talk.ready()
    for number in range(1000):
        talk.do(talk.session.withdraw, talk.submit(f"c-{number}", late=lambda outcome: None))
    assert talk.session.unanswered == REMEMBERED_LATE
    talk.receive({"id": "c-0", "result": {}})
    talk.receive({"id": "c-999", "result": {}})
    assert set(talk.late) == {"c-999"}


def test_commands_that_are_never_answered_do_not_pile_up(talk: Talk) -> None:
    talk.ready()
    for number in range(3 * CROWD):
        talk.now += 0.1
        talk.submit(f"n{number}")
    assert talk.session.unanswered <= CROWD + 1
    assert isinstance(talk.settled["n0"], RequestTimeout)
    # Those that may still be answered are not given up, however many they are.
    patient = [talk.submit(f"p{number}", patience=1e6) for number in range(3 * CROWD)]
    assert not any(command.id in talk.settled for command in patient)


def test_a_withdrawn_command_is_neither_repeated_nor_settled_at_a_loss(talk: Talk) -> None:
    talk.ready()
    command = talk.submit("a", late=lambda outcome: None, idempotent=True)
    talk.do(talk.session.withdraw, command)
    talk.lose()
    assert sent(talk.ready(state=None).all)[-1]["method"] == "signalwire.connect"
    assert talk.settled == {}


def test_the_queue_is_bounded_and_the_caller_is_told() -> None:
    talk = Talk(max_queue=2)
    for name in ("a", "b", "c"):
        talk.submit(name)
    assert isinstance(talk.settled["c"], QueueFull)
    talk.ready(state=None)
    assert set(talk.settled) == {"c"}


def test_commands_whose_time_is_over_make_room_in_the_queue() -> None:
    talk = Talk(max_queue=2)
    talk.submit("short", patience=1.0)
    talk.submit("long", patience=100.0)
    talk.now += 2.0
    talk.submit("new")
    assert set(talk.settled) == {"short"}
    assert talk.settled["short"].sent is False


def test_while_the_transport_is_congested_callers_are_told(talk: Talk) -> None:
    talk.ready()
    talk.session.congested = True
    talk.submit("a")
    assert isinstance(talk.settled["a"], QueueFull)
    talk.session.congested = False
    talk.submit("b")
    assert sent(talk.all)[-1]["id"] == "b"


# -- the end ---------------------------------------------------------------------------------------------------------


def bring_to(phase: Phase) -> Talk:
    talk = Talk()
    if phase is not Phase.IDLE:
        talk.open()
    if phase in (Phase.AUTHENTICATING, Phase.BACKING_OFF):
        talk.connected()
    if phase is Phase.BACKING_OFF:
        talk.lose()
    if phase is Phase.READY:
        talk.ready()
    assert talk.session.phase is phase
    return talk


@pytest.mark.parametrize(
    ("phase", "transport"),
    [
        (Phase.IDLE, False),
        (Phase.DIALING, True),
        (Phase.AUTHENTICATING, True),
        (Phase.READY, True),
        (Phase.BACKING_OFF, False),
    ],
)
def test_closing_ends_everything_in_every_phase(phase: Phase, transport: bool) -> None:
    talk = bring_to(phase)
    talk.submit("waiting")
    effects = talk.do(talk.session.close, talk.now)
    assert phases(effects) == [Phase.CLOSED]
    assert bool(only(Hangup, effects)) is transport
    assert isinstance(talk.settled["waiting"], ClientClosed)
    (over,) = only(SessionOver, effects)
    assert isinstance(over.error, ClientClosed)
    assert talk.session.next_wake() is None
    assert talk.session.unanswered == 0
    talk.submit("after")
    assert isinstance(talk.settled["after"], RelayError)
    for nothing in (talk.open, talk.lose, lambda: talk.tick(1000.0)):
        assert nothing() == []
    assert talk.do(talk.session.close, talk.now) == []


def test_closing_while_the_server_leaves(talk: Talk) -> None:
    talk.ready()
    talk.receive(leaving())
    talk.submit("queued")
    talk.do(talk.session.close, talk.now)
    assert isinstance(talk.settled["queued"], ClientClosed)
    assert talk.session.next_wake() is None


def test_the_options_hide_the_credentials() -> None:
    options = SessionOptions(authentication={"project": PROJECT, "token": TOKEN})
    assert TOKEN not in repr(options)
    assert TOKEN not in repr(Send(json.dumps({"token": TOKEN})))


def test_a_command_for_another_session_is_not_sent(talk: Talk) -> None:
    talk.ready()
    before = talk.session.number
    talk.lose()
    talk.wake()
    (over,) = only(SessionOver, talk.accept(talk.connected(), protocol="another"))
    assert (over.session, talk.session.number > before) == (before, True)
    command = talk.submit("late", only_in=before)
    outcome = talk.settled["late"]
    assert isinstance(outcome, ConnectionLost)
    assert (outcome.sent, command.sent, command.session) == (False, False, None)
    assert talk.submit("now", only_in=talk.session.number).session == talk.session.number


def test_a_resumed_session_is_the_same_one(talk: Talk) -> None:
    talk.ready()
    before = talk.session.number
    talk.lose()
    talk.submit("queued", only_in=before)
    talk.wake()
    effects = talk.accept(talk.connected())
    assert talk.session.number == before
    assert [frame["id"] for frame in sent(effects) if frame.get("method") == "calling.queued"] == ["queued"]
