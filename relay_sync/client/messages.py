"""Text messages: those on their way, and those that come in; and tasks, which arrive alike."""

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

#: What the desk wants to hear of.
MESSAGE_TYPES: Final = frozenset({EVENT_MESSAGING_RECEIVE, EVENT_MESSAGING_STATE, EVENT_TASKS})
#: Inbound messages by which a repetition is told.
REMEMBERED: Final = 1024
#: States of messages nobody has claimed yet, while a send is under way.
EARLY_LIMIT: Final = 10_000
#: Messages of a client without a final state: not every carrier reports one. When there are more, the oldest end with an error.
FOLLOWED: Final = 10_000
#: Seconds after the connection came back in which something must be told of what was on its way when it was lost. RELAY has no
#: command that asks for a message.
NEWS_PATIENCE: Final = 15.0

H = TypeVar("H", bound=Callable[..., object])


class Run(Protocol):
    """Runs user code in a lane of its own, on a thread where it may block."""

    def __call__(
        self, lane: object, what: str, function: Callable[..., object], *args: Any, final: bool = ...
    ) -> None: ...


class Message:
    """A text message: one that was sent, to follow, or one that came in.

    :ivar message_id: the platform's id. :ivar context: the context it came in on, or its states are reported to.
    :ivar direction: ``outbound`` or ``inbound``. :ivar from_number: and :ivar to_number: who writes to whom.
    :ivar body: the text. :ivar media: URLs. :ivar segments: how many SMS it takes. :ivar tags: labels.
    :ivar state: ``queued``, ``initiated``, ``sent``, then ``delivered``, ``undelivered`` or ``failed``; inbound ``received``.
    :ivar reason: why it was not delivered, as the server says, else ``""``.
    """

    def __init__(
        self,
        *,
        message_id: str = "",
        context: str = "",
        direction: str = "",
        from_number: str = "",
        to_number: str = "",
        body: str = "",
        media: list[str] | None = None,
        segments: int = 0,
        state: str = "",
        reason: str = "",
        tags: list[str] | None = None,
    ) -> None:
        self.message_id = message_id
        self.context = context
        self.direction = direction
        self.from_number = from_number
        self.to_number = to_number
        self.body = body
        self.media: list[str] = list(media or ())
        self.segments: int = segments
        self.state: str = state
        self._standing = Standing(OF_MESSAGES, state)
        self.reason: str = reason
        self.tags: list[str] = list(tags or ())
        # Event and error in one value, so that nobody ever sees the one without the other.
        self._ended: Waiter[tuple[RelayEvent, RelayError | None]] = Waiter()
        self._lock = threading.RLock()
        self._handlers: tuple[InContext, ...] = ()
        self._on_completed: InContext | None = None
        self._run: Run | None = None

    def __repr__(self) -> str:
        return f"<Message {self.message_id or 'without id'} {self.direction} {self.state}>"

    @property
    def is_done(self) -> bool:
        """Whether nothing more will be told of it."""
        return self._ended.done

    @property
    def result(self) -> RelayEvent | None:
        """The event that ended it, or ``None``."""
        outcome = self._ended.peek()
        return outcome[0] if isinstance(outcome, tuple) else None

    @property
    def error(self) -> RelayError | None:
        """The exception that ended it: the session or the client ended before its fate was known."""
        outcome = self._ended.peek()
        return outcome[1] if isinstance(outcome, tuple) else None

    def on(self, handler: H) -> H:
        """Call a function with every event of this message from now on, in order, on a thread where it may block.

        Usable as a decorator.

        :raises Forked: it belongs to the parent process.
        """
        checked = InContext(values.handler("handler", handler))
        self._ended.check_process()
        with self._lock:
            self._handlers = (*self._handlers, checked)
        return handler

    def wait(self, timeout: float | None = None) -> RelayEvent:
        """Block until its fate is known: ``delivered``, ``undelivered`` or ``failed``; :attr:`state` says which.

        A client follows 10,000 messages of unknown fate: where there are more, the oldest end with an error. So does one that was
        on its way when the connection was lost, where nothing is told of it within 15 s after that came back.

        :param timeout: seconds; ``None`` waits for the end of the message, of the session or of the client.
        :raises WaitTimeout: it is still on its way; wait again if you like. :raises RelayError: see :attr:`error`.
        """
        timeout = values.timeout(timeout)
        event, error = self._ended.wait(paced(timeout), lambda: self._still_going(timeout))
        if error is not None:
            raise error.fresh()
        return event

    def _still_going(self, timeout: float | None) -> WaitTimeout:
        return WaitTimeout(
            f"message {self.message_id} is still {self.state or 'under way'} after {timeout} s: wait again"
        )

    # -- told by the desk ----------------------------------------------------------------------------------------------

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
    """What tells one message from another that a server gave the same id."""
    return (event.context, event.from_number, event.to_number, event.body, *event.media)


class MessageDesk:
    """The messages of one client that are on their way, and the handlers of those that come in."""

    def __init__(self) -> None:
        self.on_message: InContext | None = None
        self.on_task: InContext | None = None
        #: Those of the client; ``None`` until there is one.
        self.observers: Observers | None = None
        self._lock = threading.RLock()
        self._underway: OrderedDict[str, Message] = OrderedDict()
        self._early: OrderedDict[str, list[MessageStateEvent]] = OrderedDict()
        self._kept = 0
        #: One of its own for each send under way. Without the lock: what answers a signal handler that sends on top of another
        #: send needs that on the IO thread.
        self._senders: set[object] = set()
        #: The number of the last session that ended, and why it did.
        self._ended = 0
        self._over: RelayError | None = None
        #: The ids of messages whose fate may have been told while there was no connection, and until when news are waited for.
        self._doubtful: Table[str, float] = Table()
        #: The messages that came in.
        self._seen = Seen(REMEMBERED)
        self._warned: set[str] = set()

    @contextmanager
    def sending(self) -> Iterator[None]:
        """While a send is under way, states of unknown messages are kept: they may be those of the message it makes."""
        mine = object()
        try:
            self._senders.add(mine)
            yield
        finally:
            self._senders.discard(mine)

    def prepare(self, message: Message, run: Run, on_completed: InContext | None) -> None:
        """A message is about to be sent. :param run: runs what is to be told of it."""
        message._run = run
        message._on_completed = on_completed

    def not_sent(self, message: Message) -> None:
        """There is no message: whoever wanted to send it is told by the exception alone."""
        message._on_completed = None

    def taken(self, message: Message, outcome: Outcome, session: int) -> None:
        """The reply to the command came."""
        if not isinstance(outcome, dict):
            return
        message.message_id = _word(outcome.get("message_id"))
        message._move(_word(outcome.get("message_state") or outcome.get("state")) or MESSAGE_STATE_QUEUED)
        if message.message_id:
            self.claim(message, session)
        else:
            message._end_early(
                MessageNotFollowed("the server took the message but did not name it: it cannot be followed")
            )
            self._notify(message)

    def claim(self, message: Message, session: int) -> None:
        """Follow a message that the server has named, from its first state on. What was told of it counts, even if the session
        has ended since.

        :param session: the number of the session in which it was sent.
        """
        with self._lock:
            over = self._over if session <= self._ended else None
            # Under the lock, so that no later state overtakes these. Callbacks are only queued.
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
        """Whoever waits for it is told, and so is its ``on_completed``."""
        if "followed" not in self._warned:
            self._warned.add("followed")
            _log.warning(
                "the fate of over %d messages has not been told: the oldest are not followed any more", FOLLOWED
            )
        message._end_early(
            MessageNotFollowed(
                f"message {message.message_id} is not followed any more: {FOLLOWED} later ones are on their way, "
                "and nothing final was told of this one",
                message_id=message.message_id,
            )
        )
        self._notify(message)

    # -- told by the router, on the IO thread -----------------------------------------------------------------------

    def on_event(self, event: RelayEvent, run: Run) -> None:
        """A message or a task came in, or a message moved on."""
        if isinstance(event, events.MessageStateEvent):
            self._moved(event)
        elif isinstance(event, events.MessageReceiveEvent):
            self._received(event, run)
        elif isinstance(event, events.TaskEvent):
            self._handle("on_task", self.on_task, event, run)

    def resumed(self, now: float) -> None:
        """The connection came back, and what was to be told meanwhile is lost."""
        with self._lock:
            underway = list(self._underway)
        self._doubtful.take_all()
        for name in underway:
            self._doubtful.put(name, now + NEWS_PATIENCE)

    def on_watch(self, now: float) -> None:
        """Once a second: end what nothing has been told of since the connection came back."""
        for name, until in self._doubtful.items():
            if now < until or self._doubtful.take(name) is None:
                continue
            with self._lock:
                message = self._underway.pop(name, None)
            if message is not None:
                message._end_early(
                    ConnectionLost(
                        f"the connection was lost while message {name} was {message.state or 'on its way'}, and nothing was told "
                        "of it since: what became of it may have been told meanwhile",
                        sent=True,
                    )
                )
                self._notify(message)

    def _moved(self, event: MessageStateEvent) -> None:
        self._doubtful.take(event.message_id)  # what follows will be told as well
        with self._lock:
            message = self._underway.get(event.message_id)
            if message is None:
                if not self._senders:
                    self._forget_early()  # no send of their time has claimed them
                elif event.message_id:
                    self._keep_early(event)
                    return
                _log.debug("state %s of a message that is not ours or is done", event.message_state)
                return
        message._on_event(event)
        self._notify(message)
        if message.is_done:
            with self._lock:
                self._underway.pop(event.message_id, None)

    def _keep_early(self, event: MessageStateEvent) -> None:
        # Held: the lock. Where there are always sends under way, what nobody claimed for the longest time makes room.
        self._early.setdefault(event.message_id, []).append(event)
        self._kept += 1
        while self._kept > EARLY_LIMIT:
            _, events = self._early.popitem(last=False)
            self._kept -= len(events)

    def _forget_early(self) -> None:
        # Held: the lock.
        self._early.clear()
        self._kept = 0

    def _received(self, event: MessageReceiveEvent, run: Run) -> None:
        if event.message_id and self._seen.again(event.message_id, _content(event)):
            return  # a repetition changes nothing
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
            _log.warning("%ss come in but there is no %s handler: they are dropped", name.removeprefix("on_"), name)

    def end(self, error: RelayError, session: int) -> None:
        """The session of this number is over: what becomes of its messages will not be told."""
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
        """In a child: the parent's messages are not ours."""
        self._lock = threading.RLock()
        self._underway = OrderedDict()
        self._forget_early()
        self._doubtful = Table()
        self._senders = set()


def _word(value: object) -> str:
    """A name in a reply: text, or a number that stands for one."""
    good = isinstance(value, (str, int)) and not isinstance(value, bool)
    return str(value) if good else ""
