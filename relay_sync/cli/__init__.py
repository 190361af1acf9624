"""The command ``relay-sync``.

================  ==================================================================================================
``__init__``      which command, and exit codes
``arguments``     what the commands take, and their help
``demo``          ``relay-sync demo``: the arguments checked, one call made, the result printed
``conversation``  the call itself: simulator, client and receiver in one process
``run``           ``relay-sync run``: a client in one process or several
``doctor``        ``relay-sync doctor``: what is configured, and whether it works
``checkup``       what the doctor looks at
``teststream``    the doctor's test call
``target``        ``module:client``
``ending``        what SIGINT, SIGTERM and SIGHUP do to a command
``listen``        ``relay-sync listen``: a receiver of streams
``meters``        what it shows, with rich or without
``simulate``      ``relay-sync simulate``: the simulator as a server
``supervisor``    several processes: started, watched, ended together
``reports``       what a process says to its supervisor: ready, or a wrong configuration
``check``         whether what is on disk is what was sent
``timeline``      what happened when, and on which thread
``progress``      the bar, with rich or without
``streams``       standard streams that are absent, closed, full or without a reader
================  ==================================================================================================

Exit codes: 0 all is well; 1 something is wrong, and a line on stderr says what; 2 an argument
cannot be right; 130, 143, 129 ended by SIGINT (Ctrl-C), SIGTERM, SIGHUP (the terminal was closed). ``run``, ``listen`` and
``simulate`` serve until one of these comes, and end with 0. A command whose output nobody reads, as in
``relay-sync demo | head -1``, does its work all the same, and its exit code does not change. Output that cannot be written for
another reason, such as a full disk, makes it 1.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from .arguments import build_parser
from .ending import Interrupted, interruptible
from .mistakes import INTERRUPTED, Mistake, Unsuccessful
from .streams import failure, standard_streams

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :param argv: the arguments without the program's name; those of the process if left out.
    :return: the exit code; see the module.
    :raises SystemExit: ``--help``, ``--version``, and arguments that are not known.
    """
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
        return _delivered(name, _guarded(name, arguments))


def _guarded(name: str, arguments: argparse.Namespace) -> int:
    try:
        if arguments.command == "run":  # its client, or its supervisor, handles signals
            return _run(arguments)
        with interruptible():
            return _run(arguments)
    except Mistake as mistake:
        _tell(f"{name}: error: argument {mistake}\nTry: {name} --help")
        return 2
    except Unsuccessful as failed:
        _tell(f"{name}: {failed}")
        return failed.code
    except KeyboardInterrupt as end:
        saved = ", nothing was saved" if arguments.command == "demo" else ""
        _tell(f"\n{name}: interrupted{saved}")
        return end.code if isinstance(end, Interrupted) else INTERRUPTED


def _delivered(name: str, code: int) -> int:
    """The exit code, once everything was written."""
    reason = failure()
    if not reason:
        return code
    _tell(f"{name}: the output could not be written: {reason}")
    return code or 1


def _run(arguments: argparse.Namespace) -> int:
    # Here, since it takes time and an extra that --help and --version need not have.
    try:
        command = importlib.import_module(f"{__name__}.{arguments.module}")
    except ImportError as missing:
        raise Unsuccessful(str(missing)) from missing
    code: int = command.run(arguments)
    return code


def _tell(line: str) -> None:
    # In one piece: another thread may be logging.
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
