"""Statistics of a stream."""

from __future__ import annotations

from attrs import define, field, frozen

from .. import notebook_html

__all__ = ["Counts", "StreamStats"]


@frozen(kw_only=True)
class StreamStats:
    """Statistics of a stream so far. ``print(stats)`` shows a table.

    :ivar frames: valid media messages.
    :ivar bytes: bytes of their payloads.
    :ivar gaps: gaps in a track, except those filled by late frames.
    :ivar missing: seconds of audio in the gaps, over all tracks.
    :ivar late: frames that arrived after later ones.
    :ivar duplicates: repeated frames, which were discarded.
    :ivar bad_frames: messages that could not be used.
    :ivar dropped: frames, of read or unread tracks, that were dropped because the buffer was full. Recordings contain them.
    :ivar seconds: duration of the longest track in seconds.
    :ivar delay: delay of the newest frame in seconds against the carrier's clock, relative to the fastest frame.
    """

    frames: int = 0
    bytes: int = 0
    gaps: int = 0
    missing: float = 0.0
    late: int = 0
    duplicates: int = 0
    bad_frames: int = 0
    dropped: int = 0
    seconds: float = 0.0
    delay: float = field(default=0.0, eq=False)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Names and values, for a table."""
        return [
            ("length", f"{self.seconds:.2f} s"),
            ("frames", f"{self.frames:,}"),
            ("bytes", f"{self.bytes:,}"),
            ("gaps", f"{self.gaps:,}" + (f" ({self.missing:.2f} s missing)" if self.gaps else "")),
            ("late", f"{self.late:,}"),
            ("duplicates", f"{self.duplicates:,}"),
            ("bad frames", f"{self.bad_frames:,}"),
            ("dropped", f"{self.dropped:,}"),
            ("delay", f"{self.delay * 1000:.0f} ms"),
        ]

    def __str__(self) -> str:
        return "\n".join(f"{name:<10}  {value}" for name, value in self.rows)

    def _repr_html_(self) -> str:
        return notebook_html.table(self.rows)


@define(eq=False)
class Counts:
    """The running counts behind :class:`StreamStats`; only the receiving thread writes them."""

    frames: int = 0
    bytes: int = 0
    gaps: int = 0
    missing: float = 0.0
    late: int = 0
    duplicates: int = 0
    bad_frames: int = 0
    seconds: float = 0.0
    delay: float = 0.0

    def summary(self, dropped: int) -> StreamStats:
        """Return the statistics for the program.

        :param dropped: frames that were not read before the buffer was full.
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
            delay=self.delay,
        )


StreamStats.__module__ = "relay_sync.audio"
