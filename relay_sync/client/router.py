"""Dispatch events to a client's calls, dials and messages.

The IO thread keeps only a weak reference to the router and none to the client, so that an unused client can be garbage-collected.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from ..call.call import Call, core_of
from ..call.offer import Offer
from ..constants import CALL_STATE_ANSWERED, CALL_STATE_ENDED, CALL_STATE_ENDING, EVENT_CONFERENCE, ConnectionState
from ..errors import CallEnded, ClientClosed, RelayError
from ..events import CallReceiveEvent, CallStateEvent, DialEvent, RelayEvent, parse_event
from ..protocol.command import Phase
from ..protocol.results import client_closed
from ..threads import logs
from ..threads.flag import Bell, Flag
from ..threads.lanes import InContext
from ..threads.rate_limited_log import RateLimitedLog
from ..threads.safety_net import Net
from ..threads.table import Recent, Table
from .callbacks import Callbacks
from .counters import Counters
from .handlers import CallHandlers
from .messages import MESSAGE_TYPES, MessageDesk
from .pending_dials import Dials
from .states import States
from .unattended import Unattended

if TYPE_CHECKING:
    from ..call.owner import Owner
    from ..connection.io_loop import IOLoop
    from ..events import ConferenceEvent
    from ..observing.observer import Observer
    from ..observing.observers import Observers
    from ..observing.stats import ClientStats
    from .aftermath import Aftermath
    from .resume_check import Awaited, RollCall

__all__ = ["Router"]

_log = logs.get("relay_sync").later

REMEMBERED_CALLS: Final = 4096


class Router:
    """Keeps track of a client's calls, and dispatches the events and state changes reported by the IO thread.

    :param client: the client. The router keeps a weak reference.
    :param max_active_calls: maximum number of live calls. Further inbound calls are returned to the platform.
    :param on_state: callback for connection states, or ``None``.
    :param on_error: callback for exceptions in user code, or ``None``.
    :param hang_up_on_error: whether to hang up a call whose handler raises.
    :param on_watch: client method that is called once a second with the current time.
    :param on_poke: client method that is called after ``stop()``.
    """

    def __init__(
        self,
        client: Owner[Call],
        *,
        max_active_calls: int,
        on_state: Callable[[ConnectionState], object] | None,
        on_error: Callable[[BaseException, Call | None], object] | None,
        hang_up_on_error: bool,
        on_watch: Callable[[float], object],
        on_poke: Callable[[], object],
    ) -> None:
        self._client = weakref.ref(client)
        self._client_watch = weakref.WeakMethod(on_watch)
        self._client_poke = weakref.WeakMethod(on_poke)
        self._max_active_calls = max_active_calls
        self._hang_up_on_error = hang_up_on_error
        self.counters: Counters = Counters()
        self.callbacks: Callbacks = Callbacks(on_error, self.counters)
        #: Queues a callback in the lane of a call; see :class:`.call.core.CallHome`.
        self.callback: Callable[..., None] = self.callbacks.of_call
        self.states: States = States(self.callbacks, on_state)
        self.dials: Dials = Dials()
        self.messages: MessageDesk = MessageDesk(self.counters)
        self.calls: Table[str, Call] = Table()
        #: The calls that were handed over most recently. The server may no longer send events for them.
        self._elsewhere: Recent[Call, Call] = Recent(REMEMBERED_CALLS)
        #: The IDs of recently ended calls, each with the content of its offer. Used to ignore repeated offers and late events.
        self._ended: Recent[str, int | None] = Recent(REMEMBERED_CALLS)
        #: The client's observers, or ``None`` if there are none.
        self.observers: Observers | None = None
        self._observing = threading.RLock()  # guards adding and removing observers
        self.attached: IOLoop | None = None
        self.on_call: InContext | None = None
        self._warned_no_handler = False
        self._unattended = Unattended()
        self._roll_call: RollCall | None = None
        #: Checks of calls that callers are waiting for, and that must be repeated on the next connection.
        self._awaited: list[Awaited] = []
        self._aftermath: Aftermath | None = None
        #: A bell that rings when a call has ended or a handler has returned.
        self.changed: Bell = Bell()
        self.handlers: CallHandlers = self._new_handlers()
        self._troubles = RateLimitedLog(_log)

    def _new_handlers(self) -> CallHandlers:
        return CallHandlers(self.changed, self.callbacks, self._unattended, hang_up_on_error=self._hang_up_on_error)

    @property
    def state(self) -> ConnectionState | str:
        """The connection state, with the same values as :attr:`RelayClient.state`."""
        return self.states.now

    # -- called by the loop, on the IO thread ---------------------------------------------------------------------

    def on_event(self, payload: dict[str, Any]) -> None:
        """Parse an event and dispatch it."""
        event = parse_event(payload)
        if isinstance(event, CallReceiveEvent):
            self._receive(event, payload)
        elif isinstance(event, DialEvent):
            self.dials.on_event(event, payload, self)
        elif event.event_type in MESSAGE_TYPES:
            self.messages.on_event(event, self.callbacks.in_shared)
        elif event.event_type == EVENT_CONFERENCE and not event.call_id:
            conference_id = cast("ConferenceEvent", event).conference_id
            net = Net()
            for core in map(core_of, self.calls.snapshot()):
                if conference_id in core.conferences:
                    with net:
                        core.on_event(event)
            net.release()
        else:
            self._call_event(event, payload)

    def _call_event(self, event: RelayEvent, payload: dict[str, Any]) -> None:
        call = self.calls.get(event.call_id)
        if call is None and isinstance(event, CallStateEvent):
            call = self._unknown_leg(event, payload)
        if call is None:
            _log.debug("ignored event %s for an unknown or finished call", event.event_type)
            return
        # Run all three steps, even if one of them raises.
        try:
            core_of(call).on_event(event)
        finally:
            try:
                if self._roll_call is not None:
                    self._roll_call.heard_of(call)
            finally:
                if isinstance(event, CallStateEvent):
                    self.dials.on_leg_state(call, event, self)

    def call_gone(self, call: Call, then: Callable[[bool], object] | None = None) -> None:
        """End a call that the server no longer knows."""
        net = Net()
        with net:
            core = core_of(call)
            core.on_event(core.gone_event())
        with net:
            self.dials.take_stock(self)
        if then is not None:
            then(True)
        net.release()

    def ask_about(self, call: Call, then: Callable[[bool], object]) -> None:
        """Check whether the server still knows a call. If it does not, end the call.

        :param then: function that is called after the check with ``True``, or with ``False`` if the call's state is unknown.
        """
        over = core_of(call).over is not None
        if over or self.states.over:
            then(over)  # a query is not needed, or could not be sent
        elif self.state == "connected":
            self._questions().add(call, then)
        else:
            self._awaited.append((call, then))

    def _questions(self) -> RollCall:
        """Return the roll-call of this session, creating it if necessary."""
        from .resume_check import RollCall  # already imported by reopen_lanes()

        if self._roll_call is None:
            self._roll_call = RollCall(self.call_gone, lambda call: self.dials.on_leg_live(call, self))
        return self._roll_call

    def call_over(self, call: Call) -> None:
        """Remove a call that has ended. Called after the call's state is set and before waiting threads are woken."""
        offer = core_of(call).offer
        self._ended.put(call.call_id, None if offer is None else offer.content)
        self.calls.take_if(call.call_id, call)
        self._elsewhere.take(call)
        self.changed.ring()
        self._unattended.call_over(call)

    def on_phase(self, phase: Phase, error: RelayError | None) -> None:
        """Handle a session phase change."""
        before = self.states.enter(phase)
        if error is not None and phase in (Phase.BACKING_OFF, Phase.FAILED):
            self.counters.failed("connection_errors", error)
        elif phase is Phase.READY and before == "reconnecting":
            self.counters.count("reconnects")
        self._call_the_roll(phase)
        self.states.say(before, phase, error)

    def _call_the_roll(self, phase: Phase) -> None:
        self._end_roll_call()
        if self._aftermath is not None:
            self._aftermath.stop()
            self._aftermath = None
        if phase is Phase.READY:
            from .aftermath import Aftermath  # already imported by reopen_lanes()

            net, now = Net(), time.monotonic()
            calls = self.calls.snapshot()
            awaited, self._awaited = self._awaited, []
            asked = {call for call, _ in awaited}
            for call, then in (*awaited, *((call, None) for call in calls if call not in asked)):
                with net:
                    self._questions().add(call, then)
            with net:
                self.dials.take_stock(self)
            self._aftermath = Aftermath(calls, self.messages, now)
            with net:
                self._aftermath.on_watch(now)
            with self._troubles.caught("internal error in the check for live calls"):
                net.release()

    def _end_roll_call(self) -> None:
        if self._roll_call is not None:
            self._awaited += self._roll_call.stop()
            self._roll_call = None

    def _give_up_questions(self) -> None:
        """Complete all pending checks with ``False``, because they will not be repeated on another connection."""
        awaited, self._awaited = self._awaited, []
        net = Net()
        for _, then in awaited:
            with net:
                then(False)
        with self._troubles.caught("internal error while abandoning questions about calls"):
            net.release()

    def on_session_over(self, error: RelayError, session: int) -> None:
        """End an ended session's calls, dials and messages.

        :param error: exception to raise in threads waiting for them.
        :param session: number of the session. Dials and messages that were sent in a later session continue.
        """
        calls = self.calls.take_all()
        self._elsewhere.take_all()
        self._ended.take_all()
        ringing = self._unattended.take_all()
        net = Net()
        for call in calls:
            with net:
                core_of(call).end(error)
        with net:
            self.dials.end(error, session, parting=self.attached is not None and self.attached.session.parting)
        with net:
            self.messages.end(error, session)
        self._end_roll_call()
        self._give_up_questions()
        self.changed.ring()
        if isinstance(error, ClientClosed):
            for call in ringing:
                with net:
                    self._unattended.say_of(call)
        with self._troubles.caught("internal error while ending a session"):
            net.release()

    def on_watch(self, now: float) -> None:
        """Run the periodic checks: query calls, expire dials, and log stalled callbacks. Called once a second."""
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
        client_watch = self._client_watch()
        if client_watch is not None:
            with net:
                client_watch(now)
        with self._troubles.caught("internal error in the periodic checks"):
            net.release()
        self.callbacks.check_stalled(now)

    def on_poke(self) -> None:
        """Handle ``stop()``. That method can only set a flag because it may run in a signal handler."""
        client_poke = self._client_poke()
        if client_poke is not None:
            client_poke()

    def on_closing(self, *, hang_up: bool) -> None:
        """Prepare to close the session.

        :param hang_up: whether to hang up live calls and cancel dials.
        """
        net = Net()
        for core in map(core_of, self.ours if hang_up else ()):
            if not core.told_to_end:
                with net:
                    core.promise_end("hangup")
        if hang_up:
            self.dials.call_off(client_closed())
        self.dials.await_legs(time.monotonic())
        net.release()

    def expects(self) -> bool:
        """Return whether the server may still report legs that must be hung up before the client disconnects."""
        return self.dials.lacks_legs

    @property
    def session(self) -> int | None:
        """The number of the current session, or ``None`` before the first connection."""
        return None if self.attached is None else self.attached.session.number

    # -- outbound legs -------------------------------------------------------------------------------------------

    def _unknown_leg(self, event: CallStateEvent, payload: dict[str, Any]) -> Call | None:
        """Create a call for an unknown leg.

        :return: the new call, or ``None`` if the leg was created neither by one of this client's dials nor by ``connect`` on one
            of its calls.
        """
        dial = self.dials.leg_of(event)
        parent = event.parent.get("call_id")
        if dial is None and (not isinstance(parent, str) or parent not in self.calls):
            return None
        leg = self.new_leg(event.call_id, event, payload)
        if leg is not None and dial is not None:
            self.dials.add_leg(dial, leg, self)
        return leg

    def new_leg(self, call_id: str, event: CallStateEvent, payload: Mapping[str, Any]) -> Call | None:
        """Create and register an outbound call.

        :return: the call, or ``None`` if the event is late and the call has already ended.
        """
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
        core_of(call).session = self.session
        self.calls.put(call_id, call)
        if self.observers is not None:
            self.observers.call_offered(call)
        return call

    def cut_off(self, call: Call, error: CallEnded) -> None:
        """Hang up a leg that is no longer needed, and release it."""
        try:
            if call.state != CALL_STATE_ENDING:
                core_of(call).promise_end("hangup" if call.state == CALL_STATE_ANSWERED else "cancel")
        finally:
            self.let_go(call, error)

    def let_go(self, call: Call, error: CallEnded) -> None:
        """Stop tracking a call. Threads waiting for the call get this error. May be called on any thread."""
        self._ended.put(call.call_id, None)
        self.calls.take_if(call.call_id, call)
        try:
            core_of(call).end(error)
        finally:
            # Do this after core.end(), because handed_over() adds the call to this table before it checks for its end.
            self._elsewhere.take(call)
            self._unattended.let_go(call)
            self.changed.ring()

    def handed_over(self, call: Call) -> None:
        """Record that this client no longer controls a call. May be called on any thread.

        The call still receives events. The number of such calls is limited, and the oldest call is released.
        """
        oldest = self._elsewhere.put(call, call)
        if call.state == CALL_STATE_ENDED or core_of(call).over is not None:
            self._elsewhere.take(call)  # the call ended before it was added to the table
        if oldest is not None and oldest is not call:
            self.let_go(oldest, CallEnded("the call was handed over, and no event has arrived since"))
        self.changed.ring()

    @property
    def ours(self) -> list[Call]:
        """The live calls that this client controls."""
        return [call for call in self.calls.snapshot() if core_of(call).is_ours]

    @property
    def stopped(self) -> Flag:
        """The current connection's flag that makes ``run()`` return."""
        return self.attached.stopped if self.attached is not None else Flag()

    @property
    def draining(self) -> bool:
        """Whether the current connection has stopped accepting calls."""
        return self.attached is not None and self.attached.draining

    # -- inbound calls -------------------------------------------------------------------------------------------

    def _receive(self, event: CallReceiveEvent, payload: dict[str, Any]) -> None:
        client, known = self._client(), self.calls.get(event.call_id)
        if known is not None and core_of(known).handed_over:
            self.let_go(known, CallEnded("the call was handed over, and came back as a new call"))
            known = None
        offer = Offer.of(event)
        before = None if known is None else core_of(known).offer
        if known is not None and before is not None and offer.is_of_others(before):
            self.let_go(known, CallEnded("a new call arrived with the ID of this call, whose end was not reported"))
            known = None
        ended = self._ended.take(event.call_id) if known is None else None
        if ended == offer.content:
            self._ended.put(event.call_id, ended)
        if client is None or not event.call_id or known is not None or ended == offer.content:
            return  # ignore a repeated offer
        call = Call(
            client,
            event.call_id,
            event.node_id,
            event.project_id or _text(payload.get("project_id")),  # the envelope contains it as well
            event.context or _text(payload.get("context")),
            tag=event.tag,
            direction=event.direction or "inbound",
            device=event.device,
            state=event.call_state or "created",
            segment_id=event.segment_id,
        )
        core = core_of(call)
        core.session, core.offer = self.session, offer
        if self.observers is not None:
            self.observers.call_offered(call)
        if self.on_call is None:
            if not self._warned_no_handler:
                self._warned_no_handler = True
                _log.warning("inbound calls are returned to the platform: no on_call handler is registered")
            self._pass_back(call)
        elif self.draining:
            _log.info("call %s is returned to the platform: this client is draining", call.call_id)
            self._pass_back(call)
        elif len(self.calls) >= self._max_active_calls <= len(self.ours):
            _log.warning(
                "call %s is returned to the platform: %d calls are active (max_active_calls)",
                call.call_id,
                self._max_active_calls,
            )
            self._pass_back(call)
        else:
            self.calls.put(call.call_id, call)
            # After a crash, the ID is needed to hang up the call.
            _log.info("call %s is taken by this client", call.call_id)
            self._start_handler(call, self.on_call)

    def _pass_back(self, call: Call) -> None:
        self.counters.count("calls_returned")
        self.calls.take_if(call.call_id, call)
        core_of(call).promise_pass()
        if self.observers is not None:
            self.observers.call_ended(call, "released")

    def _start_handler(self, call: Call, handler: InContext) -> None:
        try:
            self.handlers.start(call, handler)
        except RuntimeError as error:
            _log.error("call %s is returned to the platform: no thread for its handler (%s)", call.call_id, error)
            self._pass_back(call)
        else:
            self.counters.count("calls_taken")
            # This is the IO thread, so observers are notified before any event of the call.
            if self.observers is not None:
                self.observers.call_started(call)

    def observe(self, observer: Observer, keep: Iterable[str]) -> Callable[[], None]:
        """Add an observer.

        :param observer: the observer.
        :param keep: names of optional fields to include in call records; see :meth:`RelayClient.observe`.
        :return: a function that removes the observer.
        :raises InvalidParameter: ``observer`` is not an observer, or ``keep`` is invalid.
        """
        from ..observing.observers import Observers  # imported here because most programs have no observers

        with self._observing:
            observers = self.observers or Observers()
            # Set the observers before adding one. Otherwise the record of a call that ends in between is never closed.
            self._set_observers(observers)
            try:
                remove = observers.add(observer, keep, self.calls.snapshot)
            except BaseException:
                self.unobserve(observers)
                raise
        if self.attached is not None and not self.states.over:
            observers.open()
        return partial(_take_off, remove, observers, weakref.ref(self))

    def unobserve(self, observers: Observers) -> None:
        """Remove the collection of observers if it is empty."""
        with self._observing:
            if observers.empty and self.observers is observers:
                self._set_observers(None)

    def _set_observers(self, observers: Observers | None) -> None:
        self.observers = self.callbacks.observers = self.messages.observers = observers

    def is_quiet(self) -> bool:
        """Return whether no calls are live or being dialed, and no call handlers are running on other threads."""
        # Test the dials first. A leg is added to the calls before its dial is decided.
        return not (self.dials.awaited or self.ours or self.handlers_running())

    def handlers_running(self) -> int:
        """Return the number of call handlers that are running on other threads."""
        return len(self.handlers.running())

    def stats(self) -> ClientStats:
        """Return the client's statistics."""
        loads = [lanes.load for lanes in (self.callbacks.lanes, self.callbacks.shared)]
        return attrs.evolve(
            self.counters.summary(),
            state=self.state,
            draining=self.draining,
            live_calls=len(self.calls),
            handlers=len(self.handlers),
            callbacks_running=sum(running for running, _ in loads),
            callbacks_queued=sum(queued for _, queued in loads),
        )

    def finish(self, timeout: float) -> None:
        """Wait for queued callbacks and running handlers, and log the names of any that are still running at the timeout.

        :param timeout: maximum time to wait, in seconds.
        """
        end = time.monotonic() + timeout
        self.handlers.finish(timeout, self.callbacks.lanes, self.callbacks.shared)
        if self.observers is not None:
            self.observers.close(max(0.0, end - time.monotonic()))

    def reopen_lanes(self) -> None:
        """Start accepting callbacks again. Called before a connection opens."""
        # Import the modules that a connection needs now, because the IO thread must not import anything.
        from .. import receivers  # noqa: F401
        from . import aftermath, resume_check  # noqa: F401

        self.callbacks.reopen()
        if self.observers is not None:
            self.observers.open()

    def after_fork(self) -> None:
        """Discard the parent's calls in a forked child process."""
        # Replace these objects, because another thread may have held their locks at the fork.
        self.calls = Table()
        self._elsewhere = Recent(REMEMBERED_CALLS)
        self._ended = Recent(REMEMBERED_CALLS)
        self._unattended = Unattended()
        self._troubles = RateLimitedLog(_log)
        self._aftermath = None
        self._roll_call = None  # its queries belong to threads of the parent process
        self._awaited = []
        self.counters.after_fork()
        self.changed = Bell()
        self.handlers = self._new_handlers()
        self.attached = None
        self.callbacks.after_fork()
        self._observing = threading.RLock()
        if self.observers is not None:
            self.observers.after_fork()
        self.dials = Dials()
        self.messages.after_fork()
        self.states.after_fork()


def _take_off(remove: Callable[[], None], observers: Observers, of: weakref.ref[Router]) -> None:
    """Remove an observer. Takes a weak reference to the router, so that this function does not keep the client alive."""
    remove()
    router = of()
    if router is not None:
        router.unobserve(observers)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
