"""Errors that end a command. They are shown as one line, not as a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from ..errors import InvalidParameter

__all__ = ["INTERRUPTED", "BrokenProgram", "Mistake", "Unsuccessful", "WrongConfiguration", "advice_for"]

#: Exit code of a command that Ctrl-C interrupted.
INTERRUPTED: Final = 130
_MISSING: Final = (
    "SIGNALWIRE_PROJECT_ID, SIGNALWIRE_API_TOKEN and SIGNALWIRE_SPACE are in the dashboard under API;"
    ' without an account, run "relay-sync simulate --show-tokens" and set the values that it prints'
)


def advice_for(error: InvalidParameter) -> str:
    """Return where to find the credentials that a client was created without; ``""`` for another error."""
    return _MISSING if error.value is None and error.parameter in ("project", "token", "host") else ""


class Mistake(Exception):
    """An invalid argument.

    :param option: its name, such as ``--codec``.
    :param why: what is wrong, and what is expected.
    """

    def __init__(self, option: str, why: str) -> None:
        super().__init__(f"{option}: {why}")

    @classmethod
    def of(cls, error: InvalidParameter, **options: str) -> Mistake:
        """Return the error of a library parameter with the name of its command-line option.

        :param error: the error of the library.
        :param options: options by parameter, where the names differ.
        """
        option = options.get(error.parameter, f"--{error.parameter.replace('_', '-')}")
        return cls(option, f"must be {error.accepted}")


class Unsuccessful(Exception):
    """The command failed. The text gives the reason.

    :cvar code: the exit code.
    """

    code: ClassVar[int] = 1


class BrokenProgram(Unsuccessful):
    """The user's program raised before it had created a client. The text contains the traceback."""


class WrongConfiguration(Unsuccessful):
    """The program's settings are invalid: a restart does not help.

    :cvar code: the exit code.
    """

    code: ClassVar[int] = 2

    @classmethod
    def of(cls, error: InvalidParameter, before: str = "") -> WrongConfiguration:
        """Return the error for a client that was created with an invalid value.

        :param error: the error of the library.
        :param before: text to put before its message.
        """
        advice = advice_for(error)
        return cls(f"{before}{error.message}{advice and f'; {advice}'}")
