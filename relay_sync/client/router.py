"""Routes what happened to the calls it happened to, and calls from there into user code, on threads meant for it.

The IO thread knows a client only by its switchboard, and that weakly: a client that was forgotten can go.
"""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from ..call.call import Call
from ..call.offer import Offer
from ..constants import CALL_STATE_ANSWERED, CALL_STATE_ENDED, CALL_STATE_ENDING, EVENT_CONFERENCE
from ..errors import CallEnded, ClientClosed, CommandRefused, RelayError
from ..events import CallReceiveEvent, CallStateEvent, DialEvent, RelayEvent, parse_event
from ..protocol.command import Phase
from ..protocol.results import client_closed
from ..threads import callback_errors, logs
from ..threads.flag import Bell, Flag
from ..threads.lanes import MOST_WAITING, InContext, Lanes, name_of
from ..threads.rate_limited_log import RateLimitedLog
from ..threads.safety_net import Net
from ..threads.table import Recent, Table
from .handlers import Handlers, Stalled
from .messages import MESSAGE_TYPES, MessageDesk
from .ownership import is_ours, what_becomes
from .pending_dials import Dials
from .unattended import Unattended

if TYPE_CHECKING:
    from ..connection.io_loop import Loop
    from ..events import ConferenceEvent
    from .aftermath import Aftermath
    from .client import RelayClient
    from .resume_check import RollCall

__all__ = ["Switchboard"]

_log = logs.get("relay_sync").later
_callbacks = logs.get("relay_sync.callbacks").later
_numbers = itertools.count(1)

REMEMBERED_CALLS: Final = 4096
#: Seconds after which one reason for having no connection is said again.
REPEATED_AFTER: Final = 60.0
#: The lane of callbacks that belong to no call.
CLIENT_LANE: Final = "client"
SHARED_THREADS: Final = 16
_PUBLIC: Final = {
    Phase.IDLE: "idle",
    Phase.READY: "connected",
    Phase.CLOSED: "closed",
    Phase.FAILED: "failed",
}
_LAST: Final = (_PUBLIC[Phase.CLOSED], _PUBLIC[Phase.FAILED])


class Switchboard:
    """The calls of one client, and the way from the IO thread to them."""

    def __init__(
        self,
        client: RelayClient,
        *,
        max_active_calls: int,
        on_state: Callable[[str], object] | None,
        on_error: Callable[[BaseException, Call | None], object] | None,
        hangup_on_error: bool,
    ) -> None:
        self._client = weakref.ref(client)
        self._max_active_calls = max_active_calls
        self._on_state = None if on_state is None else InContext(on_state)
        self._on_error = None if on_error is None else InContext(on_error)
        self._hangup_on_error = hangup_on_error
        self.lanes = Lanes()
        #: ``on_message`` and ``on_task`` handlers share these.
        self.shared = Lanes(SHARED_THREADS)
        self.dials = Dials()
        self.messages = MessageDesk()
        self.calls: Table[str, Call] = Table()
        #: Calls whose control went elsewhere, the last ones; their events may have stopped.
        self._elsewhere: Recent[Call, Call] = Recent(REMEMBERED_CALLS)
        #: The ids of the last calls that are over for this client, and how each was offered: an offer that is repeated late
        #: starts no handler, and a late event makes no new leg.
        self._ended: Recent[str, int | None] = Recent(REMEMBERED_CALLS)
        self.attached: Loop | None = None
        self.on_call: InContext | None = None
        self.state = "idle"
        self._was_ready = False
        #: Why there was no connection last, when that was said, and how many attempts have failed for this reason.
        self._no_connection = ""
        self._said_no_connection = 0.0
        self._attempts = 0
        self._warned_no_handler = False
        self._unattended = Unattended()
        self._stalled = Stalled(CLIENT_LANE)
        self._roll_call: RollCall | None = None
        self._aftermath: Aftermath | None = None
        #: Rings when a call or a handler of one has ended.
        self.changed = Bell()
        self.handlers = Handlers(self.changed)
        self._troubles = RateLimitedLog(_log)

    # -- told by the loop, on the IO thread -----------------------------------------------------------------------

    def on_event(self, payload: dict[str, Any]) -> None:
        """An event came in."""
        event = parse_event(payload)
        if isinstance(event, CallReceiveEvent):
            self._receive(event, payload)
        elif isinstance(event, DialEvent):
            self.dials.on_event(event, payload, self)
        elif event.event_type in MESSAGE_TYPES:
            self.messages.on_event(event, self.run_shared)
        elif event.event_type == EVENT_CONFERENCE and not event.call_id:
            conference_id = cast("ConferenceEvent", event).conference_id
            net = Net()
            for call in [one for one in self.calls.snapshot() if conference_id in one._conferences]:
                with net:
                    call._on_event(event)
            net.release()
        else:
            self._call_event(event, payload)

    def _call_event(self, event: RelayEvent, payload: dict[str, Any]) -> None:
        call = self.calls.get(event.call_id)
        if call is None and isinstance(event, CallStateEvent):
            call = self._unknown_leg(event, payload)
        if call is None:
            _log.debug("event %s for a call that is not ours or is over", event.event_type)
            return
        # Each of them, whatever another raises.
        try:
            call._on_event(event)
        finally:
            try:
                if self._roll_call is not None:
                    self._roll_call.heard_of(call)
            finally:
                if isinstance(event, CallStateEvent):
                    self.dials.on_leg_state(call, event, self)

    def call_gone(self, call: Call, then: Callable[[bool], object] | None = None) -> None:
        """The server does not know a call any more."""
        net = Net()
        with net:
            call._on_event(call._gone_event())
        with net:
            self.dials.take_stock(self)
        if then is not None:
            then(True)
        net.release()

    def ask_about(self, call: Call, then: Callable[[bool], object]) -> None:
        """Find out whether the server still knows a call; one that it does not know has ended when ``then`` is called.

        :param then: takes whether that is known.
        """
        if self.state in _LAST:
            then(False)  # no question is sent any more, and nobody would end one that waits
        else:
            self._questions().add(call, then)

    def _questions(self) -> RollCall:
        """The roll-call of this session, made when the first question arises."""
        from .resume_check import RollCall  # imported with the loop

        if self._roll_call is None:
            self._roll_call = RollCall(self.call_gone, lambda call: self.dials.on_leg_live(call, self))
        return self._roll_call

    def call_over(self, call: Call) -> None:
        """A call has ended, and its state says so; nobody who waits for that has been woken."""
        self._ended.put(call.call_id, None if call._offer is None else call._offer.content)
        self.calls.take_if(call.call_id, call)
        self._elsewhere.take(call)
        self.changed.ring()
        self._unattended.call_over(call)

    def on_phase(self, phase: Phase, error: RelayError | None) -> None:
        """The session moved."""
        state = _PUBLIC.get(phase, "reconnecting" if self._was_ready else "connecting")
        if phase is Phase.READY:
            self._was_ready, self._no_connection = True, ""
        before, self.state = self.state, state
        self._call_the_roll(phase)
        if phase is Phase.FAILED and error is not None and self._was_ready:
            # connect() tells its caller; this one nobody may be waiting for.
            _log.error("the session is lost for good: %s", error.message)
        if phase is Phase.BACKING_OFF and error is not None:
            self._say_no_connection(error.message, time.monotonic())
        if state != before:
            self._say_state(state)
        if phase in (Phase.CLOSED, Phase.FAILED):
            self._was_ready, self._no_connection = False, ""

    def _say_no_connection(self, why: str, now: float) -> None:
        """The same cause once, and then once a minute with the number of attempts."""
        if why != self._no_connection:
            self._no_connection, self._attempts, self._said_no_connection = why, 1, now
            _log.warning("no connection: %s; trying again", why)
            return
        self._attempts += 1
        if now >= self._said_no_connection + REPEATED_AFTER:
            self._said_no_connection = now
            _log.warning("no connection after %d attempts: %s; trying again", self._attempts, why)
        else:
            _log.debug("no connection (attempt %d): %s", self._attempts, why)

    def _say_state(self, state: str) -> None:
        _log.info("relay: %s", state)
        if self._on_state is not None:
            # These two are the last word; the others tell of a state that is over by the time a late handler hears of it.
            final = state in _LAST
            self._queue(self.lanes, CLIENT_LANE, None, "on_state handler", self._on_state, (state,), final)

    def _call_the_roll(self, phase: Phase) -> None:
        roll_call, self._roll_call = self._roll_call, None
        if roll_call is not None:
            with self._troubles.caught("internal error at the end of the roll-call"):
                roll_call.stop()
        if self._aftermath is not None:
            self._aftermath.stop()
            self._aftermath = None
        if phase is Phase.READY:
            from .aftermath import Aftermath  # imported with the loop

            net, now = Net(), time.monotonic()
            calls = self.calls.snapshot()
            for call in calls:
                with net:
                    self._questions().add(call)
            with net:
                self.dials.take_stock(self)
            self._aftermath = Aftermath(calls, self.messages, now)
            with net:
                self._aftermath.on_watch(now)
            with self._troubles.caught("internal error in the roll-call"):
                net.release()

    def on_session_over(self, error: RelayError, session: int) -> None:
        """The server-side session is gone, and what it carried with it.

        :param session: its number. What was begun in it and sent in the next one belongs there, and goes on.
        """
        calls = self.calls.take_all()
        self._elsewhere.take_all()
        self._ended.take_all()
        ringing = self._unattended.take_all()
        net = Net()
        for call in calls:
            with net:
                call._end(error)
        with net:
            self.dials.end(error, session, parting=self.attached is not None and self.attached.session.parting)
        with net:
            self.messages.end(error, session)
        self.changed.ring()
        if isinstance(error, ClientClosed):
            for call in ringing:
                with net:
                    self._unattended.say_of(call)
        with self._troubles.caught("internal error at the end of a session"):
            net.release()

    def on_watch(self, now: float) -> None:
        """Once a second: name lanes in which user code is stuck, and say what else goes on without a word; see whether a question
        of the roll-call is due.
        """
        net = Net()
        if self._roll_call is not None:
            with net:
                self._roll_call.on_watch(now)
        if self._aftermath is not None:
            with net:
                self._aftermath.on_watch(now)
        self.dials.expire(now)
        with net:
            self._unattended.check(now)
        client = self._client()
        if client is not None:
            with net:
                client._check_contexts(now)
        with self._troubles.caught("internal error in what is done once a second"):
            net.release()
        self._stalled.check(self.lanes, now)

    def on_poke(self) -> None:
        """``stop()`` was called, perhaps in a signal handler, where nothing but a flag could be set."""
        client = self._client()
        if client is not None:
            client._stop_asked()

    def on_closing(self, *, hang_up: bool) -> None:
        """The session is about to be closed.

        :param hang_up: hang up the calls that live, and call off the dials.
        """
        net = Net()
        for call in self.ours if hang_up else ():
            if not call._told_to_end:
                with net:
                    self.end_call(call, "hangup")
        if hang_up:
            self.dials.call_off(client_closed())
        self.dials.await_legs(time.monotonic())
        net.release()

    def expects(self) -> bool:
        """Whether legs may still turn up that are to be hung up before a client that closes takes its leave."""
        return self.dials.lacks_legs

    @property
    def session(self) -> int | None:
        """The number of the session that events come from; ``None`` before the first connection."""
        return None if self.attached is None else self.attached.session.number

    # -- outbound legs -------------------------------------------------------------------------------------------

    def _unknown_leg(self, event: CallStateEvent, payload: dict[str, Any]) -> Call | None:
        """A leg of a dial of ours, or one that ``connect`` made for a call of ours."""
        dial = self.dials.leg_of(event)
        parent = event.parent.get("call_id")
        if dial is None and (not isinstance(parent, str) or parent not in self.calls):
            return None
        leg = self.new_leg(event.call_id, event, payload)
        if leg is not None and dial is not None:
            self.dials.add_leg(dial, leg, self)
        return leg

    def new_leg(self, call_id: str, event: CallStateEvent, payload: Mapping[str, Any]) -> Call | None:
        """A call of ours that was dialed; ``None`` if it is over already, and this event of it comes late."""
        client = self._client()
        if client is None or not call_id or call_id in self._ended:
            return None
        call = Call(
            client,
            call_id,
            event.node_id,
            _text(payload.get("project_id")),
            tag=event.tag,
            direction=event.direction or "outbound",
            device=event.device,
            segment_id=event.segment_id,
        )
        call._session = self.session
        self.calls.put(call_id, call)
        return call

    def cut_off(self, call: Call, error: CallEnded) -> None:
        """A leg that nobody wants any more: hang it up, if it still lives, and take it off the table."""
        try:
            if call.state != CALL_STATE_ENDING:
                self.end_call(call, "hangup" if call.state == CALL_STATE_ANSWERED else "cancel")
        finally:
            self.let_go(call, error)

    def end_call(self, call: Call, reason: str) -> bool:
        """Have a call ended, if it is ours to end. Nobody waits for that. On any thread.

        :return: whether it is.
        """
        ours = is_ours(call)
        if ours:
            call._told_to_end = True
            address = {"node_id": call.node_id, "call_id": call.call_id}
            call._client._promise("calling.end", {**address, "reason": reason}, session=call._session)
        return ours

    def let_go(self, call: Call, error: CallEnded) -> None:
        """A call is no business of this client any more, wherever it goes. On any thread."""
        self._ended.put(call.call_id, None)
        self.calls.take_if(call.call_id, call)
        try:
            call._end(error)
        finally:
            # After the end: handed_over() looks for that once the call is in this table.
            self._elsewhere.take(call)
            self._unattended.let_go(call)
            self.changed.ring()

    def handed_over(self, call: Call) -> None:
        """Others control a call now: what comes of it still counts, but nobody waits for that for ever. On any thread."""
        oldest = self._elsewhere.put(call, call)
        if call.state == CALL_STATE_ENDED or call._over is not None:
            self._elsewhere.take(call)  # it ended meanwhile, and was not in the table then
        if oldest is not None and oldest is not call:
            self.let_go(oldest, CallEnded("the call was handed over, and nothing was heard of it since"))
        self.changed.ring()

    @property
    def ours(self) -> list[Call]:
        """The live calls that this client controls."""
        return [call for call in self.calls.snapshot() if is_ours(call)]

    @property
    def stopped(self) -> Flag:
        """Whether ``run()`` is to return, by the word of the connection that is listened to now."""
        return self.attached.stopped if self.attached is not None else Flag()

    @property
    def draining(self) -> bool:
        """Whether no new calls are taken on the present connection."""
        return self.attached is not None and self.attached.draining

    # -- inbound calls -------------------------------------------------------------------------------------------

    def _receive(self, event: CallReceiveEvent, payload: dict[str, Any]) -> None:
        client, known = self._client(), self.calls.get(event.call_id)
        if known is not None and known._handed_over:
            self.let_go(known, CallEnded("the call was handed over, and came back as another one"))
            known = None
        offer = Offer.of(event)
        if known is not None and known._offer is not None and offer.is_of_others(known._offer):
            self.let_go(known, CallEnded("another call came in under the id of this one, whose end was not told"))
            known = None
        ended = self._ended.take(event.call_id) if known is None else None
        if ended == offer.content:
            self._ended.put(event.call_id, ended)
        if client is None or not event.call_id or known is not None or ended == offer.content:
            return  # a repeated offer changes nothing
        call = Call(
            client,
            event.call_id,
            event.node_id,
            event.project_id or _text(payload.get("project_id")),  # the envelope names it, too
            event.context or _text(payload.get("context")),
            tag=event.tag,
            direction=event.direction or "inbound",
            device=event.device,
            state=event.call_state or "created",
            segment_id=event.segment_id,
        )
        call._session = self.session
        call._offer = offer
        if self.on_call is None:
            if not self._warned_no_handler:
                self._warned_no_handler = True
                _log.warning("calls come in but there is no on_call handler: they are passed back")
            self._pass_back(call)
        elif self.draining:
            _log.info("call %s is passed back: this client takes no more calls", call.call_id)
            self._pass_back(call)
        elif len(self.calls) >= self._max_active_calls <= len(self.ours):
            _log.warning(
                "call %s is passed back: %d calls are active (max_active_calls)", call.call_id, self._max_active_calls
            )
            self._pass_back(call)
        else:
            self.calls.put(call.call_id, call)
            self._start_handler(call, self.on_call)

    def _pass_back(self, call: Call) -> None:
        self.calls.take_if(call.call_id, call)
        address = {"node_id": call.node_id, "call_id": call.call_id}
        call._client._promise("calling.pass", address, session=call._session)

    def _start_handler(self, call: Call, handler: InContext) -> None:
        thread = threading.Thread(
            target=self._handle, args=(call, handler), name=f"relay-call-{next(_numbers)}", daemon=True
        )
        self.handlers.begin(thread, call, handler)
        try:
            thread.start()
        except RuntimeError as error:
            self.handlers.end(thread)
            _log.error("call %s is passed back: no thread for its handler (%s)", call.call_id, error)
            self._pass_back(call)

    def _handle(self, call: Call, handler: InContext) -> None:
        try:
            handler(call)
            self._unattended.handler_returned(call)
        except BaseException as error:  # sys.exit() in a handler ends the handler, not the process
            hang_up = self._hangup_on_error and not isinstance(error, ClientClosed)
            self._report(call, "on_call handler", error, what_becomes(call, hang_up))
            if hang_up and is_ours(call):
                self._hang_up(call)
        finally:
            self.handlers.end(threading.current_thread())

    def is_quiet(self) -> bool:
        """Whether no call lives or is being dialed and no handler of one runs, but for the thread that asks."""
        # A leg is among the calls before its dial is decided.
        return not (self.dials.awaited or self.ours or self.handlers_running())

    def handlers_running(self) -> int:
        """How many handlers of calls run, without one that asks."""
        return len(self.handlers.running())

    def _hang_up(self, call: Call) -> None:
        try:
            call.hangup("error")
        except ClientClosed:
            _log.warning("call %s goes on without this client, which was closed before it could hang up", call.call_id)
        except CommandRefused as error:
            _log.warning("call %s could not be hung up: %s", call.call_id, error.message)
        except RelayError as error:
            _log.warning("call %s is hung up as soon as that is possible: %s", call.call_id, error.message)
            self.end_call(call, "error")

    # -- user code -----------------------------------------------------------------------------------------------

    def callback(
        self, call: Call | None, what: str, function: Callable[..., object], *args: Any, final: bool = True
    ) -> None:
        """Run user code in the call's lane.

        :param final: whether it must run, being told of an end. What need not is left out while 10,000 others wait.
        """
        self._queue(self.lanes, call.call_id if call else CLIENT_LANE, call, what, function, args, final)

    def run_in(self, lane: object, what: str, function: Callable[..., object], *args: Any, final: bool = True) -> None:
        """Run user code that belongs to no call, in a lane of its own."""
        self._queue(self.lanes, lane, None, what, function, args, final)

    def run_shared(
        self, lane: object, what: str, function: Callable[..., object], *args: Any, final: bool = False
    ) -> None:
        """Run a handler that may block for long, beside at most 15 others; left out while 10,000 wait."""
        self._queue(self.shared, lane, None, what, function, args, final)

    def _queue(
        self,
        lanes: Lanes,
        lane: object,
        call: Call | None,
        what: str,
        function: Callable[..., object],
        args: tuple[Any, ...],
        final: bool,
    ) -> None:
        if final:
            lanes.submit(lane, self._guarded, call, what, function, args)
        elif lanes.offer(lane, self._guarded, call, what, function, args) == 1:
            call_id = call.call_id if call else ""
            _callbacks.warning(
                "a %s%s (%s) is not called: %d callbacks wait already, and more are left out until those have run; the ends of "
                "calls and actions are told all the same",
                what, f" of call {call_id}" if call_id else "", name_of(function), MOST_WAITING,
                extra={"call_id": call_id},
            )  # fmt: skip

    def finish(self, timeout: float) -> None:
        """Let queued callbacks run and handlers return, for at most so many seconds, and name what is left."""
        self.handlers.finish(timeout, self.lanes, self.shared)

    def reopen_lanes(self) -> None:
        """Take callbacks again."""
        self.lanes.reopen()
        self.shared.reopen()

    def _guarded(self, call: Call | None, what: str, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            function(*args)
        except BaseException as error:
            self._report(call, what, error)

    def _report(self, call: Call | None, what: str, error: BaseException, then: str = "") -> None:
        """:param then: what comes of it, for the log."""
        call_id = call.call_id if call else ""
        whose, extra = f" of call {call_id}" if call_id else "", {"call_id": call_id}
        if isinstance(error, ClientClosed):  # somebody ended the program while it waited: no mistake of its author
            _callbacks.info("the %s%s ended: %s", what, whose, error.message, extra=extra)
        else:
            _callbacks.error("the %s%s raised%s", what, whose, then, exc_info=error, extra=extra)
            callback_errors.tell(f"the {what}{whose}", error)
        if self._on_error is not None:
            try:
                self._on_error(error, call)
            except BaseException:  # nor may sys.exit() in there keep the call from being hung up
                _callbacks.exception("on_error raised")

    def after_fork(self) -> None:
        """In a child: the parent's calls are not ours."""
        # Made anew: at the fork another thread may have held their locks.
        self.calls = Table()
        self._elsewhere = Recent(REMEMBERED_CALLS)
        self._ended = Recent(REMEMBERED_CALLS)
        self._unattended = Unattended()
        self._troubles = RateLimitedLog(_log)
        self._aftermath = None
        self._roll_call = None  # its questions are those of the parent's threads
        self.changed = Bell()
        self.handlers = Handlers(self.changed)
        self.attached = None
        self.lanes.after_fork()
        self.shared.after_fork()
        self.dials = Dials()
        self.messages.after_fork()
        self.state = "idle"
        self._was_ready = False


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
