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
    """See :func:`relay_sync.cli.main`."""
    with standard_streams():
        parser = build_parser()
        try:
            arguments = parser.parse_args(argv)
        except SystemExit as end:
            if not end.code:  # --help and --version
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
        if arguments.command == "run":  # its client, or its supervisor, handles signals
            with early.lifted():
                return int(command.run(arguments))
        with interruptible():
            early.raise_noted()
            return int(command.run(arguments))
    except Mistake as mistake:
        _tell(f"{name}: error: argument {mistake}\nTry: {name} --help")
        return 2
    except Unsuccessful as failed:
        _tell(f"{name}: {failed}")
        return failed.code
    except KeyboardInterrupt as end:
        _tell(f"\n{name}: {', '.join(['interrupted', *getattr(end, '__notes__', ())])}")
        return end.code if isinstance(end, Interrupted) else INTERRUPTED


def _delivered(name: str, code: int) -> int:
    """Return the exit code after the output has been written."""
    reason = failure()
    if not reason:
        return code
    _tell(f"{name}: the output could not be written: {reason}")
    return code or 1


def _imported(arguments: argparse.Namespace) -> ModuleType:
    # Imported late: it is slow, and needs an extra that --help and --version do not need.
    try:
        return importlib.import_module(f"{__package__}.{arguments.module}")
    except ImportError as missing:
        raise Unsuccessful(str(missing)) from missing


def _tell(line: str) -> None:
    # One write: another thread may be logging.
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
