"""Counters of an audio server, behind :class:`.stats.AudioServerStats`."""

from __future__ import annotations

import threading

import attrs

from .receiver import Receiver
from .stats import AudioServerStats

__all__ = ["Totals"]

#: Fields of ``AudioServerStats`` that are sums over all streams.
_SUMS = ("streams_started", "frames", "bytes", "gaps", "missing", "late", "duplicates", "bad_frames", "dropped")


class Totals:
    """Sums over all connections of a server, so that counting costs the receiving thread nothing for each frame.

    Live connections are summed when the statistics are read. A connection that ends is added to the sums.
    """

    def __init__(self) -> None:
        # Reentrant, because a signal handler may read the statistics while its thread does.
        self._lock = threading.RLock()
        self._live: dict[Receiver, None] = {}
        self._past = AudioServerStats()

    def opened(self, receiver: Receiver) -> None:
        """Start counting a connection. Called on the loop thread."""
        with self._lock:
            self._live[receiver] = None

    def ended(self, receiver: Receiver) -> None:
        """Keep the counts of a connection that has ended. Called on the loop thread."""
        with self._lock:
            if receiver in self._live:
                self._past = _with(self._past, receiver)
                del self._live[receiver]

    def summary(self) -> AudioServerStats:
        """Return the sums and the number of live streams."""
        with self._lock:
            live, total = list(self._live), self._past
        for receiver in live:
            total = _with(total, receiver)
        return attrs.evolve(total, streams=sum(each.core is not None for each in live))


def _with(total: AudioServerStats, receiver: Receiver) -> AudioServerStats:
    core, counts = receiver.core, receiver.counts
    return AudioServerStats(
        streams_started=total.streams_started + (core is not None),
        frames=total.frames + counts.frames,
        bytes=total.bytes + counts.bytes,
        gaps=total.gaps + counts.gaps_seen,
        missing=total.missing + counts.missing_seen,
        late=total.late + counts.late,
        duplicates=total.duplicates + counts.duplicates,
        bad_frames=total.bad_frames + counts.bad_frames,
        dropped=total.dropped + (0 if core is None else core.buffer.dropped),
    )
