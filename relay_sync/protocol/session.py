"""The RELAY session as a state machine.

Its inputs are events and the current time, and its outputs are effects. It uses no sockets, threads or clocks, and the
caller supplies IDs and random numbers. All times are seconds on one monotonic clock. No input from the peer makes a
method raise.
"""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from ..constants import (
    EVENT_AUTHORIZATION_STATE,
    EVENT_CALL_DIAL,
    EVENT_CALL_STATE,
    METHOD_CONNECT,
    METHOD_DISCONNECT,
    METHOD_EVENT,
    METHOD_PING,
)
from ..errors import (
    AuthenticationError,
    ConnectError,
    ConnectionLost,
    QueueFull,
    RelayError,
    RequestTimeout,
)
from ..text.secrecy import Secrets, drop_causes
from . import frames
from .backoff import failures_after, retry_delay
from .effects import (
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
from .liveness import Liveness
from .options import SessionOptions
from .promises import Promises
from .repeats import Seen
from .results import (
    REFUSES_CONNECT,
    REFUSES_CREDENTIALS,
    client_closed,
    connect_refusal,
    is_welcome,
    never_sent,
    read_code,
    refuses_resume,
    session_replaced,
    too_late,
)

__all__ = ["Session", "SessionOptions"]

#: Session numbers. They are unique in the process, and later sessions have higher numbers, even after a client was
#: closed.
_numbers = itertools.count(1)

REMEMBERED_EVENTS: Final = 4096
#: Maximum number of abandoned commands whose late replies are still processed.
REMEMBERED_LATE: Final = 256
#: Number of pending commands above which expired commands are removed.
CROWD: Final = 1024
#: Number of consecutive rejections after which the client stops connecting. Before the first session, any rejection counts;
#: after it, only rejections of the credentials count.
MOST_REFUSALS: Final = 3
#: Events that report the legs of a dial.
OF_LEGS: Final = (EVENT_CALL_DIAL, EVENT_CALL_STATE)


class Session:
    """One client's state machine.

    The owner reads :attr:`phase`, and processes :meth:`effects` after every method call.
    """

    def __init__(self, options: SessionOptions, *, new_id: Callable[[], str], random: Callable[[], float]) -> None:
        self.options = options
        self.phase: Phase = Phase.IDLE
        self.contexts: dict[str, None] = dict.fromkeys(options.contexts)
        #: The server's name for the session. The client sends it again to resume the session.
        self.protocol: str = ""
        #: Number of the server-side session, assigned before that session exists. Sent commands and calls belong to one
        #: session.
        self.number: int = next(_numbers)
        #: The most recent reason why there is no session.
        self.last_error: RelayError | None = None
        #: Whether a session has ever been ready.
        self.ever_ready: bool = False
        #: Set by the owner while the transport's outbox is full.
        self.congested = False
        self._authorization_state = ""
        #: Whether the session must not be resumed, because the server rejected it or requested a new one.
        self._forgotten = False
        self._new_id = new_id
        self._random = random
        self._effects: list[Effect] = []
        self._queue: deque[Command] = deque()
        self._pending: dict[object, Command] = {}
        #: The owner may set these to expect legs before it closes the session.
        self.promises: Promises = Promises()
        #: The latest time to disconnect after close(), even if promises are still open.
        self._part_by: float | None = None
        #: Whether the session is closed for callers but stays connected, or reconnects, to keep promises.
        self.parting: bool = False
        self._crowd = CROWD
        self._seen = Seen(REMEMBERED_EVENTS)
        self._late: OrderedDict[str, None] = OrderedDict()
        self._connect_id = ""
        self._resuming = ""
        self._liveness = Liveness(options.ping_interval, options.ping_timeout)
        self._failures = 0
        self._refusals = 0
        #: Whether the server has announced a disconnect. New commands are then not sent.
        self._leaving = False
        #: Whether the announcement has been acknowledged. The acknowledgment is the last frame on a connection.
        self._said_goodbye = False
        #: Id of the announcement, needed for the acknowledgment.
        self._goodbye_id: frames.FrameId | None = None
        #: Whether the server requested a new session for the next connection.
        self._restart = False
        self._ready_since = 0.0
        #: The timer of the current phase, if it has one; see :meth:`next_wake`.
        self._wake: float | None = None

    # -- output --------------------------------------------------------------------------------------------------

    def effects(self) -> list[Effect]:
        """Return the effects since the last call, in order."""
        out, self._effects = self._effects, []
        return out

    def next_wake(self) -> float | None:
        """Return when to call :meth:`tick` next, or ``None``."""
        wake = self._liveness.next_wake() if self.phase is Phase.READY and self._wake is None else self._wake
        if not self.parting:
            return wake
        return self._parts_at() if wake is None else min(wake, self._parts_at())

    @property
    def unanswered(self) -> int:
        """Number of queued and pending commands."""
        return len(self.commands())

    def commands(self) -> list[Command]:
        """Return the queued and pending commands."""
        return [*self.promises.unsent(self._pending), *self._queue, *self._pending.values()]

    # -- requests from the owner ---------------------------------------------------------------------------------------

    def open(self, now: float) -> None:
        """Start connecting. Later calls have no effect."""
        if self.phase is Phase.IDLE:
            self._dial()

    def submit(self, now: float, command: Command) -> None:
        """Send a command now, or queue it until a session is ready."""
        open_now = self.phase is Phase.READY and not (self._leaving or self.congested or self.parting)
        if open_now and not command.promised and not command.deadline.passed(now):
            self._transmit(now, command)  # nearly always the case
        elif self.phase in (Phase.CLOSED, Phase.FAILED) or (self.parting and not command.promised):
            self._settle(command, self.last_error or client_closed())
        elif command.deadline.passed(now):
            self._settle(command, never_sent(command))
        elif command.promised:
            self._promise(now, command)
        elif self.congested or self._queue_full(now):
            self._settle(command, QueueFull("too many commands are waiting to be sent; send fewer, or try again later"))
        else:
            self._queue.append(command)

    def withdraw(self, command: Command) -> None:
        """Stop waiting for a command. An unsent command is dropped; the reply to a sent one is reported as :class:`Late`."""
        command.abandoned = True
        if command in self._queue:
            self._queue.remove(command)
        elif command.late is None:
            self._pending.pop(command.id, None)
        else:
            self._late[command.id] = None
            if len(self._late) > REMEMBERED_LATE:
                self._pending.pop(self._late.popitem(last=False)[0], None)

    def close(self, now: float, patience: float = 0.0) -> None:
        """Close the session permanently. Pending commands fail with :class:`ClientClosed` immediately.

        :param now: current time.
        :param patience: maximum time to wait for open promises, in seconds. The client reconnects to keep them if
            necessary. If legs that must be hung up are expected, the session still processes events for legs during
            this time.
        """
        if self.phase in (Phase.CLOSED, Phase.FAILED) or self.parting:
            return
        error = self.last_error = client_closed()
        self._effects.append(PhaseChanged(Phase.CLOSED, error))
        self._settle_all(error)
        self._effects.append(SessionOver(error, self.number))
        self._part_by = now + patience
        self.parting = True
        if patience <= 0 or now >= self._parts_at():
            self._part()

    def _parts_at(self) -> float:
        """Return the time at which a closing client disconnects, even if promises are still open."""
        since = self._ready_since if self.phase is Phase.READY else None
        return min(self._part_by or -math.inf, self.promises.open_until(self._pending, since))

    def _part(self) -> None:
        had_transport = self.phase in (Phase.DIALING, Phase.AUTHENTICATING, Phase.READY)
        self.phase, self._wake, self.parting = Phase.CLOSED, None, False
        self.promises.expect_nothing()
        self._leaving = self._said_goodbye = False
        for command in self.promises.all():
            self._settle(command, client_closed())
        self._pending.clear()
        if had_transport:
            self._effects.append(Hangup())

    def fail(self, reason: str) -> None:
        """Close the session permanently after an internal error. Pending commands fail with the given reason."""
        if self.phase not in (Phase.CLOSED, Phase.FAILED):
            self._fail(ConnectionLost(reason) if self.ever_ready else ConnectError(reason))

    # -- reports from the transport ------------------------------------------------------------------------------------

    def connected(self, now: float) -> None:
        """Start authentication after the transport has connected."""
        if self.phase is not Phase.DIALING:
            self._effects.append(Hangup(at_once=True))
            return
        self.phase = Phase.AUTHENTICATING
        self._wake = now + self.options.connect_patience
        self._connect_id = self._new_id()
        if self._restart:
            self._restart = False
            self._forget()
        self._resuming = "" if self._forgotten else self.protocol
        params = self.options.introduction(self.contexts, self._resuming, self._authorization_state)
        self._effects.append(Send(frames.build_request(self._connect_id, METHOD_CONNECT, params)))

    def dial_failed(self, now: float, error: RelayError, *, fatal: bool, refused: bool = False) -> None:
        """Back off or fail after the transport failed to connect.

        :param now: current time.
        :param error: the attempt's error.
        :param fatal: whether a retry would fail in the same way, as with an unknown host name or an untrusted
            certificate.
        :param refused: whether the peer replied and rejected the connection.
        """
        if self.phase is Phase.DIALING:
            drop_causes(error)
            fatal = fatal or (refused and self._refused_enough())
            if fatal and not self.ever_ready:
                self._fail(error)
            else:
                self._back_off(now, error)

    def lost(self, now: float, reason: str, *, refused: bool = False) -> None:
        """Reconnect or fail after the transport was closed.

        :param now: current time.
        :param reason: why the transport was closed.
        :param refused: whether the server rejected the session by closing the connection.
        """
        if self.phase is Phase.AUTHENTICATING and refused and self._refused_enough():
            text = f"the server refused the session: {self._scrubbed(reason)}; check project, token and host"
            self._fail(ConnectError(text))
        elif self.phase in (Phase.AUTHENTICATING, Phase.READY):
            self._lost(now, self._scrubbed(reason))

    def outbox(self, now: float, *, empty: bool, moved: bool) -> None:
        """Record the outbox's state while it holds data and when it empties.

        :param now: current time.
        :param empty: whether all of the data has been written.
        :param moved: whether some of the data has just been written.
        """
        self._liveness.outbox(now, empty=empty, moved=moved)
        if moved:
            self.promises.moved(now)

    def heard(self, now: float, *, within: bool = False) -> None:
        """Record that data arrived, which shows that the peer is alive.

        :param now: current time.
        :param within: whether the data neither starts nor ends a message.
        """
        self._liveness.heard(within=within)

    def received(self, now: float, text: str) -> None:
        """Process a text message."""
        try:
            frame = frames.parse(text)
        except frames.Malformed as error:
            self._effects.append(Trouble(f"an invalid frame ({error.kind})"))
            return
        if not isinstance(frame, frames.RequestFrame):
            self._answered(now, frame)
        elif self.phase is Phase.READY or self.phase is Phase.AUTHENTICATING:
            if frame.method == METHOD_EVENT:
                self._event(frame, text)
            else:
                self._requested(now, frame)

    def shift(self, by: float) -> None:
        """Adjust the timers after a clock jump.

        All session timers follow the elapsed time, except that a forward jump while backing off makes the next
        connection attempt due. Command deadlines belong to the callers and follow the clock.

        :param by: seconds that the clock advanced beyond the elapsed time; negative if it advanced less.
        """
        self._ready_since += by
        if self._wake is not None and (by < 0 or self.phase is not Phase.BACKING_OFF):
            self._wake += by
        self._part_by = self._part_by and self._part_by + by
        self._liveness.shift(by)
        self.promises.shift(by)

    def tick(self, now: float) -> None:
        """Process the timer if it is due."""
        wake = self.next_wake()
        if wake is None or now < wake:
            return
        if self.parting and now >= self._parts_at():
            self._part()
        elif self.phase is Phase.BACKING_OFF:
            self._dial()
        elif self._leaving and not self._said_goodbye:
            self._say_goodbye(now)
        elif self._leaving:
            self._drop(now, "the server announced a disconnect")
        elif self.phase is Phase.AUTHENTICATING:
            self._drop(
                now, f"the server did not reply to signalwire.connect within {self.options.connect_patience:g} s"
            )
        elif self.phase is Phase.READY and (reason := self._liveness.verdict(now)):
            self._drop(now, reason)
        elif self.phase is Phase.READY:
            self._ping(now)

    def _ping(self, now: float) -> None:
        self._liveness.asked(now, ping := self._new_id())
        self._effects.append(Send(frames.build_request(ping, METHOD_PING, {"timestamp": round(now, 3)})))

    # -- requests from the server --------------------------------------------------------------------------------

    def _requested(self, now: float, request: frames.RequestFrame) -> None:
        if request.method == METHOD_PING:
            self._answer(request.id, frames.build_result, frames.echo(request.params))
        elif request.method == METHOD_DISCONNECT:
            self._server_leaves(now, request)
        elif request.id is not None:
            self._answer(request.id, frames.build_error, -32601, "method not known")
            self._effects.append(Trouble("a request with an unknown method", self._scrubbed(request.method)[:100]))

    def _event(self, request: frames.RequestFrame, text: str) -> None:
        payload = request.params if isinstance(request.params, dict) else {}
        kind = payload.get("event_type")
        if self.parting and not (self.promises.expecting_since is not None and kind in OF_LEGS):
            return  # not acknowledged, so that the server offers a new call to another client
        # Acknowledge the event first, so that the server does not wait until it is processed.
        event_id = request.id
        if event_id is not None:
            if not self._said_goodbye:
                self._effects.append(Send(frames.acknowledge(event_id)))
            if self._seen.again(event_id, text):
                self._effects.append(Trouble("a duplicate of an event"))
                return
        if not isinstance(kind, str):
            self._effects.append(Trouble("an event without a type"))
        elif kind == EVENT_AUTHORIZATION_STATE:
            params = payload.get("params")
            state = params.get("authorization_state") if isinstance(params, dict) else None
            if isinstance(state, str) and state:
                self._authorization_state = state
                self.options.secrets.learn(state)
        else:
            self._effects.append(Deliver(payload))

    def _server_leaves(self, now: float, request: frames.RequestFrame) -> None:
        params = request.params
        if isinstance(params, dict) and params.get("restart") is True:
            self._restart = True
        if not self._leaving:
            # The server closes the connection after the acknowledgment, so wait for the replies to pending commands
            # first.
            self._leaving = True
            self._goodbye_id = request.id
            self._wake = now + self.options.farewell_patience
            if not self._pending:
                self._say_goodbye(now)

    def _say_goodbye(self, now: float) -> None:
        self._answer(self._goodbye_id, frames.build_result, {})
        self._said_goodbye = True
        self._wake = now + self.options.leaving_patience

    def _answer(self, frame_id: frames.FrameId | None, build: Callable[..., str], *parts: object) -> None:
        # The acknowledgment of signalwire.disconnect is the last frame on a connection.
        if frame_id is not None and not self._said_goodbye:
            self._effects.append(Send(build(frame_id, *parts)))

    # -- replies from the server ---------------------------------------------------------------------------------

    def _answered(self, now: float, answer: frames.Reply | frames.Failure) -> None:
        # While authenticating, an error without an ID must refer to signalwire.connect, the only request sent so far.
        if self.phase is Phase.AUTHENTICATING and answer.id in (self._connect_id, None):
            if self._leaving:
                pass  # the session would end immediately
            elif isinstance(answer, frames.Reply):
                self._connect_answered(now, answer.result)
            else:
                self._connect_refused(now, answer.code, answer.message)
            return
        command = self._pending.pop(answer.id, None)
        ping = self._liveness.answered(now, answer.id, ping=command is not None and command.method == METHOD_PING)
        if command is None:
            if not ping:
                self._effects.append(Trouble("a reply that matches no pending request"))
            return
        outcome = answer.result if isinstance(answer, frames.Reply) else answer
        self._settle(command, outcome)
        if self.parting and not self.promises:
            self._part()
        elif self._leaving and not self._said_goodbye and not self._pending:
            self._say_goodbye(now)

    def _connect_answered(self, now: float, result: object) -> None:
        members = result if isinstance(result, dict) else {}
        if not is_welcome(result, resuming=bool(self._resuming)):
            message = members.get("message")
            self._connect_refused(now, read_code(result), message if isinstance(message, str) else "", result=True)
            return
        named = members.get("protocol")
        protocol = named if isinstance(named, str) else ""
        if not protocol and members.get("session_restored") is not False:
            protocol = self._resuming  # the session was resumed, and the server does not have to repeat the name
        if self.ever_ready and (not protocol or protocol != self.protocol):
            self._replaced()
        elif not self._resuming:
            self._seen.clear()
        self.protocol = protocol
        self.ever_ready = True
        self._forgotten = False
        self._refusals = 0
        self._ready_since = now
        self._wake = None
        self._liveness.begin(now)
        self._enter(Phase.READY, None)
        queued, self._queue = [*self.promises.unsent(self._pending), *self._queue], deque()
        for command in queued:
            if command.deadline.passed(now) and command.only_in in (None, self.number):
                self._settle(command, too_late(command))
            else:
                self._transmit(now, command)
        if self.parting and not self.promises:
            self._part()  # the promises belonged to the previous session

    def _replaced(self) -> None:
        """End the previous session after the server has started a new one."""
        self.promises.expect_nothing()
        self._seen.clear()
        self._authorization_state = ""
        self._effects.append(SessionOver(session_replaced(), self.number))
        self.number = next(_numbers)

    def _connect_refused(self, now: float, code: int | None, message: str, *, result: bool = False) -> None:
        """Back off or fail after the server rejected the session.

        :param now: current time.
        :param code: error code from the server.
        :param message: message from the server, or ``""``.
        :param result: whether the error came in a result instead of a JSON-RPC error.
        """
        if self._resuming and refuses_resume(code, result=result):
            # The server rejected the attempt to resume the old session, so request a new one immediately.
            self._forget()
            self._hang_up_and_dial()
            return
        error = connect_refusal(code, self._scrubbed(message)[:500])
        fatal = self._refused_enough(ours=isinstance(error, AuthenticationError))
        fatal = fatal or (not self.ever_ready and code in REFUSES_CREDENTIALS | REFUSES_CONNECT)
        self._effects.append(Hangup(at_once=True))
        if fatal:
            self._fail(error)
        else:
            self._back_off(now, error)

    def _refused_enough(self, *, ours: bool = False) -> bool:
        """Count a rejection. After the first session, only rejected credentials count.

        :param ours: whether the server rejected the credentials.
        :return: whether to stop connecting.
        """
        if not self.ever_ready or ours:
            self._refusals += 1
        return self._refusals >= MOST_REFUSALS

    def _scrubbed(self, message: str) -> str:
        # A server may repeat parts of the request. The project is not treated as secret elsewhere, but here it is part
        # of the credentials.
        credentials = Secrets(*self.options.authentication.values())
        return self.options.secrets.hide(credentials.hide(message, theirs=True), theirs=True)

    # -- transitions ---------------------------------------------------------------------------------------------

    def _enter(self, phase: Phase, error: RelayError | None) -> None:
        self.phase = phase
        if self.parting:
            return  # already reported as closed
        if error is not None:
            self.last_error = error
        self._effects.append(PhaseChanged(phase, error))

    def _dial(self) -> None:
        self._wake = None
        self._enter(Phase.DIALING, None)
        self._effects.append(Dial())

    def _hang_up_and_dial(self) -> None:
        self._effects.append(Hangup(at_once=True))
        self._dial()

    def _drop(self, now: float, reason: str) -> None:
        self._effects.append(Hangup(at_once=True))
        self._lost(now, reason)

    def _lost(self, now: float, reason: str) -> None:
        if self.phase is Phase.READY:
            held = now - self._ready_since
            self._failures = 0 if held >= self.options.holds_after else failures_after(self._failures, held)
        self._leaving = self._said_goodbye = False
        again: list[Command] = []
        for command in self._pending.values():
            if command.promised:
                continue  # the promise is sent again on the next connection
            if command.idempotent and not command.abandoned:
                again.append(command)
            else:
                text = f"{reason} while {command.method} was pending: it may have been carried out; check before you repeat it"
                self._settle(command, ConnectionLost(text, sent=True))
        self._pending.clear()
        self._queue.extendleft(reversed(again))
        if self.parting and not self.promises:
            self._part()
        else:
            self._back_off(now, ConnectionLost(reason))

    def _back_off(self, now: float, error: RelayError) -> None:
        self._wake = now + retry_delay(self._failures, self._random())
        self._failures += 1
        self._enter(Phase.BACKING_OFF, error)

    def _fail(self, error: RelayError) -> None:
        if self.parting:
            self._part()
            return
        self._wake = None
        self._enter(Phase.FAILED, error)
        self._settle_all(error, promises=True)
        self._effects.append(SessionOver(error, self.number))

    def _forget(self) -> None:
        # Keep the protocol to detect that the next session is a different one.
        self._forgotten = True
        self._authorization_state = ""

    # -- commands ------------------------------------------------------------------------------------------------

    def _promise(self, now: float, command: Command) -> None:
        if not self.promises.make(now, command):
            self._settle(
                command, QueueFull("too many hangup and stop commands are waiting to be sent; this one is dropped")
            )
        elif self.phase is Phase.READY and not self._leaving:
            self._transmit(now, command)

    def _transmit(self, now: float, command: Command) -> None:
        if command.only_in is not None and command.only_in != self.number:
            self._settle(command, ConnectionLost(session_replaced().message, sent=command.sent))
            return
        if len(self._pending) >= self._crowd:
            self._thin_out(now)
        command.session = self.number
        if command.promised:
            self.promises.sent(now, command)
        self._liveness.commands += 1
        self._pending[command.id] = command
        command.moved_at = now
        self._effects.append(Send(command.text, command))
        if not (command.idempotent or command.promised):
            command.text = ""  # it is never sent again, but the command is kept until the reply arrives

    def _thin_out(self, now: float) -> None:
        """Remove expired commands that no caller will withdraw, so that unanswered commands do not accumulate."""
        for command in list(self._pending.values()):
            if command.late is None and command.deadline.passed(now) and command.time_left(now) <= 0:
                del self._pending[command.id]
                self._settle(command, RequestTimeout(f"the server did not reply to {command.method}"))
        self._crowd = max(CROWD, 2 * len(self._pending))

    def _queue_full(self, now: float) -> bool:
        if len(self._queue) < self.options.max_queue:
            return False
        # Remove expired commands to make room.
        queued, self._queue = self._queue, deque()
        for command in queued:
            if command.deadline.passed(now):
                self._settle(command, too_late(command))
            else:
                self._queue.append(command)
        return len(self._queue) >= self.options.max_queue

    def _settle(self, command: Command, outcome: object) -> None:
        if command.promised:
            self.promises.end(command)
        self._effects.append(Late(command, outcome) if command.abandoned else Settle(command, outcome))

    def _settle_all(self, error: RelayError, *, promises: bool = False) -> None:
        commands = [command for command in self.commands() if promises or command not in self.promises]
        self._queue.clear()
        # Late replies are still processed while the session keeps promises.
        kept = [] if promises else [each for each in self._pending.values() if each in self.promises or each.late]
        self._pending = {each.id: each for each in kept}
        for command in commands:
            lost = isinstance(error, ConnectionLost)
            self._settle(command, ConnectionLost(error.message, sent=command.sent) if lost else error)
            command.abandoned = command.id in self._pending
