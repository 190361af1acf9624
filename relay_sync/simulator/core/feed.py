"""Live events: what happens in a simulator, reported to all listeners of that moment."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final

from attrs import define, field, frozen

from ...threads.flag import Bell
from ...threads.outcome import wait_until
from . import given
from .journal import masked
from .noticeboard import SLICE, seconds_to_wait

__all__ = ["Feed", "LiveEvent", "LiveEvents"]

#: Kinds of live events.
KINDS: Final = ("call", "client", "fault", "frame", "message", "notice")
#: Default and maximum number of events that wait for a reader.
USUAL_LIMIT: Final = 1_000
MOST_LIMIT: Final = 100_000


@frozen(kw_only=True)
class LiveEvent:
    """Something that has happened in a simulator.

    The kinds are ``call`` (a call's state), ``client`` (a RELAY connection), ``fault`` (added, applied or removed), ``frame`` (a
    frame in the journal), ``message`` (a text message's state) and ``notice`` (see :class:`Notice`).

    :ivar number: number of live events before this one.
    :ivar kind: kind of event, from the list above.
    :ivar time: time of the event, from ``time.monotonic()``.
    :ivar data: members that depend on the kind, including secrets.
    """

    number: int
    kind: str
    time: float
    data: dict[str, Any] = field(repr=masked)


@define(eq=False)
class Feed:
    """Passes live events on. :meth:`tell` may be called on any thread, and costs little without listeners."""

    _listeners: tuple[Callable[[LiveEvent], object], ...] = field(default=(), init=False)
    _numbers: itertools.count[int] = field(factory=itertools.count, init=False, repr=False)
    # Guards changes of _listeners; reentrant for signal handlers that call the simulator.
    _lock: threading.RLock = field(factory=lambda: threading.RLock(), init=False, repr=False)

    def tell(self, kind: str, members: Callable[[], dict[str, Any]]) -> None:
        """Pass an event on.

        :param kind: kind of event.
        :param members: function that returns the event's members; called only if there is a listener.
        """
        listeners = self._listeners
        if listeners:
            event = LiveEvent(number=next(self._numbers), kind=kind, time=time.monotonic(), data=members())
            for listener in listeners:
                listener(event)

    def add(self, listener: Callable[[LiveEvent], object]) -> None:
        """Call a function with all later events, on the thread where they happen. The function must not block or raise."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def remove(self, listener: Callable[[LiveEvent], object]) -> None:
        """Stop calling a function."""
        with self._lock:
            self._listeners = tuple(each for each in self._listeners if each is not listener)


class LiveEvents:
    """The live events of a simulator since this object was created, for one reader.

    ::

        with sim.live() as events:
            for event in events:
                print(event.kind, event.data)

    :param feed: where events come from.
    :param limit: maximum number of events that wait for the reader, from 1 to 100000. The oldest are dropped when there are more.
    :param on_news: function that is called when an event arrives, on the thread where it happens. It must not block.
    :raises InvalidParameter: the limit is invalid.
    """

    def __init__(self, feed: Feed, limit: int = USUAL_LIMIT, on_news: Callable[[], object] | None = None) -> None:
        self._feed = feed
        self._waiting: deque[LiveEvent] = deque(maxlen=given.number("limit", limit, 1, MOST_LIMIT))
        # Guards _waiting and _lost; reentrant for signal handlers that call the simulator.
        self._lock = threading.RLock()
        self._lost = 0
        self._bell = Bell()
        self._on_news = on_news
        self._closed = False
        self._listener = self._take_in  # one object, so that it can be removed
        feed.add(self._listener)

    def __repr__(self) -> str:
        return f"<LiveEvents {len(self._waiting)} waiting, {self._lost} lost{', closed' if self._closed else ''}>"

    def _take_in(self, event: LiveEvent) -> None:
        with self._lock:
            self._lost += len(self._waiting) == self._waiting.maxlen
            self._waiting.append(event)
        self._bell.ring()
        if self._on_news is not None:
            self._on_news()

    @property
    def lost(self) -> int:
        """Number of events that were dropped because the reader was too slow."""
        return self._lost

    def take(self) -> LiveEvent | None:
        """Return the next event without waiting, or ``None`` if there is none."""
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def read(self, timeout: float = 5.0) -> LiveEvent | None:
        """Return the next event, waiting for it if necessary.

        :param timeout: maximum time to wait, in seconds.
        :return: the event; ``None`` after a timeout, or if the events are closed and all have been read.
        :raises InvalidParameter: the timeout is invalid.
        """
        wait_until(lambda: bool(self._waiting) or self._closed, self._bell, max(0.0, seconds_to_wait(timeout)))
        return self.take()

    def __iter__(self) -> Iterator[LiveEvent]:
        """Iterate over the events until they are closed."""
        while not self._closed or self._waiting:
            event = self.read(SLICE)
            if event is not None:
                yield event

    def close(self) -> None:
        """Stop receiving events, and end iterations. Idempotent."""
        self._closed = True
        self._feed.remove(self._listener)
        self._bell.ring()

    def __enter__(self) -> LiveEvents:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
