"""Counters behind :class:`relay_sync.ClientStats`."""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, Literal, get_args

from .. import errors
from ..constants import LATENCY_BOUNDS

if TYPE_CHECKING:
    from ..observing.stats import ClientStats

__all__ = ["ERROR_KINDS", "Counters", "Event", "kind_of"]

#: An event that is only counted.
Event = Literal[
    "calls_taken",
    "calls_returned",
    "calls_dialed",
    "callbacks_dropped",
    "reconnects",
    "messages_sent",
    "messages_received",
]
_EVENTS: Final[tuple[Event, ...]] = get_args(Event)
Source = Literal["command_errors", "callback_errors", "connection_errors"]
_SOURCES: Final[tuple[Source, ...]] = get_args(Source)

_KINDS: Final = frozenset(getattr(errors, name) for name in errors.__all__)
#: The kind of exceptions that do not belong to this package.
OTHER: Final = "other"
#: All keys of the error counts.
ERROR_KINDS: Final = frozenset({OTHER, *errors.__all__})


def kind_of(error: BaseException) -> str:
    """Return the name of an exception's nearest base class of this package, or ``other``."""
    return next((each.__name__ for each in type(error).__mro__ if each in _KINDS), OTHER)


class Counters:
    """What a client has done since it was created. Thread-safe.

    The lock is reentrant, because a signal handler may send commands while its thread counts one.

    :ivar pending: commands in progress. Adding and discarding are atomic, so an interrupt cannot leave the count wrong.
    """

    def __init__(self) -> None:
        self.after_fork()

    def after_fork(self) -> None:
        """Start at 0 in a forked child process."""
        self._lock = threading.RLock()
        # Plain dictionaries that contain every key: Python looks for signals in the methods of a Counter.
        self._events: dict[Event, int] = dict.fromkeys(_EVENTS, 0)
        self._errors: dict[Source, dict[str, int]] = {source: dict.fromkeys(ERROR_KINDS, 0) for source in _SOURCES}
        self._buckets = [0] * (len(LATENCY_BOUNDS) + 1)
        self._seconds = 0.0
        self.pending: set[object] = set()

    def count(self, event: Event) -> None:
        """Count an event."""
        with self._lock:
            self._events[event] += 1

    def failed(self, source: Source, error: BaseException) -> None:
        """Count an error by its kind."""
        kind = kind_of(error)
        with self._lock:
            self._errors[source][kind] += 1

    def command_done(self, seconds: float, error: BaseException | None = None) -> None:
        """Count a command that was answered or has failed.

        :param seconds: its duration.
        :param error: exception that its caller gets, or ``None``.
        """
        bucket = bisect_left(LATENCY_BOUNDS, seconds)
        with self._lock:
            self._buckets[bucket] += 1
            self._seconds += seconds
            if error is not None:
                self.failed("command_errors", error)

    def summary(self) -> ClientStats:
        """Return the current counts, without the values that only the client knows, such as its state."""
        from ..observing.stats import ClientStats, LatencyHistogram  # few programs read them

        with self._lock:
            errors, events = self._errors, self._events
            return ClientStats(
                calls_taken=events["calls_taken"],
                calls_returned=events["calls_returned"],
                calls_dialed=events["calls_dialed"],
                callbacks_dropped=events["callbacks_dropped"],
                commands_pending=len(self.pending),
                latency=LatencyHistogram(tuple(self._buckets), self._seconds),
                command_errors=_positive(errors["command_errors"]),
                callback_errors=_positive(errors["callback_errors"]),
                connection_errors=_positive(errors["connection_errors"]),
                reconnects=events["reconnects"],
                messages_sent=events["messages_sent"],
                messages_received=events["messages_received"],
            )


def _positive(counts: dict[str, int]) -> dict[str, int]:
    return {kind: number for kind, number in counts.items() if number}
