"""The telephone network: calls, the clients that they are offered to, and their states. Runs on the loop's thread.

Documented: an inbound call is offered as ``calling.call.receive``, in state ``created``, to one of the clients that share its
context. ``calling.call.state`` reports later states. ``calling.pass`` offers the call to another client. The simulator's choices
where the sources are silent:

* The client that was offered a call longest ago gets the next one. Calls without a client wait, first come, first served.
* ``ringing`` follows the offer at once. A call that is offered again has ``ringing`` in its ``receive`` event.
* A client is not offered a call again that it has passed, and can no longer command it (404).
* An unanswered call whose client has no socket is offered to the next client that connects; if the same client resumes first,
  it keeps the call.
* A caller gives up after ``ring_timeout`` seconds: the call ends with ``noAnswer`` if a client had it, otherwise with
  ``abandoned``.
* ``end_source`` is ``inbound`` if the caller ended the call, ``outbound`` if the callee did, ``none`` for the network.
* An answered call continues without its client until the caller hangs up.
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Protocol

from attrs import define, field

from ...threads.logs import get as log_of
from ..core.clock import CallClock
from ..core.noticeboard import Noticeboard
from ..core.session import ServerSession
from ..core.world import World
from ..media.hearing import Audible, Ear
from ..media.played import Played
from ..media.stream import Stream
from ..media.voice import SILENCE, Voice
from .party import Party

__all__ = ["Activity", "Network", "NetworkCall", "device"]

_log = log_of("relay_sync.simulator").later
MOST_TOLD = 1_000
# What a caller's number looks like on the wire, by kind of device.
_NUMBERS = {"phone": ("from_number", "to_number"), "sip": ("from", "to")}


def device(to: str, from_: str) -> dict[str, Any]:
    """Return a party as events describe it: a SIP device if either address is a SIP address, else a phone."""
    kind = "sip" if to.startswith(("sip:", "sips:")) or from_.startswith(("sip:", "sips:")) else "phone"
    origin, target = _NUMBERS[kind]
    return {"type": kind, "params": {origin: from_, target: to}}


def _now() -> int:
    """Return epoch milliseconds, as in events."""
    return int(time.time() * 1000)


class Activity(Protocol):
    """An operation that a command started on a call; see :mod:`relay_sync.simulator.methods.operation`."""

    @property
    def method(self) -> str:
        """The command that started it."""

    @property
    def control_id(self) -> str:
        """The id that the client chose; ``""`` where the method has none."""

    @property
    def goes_on(self) -> bool:
        """Whether it counts as running, or only waits for a trigger."""

    @property
    def over(self) -> bool:
        """Whether it has ended."""

    @property
    def engages(self) -> str:
        """The text of refusals while it diverts the call's audio; ``""`` while it does not."""

    def hearing(self) -> list[Played]:
        """Return what the party is hearing because of it."""

    def sounds(self) -> Sequence[tuple[Hashable, Voice, float]]:
        """Return its sounds; see :class:`~relay_sync.simulator.media.hearing.Sounding`."""

    def on_key(self, digit: str) -> None:
        """The party pressed a digit."""

    def on_words(self, text: str) -> None:
        """The party said something."""

    def on_silence(self) -> None:
        """The party lets the time for an answer pass."""

    def stop(self) -> None:
        """The client stops it."""

    def call_ended(self) -> None:
        """The call is ending."""


@define(eq=False, kw_only=True)
class NetworkCall:
    """One leg.

    :ivar state: ``created``, ``ringing``, ``answered``, ``ending`` or ``ended``. ``reached`` has all states so far.
    :ivar owner: the session that receives its events, if any. ``passed`` has the protocols of sessions that passed it.
    :ivar says: what the party on this leg says (the inbound track).
    :ivar hears: what it hears (the outbound track).
    :ivar streams: all its streams in order, finished ones included.
    :ivar party: the party at the far end.
    :ivar operations: the operations running on it.
    :ivar parent: the call that it was dialed for, as in events.
    :ivar watchers: called with the call for each new state.
    :ivar bridge: the bridge that another call has joined it with.
    :ivar others: the calls whose parties this one's hears.
    :ivar ears: what records the audio that it hears, see ``hearing``.
    :ivar clock: its own time; set once the network has the call.
    :ivar network: its network; set once the network has the call.
    :ivar features: switched-on features: ``on hold``, ``denoised``.
    :ivar transferred: whether it is being transferred to another context.
    :ivar winner: whether it is the answered leg of a dial.
    :ivar speaking_since: when the speech started, by the simulation's clock: when the first stream that carries it started;
        ``None`` before.
    """

    node_id: str
    device: dict[str, Any]
    context: str
    direction: str = "inbound"
    call_id: str = field(factory=lambda: str(uuid.uuid4()))
    segment_id: str = field(factory=lambda: str(uuid.uuid4()))
    tag: str = ""
    says: Voice = SILENCE
    hears: Voice = SILENCE
    hangs_up_after_speaking: bool = False
    state: str = "created"
    reached: set[str] = field(factory=lambda: {"created"})
    owner: ServerSession | None = None
    passed: set[str] = field(factory=set)
    streams: list[Stream] = field(factory=list, repr=False)
    party: Party = field(factory=Party, repr=False)
    operations: list[Activity] = field(factory=list, init=False, repr=False)
    parent: dict[str, Any] | None = field(default=None, repr=False)
    bridge: Activity | None = field(default=None, init=False, repr=False)
    others: list[Audible] = field(factory=list, init=False, repr=False)
    ears: list[Ear] = field(factory=list, init=False, repr=False)
    transferred: bool = field(default=False, init=False)
    features: set[str] = field(factory=set, init=False)
    watchers: list[Callable[[NetworkCall], None]] = field(factory=list, init=False, repr=False)
    winner: bool | str | None = None
    speaking_since: float | None = None
    start_time: int = field(factory=_now)
    answer_time: int = 0
    end_time: int = 0
    end_reason: str = ""
    end_source: str = ""
    clock: CallClock = field(init=False, repr=False)
    network: Network = field(init=False, repr=False)
    board: Noticeboard = field(factory=Noticeboard, repr=False)

    @property
    def over(self) -> bool:
        """Whether it is ending or ended."""
        return self.state in ("ending", "ended")

    @property
    def far_side(self) -> str:
        """The party's side, as ``end_source`` names it."""
        return self.direction

    @property
    def near_side(self) -> str:
        """Our side, as ``end_source`` names it."""
        return "outbound" if self.direction == "inbound" else "inbound"

    @property
    def number(self) -> str:
        """The party's own number or address."""
        return self._address(self.direction == "inbound")

    @property
    def our_number(self) -> str:
        """The number or address of our side."""
        return self._address(self.direction != "inbound")

    @property
    def on_offer(self) -> bool:
        """Whether a client may take it: an unanswered inbound call, or a call transferred to a context."""
        ringing = self.direction == "inbound" and self.state in ("created", "ringing")
        return ringing or (self.transferred and not self.over)

    @property
    def numbers(self) -> tuple[str, str]:
        """The caller's and the callee's address."""
        return self._address(True), self._address(False)

    def _address(self, caller: bool) -> str:
        params = self.device["params"]
        names = ("from_number", "from") if caller else ("to_number", "to")
        return str(next((params[name] for name in names if name in params), ""))

    def address(self) -> dict[str, Any]:
        """The members that every event about the call carries."""
        found = {"node_id": self.node_id, "call_id": self.call_id, "segment_id": self.segment_id}
        return {**found, "tag": self.tag} if self.tag else found

    def body(self, state: str = "") -> dict[str, Any]:
        """Return the full body of ``calling.call.state`` for a state, by default the current one. Times are epoch milliseconds,
        0 until
        reached.
        """
        told = {
            **self.address(),
            "call_state": state or self.state,
            "direction": self.direction,
            "device": self.device,
            "start_time": self.start_time,
            "answer_time": self.answer_time,
            "end_time": self.end_time,
        }
        if self.parent is not None:
            told["parent"] = self.parent
        if self.winner is not None:
            told["dial_winner"] = self.winner
        if self.end_reason:
            told.update(end_reason=self.end_reason, end_source=self.end_source)
        return told

    def offer(self) -> dict[str, Any]:
        """The body of ``calling.call.receive``."""
        about = {"call_state": self.state, "context": self.context, "direction": self.direction, "device": self.device}
        return {**self.address(), **about}

    def hang_up(self) -> None:
        """The party hangs up."""
        self.network.end(self, "hangup", self.far_side)

    def speak(self) -> float:
        """Let the party speak if it has not started. Return simulated seconds since it started."""
        now = self.clock.now
        if self.speaking_since is None:
            self.speaking_since = now
        return (now - self.speaking_since) / self.clock.second

    def heard(self) -> list[Played]:
        """Return what the party has heard and is hearing, up to now; from any thread."""
        return [*self.party.heard, *self.hearing()]

    def hearing(self) -> list[Played]:
        """Return what the party is hearing, up to now; from any thread."""
        return [item for operation in list(self.operations) for item in operation.hearing()]

    def flowing(self, control_id: str) -> Stream | None:
        """Return the unfinished stream with an id."""
        return next((each for each in self.streams if each.control_id == control_id and not each.over), None)


@define(eq=False)
class Network:
    """The live calls.

    :ivar dials: the tags of the running dials.
    """

    _world: World = field(repr=False)
    calls: dict[str, NetworkCall] = field(factory=dict, init=False)
    dials: set[str] = field(factory=set, init=False, repr=False)
    #: Kinds of waiting items, with their contexts, that were logged.
    _told: set[tuple[str, str]] = field(factory=set, init=False, repr=False)
    _turns: itertools.count[int] = field(factory=lambda: itertools.count(1), init=False, repr=False)

    def find(self, call_id: str, node_id: str, session: ServerSession) -> NetworkCall | None:
        """Return the live call if a session may command it: any of its project that it has not passed."""
        call = self.calls.get(call_id)
        if call is None or call.over or call.node_id != node_id or session.protocol in call.passed:
            return None
        return call

    def _add(self, call: NetworkCall) -> None:
        call.board.settle = self._world.settle
        call.clock = CallClock(self._world.clock, lambda: self._world.pace)
        call.network = self
        self.calls[call.call_id] = call

    # -- offering ------------------------------------------------------------------------------------------------------

    def ring(self, call: NetworkCall, patience: float) -> None:
        """Place an inbound call; the caller gives up after ``patience`` seconds."""
        self._add(call)
        call.clock.set("patience", patience, call.clock.second, self._give_up, call)
        self._offer(call)

    def _offer(self, call: NetworkCall) -> None:
        candidates = [
            session for session in self._world.subscribers(call.context) if session.protocol not in call.passed
        ]
        if not candidates:
            call.owner = None
            if call.on_offer:
                self.tell_waiting("the call from {} to {}".format(*call.numbers), "call", call.context)
            return
        session = call.owner = self.next_one(candidates)
        call.transferred = False
        self._world.emit(session, "calling.call.receive", call.offer(), context=call.context)
        if call.state == "created":
            self.move(call, "ringing")

    def unheard(self, call: NetworkCall) -> str:
        """Return why a call waits for a client; ``""`` if a client has it, or could have it. From any thread."""
        if not call.on_offer or call.owner is not None:
            return ""
        return self.unheard_context(call.context)

    def unheard_context(self, context: str) -> str:
        """Return that no client has subscribed to a context; ``""`` if one has. From any thread."""
        sessions = [client.session for client in list(self._world.clients.values()) if not client.leaving]
        contexts = {each for session in sessions if session is not None for each in list(session.contexts)}
        if context in contexts:
            return ""
        known = ", ".join(map(repr, sorted(contexts)))
        others = f"clients have subscribed to {known}" if contexts else "clients have subscribed to none"
        return f"no client has subscribed to context {context!r}; {others}"

    def tell_waiting(self, what: str, kind: str, context: str) -> None:
        """Log once for each context that its calls, messages or tasks wait, if a client is connected."""
        reason = self.unheard_context(context)
        connected = any(each.session for each in self._world.clients.values())
        if reason and connected and (kind, context) not in self._told:
            if len(self._told) < MOST_TOLD:
                self._told.add((kind, context))
            _log.warning("%s waits: %s", what, reason)

    def next_one(self, candidates: Iterable[ServerSession]) -> ServerSession | None:
        """Return the candidate whose last offer was longest ago, and count this offer."""
        session = min(candidates, key=lambda each: each.offered_at, default=None)
        if session is not None:
            session.offered_at = next(self._turns)
        return session

    def welcome(self, session: ServerSession) -> None:
        """Offer a client the calls that wait for one."""
        for call in list(self.calls.values()):
            stranded = call.owner is None or (call.owner is not session and call.owner.client is None)
            if call.on_offer and stranded and call.context in session.contexts and session.protocol not in call.passed:
                self._offer(call)

    def pass_on(self, call: NetworkCall, session: ServerSession) -> None:
        """Offer a call that a session has passed to another session."""
        call.passed.add(session.protocol)
        if call.owner is session:
            self._offer(call)

    def transfer(self, call: NetworkCall, session: ServerSession, dest: Any) -> None:
        """Transfer a call for a session: to a context, or to a destination that the simulator does not implement."""
        for stream in call.streams:
            stream.finish("the call was transferred", announce=self._world.settings.finish_streams)
        for operation in list(call.operations):
            operation.call_ended()
        call.passed.add(session.protocol)
        call.owner = None
        if isinstance(dest, str) and dest.startswith("context:"):
            call.context, call.transferred = dest.removeprefix("context:"), True
            self._offer(call)

    def abandon(self, session: ServerSession) -> None:
        """Handle the permanent end of a session: its calls have no owner, and unanswered ones are offered to other clients."""
        for call in list(self.calls.values()):
            if call.owner is session:
                call.owner = None
                if call.on_offer:
                    self._offer(call)

    def _give_up(self, call: NetworkCall) -> None:
        self.end(call, "noAnswer" if call.owner is not None else "abandoned", call.far_side)

    # -- outbound calls ------------------------------------------------------------------------------------------------

    def place(self, call: NetworkCall) -> None:
        """Add a call from the application to a party."""
        self._add(call)
        self.move(call, "created")

    def ringing(self, call: NetworkCall) -> None:
        """Let it ring at the far end."""
        if call.state == "created":
            self.move(call, "ringing")

    def pick_up(self, call: NetworkCall, max_duration: int | None = None) -> None:
        """Let the party answer, unless it is too late."""
        if call.state in ("created", "ringing"):
            dialed = call.parent is None
            call.winner = ("true" if self._world.settings.dial_winner == "string" else True) if dialed else None
            self.answer(call, max_duration)

    # -- states --------------------------------------------------------------------------------------------------------

    def move(self, call: NetworkCall, state: str) -> None:
        """Change the state of a call and notify its owner."""
        self._world.emit(call.owner, "calling.call.state", call.body(state))
        call.state = state  # after the event, which the journal then has
        call.reached.add(state)
        call.board.changed()
        for watcher in list(call.watchers):
            watcher(call)

    def answer(self, call: NetworkCall, max_duration: int | None = None) -> None:
        """Answer a call. ``max_duration`` is in seconds, as in AsyncAPI (the porting guide has minutes)."""
        call.clock.cancel("patience")
        call.answer_time = _now()
        if max_duration:
            slow = self._world.pace.timeout(1.0)
            call.clock.set("max_duration", max_duration, slow, self.end, call, "maxDuration", "none")
        cue = call.party.behavior.hangs_up_after
        if isinstance(cue, int | float):
            call.clock.set("leaving", cue, call.clock.second, call.hang_up)
        self.move(call, "answered")

    def end(self, call: NetworkCall, reason: str, source: str) -> None:
        """End a call, its streams first. Does nothing if it is over, or was never added."""
        if call.over or call.call_id not in self.calls:
            return
        call.clock.clear()
        call.end_reason, call.end_source = reason, source
        self.move(call, "ending")
        for stream in call.streams:
            stream.finish("the call ended", announce=self._world.settings.finish_streams)
        for operation in list(call.operations):
            operation.call_ended()
        call.end_time = _now()
        self.move(call, "ended")
        self.calls.pop(call.call_id, None)

    # -- what the party does -------------------------------------------------------------------------------------------

    def press(self, call: NetworkCall, digits: str) -> None:
        """Let the party press digits: every open stream and every operation of the call receives them."""
        for digit in digits:
            for stream in call.streams:
                stream.dtmf(digit)
            for operation in list(call.operations):
                if not operation.over:
                    operation.on_key(digit)

    def say(self, call: NetworkCall, text: str) -> None:
        """Let the party say something: every operation of the call receives it."""
        for operation in list(call.operations):
            if not operation.over:
                operation.on_words(text)

    def keep_silent(self, call: NetworkCall) -> None:
        """Let the party do nothing from now on: timeouts that wait for it expire at once."""
        call.party.silent = True
        for operation in list(call.operations):
            if not operation.over:
                operation.on_silence()

    def listened(self, call: NetworkCall, item: Played) -> None:
        """Handle that an item was played to its end: the party may hang up."""
        if call.state == "answered" and call.party.has_heard_enough(item):
            call.hang_up()
