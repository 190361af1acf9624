"""Status reports from a process to its supervisor, sent through a pipe.

A report is one line of text. ``ready`` reports that the client is connected. ``wrong`` reports an invalid configuration, and
``broken`` an exception in the user's program. The latter two are followed by the message as a JSON string.
"""

from __future__ import annotations

import json
import os
from typing import Final

from attrs import define, field

__all__ = ["VARIABLE", "Reporter", "Reports"]

#: Environment variable that contains the file descriptor of the pipe.
VARIABLE: Final = "RELAY_SYNC_REPORTS"
_LONGEST: Final = 4000
_PIECE: Final = 65536


class Reporter:
    """Sender of reports in the child process. If there is no supervisor, reports are discarded.

    :ivar supervised: whether the process has a supervisor.
    :ivar is_ready: whether :meth:`ready` was called.
    """

    def __init__(self) -> None:
        number = os.environ.pop(VARIABLE, "")
        self._number = int(number) if number.isdecimal() else None
        self.is_ready: bool = False

    @property
    def supervised(self) -> bool:
        return self._number is not None

    def ready(self) -> None:
        """Report that the client is connected."""
        self.is_ready = True
        self._write("ready")

    def wrong(self, text: str) -> bool:
        """Report that the configuration is invalid.

        :param text: error message.
        :return: whether the report was sent, in which case the supervisor prints the message.
        """
        return self._write(f"wrong {json.dumps(text[:_LONGEST])}")

    def broken(self, text: str) -> bool:
        """Report that the user's program raised an exception before it created a client.

        :param text: error message.
        :return: whether the report was sent, in which case the supervisor prints the message.
        """
        return self._write(f"broken {json.dumps(text[:_LONGEST])}")

    def _write(self, line: str) -> bool:
        if self._number is None:
            return False
        try:
            os.write(self._number, f"{line}\n".encode())
        except OSError:  # The supervisor has exited.
            return False
        return True


@define(eq=False)
class Reports:
    """Receiver of one child process's reports.

    :ivar reading: file descriptor for reading, used by the supervisor.
    :ivar writing: file descriptor for writing, inherited by the child process.
    :ivar ready: whether the child has reported that it is ready.
    :ivar wrong: reported error message, or ``None``.
    :ivar is_broken: whether the error is an exception in the user's program rather than an invalid configuration.
    """

    reading: int
    writing: int | None
    ready: bool = False
    wrong: str | None = None
    is_broken: bool = False
    _rest: bytes = field(default=b"", init=False)

    @classmethod
    def make(cls) -> Reports:
        """Create a pipe.

        :raises OSError: too many files are open.
        """
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        return cls(reading, writing)

    def handed_over(self) -> None:
        """Close the supervisor's copy of the write end, after the child process has inherited it."""
        if self.writing is not None:
            os.close(self.writing)
            self.writing = None

    def read(self) -> None:
        """Read all pending reports without blocking."""
        try:
            piece = os.read(self.reading, _PIECE)
        except OSError:  # There are no pending reports.
            return
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._take(line.decode(errors="replace"))

    def _take(self, line: str) -> None:
        if line == "ready":
            self.ready = True
        elif line.startswith(("wrong ", "broken ")):
            word, _, text = line.partition(" ")
            self.is_broken = word == "broken"
            try:
                self.wrong = str(json.loads(text))
            except ValueError:  # The line was not written by this package.
                self.wrong = text

    def close(self) -> None:
        """Close the pipe."""
        self.handed_over()
        os.close(self.reading)
