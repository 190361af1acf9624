"""Select a command, run it, and return its exit code."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType

from .arguments import build_parser
from .early import Early, Interrupted
from .ending import interruptible
from .mistakes import INTERRUPTED, Mistake, Unsuccessful
from .streams import failure, standard_streams

__all__ = ["run"]


def run(argv: Sequence[str] | None, early: Early) -> int:
    """Parse the arguments, run the command and return its exit code.

    :param argv: the arguments, without the program name. Defaults to the process's arguments.
    :param early: signal handlers installed at startup.
    """
    with standard_streams():
        parser = build_parser()
        try:
            arguments = parser.parse_args(argv)
        except SystemExit as end:
            if not end.code:  # --help or --version
                raise SystemExit(_delivered("relay-sync", 0)) from None
            raise
        if arguments.command is None:
            parser.print_help()
            return 2
        name = f"relay-sync {arguments.command}"
        return _delivered(name, _guarded(name, arguments, early))


def _guarded(name: str, arguments: argparse.Namespace, early: Early) -> int:
    try:
        command = _imported(arguments)
        if arguments.command == "run":  # The client or the supervisor handles signals.
            with early.lifted():
                return int(command.run(arguments))
        with interruptible():
            early.raise_noted()
            return int(command.run(arguments))
    except Mistake as mistake:
        _print_error(f"{name}: error: argument {mistake}\nTry: {name} --help")
        return 2
    except Unsuccessful as failed:
        _print_error(f"{name}: {failed}")
        return failed.code
    except KeyboardInterrupt as end:
        _print_error(f"\n{name}: {', '.join(['interrupted', *getattr(end, '__notes__', ())])}")
        return end.code if isinstance(end, Interrupted) else INTERRUPTED


def _delivered(name: str, code: int) -> int:
    """Flush the output and return the exit code, which is 1 if the output could not be written."""
    reason = failure()
    if not reason:
        return code
    _print_error(f"{name}: the output could not be written: {reason}")
    return code or 1


def _imported(arguments: argparse.Namespace) -> ModuleType:
    # Import the command late, because it is slow and may require an extra. --help and --version must work without it.
    try:
        return importlib.import_module(f"{__package__}.{arguments.module}")
    except ImportError as missing:
        raise Unsuccessful(str(missing)) from missing


def _print_error(line: str) -> None:
    # Write the line and its newline together, because another thread may be logging.
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
