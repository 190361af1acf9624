"""Ways to listen to a call: an iterator over its events, and a block that expects one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Protocol

from ..errors import CallEnded, EventPending, RelayError, WaitTimeout
from ..events import CallStateEvent, RelayEvent
from ..threads.mailbox import Mailbox, MailboxClosed
from ..threads.timeouts import paced

__all__ = ["EventReader", "Expectation"]

Predicate = Callable[[Any], object]


class Source(Protocol):
    """The call, as those who read its events need it."""

    @property
    def call(self) -> object:
        """What users hold. It holds their client, which takes calls for as long as that is held."""

    @property
    def state(self) -> str: ...

    def open_reader(self) -> Mailbox[RelayEvent]:
        """A mailbox for all events from now on, for as long as it is held."""

    def close_reader(self, mailbox: Mailbox[RelayEvent]) -> None:
        """Put nothing more into a mailbox."""


class EventReader(Iterator[RelayEvent]):
    """What :meth:`Call.events` returns. Leaving it to be forgotten is enough; :meth:`close` ends it at once."""

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
        """Take no further events; what was kept can still be read."""
        self._call.close_reader(self._mailbox)
        self._mailbox.close()


class Expectation:
    """What :meth:`Call.expect` returns: ``value`` is the event, once the block was left."""

    __slots__ = ("_call", "_end", "_event_type", "_found", "_held", "_mailbox", "_predicate", "_timeout")

    def __init__(self, call: Source, event_type: str, predicate: Predicate | None, timeout: float | None) -> None:
        self._call = call
        self._held = call.call
        self._event_type = event_type
        self._predicate = predicate
        self._timeout = timeout
        self._found: RelayEvent | None = None
        self._end: float | None = None
        self._mailbox: Mailbox[RelayEvent] | None = None

    @property
    def value(self) -> Any:
        """The event.

        :raises EventPending: before there is one.
        """
        if self._found is None:
            raise EventPending("the event is known when the with block has been left: ask for it behind the block")
        return self._found

    def consider(self, events: list[CallStateEvent]) -> None:
        """Take one of these, if it matches."""
        for event in events:
            if self._found is None and self._matches(event):
                self._found = event

    def _matches(self, event: RelayEvent) -> bool:
        return event.event_type == self._event_type and (self._predicate is None or bool(self._predicate(event)))

    def __enter__(self) -> Expectation:
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
            f"no {self._event_type} that fits came within {self._timeout} s; the call is {self._call.state or 'unknown'}: "
            "wait again"
        )


for _name in __all__:
    globals()[_name].__module__ = "relay_sync"
