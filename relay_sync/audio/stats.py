"""The numbers of a stream."""

from __future__ import annotations

from attrs import define, field, frozen

from .. import notebook_html

__all__ = ["Counts", "StreamStats"]


@frozen(kw_only=True)
class StreamStats:
    """What came, so far.

    ``print(stats)`` shows a table.

    :ivar frames: good media messages. :ivar bytes: of their payloads.
    :ivar gaps: holes in a track, those that a late frame filled left out. :ivar missing: seconds of audio in them, all
        tracks together.
    :ivar late: frames that came after later ones. :ivar duplicates: frames that came again and were left out.
    :ivar bad_frames: messages that could not be used.
    :ivar dropped: frames that nobody read in time, lost to readers but not to the recording; those of a track that nobody
        reads at all are among them.
    :ivar seconds: length of the longest track.
    :ivar delay: seconds by which the newest frame came later than the carrier's clock says, against the quickest one.
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
    """The running numbers behind :class:`StreamStats`; only the receiving thread writes them."""

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
        """What the program gets to see. :param dropped: frames that nobody read in time."""
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
