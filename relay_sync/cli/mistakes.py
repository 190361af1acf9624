"""What ends a command early; shown as one line, never as a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from ..errors import InvalidParameter

__all__ = ["INTERRUPTED", "BrokenProgram", "Mistake", "Unsuccessful", "WrongConfiguration"]

#: The exit code after a second Ctrl-C, and of commands that a first one ends.
INTERRUPTED: Final = 130


class Mistake(Exception):
    """An argument that cannot be right.

    :param option: such as ``--codec``. :param why: what is wrong with it, and what would be right.
    """

    def __init__(self, option: str, why: str) -> None:
        super().__init__(f"{option}: {why}")

    @classmethod
    def of(cls, error: InvalidParameter, **options: str) -> Mistake:
        """What the library says of one of its parameters, with the name of the option that it was given by.

        :param options: the option of a parameter, where the two have different names.
        """
        option = options.get(error.parameter, f"--{error.parameter.replace('_', '-')}")
        return cls(option, f"must be {error.accepted}")


class Unsuccessful(Exception):
    """The command could not do what it is for; the text says why.

    :cvar code: the exit code.
    """

    code: ClassVar[int] = 1


class BrokenProgram(Unsuccessful):
    """The user's own program raised before there was a client; the text holds its traceback."""


class WrongConfiguration(Unsuccessful):
    """It cannot work until somebody changes the program's settings."""

    code: ClassVar[int] = 2
