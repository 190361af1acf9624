"""Level meters for streams.

They are shown as a live table if rich is installed and the output is a terminal. Otherwise, they are printed as plain lines.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Protocol, TextIO

from attrs import define, field

from ..audio import AudioFrame, AudioStream
from ..audio.waveform import peak
from .streams import can_draw_over

__all__ = ["Display", "Meter", "PlainDisplay", "decibels", "make_display"]

EVERY: Final = 5.0  # Interval between updates if the output is not a terminal, in seconds.
_FALL: Final = 20.0  # Decay of the displayed level, in dB per second.
_FLOOR: Final = -60.0  # Level of an empty bar, in dB.
_BAR: Final = 20  # Length of a bar, in characters.


def decibels(pcm: bytes) -> float:
    """Return the peak level of 16-bit little-endian PCM in dBFS. The result is ``-math.inf`` for silence."""
    loudest = peak(pcm)
    return 20 * math.log10(loudest / 32768) if loudest else -math.inf


def bar(level: float) -> str:
    """Return a bar of fixed length that represents a level in dB."""
    filled = 0 if level == -math.inf else round(max(0.0, 1 - level / _FLOOR) * _BAR)
    return "#" * filled + "." * (_BAR - filled)


@define(eq=False)
class Meter:
    """Level meter for one stream. The stream's thread updates it, and the main thread displays it."""

    stream: AudioStream
    _levels: dict[str, tuple[float, float]] = field(factory=dict, init=False)  # (level in dB, monotonic time) by track

    def hear(self, frame: AudioFrame) -> None:
        """Update the level from a received frame."""
        if frame.encoding is None:
            now, level = time.monotonic(), decibels(frame.pcm)
            if level >= self._fallen(frame.track, now):
                self._levels[frame.track] = level, now
        else:
            self._levels[frame.track] = -math.inf, 0.0

    def _fallen(self, track: str, now: float) -> float:
        level, since = self._levels.get(track, (-math.inf, now))
        return level - _FALL * (now - since)

    @property
    def levels(self) -> dict[str, float]:
        """Current level of each track in dB. Levels rise immediately and decay slowly."""
        now = time.monotonic()
        return {track: self._fallen(track, now) for track in sorted(self._levels)}

    @property
    def name(self) -> str:
        """Call ID of the stream, or the stream ID if the call ID is unknown."""
        return self.stream.call_id or self.stream.stream_id or "a stream"

    def numbers(self) -> str:
        """Return the stream's statistics as one line of text."""
        stats = self.stream.stats
        more = [
            f"{count} {what}"
            for count, what in (
                (stats.late, "late"),
                (stats.duplicates, "duplicates"),
                (stats.bad_frames, "bad"),
                (stats.dropped, "dropped"),
            )
            if count
        ]
        return ", ".join(
            [
                f"{stats.seconds:.1f} s",
                f"{stats.frames} frames",
                f"{stats.gaps} gaps",
                *more,
                f"{stats.delay * 1000:.0f} ms late",
            ]
        )


class Display(Protocol):
    """Context manager that shows level meters.

    :ivar interval: time between updates, in seconds.
    """

    interval: float

    def __enter__(self) -> Display: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

    def show(self, meters: Iterable[Meter]) -> None:
        """Show the open streams' meters."""

    def say(self, line: str) -> None:
        """Print a line of text above the meters. Thread-safe."""


def _level(level: float) -> str:
    return "silent" if level < _FLOOR else f"{level:.0f} dB"


@define(eq=False)
class PlainDisplay:
    """Display that prints one line for each stream at regular intervals.

    :ivar interval: time between updates, in seconds.
    """

    interval: float = EVERY
    _out: TextIO = field(factory=lambda: sys.stdout)

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def show(self, meters: Iterable[Meter]) -> None:
        for meter in meters:
            loud = "  ".join(f"{track} [{bar(level)}] {_level(level)}" for track, level in meter.levels.items())
            self.say(f"{meter.name}: {loud or 'no audio yet'}  {meter.numbers()}")

    def say(self, line: str) -> None:
        self._out.write(f"{line}\n")  # Write the line and its newline together, because several threads print.
        self._out.flush()


class _RichDisplay:
    interval = 0.2

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> _RichDisplay:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, meters: Iterable[Meter]) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table("call", "track", "level", "", "length", "frames", "gaps", "delay", box=None, pad_edge=False)
        for meter in meters:
            stats = meter.stream.stats
            numbers = [f"{stats.seconds:.1f} s", str(stats.frames), str(stats.gaps), f"{stats.delay * 1000:.0f} ms"]
            for track, level in meter.levels.items() or [("", -math.inf)]:
                # Use Text for strings sent by the peer, so that rich does not interpret them as markup.
                table.add_row(Text(meter.name), Text(track), Text(bar(level)), _level(level), *numbers)
        self._live.update(table, refresh=True)

    def say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False)


def make_display() -> Display:
    """Return a suitable display for standard output."""
    if can_draw_over():
        try:
            return _RichDisplay()
        except ImportError:  # The "cli" extra is not installed.
            return PlainDisplay(1.0)
    return PlainDisplay()
