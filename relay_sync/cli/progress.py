"""Progress display for a stream.

The progress is shown as a rich progress bar if rich is installed and the output is a terminal. Otherwise, it is plain text.
"""

from __future__ import annotations

import shutil
import sys
from types import TracebackType
from typing import Final, Protocol, TextIO

from attrs import define, field

from ..audio.waveform import peak
from .streams import can_draw_over, can_show

__all__ = ["PlainProgress", "Progress", "level", "make_progress"]

_LEVELS: Final = " ▁▂▃▄▅▆▇█"
_PLAIN_LEVELS: Final = " .:-=+*%#"
_WIDTH: Final = 32
#: Number of columns used by the text around the bar.
_BESIDE: Final = 30


class Progress(Protocol):
    """Context manager that shows a stream's progress."""

    def __enter__(self) -> Progress: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

    def update(self, seconds: float, levels: str = "") -> None:
        """Update the display. Thread-safe.

        :param seconds: length of the received audio, in seconds.
        :param levels: text that shows the current levels.
        """


def level(pcm: bytes) -> str:
    """Return a character that represents the peak level of 16-bit little-endian PCM."""
    shown = _LEVELS if can_show(_LEVELS) else _PLAIN_LEVELS
    return shown[min(8, round((peak(pcm) / 32768) ** 0.5 * 10))]


def _bar_width() -> int:
    """Return the bar's width. The line must fit the terminal, because a wrapped line cannot be overwritten."""
    return max(4, min(_WIDTH, shutil.get_terminal_size().columns - _BESIDE))


@define(eq=False)
class PlainProgress:
    """Progress display that uses plain text.

    On a terminal, it is a bar that is updated in place. Otherwise, a line is printed for every 25 percent.

    :param total: expected length of the audio, in seconds.
    :param live: whether the output is a terminal on which a line can be overwritten.
    """

    total: float
    live: bool
    _out: TextIO = field(factory=lambda: sys.stdout)
    _width: int = field(factory=_bar_width, init=False)
    _shown: int = field(default=-1, init=False)

    def __enter__(self) -> PlainProgress:
        self.update(0.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.live:
            self._out.write("\n")
            self._out.flush()

    def update(self, seconds: float, levels: str = "") -> None:
        share = min(1.0, seconds / self.total) if self.total else 1.0
        step = int(share * (self._width if self.live else 4))
        if step <= self._shown:
            return
        self._shown = step
        numbers = f"{min(seconds, self.total):5.1f} of {self.total:.1f} s"
        if self.live:
            self._out.write(f"\rlistening [{'#' * step:<{self._width}}] {numbers}")
        else:
            self._out.write(f"listening {share:4.0%} {numbers}\n")
        self._out.flush()


class _RichProgress:
    def __init__(self, total: float) -> None:
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            TextColumn("listening"),
            BarColumn(bar_width=_bar_width()),
            TextColumn("{task.completed:4.1f} of {task.total:.1f} s"),
            TextColumn("{task.fields[levels]}"),
        )
        self._task = self._bars.add_task("listening", total=total, levels="")

    def __enter__(self) -> _RichProgress:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bars.update(self._task, levels="")
        self._bars.stop()

    def update(self, seconds: float, levels: str = "") -> None:
        self._bars.update(self._task, completed=seconds, levels=levels)


def make_progress(total: float) -> Progress:
    """Return a suitable progress display for standard output.

    :param total: expected length of the audio, in seconds.
    """
    live = can_draw_over()
    if live:
        try:
            return _RichProgress(total)
        except ImportError:  # The "cli" extra is not installed.
            pass
    return PlainProgress(total, live)
