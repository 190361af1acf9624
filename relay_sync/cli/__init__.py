"""The command ``relay-sync``.

================  ==================================================================================================
``__init__``      signals seen to, before anything else is imported
``early``         the signals that come before and after a command
``command``       which command, and exit codes
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
``mistakes``      what ends a command early, as one line
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

import sys
from collections.abc import Sequence
from typing import NoReturn

from .early import Early

__all__ = ["entry", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :param argv: the arguments without the program's name; those of the process if left out.
    :return: the exit code; see the module.
    :raises SystemExit: ``--help``, ``--version``, and arguments that are not known.
    """
    with Early() as early:
        return _run(argv, early)


def entry() -> NoReturn:
    """Run the command as this process: a signal that comes later does not change its exit code."""
    early = Early().to_the_end()
    try:
        early.code = _run(None, early)
    except SystemExit as end:  # the program's own, perhaps: Python prints what it says
        early.code = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
    sys.exit(early.code)


def _run(argv: Sequence[str] | None, early: Early) -> int:
    from .command import run  # takes its time

    return run(argv, early)
