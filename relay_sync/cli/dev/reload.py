"""Watch the Python files of a folder, to restart the program when one of them changes. Requires watchfiles."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from ...threads.flag import Flag

try:
    import watchfiles
except ImportError as _missing:
    raise ImportError('--reload needs watchfiles: pip install "watchfiles>=1.0"', name="watchfiles") from _missing

__all__ = ["Changes"]

#: Time for the thread to end, in seconds.
ENDING: Final = 5.0


class Changes:
    """Changed files of a folder and the folders in it. Folders such as ``.venv`` and ``node_modules`` are left out.

    :param folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stopped = Flag()
        self._changed: list[str] = []
        self._thread = threading.Thread(target=self._watch, name="relay-dev-reload", daemon=True)

    def start(self) -> None:
        """Start to watch.

        :raises RuntimeError: the system cannot start a thread.
        """
        self._thread.start()

    def take(self) -> list[str]:
        """Return the names of the files that have changed since the last call of this method."""
        found: list[str] = []
        while self._changed:  # The other thread may add names. Each is removed only once.
            found.append(self._changed.pop(0))
        return list(dict.fromkeys(found))

    def close(self) -> None:
        """Stop watching. Idempotent."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(ENDING)

    def _watch(self) -> None:
        watching = watchfiles.watch(
            self._folder, watch_filter=watchfiles.PythonFilter(), stop_event=self._stopped, raise_interrupt=False
        )
        for changes in watching:
            for _, path in sorted(changes):
                self._changed.append(_shown(Path(path), self._folder))


def _shown(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
