"""Statistics of a stream."""

from __future__ import annotations

import math
from collections.abc import Mapping

from attrs import define, field, frozen

from .. import notebook_html
from .timeline import Timeline

__all__ = ["AudioServerStats", "Counts", "StreamStats"]


@frozen(kw_only=True)
class StreamStats:
    """Statistics of a stream. ``print(stats)`` prints a table.

    :ivar frames: number of valid media messages.
    :ivar bytes: total size of the payloads in bytes.
    :ivar gaps: number of gaps in the tracks, not counting gaps that late frames have filled.
    :ivar missing: total duration of the gaps in seconds.
    :ivar late: number of frames that arrived after later frames.
    :ivar duplicates: number of duplicate frames, which were discarded.
    :ivar bad_frames: number of invalid messages.
    :ivar dropped: number of frames dropped because the read buffer was full. Recordings contain these frames.
    :ivar seconds: duration of the longest track in seconds.
    :ivar delay: delay of the newest frame in seconds, relative to the fastest frame of the stream.
    """

    frames: int = 0
    """Number of valid media messages."""
    bytes: int = 0
    """Total size of the payloads in bytes."""
    gaps: int = 0
    """Number of gaps in the tracks, not counting gaps that late frames have filled."""
    missing: float = 0.0
    """Total duration of the gaps in seconds."""
    late: int = 0
    """Number of frames that arrived after later frames."""
    duplicates: int = 0
    """Number of duplicate frames, which were discarded."""
    bad_frames: int = 0
    """Number of invalid messages."""
    dropped: int = 0
    """Number of frames dropped because the read buffer was full. Recordings contain these frames."""
    seconds: float = 0.0
    """Duration of the longest track in seconds."""
    delay: float = field(default=0.0, eq=False)
    """Delay of the newest frame in seconds, relative to the fastest frame of the stream."""

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Labels and values for a table."""
        return [
            ("length", f"{self.seconds:.2f} s"),
            *_frame_rows(self),
            ("delay", f"{self.delay * 1000:.0f} ms"),
        ]

    def __str__(self) -> str:
        return "\n".join(f"{name:<10}  {value}" for name, value in self.rows)

    def _repr_html_(self) -> str:
        return notebook_html.table(self.rows)


@frozen(kw_only=True)
class AudioServerStats:
    """Statistics of an :class:`AudioServer`. ``print(stats)`` prints a table.

    Counters start at 0 when the server is created, and in a forked child process. They never decrease, and they keep their values
    when the server is closed. There are only a few kinds of refused connections. Kinds that have not occurred are missing.

    :ivar connections: number of open connections.
    :ivar streams: number of live streams.
    :ivar waiting: number of streams waiting for ``accept()``.
    :ivar turn: time that the receiving thread last needed to serve all connections, in seconds.
    :ivar behind: whether it has needed more than the duration of a frame, 20 ms, for a second or longer.
    :ivar streams_started: number of streams that have started.
    :ivar frames: number of valid media messages of all streams.
    :ivar bytes: total size of their payloads in bytes.
    :ivar gaps: number of gaps. Unlike in :class:`StreamStats`, gaps that late frames have filled since are included.
    :ivar missing: total duration of these gaps in seconds.
    :ivar late: number of frames that arrived after later frames.
    :ivar duplicates: number of duplicate frames, which were discarded.
    :ivar bad_frames: number of invalid messages.
    :ivar dropped: number of frames dropped because the read buffer of a stream was full. Recordings contain these frames.
    :ivar refused: number of refused connections by kind, such as ``no_token``, ``path`` or ``full``.
    """

    connections: int = 0
    """Number of open connections."""
    streams: int = 0
    """Number of live streams."""
    waiting: int = 0
    """Number of streams waiting for ``accept()``."""
    turn: float = 0.0
    """Time that the receiving thread last needed to serve all connections, in seconds."""
    behind: bool = False
    """Whether it has needed more than the duration of a frame, 20 ms, for a second or longer."""
    streams_started: int = 0
    """Number of streams that have started."""
    frames: int = 0
    """Number of valid media messages of all streams."""
    bytes: int = 0
    """Total size of their payloads in bytes."""
    gaps: int = 0
    """Number of gaps. Unlike in :class:`StreamStats`, gaps that late frames have filled since are included."""
    missing: float = 0.0
    """Total duration of these gaps in seconds."""
    late: int = 0
    """Number of frames that arrived after later frames."""
    duplicates: int = 0
    """Number of duplicate frames, which were discarded."""
    bad_frames: int = 0
    """Number of invalid messages."""
    dropped: int = 0
    """Number of frames dropped because the read buffer of a stream was full. Recordings contain these frames."""
    refused: Mapping[str, int] = field(factory=dict)
    """Number of refused connections by kind, such as ``no_token``, ``path`` or ``full``."""

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Labels and values for a table."""
        refused = ", ".join(f"{number:,} {kind}" for kind, number in sorted(self.refused.items()))
        return [
            ("connections", f"{self.connections:,}"),
            ("streams", f"{self.streams:,} live, {self.streams_started:,} started, {self.waiting:,} waiting"),
            ("turn", f"{self.turn * 1000:.1f} ms" + (" (behind)" if self.behind else "")),
            *_frame_rows(self),
            ("refused", refused or "0"),
        ]

    def __str__(self) -> str:
        return "\n".join(f"{name:<11}  {value}" for name, value in self.rows)

    def _repr_html_(self) -> str:
        return notebook_html.table(self.rows)


@define(eq=False)
class Counts:
    """Mutable counters for :class:`StreamStats`. Only the receiving thread changes them.

    :ivar gaps_seen: number of gaps, including gaps that late frames have filled since.
    :ivar missing_seen: total duration of these gaps in seconds.
    :ivar lag: difference between the local time and the timestamp of the newest frame, in seconds.
    :ivar least_lag: that of the fastest frame.
    :ivar timeline: the stream's timeline; ``None`` before ``start``.
    """

    frames: int = 0
    bytes: int = 0
    gaps: int = 0
    missing: float = 0.0
    gaps_seen: int = 0
    missing_seen: float = 0.0
    late: int = 0
    duplicates: int = 0
    bad_frames: int = 0
    lag: float = math.inf
    least_lag: float = math.inf
    timeline: Timeline | None = None

    @property
    def seconds(self) -> float:
        """Duration of the longest track in seconds."""
        timeline = self.timeline
        return 0.0 if timeline is None else timeline.end / timeline.sample_rate

    def summary(self, dropped: int) -> StreamStats:
        """Return the current statistics.

        :param dropped: number of frames dropped because the read buffer was full.
        """
        return StreamStats(
            frames=self.frames,
            bytes=self.bytes,
            gaps=self.gaps,
            missing=self.missing,
            late=self.late,
            duplicates=self.duplicates,
            bad_frames=self.bad_frames,
            dropped=dropped,
            seconds=self.seconds,
            delay=0.0 if self.lag == math.inf else max(0.0, self.lag - self.least_lag),
        )


def _frame_rows(stats: StreamStats | AudioServerStats) -> list[tuple[str, str]]:
    return [
        ("frames", f"{stats.frames:,}"),
        ("bytes", f"{stats.bytes:,}"),
        ("gaps", f"{stats.gaps:,}" + (f" ({stats.missing:.2f} s missing)" if stats.gaps else "")),
        ("late", f"{stats.late:,}"),
        ("duplicates", f"{stats.duplicates:,}"),
        ("bad frames", f"{stats.bad_frames:,}"),
        ("dropped", f"{stats.dropped:,}"),
    ]


for _public in (AudioServerStats, StreamStats):
    _public.__module__ = "relay_sync.audio"
