"""Lines of the program and of this command, each with a prefix that shows where it comes from."""

from __future__ import annotations

import sys
from typing import Final

__all__ = ["Printer"]

#: Prefix of the command's own lines.
OURS: Final = "dev"


class Printer:
    """Prints lines. Several threads may use it at the same time.

    :param name: name of the program, which is the prefix of its lines.
    """

    def __init__(self, name: str) -> None:
        width = max(len(name), len(OURS))
        self._ours = f"{OURS:>{width}} | "
        self._theirs = f"{name:>{width}} | "

    def say(self, line: str) -> None:
        """Print a line of this command."""
        self._print(self._ours, line)

    def pass_on(self, line: str) -> None:
        """Print a line of the program."""
        self._print(self._theirs, line)

    @staticmethod
    def _print(prefix: str, line: str) -> None:
        # Write the line and its newline together, because another thread may be printing.
        sys.stdout.write("".join(f"{prefix}{each}\n" for each in line.splitlines() or [""]))
        sys.stdout.flush()
