"""The command ``relay-sync``.

================  ==================================================================================================
``__init__``      entry points; install signal handlers before other modules are imported
``early``         signals before and after a command
``command``       select and run a command; exit codes
``arguments``     options and help texts
``demo``          ``relay-sync demo``: check the arguments, make a call, print the result
``conversation``  the call of the demo: simulator, client and receiver in one process
``run``           ``relay-sync run``: a client in one or several processes
``doctor``        ``relay-sync doctor``: show and test the configuration
``checkup``       the checks of the doctor
``teststream``    the doctor's test call
``target``        load the client that ``module:client`` names
``ending``        SIGINT, SIGTERM and SIGHUP during a command
``listen``        ``relay-sync listen``: a receiver of streams
``meters``        its level meters, with and without rich
``simulate``      ``relay-sync simulate``: the simulator as a server
``supervisor``    start, watch and stop several processes
``reports``       reports of a process to its supervisor: ready, or invalid configuration
``mistakes``      errors that end a command with one line
``check``         compare the saved audio with the sent audio
``timeline``      moments with their time and thread
``progress``      the progress bar, with and without rich
``streams``       standard streams that are absent, closed, full or without a reader
================  ==================================================================================================

Exit codes: 0 success; 1 failure, with a line on stderr that gives the reason; 2 invalid argument or configuration; 130, 143, 129
interrupted by SIGINT (Ctrl-C), SIGTERM, SIGHUP (the terminal was closed). ``run``, ``listen`` and ``simulate`` serve until one of
these signals and then exit with 0. If the reader of the output closes, as in ``relay-sync demo | head -1``, the command continues
and its exit code does not change. If the output cannot be written for another reason, such as a full disk, the exit code is 1.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from .early import Early

__all__ = ["entry", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :param argv: the arguments without the program's name. Default: those of the process.
    :return: the exit code; see the module.
    :raises SystemExit: for ``--help``, ``--version`` and unknown arguments.
    """
    with Early() as early:
        return _run(argv, early)


def entry() -> NoReturn:
    """Run the command and exit. A signal that arrives after the command has finished does not change the exit code."""
    early = Early().to_the_end()
    try:
        early.code = _run(None, early)
    except SystemExit as end:  # possibly raised by the user's program; Python prints its message
        early.code = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
    sys.exit(early.code)


def _run(argv: Sequence[str] | None, early: Early) -> int:
    from .command import run  # slow

    return run(argv, early)
