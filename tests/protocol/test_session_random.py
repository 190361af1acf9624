"""Random conversations, hostile frames among them: what must hold for a session whatever happens to it."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from relay_sync.deadline import Deadline
from relay_sync.errors import ConnectError, ConnectionLost
from relay_sync.protocol.effects import (
    Command,
    Deliver,
    Dial,
    Effect,
    Hangup,
    Late,
    Phase,
    PhaseChanged,
    Send,
    SessionOver,
    Settle,
    Trouble,
)
from relay_sync.protocol.session import Session, SessionOptions

ENDED = (Phase.CLOSED, Phase.FAILED)
QUEUE = 4
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
METHODS = st.sampled_from(
    ["signalwire.event", "signalwire.ping", "signalwire.disconnect", "signalwire.connect", "calling.answer", ""]
)
IDS = st.sampled_from(["id-1", "id-2", "c-1", "c-2", "", 1, 1.0, 0, True, None, "x", 10**40, 1e300, float("nan")])
PARAMS = VALUES | st.fixed_dictionaries(
    {},
    optional={
        "event_type": st.sampled_from(["signalwire.authorization.state", "calling.call.state", "", 5, None]),
        "params": VALUES | st.fixed_dictionaries({"authorization_state": st.sampled_from(["s", "", 5, None])}),
        "restart": st.sampled_from([True, False, None, "true", 1]),
        "timestamp": SCALARS,
        "payload": VALUES,
    },
)
RESULTS = VALUES | st.fixed_dictionaries(
    {},
    optional={
        "protocol": st.sampled_from(["p-1", "p-2", "", 5, None]),
        "code": st.sampled_from(["200", "401", 500, "-32002", "x", True, None, []]),
        "message": VALUES,
    },
)
ERRORS = VALUES | st.fixed_dictionaries(
    {},
    optional={
        "code": st.sampled_from([-32002, "-32003", -32602, -32005, 1.5, True, None, []]),
        "message": VALUES,
        "data": VALUES,
    },
)
HOSTILE = st.one_of(
    st.text(max_size=30),
    VALUES.map(json.dumps),
    st.fixed_dictionaries({"id": IDS, "method": METHODS}, optional={"params": PARAMS}).map(json.dumps),
    st.fixed_dictionaries({"id": IDS, "result": RESULTS}).map(json.dumps),
    st.fixed_dictionaries({"id": IDS, "error": ERRORS}).map(json.dumps),
    st.sampled_from(["[" * 50_000, '{"id":1e999,"method":"signalwire.event"}', '{"id":{},"method":"signalwire.ping"}']),
)


class Conversation(RuleBasedStateMachine):
    """Plays the owner and the server of one session. It performs the effects as the IO thread would."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 50.0
        self.numbers = itertools.count(1)
        self.commands: dict[str, Command] = {}
        self.settled: dict[str, Any] = {}
        self.withdrawn: set[str] = set()
        self.under_way: list[str] = []  # sent into the present session and not answered
        self.first_sent: list[str] = []
        self.transport = False
        self.dialling = False
        self.connect_id: Any = None
        self.ready_told = False
        self.said_goodbye = False

    @initialize(random=st.floats(0, 1, exclude_max=True), jwt=st.booleans(), ready=st.booleans())
    def start(self, random: float, jwt: bool, ready: bool) -> None:
        ids = (f"id-{number}" for number in itertools.count(1))
        self.session = Session(
            SessionOptions(
                authentication={"jwt_token": "JWT"} if jwt else {"project": "P", "token": "T"},
                contexts=("home",),
                max_queue=QUEUE,
            ),
            new_id=lambda: next(ids),
            random=lambda: random,
        )
        if ready:
            self.session.open(self.now)
            self.perform()
            self.become_ready("p-1")

    # -- performing

    def perform(self) -> None:
        for effect in self.session.effects():
            self.perform_one(effect)

    def perform_one(self, effect: Effect) -> None:
        if isinstance(effect, Send):
            self.sent(json.loads(effect.text))
        elif isinstance(effect, Settle):
            name = effect.command.id
            assert name in self.commands
            assert name not in self.settled, "settled twice"
            assert name not in self.withdrawn, "settled although nobody waits"
            self.settled[name] = effect.outcome
        elif isinstance(effect, Late):
            assert effect.command.id in self.withdrawn
        elif isinstance(effect, Dial):
            assert not self.transport
            assert not self.dialling
            self.dialling = True
        elif isinstance(effect, Hangup):
            self.hung_up()
        elif isinstance(effect, PhaseChanged):
            self.ready_told = effect.phase is Phase.READY
            if effect.phase is Phase.BACKING_OFF:
                assert effect.error is not None
        elif isinstance(effect, Deliver):
            assert isinstance(effect.payload["event_type"], str)
        else:
            assert isinstance(effect, (SessionOver, Trouble))

    def sent(self, frame: dict[str, Any]) -> None:
        assert frame["jsonrpc"] == "2.0"
        assert self.transport, "sent without a transport"
        assert not self.said_goodbye, "sent after the answer to signalwire.disconnect"
        self.said_goodbye = frame["id"] == "bye"
        if "method" not in frame:
            assert "result" in frame or "error" in frame
        elif frame["method"] == "signalwire.connect":
            assert not self.ready_told
            assert self.connect_id is None, "two connects on one transport"
            self.connect_id = frame["id"]
        else:
            assert self.ready_told, "asked for something before the session was ready"
            if frame["id"] in self.commands:
                self.under_way.append(frame["id"])
                if frame["id"] not in self.first_sent:
                    self.first_sent.append(frame["id"])

    def hung_up(self) -> None:
        self.transport = self.dialling = False
        self.connect_id = None
        self.said_goodbye = False
        self.under_way.clear()

    # -- the owner

    @rule()
    def open(self) -> None:
        self.session.open(self.now)
        self.perform()

    @rule(
        patience=st.sampled_from([-1.0, 0.5, 10.0, 100.0, None]),
        idempotent=st.booleans(),
        late=st.booleans(),
        of_a_call=st.booleans(),
    )
    def submit(self, patience: float | None, idempotent: bool, late: bool, of_a_call: bool) -> None:
        name = f"c-{next(self.numbers)}"
        text = f'{{"jsonrpc":"2.0","id":"{name}","method":"calling.x","params":{{}}}}'
        self.commands[name] = command = Command(
            id=name,
            method="calling.x",
            text=text,
            deadline=Deadline.after(self.now, patience),
            settle=lambda outcome: None,
            late=(lambda outcome: None) if late else None,
            idempotent=idempotent,
            only_in=self.session.number if of_a_call else None,
        )
        self.session.submit(self.now, command)
        self.perform()

    @precondition(lambda self: self.commands)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.commands)))
        if name not in self.settled:
            self.withdrawn.add(name)
            self.session.withdraw(self.commands[name])
            self.perform()

    @rule(congested=st.booleans())
    def congest(self, congested: bool) -> None:
        self.session.congested = congested and self.transport

    @rule(chance=st.integers(0, 15))
    def close(self, chance: int) -> None:
        if chance == 15:
            self.session.close(self.now)
            self.perform()
            assert self.session.phase in ENDED

    # -- the transport

    @precondition(lambda self: self.session.phase in (Phase.BACKING_OFF, Phase.DIALING, Phase.AUTHENTICATING))
    @rule(protocol=st.sampled_from(["p-1", "p-1", "p-2"]))
    def become_ready(self, protocol: str) -> None:
        """The straight way to a session, that would seldom be taken by chance."""
        if self.session.phase is Phase.BACKING_OFF:
            self.woken()
        if self.dialling:
            self.connected()
        if not (self.said_goodbye or self.session._leaving):
            self.accept(protocol)
            assert self.session.phase is Phase.READY

    @precondition(lambda self: self.dialling)
    @rule()
    def connected(self) -> None:
        self.dialling, self.transport = False, True
        self.session.connected(self.now)
        self.perform()

    @precondition(lambda self: self.dialling)
    @rule(fatal=st.sampled_from([False, False, False, True]))
    def dial_failed(self, fatal: bool) -> None:
        self.dialling = False
        self.session.dial_failed(self.now, ConnectError("no way", fatal=fatal), fatal=fatal)
        self.perform()

    @rule(which=st.sampled_from(["connected", "dial_failed", "lost", "tick", "heard"]))
    def out_of_turn(self, which: str) -> None:
        """Reports that may come too late: the owner need not know what the session thinks."""
        if which == "connected" and not self.dialling:
            if not self.transport:
                self.session.connected(self.now)
        elif which == "dial_failed" and not self.dialling:
            self.session.dial_failed(self.now, ConnectError("late"), fatal=True)
        elif which == "lost" and not self.transport:
            self.session.lost(self.now, "late")
        elif which == "tick":
            self.session.tick(self.now)
        elif which == "heard":
            self.session.heard(self.now)
        self.perform()

    @precondition(lambda self: self.transport)
    @rule()
    def lost(self) -> None:
        self.hung_up()
        self.session.congested = False
        self.session.lost(self.now, "gone")
        self.perform()

    # -- the server

    @precondition(lambda self: self.connect_id is not None)
    @rule(protocol=st.sampled_from(["p-1", "p-2"]))
    def accept(self, protocol: str) -> None:
        self.receive({"id": self.connect_id, "result": {"protocol": protocol}})

    @precondition(lambda self: self.connect_id is not None)
    @rule(code=st.sampled_from([-32002, -32003, -32602, -32005, -32603]))
    def refuse(self, code: int) -> None:
        self.receive({"id": self.connect_id, "error": {"code": code, "message": "no"}})

    @precondition(lambda self: self.connect_id is not None)
    @rule(result=RESULTS)
    def answer_oddly(self, result: Any) -> None:
        self.receive({"id": self.connect_id, "result": result})

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), good=st.booleans())
    def answer(self, data: st.DataObject, good: bool) -> None:
        name = data.draw(st.sampled_from(self.under_way))
        self.under_way.remove(name)
        body: dict[str, Any] = {"result": {"code": "200"}} if good else {"error": {"code": -32603, "message": "no"}}
        waited_for = name not in self.withdrawn
        self.receive({"id": name, **body})
        assert not waited_for or name in self.settled, "an answer was lost"

    @precondition(lambda self: self.transport)
    @rule(number=st.integers(1, 4), state=st.booleans())
    def event(self, number: int, state: bool) -> None:
        kind = "signalwire.authorization.state" if state else "calling.call.state"
        params = {"event_type": kind, "params": {"authorization_state": "S"}}
        self.receive({"id": f"e-{number}", "method": "signalwire.event", "params": params})

    @precondition(lambda self: self.transport)
    @rule(restart=st.booleans())
    def leave(self, restart: bool) -> None:
        self.receive({"id": "bye", "method": "signalwire.disconnect", "params": {"restart": restart}})

    @rule(text=HOSTILE)
    def hostile(self, text: str) -> None:
        self.session.received(self.now, text)
        self.perform()

    def receive(self, frame: dict[str, Any]) -> None:
        self.session.received(self.now, json.dumps({"jsonrpc": "2.0", **frame}))
        self.perform()

    # -- time

    @rule(seconds=st.sampled_from([0.01, 1.0, 4.0, 16.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.session.tick(self.now)
        self.perform()

    @rule()
    def woken(self) -> None:
        wake = self.session.next_wake()
        if wake is not None:
            self.now = max(self.now, wake)
            self.session.tick(self.now)
            self.perform()
            after = self.session.next_wake()
            # Whoever was woken has done something: it does not want to be woken for the same again.
            assert after is None or after > self.now or self.session.phase is not Phase.READY

    # -- what always holds

    @invariant()
    def nothing_is_lost(self) -> None:
        held = {command.id for command in self.session.commands()}
        for name in self.commands:
            if name in self.settled:
                assert name not in held
            elif name not in self.withdrawn:
                assert name in held, "neither settled nor waiting"
        assert self.session.unanswered == len(held)

    @invariant()
    def the_queue_is_bounded(self) -> None:
        # Repeated commands were admitted once; nothing else gets in beyond the limit.
        repeated = [command for command in self.session.commands() if command.sent]
        assert self.session.unanswered - len(repeated) <= QUEUE

    @invariant()
    def time_is_watched_where_it_matters(self) -> None:
        if self.session.phase in (Phase.AUTHENTICATING, Phase.READY, Phase.BACKING_OFF):
            assert self.session.next_wake() is not None
        if self.session.phase in ENDED:
            assert self.session.next_wake() is None

    @invariant()
    def the_end_is_the_end(self) -> None:
        if self.session.phase in ENDED:
            assert self.session.unanswered == 0
            assert not self.transport
            assert not self.dialling
            assert set(self.commands) == set(self.settled) | self.withdrawn

    @invariant()
    def commands_go_in_the_order_in_which_they_came(self) -> None:
        numbers = [int(name.removeprefix("c-")) for name in self.first_sent]
        assert numbers == sorted(numbers)

    @invariant()
    def the_sent_flag_is_honest(self) -> None:
        for name, outcome in self.settled.items():
            if isinstance(outcome, ConnectionLost):
                assert outcome.sent is (name in self.first_sent)

    @invariant()
    def no_secret_shows(self) -> None:
        assert "'T'" not in repr(self.session.last_error)


ordinary = settings(
    derandomize=True,
    deadline=None,
    max_examples=100,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def test_any_conversation_keeps_the_promises() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(Conversation, settings=ordinary)


@pytest.mark.slow
def test_many_long_conversations_keep_the_promises() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(Conversation, settings=settings(ordinary, max_examples=400, stateful_step_count=60))
