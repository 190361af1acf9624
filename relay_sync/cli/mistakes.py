"""What ends a command early; shown as one line, never as a traceback."""

from __future__ import annotations

__all__ = ["Mistake", "Unsuccessful"]


class Mistake(Exception):
    """An argument that cannot be right.

    :param option: such as ``--codec``. :param why: what is wrong with it, and what would be right.
    """

    def __init__(self, option: str, why: str) -> None:
        super().__init__(f"{option}: {why}")


class Unsuccessful(Exception):
    """The command could not do what it is for; the text says why."""
