"""Show the progress of a download on standard error, as a progress bar if rich is installed and otherwise as text."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Report", "shown"]

#: Function that receives the number of bytes downloaded so far and the total number, or ``None`` if that is unknown.
Report = Callable[[int, int | None], object]


@contextmanager
def shown(label: str) -> Iterator[Report]:
    """Yield a function that displays the progress. It does nothing if standard error is not a terminal.

    :param label: text to show next to the progress.
    """
    if not _is_terminal():
        yield _nothing
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
    except ImportError:  # the "cli" extra is not installed
        plain = _Plain(label)
        yield plain
        plain.write("\n")
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
    ) as bars:
        task = bars.add_task(label, total=None)
        yield lambda there, total: bars.update(task, completed=there, total=total)


def _is_terminal() -> bool:
    stream = sys.stderr  # None in a Windows service and under pythonw
    return stream is not None and not stream.closed and stream.isatty() and os.environ.get("TERM") != "dumb"


def _nothing(there: int, total: int | None) -> None:
    pass


class _Plain:
    def __init__(self, label: str) -> None:
        self._label = label
        self._last = ""

    def __call__(self, there: int, total: int | None) -> None:
        text = f"{100 * there // total:3d} %" if total else f"{there / 2**20:.1f} MiB"
        if text != self._last:
            self._last = text
            self.write(f"\r{self._label} {text}")

    @staticmethod
    def write(text: str) -> None:
        """Write text to standard error. Ignore errors, because a closed terminal must not stop the download."""
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):
            pass
