"""What a process says to its supervisor over a pipe: that it is ready, or that its configuration is wrong or its program broken.

A line each: ``ready``, or ``wrong`` or ``broken`` and the text as a JSON string.
"""

from __future__ import annotations

import json
import os
from typing import Final

from attrs import define, field

__all__ = ["VARIABLE", "Reporter", "Reports"]

#: The variable that gives a child the number of the descriptor to report to.
VARIABLE: Final = "RELAY_SYNC_REPORTS"
_LONGEST: Final = 4000
_PIECE: Final = 65536


class Reporter:
    """The child's end. Without a supervisor nothing is reported.

    :ivar supervised: whether there is a supervisor to report to.
    """

    def __init__(self) -> None:
        number = os.environ.pop(VARIABLE, "")
        self._number = int(number) if number.isdecimal() else None
        self.is_ready: bool = False

    @property
    def supervised(self) -> bool:
        return self._number is not None

    def ready(self) -> None:
        """The client is connected."""
        self.is_ready = True
        self._write("ready")

    def wrong(self, text: str) -> bool:
        """The configuration is wrong. :return: whether the supervisor got the text, and will print it."""
        return self._write(f"wrong {json.dumps(text[:_LONGEST])}")

    def broken(self, text: str) -> bool:
        """The user's program raised before there was a client. :return: as for :meth:`wrong`."""
        return self._write(f"broken {json.dumps(text[:_LONGEST])}")

    def _write(self, line: str) -> bool:
        if self._number is None:
            return False
        try:
            os.write(self._number, f"{line}\n".encode())
        except OSError:  # the supervisor is no more
            return False
        return True


@define(eq=False)
class Reports:
    """The supervisor's end: a pipe for one child.

    :ivar reading: the descriptor to wait for. :ivar writing: the one to hand over to the child.
    :ivar ready: whether the child has been ready. :ivar wrong: what is wrong with its configuration, or ``None``.
    :ivar is_broken: whether that is what its program raised before there was a client.
    """

    reading: int
    writing: int | None
    ready: bool = False
    wrong: str | None = None
    is_broken: bool = False
    _rest: bytes = field(default=b"", init=False)

    @classmethod
    def make(cls) -> Reports:
        """:raises OSError: there is no descriptor left."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        return cls(reading, writing)

    def handed_over(self) -> None:
        """Close our copy of the child's end."""
        if self.writing is not None:
            os.close(self.writing)
            self.writing = None

    def read(self) -> None:
        """Take in what has come so far."""
        try:
            piece = os.read(self.reading, _PIECE)
        except OSError:  # nothing, for now
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
            except ValueError:  # not from this package
                self.wrong = text

    def close(self) -> None:
        """Let go of the pipe."""
        self.handed_over()
        os.close(self.reading)
