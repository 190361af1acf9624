"""Outbound and inbound text messages, and tasks, which arrive the same way."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from .. import events
from ..call.actions import reason_of
from ..constants import (
    EVENT_MESSAGING_RECEIVE,
    EVENT_MESSAGING_STATE,
    EVENT_TASKS,
    MESSAGE_END_STATES,
    MESSAGE_STATE_QUEUED,
    MESSAGE_STATE_RECEIVED,
    Direction,
    MessageState,
)
from ..errors import ConnectionLost, MessageNotFollowed, RelayError, WaitTimeout
from ..events import RelayEvent
from ..params import values
from ..protocol.repeats import Seen
from ..protocol.results import Outcome
from ..protocol.standing import OF_MESSAGES, Standing
from ..threads import logs
from ..threads.lanes import InContext
from ..threads.outcome import Waiter
from ..threads.safety_net import Net
from ..threads.table import Table
from ..threads.timeouts import paced

if TYPE_CHECKING:
    from ..events import MessageEvent, MessageReceiveEvent, MessageStateEvent
    from ..observing.observers import Observers

__all__ = ["MESSAGE_TYPES", "Message", "MessageDesk", "Run"]

_log = logs.get("relay_sync").later

#: The event types that the desk handles.
MESSAGE_TYPES: Final = frozenset({EVENT_MESSAGING_RECEIVE, EVENT_MESSAGING_STATE, EVENT_TASKS})
#: How many inbound messages are remembered, to recognize repeated deliveries.
REMEMBERED: Final = 1024
#: How many states of unclaimed messages are kept while a send is in progress.
EARLY_LIMIT: Final = 10_000
#: How many messages without a final state a client follows: not every carrier reports one. Beyond it, the oldest end with an
#: error.
FOLLOWED: Final = 10_000
#: Seconds after a reconnection in which a message that was in progress must have an event. RELAY has no command that queries a
#: message.
NEWS_PATIENCE: Final = 15.0

H = TypeVar("H", bound=Callable[..., object])


class Run(Protocol):
    """Runs user code in a given lane, on a thread where it may block."""

    def __call__(
        self, lane: object, what: str, function: Callable[..., object], *args: Any, final: bool = ...
    ) -> None: ...


class Message:
    """A text message that was sent or received.

    The client creates messages. You construct one only in tests, with the attributes as keyword arguments.

    :ivar message_id: the platform's ID.
    :ivar context: the context that the message arrived on, or that its states are sent to.
    :ivar direction: ``outbound`` or ``inbound``.
    :ivar from_number: the sender's number.
    :ivar to_number: the recipient's number.
    :ivar body: the text.
    :ivar media: URLs of media files.
    :ivar segments: how many SMS the message takes.
    :ivar state: ``queued``, ``initiated``, ``sent``, then ``delivered``, ``undelivered`` or ``failed``. Inbound: ``received``.
    :ivar reason: the server's reason why the message was not delivered, or ``""``.
    :ivar tags: labels.
    """

    def __init__(
        self,
        *,
        message_id: str = "",
        context: str = "",
        direction: Direction | str = "",
        from_number: str = "",
        to_number: str = "",
        body: str = "",
        media: list[str] | None = None,
        segments: int = 0,
        state: MessageState | str = "",
        reason: str = "",
        tags: list[str] | None = None,
    ) -> None:
        self.message_id = message_id
        self.context = context
        self.direction: Direction | str = direction
        self.from_number = from_number
        self.to_number = to_number
        self.body = body
        self.media: list[str] = list(media or ())
        self.segments: int = segments
        self.state: MessageState | str = state
        self._standing = Standing(OF_MESSAGES, state)
        self.reason: str = reason
        self.tags: list[str] = list(tags or ())
        # Event and error in one value: no thread sees one without the other.
        self._ended: Waiter[tuple[RelayEvent, RelayError | None]] = Waiter()
        self._lock = threading.RLock()
        self._handlers: tuple[InContext, ...] = ()
        self._on_completed: InContext | None = None
        self._run: Run | None = None

    def __repr__(self) -> str:
        return f"<Message {self.message_id or 'without id'} {self.direction} {self.state}>"

    @property
    def is_done(self) -> bool:
        """Whether the message has its final state, or is no longer followed."""
        return self._ended.done

    @property
    def result(self) -> RelayEvent | None:
        """The event that ended the message, or ``None``."""
        outcome = self._ended.peek()
        return outcome[0] if isinstance(outcome, tuple) else None

    @property
    def error(self) -> RelayError | None:
        """The exception that ended the message before its final state was known, or ``None``."""
        outcome = self._ended.peek()
        return outcome[1] if isinstance(outcome, tuple) else None

    def on(self, handler: H) -> H:
        """Call a function with every further event of this message, in order, on a thread where it may block.

        Usable as a decorator.

        :param handler: a function that accepts the event.
        :raises InvalidParameter: for a coroutine function.
        :raises Forked: the message belongs to the parent process.
        """
        checked = InContext(values.handler("handler", handler))
        self._ended.check_process()
        with self._lock:
            self._handlers = (*self._handlers, checked)
        return handler

    def wait(self, timeout: float | None = None) -> RelayEvent:
        """Wait for the final state: ``delivered``, ``undelivered`` or ``failed``, which :attr:`state` then holds.

        A client follows up to 10,000 messages without a final state; beyond that, the oldest end with an error. So does a message
        that was in progress when the connection was lost and has no event within 15 s after the reconnection.

        :param timeout: seconds, or ``None`` to wait until the message has ended or the session or the client is closed.
        :return: the event that ended the message.
        :raises WaitTimeout: the message is still in progress; you may call ``wait()`` again.
        :raises RelayError: see :attr:`error`.
        """
        timeout = values.timeout(timeout)
        event, error = self._ended.wait(paced(timeout), lambda: self._still_going(timeout))
        if error is not None:
            raise error.fresh()
        return event

    def _still_going(self, timeout: float | None) -> WaitTimeout:
        return WaitTimeout(
            f"message {self.message_id} is still {self.state or 'in progress'} after {timeout} s; call wait() again"
        )

    # -- called by the desk --------------------------------------------------------------------------------------------

    def _on_event(self, event: MessageEvent) -> None:
        if self._ended.done:
            return
        self._move(event.message_state)
        self.reason = event.reason or self.reason
        self.segments = event.segments or self.segments
        if self._run is not None:
            for handler in self._handlers:
                final = self.state in MESSAGE_END_STATES
                self._run(self._lane, "message listener", handler, event, final=final)
        if self.state in MESSAGE_END_STATES:
            self._end(event, None)

    def _move(self, state: str) -> None:
        if state and self._standing.takes(state):
            self.state = state

    def _end_early(self, error: RelayError) -> None:
        params = {"message_id": self.message_id, "message_state": self.state, "context": self.context}
        event = events.MessageStateEvent.from_params(params, synthetic=True, reason=reason_of(error))
        self._end(event, error)

    def _end(self, event: RelayEvent, error: RelayError | None) -> None:
        self._ended.settle((event, error), lambda: self._tell_completed(event))

    def _tell_completed(self, event: RelayEvent) -> None:
        if self._on_completed is not None and self._run is not None:
            self._run(self._lane, "on_completed", self._on_completed, event)

    @property
    def _lane(self) -> str:
        return f"message {self.message_id}"


Message.__module__ = "relay_sync"


def _content(event: MessageReceiveEvent) -> tuple[str, ...]:
    """Return the content that distinguishes messages which a server gave the same ID."""
    return (event.context, event.from_number, event.to_number, event.body, *event.media)


class MessageDesk:
    """The outbound messages of one client that are in progress, and the handlers of inbound messages."""

    def __init__(self) -> None:
        self.on_message: InContext | None = None
        self.on_task: InContext | None = None
        #: The client's observers, or ``None`` while there are none.
        self.observers: Observers | None = None
        self._lock = threading.RLock()
        self._underway: OrderedDict[str, Message] = OrderedDict()
        self._early: OrderedDict[str, list[MessageStateEvent]] = OrderedDict()
        self._kept = 0
        #: A token for each send in progress. Not guarded by the lock: a signal handler may send during another send, and the IO
        #: thread needs the lock for its reply.
        self._senders: set[object] = set()
        #: The number of the last session that ended, and its error.
        self._ended = 0
        self._over: RelayError | None = None
        #: Messages whose final state may have been missed without a connection: ID, and the time until which an event is awaited.
        self._doubtful: Table[str, float] = Table()
        #: The messages that came in.
        self._seen = Seen(REMEMBERED)
        self._warned: set[str] = set()

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Keep the states of unknown messages during a send: they may be those of the message being sent."""
        mine = object()
        try:
            self._senders.add(mine)
            yield
        finally:
            self._senders.discard(mine)

    def prepare(self, message: Message, run: Run, on_completed: InContext | None) -> None:
        """Prepare a message that is about to be sent.

        :param run: runs the message's callbacks.
        """
        message._run = run
        message._on_completed = on_completed

    def not_sent(self, message: Message) -> None:
        """Drop the callback of a message that was not sent: the exception alone reports it."""
        message._on_completed = None

    def taken(self, message: Message, outcome: Outcome, session: int) -> None:
        """Handle the reply to the command."""
        if not isinstance(outcome, dict):
            return
        message.message_id = _word(outcome.get("message_id"))
        message._move(_word(outcome.get("message_state") or outcome.get("state")) or MESSAGE_STATE_QUEUED)
        if message.message_id:
            self.claim(message, session)
        else:
            message._end_early(
                MessageNotFollowed("the server accepted the message without an ID, so it cannot be followed")
            )
            self._notify(message)

    def claim(self, message: Message, session: int) -> None:
        """Follow a message that the server has named, from its first state on. Events already received count, even if the session
        has ended since.

        :param session: the number of the session in which the message was sent.
        """
        with self._lock:
            over = self._over if session <= self._ended else None
            # Under the lock: no later state may overtake these. Callbacks are only queued.
            early = self._early.pop(message.message_id, [])
            self._kept -= len(early)
            for event in early:
                message._on_event(event)
            left: Message | None = None
            if over is None and not message.is_done:
                self._underway[message.message_id] = message
                if len(self._underway) > FOLLOWED:
                    _, left = self._underway.popitem(last=False)
        if over is not None and not message.is_done:
            message._end_early(over)
        self._notify(message)
        if left is not None:
            self._let_go(left)

    def _notify(self, message: Message) -> None:
        if self.observers is not None:
            self.observers.message_changed(message)

    def _let_go(self, message: Message) -> None:
        """End a message that is no longer followed."""
        if "followed" not in self._warned:
            self._warned.add("followed")
            _log.warning("no final status for more than %d messages; dropping the oldest", FOLLOWED)
        message._end_early(
            MessageNotFollowed(
                f"message {message.message_id} is no longer followed: {FOLLOWED} later messages are in progress, "
                "and no final status was received for this one",
                message_id=message.message_id,
            )
        )
        self._notify(message)

    # -- called by the router, on the IO thread ---------------------------------------------------------------------

    def on_event(self, event: RelayEvent, run: Run) -> None:
        """Handle an event of a message or a task."""
        if isinstance(event, events.MessageStateEvent):
            self._moved(event)
        elif isinstance(event, events.MessageReceiveEvent):
            self._received(event, run)
        elif isinstance(event, events.TaskEvent):
            self._handle("on_task", self.on_task, event, run)

    def resumed(self, now: float) -> None:
        """Note that the connection is back and that events may have been missed."""
        with self._lock:
            underway = list(self._underway)
        self._doubtful.take_all()
        for name in underway:
            self._doubtful.put(name, now + NEWS_PATIENCE)

    def on_watch(self, now: float) -> None:
        """Once a second: end the messages without an event since the reconnection."""
        for name, until in self._doubtful.items():
            if now < until or self._doubtful.take(name) is None:
                continue
            with self._lock:
                message = self._underway.pop(name, None)
            if message is not None:
                message._end_early(
                    ConnectionLost(
                        f"the connection was lost while message {name} was {message.state or 'in progress'}, and no event has "
                        "arrived since; its final status may have been missed",
                        sent=True,
                    )
                )
                self._notify(message)

    def _moved(self, event: MessageStateEvent) -> None:
        self._doubtful.take(event.message_id)  # later events will arrive as well
        with self._lock:
            message = self._underway.get(event.message_id)
            if message is None:
                if not self._senders:
                    self._forget_early()  # no send of that time has claimed them
                elif event.message_id:
                    self._keep_early(event)
                    return
                _log.debug("ignored state %s of an unknown or finished message", event.message_state)
                return
        message._on_event(event)
        self._notify(message)
        if message.is_done:
            with self._lock:
                self._underway.pop(event.message_id, None)

    def _keep_early(self, event: MessageStateEvent) -> None:
        # The lock is held. If sends are always in progress, the states unclaimed for longest make room.
        self._early.setdefault(event.message_id, []).append(event)
        self._kept += 1
        while self._kept > EARLY_LIMIT:
            _, events = self._early.popitem(last=False)
            self._kept -= len(events)

    def _forget_early(self) -> None:
        # The lock is held.
        self._early.clear()
        self._kept = 0

    def _received(self, event: MessageReceiveEvent, run: Run) -> None:
        if event.message_id and self._seen.again(event.message_id, _content(event)):
            return  # a repeated delivery
        message = Message(
            message_id=event.message_id,
            context=event.context,
            direction=event.direction or "inbound",
            from_number=event.from_number,
            to_number=event.to_number,
            body=event.body,
            media=event.media,
            segments=event.segments,
            state=event.message_state or MESSAGE_STATE_RECEIVED,
            tags=event.tags,
        )
        message._end(event, None)
        self._notify(message)
        self._handle("on_message", self.on_message, message, run)

    def _handle(self, name: str, handler: InContext | None, subject: object, run: Run) -> None:
        if handler is not None:
            run(object(), f"{name} handler", handler, subject)
        elif name not in self._warned:
            self._warned.add(name)
            _log.warning("inbound %ss are dropped: no %s handler is registered", name.removeprefix("on_"), name)

    def end(self, error: RelayError, session: int) -> None:
        """End the messages of a closed session: no further events arrive for them."""
        with self._lock:
            self._ended, self._over = session, error
            self._doubtful.take_all()
            self._seen.clear()
            messages = list(self._underway.values())
            self._underway.clear()
        net = Net()
        for message in messages:
            with net:
                message._end_early(error)
                self._notify(message)
        net.release()

    def after_fork(self) -> None:
        """In a child process: drop the parent's messages."""
        self._lock = threading.RLock()
        self._underway = OrderedDict()
        self._forget_early()
        self._doubtful = Table()
        self._senders = set()


def _word(value: object) -> str:
    """Return a name from a reply: text, or a number as text."""
    good = isinstance(value, (str, int)) and not isinstance(value, bool)
    return str(value) if good else ""
