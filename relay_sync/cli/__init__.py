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
``listen``        ``relay-sync listen``: a receiver of streams
``meters``        what it shows, with rich or without
``simulate``      ``relay-sync simulate``: the simulator as a server
``supervisor``    several processes: started, watched, ended together
``check``         whether what is on disk is what was sent
``timeline``      what happened when, and on which thread
``progress``      the bar, with rich or without
================  ==================================================================================================

Exit codes: 0 all is well; 1 something is wrong, and a line on stderr says what; 2 an argument cannot be right;
130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

from .arguments import build_parser
from .mistakes import Mistake, Unsuccessful

__all__ = ["main"]

INTERRUPTED: Final = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :param argv: the arguments without the program's name; those of the process if left out.
    :return: the exit code; see the module.
    :raises SystemExit: ``--help``, ``--version``, and arguments that are not known.
    """
    _never_choke_on_output()
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 2
    name = f"relay-sync {arguments.command}"
    try:
        return _run(arguments)
    except Mistake as mistake:
        _tell(f"{name}: error: argument {mistake}\nTry: {name} --help")
        return 2
    except Unsuccessful as failure:
        _tell(f"{name}: {failure}")
        return 1
    except KeyboardInterrupt:
        saved = ", nothing was saved" if arguments.command == "demo" else ""
        _tell(f"\n{name}: interrupted{saved}")
        return INTERRUPTED
    except BrokenPipeError:  # such as "relay-sync demo | head -1"
        # What is still buffered would fail once more while the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


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


def _never_choke_on_output() -> None:
    """Let a terminal that cannot show a character show another one instead of a traceback."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
