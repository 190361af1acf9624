"""The simulated telephone network: calls, their states, and the clients that receive them. Methods must be called on the loop's
thread unless noted otherwise.

As documented, the server offers an inbound call to one of the clients that share its context. The offer is a
``calling.call.receive`` event with the state ``created``. Later states are reported with ``calling.call.state`` events. A client
that sends ``calling.pass`` declines the offer, and the call is offered to another client.

The following behavior is not documented by SignalWire and may differ on the real platform:

* A call is offered to the client that received an offer least recently. If no client is available, calls wait in order of
  arrival.
* The state changes to ``ringing`` immediately after the offer. If a call is offered again, the ``calling.call.receive`` event has
  the state ``ringing``.
* A client that passes a call is not offered the call again, and its commands for the call fail with code 404.
* If a client loses its connection before answering a call, the call is offered to the next client that connects. If the original
  client resumes its session first, it keeps the call.
* The caller gives up after ``ring_timeout`` seconds. The end reason is ``noAnswer`` if a client has the call. Otherwise, it is
  ``abandoned``.
* ``end_source`` is ``inbound`` if the caller ended the call, ``outbound`` if the callee did, and ``none`` if the network did.
* An answered call whose client is gone stays up until the caller hangs up.
* A call for which the test chose no project belongs to the project of the first client that it is offered to. Clients of other
  projects cannot control it: their commands fail with code 404.
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
from ..core.given import Taken
from ..core.noticeboard import Noticeboard
from ..core.session import ServerSession
from ..core.world import World
from ..media.hearing import Audible, Ear
from ..media.live_ear import LiveEar
from ..media.played import Played
from ..media.stream import Stream
from ..media.voice import SILENCE, Sound, Voice
from .party import Party

__all__ = ["Activity", "Network", "NetworkCall", "device"]

_log = log_of("relay_sync.simulator").later
MOST_LOGGED = 1_000
# Names of the parameters for the caller's and the callee's address, by device type.
_NUMBERS = {"phone": ("from_number", "to_number"), "sip": ("from", "to")}


def device(to: str, from_: str) -> dict[str, Any]:
    """Return the ``device`` object for events. Its type is ``sip`` if either address is a SIP address, or ``phone`` otherwise."""
    kind = "sip" if to.startswith(("sip:", "sips:")) or from_.startswith(("sip:", "sips:")) else "phone"
    origin, target = _NUMBERS[kind]
    return {"type": kind, "params": {origin: from_, target: to}}


def _now() -> int:
    """Return the current time in epoch milliseconds, the unit used in events."""
    return int(time.time() * 1000)


class Activity(Protocol):
    """An operation running on a call. See :mod:`relay_sync.simulator.methods.operation`."""

    @property
    def method(self) -> str:
        """The method that started the operation."""

    @property
    def control_id(self) -> str:
        """The control ID chosen by the client, or ``""`` if the method has none."""

    @property
    def counts_as_running(self) -> bool:
        """Whether :meth:`Phone.wait_until_idle` waits for the operation."""

    @property
    def over(self) -> bool:
        """Whether the operation has ended."""

    @property
    def engaged_error(self) -> str:
        """Error message for bridge and conference commands while the operation is running; ``""`` allows them."""

    def hearing(self) -> list[Played]:
        """Return the items now playing to the party, cut at the current position."""

    def sounds(self) -> Sequence[tuple[Hashable, Voice, float]]:
        """Return the voices that the operation is playing. See ``Sounding``."""

    def on_key(self, digit: str) -> None:
        """Handle a digit pressed by the party."""

    def on_words(self, text: str) -> None:
        """Handle speech from the party."""

    def on_silence(self) -> None:
        """Handle silence. The party gives no further input."""

    def stop(self) -> None:
        """Stop the operation at the client's request."""

    def call_ended(self) -> None:
        """Handle the end of the call."""

    def drop(self) -> None:
        """End the operation without sending an event."""


@define(eq=False, kw_only=True)
class NetworkCall:
    """One leg of a call.

    :ivar state: current state: ``created``, ``ringing``, ``answered``, ``ending`` or ``ended``.
    :ivar reached: all states that the call has been in.
    :ivar owner: session that receives the call's events, or ``None``.
    :ivar project: project that the call belongs to; ``""`` until it is offered to a client, if the test chose none.
    :ivar only_for: the only session that the call is offered to, whatever its contexts are; ``None`` allows all sessions.
    :ivar rings: whether the call's state changes to ``ringing`` when the call is offered.
    :ivar passed: protocols of sessions that have passed the call.
    :ivar says: audio from the party on this leg (the inbound track).
    :ivar hears: prepared audio that the party hears (the outbound track).
    :ivar hangs_up_after_speaking: whether the party hangs up after a stream has sent all of the party's speech.
    :ivar streams: all of the call's streams in order, including finished streams.
    :ivar party: party at the far end.
    :ivar operations: operations running on the call.
    :ivar parent: the call for which this leg was dialed, as included in events.
    :ivar bridge: another call's bridge operation that includes this call, or ``None``.
    :ivar others: calls whose parties can be heard on this call.
    :ivar ears: recorders of the audio that the party hears. See :mod:`relay_sync.simulator.media.hearing`.
    :ivar live_ears: live ears of the party. See :mod:`relay_sync.simulator.media.live_ear`.
    :ivar features: enabled features: ``on hold``, ``denoised``.
    :ivar transferred: whether the call is being transferred to another context.
    :ivar watchers: callbacks for state changes; each is called with this call.
    :ivar winner: value of ``dial_winner`` in events, or ``None`` if the call is not a dial's answered leg.
    :ivar speaking_since: clock time at which the party started to speak on the first stream, or ``None`` before it does.
    :ivar clock: the call's clock, set when the network adds the call.
    :ivar network: the call's network, set when it adds the call.
    """

    node_id: str
    device: dict[str, Any]
    context: str
    direction: str = "inbound"
    call_id: str = field(factory=lambda: str(uuid.uuid4()))
    segment_id: str = field(factory=lambda: str(uuid.uuid4()))
    tag: str = ""
    says: Sound = SILENCE
    hears: Sound = SILENCE
    hangs_up_after_speaking: bool = False
    state: str = "created"
    reached: set[str] = field(factory=lambda: {"created"})
    owner: ServerSession | None = None
    project: str = ""
    only_for: ServerSession | None = None
    rings: bool = True
    passed: set[str] = field(factory=set)
    streams: list[Stream] = field(factory=list, repr=False)
    party: Party = field(factory=Party, repr=False)
    operations: list[Activity] = field(factory=list, init=False, repr=False)
    parent: dict[str, Any] | None = field(default=None, repr=False)
    bridge: Activity | None = field(default=None, init=False, repr=False)
    others: list[Audible] = field(factory=list, init=False, repr=False)
    ears: list[Ear] = field(factory=list, init=False, repr=False)
    live_ears: list[LiveEar] = field(factory=list, init=False, repr=False)
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
        """Whether the call is in the state ``ending`` or ``ended``."""
        return self.state in ("ending", "ended")

    @property
    def far_side(self) -> str:
        """The ``end_source`` value if the party ends the call."""
        return self.direction

    @property
    def near_side(self) -> str:
        """The ``end_source`` value if the application ends the call."""
        return "outbound" if self.direction == "inbound" else "inbound"

    @property
    def number(self) -> str:
        """The party's number or address."""
        return self._address(self.direction == "inbound")

    @property
    def our_number(self) -> str:
        """The number or address on the application's side of the call."""
        return self._address(self.direction != "inbound")

    @property
    def on_offer(self) -> bool:
        """Whether the call can be offered to clients, as an unanswered inbound call or a call transferred to a context."""
        ringing = self.direction == "inbound" and self.state in ("created", "ringing")
        return ringing or (self.transferred and not self.over)

    @property
    def numbers(self) -> tuple[str, str]:
        """The caller's and the callee's addresses."""
        return self._address(True), self._address(False)

    def _address(self, caller: bool) -> str:
        params = self.device["params"]
        names = ("from_number", "from") if caller else ("to_number", "to")
        return str(next((params[name] for name in names if name in params), ""))

    def address(self) -> dict[str, Any]:
        """Return the members that identify the call in its events."""
        found = {"node_id": self.node_id, "call_id": self.call_id, "segment_id": self.segment_id}
        return {**found, "tag": self.tag} if self.tag else found

    def body(self, state: str = "") -> dict[str, Any]:
        """Return the parameters of a ``calling.call.state`` event. Times are in epoch milliseconds, or 0 if unset.

        :param state: state to report; defaults to the current state.
        """
        members = {
            **self.address(),
            "call_state": state or self.state,
            "direction": self.direction,
            "device": self.device,
            "start_time": self.start_time,
            "answer_time": self.answer_time,
            "end_time": self.end_time,
        }
        if self.parent is not None:
            members["parent"] = self.parent
        if self.winner is not None:
            members["dial_winner"] = self.winner
        if self.end_reason:
            members.update(end_reason=self.end_reason, end_source=self.end_source)
        return members

    def offer(self) -> dict[str, Any]:
        """Return the parameters of a ``calling.call.receive`` event."""
        about = {"call_state": self.state, "context": self.context, "direction": self.direction, "device": self.device}
        return {**self.address(), **about}

    def hang_up(self) -> None:
        """End the call from the party's side."""
        self.network.end(self, "hangup", self.far_side)

    def speak_on(self, said: float) -> None:
        """Hang up when the rest of the speech has been said, if the party does so, although no stream carries it.

        :param said: seconds of the speech that have been said.
        """
        if self.hangs_up_after_speaking and not self.over:
            self.clock.set("speech", max(0.0, self.says.duration - said), self.clock.second, self.hang_up)

    def heard_again(self) -> None:
        """Cancel what :meth:`speak_on` has scheduled, because a stream carries the speech again."""
        self.clock.cancel("speech")

    def speak(self) -> float:
        """Start the party's speech if necessary, and return the simulated seconds since it started."""
        now = self.clock.now
        if self.speaking_since is None:
            self.speaking_since = now
        return (now - self.speaking_since) / self.clock.second

    def heard(self) -> list[Played]:
        """Return the items that the party has heard, including the items now playing. May be called from any thread."""
        return [*self.party.heard, *self.hearing()]

    def hearing(self) -> list[Played]:
        """Return the items now playing to the party, cut at the current position. May be called from any thread."""
        return [item for operation in list(self.operations) for item in operation.hearing()]

    def flowing(self, control_id: str) -> Stream | None:
        """Return the unfinished stream with the given control ID, or ``None``."""
        return next((each for each in self.streams if each.control_id == control_id and not each.over), None)


@define(eq=False)
class Network:
    """The telephone network and its active calls.

    :ivar calls: active calls by call ID.
    :ivar dials: tags of the dials in progress.
    """

    _world: World = field(repr=False)
    calls: dict[str, NetworkCall] = field(factory=dict, init=False)
    dials: set[str] = field(factory=set, init=False, repr=False)
    #: Pairs of item type and context for which a warning was logged.
    _logged: set[tuple[str, str]] = field(factory=set, init=False, repr=False)
    _turns: itertools.count[int] = field(factory=lambda: itertools.count(1), init=False, repr=False)

    def find(self, call_id: str, node_id: str, session: ServerSession) -> NetworkCall | None:
        """Return an active call, or ``None`` if the call is unknown or the session may not control it.

        A session may control any call in its project except calls that it has passed.
        """
        call = self.calls.get(call_id)
        if call is None or call.over or call.node_id != node_id or session.protocol in call.passed:
            return None
        return call if call.project in ("", session.project) else None

    def _add(self, call: NetworkCall) -> None:
        call.board.settle = self._world.settle
        call.clock = CallClock(self._world.clock, lambda: self._world.pace)
        call.network = self
        self.calls[call.call_id] = call

    def _tell(self, call: NetworkCall) -> None:
        """Report a call's state as a live event."""
        caller, callee = call.numbers
        self._world.feed.tell(
            "call",
            lambda: {
                "id": call.call_id,
                "state": call.state,
                "direction": call.direction,
                "from": caller,
                "to": callee,
                "context": call.context,
                "end_reason": call.end_reason,
            },
        )

    # -- offers --------------------------------------------------------------------------------------------------------

    def adopt(self, call: NetworkCall) -> None:
        """Add a call in the state that it has, without sending an event.

        :raises Taken: another call has its ID.
        """
        if call.call_id in self.calls:
            raise Taken("call_id", call.call_id, "an ID that no call in progress has")
        self._add(call)
        call.reached.add(call.state)
        self._tell(call)

    def ring(self, call: NetworkCall, patience: float) -> None:
        """Place an inbound call and offer it to a client.

        :param patience: simulated seconds until the caller gives up.
        :raises Taken: another call has its ID.
        """
        self.adopt(call)
        call.clock.set("patience", patience, call.clock.second, self._give_up, call)
        self._offer(call)

    def _offer(self, call: NetworkCall) -> None:
        candidates = [session for session in self._takers(call) if session.protocol not in call.passed]
        if not candidates:
            call.owner = None
            if call.on_offer:
                self.log_waiting("the call from {} to {}".format(*call.numbers), "call", call.context)
            return
        session = call.owner = self.next_one(candidates)
        call.project = session.project if session is not None else call.project
        call.transferred = False
        self._world.emit(session, "calling.call.receive", call.offer(), context=call.context)
        if call.state == "created" and call.rings:
            self.move(call, "ringing")

    def _takers(self, call: NetworkCall) -> list[ServerSession]:
        """Return the connected sessions that may be offered a call."""
        chosen = call.only_for
        if chosen is None:
            return self._world.subscribers(call.context, call.project)
        return [chosen] if chosen.client is not None and not chosen.client.leaving else []

    def waiting_reason(self, call: NetworkCall) -> str:
        """Return why a call is waiting for a client, or ``""`` if it is not waiting. May be called from any thread."""
        if not call.on_offer or call.owner is not None:
            return ""
        if call.only_for is not None:
            return f"the client of session {call.only_for.session_id} is not connected, or has passed the call"
        return self.missing_subscriber(call.context)

    def missing_subscriber(self, context: str) -> str:
        """Return an error message if no client has subscribed to a context, or ``""``. May be called from any thread."""
        clients = [client.session for client in list(self._world.clients.values()) if not client.leaving]
        sessions = [session for session in clients if session is not None]
        contexts = {each for session in sessions for each in list(session.contexts)}
        if context in contexts:
            return ""
        known = ", ".join(map(repr, sorted(contexts)))
        if contexts:
            others = f"clients have subscribed to {known}"
        else:
            others = "the connected clients have subscribed to none" if sessions else "no client is connected"
        return f"no client has subscribed to context {context!r}; {others}"

    def log_waiting(self, what: str, kind: str, context: str) -> None:
        """Log a warning that an item waits for a subscriber.

        The warning is logged once per item type and context, and only if a client is connected.
        """
        reason = self.missing_subscriber(context)
        connected = any(each.session for each in self._world.clients.values())
        if reason and connected and (kind, context) not in self._logged:
            if len(self._logged) < MOST_LOGGED:
                self._logged.add((kind, context))
            _log.warning("%s is waiting: %s", what, reason)

    def next_one(self, candidates: Iterable[ServerSession]) -> ServerSession | None:
        """Return the candidate that received an offer least recently, and record a new offer to it."""
        session = min(candidates, key=lambda each: each.offered_at, default=None)
        if session is not None:
            session.offered_at = next(self._turns)
        return session

    def welcome(self, session: ServerSession) -> None:
        """Offer waiting calls to a client that has connected or subscribed to more contexts."""
        for call in list(self.calls.values()):
            stranded = call.owner is None or (call.owner is not session and call.owner.client is None)
            if call.on_offer and stranded and session in self._takers(call) and session.protocol not in call.passed:
                self._offer(call)

    def pass_on(self, call: NetworkCall, session: ServerSession) -> None:
        """Record that a client has passed a call, and offer the call to another client."""
        call.passed.add(session.protocol)
        if call.owner is session:
            self._offer(call)

    def transfer(self, call: NetworkCall, session: ServerSession, dest: Any) -> None:
        """Transfer a call to a context, or to a destination that the simulator does not implement."""
        for stream in call.streams:
            stream.finish("the call was transferred", announce=self._world.settings.finish_streams)
        for operation in list(call.operations):
            operation.call_ended()
        call.passed.add(session.protocol)
        call.owner = None
        if isinstance(dest, str) and dest.startswith("context:"):
            call.only_for = None
            call.context, call.transferred = dest.removeprefix("context:"), True
            self._offer(call)

    def abandon(self, session: ServerSession) -> None:
        """Handle the permanent end of a session.

        Its calls lose their owner, and unanswered calls are offered to other sessions.
        """
        for call in list(self.calls.values()):
            if call.owner is session:
                call.owner = None
                if call.on_offer:
                    self._offer(call)

    def _give_up(self, call: NetworkCall) -> None:
        self.end(call, "noAnswer" if call.owner is not None else "abandoned", call.far_side)

    # -- outbound calls ------------------------------------------------------------------------------------------------

    def place(self, call: NetworkCall) -> None:
        """Add an outbound call."""
        self._add(call)
        self.move(call, "created")

    def ringing(self, call: NetworkCall) -> None:
        """Change an outbound call's state to ``ringing``."""
        if call.state == "created":
            self.move(call, "ringing")

    def pick_up(self, call: NetworkCall, max_duration: int | None = None) -> None:
        """Answer an outbound call on behalf of the party. Do nothing if the call is no longer ringing."""
        if call.state in ("created", "ringing"):
            call.winner = self.winner_flag if call.parent is None else None
            self.answer(call, max_duration)

    @property
    def winner_flag(self) -> bool | str:
        """The value of ``dial_winner`` in the events of a dial's answered leg."""
        return "true" if self._world.settings.dial_winner == "string" else True

    # -- states --------------------------------------------------------------------------------------------------------

    def move(self, call: NetworkCall, state: str) -> None:
        """Change a call's state and notify its owner."""
        self._world.emit(call.owner, "calling.call.state", call.body(state))
        self._enter(call, state)  # after the event, so that tests waiting for the state find the event in the journal
        for watcher in list(call.watchers):
            watcher(call)

    def _enter(self, call: NetworkCall, state: str) -> None:
        """Change a call's state without sending an event to its owner."""
        call.state = state
        call.reached.add(state)
        call.board.changed()
        self._tell(call)

    def answer(self, call: NetworkCall, max_duration: int | None = None) -> None:
        """Answer a call.

        :param max_duration: maximum duration of the call in seconds, as in AsyncAPI. The porting guide specifies minutes.
        """
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
        """End a call. Its streams and operations end first.

        Do nothing if the call has already ended or was never added to the network.
        """
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

    def force(self, call: NetworkCall, state: str, *, announce: bool = True) -> None:
        """Bring a call into any state, whatever its client has asked for. Do nothing if it is in that state.

        :param announce: whether the client receives the call's usual events. Otherwise, no event is sent, not even by streams
            and operations that end with the call.
        """
        if call.state == state or call.call_id not in self.calls:
            return
        if announce and state == "ended":
            self.end(call, "hangup", call.far_side)
        elif announce and state == "answered":
            self.answer(call)
        elif announce:
            self.move(call, state)
        elif state == "ended":
            self.end_at_once(call, "hangup", call.far_side, announce=False)
        else:
            self._enter(call, state)

    def end_at_once(self, call: NetworkCall, reason: str, source: str, *, announce: bool = True) -> None:
        """End a call with a single event, for the state ``ended``.

        :param announce: whether the client receives the event. Otherwise, no event is sent.
        """
        call.clock.clear()
        call.end_reason, call.end_source, call.end_time = reason, source, _now()
        if announce:
            self._world.emit(call.owner, "calling.call.state", call.body("ended"))
        for stream in call.streams:
            stream.finish("the call ended", announce=False)
        for operation in list(call.operations):
            operation.drop()
        self.calls.pop(call.call_id, None)
        self._enter(call, "ended")
        for watcher in list(call.watchers):
            watcher(call)

    # -- actions of the party ------------------------------------------------------------------------------------------

    def press(self, call: NetworkCall, digits: str) -> None:
        """Press digits on behalf of the party. The call's open streams and running operations receive them."""
        for digit in digits:
            for stream in call.streams:
                stream.dtmf(digit)
            for operation in list(call.operations):
                if not operation.over:
                    operation.on_key(digit)

    def say(self, call: NetworkCall, text: str) -> None:
        """Say a text on behalf of the party. The call's running operations receive it."""
        for operation in list(call.operations):
            if not operation.over:
                operation.on_words(text)

    def keep_silent(self, call: NetworkCall) -> None:
        """Make the party silent for the rest of the call. Timeouts waiting for its input expire immediately."""
        call.party.silent = True
        for operation in list(call.operations):
            if not operation.over:
                operation.on_silence()

    def listened(self, call: NetworkCall, item: Played) -> None:
        """Hang up if the party was waiting to hear an item that has just finished playing."""
        if call.state == "answered" and call.party.has_heard_enough(item):
            call.hang_up()
