"""The faults and the moments of the table: how each fault strikes, and how a client is brought to each moment.

A moment is a function: it brings a client there, lets the fault strike, and tells what the user saw. What is told is short:
``value`` where all went as if nothing had been wrong, else the name of the error.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from attrs import define, field, frozen

from relay_sync import Call, ConnectionLost, Message, RelayClient, RelayError
from relay_sync.call.call import core_of
from relay_sync.client.messages import NEWS_PATIENCE
from relay_sync.events import RelayEvent
from relay_sync.simulator import Simulator
from relay_sync.simulator.people.phone import Phone
from tests.support.background import Background
from tests.support.far_end import QUESTIONS, mute
from tests.support.faults.fault import AfterBytes, Corrupt, Cut, Fault, Refuse, Shape, Stall, Step
from tests.support.faults.proxy import FaultProxy
from tests.support.lines import FROM, TO, Desk
from tests.support.tls import CERTIFICATE, tls_context

__all__ = ["FAULTS", "MOMENTS", "Kind", "Stage", "stage"]

#: Seconds for what must come, on a machine that has much else to do.
PATIENCE: Final = 30.0
#: Seconds for what must not come.
IMPATIENCE: Final = 1.0
NOTE: Final = "calling.call.refer"
PING: Final = json.dumps({"jsonrpc": "2.0", "id": "provoked", "method": "signalwire.ping", "params": {}})


@frozen(kw_only=True)
class Kind:
    """A kind of fault.

    :ivar told: what it is, for the reader of the table. :ivar on_wire: what the proxy does.
    :ivar at_server: what the simulator does. :ivar provoke: have the server ask for something, so that bytes pass.
    :ivar breaks: whether the connection of that moment is lost by it. :ivar back: whether a session comes again.
    :ivar silent: whether only our own pings find it. :ivar talks: whether the server goes on talking.
    :ivar answers: whether the server still answers what is under way.
    """

    told: str
    on_wire: tuple[Fault, ...] = ()
    at_server: Callable[[Stage], None] | None = None
    provoke: bool = False
    breaks: bool = True
    back: bool = True
    silent: bool = False
    talks: bool = False
    answers: bool = False


@define(eq=False)
class Stage:
    """One client on a simulator, through a proxy; one fault that is going to strike."""

    kind: Kind
    sim: Simulator
    proxy: FaultProxy
    client: RelayClient
    desk: Desk
    states: list[str] = field(factory=list)
    changed: threading.Condition = field(factory=threading.Condition)
    over: threading.Event = field(factory=threading.Event)

    def on_state(self, state: str) -> None:
        with self.changed:
            self.states.append(state)
            self.changed.notify_all()

    def wait_for_state(self, state: str, since: int = 0) -> int:
        """Wait until the client is in a state; the place of the next one."""
        with self.changed:
            assert self.changed.wait_for(lambda: state in self.states[since:], PATIENCE), (state, self.states)
            return self.states.index(state, since) + 1

    def talk(self) -> None:
        """The server says something all the time, whether it is answered or not."""
        while not self.over.wait(0.05):
            self.sim.send_raw(PING)

    # -- the fault -----------------------------------------------------------------------------------------------

    def strike(self) -> None:
        """Let the fault happen now."""
        for fault in self.kind.on_wire:
            self.proxy.apply(fault)
        if self.kind.at_server is not None:
            self.kind.at_server(self)
        if self.kind.provoke:
            self.sim.send_raw(PING)

    def strike_and_settle(self, *, releases: bool = False) -> None:
        """Let the fault happen, and return when the client has noticed, where it will, and has recovered, where it can.

        :param releases: then send the answers that are held; at once where the server would.
        """
        since = len(self.states)
        self.strike()
        if releases and self.kind.answers:
            self.sim.release()
        if self.kind.breaks:
            lost = self.wait_for_state("reconnecting", since)
            if self.kind.back or self.end == "failed":
                self.wait_for_state("connected" if self.kind.back else "failed", lost)
        if releases:
            self.sim.release()

    @property
    def end(self) -> str:
        """Where a client is left whose session does not come again."""
        return "failed" if self.kind.at_server is not None else "reconnecting"

    def strike_while(self, happens: Callable[[], object]) -> int:
        """Let the fault happen, and something else while there is no connection; the place of the next state."""
        since = len(self.states)
        self.proxy.refuse("unreachable")
        self.strike()
        lost = self.wait_for_state("reconnecting", since)
        happens()
        if self.kind.back or self.end == "failed":
            self.proxy.refuse(None)
        return lost

    def strike_upgrade(self) -> None:
        """Let the fault happen in the midst of the next answer to an upgrade."""
        if self.kind.at_server is not None:
            self.kind.at_server(self)
        else:
            self.proxy.run_script(Step(AfterBytes("down", 20), fault) for fault in self.kind.on_wire)

    @property
    def patience(self) -> float:
        """What the user of the moment waits with."""
        return PATIENCE if self.kind.back or self.end == "failed" else IMPATIENCE

    # -- the client ----------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Connect to a server that is known to answer pings."""
        self.client.connect()
        self.client.execute("signalwire.ping")

    def call(self) -> tuple[Phone, Call]:
        """A call that has been answered."""
        self.connect()
        phone = self.sim.call(to=TO, from_=FROM)
        call = self.desk.take()
        call.answer()
        call.wait_for_answered(PATIENCE)
        mute(self.sim)
        self.sim.wait_for_acks(PATIENCE)
        return phone, call

    def command(self, call: Call, patience: float = PATIENCE) -> dict[str, Any]:
        """A command that does nothing but be answered, and would not be repeated."""
        with self.client.timeout(patience):
            return call.denoise()


def outcome(background: Background[Any], *, command: bool = False) -> str:
    """What a user saw; of commands, whether they may have been carried out."""
    try:
        background.result(PATIENCE)
    except RelayError as error:
        return named(error) if command else type(error).__name__
    return "value"


def named(error: RelayError) -> str:
    name = type(error).__name__
    return f"{name}, {'sent' if error.sent else 'not sent'}" if isinstance(error, ConnectionLost) else name


# -- connecting --------------------------------------------------------------------------------------------------------


def before_connect(stage: Stage) -> str:
    for fault in stage.kind.on_wire:
        stage.proxy.apply(fault)
    if stage.kind.at_server is not None:
        stage.kind.at_server(stage)
    return outcome(Background(stage.client.connect, stage.patience))


def upgrade(stage: Stage) -> str:
    stage.strike_upgrade()
    return outcome(Background(stage.client.connect, stage.patience))


def authentication(stage: Stage) -> str:
    stage.sim.hold("signalwire.connect", times=1)
    connecting = Background(stage.client.connect, stage.patience)
    stage.sim.wait_for_held("signalwire.connect", PATIENCE)
    stage.strike()
    stage.sim.release()
    return outcome(connecting)


# -- commands ----------------------------------------------------------------------------------------------------------


def unsent(stage: Stage) -> str:
    _, call = stage.call()
    since = len(stage.states)
    stage.proxy.refuse("unreachable")
    stage.proxy.cut("reset")
    stage.wait_for_state("reconnecting", since)
    waiting = Background(stage.command, call, stage.patience)
    loop = stage.client._link.loop
    while loop is not None and loop.session.unanswered == 0:
        assert waiting.running
    stage.strike_upgrade()
    if stage.kind.back or stage.end == "failed":
        stage.proxy.refuse(None)
    elif isinstance(stage.kind.on_wire[-1], Refuse):
        stage.proxy.apply(stage.kind.on_wire[-1])
    return outcome(waiting, command=True)


def sent(stage: Stage) -> str:
    _, call = stage.call()
    stage.sim.hold("calling.denoise")
    waiting = Background(stage.command, call)
    stage.sim.wait_for_held("calling.denoise", PATIENCE)
    stage.strike_and_settle(releases=True)
    return outcome(waiting, command=True)


def answered(stage: Stage) -> str:
    _, call = stage.call()
    stage.command(call)
    stage.strike_and_settle()
    return outcome(Background(stage.command, call, stage.patience), command=True)


def in_a_callback(stage: Stage) -> str:
    phone, call = stage.call()
    seen: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listener(event: RelayEvent) -> None:
        try:
            stage.command(call)
        except RelayError as error:
            seen.put(named(error))
        else:
            seen.put("value")

    call.on(NOTE, listener)
    stage.sim.hold("calling.denoise")
    note(stage, phone)
    stage.sim.wait_for_held("calling.denoise", PATIENCE)
    stage.strike_and_settle(releases=True)
    return seen.get(timeout=PATIENCE)


# -- waiting -----------------------------------------------------------------------------------------------------------


def note(stage: Stage, phone: Phone) -> None:
    """Something happens to the call."""
    stage.sim.send_event(NOTE, {"call_id": phone.call_id, "node_id": stage.sim.settings.node, "state": "success"})


def an_action(stage: Stage) -> str:
    phone, call = stage.call()
    action = call.play_silence(600)
    waiting = Background(action.wait, stage.patience)
    stage.strike_and_settle()
    params = {"call_id": phone.call_id, "node_id": stage.sim.settings.node, "control_id": action.control_id}
    stage.sim.send_event("calling.call.play", {**params, "state": "finished"})
    return outcome(waiting)


def a_dial(stage: Stage) -> str:
    stage.connect()
    mute(stage.sim)
    # The leg is the test's own: the simulator does not know it, and must not say so when the client asks after a resume.
    stage.sim.refuse(QUESTIONS[0], 409, "no such realm", times=None)
    stage.sim.wait_for_acks(PATIENCE)
    dialling = Background(lambda: stage.client.dial(to=TO, from_=FROM, tag="t", dial_timeout=stage.patience))
    stage.sim.journal.wait_for(lambda entry: entry.method == "calling.dial", PATIENCE)
    leg = {"node_id": "n", "call_id": "leg", "tag": "t", "direction": "outbound", "call_state": "ringing"}
    stage.sim.send_event("calling.call.state", leg)
    stage.sim.wait_for_acks(PATIENCE)
    stage.strike_and_settle()
    won = {**leg, "call_state": "answered", "dial_winner": "true"}
    stage.sim.send_event("calling.call.dial", {"node_id": "n", "tag": "t", "dial_state": "answered", "call": won})
    return outcome(dialling)


def waiting_for_an_event(wait: Callable[[Stage, Call], Any]) -> Callable[[Stage], str]:
    """The moment in which a thread waits for something to happen to a call."""

    def moment(stage: Stage) -> str:
        phone, call = stage.call()
        waiting = Background(wait, stage, call)
        while not core_of(call).readers:
            assert waiting.running
        stage.strike_and_settle()
        if wait is by_events and stage.patience == IMPATIENCE:
            # It waits for as long as there is a session to hope for; where there is none, until the client is closed.
            stage.client.disconnect()
        note(stage, phone)
        return outcome(waiting)

    return moment


def by_wait_for(stage: Stage, call: Call) -> None:
    call.wait_for(NOTE, timeout=stage.patience)


def by_expect(stage: Stage, call: Call) -> None:
    with call.expect(NOTE, timeout=stage.patience) as seen:
        pass
    assert seen.value is not None


def by_events(stage: Stage, call: Call) -> None:
    assert next(call.events()).event_type == NOTE


def for_the_end(stage: Stage) -> str:
    phone, call = stage.call()
    waiting = Background(call.wait_for_ended, stage.patience)
    while not core_of(call).readers:
        assert waiting.running
    stage.strike_and_settle()
    phone.hang_up()
    return outcome(waiting)


def an_end_in_the_gap(stage: Stage) -> str:
    """The call ends while there is no connection, and nobody tells of it afterwards."""
    phone, call = stage.call()
    waiting = Background(call.wait_for_ended, stage.patience)
    while not core_of(call).readers:
        assert waiting.running
    stage.strike_while(phone.hang_up)
    return outcome(waiting)


def an_actions_end_in_the_gap(stage: Stage) -> str:
    _, call = stage.call()
    waiting = Background(call.play_silence(600).wait, stage.patience)
    stage.strike_while(lambda: stage.sim.refuse("calling.play.volume", 404, "Playback not found", times=None))
    return outcome(waiting)


def an_answer_in_the_gap(stage: Stage) -> str:
    """The server has acknowledged that it answers; the event that says so is lost."""
    stage.connect()
    stage.sim.call(to=TO, from_=FROM)
    call = stage.desk.take()
    stage.sim.drop_event("calling.call.state", state="answered", times=None)
    call.answer()
    waiting = Background(call.wait_for_answered, stage.patience)
    while not core_of(call).readers:
        assert waiting.running
    stage.strike_while(lambda: None)
    return outcome(waiting)


def a_message(stage: Stage) -> tuple[Message, Background[RelayEvent]]:
    """One on its way, and whoever waits for its end."""
    stage.connect()
    stage.sim.drop_event("messaging.state", times=None)
    message = stage.client.send_message(to_number=TO, from_number=FROM, body="hello")
    return message, Background(message.wait, stage.patience)


def for_a_message(stage: Stage) -> str:
    message, waiting = a_message(stage)
    stage.strike_and_settle()
    stage.sim.faults.clear()
    stage.sim.send_event("messaging.state", {"message_id": message.message_id, "message_state": "delivered"})
    return outcome(waiting)


def a_messages_end_in_the_gap(stage: Stage) -> str:
    _, waiting = a_message(stage)
    lost = stage.strike_while(lambda: None)
    loop = stage.client._link.loop
    if stage.kind.back and loop is not None:
        stage.wait_for_state("connected", lost)
        later = time.monotonic() + NEWS_PATIENCE + 1.0
        loop.change(lambda session: stage.client._router.on_watch(later))
    return outcome(waiting)


# -- closing -----------------------------------------------------------------------------------------------------------


def closing(stage: Stage) -> str:
    """``disconnect(hangup_calls=True)`` while it waits for a call to end: it returns, and nothing of it stays behind."""
    stage.call()
    stage.sim.drop_event("calling.call.state", times=None)
    ending = Background(lambda: stage.client.disconnect(1.0, hangup_calls=True))
    stage.sim.journal.wait_for(lambda entry: entry.method == "calling.end", PATIENCE)
    stage.strike()
    ending.result(PATIENCE)
    # Failed, where the server refused the credentials for good before the end had its turn.
    assert stage.client.state in ("closed", "failed")
    return outcome(Background(stage.client.execute, "signalwire.ping"))


# -- the lists ---------------------------------------------------------------------------------------------------------


def leaves(stage: Stage) -> None:
    stage.sim.restart(False)


def restarts(stage: Stage) -> None:
    stage.sim.restart(True)


def forgets(stage: Stage) -> None:
    stage.sim.forget_sessions()
    stage.proxy.cut("reset")


def revokes(stage: Stage) -> None:
    stage.sim.fail("signalwire.connect", -32002, "authentication failed: 401", times=None)
    stage.proxy.cut("reset")


FAULTS: Final[dict[str, Kind]] = {
    "closed": Kind(told="the connection is closed in order (FIN)", on_wire=(Cut("fin"),)),
    "reset": Kind(told="the connection is reset (RST)", on_wire=(Cut("reset"),)),
    "silent": Kind(
        told="nothing passes in either direction, without any notice", on_wire=(Cut("silent"),), silent=True
    ),
    "one way": Kind(
        told="nothing from the client arrives, while the platform keeps sending",
        on_wire=(Cut("deaf"),),
        silent=True,
        talks=True,
    ),
    "up stalled": Kind(told="the platform stops reading", on_wire=(Stall("up"),), silent=True),
    "down stalled": Kind(told="nothing from the platform arrives", on_wire=(Stall("down"),), silent=True),
    "slow": Kind(told="3,000 bytes per second", on_wire=(Shape("both", rate=3000),), breaks=False),
    "split": Kind(told="every byte in its own TCP segment", on_wire=(Shape("both", segment=1),), breaks=False),
    "merged": Kind(
        told="all bytes are held for 0.1 s, then sent together", on_wire=(Shape("both", hold=0.1),), breaks=False
    ),
    "corrupt up": Kind(told="one byte from the client is corrupted", on_wire=(Corrupt("up"),), provoke=True),
    "corrupt down": Kind(told="one byte from the platform is corrupted", on_wire=(Corrupt("down"),), provoke=True),
    "refused": Kind(
        told="reset, and no new connection for 0.3 s", on_wire=(Cut("reset"), Refuse("unreachable", seconds=0.3))
    ),
    "gone": Kind(
        told="reset, and new connections fail from then on", on_wire=(Cut("reset"), Refuse("unreachable")), back=False
    ),
    "swallowed": Kind(
        told="nothing passes, and new connections are never answered",
        on_wire=(Cut("silent"), Refuse("silent")),
        back=False,
        silent=True,
    ),
    "leaves": Kind(told="`signalwire.disconnect`, `restart: false`", at_server=leaves, answers=True),
    "restarts": Kind(told="`signalwire.disconnect`, `restart: true`", at_server=restarts, answers=True),
    "forgets": Kind(told="reset, and the session cannot be resumed", at_server=forgets),
    "revokes": Kind(told="reset, and the credentials are rejected from then on", at_server=revokes, back=False),
}

MOMENTS: Final[dict[str, tuple[str, Callable[[Stage], str]]]] = {
    "before": ("before `connect()`", before_connect),
    "upgrade": ("during the upgrade", upgrade),
    "authentication": ("during authentication", authentication),
    "unsent": ("a command waits to be sent", unsent),
    "sent": ("a command was sent, and its reply has not arrived", sent),
    "answered": ("a reply has arrived; the next command", answered),
    "callback": ("a command was sent in a callback, and its reply has not arrived", in_a_callback),
    "action": ("during `action.wait()`", an_action),
    "dial": ("during `dial()`", a_dial),
    "wait_for": ("during `wait_for()`", waiting_for_an_event(by_wait_for)),
    "expect": ("during `expect()`", waiting_for_an_event(by_expect)),
    "events": ("during `events()`", waiting_for_an_event(by_events)),
    "wait_for_ended": ("during `wait_for_ended()`", for_the_end),
    "gap": ("during `wait_for_ended()`; the end is missed while disconnected", an_end_in_the_gap),
    "action gap": ("during `action.wait()`; the end is missed while disconnected", an_actions_end_in_the_gap),
    "answer gap": ("during `wait_for_answered()`; the answer is missed while disconnected", an_answer_in_the_gap),
    "message": ("during `message.wait()`", for_a_message),
    "message gap": ("during `message.wait()`; the end is missed while disconnected", a_messages_end_in_the_gap),
    "closing": ("during `disconnect()`; the next command", closing),
}


@contextmanager
def stage(kind: Kind, *, tls: bool = False) -> Iterator[Stage]:
    """A client that is not connected yet, and everything around it."""
    patient: dict[str, Any] = {"ping_interval": 0.3, "ping_timeout": 0.7} if kind.silent else {}
    context = tls_context() if tls else None
    # Where it goes on talking, the server is patient as well: the client has to find it.
    pings = None if kind.talks else 10.0
    server = Simulator(media="fast", on_bad_resume="fresh", ssl_context=context, ping_interval=pings)
    with server as sim, FaultProxy(sim.port) as proxy:
        client = RelayClient(
            **proxy.through(sim),
            ca_file=CERTIFICATE if tls else None,
            contexts=["default"],
            connect_timeout=1.0 if kind.silent else PATIENCE,
            request_timeout=PATIENCE,
            on_state=lambda state: made.on_state(state),
            **patient,
        )
        desk = Desk(client)
        made = Stage(kind, sim, proxy, client, desk)
        talking = Background(made.talk) if kind.talks else None
        try:
            yield made
        finally:
            desk.closing.set()
            client.disconnect()
            made.over.set()
            if talking is not None:
                talking.result(PATIENCE)
