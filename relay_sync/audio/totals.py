"""Counters of an audio server, behind :class:`.stats.AudioServerStats`."""

from __future__ import annotations

import threading
from collections.abc import Collection

import attrs

from .receiver import Receiver
from .stats import AudioServerStats

__all__ = ["Totals"]


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
                del self._live[receiver]
                self._past = _added(self._past, [receiver])

    def summary(self) -> AudioServerStats:
        """Return the sums and the number of live streams."""
        with self._lock:
            live, past = list(self._live), self._past
        total = _added(past, live)
        return attrs.evolve(total, streams=total.streams_started - past.streams_started)


def _added(past: AudioServerStats, receivers: Collection[Receiver]) -> AudioServerStats:
    """Return the sums of earlier connections and of these."""
    counts = [each.counts for each in receivers]
    cores = [each.core for each in receivers if each.core is not None]
    return AudioServerStats(
        streams_started=past.streams_started + len(cores),
        frames=past.frames + sum(each.frames for each in counts),
        bytes=past.bytes + sum(each.bytes for each in counts),
        gaps=past.gaps + sum(each.gaps_seen for each in counts),
        missing=past.missing + sum(each.missing_seen for each in counts),
        late=past.late + sum(each.late for each in counts),
        duplicates=past.duplicates + sum(each.duplicates for each in counts),
        bad_frames=past.bad_frames + sum(each.bad_frames for each in counts),
        dropped=past.dropped + sum(each.buffer.dropped for each in cores),
    )
