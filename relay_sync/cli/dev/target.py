"""The program that ``relay-sync dev`` runs."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from ..mistakes import Mistake
from ..supervisor import command_line

__all__ = ["Target", "find_target"]

_FORMS: Final = "a script such as answer.py, module:client, flask and its arguments, or -- and a command"
#: Options of the command that users also put after the program.
_OURS: Final = ("--open", "--reload", "--once")


@frozen
class Target:
    """A program to run.

    :ivar name: short name, which precedes each line of the program's output.
    :ivar command: command line.
    """

    name: str
    command: Sequence[str]


def find_target(words: Sequence[str]) -> Target:
    """Return the program that the arguments name.

    :param words: arguments from ``PROGRAM`` on.
    :raises Mistake: there is no such program.
    """
    if not words:
        raise Mistake("PROGRAM", f"missing: expected {_FORMS}")
    first, *rest = words
    if first == "--":
        return _command(rest)
    if first == "flask":
        return Target("flask", [sys.executable, "-m", "flask", *rest])
    for word in rest:
        if word in _OURS:
            raise Mistake(
                word,
                f"must stand before the program: relay-sync dev {word} {first}; to pass it to the program, start the"
                f" program with -- and a command",
            )
    if first.endswith(".py"):
        return _script(first, rest)
    if first.partition(":")[2] and not os.path.exists(first):
        return Target(first, command_line("run", first, *rest))
    raise Mistake.invalid("PROGRAM", repr(first), _FORMS)


def _script(path: str, rest: Sequence[str]) -> Target:
    if not Path(path).is_file():
        raise Mistake("PROGRAM", f"there is no file {path} in {os.getcwd()}")
    return Target(Path(path).name, [sys.executable, path, *rest])


def _command(words: Sequence[str]) -> Target:
    if not words:
        raise Mistake("PROGRAM", "missing: expected a command after --")
    if shutil.which(words[0]) is None:
        raise Mistake("PROGRAM", f"there is no command {words[0]!r}")
    return Target(Path(words[0]).name, list(words))
