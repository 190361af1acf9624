"""A process that cleans up if ``relay-sync dev`` is killed: it ends the program, and deletes files that contain a key.

``python -m relay_sync.cli.guardian`` reads lines of JSON, each of which replaces the one before. At the end of its input, which
the system closes when the command ends in any way, it cleans up what the last line names, and exits.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from ..threads.signals import Handled
from .early import ENDING as SIGNALS
from .process_table import group_exists, has_running, kill_all, signal_group, with_variable

__all__ = ["KILLED", "MARK", "PATIENCE", "Guardian"]

#: Variable that marks the processes of one run of the program, so that those are found whose parents have ended.
MARK: Final = "RELAY_SYNC_DEV_RUN"
#: Time between SIGTERM and SIGKILL, in seconds.
PATIENCE: Final = 10.0
#: Time for processes that were killed to end, in seconds. A process may have started another one while they were listed.
KILLED: Final = 5.0
#: Time in which a program that was just being started receives its mark, in seconds.
STARTING: Final = 0.2
#: Interval between checks of the processes, in seconds.
LOOK: Final = 0.05
#: Time for the guardian to end after its input was closed, in seconds.
ENDING: Final = 2.0


@define(eq=False)
class Guardian:
    """The guardian of this process."""

    _process: subprocess.Popen[bytes] = field(init=False, repr=False)
    _mark: str = field(default="", init=False)
    _group: int = field(default=0, init=False)
    _files: list[str] = field(factory=list, init=False)

    @_process.default
    def _started(self) -> subprocess.Popen[bytes]:
        # A module of the current folder must not replace one of the guardian, but the package may be there.
        paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {name: value for name, value in os.environ.items() if name != MARK}
        return subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            env={**environment, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # It outlives the terminal.
        )

    def watch(self, mark: str, group: int = 0) -> None:
        """End a program if this process is killed.

        :param mark: value of the program's variable ``MARK``.
        :param group: ID of its process group; 0 before it is known.
        """
        self._mark, self._group = mark, group
        self._tell()

    def forget(self) -> None:
        """Do nothing to the program, because it has ended."""
        self.watch("")

    @contextmanager
    def file(self, path: str) -> Iterator[None]:
        """Delete a file if this process is killed in the ``with`` block.

        :param path: absolute path.
        """
        self._files.append(path)
        self._tell()
        try:
            yield
        finally:
            self._files.remove(path)
            self._tell()

    def close(self) -> None:
        """Close the guardian's input, and wait for its end. It cleans up what is left."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDING)

    def _tell(self) -> None:
        assert self._process.stdin is not None
        line = json.dumps({"mark": self._mark, "group": self._group, "files": self._files})
        with suppress(OSError):  # The guardian was killed.
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()


def main() -> None:
    """Wait for the end of the input, and clean up."""
    with Handled(lambda number, frame: None, *SIGNALS):  # Only the end of the command ends it.
        _guard()


def _guard() -> None:
    last: dict[str, Any] = {}
    for line in sys.stdin.buffer:
        if line.endswith(b"\n"):
            last = json.loads(line)
    for file in last.get("files", ()):
        with suppress(OSError):
            os.unlink(file)
    if last.get("mark"):
        _end_program(last["mark"], last["group"])


def _end_program(mark: str, group: int) -> None:
    """End all processes of a run of the program: in order, and by SIGKILL if they do not end."""
    began = time.monotonic()
    if group:
        signal_group(group, signal.SIGTERM)
        while group_exists(group) and has_running(group) is not False and time.monotonic() - began < PATIENCE:
            time.sleep(LOOK)
        signal_group(group, signal.SIGKILL)
    end = time.monotonic() + KILLED
    while ((left := with_variable(MARK, mark)) or time.monotonic() - began < STARTING) and time.monotonic() < end:
        kill_all(left)
        time.sleep(LOOK)


if __name__ == "__main__":
    main()
