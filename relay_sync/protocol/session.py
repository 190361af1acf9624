"""The RELAY session as a state machine: what happened and what time it is go in, effects come out.

It knows no socket, no thread and no clock; ids and random numbers are handed to it. Times are seconds on one monotonic
clock. Nothing a peer sends makes a method raise.
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

#: One count for all connections of the process: a later session has a higher number, also after a client was closed.
_numbers = itertools.count(1)

REMEMBERED_EVENTS: Final = 4096
#: Commands whose callers gave up and whose answers would still be acted upon.
REMEMBERED_LATE: Final = 256
#: Commands under way among which those are looked for whose time is over.
CROWD: Final = 1024
#: Refusals in a row after which connecting ends: any refusal before the first session, one of the credentials after it.
MOST_REFUSALS: Final = 3
#: Events that tell of legs of a dial.
OF_LEGS: Final = (EVENT_CALL_DIAL, EVENT_CALL_STATE)


class Session:
    """See the module. Callers read :attr:`phase` and drain :meth:`effects` after every method they call."""

    def __init__(self, options: SessionOptions, *, new_id: Callable[[], str], random: Callable[[], float]) -> None:
        self.options = options
        self.phase: Phase = Phase.IDLE
        self.contexts: dict[str, None] = dict.fromkeys(options.contexts)
        #: The server's name for this session; sent again to resume it.
        self.protocol: str = ""
        #: Of the server's session, also while there is none yet. What was sent, and each call, belongs to one of them.
        self.number: int = next(_numbers)
        #: The last reason why there was no session.
        self.last_error: RelayError | None = None
        #: Whether any session was ever ready.
        self.ever_ready: bool = False
        #: Set by the owner while the transport cannot take more.
        self.congested = False
        self._authorization_state = ""
        #: The session is not to be asked for again: the server refused it, or wants a new one.
        self._forgotten = False
        self._new_id = new_id
        self._random = random
        self._effects: list[Effect] = []
        self._queue: deque[Command] = deque()
        self._pending: dict[object, Command] = {}
        #: The owner may tell them to expect legs before it closes the session.
        self.promises: Promises = Promises()
        #: Set once the client is closed, while promises are still kept: when that ends at the latest.
        self._part_by: float | None = None
        #: Whether it is closed for everybody, but for what was promised.
        self.parting: bool = False
        self._crowd = CROWD
        self._seen = Seen(REMEMBERED_EVENTS)
        self._late: OrderedDict[str, None] = OrderedDict()
        self._connect_id = ""
        self._resuming = ""
        self._liveness = Liveness(options.ping_interval, options.ping_timeout)
        self._failures = 0
        self._refusals = 0
        #: The server has announced that it leaves; nothing new is asked of it.
        self._leaving = False
        #: Our answer to that, the last frame on this connection, has been sent; until then its id is kept here.
        self._said_goodbye = False
        self._goodbye_id: frames.FrameId | None = None
        #: The server wants the next session to be a new one.
        self._restart = False
        self._ready_since = 0.0
        #: At most one of these timers matters in each phase; see :meth:`next_wake`.
        self._wake: float | None = None

    # -- what comes out ------------------------------------------------------------------------------------------

    def effects(self) -> list[Effect]:
        """Everything to be done since the last call, in order."""
        out, self._effects = self._effects, []
        return out

    def next_wake(self) -> float | None:
        """When :meth:`tick` wants to be called, or ``None``."""
        wake = self._liveness.next_wake() if self.phase is Phase.READY and self._wake is None else self._wake
        if not self.parting:
            return wake
        return self._parts_at() if wake is None else min(wake, self._parts_at())

    @property
    def unanswered(self) -> int:
        """How many commands are queued or under way."""
        return len(self.commands())

    def commands(self) -> list[Command]:
        """Those commands."""
        return [*self.promises.unsent(self._pending), *self._queue, *self._pending.values()]

    # -- what the owner asks for ---------------------------------------------------------------------------------

    def open(self, now: float) -> None:
        """Start connecting, unless that is under way."""
        if self.phase is Phase.IDLE:
            self._dial()

    def submit(self, now: float, command: Command) -> None:
        """Send a command now, or with the next session if there is none yet."""
        open_now = self.phase is Phase.READY and not (self._leaving or self.congested or self.parting)
        if open_now and not command.promised and not command.deadline.passed(now):
            self._transmit(now, command)  # nearly always
        elif self.phase in (Phase.CLOSED, Phase.FAILED) or (self.parting and not command.promised):
            self._settle(command, self.last_error or client_closed())
        elif command.deadline.passed(now):
            self._settle(command, never_sent(command))
        elif command.promised:
            self._promise(now, command)
        elif self.congested or self._queue_full(now):
            self._settle(command, QueueFull("too many commands are waiting to be sent; slow down, or try again later"))
        else:
            self._queue.append(command)

    def withdraw(self, command: Command) -> None:
        """Nobody waits for this command any more: drop it if it is unsent, else report its answer as late."""
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
        """End for good. Whatever waits ends with :class:`ClientClosed`, at once.

        :param patience: seconds in which promises that are open may still be kept, on another connection if need be.
            So long it also hears of legs that are to be hung up, where its promises expect any.
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
        """When a client that is closed takes its leave, whatever is still open."""
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
        """End for good by a fault of our own. Whatever waits ends with an error that says so."""
        if self.phase not in (Phase.CLOSED, Phase.FAILED):
            self._fail(ConnectionLost(reason) if self.ever_ready else ConnectError(reason))

    # -- what the transport reports ------------------------------------------------------------------------------

    def connected(self, now: float) -> None:
        """The transport stands: authenticate."""
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
        """No transport.

        :param fatal: trying again at once would not help (an unknown name, an untrusted certificate).
        :param refused: whether the server, or whoever is there in its place, answered and said no.
        """
        if self.phase is Phase.DIALING:
            drop_causes(error)
            fatal = fatal or (refused and self._refused_enough())
            if fatal and not self.ever_ready:
                self._fail(error)
            else:
                self._back_off(now, error)

    def lost(self, now: float, reason: str, *, refused: bool = False) -> None:
        """The transport is gone.

        :param refused: whether the server said no by closing it.
        """
        if self.phase is Phase.AUTHENTICATING and refused and self._refused_enough():
            told = f"the server refused the session: {self._scrubbed(reason)}; check project, token and host"
            self._fail(ConnectError(told))
        elif self.phase in (Phase.AUTHENTICATING, Phase.READY):
            self._lost(now, self._scrubbed(reason))

    def outbox(self, now: float, *, empty: bool, moved: bool) -> None:
        """What was to be written could not be at once.

        :param moved: whether some of it was, now.
        """
        self._liveness.outbox(now, empty=empty, moved=moved)
        if moved:
            self.promises.moved(now)

    def heard(self, now: float, *, within: bool = False) -> None:
        """Bytes arrived: the peer lives, whatever they mean.

        :param within: they neither begin nor end a message.
        """
        self._liveness.heard(within=within)

    def received(self, now: float, text: str) -> None:
        """A text message arrived."""
        try:
            frame = frames.parse(text)
        except frames.Malformed as error:
            self._effects.append(Trouble(f"a frame that is {error.kind}"))
            return
        if not isinstance(frame, frames.RequestFrame):
            self._answered(now, frame)
        elif self.phase is Phase.READY or self.phase is Phase.AUTHENTICATING:
            if frame.method == METHOD_EVENT:
                self._event(frame, text)
            else:
                self._requested(now, frame)

    def shift(self, by: float) -> None:
        """The clock went on by so many seconds more than time has passed; by less, where that is negative.

        Everything that is timed here goes by what has passed, but for the next attempt to connect, which a leap brings on.
        Deadlines of commands are the caller's, and go by the clock.
        """
        self._ready_since += by
        if self._wake is not None and (by < 0 or self.phase is not Phase.BACKING_OFF):
            self._wake += by
        self._part_by = self._part_by and self._part_by + by
        self._liveness.shift(by)
        self.promises.shift(by)

    def tick(self, now: float) -> None:
        """Time has passed."""
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
            self._drop(now, "the server announced its leaving")
        elif self.phase is Phase.AUTHENTICATING:
            self._drop(now, "the server did not answer signalwire.connect")
        elif self.phase is Phase.READY and (reason := self._liveness.verdict(now)):
            self._drop(now, reason)
        elif self.phase is Phase.READY:
            self._ping(now)

    def _ping(self, now: float) -> None:
        self._liveness.asked(now, ping := self._new_id())
        self._effects.append(Send(frames.build_request(ping, METHOD_PING, {"timestamp": round(now, 3)})))

    # -- requests of the server ----------------------------------------------------------------------------------

    def _requested(self, now: float, request: frames.RequestFrame) -> None:
        if request.method == METHOD_PING:
            self._answer(request.id, frames.build_result, frames.echo(request.params))
        elif request.method == METHOD_DISCONNECT:
            self._server_leaves(now, request)
        elif request.id is not None:
            self._answer(request.id, frames.build_error, -32601, "method not known")
            self._effects.append(Trouble("a request of an unknown method", self._scrubbed(request.method)[:100]))

    def _event(self, request: frames.RequestFrame, text: str) -> None:
        payload = request.params if isinstance(request.params, dict) else {}
        kind = payload.get("event_type")
        if self.parting and not (self.promises.expecting_since is not None and kind in OF_LEGS):
            return  # a call that is offered now is somebody else's
        # Acknowledged before anything else: the server must not wait for what we do with it.
        event_id = request.id
        if event_id is not None:
            if not self._said_goodbye:
                self._effects.append(Send(frames.acknowledge(event_id)))
            if self._seen.again(event_id, text):
                self._effects.append(Trouble("an event that was sent twice"))
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
            # It closes when it has our answer, so what is under way is waited for: nothing that it received needs to be lost.
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
        # Nothing follows the answer to signalwire.disconnect; an event that got no answer is remembered nevertheless.
        if frame_id is not None and not self._said_goodbye:
            self._effects.append(Send(build(frame_id, *parts)))

    # -- answers of the server -----------------------------------------------------------------------------------

    def _answered(self, now: float, answer: frames.Reply | frames.Failure) -> None:
        # An error may come without the id: nothing else has been asked on this connection.
        if self.phase is Phase.AUTHENTICATING and answer.id in (self._connect_id, None):
            if self._leaving:
                pass  # a session that would be over at once
            elif isinstance(answer, frames.Reply):
                self._connect_answered(now, answer.result)
            else:
                self._connect_refused(now, answer.code, answer.message)
            return
        command = self._pending.pop(answer.id, None)
        ping = self._liveness.answered(now, answer.id, ping=command is not None and command.method == METHOD_PING)
        if command is None:
            if not ping:
                self._effects.append(Trouble("an answer to nothing that was asked"))
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
            protocol = self._resuming  # not repeated, and not taken back either
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
            self._part()  # what was promised belonged to a session that is over

    def _replaced(self) -> None:
        """Another session came back."""
        self.promises.expect_nothing()
        self._seen.clear()
        self._authorization_state = ""
        self._effects.append(SessionOver(session_replaced(), self.number))
        self.number = next(_numbers)

    def _connect_refused(self, now: float, code: int | None, message: str, *, result: bool = False) -> None:
        """The server did not give us a session.

        :param result: whether the refusal came as a result instead of a JSON-RPC error.
        """
        if self._resuming and refuses_resume(code, result=result):
            # Not us but our old session was refused: come back without it, at once.
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
        """Count a refusal. After the first session the server may have its reasons, unless they are ours.

        :param ours: whether the credentials were refused.
        :return: whether connecting ends.
        """
        if not self.ever_ready or ours:
            self._refusals += 1
        return self._refusals >= MOST_REFUSALS

    def _scrubbed(self, message: str) -> str:
        # A server may repeat what it was sent. The project is no secret elsewhere, but part of the credentials here.
        credentials = Secrets(*self.options.authentication.values())
        return self.options.secrets.hide(credentials.hide(message, theirs=True), theirs=True)

    # -- moves ---------------------------------------------------------------------------------------------------

    def _enter(self, phase: Phase, error: RelayError | None) -> None:
        self.phase = phase
        if self.parting:
            return  # it is closed for everybody else
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
                continue  # sent again on the next connection
            if command.idempotent and not command.abandoned:
                again.append(command)
            else:
                what = f"{reason} while {command.method} was under way"
                text = f"{what}: it may or may not have been carried out, so look before you repeat it"
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
        # The protocol itself is kept to notice that the next session is another one.
        self._forgotten = True
        self._authorization_state = ""

    # -- commands ------------------------------------------------------------------------------------------------

    def _promise(self, now: float, command: Command) -> None:
        if not self.promises.make(now, command):
            self._settle(command, QueueFull("too many hang-ups and stops are waiting to be sent"))
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

    def _thin_out(self, now: float) -> None:
        """A server that leaves commands unanswered must not fill our memory: nobody withdraws those that nobody waits for."""
        for command in list(self._pending.values()):
            if command.late is None and command.deadline.passed(now) and command.time_left(now) <= 0:
                del self._pending[command.id]
                self._settle(command, RequestTimeout(f"the server did not answer {command.method}"))
        self._crowd = max(CROWD, 2 * len(self._pending))

    def _queue_full(self, now: float) -> bool:
        if len(self._queue) < self.options.max_queue:
            return False
        # Those whose time is over make room.
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
        # While promises are kept an answer still means what it means, to whoever looks at those that come late.
        kept = [] if promises else [each for each in self._pending.values() if each in self.promises or each.late]
        self._pending = {each.id: each for each in kept}
        for command in commands:
            lost = isinstance(error, ConnectionLost)
            self._settle(command, ConnectionLost(error.message, sent=command.sent) if lost else error)
            command.abandoned = command.id in self._pending
