"""Exceptions that end a command, and checks that raise them. The command prints them as a single line without a traceback."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from ..errors import InvalidParameter

__all__ = [
    "INTERRUPTED",
    "BrokenProgram",
    "Mistake",
    "Unsuccessful",
    "WrongConfiguration",
    "advice_for",
    "check_port",
    "check_positive",
    "port_number",
]

#: Exit code of a command interrupted by Ctrl-C.
INTERRUPTED: Final = 130
_PORTS: Final = "a number from 0 to 65535"
_MISSING: Final = "SIGNALWIRE_PROJECT_ID, SIGNALWIRE_API_TOKEN and SIGNALWIRE_SPACE are in the dashboard under API"


def advice_for(error: InvalidParameter) -> str:
    """Return advice on where to find missing credentials, or ``""`` if the error is not about missing credentials."""
    return _MISSING if error.value is None and error.parameter in ("project", "token", "host") else ""


class Mistake(Exception):
    """Raised when a command-line argument is invalid.

    :param option: name of the option, such as ``--codec``.
    :param why: description of the problem.
    :ivar why: description of the problem.
    """

    def __init__(self, option: str, why: str) -> None:
        super().__init__(f"{option}: {why}")
        self.why: str = why

    @classmethod
    def invalid(cls, option: str, value: object, expected: str) -> Mistake:
        """Describe an invalid value.

        :param option: name of the option.
        :param value: value, as shown in the message.
        :param expected: description of the allowed values, which completes the phrase "expected ...".
        """
        return cls(option, f"invalid value {value}: expected {expected}")

    @classmethod
    def of(cls, error: InvalidParameter, **options: str) -> Mistake:
        """Convert an :class:`InvalidParameter` error raised by the library.

        :param error: original error.
        :param options: option names, for options that are not named like the parameter.
        """
        option = options.get(error.parameter, f"--{error.parameter.replace('_', '-')}")
        value = error.value if error.value == "<hidden>" else repr(error.value)
        return cls.invalid(option, value, error.accepted)


def port_number(text: str) -> int:
    """Return the number in the value of ``--port``, for :func:`check_port`.

    :param text: the value.
    :raises ArgumentTypeError: the value is not a number.
    """
    try:
        return int(text)
    except ValueError:
        raise ArgumentTypeError(f"invalid value {text!r}: expected {_PORTS}") from None


def check_port(port: int) -> None:
    """Check the value of ``--port``, where 0 selects a free port.

    :param port: the value.
    :raises Mistake: there is no such port.
    """
    if not 0 <= port < 65536:
        raise Mistake.invalid("--port", port, _PORTS)


def check_positive(option: str, seconds: float) -> None:
    """Check a time that must be positive and finite.

    :param option: name of the option.
    :param seconds: the value, in seconds.
    :raises Mistake: the value is not allowed.
    """
    if not 0 < seconds < math.inf:
        raise Mistake.invalid(option, f"{seconds:g}", "a positive number of seconds")


class Unsuccessful(Exception):
    """Raised when the command fails. The message gives the reason.

    :cvar code: the exit code.
    """

    code: ClassVar[int] = 1


class BrokenProgram(Unsuccessful):
    """Raised when the user's program raises an exception before it has created a client. The message contains the traceback."""


class WrongConfiguration(Unsuccessful):
    """Raised when the configuration is invalid. Restarting the process does not help in this case.

    :cvar code: the exit code.
    """

    code: ClassVar[int] = 2

    @classmethod
    def of(cls, error: InvalidParameter, before: str = "") -> WrongConfiguration:
        """Convert an :class:`InvalidParameter` error raised while a client was created.

        :param error: original error.
        :param before: prefix for the message.
        """
        advice = advice_for(error)
        return cls(f"{before}{error.message}{advice and f'; {advice}'}")
