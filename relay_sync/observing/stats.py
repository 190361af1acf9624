"""Statistics of a client."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

from attrs import field, frozen

from .. import notebook_html
from ..constants import LATENCY_BOUNDS
from ..params import values

__all__ = ["ClientStats", "LatencyHistogram"]


@frozen
class LatencyHistogram:
    """Durations of the commands that a client has completed, in buckets with fixed bounds.

    A duration is measured from the call of the verb until it returns or raises, so it includes the wait for a connection.

    :ivar counts: number of commands in each bucket, not cumulative: one for each of ``bounds``, and one for longer times.
    :ivar sum: total duration of all commands in seconds.
    :ivar bounds: upper bounds of the buckets in seconds, in ascending order.
    """

    counts: tuple[int, ...] = (0,) * (len(LATENCY_BOUNDS) + 1)
    """Number of commands in each bucket, not cumulative: one for each of ``bounds``, and one for longer times."""
    sum: float = 0.0
    """Total duration of all commands in seconds."""
    bounds: tuple[float, ...] = LATENCY_BOUNDS
    """Upper bounds of the buckets in seconds, in ascending order."""

    @property
    def count(self) -> int:
        """Number of commands in all buckets."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """Mean duration in seconds; 0 if no command was completed."""
        return self.sum / self.count if self.count else 0.0

    def percentile(self, p: float) -> float:
        """Estimate a percentile. The value is interpolated within its bucket.

        :param p: percentage of the commands that were at least as fast, from 0 to 100. ``percentile(50)`` is the median.
        :return: the duration in seconds; 0 if no command was completed. If the value is in the last bucket, which has no upper
            bound, the result is the largest bound.
        :raises InvalidParameter: ``p`` is not between 0 and 100.
        """
        values.number("p", p, low=0, high=100, optional=False)
        rank = self.count * p / 100
        for bound, low, count, reached in zip(
            self.bounds, (0.0, *self.bounds), self.counts, accumulate(self.counts), strict=False
        ):
            if count and reached >= rank:
                return low + (bound - low) * max(0.0, 1 - (reached - rank) / count)
        return self.bounds[-1] if self.count else 0.0

    def __str__(self) -> str:
        return (
            f"{self.count:,} (mean {_ms(self.mean)}, p50 {_ms(self.percentile(50))}, p99 {_ms(self.percentile(99))})"
            if self.count
            else "0"
        )


@frozen(kw_only=True)
class ClientStats:
    """Statistics of a :class:`RelayClient`. ``print(stats)`` prints a table.

    Counters start at 0 when the client is created, and in a forked child process. They never decrease, and they continue when
    the client reconnects or is closed and connected again.

    The keys of the error counts are names of this package's exceptions. An exception of a subclass counts as its nearest base
    class of this package, and any other exception as ``other``, so there are only a few keys. Kinds that have not occurred are
    missing.

    :ivar state: connection state, as :attr:`RelayClient.state`.
    :ivar draining: whether the client has stopped accepting calls, see :meth:`RelayClient.drain`.
    :ivar live_calls: number of live calls now.
    :ivar calls_taken: number of inbound calls passed to the ``on_call`` handler.
    :ivar calls_returned: number of inbound calls returned to the platform: no handler, draining, or ``max_active_calls`` reached.
    :ivar calls_dialed: number of dials started, answered or not.
    :ivar handlers: number of ``on_call`` handlers running now.
    :ivar callbacks_running: number of callbacks running now.
    :ivar callbacks_queued: number of callbacks waiting for a thread or for earlier callbacks now.
    :ivar callbacks_dropped: number of callbacks dropped because too many were waiting.
    :ivar commands_pending: number of commands waiting for a reply or a connection now.
    :ivar latency: durations of all completed commands, successful or not; see :attr:`commands`.
    :ivar command_errors: number of failed commands by kind of error.
    :ivar callback_errors: number of exceptions raised by handlers and callbacks, by kind. ``ClientClosed`` is included.
    :ivar connection_errors: number of failed attempts to connect and of lost connections, by kind of error.
    :ivar reconnects: number of times that the client reconnected after a lost connection.
    :ivar messages_sent: number of text messages accepted by the platform.
    :ivar messages_received: number of inbound text messages.
    """

    state: str = "idle"
    """Connection state, as :attr:`RelayClient.state`."""
    draining: bool = False
    """Whether the client has stopped accepting calls."""
    live_calls: int = 0
    """Number of live calls now."""
    calls_taken: int = 0
    """Number of inbound calls passed to the ``on_call`` handler."""
    calls_returned: int = 0
    """Number of inbound calls returned to the platform: no handler, draining, or ``max_active_calls`` reached."""
    calls_dialed: int = 0
    """Number of dials started, answered or not."""
    handlers: int = 0
    """Number of ``on_call`` handlers running now."""
    callbacks_running: int = 0
    """Number of callbacks running now."""
    callbacks_queued: int = 0
    """Number of callbacks waiting for a thread or for earlier callbacks now."""
    callbacks_dropped: int = 0
    """Number of callbacks dropped because too many were waiting."""
    commands_pending: int = 0
    """Number of commands waiting for a reply or a connection now."""
    latency: LatencyHistogram = LatencyHistogram()
    """Durations of all completed commands, successful or not; see :attr:`commands`."""
    command_errors: Mapping[str, int] = field(factory=dict)
    """Number of failed commands by kind of error."""
    callback_errors: Mapping[str, int] = field(factory=dict)
    """Number of exceptions raised by handlers and callbacks, by kind."""
    connection_errors: Mapping[str, int] = field(factory=dict)
    """Number of failed attempts to connect and of lost connections, by kind of error."""
    reconnects: int = 0
    """Number of times that the client reconnected after a lost connection."""
    messages_sent: int = 0
    """Number of text messages accepted by the platform."""
    messages_received: int = 0
    """Number of inbound text messages."""

    @property
    def commands(self) -> int:
        """Number of completed commands, successful or not.

        This includes commands that the client sends itself to return or hang up calls, but not its connection's own requests,
        such as pings and the checks after reconnecting.
        """
        return self.latency.count

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Labels and values for a table."""
        running, queued, dropped = self.callbacks_running, self.callbacks_queued, self.callbacks_dropped
        return [
            ("state", self.state + (" (draining)" if self.draining else "")),
            ("live calls", f"{self.live_calls:,}"),
            ("calls", f"{self.calls_taken:,} taken, {self.calls_returned:,} returned, {self.calls_dialed:,} dialed"),
            ("handlers", f"{self.handlers:,} running"),
            ("callbacks", f"{running:,} running, {queued:,} queued, {dropped:,} dropped"),
            ("commands", f"{self.latency}, {self.commands_pending:,} pending"),
            ("command errors", _kinds(self.command_errors)),
            ("callback errors", _kinds(self.callback_errors)),
            ("connection errors", _kinds(self.connection_errors)),
            ("reconnects", f"{self.reconnects:,}"),
            ("messages", f"{self.messages_sent:,} sent, {self.messages_received:,} received"),
        ]

    def __str__(self) -> str:
        return "\n".join(f"{name:<17}  {value}" for name, value in self.rows)

    def _repr_html_(self) -> str:
        return notebook_html.table(self.rows)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _kinds(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {kind}" for kind, number in sorted(counts.items())) or "0"


for _public in (ClientStats, LatencyHistogram):
    _public.__module__ = "relay_sync"
