"""Counters of an audio server, behind :class:`.stats.AudioServerStats`."""

from __future__ import annotations

import copy
import threading

import attrs

from .receiver import Receiver
from .stats import AudioServerStats

__all__ = ["Totals"]


@attrs.define(eq=False)
class _Sums:
    """Sums over connections. The names are those of ``AudioServerStats``."""

    streams_started: int = 0
    frames: int = 0
    bytes: int = 0
    gaps: int = 0
    missing: float = 0.0
    late: int = 0
    duplicates: int = 0
    bad_frames: int = 0
    dropped: int = 0

    def add(self, receiver: Receiver) -> None:
        core, counts = receiver.core, receiver.counts
        if core is not None:
            self.streams_started += 1
            self.dropped += core.buffer.dropped
        self.frames += counts.frames
        self.bytes += counts.bytes
        self.gaps += counts.gaps_seen
        self.missing += counts.missing_seen
        self.late += counts.late
        self.duplicates += counts.duplicates
        self.bad_frames += counts.bad_frames


class Totals:
    """Sums over all connections of a server, so that counting costs the receiving thread nothing for each frame.

    Live connections are summed when the statistics are read. A connection that ends is added to the sums.
    """

    def __init__(self) -> None:
        # Reentrant, because a signal handler may read the statistics while its thread does.
        self._lock = threading.RLock()
        self._live: dict[Receiver, None] = {}
        self._past = _Sums()

    def opened(self, receiver: Receiver) -> None:
        """Start counting a connection. Called on the loop thread."""
        with self._lock:
            self._live[receiver] = None

    def ended(self, receiver: Receiver) -> None:
        """Keep the counts of a connection that has ended. Called on the loop thread."""
        with self._lock:
            if receiver in self._live:
                del self._live[receiver]
                self._past.add(receiver)

    def summary(self) -> AudioServerStats:
        """Return the sums and the number of live streams."""
        with self._lock:
            live, total = list(self._live), copy.copy(self._past)
        for receiver in live:
            total.add(receiver)
        return AudioServerStats(
            streams=sum(each.core is not None for each in live), **attrs.asdict(total, recurse=False)
        )
