"""Outbound and inbound text messages, and inbound tasks."""

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
from .counters import Counters

if TYPE_CHECKING:
    from ..events import MessageEvent, MessageReceiveEvent, MessageStateEvent
    from ..observing.observers import Observers

__all__ = ["MESSAGE_TYPES", "Message", "MessageDesk", "Run"]

_log = logs.get("relay_sync").later

#: The event types that :class:`MessageDesk` handles.
MESSAGE_TYPES: Final = frozenset({EVENT_MESSAGING_RECEIVE, EVENT_MESSAGING_STATE, EVENT_TASKS})
#: Number of inbound messages to remember, for detecting repeated deliveries.
REMEMBERED: Final = 1024
#: Maximum number of state events of unknown messages to keep while a send is in progress.
EARLY_LIMIT: Final = 10_000
#: Maximum number of messages in progress. There is a limit because not every carrier reports a final state. If it is exceeded,
#: the oldest message ends with an error.
FOLLOWED: Final = 10_000
#: Seconds to wait after a reconnection for an event of a message in progress. RELAY has no command for querying a message.
NEWS_PATIENCE: Final = 15.0

R = TypeVar("R")


class Run(Protocol):
    """A function that runs a callback in the given lane, on a thread where it may block."""

    def __call__(
        self, lane: object, what: str, function: Callable[..., object], *args: Any, final: bool = ...
    ) -> None: ...


class Message:
    """An outbound or inbound text message.

    The client creates these objects. To create one in a test, pass the attributes as keyword arguments.

    :ivar message_id: ID assigned by the platform.
    :ivar context: context on which the message arrived, or to which its state events are sent.
    :ivar direction: ``outbound`` or ``inbound``.
    :ivar from_number: sender's number.
    :ivar to_number: recipient's number.
    :ivar body: text of the message.
    :ivar media: URLs of media files.
    :ivar segments: number of SMS segments.
    :ivar state: ``queued``, ``initiated``, ``sent``, ``delivered``, ``undelivered`` or ``failed``; ``received`` if inbound.
    :ivar reason: server's reason for a failed delivery, or ``""``.
    :ivar tags: labels of the message.
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
        """ID that the platform assigned to the message."""
        self.context = context
        """Context on which the message arrived, or to which its state events are sent."""
        self.direction: Direction | str = direction
        """Direction of the message: ``outbound`` or ``inbound``."""
        self.from_number = from_number
        """Phone number of the sender."""
        self.to_number = to_number
        """Phone number of the recipient."""
        self.body = body
        """Text of the message."""
        self.media: list[str] = list(media or ())
        """URLs of media files."""
        self.segments: int = segments
        """Number of SMS segments."""
        self.state: MessageState | str = state
        """State: ``queued``, ``initiated``, ``sent``, ``delivered``, ``undelivered`` or ``failed``; ``received`` if inbound."""
        self._standing = Standing(OF_MESSAGES, state)
        self.reason: str = reason
        """Reason for a failed delivery, as reported by the server, or ``""``."""
        self.tags: list[str] = list(tags or ())
        """Labels of the message."""
        # The event and the error are set together, so that no thread can see one without the other.
        self._ended: Waiter[tuple[MessageEvent, RelayError | None]] = Waiter()
        self._lock = threading.RLock()
        self._handlers: tuple[InContext, ...] = ()
        self._on_completed: InContext | None = None
        self._run: Run | None = None

    def __repr__(self) -> str:
        return f"<Message {self.message_id or 'without ID'} {self.direction} {self.state}>"

    @property
    def is_done(self) -> bool:
        """Whether the message has reached a final state or has ended with an error."""
        return self._ended.done

    @property
    def result(self) -> events.MessageEvent | None:
        """The message's final event, or ``None`` while the message is in progress."""
        outcome = self._ended.peek()
        return outcome[0] if isinstance(outcome, tuple) else None

    @property
    def error(self) -> RelayError | None:
        """The exception that ended tracking, or ``None``. If it is set, the message's final state is unknown."""
        outcome = self._ended.peek()
        return outcome[1] if isinstance(outcome, tuple) else None

    def on(self, handler: Callable[[events.MessageStateEvent], R]) -> Callable[[events.MessageStateEvent], R]:
        """Add a listener for this message's state events. This method can be used as a decorator.

        The listener is called with each event in order, on a worker thread. It may block.

        :param handler: function that accepts a ``MessageStateEvent``.
        :raises InvalidParameter: the handler is a coroutine function.
        :raises Forked: the message belongs to the parent process.
        """
        checked = InContext(values.handler("handler", handler))
        self._ended.check_process()
        with self._lock:
            self._handlers = (*self._handlers, checked)
        return handler

    def wait(self, timeout: float | None = None) -> events.MessageEvent:
        """Wait until :attr:`state` is ``delivered``, ``undelivered`` or ``failed``.

        The client tracks up to 10,000 messages in progress. If there are more, the oldest message ends with an error. A message
        also ends with an error if the connection is lost and the message receives no event within 15 s after reconnecting.

        :param timeout: maximum time to wait, in seconds. ``None`` waits until the message, the session or the client ends.
        :return: the message's final event: a ``MessageStateEvent``, or a ``MessageReceiveEvent`` for an inbound message.
        :raises WaitTimeout: the message is still in progress. You can call ``wait()`` again.
        :raises RelayError: the message ended with an error; see :attr:`error`.
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

    def _end(self, event: MessageEvent, error: RelayError | None) -> None:
        self._ended.settle((event, error), lambda: self._tell_completed(event))

    def _tell_completed(self, event: MessageEvent) -> None:
        if self._on_completed is not None and self._run is not None:
            self._run(self._lane, "on_completed", self._on_completed, event)

    @property
    def _lane(self) -> str:
        return f"message {self.message_id}"


Message.__module__ = "relay_sync"


def _content(event: MessageReceiveEvent) -> tuple[str, ...]:
    """Return a message's content, to distinguish messages that have the same ID."""
    return (event.context, event.from_number, event.to_number, event.body, *event.media)


class MessageDesk:
    """A client's outbound messages in progress, and its handlers for inbound messages and tasks.

    :param counters: client's counters.
    """

    def __init__(self, counters: Counters | None = None) -> None:
        self._counters = counters or Counters()
        self.on_message: InContext | None = None
        self.on_task: InContext | None = None
        #: The client's observers, or ``None`` if there are none.
        self.observers: Observers | None = None
        self._lock = threading.RLock()
        self._in_progress: OrderedDict[str, Message] = OrderedDict()
        self._early: OrderedDict[str, list[MessageStateEvent]] = OrderedDict()
        self._kept = 0
        #: A token for each send in progress. Not guarded by the lock, because a signal handler may interrupt a send and send
        #: another message, and the IO thread needs the lock to handle the reply.
        self._senders: set[object] = set()
        #: The number of the session that ended most recently, and its error.
        self._ended = 0
        self._over: RelayError | None = None
        #: The IDs of messages whose final event may have been missed, each with the deadline for the next event.
        self._doubtful: Table[str, float] = Table()
        #: The inbound messages received recently.
        self._seen = Seen(REMEMBERED)
        self._warned: set[str] = set()

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Keep state events for unknown messages during a send, because they may belong to the message being sent."""
        mine = object()
        try:
            self._senders.add(mine)
            yield
        finally:
            self._senders.discard(mine)

    def prepare(self, message: Message, run: Run, on_completed: InContext | None) -> None:
        """Set a message's callbacks before it is sent.

        :param run: function that runs the callbacks.
        """
        message._run = run
        message._on_completed = on_completed

    def not_sent(self, message: Message) -> None:
        """Discard an unsent message's callback. The exception already reports the failure."""
        message._on_completed = None

    def taken(self, message: Message, outcome: Outcome, session: int) -> None:
        """Handle the reply to ``messaging.send``."""
        if not isinstance(outcome, dict):
            return
        self._counters.count("messages_sent")
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
        """Start tracking a message that the server has accepted.

        Events that arrived before the reply are applied first, even if the session has ended in the meantime.

        :param session: number of the session in which the message was sent.
        """
        with self._lock:
            over = self._over if session <= self._ended else None
            # Apply early events under the lock, so that no later event overtakes them. This only queues callbacks.
            early = self._early.pop(message.message_id, [])
            self._kept -= len(early)
            for event in early:
                message._on_event(event)
            left: Message | None = None
            if over is None and not message.is_done:
                self._in_progress[message.message_id] = message
                if len(self._in_progress) > FOLLOWED:
                    _, left = self._in_progress.popitem(last=False)
        if over is not None and not message.is_done:
            message._end_early(over)
        self._notify(message)
        if left is not None:
            self._let_go(left)

    def _notify(self, message: Message) -> None:
        if self.observers is not None:
            self.observers.message_changed(message)

    def _let_go(self, message: Message) -> None:
        """End a message with an error because too many messages are in progress."""
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
        """Handle a message or task event."""
        if isinstance(event, events.MessageStateEvent):
            self._moved(event)
        elif isinstance(event, events.MessageReceiveEvent):
            self._received(event, run)
        elif isinstance(event, events.TaskEvent):
            self._handle("on_task", self.on_task, event, run)

    def resumed(self, now: float) -> None:
        """Handle a reconnection. Events for messages in progress may have been missed."""
        with self._lock:
            names = list(self._in_progress)
        self._doubtful.take_all()
        for name in names:
            self._doubtful.put(name, now + NEWS_PATIENCE)

    def on_watch(self, now: float) -> None:
        """End messages that received no event in time after reconnecting. Called once a second."""
        for name, until in self._doubtful.items():
            if now < until or self._doubtful.take(name) is None:
                continue
            with self._lock:
                message = self._in_progress.pop(name, None)
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
        self._doubtful.take(event.message_id)  # events arrive again, so the final event will arrive as well
        with self._lock:
            message = self._in_progress.get(event.message_id)
            if message is None:
                if not self._senders:
                    self._forget_early()  # the sends that were in progress at that time have not claimed these events
                elif event.message_id:
                    self._keep_early(event)
                    return
                _log.debug("ignored state %s of an unknown or finished message", event.message_state)
                return
        message._on_event(event)
        self._notify(message)
        if message.is_done:
            with self._lock:
                self._in_progress.pop(event.message_id, None)

    def _keep_early(self, event: MessageStateEvent) -> None:
        # The caller holds the lock. Under continuous sends, the oldest unclaimed events are discarded.
        self._early.setdefault(event.message_id, []).append(event)
        self._kept += 1
        while self._kept > EARLY_LIMIT:
            _, events = self._early.popitem(last=False)
            self._kept -= len(events)

    def _forget_early(self) -> None:
        # The caller holds the lock.
        self._early.clear()
        self._kept = 0

    def _received(self, event: MessageReceiveEvent, run: Run) -> None:
        if event.message_id and self._seen.again(event.message_id, _content(event)):
            return  # the message was delivered twice
        self._counters.count("messages_received")
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
        """End a closed session's messages, because they will receive no further events."""
        with self._lock:
            self._ended, self._over = session, error
            self._doubtful.take_all()
            self._seen.clear()
            messages = list(self._in_progress.values())
            self._in_progress.clear()
        net = Net()
        for message in messages:
            with net:
                message._end_early(error)
                self._notify(message)
        net.release()

    def after_fork(self) -> None:
        """Discard the parent's messages in a forked child process."""
        self._lock = threading.RLock()
        self._in_progress = OrderedDict()
        self._forget_early()
        self._doubtful = Table()
        self._senders = set()


def _word(value: object) -> str:
    """Convert a string or an integer from a reply to a string. Return ``""`` for other values."""
    good = isinstance(value, (str, int)) and not isinstance(value, bool)
    return str(value) if good else ""
