"""Track dials in progress.

A dial has a tag, one leg per device, and at most one winner, which is the leg that is answered first.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..call.call import Call, core_of
from ..constants import CALL_STATE_ANSWERED, CALL_STATE_ENDED, CALL_STATE_ENDING
from ..errors import CallEnded, ClientClosed, DialFailed, InvalidParameter, RelayError
from ..events import CallStateEvent, DialEvent
from ..protocol.command import ANSWER_PATIENCE, Command
from ..protocol.results import Outcome
from ..threads import logs
from ..threads.outcome import Waiter
from ..threads.rate_limited_log import RateLimitedLog
from ..threads.safety_net import Net
from ..threads.table import Recent, Table

if TYPE_CHECKING:
    from ..observing.observers import Observers

__all__ = ["Dials", "LegKeeper", "PendingDial", "drop"]

_log = logs.get("relay_sync").later

#: Seconds to remember an abandoned dial, so that the client can hang up legs that are answered late.
REMEMBERED_FOR: Final = 600.0
#: Number of decided dials to remember, for detecting legs that are reported late.
REMEMBERED_DIALS: Final = 1024
_TAG_ACCEPTED: Final = "a tag that no other dial uses"


class LegKeeper(Protocol):
    """The part of the router's interface that dials use to create and end legs."""

    calls: Table[str, Call]
    observers: Observers | None

    @property
    def session(self) -> int | None: ...

    def new_leg(self, call_id: str, event: CallStateEvent, payload: Mapping[str, Any]) -> Call | None: ...

    def cut_off(self, call: Call, error: CallEnded) -> None: ...


class PendingDial:
    """A dial's state: its legs and, once it is decided, the winner or the error.

    :param tag: tag of the dial.
    :param devices: number of devices to dial, which is also the maximum number of legs. 0 if unknown.
    """

    def __init__(self, tag: str, devices: int = 0) -> None:
        self.tag = tag
        self.devices = devices
        self.legs: Table[str, Call] = Table()
        #: The IDs of dropped legs. Only the IDs are kept, because an abandoned dial is remembered for a long time.
        self.dropped: set[str] = set()
        #: The number of the session in which the server accepted the dial, as shown by a reply or an event. An event is enough,
        #: because the reply may be lost. ``None`` if the server has not accepted the dial so far.
        self.session: int | None = None
        #: The ``calling.dial`` command, or ``None`` before it is created.
        self.command: Command | None = None
        #: Whether the server reported an answer without the ID of the leg.
        self.answered = False
        #: The time at which the caller stopped waiting, or ``None`` if it is still waiting.
        self.given_up: float | None = None
        self.outcome: Waiter[Call] = Waiter()

    @property
    def sent(self) -> bool:
        """Whether the server may have received the dial."""
        return self.session is not None or (self.command is not None and self.command.sent)

    @property
    def lacks_legs(self) -> bool:
        """Whether the server may report more legs."""
        return not self.devices or len(self.leg_ids) < self.devices

    @property
    def leg_ids(self) -> frozenset[str]:
        """The IDs of all legs reported so far."""
        # Read ``legs`` first. Legs move from ``legs`` to ``dropped``, so this order misses none.
        return frozenset([leg.call_id for leg in self.legs.snapshot()]) | self.dropped

    def only_candidate(self) -> Call | None:
        """Return the answered leg. If there is none, return the only leg that can still be answered, or ``None``."""
        legs = self.legs.snapshot()
        answered = next((leg for leg in legs if leg.state == CALL_STATE_ANSWERED), None)
        alive = [leg for leg in legs if leg.state not in (CALL_STATE_ENDING, CALL_STATE_ENDED)]
        return answered or (alive[0] if len(alive) == 1 else None)

    def wait(self, timeout: float, limit: float, why: str) -> Call:
        """Wait until the dial is decided, and return the winner.

        :param timeout: maximum time to wait, in seconds.
        :param limit: timeout for the whole dial, in seconds, for the error message.
        :param why: where the limit comes from, for the error message.
        :raises DialFailed: no leg was answered before the timeout, or the server reported a failure.
        """
        failure = DialFailed(
            f"no answer within {limit:g} s ({why}); legs that are still ringing are hung up", reason="timeout"
        )
        return self.outcome.wait(max(0.0, timeout), lambda: failure)


class Dials:
    """A client's dials in progress, by tag.

    Callers add and abandon dials on their own threads. Everything else happens on the IO thread.
    """

    def __init__(self) -> None:
        self._open: Table[str, PendingDial] = Table()
        #: The tags of recently decided dials, each with the IDs of its legs.
        self._decided: Recent[str, frozenset[str]] = Recent(REMEMBERED_DIALS)
        #: Abandoned dials with unreported legs. A closing client waits for these legs, to hang them up.
        self._awaited_legs: list[PendingDial] = []
        self._troubles = RateLimitedLog(_log)

    def enter(self, dial: PendingDial) -> None:
        """Register a dial under its tag. Must be called before anything is sent.

        The caller creates the dial, so that it can still close the dial if this method is interrupted.

        :raises InvalidParameter: the tag belongs to another dial in progress, or to a recently abandoned dial whose legs may
            still be reported.
        """
        self.expire(time.monotonic())
        if not self._open.put_if_new(dial.tag, dial):
            raise InvalidParameter("tag", dial.tag, _TAG_ACCEPTED)
        self._decided.take(dial.tag)

    def expire(self, now: float) -> None:
        """Remove the dials that were abandoned more than :data:`REMEMBERED_FOR` seconds ago."""
        for dial in self._open.snapshot():
            if dial.given_up is not None and now - dial.given_up > REMEMBERED_FOR:
                self.close(dial)

    def close(self, dial: PendingDial) -> None:
        """Remove a dial, which makes its tag available again."""
        self._open.take_if(dial.tag, dial)

    @property
    def awaited(self) -> bool:
        """Whether any caller is waiting for a dial."""
        return any(dial.given_up is None for dial in self._open.snapshot())

    def give_up(self, dial: PendingDial, exchange: LegKeeper) -> Call | None:
        """Abandon a dial. Its legs are hung up, including any that the server reports later.

        :return: the winner, if a leg was answered just before. It is not hung up.
        """
        if not dial.outcome.settle(DialFailed("the dial was canceled by its caller", reason="given_up")):
            outcome = dial.outcome.peek()
            if isinstance(outcome, Call):
                return outcome
        # Set given_up before reading the legs. The IO thread drops a leg that is added after that.
        dial.given_up = time.monotonic()
        with self._caught():
            _drop_all(dial, exchange).release()
        return None

    def call_off(self, error: RelayError) -> list[Command]:
        """Fail all dials with this error. Called on the IO thread.

        Legs that are reported later are hung up. The caller must end the legs that are already known.

        :return: the unsent commands, which the caller must withdraw.
        """
        unsent = []
        for dial in self._open.snapshot():
            if dial.given_up is not None:
                continue
            if dial.sent:
                dial.given_up = time.monotonic()  # set this before waking the waiter, which reads it
                dial.outcome.settle(error)
            elif dial.command is not None:
                self.close(dial)
                dial.command.settle(error)
                unsent.append(dial.command)
        return unsent

    def await_legs(self, now: float) -> None:
        """Select the recently abandoned dials for :attr:`lacks_legs` to check. Called when the client starts to close."""
        self._awaited_legs = [
            dial
            for dial in self._open.snapshot()
            if dial.given_up is not None and dial.sent and now < dial.given_up + ANSWER_PATIENCE
        ]

    @property
    def lacks_legs(self) -> bool:
        """Whether the server may report more legs for the dials selected by :meth:`await_legs`."""
        return any(dial.lacks_legs and self._open.get(dial.tag) is dial for dial in self._awaited_legs)

    def end(self, error: RelayError, session: int, *, parting: bool = False) -> None:
        """Fail an ended session's dials. Unsent dials may still be sent in the next session.

        :param error: exception to raise in threads waiting for the dials.
        :param session: number of the session.
        :param parting: whether the client is closing. Abandoned dials are then kept, so that their legs are hung up.
        """
        self._decided.take_all()
        closed = isinstance(error, ClientClosed)
        for dial in self._open.snapshot():
            if parting and closed and dial.given_up is not None:
                continue
            unsent = dial.session is None and not (closed and dial.given_up is not None)
            if not unsent and (dial.session or 0) <= session:
                self.close(dial)
                dial.outcome.settle(error)

    # -- called by the router, on the IO thread -----------------------------------------------------------------

    def leg_of(self, event: CallStateEvent) -> PendingDial | None:
        """Return a new leg's dial, or ``None`` if there is no such dial or the leg is already known."""
        dial = self._open.get(event.tag) if event.tag else None
        if dial is None:
            return self._too_late(event.tag, event.call_id, event.call_state)
        return dial if event.call_id and event.call_id not in dial.leg_ids else None

    def _too_late(self, tag: str, call_id: str, state: str) -> PendingDial | None:
        """Return an already abandoned substitute dial for a leg that is reported after its dial was decided.

        :return: the dial, or ``None`` if the leg is already known or is ending.
        """
        known = self._decided.get(tag)
        if known is None or not call_id or call_id in known or state in (CALL_STATE_ENDING, CALL_STATE_ENDED):
            return None
        self._decided.put(tag, known | {call_id})
        _log.info("call %s was reported after its dial was decided; hanging it up", call_id)
        dial = PendingDial(tag)
        dial.given_up = time.monotonic()
        return dial

    def _decide(self, dial: PendingDial) -> None:
        self.close(dial)
        self._decided.put(dial.tag, dial.leg_ids)

    def taken(self, dial: PendingDial, outcome: Outcome, session: int) -> None:
        """Handle the reply to ``calling.dial``."""
        if isinstance(outcome, dict):
            dial.session = dial.session or session
        else:
            self.close(dial)

    def add_leg(self, dial: PendingDial, leg: Call, exchange: LegKeeper) -> None:
        """Add a leg to a dial, or drop it if the dial was abandoned."""
        dial.session = dial.session or exchange.session
        dial.legs.put(leg.call_id, leg)
        if dial.given_up is not None:
            _drop_all(dial, exchange).release()

    def on_leg_state(self, leg: Call, event: CallStateEvent, exchange: LegKeeper) -> None:
        """Handle a leg's state event.

        If the event says that the leg is the winner, the dial is decided. The dial event itself may be lost.
        """
        if event.call_state != CALL_STATE_ANSWERED:
            return
        dial = self._open.get(event.tag or leg.tag)
        if (
            dial is not None
            and (event.dial_winner or (dial.answered and event.dial_winner is None))
            and leg.call_id in dial.legs
        ):
            self._won(dial, leg, exchange)

    def take_stock(self, exchange: LegKeeper) -> None:
        """Fail the dials whose legs have all ended.

        The server does not repeat dial events that the client missed while disconnected.
        """
        net = Net()
        for dial in self._open.snapshot():
            legs = dial.legs.snapshot()
            if dial.devices > 0 and not dial.lacks_legs and all(core_of(leg).over is not None for leg in legs):
                with net:
                    self._failed(dial, _reason_of(dial), exchange)
        net.release()

    def on_leg_live(self, leg: Call, exchange: LegKeeper) -> None:
        """Handle a leg that is confirmed live after reconnecting. If the leg was answered, it is the winner."""
        for dial in self._open.snapshot():
            if leg.state == CALL_STATE_ANSWERED and dial.legs.get(leg.call_id) is leg:
                self._won(dial, leg, exchange)

    def on_event(self, event: DialEvent, payload: Mapping[str, Any], exchange: LegKeeper) -> None:
        """Handle a dial event."""
        leg_event = _leg_event(event)
        known = exchange.calls.get(leg_event.call_id)
        tag = event.tag or leg_event.tag or (known.tag if known is not None else "")
        dial = self._open.get(tag)
        answered = _says_answered(event, leg_event)
        if dial is None and answered:
            dial = self._too_late(tag, leg_event.call_id, leg_event.call_state)
            leg = exchange.new_leg(leg_event.call_id, leg_event, payload) if dial is not None else None
            if dial is not None and leg is not None:
                self.add_leg(dial, leg, exchange)
            return
        if dial is None:
            _log.debug("ignored dial event %r for an unknown tag", event.dial_state)
            return
        dial.session = dial.session or exchange.session
        if event.dial_state == "failed":
            self._failed(dial, event.reason or _reason_of(dial), exchange)
        elif answered and leg_event.call_id in dial.dropped:
            self._decide(dial)
        elif answered:
            winner = self._winner(dial, leg_event, payload, exchange)
            if winner is not None:
                self._won(dial, winner, exchange)

    def _winner(
        self, dial: PendingDial, leg_event: CallStateEvent, payload: Mapping[str, Any], exchange: LegKeeper
    ) -> Call | None:
        if leg_event.dial_winner is False:
            return None
        leg = dial.legs.get(leg_event.call_id) or exchange.calls.get(leg_event.call_id)
        if not leg_event.call_id:
            leg = dial.only_candidate()
            if leg is None:
                dial.answered = True  # the next leg that is reported as answered is the winner
                return None
        if leg is None:
            leg = exchange.new_leg(leg_event.call_id, leg_event, payload)
            if leg is None:
                return None
            dial.legs.put(leg.call_id, leg)
        if leg.state not in (CALL_STATE_ANSWERED, CALL_STATE_ENDING, CALL_STATE_ENDED):
            # The leg's state event was lost, so update its state from the dial event.
            core_of(leg).on_event(leg_event)
        return leg

    def _won(self, dial: PendingDial, winner: Call, exchange: LegKeeper) -> None:
        self._decide(dial)
        # Drop the other legs before waking the caller, so that it does not see them.
        net = _drop_all(dial, exchange, winner)
        observers = exchange.observers
        started = None if observers is None else partial(observers.call_started, winner)
        if not dial.outcome.settle(winner, started):
            with net:
                drop(winner, exchange)
            _log.info(
                "call %s was answered after its dial had timed out or was canceled; hanging it up", winner.call_id
            )
        with self._caught():
            net.release()

    def _failed(self, dial: PendingDial, reason: str, exchange: LegKeeper) -> None:
        self._decide(dial)
        net = _drop_all(dial, exchange)
        dial.outcome.settle(
            DialFailed(f"no answer{f' ({reason})' if reason else ''}; dial again or dial another number", reason=reason)
        )
        with self._caught():
            net.release()

    def _caught(self) -> AbstractContextManager[None]:
        return self._troubles.caught("internal error while hanging up legs of a dial")


def _says_answered(event: DialEvent, leg_event: CallStateEvent) -> bool:
    """Return whether a dial event reports an answer. If the event has no state, its leg must be marked as the winner."""
    return event.dial_state == CALL_STATE_ANSWERED or (not event.dial_state and bool(leg_event.dial_winner))


def _leg_event(event: DialEvent) -> CallStateEvent:
    """Return a state event for the leg described in a dial event. If the dial was answered, the leg's state is ``answered``."""
    body = dict(event.call)
    leg_event = CallStateEvent.from_params(body, event_type=CallStateEvent.TYPE, timestamp=event.timestamp)
    if _says_answered(event, leg_event) and leg_event.call_state not in (CALL_STATE_ENDING, CALL_STATE_ENDED):
        leg_event.call_state = body["call_state"] = CALL_STATE_ANSWERED
    leg_event.node_id = leg_event.node_id or event.node_id
    leg_event.tag = leg_event.tag or event.tag
    return leg_event


def _reason_of(dial: PendingDial) -> str:
    """Return the last known end reason of any leg, or ``""``."""
    ends = [leg.end_reason for leg in dial.legs.snapshot() if leg.end_reason]
    return ends[-1] if ends else ""


def drop(leg: Call, exchange: LegKeeper) -> None:
    """Hang up and release a leg that is no longer needed. Has no effect if the leg has ended."""
    if core_of(leg).over is None:
        exchange.cut_off(leg, CallEnded("the leg was hung up: another leg was answered, or the dial was canceled"))


def _drop_all(dial: PendingDial, exchange: LegKeeper, winner: Call | None = None) -> Net:
    """Drop all of a dial's legs except the winner.

    :return: a net that holds the exceptions raised while dropping the legs.
    """
    net = Net()
    for leg in dial.legs.snapshot():
        if leg is not winner:
            with net:
                drop(leg, exchange)
            dial.dropped.add(leg.call_id)
            dial.legs.take(leg.call_id)
    return net
