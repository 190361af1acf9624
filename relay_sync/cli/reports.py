"""Reports of a process to its supervisor, over a pipe: ready, invalid configuration, or a program that raised.

Each report is a line: ``ready``, or ``wrong`` or ``broken`` followed by the text as a JSON string.
"""

from __future__ import annotations

import json
import os
from typing import Final

from attrs import define, field

__all__ = ["VARIABLE", "Reporter", "Reports"]

#: Environment variable with the file descriptor that a child reports to.
VARIABLE: Final = "RELAY_SYNC_REPORTS"
_LONGEST: Final = 4000
_PIECE: Final = 65536


class Reporter:
    """The child's end of the pipe. Without a supervisor it does nothing.

    :ivar supervised: whether there is a supervisor.
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

        :return: whether the supervisor received the text and will print it.
        """
        return self._write(f"wrong {json.dumps(text[:_LONGEST])}")

    def broken(self, text: str) -> bool:
        """Report that the user's program raised before it had created a client.

        :return: as for :meth:`wrong`.
        """
        return self._write(f"broken {json.dumps(text[:_LONGEST])}")

    def _write(self, line: str) -> bool:
        if self._number is None:
            return False
        try:
            os.write(self._number, f"{line}\n".encode())
        except OSError:  # the supervisor has exited
            return False
        return True


@define(eq=False)
class Reports:
    """The supervisor's end: a pipe for one child.

    :ivar reading: the descriptor to read from.
    :ivar writing: the descriptor to pass to the child.
    :ivar ready: whether the child has reported that it is ready.
    :ivar wrong: the reported error, or ``None``.
    :ivar is_broken: whether that error is an exception of the program, not an invalid configuration.
    """

    reading: int
    writing: int | None
    ready: bool = False
    wrong: str | None = None
    is_broken: bool = False
    _rest: bytes = field(default=b"", init=False)

    @classmethod
    def make(cls) -> Reports:
        """Create the pipe.

        :raises OSError: no file descriptor is available.
        """
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        return cls(reading, writing)

    def handed_over(self) -> None:
        """Close this process's copy of the child's end."""
        if self.writing is not None:
            os.close(self.writing)
            self.writing = None

    def read(self) -> None:
        """Read the reports that have arrived."""
        try:
            piece = os.read(self.reading, _PIECE)
        except OSError:  # nothing has arrived
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
            except ValueError:  # not written by this package
                self.wrong = text

    def close(self) -> None:
        """Close the pipe."""
        self.handed_over()
        os.close(self.reading)
