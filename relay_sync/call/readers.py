"""An iterator over a call's events, and a context manager that waits for an event."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from ..errors import CallEnded, EventPending, RelayError, WaitTimeout
from ..events import CallStateEvent, RelayEvent
from ..threads.mailbox import Mailbox, MailboxClosed
from ..threads.timeouts import paced

__all__ = ["EventReader", "Expectation"]

E_co = TypeVar("E_co", bound=RelayEvent, covariant=True)
Predicate = Callable[[Any], object]


class Source(Protocol):
    """``CallCore`` methods used by readers."""

    @property
    def call(self) -> object:
        """The public call object. Readers hold a reference so that the call and its client are not garbage-collected."""

    @property
    def state(self) -> str: ...

    def open_reader(self) -> Mailbox[RelayEvent]:
        """Return a mailbox that receives all further events, until it is garbage-collected."""

    def close_reader(self, mailbox: Mailbox[RelayEvent]) -> None:
        """Stop delivering events to a mailbox."""


class EventReader(Iterator[RelayEvent]):
    """An iterator over a call's events, returned by :meth:`Call.events`.

    The iterator stops receiving events when it is closed or garbage-collected.

    :param call: call whose events are read.
    """

    def __init__(self, call: Source) -> None:
        self._call = call
        self._held = call.call
        self._mailbox = call.open_reader()

    def __iter__(self) -> EventReader:
        return self

    def __next__(self) -> RelayEvent:
        try:
            return self._mailbox.get(None, lambda: WaitTimeout("no event"))
        except MailboxClosed as end:
            if end.error is None or isinstance(end.error, CallEnded):
                raise StopIteration from None
            raise (end.error.fresh() if isinstance(end.error, RelayError) else end.error) from None

    def close(self) -> None:
        """Stop receiving events. Events that are already buffered can still be read."""
        self._call.close_reader(self._mailbox)
        self._mailbox.close()


class Expectation(Generic[E_co]):
    """A context manager that waits for an event, returned by :meth:`Call.expect`.

    The event is available as ``value`` after the block. The type parameter is the event class, as in
    ``Expectation[PlayEvent]``.

    :param call: call whose events are read.
    :param event_type: event type.
    :param predicate: function that returns whether an event matches. ``None`` matches every event of the type.
    :param timeout: maximum time to wait, in seconds, from the start of the block; ``None`` waits until the call ends.
    """

    __slots__ = ("_call", "_end", "_event_type", "_found", "_held", "_mailbox", "_predicate", "_timeout")

    def __init__(self, call: Source, event_type: str, predicate: Predicate | None, timeout: float | None) -> None:
        self._call = call
        self._held = call.call
        self._event_type = event_type
        self._predicate = predicate
        self._timeout = timeout
        # The matching event, or None.
        self._found: Any = None
        self._end: float | None = None
        self._mailbox: Mailbox[RelayEvent] | None = None

    @property
    def value(self) -> E_co:
        """The matching event.

        :raises EventPending: the block has not finished, or no matching event arrived.
        """
        if self._found is None:
            raise EventPending("value is only available after the with block")
        found: E_co = self._found
        return found

    def consider(self, events: list[CallStateEvent]) -> None:
        """Use the first matching event from a list of earlier events.

        :param events: earlier events, oldest first.
        """
        for event in events:
            if self._found is None and self._matches(event):
                self._found = event

    def _matches(self, event: RelayEvent) -> bool:
        return event.event_type == self._event_type and (self._predicate is None or bool(self._predicate(event)))

    def __enter__(self) -> Expectation[E_co]:
        patience = paced(self._timeout)
        self._end = None if patience is None else time.monotonic() + patience
        self._mailbox = self._call.open_reader()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        mailbox, self._mailbox = self._mailbox, None
        assert mailbox is not None
        try:
            if error is None:
                self._wait(mailbox)
        finally:
            self._call.close_reader(mailbox)

    def _wait(self, mailbox: Mailbox[RelayEvent]) -> None:
        while self._found is None:
            left = None if self._end is None else max(0.0, self._end - time.monotonic())
            try:
                event = mailbox.get(left, self._timed_out)
            except MailboxClosed as end:
                reason = end.error
                raise (reason.fresh() if isinstance(reason, RelayError) else CallEnded("the call ended")) from None
            if self._matches(event):
                self._found = event

    def _timed_out(self) -> WaitTimeout:
        return WaitTimeout(
            f"no matching {self._event_type} arrived within {self._timeout} s (call state {self._call.state or 'unknown'}): "
            "wait again"
        )


for _name in __all__:
    globals()[_name].__module__ = "relay_sync"
