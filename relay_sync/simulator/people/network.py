"""The telephone network: calls, who is offered them, and what becomes of them. All of it runs on the loop's thread.

What the sources say: an inbound call is offered as ``calling.call.receive``, in state ``created``, to one of the
clients that share its context; later states are told by ``calling.call.state``; ``calling.pass`` has it offered to
another. Where they are silent the simulator's choices are:

* The client whose turn was longest ago gets the call. A call that nobody wants yet waits, first come first served.
* ``ringing`` follows the offer at once. A call that is offered again says ``ringing`` in its ``receive`` event.
* A client is not offered again what it has passed, and can command it no more (404).
* An unanswered call whose client has no socket is offered to the next client that comes; if the same one resumes
  first, it keeps it.
* A caller gives up after his patience (``ring_timeout``): the call ends with ``noAnswer`` if a client had it, with
  ``abandoned`` if none did.
* ``end_source`` is ``inbound`` where the caller of a call ended it, ``outbound`` where the one who was called did,
  ``none`` for the network. Our side is the one that is not on the far end.
* A call that was answered lives on when its client is gone, until the caller hangs up.
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
    """How a party is described in events: a SIP device if either address is one, else a phone."""
    kind = "sip" if to.startswith(("sip:", "sips:")) or from_.startswith(("sip:", "sips:")) else "phone"
    origin, target = _NUMBERS[kind]
    return {"type": kind, "params": {origin: from_, target: to}}


def _now() -> int:
    """Epoch milliseconds, as the events tell times."""
    return int(time.time() * 1000)


class Activity(Protocol):
    """What goes on on a call because of a command; see :mod:`relay_sync.simulator.methods.operation`."""

    @property
    def method(self) -> str:
        """The command that started it."""

    @property
    def control_id(self) -> str:
        """As the client chose it; ``""`` where the method has none."""

    @property
    def goes_on(self) -> bool:
        """Whether it counts among what goes on on the call, or only waits for its occasion."""

    @property
    def over(self) -> bool:
        """Whether it has ended."""

    @property
    def engages(self) -> str:
        """What a refusal says while it leads the call's audio elsewhere; ``""`` while it does not."""

    def hearing(self) -> list[Played]:
        """What the party is hearing because of it."""

    def sounds(self) -> Sequence[tuple[Hashable, Voice, float]]:
        """What sounds because of it; see :class:`~relay_sync.simulator.media.hearing.Sounding`."""

    def on_key(self, digit: str) -> None:
        """The party pressed a key."""

    def on_words(self, text: str) -> None:
        """The party said something."""

    def on_silence(self) -> None:
        """The party lets all the time pass that one has for an answer."""

    def stop(self) -> None:
        """The client wants it to end."""

    def call_ended(self) -> None:
        """The call is ending."""


@define(eq=False, kw_only=True)
class NetworkCall:
    """One leg.

    :ivar state: ``created``, ``ringing``, ``answered``, ``ending`` or ``ended``. ``reached`` has all it has been in.
    :ivar owner: the session that is told of it, if any. ``passed`` has the protocols of those that gave it back.
    :ivar says: what the party on this leg says (the inbound track). :ivar hears: what it hears (the outbound track).
    :ivar streams: all its streams in order, ended ones too.
    :ivar party: who is on the far end. :ivar operations: what goes on on it.
    :ivar parent: the call that it was dialed for, as events tell it. :ivar watchers: are told of each new state.
    :ivar bridge: the bridge that another call has joined it by.
    :ivar others: the calls whose parties this one's hears, :ivar ears: and what takes down what it hears, see ``hearing``.
    :ivar clock: its own time, :ivar network: and the network that it is in; there once the network knows it.
    :ivar features: what is switched on: ``on hold``, ``denoised``. :ivar transferred: whether it is on its
        way to another context.
    :ivar winner: whether it is the leg of a dial that was answered.
    :ivar speaking_since: when the speech began by the story's clock, which is when the first stream that carries it began to
        flow; ``None`` before.
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
        """Whether it is for a client to take: somebody calls and nobody has answered, or it was handed over to a context."""
        ringing = self.direction == "inbound" and self.state in ("created", "ringing")
        return ringing or (self.transferred and not self.over)

    @property
    def numbers(self) -> tuple[str, str]:
        """The caller's and the called one."""
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
        """The full body of ``calling.call.state``, for a state that it is about to be in, or is in. Times are epoch
        milliseconds, 0 until reached.
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
        """The party speaks, from now on if it has not begun. Seconds of the story since then."""
        now = self.clock.now
        if self.speaking_since is None:
            self.speaking_since = now
        return (now - self.speaking_since) / self.clock.second

    def heard(self) -> list[Played]:
        """What the party has heard, and what it is hearing, as far as that has got; from any thread."""
        return [*self.party.heard, *self.hearing()]

    def hearing(self) -> list[Played]:
        """What the party is hearing, as far as that has got; from any thread."""
        return [item for operation in list(self.operations) for item in operation.hearing()]

    def flowing(self, control_id: str) -> Stream | None:
        """The stream of that id that has not finished."""
        return next((each for each in self.streams if each.control_id == control_id and not each.over), None)


@define(eq=False)
class Network:
    """The live calls.

    :ivar dials: the tags of the dials that are under way.
    """

    _world: World = field(repr=False)
    calls: dict[str, NetworkCall] = field(factory=dict, init=False)
    dials: set[str] = field(factory=set, init=False, repr=False)
    #: Kinds of what waits, with their contexts, for which that was said.
    _told: set[tuple[str, str]] = field(factory=set, init=False, repr=False)
    _turns: itertools.count[int] = field(factory=lambda: itertools.count(1), init=False, repr=False)

    def find(self, call_id: str, node_id: str, session: ServerSession) -> NetworkCall | None:
        """The live call that a session may command: any of its project that it has not passed on."""
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
        """A caller calls, and gives up after ``patience`` seconds."""
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
        """Why a call waits for a client, in words; ``""`` where one has it, or could have. From any thread."""
        if not call.on_offer or call.owner is not None:
            return ""
        return self.unheard_context(call.context)

    def unheard_context(self, context: str) -> str:
        """That no client listens to a context, in words; ``""`` where one does. From any thread."""
        sessions = [client.session for client in list(self._world.clients.values()) if not client.leaving]
        contexts = {each for session in sessions if session is not None for each in list(session.contexts)}
        if context in contexts:
            return ""
        heard = ", ".join(map(repr, sorted(contexts)))
        others = f"clients listen to {heard}" if contexts else "no client listens to any"
        return f"no client listens to context {context!r}; {others}"

    def tell_waiting(self, what: str, kind: str, context: str) -> None:
        """Say once a context that its calls, messages or tasks wait, where somebody is connected who might have been meant."""
        reason = self.unheard_context(context)
        connected = any(each.session for each in self._world.clients.values())
        if reason and connected and (kind, context) not in self._told:
            if len(self._told) < MOST_TOLD:
                self._told.add((kind, context))
            _log.warning("%s waits: %s", what, reason)

    def next_one(self, candidates: Iterable[ServerSession]) -> ServerSession | None:
        """The candidate whose turn was longest ago; it is its turn now."""
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
        """The session does not want the call: offer it to another."""
        call.passed.add(session.protocol)
        if call.owner is session:
            self._offer(call)

    def transfer(self, call: NetworkCall, session: ServerSession, dest: Any) -> None:
        """The session hands the call over: to a context, or to something that the simulator knows nothing of."""
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
        """The session is over for good: nobody is told of its calls, the unanswered ones look for another client."""
        for call in list(self.calls.values()):
            if call.owner is session:
                call.owner = None
                if call.on_offer:
                    self._offer(call)

    def _give_up(self, call: NetworkCall) -> None:
        self.end(call, "noAnswer" if call.owner is not None else "abandoned", call.far_side)

    # -- called by our side --------------------------------------------------------------------------------------------

    def place(self, call: NetworkCall) -> None:
        """Our side calls somebody: the leg is there."""
        self._add(call)
        self.move(call, "created")

    def ringing(self, call: NetworkCall) -> None:
        """It rings at the far end."""
        if call.state == "created":
            self.move(call, "ringing")

    def pick_up(self, call: NetworkCall, max_duration: int | None = None) -> None:
        """The party answers, unless it is too late."""
        if call.state in ("created", "ringing"):
            dialed = call.parent is None
            call.winner = ("true" if self._world.settings.dial_winner == "string" else True) if dialed else None
            self.answer(call, max_duration)

    # -- states --------------------------------------------------------------------------------------------------------

    def move(self, call: NetworkCall, state: str) -> None:
        """Bring a call into a state and tell its owner."""
        self._world.emit(call.owner, "calling.call.state", call.body(state))
        call.state = state  # only now: whoever sees it finds its event in the journal
        call.reached.add(state)
        call.board.changed()
        for watcher in list(call.watchers):
            watcher(call)

    def answer(self, call: NetworkCall, max_duration: int | None = None) -> None:
        """Somebody picks up. ``max_duration`` is in seconds, as AsyncAPI has it (the porting guide says minutes)."""
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
        """End a call, its streams first. Does nothing if it is over, or never began."""
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
        """The party presses keys: every flowing stream of the call, and whatever listens to keys, is told."""
        for digit in digits:
            for stream in call.streams:
                stream.dtmf(digit)
            for operation in list(call.operations):
                if not operation.over:
                    operation.on_key(digit)

    def say(self, call: NetworkCall, text: str) -> None:
        """The party says something: whatever listens to words is told."""
        for operation in list(call.operations):
            if not operation.over:
                operation.on_words(text)

    def keep_silent(self, call: NetworkCall) -> None:
        """The party says and does nothing, now and from now on: the time it has for it is over at once."""
        call.party.silent = True
        for operation in list(call.operations):
            if not operation.over:
                operation.on_silence()

    def listened(self, call: NetworkCall, item: Played) -> None:
        """Something was played to the party to its end: has it heard enough?"""
        if call.state == "answered" and call.party.has_heard_enough(item):
            call.hang_up()
